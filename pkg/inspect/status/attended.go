package status

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Unattended says that statuses of the world are of the controller that egctl and Envoy
// Gateway install, and that none is seen in the cluster: no pod of one runs, and nobody
// holds the Lease of its leader, as a controller outside of the cluster would. What a
// controller has written stays when it goes, and nothing keeps it true.
//
// It is false where that cannot be known, whatever the API server gave as the reason: this
// is asked beside what the user wants to see. Controllers of other names are none that could
// be looked for.
func (c *Client) Unattended(ctx context.Context, served []Resource, w *World, now time.Time) (bool, error) {
	ours, err := c.spokenFor(ctx, served, w)
	if err != nil || !ours {
		return false, err
	}
	running := false
	pods := Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}
	_, err = c.each(ctx, pods, Query{Labels: wellknown.ControllerSelector}, func(b json.RawMessage) error {
		var p struct {
			Metadata struct {
				DeletionTimestamp *time.Time `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				Phase string `json:"phase"`
			} `json:"status"`
		}
		if err := json.Unmarshal(b, &p); err != nil {
			return err
		}
		running = running || p.Status.Phase == "Running" && p.Metadata.DeletionTimestamp == nil
		return nil
	})
	if running || refused(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	held := false
	leases := Resource{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease", Plural: "leases", Namespaced: true}
	_, err = c.each(ctx, leases, Query{Names: []string{wellknown.Lease}}, func(b json.RawMessage) error {
		var l struct {
			Spec struct {
				HolderIdentity string    `json:"holderIdentity"`
				RenewTime      time.Time `json:"renewTime"`
				Duration       int       `json:"leaseDurationSeconds"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(b, &l); err != nil {
			return err
		}
		// The clocks of two machines may differ.
		const tolerance = time.Minute
		held = held || l.Spec.HolderIdentity != "" && now.Sub(l.Spec.RenewTime) < time.Duration(l.Spec.Duration)*time.Second+tolerance
		return nil
	})
	if Unavailable(err) {
		return true, nil // the pods have said it, and few controllers run elsewhere
	}
	if refused(err) {
		return false, nil
	}
	return err == nil && !held, err
}

// spokenFor says whether one of the statuses is from the controller whose name egctl and
// Envoy Gateway go by.
func (c *Client) spokenFor(ctx context.Context, served []Resource, w *World) (bool, error) {
	const name = v1alpha1.GatewayControllerName
	classes := map[string]bool{} // of Gateways with a status
	for i, r := range w.Resources {
		for _, o := range w.Objects[i] {
			switch {
			case slices.ContainsFunc(slices.Concat(o.Status.Parents, o.Status.Ancestors), func(a Answer) bool { return a.ControllerName == name }):
				return true, nil
			case !decided(o.Status.Conditions):
			case r.Family == Class && o.Spec.ControllerName == name:
				return true, nil
			case r.Family == Gateway:
				classes[o.Spec.GatewayClassName] = true
			}
		}
	}
	for _, r := range served {
		if r.Family != Class || len(classes) == 0 {
			continue
		}
		all, _, err := c.List(ctx, r, Query{})
		if refused(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(all, func(o *Object) bool { return classes[o.Metadata.Name] && o.Spec.ControllerName == name }) {
			return true, nil
		}
	}
	return false, nil
}
