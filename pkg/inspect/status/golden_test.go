package status

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// noon is the time at which the golden files are looked at.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world reads the objects of a golden file as a cluster would list them.
func world(t *testing.T, manifests []byte) (*World, map[string]Endpoints, Stuck) {
	t.Helper()
	w := &World{}
	for _, r := range Known() {
		r.Version = "v1"
		if r.Group == ExtensionGroup {
			r.Version = "v1alpha1"
		}
		w.Resources = append(w.Resources, r)
	}
	w.Objects = make([][]*Object, len(w.Resources))
	counter := endpointCounter{seen: map[string]bool{}, count: map[string]Endpoints{}}
	var pods []core.Pod
	var deployments []apps.Deployment
	for _, doc := range strings.Split(string(manifests), "\n---\n") {
		js, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Decode(js, true)
		if err != nil {
			t.Fatal(err)
		}
		placed := o.Kind == "EndpointSlice" || o.Kind == "Service"
		switch o.Kind {
		case "Pod":
			placed, err = true, appendTo(&pods)(js)
		case "Deployment":
			placed, err = true, appendTo(&deployments)(js)
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.Kind == "Service" && counter.count[o.id()].Total == 0 {
			counter.count[o.id()] = Endpoints{}
		}
		if o.Kind == "EndpointSlice" {
			var s slice
			if err := yaml.Unmarshal([]byte(doc), &s); err != nil {
				t.Fatal(err)
			}
			counter.add(&s)
		}
		for i, r := range w.Resources {
			if r.Kind == o.Kind {
				w.Objects[i] = append(w.Objects[i], o)
				placed = true
			}
		}
		if !placed {
			t.Fatalf("unknown kind in\n%s", doc)
		}
	}
	stuck := Stuck{}
	stuck.diagnose(stuck.diagnose(w.unprogrammed(), pods, nil), nil, deployments)
	return w, counter.count, stuck
}

// TestGolden prints the objects of each testdata/*.txtar in the ways that its other
// files are named after.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, endpoints, stuck := world(t, ar.Files[0].Data)
		changed := false
		for i := range ar.Files[1:] {
			f := &ar.Files[i+1]
			t.Run(filepath.Base(file)+"/"+f.Name, func(t *testing.T) {
				have := render(t, w, endpoints, stuck, f.Name)
				if bytes.Equal(have, f.Data) {
					return
				}
				if *update {
					f.Data, changed = have, true
					return
				}
				t.Errorf("differs; run with -update and read the difference\n--- want\n%s--- have\n%s", f.Data, have)
			})
		}
		if changed {
			if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// render prints a world as its file is named: the form, and options after it.
func render(t *testing.T, w *World, endpoints map[string]Endpoints, stuck Stuck, name string) []byte {
	t.Helper()
	words := strings.Fields(name)
	has := func(option string) bool {
		for _, word := range words[1:] {
			if word == option {
				return true
			}
		}
		return false
	}
	var b bytes.Buffer
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	// Every doubt is true then.
	gone := Gone{}
	if has("gone") {
		for key := range w.doubtful(endpoints) {
			gone[key] = true
		}
	}
	var tables []Table
	for i, r := range w.Resources {
		if len(w.Objects[i]) == 0 {
			continue
		}
		options := TableOptions{AllNamespaces: has("-A"), Wide: has("wide"), Kinds: true, Gone: gone, Stuck: stuck, Now: noon}
		if has("-v") {
			options.Endpoints = endpoints
		}
		tables = append(tables, NewTable(r, w.Objects[i], options))
	}
	switch words[0] {
	case "table":
		for i, table := range tables {
			if has("-q") {
				if table = table.Only(); len(table.Rows) == 0 {
					continue
				}
			}
			if i > 0 && b.Len() > 0 {
				b.WriteByte('\n')
			}
			p := Printer{W: &b, Verbose: has("-v")}
			check(p.Table(table))
		}
	case "tree":
		o := TreeOptions{Endpoints: endpoints, Gone: gone, Stuck: stuck}
		if has("eg") {
			o.Names = []string{"eg"}
		}
		check(WriteTree(&b, NewTree(w, o), TreePrint{Verbose: has("-v"), Quiet: has("-q")}))
	case "x":
		for i, table := range tables {
			if i > 0 {
				b.WriteByte('\n')
			}
			check(WriteLegacy(&b, table.Resource, w.Objects[index(w, table.Resource)],
				LegacyOptions{AllNamespaces: has("-A"), Verbose: has("-v"), Quiet: has("-q"), Kinds: true}))
		}
	case "name":
		check(WriteNames(&b, tables))
	case "yaml":
		check(Write(&b, "yaml", NewDocument(tables[:1])))
	case "waiting":
		for _, goal := range words[1:] {
			g, err := ParseGoal(goal)
			check(err)
			b.WriteString(strings.Join(append(w.missing(g, []string{"eg"}, gone, stuck), ""), "\n"))
		}
	default:
		t.Fatalf("no such form: %s", name)
	}
	return b.Bytes()
}

func index(w *World, r Resource) int {
	for i := range w.Resources {
		if w.Resources[i].Kind == r.Kind {
			return i
		}
	}
	return -1
}
