package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/translate"
)

// addressRefused is the API server's refusal of addresses that a Gateway asks
// for.
type addressRefused struct {
	addresses []string
	err       error
}

func (e *addressRefused) Error() string {
	return fmt.Sprintf("the addresses %s cannot be had: %v", strings.Join(e.addresses, ", "), e.err)
}

func (e *addressRefused) Unwrap() error { return e.err }

// explain adds to the API server's refusal of an object which one it is and what
// can be done about it.
func explain(f *translate.Fleet, o *unstructured.Unstructured, err error) error {
	if o.GroupVersionKind() == render.Service && len(f.Addresses)+len(f.ClusterAddresses) > 0 && refusesAddress(err) {
		return &addressRefused{slices.Concat(f.Addresses, f.ClusterAddresses), fmt.Errorf("%s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)}
	}
	remedy := ""
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "quota"):
		remedy = "; raise the quota of the namespace"
	case apierrors.IsForbidden(err):
		remedy = "; the controller needs the permissions that its chart grants, and admission must let its objects pass"
	case apierrors.IsInvalid(err) && strings.Contains(err.Error(), "immutable"):
		remedy = fmt.Sprintf("; delete the %s to have it made anew", o.GetKind())
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), strings.Contains(err.Error(), "typed patch object"): // an unknown field has no status of its own
		remedy = "; correct the EnvoyProxy's provider.kubernetes, or its patch, where this comes from"
	case apierrors.IsNotFound(err) && o.GetNamespace() != "":
		remedy = "; does the namespace exist?"
	}
	return fmt.Errorf("%s %s/%s: %w%s", o.GetKind(), o.GetNamespace(), o.GetName(), err, remedy)
}

// refusesAddress says whether the API server refused a Service for an address of
// it: because it is no address that a Service may have, or out of the range for
// cluster IPs, or taken, or because admission denies external IPs.
func refusesAddress(err error) bool {
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		return false
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		if d := status.Status().Details; d != nil {
			for _, c := range d.Causes {
				if strings.HasPrefix(c.Field, "spec.externalIPs") || strings.HasPrefix(c.Field, "spec.clusterIP") {
					return true
				}
			}
		}
	}
	return apierrors.IsForbidden(err) && strings.Contains(strings.ToLower(err.Error()), "external")
}
