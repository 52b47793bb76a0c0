// Package docs writes those pages of docs/ that the code knows best: the
// commands with their flags, and the codes of findings. `make docs` puts them in
// place and a test holds them to it.
package docs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/internal/cli"
	"github.com/egctl/egctl/pkg/finding"

	// What registers codes of findings.
	_ "github.com/egctl/egctl/pkg/manifest"
	_ "github.com/egctl/egctl/pkg/translate"
	_ "github.com/egctl/egctl/pkg/validate"
)

const generated = "<!-- Written by `make docs`; change the code instead. -->\n\n"

// Pages returns the content of the generated files by their names in docs/.
func Pages() map[string][]byte {
	return map[string][]byte{"cli.md": commands(), "findings.md": findings()}
}

func commands() []byte {
	root := cli.Root(cli.Streams{Getenv: func(string) string { return "" }}, "")
	root.InitDefaultCompletionCmd()
	var b bytes.Buffer
	b.WriteString(generated + "# Commands\n\n")
	b.WriteString(root.Long + "\n\n")
	b.WriteString("Each command says the same under `--help`. Data goes to standard output, all that is said about it to standard error.\n")
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			command(&b, c)
		}
	}
	return b.Bytes()
}

func command(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	if !c.HasSubCommands() {
		fmt.Fprintf(b, "```\n%s\n```\n\n", c.UseLine())
	}
	b.WriteString(strings.TrimSpace(c.Long) + "\n")
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", outdent(c.Example))
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		own, connection := cli.SplitFlags(flags)
		fmt.Fprintf(b, "\n```\n%s```\n", own.FlagUsages())
		if connection.HasFlags() {
			fmt.Fprintf(b, "\nConnection flags:\n\n```\n%s```\n", connection.FlagUsages())
		}
	}
	for i, sub := range c.Commands() {
		if i == 0 {
			b.WriteByte('\n')
		}
		if sub.IsAvailableCommand() {
			fmt.Fprintf(b, "- `%s`: %s\n", sub.CommandPath(), sub.Short)
		}
	}
}

// outdent removes the two spaces that cobra's help wants before examples.
func outdent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

// parts are the thousands of codes, in the words of [finding.Code].
var parts = []struct{ prefix, title string }{
	{"EG1", "Reading and schema of the input"},
	{"EG2", "GatewayClass, Gateway, ListenerSet and listeners"},
	{"EG3", "Routes"},
	{"EG4", "Backends and references"},
	{"EG5", "Policies"},
	{"EG6", "What Envoy said"},
	{"EG9", "Faults of egctl itself"},
}

func findings() []byte {
	var b bytes.Buffer
	b.WriteString(generated + "# Findings\n\n")
	b.WriteString("Whatever egctl has to say about an object has a code. The code keeps its meaning for good. " +
		"On the command line the same texts are in `egctl explain CODE`.\n\n" +
		"An **error** means that a part of the object has no effect. A **warning** is legal, works, and probably is not what was meant. " +
		"An **info** is worth knowing and changes nothing.\n")
	docs := finding.Docs()
	for _, part := range parts {
		fmt.Fprintf(&b, "\n## %sxxx: %s\n", part.prefix, part.title)
		for _, d := range docs {
			if strings.HasPrefix(string(d.Code), part.prefix) {
				fmt.Fprintf(&b, "\n### %s\n\n**%s** (%s)\n\n%s\n", d.Code, d.Title, d.Severity, d.Explanation)
			}
		}
	}
	return b.Bytes()
}
