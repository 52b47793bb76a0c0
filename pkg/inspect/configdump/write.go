package configdump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/translate/xds"
)

// Format is how a dump is written.
type Format string

// The formats of [Write].
const (
	JSON Format = "json"
	YAML Format = "yaml"
)

const typePrefix = "type.googleapis.com/"

// Write writes one dump as Envoy's ConfigDump: {"configs": […]}. Several, or none,
// become {"xds": {"namespace/name": {"configs": […]}, …}}.
func Write(out io.Writer, f Format, t Type, dumps ...*Dump) error {
	if len(dumps) == 0 {
		empty := map[Format]string{JSON: "{\n  \"xds\": {}\n}\n", YAML: "xds: {}\n"}
		if _, err := io.WriteString(out, empty[f]); err != nil {
			return fmt.Errorf("write configuration dump: %w", err)
		}
		return nil
	}
	w := bufio.NewWriterSize(out, 1<<16)
	tree := newTree(w, f)
	keyed := len(dumps) > 1
	if keyed {
		tree.open(`"xds"`)
	}
	for _, d := range dumps {
		if keyed {
			name, err := json.Marshal(d.Gateway)
			if err != nil {
				return fmt.Errorf("gateway %q: %w", d.Gateway, err)
			}
			tree.open(string(name))
		}
		tree.openList(`"configs"`)
		for _, encoded := range d.encodeAll(t) {
			part := <-encoded
			if part.err != nil {
				return part.err
			}
			if part.body != nil {
				tree.item(part.body)
			}
		}
		tree.closeList()
		if keyed {
			tree.close()
		}
	}
	if keyed {
		tree.close()
	}
	tree.end()
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write configuration dump: %w", err)
	}
	return nil
}

// marshal has Envoy's own spelling of fields.
var marshal = protojson.MarshalOptions{UseProtoNames: true}

type encodedPart struct {
	body []byte
	err  error
}

// encodeAll encodes the parts at once: a route table is one big message, and the
// other processors have clusters and endpoints to do meanwhile.
func (d *Dump) encodeAll(t Type) []chan encodedPart {
	var list []chan encodedPart
	for _, part := range parts() {
		if t != All && t != part {
			continue
		}
		c := make(chan encodedPart, 1)
		list = append(list, c)
		go func() {
			body, err := d.encode(part)
			c <- encodedPart{body, err}
		}()
	}
	return list
}

// encode returns one part of the dump as JSON, or nil if there is none.
func (d *Dump) encode(t Type) ([]byte, error) {
	if t == Bootstrap {
		if d.Bootstrap == nil {
			return nil, nil
		}
		b := proto.CloneOf(d.Bootstrap)
		if _, err := redact(b); err != nil {
			return nil, fmt.Errorf("redact bootstrap of %s: %w", d.Gateway, err)
		}
		body, err := marshal.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode bootstrap of %s: %w", d.Gateway, err)
		}
		return fmt.Appendf(nil, `{"@type":"%senvoy.admin.v3.BootstrapConfigDump","bootstrap":%s}`, typePrefix, body), nil
	}
	s := sections[t]
	elements, err := each(d.resources(t), s.element)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"@type":"%senvoy.admin.v3.%s"`, typePrefix, s.message)
	if len(elements) > 0 {
		fmt.Fprintf(&b, `,"%s":[`, s.list)
		for i, e := range elements {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(e)
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// element encodes one resource as its section presents it. The few fields
// around it are written by hand: packing it for protojson means to decode it a
// second time.
func (s section) element(r *xds.Resource) ([]byte, error) {
	body, err := encodeResource(r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(body)+256)
	b = append(b, '{')
	if s.named {
		name, err := json.Marshal(r.Name)
		if err != nil {
			return nil, fmt.Errorf("encode name of %s %q: %w", r.Type, r.Name, err)
		}
		b = fmt.Appendf(b, `"name":%s,`, name)
	}
	if s.state != "" {
		b = fmt.Appendf(b, `"%s":{`, s.state)
	}
	b = fmt.Appendf(b, `"version_info":"%s","%s":{"@type":"%s"`, r.Version(), s.resource, r.Type)
	if fields := fieldsOf(body); len(fields) > 0 {
		b = append(b, ',')
		b = append(b, fields...)
	}
	b = append(b, '}')
	if s.state != "" {
		b = append(b, '}')
	}
	return append(b, '}'), nil
}

// encodeResource is the JSON of a resource without its type.
func encodeResource(r *xds.Resource) ([]byte, error) {
	if r.Type == xds.RouteType {
		return encodeTable(r)
	}
	m, _, err := message(r)
	if err != nil {
		return nil, err
	}
	body, err := marshal.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s %q: %w", r.Type, r.Name, err)
	}
	return body, nil
}

// tree writes the few levels above the parts, and the parts in their place.
// Errors are kept by the writer until it is flushed.
type tree struct {
	w      *bufio.Writer
	yaml   bool
	depth  int
	filled []bool // by depth: something was written there
}

func newTree(w *bufio.Writer, f Format) *tree {
	t := &tree{w: w, yaml: f == YAML, filled: []bool{false}}
	if !t.yaml {
		w.WriteByte('{')
		t.depth, t.filled = 1, []bool{true, false}
	}
	return t
}

func (t *tree) indent() { t.w.WriteString(strings.Repeat("  ", t.depth)) }

// next begins a new line for an entry of the innermost level.
func (t *tree) next() {
	if !t.yaml {
		if t.filled[len(t.filled)-1] {
			t.w.WriteByte(',')
		}
		t.w.WriteByte('\n')
	}
	t.filled[len(t.filled)-1] = true
	t.indent()
}

// open begins an object under a key, which is JSON text.
func (t *tree) open(key string) { t.enter(key, '{', 1) }

// openList begins a list. In YAML its items stand below the key.
func (t *tree) openList(key string) {
	if t.yaml {
		t.enter(key, '[', 0)
	} else {
		t.enter(key, '[', 1)
	}
}

func (t *tree) enter(key string, bracket byte, step int) {
	t.next()
	if t.yaml {
		writeScalar(t.w, []byte(key))
		t.w.WriteString(":\n")
	} else {
		t.w.WriteString(key + ": ")
		t.w.WriteByte(bracket)
	}
	t.depth += step
	t.filled = append(t.filled, false)
}

func (t *tree) close()     { t.leave('}', 1) }
func (t *tree) closeList() { t.leave(']', map[bool]int{true: 0, false: 1}[t.yaml]) }

func (t *tree) leave(bracket byte, step int) {
	filled := t.filled[len(t.filled)-1]
	t.filled = t.filled[:len(t.filled)-1]
	t.depth -= step
	if t.yaml {
		return
	}
	if filled {
		t.w.WriteByte('\n')
		t.indent()
	}
	t.w.WriteByte(bracket)
}

// item writes an element of a list, which is JSON text of any spacing.
func (t *tree) item(body []byte) {
	t.next()
	if t.yaml {
		t.w.WriteString("- ")
		(&yamlWriter{w: t.w, src: body}).value(t.depth+1, true)
		return
	}
	writeIndented(t.w, body, t.depth)
}

func (t *tree) end() {
	if !t.yaml {
		t.w.WriteString("\n}\n")
	}
}
