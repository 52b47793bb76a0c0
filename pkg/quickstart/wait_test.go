package quickstart

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestWait: one request that fails is not the end of a quickstart, but an answer
// that no waiting changes is.
func TestWait(t *testing.T) {
	refused := errors.New("connection refused")
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no"))
	for _, c := range []struct {
		name    string
		answers []any // the last one for ever
		want    string
	}{
		{"yes", []any{""}, ""},
		{"a moment without the API server", []any{refused, apierrors.NewServiceUnavailable("starting"), "no pod", ""}, ""},
		{"it stays away", []any{"no pod", refused}, "wait until it is so: not within 700ms; last seen: connection refused"},
		{"it is missing", []any{refused, "no pod"}, "last seen: no pod"},
		{"it is forbidden", []any{forbidden}, "wait until it is so: pods is forbidden"},
	} {
		r := &clusterRun{ClusterOptions: ClusterOptions{Timeout: 700 * time.Millisecond, State: func(string) {}}}
		if c.want == "" {
			r.Timeout = time.Minute
		}
		n := 0
		err := r.wait(t.Context(), "it is so", func(context.Context) (string, error) {
			a := c.answers[min(n, len(c.answers)-1)]
			n++
			if err, bad := a.(error); bad {
				return "", err
			}
			return a.(string), nil
		})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		case strings.Contains(c.name, "forbidden") && n > 1:
			t.Errorf("%s: asked %d times", c.name, n)
		}
	}
}
