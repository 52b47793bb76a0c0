package controller

import (
	"cmp"
	"slices"
	"strings"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// standing keeps what proxies refuse at present and no route is to blame for, such
// as a listener whose port is taken. Envoy keeps what it last accepted, so nothing
// is left out; the objects behind get a Refusal until Envoy accepts the resource
// or it is gone.
type standing struct {
	// synced tells how far the proxies of a Gateway are.
	synced  func(gateway string) []ads.ProxyState
	refused map[refusedKey]refusedValue
}

type refusedKey struct {
	gateway string
	kind    xds.Type
	name    string
}

type refusedValue struct {
	message string
	origins []finding.Object
}

// refuse notes a refusal and returns the changes that follow.
func (s *standing) refuse(r *ads.Rejection) []store.Change {
	var objects []finding.Object
	for _, res := range r.Resources {
		k := refusedKey{r.Gateway, r.Type, res.Name}
		objects = append(objects, s.refused[k].origins...)
		s.refused[k] = refusedValue{about(res.Name, r.Message), res.Origins}
		objects = append(objects, res.Origins...)
	}
	return append(s.changes(objects), s.review(r.Gateway, r.Type)...)
}

// about picks what a message of Envoy's says about one resource. Where it is
// about several of them it has a line for each, "name: reason".
func about(name, message string) string {
	if _, list, ok := strings.Cut(message, "(s) "); ok {
		for line := range strings.Lines(list) {
			if reason, ok := strings.CutPrefix(line, name+": "); ok {
				return strings.TrimSpace(reason)
			}
		}
	}
	return strings.TrimSpace(message)
}

// review forgets what proxies do not refuse any more. While one has not answered
// for everything, nothing is certain.
func (s *standing) review(gateway string, kind xds.Type) []store.Change {
	if len(s.refused) == 0 {
		return nil
	}
	proxies := s.synced(gateway)
	if len(proxies) == 0 {
		return nil
	}
	still := map[string]bool{}
	for _, p := range proxies {
		t := p.Types[kind]
		if t.Pending > 0 {
			return nil
		}
		for _, name := range t.Refused {
			still[name] = true
		}
	}
	return s.drop(func(k refusedKey) bool { return k.gateway == gateway && k.kind == kind && !still[k.name] })
}

// gone forgets a Gateway.
func (s *standing) gone(gateway string) []store.Change {
	return s.drop(func(k refusedKey) bool { return k.gateway == gateway })
}

func (s *standing) drop(which func(refusedKey) bool) []store.Change {
	var objects []finding.Object
	for k, v := range s.refused {
		if which(k) {
			objects = append(objects, v.origins...)
			delete(s.refused, k)
		}
	}
	return s.changes(objects)
}

// changes makes the Refusals of objects anew.
func (s *standing) changes(objects []finding.Object) []store.Change {
	slices.SortFunc(objects, func(a, b finding.Object) int { return keyOf(a).Compare(keyOf(b)) })
	objects = slices.Compact(objects)
	changes := make([]store.Change, 0, len(objects))
	for _, o := range objects {
		r := translate.Refusal{Object: keyOf(o)}
		for k, v := range s.refused {
			if slices.Contains(v.origins, o) {
				r.Resources = append(r.Resources, translate.RefusedResource{Type: k.kind, Name: k.name, Message: v.message})
			}
		}
		if len(r.Resources) == 0 {
			changes = append(changes, store.Delete(translate.RefusalKey(r.Object)))
			continue
		}
		slices.SortFunc(r.Resources, translate.RefusedResource.Compare)
		r.Resources = slices.Compact(r.Resources)
		changes = append(changes, store.PutValue(translate.RefusalKey(r.Object), r))
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return changes
}
