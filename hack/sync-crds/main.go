// Command sync-crds copies the CustomResourceDefinitions of the Gateway API
// module in go.mod into pkg/crds, makes those of egctl's own kinds from their Go
// types, and derives from both what egctl reads at run time. Run it by
// `go generate ./pkg/crds` after the module's version or a type changed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/egctl/egctl/internal/crdgen"
	"github.com/egctl/egctl/pkg/crds"
)

func main() {
	out := flag.String("o", "pkg/crds", "folder of package crds")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "sync-crds:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		return fmt.Errorf("find module sigs.k8s.io/gateway-api: %w", err)
	}
	module := strings.TrimSpace(string(dir))
	licence, err := os.ReadFile(filepath.Join(module, "LICENSE"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "LICENSE"), licence, 0o644); err != nil {
		return err
	}
	defaults := map[string][]crds.Default{}
	for _, c := range []crds.Channel{crds.Standard, crds.Experimental} {
		if err := channel(filepath.Join(module, "config", "crd", string(c)), filepath.Join(out, string(c)), defaults); err != nil {
			return fmt.Errorf("channel %s: %w", c, err)
		}
	}
	texts, err := crdgen.Extensions("github.com/egctl/egctl/api/...")
	if err != nil {
		return err
	}
	if err := store(texts, filepath.Join(out, crds.ExtensionDir), defaults); err != nil {
		return err
	}
	b, err := crdgen.EncodeDefaults(defaults)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "defaults.json"), b, 0o644)
}

func channel(from, to string, defaults map[string][]crds.Default) error {
	paths, err := filepath.Glob(filepath.Join(from, "*_*.yaml"))
	if err != nil {
		return err
	}
	texts := map[string][]byte{}
	for _, p := range paths {
		if texts[filepath.Base(p)], err = os.ReadFile(p); err != nil {
			return err
		}
	}
	return store(texts, to, defaults)
}

// store replaces what is in a folder by definitions and what is derived from
// them, and collects their defaults.
func store(texts map[string][]byte, to string, defaults map[string][]crds.Default) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for file, text := range texts {
		if err := write(filepath.Join(to, file+".gz"), text); err != nil {
			return err
		}
		d, err := crdgen.Derive(text)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if d == nil {
			continue
		}
		schema, err := json.Marshal(d.Definition)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(to, crds.SchemaFile(d.Group, d.Kind)), schema); err != nil {
			return err
		}
		for v, ds := range d.Defaults {
			// The experimental channel comes after the standard one and replaces it.
			defaults[crds.DefaultsKey(d.Group, v, d.Kind)] = ds
		}
	}
	return nil
}

func write(path string, b []byte) error {
	z, err := crdgen.Compress(b)
	if err != nil {
		return err
	}
	return os.WriteFile(path, z, 0o644)
}
