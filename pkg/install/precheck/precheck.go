// Package precheck looks at a cluster and says whether egctl can be installed in
// it, and what will not work there. It changes nothing.
package precheck

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// Status is how a check came out.
type Status string

// The statuses, from good to bad.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
)

// Result is the outcome of one check.
type Result struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
}

// Options say what would be installed.
type Options struct {
	Config    *rest.Config
	Namespace string
	// Controller is the controllerName; empty: the chart's.
	Controller string
	// Image is the controller's that would be installed; empty: it is not known.
	Image string
	// SkipCRDs leaves out what only CustomResourceDefinitions need.
	SkipCRDs bool
}

type checker struct {
	Options
	client  kubernetes.Interface
	dynamic dynamic.Interface
	crds    crd.Client
	// installed says that what would be installed already is.
	installed bool
}

// Run makes all checks. It is an error if the cluster does not answer; that a
// single question is not answered is a result.
func Run(ctx context.Context, o Options) ([]Result, error) {
	if o.Controller == "" {
		o.Controller = install.DefaultController
	}
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	d, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	c := &checker{Options: o, client: client, dynamic: d, crds: crd.Client{Interface: d}}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	out := []Result{kubernetesVersion(version.GitVersion)}
	for _, check := range []struct {
		name string
		run  func(context.Context) []Result
	}{
		{"permissions", c.permissions},
		{"definitions", c.definitions},
		{"installations", c.installations},
		{"classes", c.classes},
		{"unsupported", c.unsupported},
		{"load balancers", c.loadBalancers},
	} {
		for _, r := range check.run(ctx) {
			r.Check = check.name
			out = append(out, r)
		}
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("check %s: %w", check.name, err)
		}
	}
	return out, nil
}

// Worst is the worst status of some results.
func Worst(results []Result) Status {
	worst := OK
	for _, r := range results {
		if r.Status == Failed || worst == OK {
			worst = r.Status
		}
	}
	return worst
}

// WriteTable prints results as a table, hints below.
func WriteTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CHECK\tSTATUS\tMESSAGE")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Check, strings.ToUpper(string(r.Status)), r.Message)
		if r.Hint != "" {
			fmt.Fprintf(t, "\t\t→ %s\n", r.Hint)
		}
	}
	return t.Flush()
}

func unknown(err error) []Result {
	return []Result{{Status: Warning, Message: fmt.Sprintf("cannot tell: %v", err)}}
}
