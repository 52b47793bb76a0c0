package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/inspect/configdump"
)

type explainOptions struct {
	Streams
	Codes  []string
	Output string
}

func newExplain(s Streams) *cobra.Command {
	o := &explainOptions{Streams: s}
	cmd := &cobra.Command{
		Use:   "explain [CODE...]",
		Short: "Explain the code of a finding",
		Long:  "Explain what a finding means: what egctl saw, what follows for traffic, and what\nto do. Without a code, list all of them.",
		Example: `  # Explain one code
  egctl explain EG1004

  # List all codes
  egctl explain

  # ... as JSON, with their explanations
  egctl explain -o json`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var list []string
			for _, d := range finding.Docs() {
				list = append(list, cobra.CompletionWithDesc(string(d.Code), d.Title))
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: runs(o),
	}
	choiceFlag(cmd, &o.Output, "output", "o", "text", textFormats(), "output format")
	return cmd
}

func textFormats() []string { return append([]string{"text"}, structured()...) }

func (o *explainOptions) Complete(_ *cobra.Command, args []string) error {
	o.Codes = args
	return nil
}

func (o *explainOptions) Validate() error { return choice("output", o.Output, textFormats()) }

func (o *explainOptions) Run(context.Context) error {
	docs := finding.Docs()
	if len(o.Codes) > 0 {
		docs = nil
		for _, c := range o.Codes {
			d, ok := finding.Lookup(finding.Code(strings.ToUpper(c)))
			if !ok {
				return fmt.Errorf("there is no code %q; explain without a code lists all", c)
			}
			docs = append(docs, d)
		}
	}
	switch {
	case o.Output != "text" && len(o.Codes) == 1:
		return printObject(o.Out, o.Output, docs[0])
	case o.Output != "text":
		return printObject(o.Out, o.Output, docs)
	case len(o.Codes) == 0:
		rows := make([][]string, len(docs))
		for i, d := range docs {
			rows[i] = []string{string(d.Code), d.Severity.String(), d.Title}
		}
		return configdump.WriteTable(o.Out, []string{"CODE", "SEVERITY", "TITLE"}, rows)
	}
	for i, d := range docs {
		if i > 0 {
			fmt.Fprintln(o.Out)
		}
		fmt.Fprintf(o.Out, "%s (%s): %s\n\n%s\n", d.Code, d.Severity, d.Title, wrap(d.Explanation, 80))
	}
	return nil
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) string {
	var b strings.Builder
	n := 0
	for _, word := range strings.Fields(text) {
		l := len([]rune(word))
		switch {
		case n == 0:
		case n+1+l > width:
			b.WriteByte('\n')
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += l
	}
	return b.String()
}
