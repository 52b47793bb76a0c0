// Command charts packages the Helm charts as Helm takes them, for a release, an
// OCI registry or `helm install FILE`. It prints the files' names.
//
//	go run ./hack/charts -version v1.2.3 -o dist
package main

import (
	"flag"
	"fmt"
	"os"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/egctl/egctl/charts"
)

func main() {
	version := flag.String("version", charts.Latest, "version of egctl that the charts are of")
	out := flag.String("o", "dist", "folder to write to")
	flag.Parse()
	if err := run(*version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func run(version, out string) error {
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
	}
	return nil
}
