package manifest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
)

// Parse reads the documents of one file, in parallel. Objects of namespaced
// kinds that name no namespace get defaultNamespace.
func Parse(file string, data []byte, defaultNamespace string) []*Document {
	return parseAll([]input{{file, data}}, defaultNamespace, nil)
}

// Reparse is Parse for a file that was read before: documents whose text is as it
// was keep their object, so that an edit of a big file costs what it edits.
func Reparse(file string, data []byte, defaultNamespace string, before []*Document) []*Document {
	return parseAll([]input{{file, data}}, defaultNamespace, newMemory(before))
}

// memory holds documents by a hash of their text.
type memory map[uint64]*Document

// newMemory remembers the documents that are one object each: what the items of a
// List have in common with others is not told by their text.
func newMemory(documents []*Document) memory {
	m := make(memory, len(documents))
	for _, d := range documents {
		if d.Object != nil && len(d.items) == 0 {
			m[xxhash.Sum64(d.Raw)] = d
		}
	}
	return m
}

// recall returns the document of a chunk if its text is known.
func (m memory) recall(file string, c chunk) *Document {
	if len(m) == 0 {
		return nil
	}
	old := m[xxhash.Sum64(c.raw)]
	if old == nil || old.File != file || !bytes.Equal(old.Raw, c.raw) {
		return nil
	}
	d := *old
	d.Line, d.Raw, d.src = c.first, c.raw, &source{chunk: c}
	return &d
}

type input struct {
	file string
	data []byte
}

func parseAll(inputs []input, namespace string, known memory) []*Document {
	type job struct {
		file string
		chunk
	}
	var jobs []job
	for _, in := range inputs {
		for _, c := range split(in.data) {
			jobs = append(jobs, job{in.file, c})
		}
	}
	types := &typeCache{}
	p := parser{namespace: namespace, types: types, defaults: &defaulters{types: types}}
	results := make([][]*Document, len(jobs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				if d := known.recall(jobs[i].file, jobs[i].chunk); d != nil {
					results[i] = []*Document{d}
				} else {
					results[i] = p.parse(jobs[i].file, jobs[i].chunk)
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(results...)
}

type parser struct {
	namespace string
	types     *typeCache
	defaults  *defaulters
}

func (p *parser) parse(file string, c chunk) []*Document {
	src := &source{chunk: c}
	d := &Document{Key: store.ID{}.Key(), File: file, Line: c.first, Raw: c.raw, src: src}
	root, err := src.parse()
	if err != nil {
		d.syntax(err)
		return []*Document{d}
	}
	return p.documents(nil, d, root, 0)
}

// documents appends d, or the items of the List that it is.
func (p *parser) documents(to []*Document, d *Document, n *yaml.Node, depth int) []*Document {
	if n == nil {
		return to
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && scalar(n) == nil {
		return to
	}
	items, isList := listItems(n)
	if !isList || depth > maxListDepth {
		p.document(d, n)
		return append(to, d)
	}
	if d.src.root == nil {
		d.src.root = n
	}
	for i, item := range items {
		c := &Document{Key: store.ID{}.Key(), File: d.File, Line: d.src.line + item.Line - 1, Raw: d.Raw, src: d.src, items: append(slices.Clone(d.items), i)}
		to = p.documents(to, c, item, depth+1)
	}
	return to
}

// maxListDepth is how many Lists within Lists are opened.
const maxListDepth = 5

// listItems returns the items of a List (of v1, or of one kind).
func listItems(n *yaml.Node) (items []*yaml.Node, ok bool) {
	if n.Kind != yaml.MappingNode || !strings.HasSuffix(text(child(n, "kind")), "List") {
		return nil, false
	}
	if items := child(n, "items"); items != nil && items.Kind == yaml.SequenceNode {
		return items.Content, true
	}
	return nil, false
}

func (p *parser) document(d *Document, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.say(CodeIdentity, "", "the document is "+describe(n)+", not an object", "an object is a mapping with apiVersion, kind and metadata")
		return
	}
	d.APIVersion = text(child(n, "apiVersion"))
	kind := text(child(n, "kind"))
	if d.APIVersion == "" || kind == "" {
		missing := "kind"
		if d.APIVersion == "" {
			missing = "apiVersion"
		}
		d.say(CodeIdentity, "", "the document has no "+missing+" that is text", "every object starts with apiVersion and kind")
		return
	}
	group, _, ok := strings.Cut(d.APIVersion, "/")
	if !ok {
		group = ""
	}
	meta := child(n, "metadata")
	id := store.ID{Kind: store.Kind{Group: group, Kind: kind}, Namespace: text(child(meta, "namespace")), Name: text(child(meta, "name"))}
	d.Key = id.Key()
	info, held := store.Info(d.Key.Kind)
	switch {
	case !held:
		p.foreign(d)
		return
	case d.Key.Name == "":
		if name := child(meta, "name"); name != nil && name.Kind == yaml.ScalarNode && scalar(name) != nil && name.Value != "" {
			d.say(CodeIdentity, "metadata.name", "the name must be text, not "+describe(name), fmt.Sprintf("write it in quotes: %q", name.Value))
			return
		}
		d.say(CodeIdentity, "metadata.name", "the "+kind+" has no name", "set metadata.name")
		return
	case !slices.Contains(info.Versions, d.Version()):
		d.say(CodeUnknownVersion, "apiVersion", fmt.Sprintf("%s has no version %q, so the object has no effect", d.Key.Kind, d.Version()), "use "+strings.TrimPrefix(group+"/"+info.Version, "/"))
		return
	case !info.Namespaced && d.Key.Namespace != "":
		d.say(CodeNamespaceIgnored, "metadata.namespace", fmt.Sprintf("a %s has no namespace; %q is ignored", kind, d.Key.Namespace), "remove it")
		id.Namespace = ""
	case info.Namespaced && d.Key.Namespace == "":
		id.Namespace = p.namespace
	}
	d.Key = id.Key()
	// What was said so far was said of the object as it was written.
	for i := range d.findings {
		d.findings[i].Object = d.ID()
	}
	p.decode(d, n, info)
}

func (p *parser) decode(d *Document, n *yaml.Node, info store.KindInfo) {
	dec := decoder{types: p.types, walk: newWalker(len(d.Raw)), object: d.ID(), line: d.src.line - 1}
	o := dec.decode(n, info)
	d.findings = append(d.findings, dec.findings...)
	if o == nil {
		return
	}
	o.GetObjectKind().SetGroupVersionKind(info.New().GetObjectKind().GroupVersionKind())
	o.SetNamespace(d.Key.Namespace)
	defaultCore(o)
	if err := p.defaults.apply(o, info.Kind, d.Version()); err != nil {
		d.say(CodeType, "", "defaults cannot be filled in: "+err.Error(), "")
		return
	}
	d.Object = o
}

// foreign says something about kinds that the store does not hold, if they
// belong to the gateway.
func (p *parser) foreign(d *Document) {
	switch d.Key.Group {
	case gateway.GroupName:
		var known []string
		for _, i := range store.Kinds {
			if i.Group == gateway.GroupName {
				known = append(known, i.Kind.Kind)
			}
		}
		d.say(CodeUnknownKind, "kind", fmt.Sprintf("the Gateway API has no kind %q, so the object has no effect", d.Key.Kind.Kind), DidYouMean(d.Key.Kind.Kind, known))
	case "gateway.networking.x-k8s.io", "gateway.envoyproxy.io":
		d.say(CodeNotSupported, "kind", d.Key.Kind.String()+" is not supported yet; the object has no effect", "")
	}
}

func (d *Document) say(code finding.Code, path, message, hint string) {
	d.findings = append(d.findings, finding.New(code, d.ID(), path, message, hint))
}

func (s *source) parse() (n *yaml.Node, err error) {
	// The parser panics on nothing we know of; foreign input is no place to
	// find out.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	if s.json {
		return jsonNode(s.raw)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(s.raw, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}
