package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Object is the part of an object that is shown. One type serves all kinds: of
// thousands of objects only this is kept.
type Object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
	Status     Status   `json:"status"`
	// Raw is the status as the server gave it, where it is asked for.
	Raw json.RawMessage `json:"-"`
}

// Metadata is that of an object.
type Metadata struct {
	Name              string    `json:"name"`
	Namespace         string    `json:"namespace"`
	UID               string    `json:"uid"`
	ResourceVersion   string    `json:"resourceVersion"`
	Generation        int64     `json:"generation"`
	CreationTimestamp time.Time `json:"creationTimestamp"`
}

// Spec has the fields of all kinds that are shown.
type Spec struct {
	// GatewayClass
	ControllerName string `json:"controllerName"`
	// Gateway, ListenerSet
	GatewayClassName string     `json:"gatewayClassName"`
	Listeners        []Listener `json:"listeners"`
	ParentRef        *Ref       `json:"parentRef"`
	// routes
	Hostnames  []string `json:"hostnames"`
	ParentRefs []Ref    `json:"parentRefs"`
	Rules      []Rule   `json:"rules"`
	// policies
	TargetRef       *Ref       `json:"targetRef"`
	TargetRefs      []Ref      `json:"targetRefs"`
	TargetSelectors []Selector `json:"targetSelectors"`
}

// Listener is one of a Gateway or ListenerSet.
type Listener struct {
	Name          string `json:"name"`
	Port          int32  `json:"port"`
	Protocol      string `json:"protocol"`
	Hostname      string `json:"hostname"`
	AllowedRoutes *struct {
		Namespaces *struct {
			From string `json:"from"`
		} `json:"namespaces"`
	} `json:"allowedRoutes"`
}

// Rule is one of a route.
type Rule struct {
	Name        string `json:"name"`
	BackendRefs []Ref  `json:"backendRefs"`
}

// Selector is one of a policy's targetSelectors.
type Selector struct {
	Kind string `json:"kind"`
}

// Ref names an object, or a part of one.
type Ref struct {
	Group       string `json:"group"`
	Kind        string `json:"kind"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName"`
	Port        int32  `json:"port"`
	Weight      *int32 `json:"weight"`
}

// text writes a reference as kind/name or, from another namespace,
// kind/namespace/name, with #section and :port.
func (r Ref) text(kind, from string) string {
	if r.Kind != "" {
		kind = r.Kind
	}
	var b strings.Builder
	b.WriteString(strings.ToLower(kind))
	b.WriteByte('/')
	if r.Namespace != "" && r.Namespace != from {
		b.WriteString(r.Namespace)
		b.WriteByte('/')
	}
	b.WriteString(r.Name)
	if r.SectionName != "" {
		b.WriteByte('#')
		b.WriteString(r.SectionName)
	}
	if r.Port != 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(int(r.Port)))
	}
	return b.String()
}

// same says whether two references name the same part of the same object, both
// seen from a namespace.
func (r Ref) same(o Ref, kind, namespace string) bool {
	return or(r.Kind, kind) == or(o.Kind, kind) && or(r.Namespace, namespace) == or(o.Namespace, namespace) &&
		r.Name == o.Name && r.SectionName == o.SectionName && r.Port == o.Port
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Status has the fields of all kinds that are shown.
type Status struct {
	Conditions []Condition `json:"conditions"`
	// GatewayClass
	SupportedFeatures []struct {
		Name string `json:"name"`
	} `json:"supportedFeatures"`
	// Gateway, ListenerSet
	Addresses []struct {
		Value string `json:"value"`
	} `json:"addresses"`
	Listeners []ListenerStatus `json:"listeners"`
	// routes
	Parents []Answer `json:"parents"`
	// policies
	Ancestors []Answer `json:"ancestors"`
}

// ListenerStatus is that of one listener.
type ListenerStatus struct {
	Name           string      `json:"name"`
	AttachedRoutes int32       `json:"attachedRoutes"`
	Conditions     []Condition `json:"conditions"`
}

// Answer is what a controller says of an object as far as one parent or ancestor
// is concerned.
type Answer struct {
	ParentRef      *Ref        `json:"parentRef"`
	AncestorRef    *Ref        `json:"ancestorRef"`
	ControllerName string      `json:"controllerName"`
	Conditions     []Condition `json:"conditions"`
}

func (a Answer) ref() Ref {
	switch {
	case a.ParentRef != nil:
		return *a.ParentRef
	case a.AncestorRef != nil:
		return *a.AncestorRef
	default:
		return Ref{}
	}
}

// Condition is one of a status.
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"`
	Reason             string    `json:"reason"`
	Message            string    `json:"message"`
	ObservedGeneration int64     `json:"observedGeneration"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

func find(list []Condition, of string) *Condition {
	for i := range list {
		if list[i].Type == of {
			return &list[i]
		}
	}
	return nil
}

// Decode reads an object from JSON. A field that has another type in a kind that
// is not known here is left out.
func Decode(b []byte, raw bool) (*Object, error) {
	o := &Object{}
	var other *json.UnmarshalTypeError
	if err := json.Unmarshal(b, o); err != nil && !errors.As(err, &other) {
		return nil, fmt.Errorf("read object: %w", err)
	}
	if raw {
		var s struct {
			Status json.RawMessage `json:"status"`
		}
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, fmt.Errorf("read the status of %s/%s: %w", o.Kind, o.Metadata.Name, err)
		}
		o.Raw = s.Status
	}
	return o, nil
}
