// Package charts carries the Helm charts of egctl, so that installing needs no
// network.
//
// The folders beside this file are what is written by hand. CRDs are not: they
// are put into a chart when it is loaded, from package crds, which has them once
// and compressed. A chart in the form that Helm takes is made by
//
//	go run ./hack/charts -o dist
//
// and the folder gateway-helm alone is refused by Helm, for want of the subchart
// crds, rather than installed without its CRDs.
package charts

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/egctl/egctl/pkg/crds"
)

// all: takes files whose names start with _ or a dot, too.
//
//go:embed all:gateway-helm all:gateway-crds-helm all:crds
var files embed.FS

// Names of the charts.
const (
	Gateway = "gateway-helm"
	CRDs    = "gateway-crds-helm"
)

// Home is where the charts say that they are from. Envoy Gateway's have the same
// names.
const Home = "https://github.com/egctl/egctl"

// Latest is the version of a chart that was not made for a release; its images
// have the tag "latest".
const Latest = "v0.0.0-latest"

const (
	subchart   = "crds"
	policyFile = "gateway.networking.k8s.io_vap_safeupgrades.yaml"
	escape     = "{{"
)

// LoadGateway returns gateway-helm with its CRDs, for a version of egctl. It has
// the images of that version. A version that is not semantic gives [Latest].
//
// The CRDs are a subchart because Helm keeps a chart in every release that it
// records, in a Secret of at most 1 MiB, but not the chart's dependencies.
func LoadGateway(version string) (*chart.Chart, error) {
	parent, err := load(Gateway, version, nil)
	if err != nil {
		return nil, err
	}
	gatewayAPI, err := definitions(crds.Experimental)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", Gateway, err)
	}
	own, err := extensions()
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", Gateway, err)
	}
	var added []*loader.BufferedFile
	for _, all := range []map[string][]byte{gatewayAPI, own} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			added = append(added, &loader.BufferedFile{Name: "crds/" + name, Data: all[name]})
		}
	}
	policy, err := policyTemplates(crds.Experimental, ".Values.gatewayAPI.safeUpgradePolicy.enabled")
	if err != nil {
		return nil, err
	}
	child, err := load(subchart, "", append(added, policy...))
	if err != nil {
		return nil, err
	}
	parent.SetDependencies(child)
	return parent, nil
}

// LoadCRDs returns gateway-crds-helm for a version of egctl. Its definitions are
// templates, in a subchart for the same reason.
func LoadCRDs(version string) (*chart.Chart, error) {
	parent, err := load(CRDs, version, nil)
	if err != nil {
		return nil, err
	}
	var added []*loader.BufferedFile
	for _, channel := range []crds.Channel{crds.Standard, crds.Experimental} {
		all, err := definitions(channel)
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", CRDs, err)
		}
		condition := fmt.Sprintf("and .Values.gatewayAPI.enabled (eq .Values.gatewayAPI.channel %q)", channel)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			added = append(added, template(string(channel)+"/"+name, condition, all[name]))
		}
		policy, err := policyTemplates(channel, condition+" .Values.gatewayAPI.safeUpgradePolicy.enabled")
		if err != nil {
			return nil, err
		}
		added = append(added, policy...)
	}
	own, err := extensions()
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", CRDs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		added = append(added, template("extension/"+name, ".Values.envoyGateway.enabled", own[name]))
	}
	child, err := load(subchart, "", added)
	if err != nil {
		return nil, err
	}
	parent.SetDependencies(child)
	return parent, nil
}

// load reads one of the folders, together with more files.
func load(name, version string, added []*loader.BufferedFile) (*chart.Chart, error) {
	var all []*loader.BufferedFile
	err := fs.WalkDir(files, name, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		all = append(all, &loader.BufferedFile{Name: strings.TrimPrefix(path, name+"/"), Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	c, err := loader.LoadFiles(append(all, added...))
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	if Tag(version) != latestTag {
		c.Metadata.Version, c.Metadata.AppVersion = version, version
	}
	return c, nil
}

const latestTag = "latest"

// Image is that of a version of egctl: the controller's, which is also the
// proxies' shutdown manager and the quickstart's backend.
func Image(version string) string { return "docker.io/egctl/egctl:" + Tag(version) }

// Tag is that of the images of a version of egctl.
func Tag(version string) string {
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err != nil || version == Latest {
		return latestTag
	}
	return version
}

// policyTemplates are those of a channel's admission policy: each channel has its
// own. They leave alone what is in the cluster and not the release's.
func policyTemplates(channel crds.Channel, condition string) ([]*loader.BufferedFile, error) {
	data, err := crds.YAML(channel, policyFile)
	if err != nil {
		return nil, fmt.Errorf("safe upgrade policy: %w", err)
	}
	var out []*loader.BufferedFile
	for _, doc := range bytes.Split(data, []byte("\n---\n")) {
		kind := "ValidatingAdmissionPolicy"
		if bytes.Contains(doc, []byte("kind: "+kind+"Binding\n")) {
			kind += "Binding"
		}
		c := fmt.Sprintf(`and (%s) (eq (include "crds.ours" (dict "root" . "kind" %q)) "true")`, condition, kind)
		out = append(out, template(fmt.Sprintf("%s/safe-upgrades-%s.yaml", channel, strings.ToLower(kind)), c, doc))
	}
	return out, nil
}

// template is a template that renders data as it is, on a condition.
func template(name, condition string, data []byte) *loader.BufferedFile {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{{- if %s }}\n", condition)
	b.WriteString(strings.ReplaceAll(strings.TrimSpace(string(data)), escape, `{{ "{{" }}`))
	b.WriteString("\n{{- end }}\n")
	return &loader.BufferedFile{Name: "templates/" + name, Data: b.Bytes()}
}
