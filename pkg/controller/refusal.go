package controller

import (
	"bytes"
	"slices"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// refusals turns what Envoy refuses into Rejections of the objects that caused
// it. Envoy refuses a route table as a whole and keeps the last good one, so the
// routes that changed since then are the suspects. All of them are left out at
// once, which brings everybody else's changes into force; then each is let back
// in alone: the ones that Envoy accepts stay, the one it refuses is the culprit.
type refusals struct {
	gateways map[string]*trial
}

// trial is the state of one Gateway.
type trial struct {
	// sent and good are the route tables last sent and last accepted.
	sent, good []*xds.Resource
	message    string
	suspects   []store.Key // left out, still to be let in alone
	inside     *store.Key  // the one that is being tried
}

func newRefusals() *refusals { return &refusals{gateways: map[string]*trial{}} }

func (r *refusals) trial(gateway string) *trial {
	t := r.gateways[gateway]
	if t == nil {
		t = &trial{}
		r.gateways[gateway] = t
	}
	return t
}

// sent notes what is about to be sent to a Gateway's proxies.
func (r *refusals) sent(gateway string, s *xds.Snapshot) {
	if s == nil {
		delete(r.gateways, gateway)
		return
	}
	r.trial(gateway).sent = s.Routes
}

// handle returns the changes of the store that follow from an event.
func (r *refusals) handle(e event, st *store.Store) []store.Change {
	t := r.trial(e.gateway)
	if e.rejection == nil {
		t.good = t.sent
		t.inside = nil
		return t.next(st)
	}
	if e.rejection.Type != xds.RouteType {
		return reject(st, e.rejection.Message, originsOf(e.rejection)...)
	}
	t.message = e.rejection.Message
	if t.inside != nil { // it was alone: it is the culprit
		culprit := *t.inside
		t.inside = nil
		return reject(st, t.message, culprit)
	}
	t.suspects = nil
	for _, refused := range e.rejection.Resources {
		for _, k := range changedRoutes(find(t.good, refused.Name), refused) {
			if !slices.Contains(t.suspects, k) {
				t.suspects = append(t.suspects, k)
			}
		}
	}
	left := reject(st, t.message, t.suspects...)
	if len(t.suspects) == 1 {
		t.suspects = nil // nobody else can have done it
	}
	return left
}

// next lets the next suspect in.
func (t *trial) next(st *store.Store) []store.Change {
	for len(t.suspects) > 0 {
		k := t.suspects[0]
		t.suspects = t.suspects[1:]
		if st.Peek(k) != nil && st.Peek(translate.RejectionKey(k)) != nil {
			t.inside = &k
			return []store.Change{store.Delete(translate.RejectionKey(k))}
		}
	}
	return nil
}

// reject returns the changes that leave objects out until they change.
func reject(st *store.Store, message string, keys ...store.Key) []store.Change {
	var changes []store.Change
	for _, k := range keys {
		if o := st.Peek(k); o != nil {
			changes = append(changes, store.PutValue(translate.RejectionKey(k), translate.Rejection{Generation: o.GetGeneration(), Message: message}))
		}
	}
	return changes
}

func originsOf(r *ads.Rejection) []store.Key {
	var keys []store.Key
	for _, res := range r.Resources {
		for _, o := range res.Origins {
			if k := keyOf(o); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func keyOf(o finding.Object) store.Key {
	return store.Key{Kind: store.Kind{Group: o.Group, Kind: o.Kind}, Namespace: o.Namespace, Name: o.Name}
}

func find(list []*xds.Resource, name string) *xds.Resource {
	for _, r := range list {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// changedRoutes lists the route objects behind the differences of two tables.
func changedRoutes(good, refused *xds.Resource) []store.Key {
	before := map[string]*route.Route{}
	if good != nil {
		walk(good, func(host string, r *route.Route) { before[host+" "+r.Name] = r })
	}
	var keys []store.Key
	walk(refused, func(host string, r *route.Route) {
		if old := before[host+" "+r.Name]; old != nil && equal(old, r) {
			return
		}
		for _, k := range routeObjects(r) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	})
	return keys
}

func equal(a, b *route.Route) bool {
	o := proto.MarshalOptions{Deterministic: true}
	x, errX := o.Marshal(a)
	y, errY := o.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func walk(table *xds.Resource, visit func(host string, r *route.Route)) {
	var c route.RouteConfiguration
	if err := proto.Unmarshal(table.Body, &c); err != nil {
		return // it was encoded by us; if not, there is nobody to blame
	}
	for _, vh := range c.VirtualHosts {
		for _, r := range vh.Routes {
			visit(vh.Name, r)
		}
	}
}

// routeObjects reads the metadata that says where a route is from.
func routeObjects(r *route.Route) []store.Key {
	var keys []store.Key
	for _, v := range r.GetMetadata().GetFilterMetadata()["envoy-gateway"].GetFields()["resources"].GetListValue().GetValues() {
		f := v.GetStructValue().GetFields()
		kind := f["kind"].GetStringValue()
		keys = append(keys, store.Key{Kind: store.Kind{Group: store.HTTPRoute.Group, Kind: kind}, Namespace: f["namespace"].GetStringValue(), Name: f["name"].GetStringValue()})
	}
	return keys
}
