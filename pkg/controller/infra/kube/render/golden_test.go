package render_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

var update = flag.Bool("update", false, "write the golden files")

// input is a fleet in a golden file.
type input struct {
	// Gateway is "namespace/name"; Class is that of merged Gateways.
	Gateway, Class       string
	GatewayNamespaceMode bool
	// Ports are such as "http-80" or "udp-53".
	Ports               []string
	Labels, Annotations map[string]string
	Addresses           []string
	// ClusterAddresses are the Gateway's only ones.
	ClusterAddresses []string
	// Show restricts the output to kinds.
	Show []string
	Spec v1alpha1.EnvoyProxySpec
}

// TestGolden renders the fleet of each testdata/*.txtar and compares the objects
// with the rest of the file.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var in input
			if err := yaml.UnmarshalStrict(ar.Files[0].Data, &in); err != nil {
				t.Fatal(err)
			}
			out := &txtar.Archive{Comment: ar.Comment, Files: []txtar.File{ar.Files[0], rendered(t, in)}}
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
			t.Errorf("%s differs; run go test ./pkg/controller/infra/kube/render -update and read the difference.\n%s", file, firstDifference(want, have))
		})
	}
}

func rendered(t *testing.T, in input) txtar.File {
	t.Helper()
	objects, err := config(in.GatewayNamespaceMode).Objects(in.fleet(t))
	if err != nil {
		return txtar.File{Name: "error.txt", Data: []byte(err.Error() + "\n")}
	}
	var b bytes.Buffer
	for _, o := range objects {
		if len(in.Show) > 0 && !slices.Contains(in.Show, o.GetKind()) {
			continue
		}
		y, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "---\n%s", y)
	}
	return txtar.File{Name: "objects.yaml", Data: b.Bytes()}
}

func config(beside bool) *render.Config {
	return &render.Config{
		Namespace: "envoy-gateway-system", ClusterDomain: "cluster.local", GatewayNamespaceMode: beside,
		ProxyImage: "docker.io/envoyproxy/envoy:distroless-v1.40.0", ShutdownManagerImage: "docker.io/egctl/egctl:v1", Command: []string{"egctl"},
		Bootstrap: func(f *translate.Fleet) (string, error) { return "bootstrap of " + translate.FleetName(f.Key), nil },
		CABundle:  func() []byte { return []byte("certificates") },
	}
}

func (in input) fleet(t *testing.T) *translate.Fleet {
	t.Helper()
	f := &translate.Fleet{
		Class: "eg", ClassUID: "uid-of-class", GatewayUID: "uid-of-gateway",
		Labels: in.Labels, Annotations: in.Annotations, Addresses: in.Addresses, Parameters: &in.Spec,
		ClusterAddresses: in.ClusterAddresses, ClusterIP: len(in.ClusterAddresses) > 0, ClusterIPOnly: len(in.ClusterAddresses) > 0,
	}
	if namespace, name, ok := strings.Cut(in.Gateway, "/"); ok {
		f.Key = store.ID{Kind: store.Gateway, Namespace: namespace, Name: name}.Key()
	} else {
		f.Key, f.Class, f.GatewayUID = store.ID{Kind: store.GatewayClass, Name: in.Class}.Key(), in.Class, types.UID("")
	}
	for _, name := range in.Ports {
		protocol, number, _ := strings.Cut(name, "-")
		port, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		f.Ports = append(f.Ports, translate.FleetPort{Name: name, Port: int32(port), ContainerPort: translate.DefaultSettings().BoundPort(int32(port)), UDP: protocol == "udp"})
	}
	return f
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
