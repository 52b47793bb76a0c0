package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Goal is what to wait for. The zero Goal is that nothing is wrong and nothing is
// waited for.
type Goal struct {
	// Condition of the objects themselves and of all their parents or ancestors, and
	// the Status it is to have.
	Condition, Status string
}

// ParseGoal reads "Condition" or "Condition=Status"; "fine" is the zero Goal.
func ParseGoal(s string) (Goal, error) {
	if s == "" || strings.EqualFold(s, Fine.String()) {
		return Goal{}, nil
	}
	condition, status, given := strings.Cut(s, "=")
	if !given {
		status = "True"
	}
	for _, known := range []string{"True", "False", "Unknown"} {
		if strings.EqualFold(status, known) && condition != "" {
			return Goal{condition, known}, nil
		}
	}
	return Goal{}, fmt.Errorf("%q is not of the form CONDITION[=True|False|Unknown]", s)
}

// Missed says why an object has not reached the goal; empty: it has. What is known to be
// gone changes the words and nothing else.
func (g Goal) Missed(f Family, o *Object, gone Gone) string {
	if g.Condition == "" {
		list := review(f, o, gone)
		slices.SortStableFunc(list, func(a, b Issue) int { return int(b.Verdict) - int(a.Verdict) })
		if len(list) == 0 || list[0].Verdict <= Warned {
			return ""
		}
		return list[0].state()
	}
	found := false
	check := func(on string, list []Condition) string {
		for _, c := range list {
			if !strings.EqualFold(c.Type, g.Condition) {
				continue
			}
			found = true
			stale := c.ObservedGeneration != 0 && c.ObservedGeneration < o.Metadata.Generation
			if stale {
				return on + c.Type + " is that of an older generation"
			}
			if !strings.EqualFold(c.Status, g.Status) {
				return Issue{On: strings.TrimSuffix(on, ": "), Condition: c}.state()
			}
		}
		return ""
	}
	missed := []string{check("", o.Status.Conditions)}
	for _, a := range slices.Concat(o.Status.Parents, o.Status.Ancestors) {
		missed = append(missed, check(a.ref().text("Gateway", o.Metadata.Namespace)+": ", a.Conditions))
	}
	if f == Route {
		for _, ref := range o.Spec.ParentRefs {
			on := ref.text("Gateway", o.Metadata.Namespace)
			switch {
			case answered(o, ref):
			case gone[ref.key("Gateway", o.Metadata.Namespace)]:
				missed = append(missed, ref.missing(o, on).state())
			default:
				missed = append(missed, on+": no controller has answered")
			}
		}
	}
	for _, m := range missed {
		if m != "" {
			return m
		}
	}
	if !found {
		return "there is no condition " + g.Condition
	}
	return ""
}

// state is a condition with its reason and message, in one line.
func (i Issue) state() string {
	if i.Type == existence {
		return i.short()
	}
	s := i.Type + "=" + i.Status
	if i.On != "" {
		s = i.On + ": " + s
	}
	if i.Reason != "" {
		s += ", " + i.Reason
	}
	if m := strings.Join(strings.Fields(i.Message), " "); m != "" {
		s += ": " + m
	}
	return s
}

// TimeoutError says what was not reached in time.
type TimeoutError struct {
	// Missing are the objects and why, one a line; at least one.
	Missing []string
}

func (e *TimeoutError) Error() string {
	const enough = 5
	list := e.Missing
	if more := len(list) - enough; more > 0 {
		list = append(slices.Clone(list[:enough]), fmt.Sprintf("and %d more", more))
	}
	return "timed out; the last state was:\n  " + strings.Join(list, "\n  ")
}

// missing says which objects have not reached the goal. What is asked for by name
// has to be there; else there has to be something. Of a Gateway that is stuck it says why.
func (w *World) missing(g Goal, names []string, gone Gone, stuck Stuck) []string {
	var list []string
	seen := map[string]bool{}
	for i, r := range w.Resources {
		for _, o := range w.Objects[i] {
			seen[o.Metadata.Name] = true
			if m := g.Missed(r.Family, o, gone); m != "" {
				name := o.Metadata.Name
				if o.Metadata.Namespace != "" {
					name = o.Metadata.Namespace + "/" + name
				}
				if why := stuck[o.id()]; r.Family == Gateway && len(why) > 0 {
					m = strings.TrimSuffix(m, ".") + "; " + why[0].state()
				}
				list = append(list, r.Name()+" "+name+": "+m)
			}
		}
	}
	for _, n := range names {
		if !seen[n] {
			list = append(list, n+": there is no such object")
		}
	}
	if len(names) == 0 && len(seen) == 0 {
		list = append(list, "there are no objects")
	}
	return list
}

// lastLook is how long the API server may take to say what is still missing at the end.
const lastLook = 2 * time.Second

// Wait follows a world until its objects have reached the goal, and keeps it up to
// date. The end of the context before that is a [TimeoutError] when it was a
// deadline. Progress is called with what is missing when that changes; nil: not.
// Served are the kinds of which parents may be that are not there.
func (c *Client) Wait(ctx context.Context, served []Resource, w *World, q Query, g Goal, progress func(missing []string)) error {
	var missing []string
	var stuck Stuck
	look := func(ctx context.Context) {
		if missing = w.missing(g, q.Names, nil, nil); len(missing) == 0 {
			return
		}
		// Without an answer it is not known, and then it is not said.
		if gone, err := c.FindGone(ctx, served, w, nil); err == nil {
			missing = w.missing(g, q.Names, gone, stuck)
		}
	}
	told := ""
	check := func() bool {
		look(ctx)
		if s := strings.Join(missing, "\n"); progress != nil && s != told && len(missing) > 0 {
			told = s
			progress(missing)
		}
		return len(missing) > 0
	}
	if !check() {
		return nil
	}
	err := c.Follow(ctx, w, q, func(changes []Change) bool {
		for _, change := range changes {
			w.apply(change)
		}
		return check()
	})
	switch {
	case err != nil:
		return err
	case len(missing) == 0:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		// What was missing may have come without a change of what is followed.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
		// Without an answer it is not said, either.
		stuck, _ = c.FindStuck(last, w, q.Namespace)
		look(last)
		return &TimeoutError{Missing: missing}
	default:
		return ctx.Err()
	}
}
