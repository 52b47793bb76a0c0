package kube

import (
	"maps"
	"strings"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/pkg/store"
)

// What the translator never reads is not kept. Whoever has it read more of an
// object must keep more of it here.

// fieldSelectors leave out what the API server need not send: Secrets that are of
// no use to a gateway, such as those of Helm, which are the biggest.
var fieldSelectors = map[store.Kind]string{
	store.Secret: exclude("type", "helm.sh/release.v1", string(core.SecretTypeServiceAccountToken),
		string(core.SecretTypeDockercfg), string(core.SecretTypeDockerConfigJson), string(core.SecretTypeBootstrapToken)),
}

func exclude(field string, values ...string) string {
	return field + "!=" + strings.Join(values, ","+field+"!=")
}

// trims say what is dropped of an object of a kind.
var trims = map[store.Kind]func(store.Object){
	store.Secret: func(o store.Object) {
		s := o.(*core.Secret)
		s.Labels, s.Annotations, s.StringData, s.Immutable = nil, nil, nil, nil
		keep(s.Data, core.TLSCertKey, core.TLSPrivateKeyKey, core.ServiceAccountRootCAKey)
	},
	store.ConfigMap: func(o store.Object) {
		c := o.(*core.ConfigMap)
		c.Labels, c.Annotations, c.BinaryData, c.Immutable = nil, nil, nil, nil
		keep(c.Data, core.ServiceAccountRootCAKey)
	},
	store.Namespace: func(o store.Object) {
		n := o.(*core.Namespace)
		n.Annotations, n.Spec, n.Status = nil, core.NamespaceSpec{}, core.NamespaceStatus{}
	},
	store.Service: func(o store.Object) {
		s := o.(*core.Service)
		s.Annotations, s.Status = nil, core.ServiceStatus{}
	},
	store.EndpointSlice: func(o store.Object) {
		s := o.(*discoveryv1.EndpointSlice)
		s.Annotations = nil
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			s.Endpoints[i] = discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: shared(e.Conditions), Zone: e.Zone, Hints: e.Hints}
		}
	},
}

// trim drops what is never read of an object that nobody has seen yet.
func trim(k store.Kind, o store.Object) {
	o.SetManagedFields(nil)
	a := o.GetAnnotations()
	delete(a, core.LastAppliedConfigAnnotation)
	if len(a) == 0 {
		o.SetAnnotations(nil)
	}
	o.SetOwnerReferences(nil)
	if _, bad := o.(*unreadable); bad {
		return
	}
	if f := trims[k]; f != nil {
		f(o)
	}
}

func keep[V any](m map[string]V, keys ...string) {
	maps.DeleteFunc(m, func(k string, _ V) bool {
		for _, want := range keys {
			if k == want {
				return false
			}
		}
		return true
	})
}

var yes, no = ptr.To(true), ptr.To(false)

// shared has all endpoints point to the same two values.
func shared(c discoveryv1.EndpointConditions) discoveryv1.EndpointConditions {
	one := func(p *bool) *bool {
		switch {
		case p == nil:
			return nil
		case *p:
			return yes
		default:
			return no
		}
	}
	return discoveryv1.EndpointConditions{Ready: one(c.Ready), Serving: one(c.Serving), Terminating: one(c.Terminating)}
}
