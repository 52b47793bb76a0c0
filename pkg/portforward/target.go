package portforward

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Target is what a port-forward goes to.
type Target struct {
	// Kind is one of pod, service, deployment, daemonset, statefulset, replicaset and
	// gateway.
	Kind string
	Name string
	// Bare says that it is a pod because no kind was given.
	Bare bool
}

func (t Target) String() string { return t.Kind + "/" + t.Name }

// explain adds to an error what else somebody may have meant by a name alone.
func (t Target) explain(err error) error {
	if !t.Bare || !apierrors.IsNotFound(err) {
		return err
	}
	return fmt.Errorf("%w; a name alone is that of a pod: did you mean gateway/%s or svc/%s?", err, t.Name, t.Name)
}

// Kinds are the kinds of targets with their other names, as kubectl has them.
// The first is the name that [Target] has.
func Kinds() [][]string {
	return [][]string{
		{"gateway", "gateways", "gw", "gtw"},
		{"service", "services", "svc"},
		{"pod", "pods", "po"},
		{"deployment", "deployments", "deploy"},
		{"daemonset", "daemonsets", "ds"},
		{"statefulset", "statefulsets", "sts"},
		{"replicaset", "replicasets", "rs"},
	}
}

// ParseTarget reads "TYPE/NAME"; a name alone is a pod.
func ParseTarget(s string) (Target, error) {
	kind, name, typed := strings.Cut(s, "/")
	if !typed {
		kind, name = "pod", s
	}
	if name == "" || strings.Contains(name, "/") {
		return Target{}, fmt.Errorf("target %q is not of the form TYPE/NAME", s)
	}
	var known []string
	for _, names := range Kinds() {
		if slices.Contains(names, strings.ToLower(kind)) {
			return Target{Kind: names[0], Name: name, Bare: !typed}, nil
		}
		known = append(known, names[0])
	}
	return Target{}, fmt.Errorf("target %q: type %q is not one of %s", s, kind, strings.Join(known, ", "))
}

// Port is a pair of ports, as a user writes it.
type Port struct {
	// Local is the port on this machine: 0 for any that is free, -1 for the number
	// of the remote one.
	Local int
	// Remote is the target's port: a number or a name.
	Remote string
}

// ParsePort reads "8888:80", ":80" (any local port) or "80" (the same on both
// sides). The remote port may be a name.
func ParsePort(s string) (Port, error) {
	local, remote, pair := strings.Cut(s, ":")
	p := Port{Local: -1, Remote: remote}
	switch {
	case !pair:
		p.Remote = local
	case local == "":
		p.Local = 0
	default:
		n, err := strconv.ParseUint(local, 10, 16)
		if err != nil {
			return Port{}, fmt.Errorf("port %q: the local port %q is not a number from 0 to 65535", s, local)
		}
		p.Local = int(n)
	}
	if p.Remote == "" || strings.Contains(p.Remote, ":") {
		return Port{}, fmt.Errorf("port %q is not of the form [LOCAL:]REMOTE", s)
	}
	if n, err := strconv.Atoi(p.Remote); err == nil && (n < 1 || n > 65535) {
		return Port{}, fmt.Errorf("port %q: the remote port %d is not a number from 1 to 65535", s, n)
	}
	return p, nil
}
