package status

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// TestOwnedBy: a Gateway may have a name that no label can have, and then hurts no other.
func TestOwnedBy(t *testing.T) {
	long, short := &Object{}, &Object{}
	long.Metadata.Name, short.Metadata.Name = strings.Repeat("a", 64), "eg"
	for _, c := range []struct {
		gateways []*Object
		want     bool
	}{{[]*Object{long, short}, true}, {[]*Object{long}, false}} {
		text := ownedBy(proxies.OwningGatewayName, c.gateways)
		selector, err := labels.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := selector.Matches(labels.Set{proxies.OwningGatewayName: "eg"}); got != c.want {
			t.Errorf("%s selects the proxies of eg: %v", text, got)
		}
	}
}
