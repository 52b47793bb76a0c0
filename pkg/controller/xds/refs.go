package xds

import (
	"google.golang.org/protobuf/encoding/protowire"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// references looks for strings in an encoded message. A string field, at
// whatever depth and inside whatever Any, is encoded as its length followed by
// its bytes; looking for that finds every reference by name in one pass,
// without knowing the fields that can hold one. It may find a name that is
// only a string like it: the price is a wait that was not needed. It does not
// find a name that is part of a longer string.
type references struct {
	names   map[string]struct{}
	lengths map[int]struct{}
}

func newReferences() *references {
	return &references{names: map[string]struct{}{}, lengths: map[int]struct{}{}}
}

func (r *references) add(name string) {
	r.names[name] = struct{}{}
	r.lengths[len(name)] = struct{}{}
}

// in calls found for each occurrence of a name in body, until it returns false.
func (r *references) in(body []byte, found func(name string) bool) {
	if len(r.names) == 0 {
		return
	}
	// Most lengths are below 128, where a length is one byte: a table answers
	// for nearly every position without a look-up.
	var short [128]bool
	long := false
	for l := range r.lengths {
		if l < len(short) {
			short[l] = true
		} else {
			long = true
		}
	}
	for i, b := range body {
		length, start := int(b), i+1
		if b >= 128 {
			if !long || start >= len(body) || body[start] >= 128 {
				continue
			}
			length, start = int(b&127)|int(body[start])<<7, start+1
			if _, ok := r.lengths[length]; !ok {
				continue
			}
		} else if !short[b] {
			continue
		}
		if length == 0 || start+length > len(body) {
			continue
		}
		name := body[start : start+length]
		if _, ok := r.names[string(name)]; ok && !found(string(name)) {
			return
		}
	}
}

// any says whether body holds one of the names.
func (r *references) any(body []byte) bool {
	hit := false
	r.in(body, func(string) bool {
		hit = true
		return false
	})
	return hit
}

// Field numbers of envoy.config.cluster.v3.Cluster and its EdsClusterConfig.
const (
	clusterTypeField      = 2
	clusterEdsConfigField = 3
	edsServiceNameField   = 2
	clusterDiscoveryEDS   = uint64(clusterv3.Cluster_EDS)
)

// assignmentOf names the load assignment that a cluster waits for, or "" if
// its endpoints do not come by EDS. It reads three fields instead of decoding
// the cluster: a proxy that connects to 5,000 clusters asks this of each.
func assignmentOf(cluster *encoded.Resource) string {
	eds, name := false, cluster.Name
	fields(cluster.Body, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case clusterTypeField:
			eds = v == clusterDiscoveryEDS
		case clusterEdsConfigField:
			fields(b, func(n protowire.Number, _ uint64, b []byte) {
				if n == edsServiceNameField && len(b) > 0 {
					name = string(b)
				}
			})
		}
	})
	if !eds {
		return ""
	}
	return name
}

// fields visits the top-level varint and length-delimited fields of a message
// and stops at the first malformed one.
func fields(b []byte, visit func(n protowire.Number, v uint64, bytes []byte)) {
	for len(b) > 0 {
		n, t, l := protowire.ConsumeTag(b)
		if l < 0 {
			return
		}
		b = b[l:]
		switch t {
		case protowire.VarintType:
			var v uint64
			if v, l = protowire.ConsumeVarint(b); l >= 0 {
				visit(n, v, nil)
			}
		case protowire.BytesType:
			var v []byte
			if v, l = protowire.ConsumeBytes(b); l >= 0 {
				visit(n, 0, v)
			}
		default:
			l = protowire.ConsumeFieldValue(n, t, b)
		}
		if l < 0 {
			return
		}
		b = b[l:]
	}
}
