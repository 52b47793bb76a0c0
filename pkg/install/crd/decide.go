package crd

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Action is what is to be done with a definition.
type Action string

// The actions.
const (
	// Create: there is none.
	Create Action = "create"
	// Update: what is there is replaced.
	Update Action = "update"
	// Same: what is there is what is wanted.
	Same Action = "same"
	// Keep: what is there is left as it is, and will do.
	Keep Action = "keep"
	// Refuse: what is there is neither wanted nor ours to replace.
	Refuse Action = "refuse"
)

// Risk is something that is not done to a definition unless it is allowed.
type Risk string

// The risks.
const (
	// Downgrade replaces a definition by one of an older release.
	Downgrade Risk = "downgrade"
	// Channel replaces a definition by one of the other channel.
	Channel Risk = "channel"
	// Unmanaged replaces a definition of the Gateway API that does not say which
	// release it is of.
	Unmanaged Risk = "unmanaged"
	// FieldLoss replaces a definition by one that lacks some of its fields: the
	// API server drops them from objects when these are next written.
	FieldLoss Risk = "field-loss"
)

// Risks are all of them.
func Risks() []Risk { return []Risk{Downgrade, Channel, Unmanaged, FieldLoss} }

// Policy says how far a decision may go.
type Policy struct {
	Allow []Risk
	// Explicit says that the user asked for the channel by name: it is not
	// quietly left at the other.
	Explicit bool
}

func (p Policy) allows(r Risk) bool { return slices.Contains(p.Allow, r) }

// Decision is what is to be done with one definition, and why.
type Decision struct {
	Name   string  `json:"name"`
	Action Action  `json:"action"`
	Live   Release `json:"live,omitzero"`
	Wanted Release `json:"wanted,omitzero"`
	Reason string  `json:"reason,omitempty"`
	// Lost are the fields and versions that an update takes away; see [Missing].
	Lost []string `json:"lost,omitempty"`
	// Unused says that no object of the cluster has what is lost.
	Unused bool `json:"unused,omitempty"`
	// Risk is what has to be allowed for an update, if something has.
	Risk Risk `json:"risk,omitempty"`
}

// Decide says what to do with a definition that is wanted, given that in the
// cluster, which may be nil.
func Decide(live, wanted *unstructured.Unstructured, policy Policy) Decision {
	d := Decision{Name: wanted.GetName(), Wanted: ReleaseOf(wanted)}
	if live == nil {
		d.Action = Create
		return d
	}
	d.Live = ReleaseOf(live)
	if same(live, wanted) {
		d.Action = Same
		return d
	}
	for _, stored := range storedVersions(live) {
		if _, ok := versions(wanted)[stored]; !ok {
			return d.refuse("", fmt.Sprintf("objects may be stored as %s, which the new definition does not have: migrate them and take %s out of status.storedVersions first", stored, stored))
		}
	}
	d.Lost = Missing(live, wanted)
	enough := len(Missing(wanted, live)) == 0
	if IsGatewayAPI(wanted) {
		if decided := d.release(policy, enough); decided != nil {
			return *decided
		}
	}
	if len(d.Lost) > 0 && !policy.allows(FieldLoss) {
		if enough {
			return d.keep("it has all that is needed, and fields that the new definition lacks")
		}
		return d.refuse(FieldLoss, fmt.Sprintf("the new definition lacks %s", Fields(d.Lost, 5)))
	}
	d.Action = Update
	return d
}

// release decides by channel and version; nil: nothing there speaks against an
// update.
func (d Decision) release(policy Policy, enough bool) *Decision {
	decided := func(d Decision) *Decision { return &d }
	live, wanted := d.Live.version(), d.Wanted.version()
	if live == nil || wanted == nil || d.Live.Channel == "" {
		switch {
		case policy.allows(Unmanaged):
			return nil
		case enough:
			return decided(d.keep("it does not say which release of the Gateway API it is of, and has all that is needed"))
		default:
			return decided(d.refuse(Unmanaged, "it does not say which release of the Gateway API it is of; who installed it has to upgrade it"))
		}
	}
	if d.Live.Channel != d.Wanted.Channel && !policy.allows(Channel) {
		switch {
		case policy.Explicit:
			reason := fmt.Sprintf("it is of the %s channel", d.Live.Channel)
			if len(d.Lost) > 0 {
				reason += "; the new definition lacks " + Fields(d.Lost, 5)
			}
			return decided(d.refuse(Channel, reason))
		default:
			return decided(d.keep(fmt.Sprintf("it is of the %s channel, which stays", d.Live.Channel)))
		}
	}
	if live.GreaterThan(wanted) && !policy.allows(Downgrade) {
		return decided(d.keep("it is newer"))
	}
	// Who allows these has been told what is lost by them.
	if d.Live.Channel != d.Wanted.Channel || live.GreaterThan(wanted) {
		d.Action = Update
		return &d
	}
	return nil
}

func (d Decision) keep(reason string) Decision {
	d.Action, d.Reason, d.Lost = Keep, reason, nil
	return d
}

func (d Decision) refuse(risk Risk, reason string) Decision {
	d.Action, d.Risk, d.Reason = Refuse, risk, reason
	return d
}

// Fields lists up to most of the fields, for a sentence.
func Fields(fields []string, most int) string {
	if len(fields) <= most {
		return strings.Join(fields, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(fields[:most], ", "), len(fields)-most)
}
