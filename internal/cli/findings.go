package cli

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
)

// failOn is the threshold from which findings decide the exit code.
type failOn struct{ Level string }

func failOnLevels() []string { return []string{"error", "warning", "never"} }

func (f *failOn) flags(cmd *cobra.Command) {
	choiceFlag(cmd, &f.Level, "fail-on", "", "error", failOnLevels(), "exit with code 3 on findings of this severity or above")
}

func (f *failOn) validate() error { return choice("fail-on", f.Level, failOnLevels()) }

// judge returns the error that ends egctl with exit code 3, or nil.
func (f *failOn) judge(found []finding.Finding) error {
	worst := finding.Worst(found)
	if f.Level == "error" && worst >= finding.Error || f.Level == "warning" && worst >= finding.Warning {
		return &exitError{code: exitFindings}
	}
	return nil
}

// byPosition sorts findings as their objects stand in the files; those without
// a position come last. Repetitions are removed.
func byPosition(found []finding.Finding, set *manifest.Set) []finding.Finding {
	found = finding.Sort(found)
	files := map[string]int{}
	for i, d := range set.Documents {
		if _, ok := files[d.File]; !ok {
			files[d.File] = i
		}
	}
	type placed struct {
		finding.Finding
		file, line, column int
	}
	list := make([]placed, len(found))
	for i, f := range found {
		list[i] = placed{Finding: f, file: len(set.Documents)}
		if p, ok := set.Position(f.Object, f.Path); ok {
			list[i].file, list[i].line, list[i].column = files[p.File], p.Line, p.Column
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	for i := range list {
		found[i] = list[i].Finding
	}
	return found
}
