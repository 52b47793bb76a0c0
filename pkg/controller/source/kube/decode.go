package kube

import (
	"fmt"
	"net/http"
	"sync"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/json"

	"github.com/egctl/egctl/pkg/store"
)

// raw is an object as it came. Kinds defined by CRDs are first read as that, so
// that one object that does not fit its Go type, say of a newer version of the
// CRD, costs nothing but itself: a list or a watch would fail as a whole.
type raw struct {
	metav1.TypeMeta
	data []byte
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *raw) UnmarshalJSON(b []byte) error {
	r.data = append(r.data[:0], b...)
	return nil
}

// DeepCopyObject implements runtime.Object.
func (r *raw) DeepCopyObject() runtime.Object { c := *r; return &c }

type rawList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []raw `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *rawList) DeepCopyObject() runtime.Object { c := *l; return &c }

// objectList is a list of objects that were read.
type objectList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

// DeepCopyObject implements runtime.Object.
func (l *objectList) DeepCopyObject() runtime.Object { c := *l; return &c }

// unreadable stands for an object that cannot be read.
type unreadable struct {
	metav1.PartialObjectMetadata
	err error
}

// builtIn are the groups whose kinds come as protobufs, in their one version.
func builtIn(group string) bool { return group == "" || group == discoveryv1.GroupName }

// newScheme knows the types of built-in kinds, and that of all others is raw.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	for _, i := range store.Kinds {
		if builtIn(i.Group) {
			continue
		}
		for _, v := range i.Versions {
			gv := schema.GroupVersion{Group: i.Group, Version: v}
			metav1.AddToGroupVersion(s, gv)
			s.AddKnownTypeWithName(gv.WithKind(i.Kind.Kind), &raw{})
			s.AddKnownTypeWithName(gv.WithKind(i.Kind.Kind+"List"), &rawList{})
		}
	}
	return s, nil
}

// clients makes a client for each group and version; all share connections and
// the limit of requests.
type clients struct {
	config *rest.Config
	http   *http.Client
	codecs runtime.NegotiatedSerializer
	// parameters encodes options of requests.
	parameters runtime.ParameterCodec

	mu    sync.Mutex
	known map[schema.GroupVersion]rest.Interface
}

func newClients(config *rest.Config) (*clients, error) {
	config = rest.CopyConfig(config)
	switch {
	case config.RateLimiter != nil:
	case config.QPS > 0:
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, max(config.Burst, 1))
	default:
		config.QPS = -1
	}
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	s, err := newScheme()
	if err != nil {
		return nil, err
	}
	return &clients{
		config: config, http: h, codecs: serializer.NewCodecFactory(s).WithoutConversion(),
		parameters: runtime.NewParameterCodec(s), known: map[schema.GroupVersion]rest.Interface{},
	}, nil
}

func (c *clients) client(group, version string) (rest.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gv := schema.GroupVersion{Group: group, Version: version}
	if r, ok := c.known[gv]; ok {
		return r, nil
	}
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.NegotiatedSerializer, config.APIPath = &gv, c.codecs, "/apis"
	if group == "" {
		config.APIPath = "/api"
	}
	config.ContentType = runtime.ContentTypeJSON
	if builtIn(group) {
		config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		config.ContentType = runtime.ContentTypeProtobuf
	}
	r, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", gv, err)
	}
	c.known[gv] = r
	return r, nil
}

// read turns what the server sent into an object for the store, or into an
// unreadable one; false if not even its name can be read.
func (w *watcher) read(o runtime.Object) (store.Object, bool) {
	info, _ := store.Info(w.place.kind)
	gvk := schema.GroupVersionKind{Group: info.Group, Version: w.resource.version, Kind: info.Kind.Kind}
	var out store.Object
	switch o := o.(type) {
	case *raw:
		out = info.New()
		if err := json.UnmarshalCaseSensitivePreserveInts(o.data, out); err != nil {
			u := &unreadable{err: err}
			err := json.UnmarshalCaseSensitivePreserveInts(o.data, &u.PartialObjectMetadata)
			w.source.o.Logger.Error("object cannot be read; what it was before stays in force", "object", w.key(u).String(), "error", u.err)
			return u, err == nil
		}
	case store.Object:
		out = o
	default:
		w.source.o.Logger.Error("the API server sent something else than was asked for", "what", w.place.String(), "type", fmt.Sprintf("%T", o))
		return nil, false
	}
	out.GetObjectKind().SetGroupVersionKind(gvk)
	return out, true
}

// readList does the same with a list.
func (w *watcher) readList(list runtime.Object) (runtime.Object, error) {
	of, err := meta.ListAccessor(list)
	if err != nil {
		return nil, fmt.Errorf("list of %s: %w", w.place, err)
	}
	out := &objectList{ListMeta: metav1.ListMeta{
		ResourceVersion: of.GetResourceVersion(), Continue: of.GetContinue(), RemainingItemCount: of.GetRemainingItemCount(),
	}}
	add := func(o runtime.Object) error {
		if r, ok := w.read(o); ok {
			trim(w.place.kind, r)
			out.Items = append(out.Items, r)
		}
		return nil
	}
	if raws, ok := list.(*rawList); ok {
		for i := range raws.Items {
			_ = add(&raws.Items[i])
			raws.Items[i].data = nil
		}
		return out, nil
	}
	return out, meta.EachListItemWithAlloc(list, add)
}
