package xds_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

func rejectedNames(r xds.Rejection) string {
	var names []string
	for _, res := range r.Resources {
		names = append(names, res.Name)
	}
	return strings.Join(names, " ")
}

func TestARefusedVersionIsNotSentAgain(t *testing.T) {
	rec := &recorder{}
	s, c, l := running(t, xds.Options{}, rec)
	bad := route(t, "r", "a", "a")
	update(s, "g", snapshot(cluster(t, "a", 0), bad, l))
	c.nack(c.expect("RouteConfiguration +r"), "no good")
	c.quiet()
	eventually(t, "the refusal is reported", func() bool { return len(rec.refused()) == 1 })
	got := rec.refused()[0]
	if rejectedNames(got) != "r" || got.Resources[0] != bad || got.Message != "no good" || got.Type != encoded.RouteType || got.Gateway != "g" || got.NodeID != "g-proxy" {
		t.Errorf("reported %+v", got)
	}
	var refusal *xds.RejectedError
	if err := s.WaitSynced(t.Context(), "g"); !errors.As(err, &refusal) || !slices.Equal(refusal.Refused["g-proxy"], []string{"r"}) {
		t.Errorf("WaitSynced: %v", err)
	}
	// Other changes do not bring it back; its own does.
	update(s, "g", snapshot(cluster(t, "a", 1), bad, l))
	c.accept("Cluster +a")
	c.accept("ClusterLoadAssignment +a")
	c.quiet()
	update(s, "g", snapshot(cluster(t, "a", 1), route(t, "r", "a", "a", "a"), l))
	c.accept("RouteConfiguration +r")
	if err := s.WaitSynced(t.Context(), "g"); err != nil {
		t.Error(err)
	}
}

// Going back to the last good version says so: the proxy may be in doubt.
func TestBackToTheLastGoodVersion(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "r", "a", "a"), l))
	c.nack(c.expect("RouteConfiguration +r"), "no good")
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "r", "a"), l))
	c.accept("RouteConfiguration +r")
	if err := s.WaitSynced(t.Context(), "g"); err != nil {
		t.Error(err)
	}
}

// Envoy names the bad clusters of a response, and has applied the rest.
func TestThePartOfAResponseThatWasApplied(t *testing.T) {
	rec := &recorder{}
	s, c, l := running(t, xds.Options{}, rec)
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "bad", 0), cluster(t, "bad-not", 0), route(t, "r", "bad-not", "bad"), l), assignment(t, "bad-not", 1))
	cds := c.expect("Cluster +bad +bad-not")
	c.subscribe(encoded.EndpointType, "bad-not")
	c.accept("ClusterLoadAssignment +bad-not")
	c.nack(cds, "Error adding/updating cluster(s) bad: circular reference to bad-not-really")
	// The refused cluster is not waited for.
	c.accept("RouteConfiguration +r")
	c.quiet()
	if got := rec.refused(); len(got) != 1 || rejectedNames(got[0]) != "bad" {
		t.Errorf("reported %+v", got)
	}
}

// Where nothing is said about which resource is bad, it is found out, and the
// others arrive.
func TestTheBadOneIsFoundAmongMany(t *testing.T) {
	for _, test := range []struct{ name, message string }{
		{"no name in the message", "something is wrong"},
		{"a name", "route r5: something is wrong"},
		{"a wrong name", "something like r3 is wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := &recorder{}
			s, path := serve(t, xds.Options{}, rec)
			names := []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"}
			var resources []*encoded.Resource
			for _, n := range names {
				resources = append(resources, route(t, n))
			}
			update(s, "g", snapshot(resources...))
			c := dial(t, path, "g")
			c.subscribe(encoded.RouteType, names...)
			accepted := map[string]bool{}
			rounds := 0
			for len(accepted) < 7 || len(rec.refused()) == 0 {
				if rounds++; rounds > 20 {
					t.Fatal("no end to it")
				}
				r := c.recv()
				if strings.Contains(describe(r), "+r5") {
					c.nack(r, test.message)
					if len(r.GetResources()) == 1 {
						eventually(t, "the refusal is reported", func() bool { return len(rec.refused()) == 1 })
					}
					continue
				}
				for _, res := range r.GetResources() {
					accepted[res.GetName()] = true
				}
				c.ack(r)
			}
			c.quiet()
			if got := rec.refused(); len(got) != 1 || rejectedNames(got[0]) != "r5" {
				t.Errorf("reported %+v", got)
			}
		})
	}
}

// What Envoy keeps running after a refusal must go on working.
func TestTheClustersOfTheLastGoodRouteStay(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "r", "b"), l), assignment(t, "b", 1))
	c.accept("Cluster +b")
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.nack(c.expect("RouteConfiguration +r"), "no good")
	c.quiet() // a is still routed to
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "r", "b", "b"), l))
	c.accept("RouteConfiguration +r")
	c.accept("Cluster -a")
}

func TestARefusedRemovalEnds(t *testing.T) {
	rec := &recorder{}
	s, c, l := running(t, xds.Options{}, rec)
	update(s, "g", snapshot(route(t, "r"), l))
	c.accept("RouteConfiguration +r")
	c.nack(c.expect("Cluster -a"), "no good")
	c.accept("ClusterLoadAssignment -a")
	c.quiet()
	if got := rec.refused(); len(got) != 1 || len(got[0].Resources) != 0 {
		t.Errorf("reported %+v", got)
	}
}

// Retry is for causes that lie outside: the same version is sent once more.
func TestRetry(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	bad := route(t, "r", "a", "a")
	update(s, "g", snapshot(cluster(t, "a", 0), bad, l))
	c.nack(c.expect("RouteConfiguration +r"), "the port is taken")
	c.quiet()
	s.Retry("g", encoded.ListenerType) // of which nothing is refused
	s.Retry("other", encoded.RouteType)
	c.quiet()
	s.Retry("g", encoded.RouteType)
	c.accept("RouteConfiguration +r")
	if err := s.WaitSynced(t.Context(), "g"); err != nil {
		t.Error(err)
	}
}
