package translate

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// findDuplicates leaves out listeners whose name is none, or was used by their
// owner before: they could not be told apart in statuses, parentRefs and the
// names of what Envoy gets.
func findDuplicates(all []*listener) {
	seen := map[ir.ListenerKey]bool{}
	for _, l := range all {
		if seen[l.Key] || len(validation.IsDNS1123Subdomain(l.Key.Name)) > 0 {
			l.Issues = append(l.Issues, listenerInvalid.at(l.Object, l.Path+".name", "give the listener a name of its own", "name %q is not valid or used twice", l.Key.Name))
		}
		seen[l.Key] = true
	}
}

// findPortsTaken leaves out listeners that ask for the very port on which Envoy
// serves another's privileged port. Within an owner the privileged one stays: a
// client of port 80 has no other way in.
// The port on which proxies say that they are ready is nobody else's.
func findPortsTaken(all []*listener, ready int32) {
	for i, l := range all {
		if ready != 0 && l.Bound == ready && l.Protocol != ir.ListenerUDP && !hasCondition(l.Issues, accepted) {
			l.Issues = append(l.Issues, listenerPortTaken.at(l.Object, l.Path+".port", "use another port", "on port %d proxies say whether they are ready", l.Bound))
			continue
		}
		for _, other := range all[:i] {
			if l.Port == other.Port || l.Bound != other.Bound ||
				(l.Protocol == ir.ListenerUDP) != (other.Protocol == ir.ListenerUDP) ||
				hasCondition(l.Issues, accepted) || hasCondition(other.Issues, accepted) {
				continue
			}
			loser, winner := l, other
			if l.Key.Owner == other.Key.Owner && l.Port < other.Port {
				loser, winner = other, l
			}
			loser.Issues = append(loser.Issues, listenerPortTaken.at(loser.Object, loser.Path+".port", "use another port",
				"port %d of listener %q of %s is served on port %d", winner.Port, winner.Key.Name, winner.Key.Owner, winner.Bound))
		}
	}
}

// findConflicts marks the listeners that cannot be told apart. Within a Gateway
// no winner may be picked, so all of an indistinct set lose; a Gateway's
// listener wins over a ListenerSet's, and an earlier set over a later
// (specification, "Handling indistinct Listeners" and ListenerSet precedence).
// Of Gateways that are merged the older one wins, its ListenerSets included.
func findConflicts(all []*listener) {
	for i, l := range all {
		if hasCondition(l.Issues, accepted) {
			continue
		}
		for _, other := range all[:i] {
			if hasCondition(other.Issues, accepted) {
				continue
			}
			sameOwner := l.Key.Owner == other.Key.Owner && l.Key.Owner.Kind == store.Gateway
			if hasCondition(other.Issues, conflicted) && !sameOwner {
				continue // what lost a conflict is not there to conflict with
			}
			cd, what := compare(&l.Listener, &other.Listener)
			if what == "" {
				continue
			}
			l.Issues = append(l.Issues, cd.at(l.Object, l.Path, "change the port, the protocol or the hostname",
				"conflicts with listener %q of %s on port %d: %s", other.Key.Name, other.Key.Owner, l.Port, what))
			if sameOwner {
				other.Issues = append(other.Issues, cd.at(other.Object, other.Path, "change the port, the protocol or the hostname",
					"conflicts with listener %q of %s on port %d: %s", l.Key.Name, l.Key.Owner, l.Port, what))
			}
			if !sameOwner {
				break
			}
		}
	}
}

// compare says why two listeners are not distinct; an empty string if they are.
func compare(a, b *ir.Listener) (cd code, what string) {
	if a.Port != b.Port || (a.Protocol == ir.ListenerUDP) != (b.Protocol == ir.ListenerUDP) {
		return code{}, ""
	}
	switch {
	case a.SNI() && b.SNI(), a.Protocol == ir.ListenerHTTP && b.Protocol == ir.ListenerHTTP:
		if a.Hostname != b.Hostname {
			return code{}, ""
		}
		if a.Hostname == "" {
			return listenerHostnameConflict, "neither has a hostname"
		}
		return listenerHostnameConflict, "both have hostname " + a.Hostname
	case a.Protocol == b.Protocol:
		return listenerProtocolConflict, "a port can carry one " + string(a.Protocol) + " listener"
	default:
		return listenerProtocolConflict, "protocols " + string(a.Protocol) + " and " + string(b.Protocol) + " cannot share a port"
	}
}

// findOverlaps notes HTTPS listeners of a port whose names overlap (GEP-3567).
func findOverlaps(all []*listener) {
	for i, l := range all {
		for _, other := range all[:i] {
			if !l.Served || !other.Served || l.Protocol != ir.ListenerHTTPS || other.Protocol != ir.ListenerHTTPS || l.Port != other.Port {
				continue
			}
			if _, ok := intersect(l.Hostname, other.Hostname); ok {
				l.overlap(other)
				other.overlap(l)
			}
		}
	}
}

func (l *listener) overlap(other *listener) {
	if l.Overlaps {
		return // one is enough to know
	}
	l.Overlaps = true
	l.Issues = append(l.Issues, listenerOverlap.at(l.Object, l.Path+".hostname", "",
		"hostname %q overlaps with %q of listener %q", l.Hostname, other.Hostname, other.Key.Name))
}
