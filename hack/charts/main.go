// Command charts packages the Helm charts as Helm takes them, for a release or
// `helm install FILE`, and can push them to an OCI registry. It prints what it
// made.
//
//	go run ./hack/charts -version v1.2.3 -o dist -push oci://docker.io/egctl
//
// In a registry a version has two tags. Helm looks for the newest version among
// tags like 1.2.3 only, and takes `--version v1.2.3` for the name of a tag.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/registry"

	"github.com/egctl/egctl/charts"
)

func main() {
	version := flag.String("version", charts.Latest, "version of egctl that the charts are of")
	out := flag.String("o", "dist", "folder to write to")
	push := flag.String("push", "", "push the charts below this address, oci://…")
	plain := flag.Bool("plain-http", false, "speak HTTP with the registry")
	flag.Parse()
	if err := run(*version, *out, *push, *plain); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func run(version, out, push string, plain bool) error {
	if push != "" && !registry.IsOCI(push) {
		return fmt.Errorf("-push %s: say oci://…", push)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, load := range []func(string) (*chart.Chart, error){charts.LoadGateway, charts.LoadCRDs} {
		c, err := load(version)
		if err != nil {
			return err
		}
		path, err := chartutil.Save(c, out)
		if err != nil {
			return fmt.Errorf("package %s: %w", c.Name(), err)
		}
		fmt.Println(path)
		if push == "" {
			continue
		}
		ref := strings.TrimPrefix(push, registry.OCIScheme+"://") + "/" + c.Name()
		if err := upload(path, ref, c.Metadata.Version, plain); err != nil {
			return fmt.Errorf("push %s: %w", c.Name(), err)
		}
	}
	return nil
}

func upload(path, ref, version string, plain bool) error {
	archive, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	options := []registry.ClientOption{registry.ClientOptWriter(io.Discard)}
	if plain {
		options = append(options, registry.ClientOptPlainHTTP())
	}
	client, err := registry.NewClient(options...)
	if err != nil {
		return err
	}
	for _, tag := range []string{version, strings.TrimPrefix(version, "v")} {
		// Strict mode wants the tag to be the version to the letter.
		result, err := client.Push(archive, ref+":"+strings.ReplaceAll(tag, "+", "_"), registry.PushOptStrictMode(false))
		if err != nil {
			return err
		}
		fmt.Println(result.Ref, result.Manifest.Digest)
	}
	return nil
}
