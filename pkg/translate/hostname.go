package translate

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Hostnames are lower case. Empty matches everything; "*.example.com" matches
// any name that ends in ".example.com", however many labels it adds.

// validHostname says whether the API server would admit a hostname. Objects
// from files were not seen by one, and Envoy refuses a whole listener or route
// table for one bad name.
func validHostname(h string) bool {
	if strings.HasPrefix(h, "*") {
		return len(validation.IsWildcardDNS1123Subdomain(h)) == 0
	}
	return len(validation.IsDNS1123Subdomain(h)) == 0
}

// hostnameMatches says whether every name that b stands for is matched by a.
func hostnameMatches(a, b string) bool {
	if a == "" || a == b {
		return true
	}
	if suffix, ok := strings.CutPrefix(a, "*"); ok {
		return b != "" && len(b) > len(suffix) && strings.HasSuffix(b, suffix)
	}
	return false
}

// intersect returns the hostname that both a listener and a route hostname
// match, and whether there is one: the more specific of the two.
func intersect(listener, route string) (string, bool) {
	switch {
	case hostnameMatches(listener, route):
		return route, true
	case hostnameMatches(route, listener):
		return listener, true
	default:
		return "", false
	}
}

// intersections returns the names that a listener serves for a route, in the
// route's order. A route without hostnames takes the listener's.
func intersections(listener string, route []string) []string {
	if len(route) == 0 {
		return []string{listener}
	}
	var out []string
	for _, h := range route {
		if !validHostname(h) {
			continue // Envoy would refuse the whole table
		}
		if i, ok := intersect(listener, h); ok && !contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// owner returns the index of the most specific hostname of a port's listeners
// that matches h, or -1. Requests for h belong to that listener alone ("listener
// isolation").
func owner(listeners []string, h string) int {
	best := -1
	for i, l := range listeners {
		if hostnameMatches(l, h) && (best < 0 || moreSpecific(l, listeners[best])) {
			best = i
		}
	}
	return best
}

// moreSpecific orders hostnames that match a common name: an exact name before
// wildcards, a longer suffix before a shorter, anything before "".
func moreSpecific(a, b string) bool {
	if wa, wb := strings.HasPrefix(a, "*"), strings.HasPrefix(b, "*"); a != "" && b != "" && wa != wb {
		return !wa
	}
	return len(a) > len(b)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
