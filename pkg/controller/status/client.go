package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/wellknown"
)

// fieldManager is the name under which the API server notes what is ours. It is
// Envoy Gateway's, so that one takes over from the other.
const fieldManager = wellknown.FieldManager

const timeout = 20 * time.Second

// client sends patches.
type client struct {
	config   *rest.Config
	http     *http.Client
	resource func(store.Kind) (schema.GroupVersionResource, bool)

	mu    sync.Mutex
	known map[schema.GroupVersion]rest.Interface
}

func newClient(config *rest.Config, resource func(store.Kind) (schema.GroupVersionResource, bool)) (*client, error) {
	config = rest.CopyConfig(config)
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, max(config.Burst, 1))
	}
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	config.NegotiatedSerializer = serializer.NewCodecFactory(s).WithoutConversion()
	// It would warn of the name of a finalizer that the Gateway API has chosen.
	config.WarningHandler = rest.NoWarnings{}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return &client{config: config, http: h, resource: resource, known: map[schema.GroupVersion]rest.Interface{}}, nil
}

func (c *client) of(gv schema.GroupVersion) (rest.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.known[gv]; ok {
		return r, nil
	}
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.APIPath = &gv, "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	r, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", gv, err)
	}
	c.known[gv] = r
	return r, nil
}

// send patches an object and returns its new resource version. If the object is
// not what the patch was made for, that is a conflict.
func (c *client) send(ctx context.Context, live store.Object, k store.Key, subresource string, p *patch) (string, error) {
	gvr, ok := c.resource(k.Kind)
	if !ok {
		return "", fmt.Errorf("the API server does not serve %s at present", k.Kind)
	}
	r, err := c.of(gvr.GroupVersion())
	if err != nil {
		return "", err
	}
	request := r.Patch(p.kind).Resource(gvr.Resource).Name(live.GetName()).Param("fieldManager", fieldManager).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json").Timeout(timeout).Body(p.body)
	if live.GetNamespace() != "" {
		request = request.Namespace(live.GetNamespace())
	}
	if subresource != "" {
		request = request.SubResource(subresource)
	}
	b, err := request.Do(ctx).Raw()
	if notApplicable(err) {
		err = apierrors.NewConflict(gvr.GroupResource(), live.GetName(), err)
	}
	if err != nil {
		return "", err
	}
	var m metav1.PartialObjectMetadata
	if err := json.Unmarshal(b, &m); err != nil {
		return "", fmt.Errorf("read the answer to the patch of %s: %w", k, err)
	}
	return m.ResourceVersion, nil
}

// notApplicable says that a JSON patch did not fit the object: the version that it
// tests for is not the newest. The API server answers so with a cause of its own;
// where what it validates fails, the causes name fields.
func notApplicable(err error) bool {
	var s apierrors.APIStatus
	if !errors.As(err, &s) || s.Status().Code != http.StatusUnprocessableEntity || s.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(s.Status().Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// finalizerPatch keeps a GatewayClass from being deleted while it has Gateways, as
// the API asks of controllers; nil if nothing is to be done.
func finalizerPatch(live store.Object, controller string, inUse bool) (*patch, error) {
	class, ok := live.(*gateway.GatewayClass)
	if !ok || string(class.Spec.ControllerName) != controller {
		return nil, nil
	}
	const path = "/metadata/finalizers"
	at := slices.Index(class.Finalizers, gateway.GatewayClassFinalizerGatewaysExist)
	var op operation
	switch {
	case inUse && at < 0 && class.DeletionTimestamp == nil && len(class.Finalizers) == 0:
		op = operation{"add", path, []string{gateway.GatewayClassFinalizerGatewaysExist}}
	case inUse && at < 0 && class.DeletionTimestamp == nil:
		op = operation{"add", path + "/-", gateway.GatewayClassFinalizerGatewaysExist}
	case !inUse && at >= 0:
		op = operation{Op: "remove", Path: fmt.Sprintf("%s/%d", path, at)}
	default:
		return nil, nil
	}
	body, err := json.Marshal([]operation{sameVersion(live), op})
	if err != nil {
		return nil, fmt.Errorf("encode the finalizers of GatewayClass %s: %w", class.Name, err)
	}
	return &patch{types.JSONPatchType, body}, nil
}
