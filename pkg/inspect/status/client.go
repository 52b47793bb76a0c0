package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// page is how many objects are read at once: their JSON is in memory as a whole.
const page = 500

// Client reads the objects of a cluster.
type Client struct {
	rest      rest.Interface
	discovery *discovery.DiscoveryClient
}

// NewClient returns a client.
func NewClient(config *rest.Config) (*Client, error) {
	c := rest.CopyConfig(config)
	c.GroupVersion, c.NegotiatedSerializer = &schema.GroupVersion{}, scheme.Codecs.WithoutConversion()
	// What is read here is decoded here.
	c.ContentType, c.AcceptContentTypes = "application/json", "application/json"
	client, err := rest.UnversionedRESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &Client{rest: client, discovery: d}, nil
}

// Resources returns the kinds of [Known] that the cluster has, and others of the same
// API groups after them.
func (c *Client) Resources(ctx context.Context) ([]Resource, error) {
	groups, byVersion, failed, err := c.discovery.GroupsAndMaybeResourcesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its API: %w", err)
	}
	var served []Resource
	for _, g := range groups.Groups {
		if g.Name != GatewayGroup && g.Name != ExperimentalGroup && g.Name != ExtensionGroup {
			continue
		}
		for _, v := range g.Versions { // the best comes first
			version := schema.GroupVersion{Group: g.Name, Version: v.Version}
			if failed[version] != nil {
				continue
			}
			list := byVersion[version]
			if list == nil { // a server without aggregated discovery
				list, err = c.discovery.ServerResourcesForGroupVersionWithContext(ctx, v.GroupVersion)
				if apierrors.IsNotFound(err) {
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("ask the cluster for its API %s: %w", v.GroupVersion, err)
				}
			}
			for i := range list.APIResources {
				served = addResource(served, version, &list.APIResources[i])
			}
		}
	}
	return arrange(served), nil
}

// addResource adds a kind unless a better version of it is there.
func addResource(list []Resource, v schema.GroupVersion, r *metav1.APIResource) []Resource {
	if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || silent(v.Group, r.Kind) ||
		slices.ContainsFunc(list, func(o Resource) bool { return o.Group == v.Group && o.Kind == r.Kind }) {
		return list
	}
	family := Other
	switch {
	case r.Kind == "XListenerSet":
		family = ListenerSet
	case strings.HasSuffix(r.Kind, "Policy"):
		family = Policy
	case strings.HasSuffix(r.Kind, "Route"):
		family = Route
	}
	return append(list, Resource{
		Group: v.Group, Version: v.Version, Kind: r.Kind, Plural: r.Name, Namespaced: r.Namespaced, Family: family, Short: r.ShortNames,
	})
}

// arrange puts kinds in the order of [Known], and the others after them.
func arrange(served []Resource) []Resource {
	var list []Resource
	for _, k := range Known() {
		served = slices.DeleteFunc(served, func(s Resource) bool {
			if s.Group != k.Group || s.Kind != k.Kind {
				return false
			}
			k.Version, k.Plural, k.Namespaced = s.Version, s.Plural, s.Namespaced
			k.Short = append(k.Short, s.Short...)
			list = append(list, k)
			return true
		})
	}
	slices.SortFunc(served, func(a, b Resource) int { return strings.Compare(a.Group+a.Kind, b.Group+b.Kind) })
	return append(list, served...)
}

// Query says which objects of a resource are meant.
type Query struct {
	// Namespace is where; empty: in all.
	Namespace string
	// Labels is a label selector.
	Labels string
	// Names are those of the objects; empty: all.
	Names []string
	// Raw keeps the status as it is, too.
	Raw bool
}

func (c *Client) request(r Resource, q Query) *rest.Request {
	path := []string{"/apis", r.Group, r.Version}
	if r.Group == "" {
		path = []string{"/api", r.Version}
	}
	if q.Namespace != "" && r.Namespaced {
		path = append(path, "namespaces", q.Namespace)
	}
	req := c.rest.Get().AbsPath(append(path, r.Plural)...)
	if q.Labels != "" {
		req = req.Param("labelSelector", q.Labels)
	}
	if len(q.Names) == 1 {
		req = req.Param("fieldSelector", fields.OneTermEqualSelector("metadata.name", q.Names[0]).String())
	}
	return req
}

func (q Query) wants(o *Object) bool {
	return len(q.Names) <= 1 || slices.Contains(q.Names, o.Metadata.Name)
}

// list is a page of objects.
type list struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// each reads all objects, page by page, and returns the version of the list.
func (c *Client) each(ctx context.Context, r Resource, q Query, do func(json.RawMessage) error) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("list %s: %w", r.Plural, err) }
	for next := ""; ; {
		req := c.request(r, q).Param("limit", strconv.Itoa(page))
		if next != "" {
			req = req.Param("continue", next)
		}
		body, err := req.Do(ctx).Raw()
		if err != nil {
			return fail(err)
		}
		var l list
		if err := json.Unmarshal(body, &l); err != nil {
			return fail(err)
		}
		for _, item := range l.Items {
			if err := do(item); err != nil {
				return fail(err)
			}
		}
		if next = l.Metadata.Continue; next == "" {
			return l.Metadata.ResourceVersion, nil
		}
	}
}

// List reads objects, and the version of the list, from which to [Client.Watch].
func (c *Client) List(ctx context.Context, r Resource, q Query) ([]*Object, string, error) {
	var objects []*Object
	version, err := c.each(ctx, r, q, func(b json.RawMessage) error {
		o, err := Decode(b, q.Raw)
		if err == nil && q.wants(o) {
			objects = append(objects, o)
		}
		return err
	})
	return objects, version, err
}

// errExpired says that a version is too old to watch from.
var errExpired = errors.New("the version is too old")

// Watch calls do for each change after a version, until the server ends the stream,
// which is no error, or the context ends. It returns the version to go on from.
func (c *Client) Watch(ctx context.Context, r Resource, q Query, from string, do func(o *Object, gone bool)) (string, error) {
	fail := func(err error) (string, error) { return from, fmt.Errorf("watch %s: %w", r.Plural, err) }
	stream, err := c.request(r, q).Param("watch", "true").Param("resourceVersion", from).Param("allowWatchBookmarks", "true").Stream(ctx)
	if err != nil {
		return fail(err)
	}
	defer stream.Close()
	for events := json.NewDecoder(stream); ; {
		var e struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&e); err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return from, nil
			}
			return fail(err)
		}
		if e.Type == "ERROR" {
			return fail(errExpired)
		}
		o, err := Decode(e.Object, q.Raw)
		if err != nil {
			return fail(err)
		}
		from = o.Metadata.ResourceVersion
		if e.Type != "BOOKMARK" && q.wants(o) {
			do(o, e.Type == "DELETED")
		}
	}
}

// Unavailable says that objects of a kind cannot be read though the cluster is there:
// the kind has just gone, or the user may not read it.
func Unavailable(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }

// refused says that the API server is there and has not given what it was asked for, for
// whatever reason. Who asks only to say more than was wanted goes on without.
func refused(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer)
}
