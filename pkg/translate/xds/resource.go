// Package xds turns the resolved model of package ir into Envoy's protobufs
// and encodes them, once, for every proxy that will read them.
package xds

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/egctl/egctl/pkg/finding"
)

// Type is an xDS resource type URL.
type Type string

// The types that egctl serves.
const (
	ListenerType Type = "type.googleapis.com/envoy.config.listener.v3.Listener"
	RouteType    Type = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	ClusterType  Type = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointType Type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	SecretType   Type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// Resource is one encoded xDS resource. It is immutable and shared by every
// proxy and every snapshot that holds it.
type Resource struct {
	Type Type
	Name string
	// Body is the deterministic wire encoding of the message named by Type.
	Body Body
	// Hash is a 64-bit xxHash of Body: the resource's version on the wire.
	Hash uint64
	// Origins are the objects that the resource was made from. A NACK is reported
	// on them.
	Origins []finding.Object
}

// Format prints type, name and version, whatever the verb.
func (r Resource) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%s %s@%s", string(r.Type), r.Name, r.Version())
}

// Body is an encoded message. It does not print: that of a Secret holds a private
// key, and those of others are no reading matter.
type Body []byte

// Format prints the length, whatever the verb.
func (b Body) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "[%d bytes]", len(b)) }

// MarshalText gives the length to JSON and YAML.
func (b Body) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "[%d bytes]", len(b)), nil }

// NewResource wraps an already encoded body.
func NewResource(t Type, name string, body []byte, origins ...finding.Object) *Resource {
	return &Resource{Type: t, Name: name, Body: body, Hash: xxhash.Sum64(body), Origins: distinct(origins)}
}

// distinct drops repetitions and keeps the order.
func distinct(objects []finding.Object) []finding.Object {
	out := objects[:0:0]
	for _, o := range objects {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// Encode marshals m deterministically. The only error is a message that
// protobuf cannot marshal, such as one with invalid UTF-8.
func Encode(t Type, name string, m proto.Message, origins ...finding.Object) (*Resource, error) {
	body, err := marshal.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s %q: %w", t, name, err)
	}
	return NewResource(t, name, body, origins...), nil
}

// Version is the resource version sent to Envoy.
func (r Resource) Version() string { return fmt.Sprintf("%016x", r.Hash) }

// Any returns the resource as it goes on the wire; the bytes are shared.
func (r *Resource) Any() *anypb.Any { return &anypb.Any{TypeUrl: string(r.Type), Value: r.Body} }

// Equal says whether two resources look the same to Envoy and come from the
// same objects.
func Equal(a, b *Resource) bool {
	return a == b || a != nil && b != nil && a.Hash == b.Hash && a.Name == b.Name && a.Type == b.Type && slices.Equal(a.Origins, b.Origins)
}

var marshal = proto.MarshalOptions{Deterministic: true}
