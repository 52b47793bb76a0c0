package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

// reader goes through a file along the Go types and collects what is wrong.
type reader struct {
	doc      *manifest.Document
	warnings []message
	errs     []message
	// proxy is the field envoyProxy, with the defaults of its schema.
	proxy *v1alpha1.EnvoyProxySpec
}

// message is "file:line: field: what is wrong".
type message struct {
	line int
	text string
}

func (r *reader) message(path, text string) message {
	pos, _ := r.doc.Position(path)
	if path != "" {
		text = path + ": " + text
	}
	return message{pos.Line, fmt.Sprintf("%s:%d: %s", pos.File, pos.Line, text)}
}

func (r *reader) warn(path, text string) {
	r.warnings = append(r.warnings, r.message(path, text))
}

func (r *reader) refuse(path, text, remedy string) {
	if remedy != "" {
		text += "; " + remedy
	}
	r.errs = append(r.errs, r.message(path, text))
}

// inOrder lists messages as their lines stand in the file.
func inOrder(list []message) []string {
	slices.SortStableFunc(list, func(a, b message) int { return cmp.Compare(a.line, b.line) })
	var out []string
	for _, m := range list {
		out = append(out, m.text)
	}
	return out
}

// givenTwice is what the YAML parser says of a key that it has seen before.
var givenTwice = regexp.MustCompile(`line (\d+): key "(.*)" already set in map`)

// duplicates warns of fields that are given twice.
func (r *reader) duplicates(data []byte) {
	_, err := yaml.YAMLToJSONStrict(data)
	if err == nil {
		return
	}
	for _, m := range givenTwice.FindAllStringSubmatch(err.Error(), -1) {
		line, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		r.warnings = append(r.warnings, message{line, fmt.Sprintf("%s:%d: %s: is given twice; the last one counts", r.doc.File, line, m[2])})
	}
}

func (r *reader) identity(value map[string]any) {
	for _, want := range []struct{ field, value string }{
		{"apiVersion", v1alpha1.GroupVersion.String()},
		{"kind", v1alpha1.KindEnvoyGateway},
	} {
		switch v, ok := value[want.field]; {
		case !ok:
			r.refuse("", "there is no "+want.field, "set "+want.field+": "+want.value)
		case v != want.value:
			r.refuse(want.field, fmt.Sprintf("is %s, not a configuration of the controller", show(v)), "set "+want.field+": "+want.value)
		}
	}
}

// injectorField stands at the top of files that Envoy Gateway's chart makes,
// though it belongs below provider.kubernetes.
const injectorField = "proxyTopologyInjector"

func (r *reader) takeInjector(value map[string]any) *v1alpha1.EnvoyGatewayTopologyInjector {
	v, ok := value[injectorField]
	if !ok {
		return nil
	}
	delete(value, injectorField)
	before := len(r.errs)
	injector := &v1alpha1.EnvoyGatewayTopologyInjector{}
	r.value(injectorField, v, reflect.TypeOf(injector), false)
	if len(r.errs) > before {
		return nil
	}
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, injector)
	}
	if err != nil {
		r.refuse(injectorField, err.Error(), "")
	}
	return injector
}

func (r *reader) root(value map[string]any) {
	r.value("", value, reflect.TypeFor[v1alpha1.EnvoyGateway](), false)
}

// value compares a value of the file with the type that it is for. It is mute
// about support below a field that it has said not to be supported.
func (r *reader) value(path string, v any, t reflect.Type, mute bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v == nil {
		return // as if it were not there
	}
	if t == reflect.TypeFor[v1alpha1.EnvoyProxySpec]() {
		r.envoyProxy(path, v)
		return
	}
	if !mute && !supports(path) {
		if !empty(v) {
			r.warn(path, "is not supported yet and has no effect")
		}
		mute = true
	}
	decodesItself := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case t.Kind() == reflect.Struct && !decodesItself:
		if m, ok := v.(map[string]any); ok {
			r.structure(path, m, t, mute)
			return
		}
		r.refuse(path, "is "+describe(v)+" where a mapping is wanted", "")
	case t.Kind() == reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			r.refuse(path, "is "+describe(v)+" where a mapping is wanted", "")
			return
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if known := enums[t.Key()]; known != nil && !slices.Contains(known, k) {
				r.warn(join(path, k), fmt.Sprintf("there is no %q%s", k, hint(k, known)))
				continue
			}
			r.value(join(path, k), m[k], t.Elem(), mute)
		}
	case t.Kind() == reflect.Slice && !decodesItself:
		list, ok := v.([]any)
		if !ok {
			r.refuse(path, "is "+describe(v)+" where a list is wanted", "put a dash before each item")
			return
		}
		for i, item := range list {
			r.value(fmt.Sprintf("%s[%d]", path, i), item, t.Elem(), mute)
		}
	default:
		r.leaf(path, v, t)
	}
}

func (r *reader) structure(path string, m map[string]any, t reflect.Type, mute bool) {
	fields := fieldsOf(t)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f, ok := fields[k]
		if !ok {
			r.warn(join(path, k), fmt.Sprintf("unknown field %q has no effect%s", k, hint(k, slices.Sorted(maps.Keys(fields)))))
			continue
		}
		r.value(join(path, k), m[k], f.typ, mute)
	}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if fields[k].required && m[k] == nil {
			r.refuse(path, "there is no "+k, "set "+join(path, k))
		}
	}
}

func (r *reader) leaf(path string, v any, t reflect.Type) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(t).Interface())
	}
	if err != nil {
		r.refuse(path, "is "+describe(v)+" where "+wanted(t)+" is wanted", "")
		return
	}
	s, isText := v.(string)
	switch known := enums[t]; {
	case known != nil && !slices.Contains(known, s):
		r.refuse(path, fmt.Sprintf("is %q, which is none of %s", s, strings.Join(known, ", ")), meant(s, known))
	case isText && t == reflect.TypeFor[gwapiv1.Duration]():
		if d, err := duration(gwapiv1.Duration(s)); err != nil || d < 0 {
			r.refuse(path, fmt.Sprintf("%q is no duration", s), "write for example 500ms, 30s, 5m or 1h30m")
		}
	}
}

// validator has the rules of EnvoyProxy; compiling them takes longer than all
// else, and a file is read again and again.
var validator = sync.OnceValues(func() (*validate.Validator, error) { return validate.New() })

// envoyProxy goes by the schema of the kind EnvoyProxy, like an API server.
func (r *reader) envoyProxy(path string, spec any) {
	const name = "default"
	text, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       v1alpha1.KindEnvoyProxy,
		"metadata":   map[string]any{"name": name},
		"spec":       spec,
	})
	if err != nil {
		r.refuse(path, err.Error(), "")
		return
	}
	docs := manifest.Parse(r.doc.File, text, name)
	if len(docs) != 1 {
		r.refuse(path, "is no EnvoyProxy", "")
		return
	}
	v, err := validator()
	if err != nil {
		r.refuse(path, err.Error(), "")
		return
	}
	found := append(docs[0].Findings(), v.ValidateAll(docs)...)
	for _, f := range found {
		at := path + strings.TrimPrefix(f.Path, "spec")
		if f.Severity < finding.Error {
			message := f.Message
			if f.Hint != "" {
				message += "; " + f.Hint
			}
			r.warn(at, message)
			continue
		}
		r.refuse(at, f.Message, f.Hint)
	}
	proxy, ok := docs[0].Object.(*v1alpha1.EnvoyProxy)
	switch {
	case ok:
		r.proxy = &proxy.Spec
	case len(r.errs) == 0:
		r.refuse(path, "is no EnvoyProxy", "")
	}
}
