package output

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
)

// The parts of SARIF 2.1.0 (OASIS, section 3) that a list of findings needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string       `json:"id"`
		ShortDescription     sarifText    `json:"shortDescription"`
		FullDescription      sarifText    `json:"fullDescription"`
		DefaultConfiguration sarifSetting `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifSetting struct {
		Level string `json:"level"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		Name               string `json:"name"`
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// SARIF writes the findings as one run of egctl in SARIF 2.1.0, with every code
// that egctl knows as a rule, so that viewers can explain those they show.
func SARIF(w io.Writer, findings []finding.Finding, where Positioner, version string) error {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "egctl", Version: version, InformationURI: "https://github.com/egctl/egctl", Rules: []sarifRule{}}},
		ColumnKind: "unicodeCodePoints",
		Results:    []sarifResult{},
	}
	index := map[finding.Code]int{}
	for _, d := range finding.Docs() {
		index[d.Code] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{string(d.Code), sarifText{d.Title}, sarifText{d.Explanation}, sarifSetting{level(d.Severity)}})
	}
	for _, f := range findings {
		i, ok := index[f.Code]
		if !ok {
			i = -1 // "not known", by the standard
		}
		run.Results = append(run.Results, result(f, i, where))
	}
	return encode(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

func result(f finding.Finding, rule int, where Positioner) sarifResult {
	text := f.Object.String()
	name := f.Object.String()
	if f.Path != "" {
		text += ": " + f.Path
		name += " " + f.Path
	}
	text += ": " + f.Message
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	l := sarifLocation{Logical: []sarifLogical{{Name: f.Object.Name, FullyQualifiedName: name, Kind: "object"}}}
	if p, ok := where.Position(f.Object, f.Path); ok {
		l.Physical = &sarifPhysical{sarifArtifact{uri(p)}, sarifRegion{max(1, p.Line), max(1, p.Column)}}
	}
	return sarifResult{string(f.Code), rule, level(f.Severity), sarifText{text}, []sarifLocation{l}}
}

// uri makes a relative path a relative reference, which code review tools take
// from the root of the repository, and an absolute path a file URL.
func uri(p manifest.Position) string {
	if strings.HasPrefix(p.File, "http://") || strings.HasPrefix(p.File, "https://") {
		return p.File
	}
	u := url.URL{Path: filepath.ToSlash(p.File)}
	if filepath.IsAbs(p.File) {
		u.Scheme = "file"
	}
	return u.String()
}

// level is the severity in the words of the standard.
func level(s finding.Severity) string {
	switch s {
	case finding.Error:
		return "error"
	case finding.Warning:
		return "warning"
	default:
		return "note"
	}
}
