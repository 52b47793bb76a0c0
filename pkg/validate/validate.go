// Package validate says, without a cluster, what an API server with the Gateway
// API installed would say to the creation of an object: the schemas and CEL
// rules of the CustomResourceDefinitions, run by the API server's own code. That it
// says the same is tested against a real one: see test/conformance/README.md.
package validate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
)

// Validator checks documents. It is safe for concurrent use. Nothing is
// compiled until the first document of a kind arrives.
type Validator struct {
	channel crds.Channel
	kinds   sync.Map // kindVersion -> func() (*compiled, error)
}

// Option changes a Validator.
type Option func(*Validator)

// Channel chooses the release channel to validate against; the default is
// [crds.Experimental], which allows everything that the standard one does.
func Channel(c crds.Channel) Option { return func(v *Validator) { v.channel = c } }

// New returns a Validator, or an error when there is no such channel.
func New(options ...Option) (*Validator, error) {
	v := &Validator{channel: crds.Experimental}
	for _, o := range options {
		o(v)
	}
	if _, err := crds.Names(v.channel); err != nil {
		return nil, err
	}
	return v, nil
}

// ValidateAll validates documents in parallel; findings come in the order of
// the documents.
func (v *Validator) ValidateAll(docs []*manifest.Document) []finding.Finding {
	results := make([][]finding.Finding, len(docs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(docs)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(docs); i = int(next.Add(1)) - 1 {
				results[i] = v.Validate(docs[i])
			}
		})
	}
	wg.Wait()
	return slices.Concat(results...)
}

// Validate returns what an API server would object to if the document were
// created. Documents of kinds that are not the Gateway API's, and those that
// cannot be read at all, have no findings here; see [manifest.Document.Findings].
func (v *Validator) Validate(doc *manifest.Document) (found []finding.Finding) {
	// The libraries below were written for objects that an API server has
	// already looked at; a panic in them must not cost the other objects.
	defer func() {
		if r := recover(); r != nil {
			found = append(found, finding.New(CodeInternal, doc.ID(), "", fmt.Sprintf("validation failed: %v", r), "please report this"))
		}
	}()
	k := doc.Key.Kind
	if k.Group == "" || said(doc, manifest.CodeUnknownVersion, "apiVersion") {
		return nil
	}
	c, err := v.compiled(kindVersion{k.Group, k.Kind, doc.Version()})
	switch {
	case err != nil:
		return []finding.Finding{finding.New(CodeInternal, doc.ID(), "", err.Error(), "please report this")}
	case c == nil && gatewayAPI(k.Group) && !said(doc, manifest.CodeUnknownKind, "kind"):
		return []finding.Finding{finding.New(CodeNotServed, doc.ID(), "kind",
			fmt.Sprintf("the %s channel of the Gateway API %s has no kind %q", v.channel, crds.Version, k.Kind), "")}
	case c == nil:
		return nil
	case c.schema == nil:
		return []finding.Finding{finding.New(CodeNotServed, doc.ID(), "apiVersion",
			fmt.Sprintf("Gateway API %s serves no version %q of %s", crds.Version, doc.Version(), k.Kind),
			"use "+k.Group+"/"+c.versions[0])}
	}
	object, err := doc.Value()
	if err != nil {
		return nil // reported when it was read
	}
	r := run{doc: doc, object: object, compiled: c}
	r.prepare(v.channel)
	r.check()
	return r.found
}

// gatewayAPI tells whether all kinds of a group are the Gateway API's.
func gatewayAPI(group string) bool {
	return group == "gateway.networking.k8s.io" || group == "gateway.networking.x-k8s.io"
}

// run is one validation of one object.
type run struct {
	*compiled
	doc    *manifest.Document
	object map[string]any
	found  []finding.Finding
}

// prepare does to the object what an API server does before it validates.
func (r *run) prepare(channel crds.Channel) {
	delete(r.object, "status")
	unknown := pruning.PruneWithOptions(r.object, r.schema, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, p := range unknown {
		switch {
		case said(r.doc, manifest.CodeUnknownField, p):
		case channel == crds.Standard && gatewayAPI(r.doc.Key.Kind.Group):
			r.found = append(r.found, finding.New(CodeChannel, r.doc.ID(), p,
				"the field is not in the standard channel of the Gateway API, whose clusters drop it", "install the experimental channel, or do without the field"))
		default: // of a kind that reading a document knows by name only
			r.found = append(r.found, finding.New(manifest.CodeUnknownField, r.doc.ID(), p, "unknown field has no effect", ""))
		}
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(r.object, r.schema)
	defaulting.Default(r.object, r.schema)
}

func (r *run) check() {
	blocked := r.metadata()
	errs := schemavalidation.ValidateCustomResource(nil, r.object, r.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.schema, r.object)...)
	// They come in the order of a map, and one of them gets the hint.
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return cmp.Compare(a.Field, b.Field) })
	hinted := false
	for _, e := range errs {
		hint := ""
		if blocks(e) {
			blocked = true
			if !hinted {
				hint = "rules across fields are checked once this is right"
			}
		}
		if r.say(CodeSchema, e, hint) && hint != "" {
			hinted = true
		}
	}
	if r.rules == nil || blocked {
		return
	}
	errs, _ = r.rules.Validate(context.Background(), nil, r.schema, r.object, nil, celconfig.RuntimeCELCostBudget)
	for _, e := range errs {
		hint := ""
		_, broken, failed := strings.Cut(e.Detail, " evaluating rule: ")
		if !failed {
			broken = e.Detail
		}
		if rule := r.ruleText[broken]; rule != "" {
			hint = "the rule is: " + rule
		}
		r.say(CodeRule, e, hint)
	}
}

// blocks says whether an API server leaves out the rules after this error:
// they may rely on what is not there.
func blocks(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// read tells whether the fields were looked at when the document was read, and not
// its kind only.
func (r *run) read() bool {
	_, held := store.Info(r.doc.Key.Kind)
	return held
}

// metadata tells whether the rules are left out.
func (r *run) metadata() (blocked bool) {
	if r.doc.Key.Name == "" {
		return false // reported when it was read
	}
	meta, ok, unknown, err := objectmeta.GetObjectMetaWithOptions(r.object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil && !r.read() {
		r.found = append(r.found, finding.New(CodeMetadata, r.doc.ID(), "metadata", err.Error(), ""))
	}
	if !ok || err != nil {
		return false // a wrong type, likewise
	}
	for _, p := range unknown {
		if !said(r.doc, manifest.CodeUnknownField, p) {
			r.found = append(r.found, finding.New(manifest.CodeUnknownField, r.doc.ID(), p, "unknown field has no effect", ""))
		}
	}
	meta.Namespace = r.doc.Key.Namespace
	if r.namespaced && meta.Namespace == "" {
		meta.Namespace = metav1.NamespaceDefault // kubectl fills in one or another
	}
	meta.Generation = 1
	meta.ManagedFields = nil // which an API server writes anew
	for _, e := range metavalidation.ValidateObjectMeta(meta, r.namespaced, metavalidation.NameIsDNSSubdomain, field.NewPath("metadata")) {
		blocked = blocks(e) || blocked
		r.say(CodeMetadata, e, "")
	}
	return blocked
}

// say reports an error unless reading the document has done so before.
func (r *run) say(code finding.Code, e *field.Error, hint string) bool {
	path := e.Field
	if path == "<nil>" {
		path = ""
	}
	path, value := locate(r.object, path)
	if said(r.doc, manifest.CodeType, path) {
		return false
	}
	f := finding.New(code, r.doc.ID(), path, message(e, value), hint)
	if !slices.Contains(r.found, f) {
		r.found = append(r.found, f)
	}
	return true
}

// said tells whether reading the document has already complained about a field.
func said(doc *manifest.Document, code finding.Code, path string) bool {
	return slices.ContainsFunc(doc.Findings(), func(f finding.Finding) bool { return f.Code == code && f.Path == path })
}

// kindVersion is what schemas are kept by.
type kindVersion struct{ group, kind, version string }

func (v *Validator) compiled(k kindVersion) (*compiled, error) {
	once, ok := v.kinds.Load(k)
	if !ok {
		once, _ = v.kinds.LoadOrStore(k, sync.OnceValues(func() (*compiled, error) { return compile(v.channel, k) }))
	}
	return once.(func() (*compiled, error))()
}

// newestFirst orders versions as Kubernetes prefers them: v1, v1beta1, v1alpha3, v1alpha2.
func newestFirst[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		rank := func(v string) string {
			switch {
			case strings.Contains(v, "alpha"):
				return "0" + v
			case strings.Contains(v, "beta"):
				return "1" + v
			}
			return "2" + v
		}
		return strings.Compare(rank(b), rank(a))
	})
}
