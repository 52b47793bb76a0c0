package configdump

import (
	"bytes"
	"fmt"
	"runtime"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/translate/xds"
)

// virtualHosts is the field of a RouteConfiguration by that name.
const virtualHosts protowire.Number = 2

// encodeTable is the JSON of a route table. A table may have thousands of
// virtual hosts: they are decoded, redacted and encoded by themselves, on all
// processors.
func encodeTable(r *xds.Resource) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("encode %s %q: %w", r.Type, r.Name, err)
	}
	var rest []byte
	var hosts [][]byte
	for b := r.Body; len(b) > 0; {
		number, kind, n := protowire.ConsumeField(b)
		if n < 0 {
			return fail(protowire.ParseError(n))
		}
		if number == virtualHosts && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b)
			host, size := protowire.ConsumeBytes(b[tag:])
			if size < 0 {
				return fail(protowire.ParseError(size))
			}
			hosts = append(hosts, host)
		} else {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	shell := &route.RouteConfiguration{}
	if err := proto.Unmarshal(rest, shell); err != nil {
		return fail(err)
	}
	name := shell.Name
	shell.Name = ""
	head, err := plainJSON(&route.RouteConfiguration{Name: name})
	if err != nil {
		return fail(err)
	}
	tail, err := plainJSON(shell)
	if err != nil {
		return fail(err)
	}
	encoded, err := each(hosts, func(b []byte) ([]byte, error) {
		vh := &route.VirtualHost{}
		if err := proto.Unmarshal(b, vh); err != nil {
			return nil, err
		}
		return plainJSON(vh)
	})
	if err != nil {
		return fail(err)
	}
	var list []byte
	if len(hosts) > 0 {
		list = fmt.Appendf(nil, `"virtual_hosts":[%s]`, bytes.Join(encoded, []byte{','}))
	}
	parts := [][]byte{fieldsOf(head), list, fieldsOf(tail)}
	body := []byte{'{'}
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(body, p...)
	}
	return append(body, '}'), nil
}

// plainJSON encodes a message of the caller's own, redacted.
func plainJSON(m proto.Message) ([]byte, error) {
	if _, err := redact(m); err != nil {
		return nil, err
	}
	return marshal.Marshal(m)
}

// fieldsOf is what stands between the brackets of a JSON object.
func fieldsOf(object []byte) []byte { return bytes.TrimSpace(object[1 : len(object)-1]) }

// each applies f to every element, on all processors, and keeps the order.
func each[A, B any](list []A, f func(A) (B, error)) ([]B, error) {
	out := make([]B, len(list))
	const chunk = 64
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < len(list); start += chunk {
		g.Go(func() (err error) {
			for i := start; i < min(start+chunk, len(list)); i++ {
				if out[i], err = f(list[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return out, g.Wait()
}
