package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/registry"

	"github.com/egctl/egctl/charts"
)

// Repository is where released charts are.
const Repository = "oci://docker.io/egctl/" + charts.Gateway

// Chart says where a chart comes from.
type Chart struct {
	// Ref is oci://…, or the path of a folder or an archive. Empty: the chart that
	// egctl carries, or that of Version in [Repository].
	Ref string
	// Version is that of the chart; empty: the highest that is no pre-release.
	Version string
	// Program is the version of this egctl, which its own chart is of.
	Program string
	// PlainHTTP speaks HTTP with the registry.
	PlainHTTP bool
	// Username and Password are for the registry; without them it is
	// RegistryConfig, a file in Docker's format, empty: Helm's and Docker's own.
	Username, Password, RegistryConfig string
}

// Own says whether the chart is the one that egctl carries.
func (c Chart) Own() bool {
	return c.Ref == "" && (c.Version == "" || c.Version == c.Program)
}

// load returns the chart, newly made: Helm changes the charts it is given.
func (c *Chart) load(ctx context.Context) (*chart.Chart, error) {
	switch {
	case c.Own():
		return charts.LoadGateway(c.Program)
	case c.Ref == "":
		c.Ref = Repository
	}
	if !registry.IsOCI(c.Ref) {
		if strings.Contains(c.Ref, "://") {
			return nil, fmt.Errorf("chart %s: say oci://…, or a folder or an archive", c.Ref)
		}
		if _, err := os.Stat(c.Ref); err != nil {
			return nil, fmt.Errorf("chart: %w", err)
		}
		loaded, err := loader.Load(c.Ref)
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", c.Ref, err)
		}
		return loaded, nil
	}
	archive, err := c.pull(ctx)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Ref, err)
	}
	loaded, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Ref, err)
	}
	return loaded, nil
}

// Values are what a chart is configured with, as Helm's flags say it.
type Values struct {
	Files, Set, SetString, SetFile, SetJSON []string
}

// Merge reads and merges them; what is set wins over files, later over earlier.
func (v Values) Merge() (map[string]any, error) {
	o := values.Options{ValueFiles: v.Files, Values: v.Set, StringValues: v.SetString, FileValues: v.SetFile, JSONValues: v.SetJSON}
	out, err := o.MergeValues(nil)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return out, nil
}

// definitions are the CRDs that a chart brings with these values.
func definitions(c *chart.Chart, vals map[string]any) ([]byte, error) {
	if err := chartutil.ProcessDependenciesWithMerge(c, vals); err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Name(), err)
	}
	var b bytes.Buffer
	for _, f := range c.CRDObjects() {
		b.WriteString("\n---\n")
		b.Write(f.File.Data)
	}
	return b.Bytes(), nil
}
