package status

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict says how an object, or a condition of it, is.
type Verdict int

// The verdicts, from good to bad.
const (
	Fine    Verdict = iota
	Warned          // it works, and somebody should look
	Waiting         // nobody has said yet
	Failed          // a part of it does not work
)

func (v Verdict) String() string {
	return [...]string{"fine", "warning", "waiting", "failed"}[v]
}

// Issue is something about an object that is not fine.
type Issue struct {
	Verdict Verdict
	// On is the part of the object, the parent or the ancestor that it is about; empty:
	// the object.
	On string
	Condition
	// Shown says that the table has a column for it.
	Shown bool
}

// Hint says what to do; empty if there is nothing to say beyond the message.
func (i Issue) Hint() string { return hint(i.Condition) }

// short is the issue in a few words.
func (i Issue) short() string {
	s := i.words()
	if i.On != "" {
		s = i.On + ": " + s
	}
	return s
}

func (i Issue) words() string {
	s := i.Type
	switch {
	case i.Type == existence:
		s = strings.TrimSuffix(i.Message, ".")
	case polarityOf(i.Type) == alwaysBad: // the rest says the opposite
	case i.Status != "True":
		s += "=" + i.Status + " (" + i.Reason + ")"
	case i.Reason != i.Type:
		s += " (" + i.Reason + ")"
	}
	return s
}

// noteLength is how many characters of a message are shown in a table.
const noteLength = 100

// note is what a table says of the issue: the beginning of what the controller says.
func (i Issue) note() string {
	line, _, _ := strings.Cut(strings.TrimSpace(i.Message), "\n")
	line = strings.TrimSuffix(strings.TrimSpace(line), ".")
	if line == "" {
		return i.words()
	}
	if r := []rune(line); len(r) > noteLength {
		line = strings.TrimRight(string(r[:noteLength-1]), " ,;:") + "…"
	}
	return line
}

// follows says that the issue is what follows from another one: a listener that is
// invalid is not programmed, and then its Gateway has one that is not valid.
func (i Issue) follows() bool {
	return i.Reason == "ListenersNotValid" || i.Type == "Programmed" && i.Reason == "Invalid"
}

// polarity is which status of a condition is good.
type polarity int

const (
	informs     polarity = iota // neither
	goodIfTrue                  // True is fine, False a failure
	badIfTrue                   // True is a failure
	warnsIfTrue                 // True is worth a look
	alwaysBad                   // it is there only when something is wrong
)

func polarityOf(condition string) polarity {
	switch condition {
	case "Accepted", "Programmed", "ResolvedRefs", "Ready", "BackendsAvailable", "SupportedVersion":
		return goodIfTrue
	case "Conflicted", "PartiallyInvalid", "Detached":
		return badIfTrue
	case "OverlappingTLSConfig", "RouteRulesOverlap", "InsecureFrontendValidationMode", "Warning", "DeprecatedField":
		return warnsIfTrue
	case "Invalid": // of a Backend, with status False: Envoy Gateway writes it so
		return alwaysBad
	default:
		return informs
	}
}

// judge says how a condition of an object of that generation is.
func judge(c Condition, generation int64) Verdict {
	p := polarityOf(c.Type)
	switch {
	case p == informs:
		return Fine
	case p == alwaysBad:
		return Failed
	case c.ObservedGeneration < generation && c.ObservedGeneration != 0:
		return Waiting
	case p == goodIfTrue && c.Status == "False", p == badIfTrue && c.Status == "True":
		return Failed
	case p == goodIfTrue && c.Status != "True":
		return Waiting
	case p == warnsIfTrue && c.Status == "True":
		return Warned
	default:
		return Fine
	}
}

// issues are the conditions that are not fine.
func issues(on string, list []Condition, generation int64, shown ...string) []Issue {
	var found []Issue
	for _, c := range list {
		if v := judge(c, generation); v != Fine {
			if v == Waiting && c.Status != "Unknown" {
				c.Message = fmt.Sprintf("The controller has not seen the newest change yet (it saw generation %d of %d).", c.ObservedGeneration, generation)
				c.Reason = "Stale"
			}
			i := Issue{Verdict: v, On: on, Condition: c}
			for _, s := range shown {
				i.Shown = i.Shown || s == c.Type
			}
			found = append(found, i)
		}
	}
	return found
}

// silence is the issue of an object that no controller has answered for.
func silence(on, message string) Issue {
	return Issue{Verdict: Waiting, On: on, Condition: Condition{Type: "Accepted", Status: "Unknown", Reason: "NoAnswer", Message: message}, Shown: true}
}

// review finds all that is not fine about an object.
func review(f Family, o *Object, gone Gone) []Issue {
	generation := o.Metadata.Generation
	switch f {
	case Class:
		found := issues("", o.Status.Conditions, generation, "Accepted")
		if len(o.Status.Conditions) == 0 {
			found = append(found, silence("", "No controller has answered; is "+o.Spec.ControllerName+" running?"))
		}
		return found
	case Gateway, ListenerSet:
		found := issues("", o.Status.Conditions, generation, "Accepted", "Programmed")
		if p := o.Spec.ParentRef; p != nil && gone[p.key("Gateway", o.Metadata.Namespace)] && !decided(o.Status.Conditions) {
			found = []Issue{p.missing(o, "")}
		} else if len(o.Status.Conditions) == 0 {
			found = append(found, silence("", "No controller has answered for it."))
		}
		for i := range o.Status.Listeners {
			l := &o.Status.Listeners[i]
			found = append(found, issues("listener "+l.Name, l.Conditions, generation)...)
		}
		return found
	case Route:
		var found []Issue
		for _, ref := range o.Spec.ParentRefs {
			switch {
			case answered(o, ref): // by now it is there, whatever was seen before
			case gone[ref.key("Gateway", o.Metadata.Namespace)]:
				found = append(found, ref.missing(o, ref.text("Gateway", o.Metadata.Namespace)))
			default:
				found = append(found, silence(ref.text("Gateway", o.Metadata.Namespace),
					"No controller has answered: the parent does not exist, or its class is nobody's."))
			}
		}
		for i := range o.Status.Parents {
			a := &o.Status.Parents[i]
			on := a.ref().text("Gateway", o.Metadata.Namespace)
			found = append(found, issues(on, a.Conditions, generation, "Accepted", "ResolvedRefs")...)
		}
		return found
	case Policy:
		found := issues("", o.Status.Conditions, generation, "Accepted")
		targets := o.targets()
		if len(o.Status.Ancestors) == 0 && len(o.Status.Conditions) == 0 && len(targets) > 0 {
			found = append(found, silence("", "No controller has answered: "+strings.Join(targets, ", ")+" may not exist, or be another controller's."))
		}
		for i := range o.Status.Ancestors {
			a := &o.Status.Ancestors[i]
			on := a.ref().text("Gateway", o.Metadata.Namespace)
			found = append(found, issues(on, a.Conditions, generation, "Accepted")...)
		}
		return found
	default:
		return issues("", o.Status.Conditions, generation, "Accepted")
	}
}

// remarks are the conditions Accepted that are true and say more than that: with another
// reason than is usual, or in egctl's own way, "Note: …" behind what it always says.
func remarks(o *Object) []Issue {
	var found []Issue
	add := func(on string, list []Condition) {
		c := find(list, "Accepted")
		if c == nil || c.Status != "True" || judge(*c, o.Metadata.Generation) != Fine {
			return
		}
		// That listeners are not valid is said of these.
		if c.Reason != c.Type && c.Reason != "ListenersNotValid" || strings.Contains(c.Message, "Note: ") {
			found = append(found, Issue{On: on, Condition: *c})
		}
	}
	add("", o.Status.Conditions)
	for i := range o.Status.Listeners {
		add("listener "+o.Status.Listeners[i].Name, o.Status.Listeners[i].Conditions)
	}
	for _, a := range slices.Concat(o.Status.Parents, o.Status.Ancestors) {
		add(a.ref().text("Gateway", o.Metadata.Namespace), a.Conditions)
	}
	return found
}

// decided says that a controller has written one of the conditions: the API server's
// defaults are all unknown.
func decided(list []Condition) bool {
	return slices.ContainsFunc(list, func(c Condition) bool { return c.Status != "Unknown" })
}

func answered(o *Object, ref Ref) bool {
	for i := range o.Status.Parents {
		if o.Status.Parents[i].ref().same(ref, "Gateway", o.Metadata.Namespace) {
			return true
		}
	}
	return false
}

// targets are what a policy is for, as text.
func (o *Object) targets() []string {
	refs := o.Spec.TargetRefs
	if o.Spec.TargetRef != nil {
		refs = append([]Ref{*o.Spec.TargetRef}, refs...)
	}
	var list []string
	for _, r := range refs {
		list = append(list, r.text("Gateway", o.Metadata.Namespace))
	}
	for _, s := range o.Spec.TargetSelectors {
		list = append(list, strings.ToLower(s.Kind)+"/*")
	}
	return list
}

// worst is the worst verdict.
func worst(list []Issue) Verdict {
	v := Fine
	for _, i := range list {
		v = max(v, i.Verdict)
	}
	return v
}
