package translate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden translates the input of each testdata/*.txtar and compares what
// Envoy gets, the statuses and the findings with the rest of the file.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, file)
		})
	}
}

func golden(t *testing.T, file string) {
	t.Helper()
	ar, changes := translateGolden(t, file)
	got := render(t, changes)
	if family := filepath.Base(filepath.Dir(file)); family == "fleet" || family == "merged" || family == "parameters" {
		got = append(got, renderFleets(t, changes))
	}
	input := inputOf(ar)
	out := &txtar.Archive{Comment: ar.Comment, Files: append([]txtar.File{{Name: "input.yaml", Data: input}}, got...)}
	want, have := txtar.Format(ar), txtar.Format(out)
	if bytes.Equal(want, have) {
		return
	}
	if *update {
		if err := os.WriteFile(file, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s differs; run go test ./pkg/translate -run TestGolden -update and read the difference.\n%s", file, firstDifference(want, have))
}

// translateGolden reads a golden file and translates its input.
func translateGolden(t *testing.T, file string) (*txtar.Archive, translate.Changes) {
	t.Helper()
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr := translate.New(settings())
	var changes []store.Change
	for _, o := range decode(t, inputOf(ar)) {
		changes = append(changes, store.Put(o))
	}
	tr.Store.Apply(changes...)
	return ar, tr.Update()
}

func inputOf(ar *txtar.Archive) []byte {
	for _, f := range ar.Files {
		if f.Name == "input.yaml" {
			return f.Data
		}
	}
	return nil
}

func settings() translate.Settings {
	s := translate.DefaultSettings()
	s.AssumeProgrammed = true
	return s
}

// firstDifference shows a few lines around the first line that differs.
func firstDifference(want, have []byte) string {
	w, h := strings.Split(string(want), "\n"), strings.Split(string(have), "\n")
	i := 0
	for i < len(w) && i < len(h) && w[i] == h[i] {
		i++
	}
	context := func(l []string) string { return strings.Join(l[max(0, i-5):min(len(l), i+10)], "\n") }
	return fmt.Sprintf("line %d\n--- want\n%s\n--- have\n%s", i+1, context(w), context(h))
}

// render writes the result in the order in which one reads it.
func render(t *testing.T, ch translate.Changes) []txtar.File {
	t.Helper()
	gateways := sortedKeys(ch.Snapshots)
	var x bytes.Buffer
	for _, gw := range gateways {
		s := ch.Snapshots[gw]
		for _, typ := range []xds.Type{xds.ListenerType, xds.RouteType, xds.ClusterType, xds.SecretType} {
			for _, r := range s.Of(typ) {
				writeResource(t, &x, gw, r)
			}
		}
	}
	names := make([]string, 0, len(ch.Endpoints))
	for n := range ch.Endpoints {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		writeResource(t, &x, store.Key{}, ch.Endpoints[n])
	}
	var st, fs bytes.Buffer
	for _, k := range sortedKeys(ch.Reports) {
		r := ch.Reports[k]
		if r.Status != nil {
			if class, ok := r.Status.(*gateway.GatewayClassStatus); ok {
				if class.Conditions[0].Message == "The class is served by this controller." {
					continue // the same almost everywhere
				}
				// The features have a test of their own.
				r.Status = &gateway.GatewayClassStatus{Conditions: class.Conditions}
			}
			fmt.Fprintf(&st, "# %s\n%s", k, toYAML(t, r.Status))
		}
		for _, f := range r.Findings {
			fmt.Fprintln(&fs, f)
		}
	}
	return []txtar.File{{Name: "xds.yaml", Data: x.Bytes()}, {Name: "status.yaml", Data: st.Bytes()}, {Name: "findings.txt", Data: fs.Bytes()}}
}

// renderFleets writes what is to run.
func renderFleets(t *testing.T, ch translate.Changes) txtar.File {
	t.Helper()
	var b bytes.Buffer
	for _, k := range sortedKeys(ch.Fleets) {
		f := ch.Fleets[k]
		gateways := []string{}
		for _, gw := range f.Gateways {
			gateways = append(gateways, translate.FleetName(gw))
		}
		fmt.Fprintf(&b, "# %s\n%s", translate.FleetName(k), toYAML(t, map[string]any{
			"gateways": gateways, "class": f.Class, "ports": f.Ports, "labels": f.Labels, "annotations": f.Annotations,
			"addresses": f.Addresses, "parameters": f.Parameters, "frozen": f.Frozen,
		}))
	}
	return txtar.File{Name: "fleet.yaml", Data: b.Bytes()}
}

func writeResource(t *testing.T, b *bytes.Buffer, gw store.Key, r *xds.Resource) {
	t.Helper()
	short := string(r.Type[strings.LastIndexByte(string(r.Type), '.')+1:])
	fmt.Fprintf(b, "# %s %s", short, r.Name)
	if gw != (store.Key{}) {
		fmt.Fprintf(b, " of %s", translate.FleetName(gw))
	}
	b.WriteByte('\n')
	m, err := (&anypb.Any{TypeUrl: string(r.Type), Value: r.Body}).UnmarshalNew()
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	if r.Type == xds.SecretType {
		b.WriteString("redacted: true\n")
		return
	}
	js, err := protojson.Marshal(m)
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	var v any
	if err := json.Unmarshal(js, &v); err != nil {
		t.Fatal(err)
	}
	b.WriteString(toYAML(t, v))
}

func toYAML(t *testing.T, v any) string {
	t.Helper()
	b, err := yaml.Marshal(withoutTimes(t, v))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// withoutTimes drops the times of conditions, which the translator leaves zero.
func withoutTimes(t *testing.T, v any) any {
	t.Helper()
	js, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(bytes.ReplaceAll(js, []byte(`"lastTransitionTime":null,`), nil), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func sortedKeys[V any](m map[store.Key]V) []store.Key {
	keys := make([]store.Key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, store.Key.Compare)
	return keys
}

func decode(t *testing.T, data []byte) []store.Object {
	t.Helper()
	var out []store.Object
	for _, doc := range bytes.Split(withPKI(t, data), []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatal(err)
		}
		if head.Kind == "" {
			continue
		}
		group, _, ok := strings.Cut(head.APIVersion, "/")
		if !ok {
			group = ""
		}
		info, ok := store.Info(store.Kind{Group: group, Kind: head.Kind})
		if !ok {
			t.Fatalf("kind %s.%s", head.Kind, group)
		}
		o := info.New()
		if err := yaml.UnmarshalStrict(doc, o); err != nil {
			t.Fatal(err)
		}
		if info.Namespaced && o.GetNamespace() == "" {
			o.SetNamespace("default")
		}
		out = append(out, o)
	}
	return out
}
