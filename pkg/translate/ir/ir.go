// Package ir is the resolved model between Gateway API and Envoy: references
// followed, defaults applied, conflicts decided, permissions checked. It knows
// neither Kubernetes clients nor Envoy's protobufs. Every element says which
// object and field it came from. Values are immutable.
package ir

import (
	"strconv"
	"strings"
	"time"

	"github.com/egctl/egctl/pkg/store"
)

// Source is where an element of the model comes from.
type Source struct {
	Object store.Key
	// Path is the field, for example "spec.rules[1]".
	Path string
	// Section is the name of the listener or rule, if it has one.
	Section string
}

// Protocol is what is spoken to a backend.
type Protocol string

// The protocols of backends.
const (
	HTTP1 Protocol = "http1"
	HTTP2 Protocol = "http2" // cleartext by prior knowledge (h2c), or by ALPN under TLS
	TCP   Protocol = "tcp"
	// Raw is a byte stream that no policy wraps in TLS: passthrough.
	Raw Protocol = "raw"
	UDP Protocol = "udp"
)

// ClusterKey identifies an upstream cluster: a backend port and the settings
// that make two uses of it need separate connection pools.
type ClusterKey struct {
	// Backend is a Service or ServiceImport, or the route of a combined cluster.
	Backend store.Key
	Port    int32
	// Protocol is empty where the backend itself decides (its appProtocol).
	Protocol Protocol
	// Gateway is set when the Gateway has a client certificate for backends.
	Gateway store.Key
	// Rule is one more than the index of the rule, for a cluster that combines
	// all backends of a rule.
	Rule int
}

// Name is stable and readable: "service/default/web/8080".
func (k ClusterKey) Name() string {
	var b strings.Builder
	b.WriteString(strings.ToLower(k.Backend.Kind.Kind))
	b.WriteByte('/')
	b.WriteString(k.Backend.Namespace)
	b.WriteByte('/')
	b.WriteString(k.Backend.Name)
	b.WriteByte('/')
	if k.Rule > 0 {
		b.WriteString("rule/" + strconv.Itoa(k.Rule-1))
	} else {
		b.WriteString(strconv.Itoa(int(k.Port)))
	}
	if k.Protocol != "" {
		b.WriteString("/" + string(k.Protocol))
	}
	if k.Gateway != (store.Key{}) {
		b.WriteString("/via/" + k.Gateway.Namespace + "/" + k.Gateway.Name)
	}
	return b.String()
}

// Assignment is the load assignment that the cluster reads.
func (k ClusterKey) Assignment() AssignmentKey {
	return AssignmentKey{Backend: k.Backend, Port: k.Port, Rule: k.Rule}
}

// AssignmentKey identifies a load assignment: the endpoints of one port of a
// backend, or of all backends of a rule. Clusters of one backend share it.
type AssignmentKey struct {
	Backend store.Key
	Port    int32
	Rule    int
}

// Name is the EDS resource name.
func (k AssignmentKey) Name() string {
	return ClusterKey{Backend: k.Backend, Port: k.Port, Rule: k.Rule}.Name()
}

// Destination is one weighted target of a rule.
type Destination struct {
	Source
	// Cluster is meaningful when Valid.
	Cluster ClusterKey
	// Valid is false for a reference that cannot be followed: its share of the
	// requests is answered 500.
	Valid  bool
	Weight uint32
	// Mutations apply to requests of this destination only.
	Mutations Mutations
	// Rewrite applies to requests of this destination only.
	Rewrite *Rewrite
	Mirrors []Mirror
	// Redirect answers this destination's share.
	Redirect *Redirect
	CORS     *CORS
	Auth     *ExternalAuth
}

// Special says whether the destination has treatment that Envoy can only give
// to a route, not to one member of a weighted set.
func (d *Destination) Special() bool {
	return d.Rewrite != nil || len(d.Mirrors) > 0 || d.Redirect != nil || d.CORS != nil || d.Auth != nil
}

// Mutations change headers. Names are as the user wrote them.
type Mutations struct {
	Request, Response HeaderMutations
}

// HeaderMutations are applied in the order remove, set, add.
type HeaderMutations struct {
	Set, Add []Header
	Remove   []string
}

// Empty says whether nothing is changed.
func (m HeaderMutations) Empty() bool { return len(m.Set)+len(m.Add)+len(m.Remove) == 0 }

// Header is a name and a value.
type Header struct{ Name, Value string }

// PathModifier replaces a path or the matched prefix of it.
type PathModifier struct {
	Full   *string
	Prefix *string
}

// Rewrite changes the request before it is forwarded.
type Rewrite struct {
	Hostname string
	Path     *PathModifier
}

// Redirect answers with a Location.
type Redirect struct {
	Scheme   string
	Hostname string
	Port     uint32 // 0: derive from scheme and listener, as the specification says
	Path     *PathModifier
	Code     int
}

// Mirror sends a copy of some requests elsewhere. The rate is
// Numerator/Denominator.
type Mirror struct {
	Source
	Cluster                ClusterKey
	Numerator, Denominator uint32
}

// CORS is a cross-origin policy.
type CORS struct {
	Source
	// Origins may hold one "*" in the host, or be "*".
	Origins                   []string
	Methods, Headers, Exposed []string
	Credentials               bool
	MaxAge                    time.Duration
}

// ExternalAuth asks a service whether a request may pass.
type ExternalAuth struct {
	Source
	GRPC            bool
	Cluster         ClusterKey
	Path            string   // HTTP: prefix of the path asked
	RequestHeaders  []string // sent to the service
	ResponseHeaders []string // HTTP: taken over into the request
	MaxBody         uint32   // bytes of the body sent along; 0: none
}

// Retry repeats failed requests.
type Retry struct {
	Codes    []uint32
	Attempts uint32
	Backoff  time.Duration // base interval; 0: Envoy's 25 ms
}

// Session binds a client to an endpoint.
type Session struct {
	Cookie bool
	Name   string
	// Path of the cookie.
	Path string
	// TTL of the cookie; 0 makes a session cookie.
	TTL time.Duration
}

// Rule is one resolved rule of an HTTPRoute or GRPCRoute.
type Rule struct {
	Source
	Index   int
	Matches []Match

	Mutations Mutations
	Rewrite   *Rewrite
	Redirect  *Redirect
	Mirrors   []Mirror
	CORS      *CORS
	Auth      *ExternalAuth

	Destinations []Destination
	// Fault makes the rule answer 500: the object says something that cannot be
	// done. Findings say what.
	Fault bool

	// Timeout of the whole request; nil: Envoy's 15 s; 0: none.
	Timeout *time.Duration
	// TryTimeout of one attempt; nil: none.
	TryTimeout *time.Duration
	Retry      *Retry
	Session    *Session
	GRPC       bool
}

// StringMatch is exact unless Regex.
type StringMatch struct {
	Name, Value string
	Regex       bool
}

// PathKind is a kind of path match.
type PathKind int

// Kinds of path matches, most specific first.
const (
	PathExact PathKind = iota
	PathRegex
	PathPrefix
)

// Match is one alternative of a rule.
type Match struct {
	Index   int // in the rule; -1 when the rule has none and matches all
	Kind    PathKind
	Path    string
	Method  string
	Headers []StringMatch
	Query   []StringMatch
	// AnyService is a gRPC match of a method alone, which comes after those of a
	// service.
	AnyService bool
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
