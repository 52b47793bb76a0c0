package docs_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/egctl/egctl/internal/cli"
)

var root = filepath.Join("..", "..")

// pages reads all documents of the project.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			texts[f] = string(text)
		}
	}
	return texts
}

var (
	link   = regexp.MustCompile(`\]\(([^):#]+)\)`)
	inTree = regexp.MustCompile("`((?:pkg|internal|cmd|hack|docs)/[\\w./*-]+)`")
	target = regexp.MustCompile(`(?m)(?:^|\x60)make ([a-z0-9-]+)`)
	egctl  = regexp.MustCompile(`(?m)^(?:\$ |.*\| )?(?:bin/)?egctl ([^|>&#\n]+)`)
)

// TestWhatDocumentsNameExists follows links and paths, and looks for the make
// targets that a reader is told to use.
func TestWhatDocumentsNameExists(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link: %v", page, err)
			}
		}
		for _, m := range inTree.FindAllStringSubmatch(text, -1) {
			if found, err := filepath.Glob(filepath.Join(root, m[1])); err != nil || len(found) == 0 {
				t.Errorf("%s: there is no %s", page, m[1])
			}
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: there is no make %s", page, m[1])
			}
		}
	}
}

// TestCommandsOfDocumentsParse finds egctl's commands and flags in every line
// that a reader could copy.
func TestCommandsOfDocumentsParse(t *testing.T) {
	seen := 0
	for page, text := range pages(t) {
		for _, block := range fenced(text) {
			for _, m := range egctl.FindAllStringSubmatch(block, -1) {
				seen++
				cmd, args, err := cli.Root(cli.Streams{Getenv: os.Getenv}, "").Find(strings.Fields(m[1]))
				if err != nil {
					t.Errorf("%s: egctl %s: %v", page, m[1], err)
				} else if err := cmd.ParseFlags(args); err != nil && !errors.Is(err, pflag.ErrHelp) && !strings.Contains(m[1], "[flags]") {
					t.Errorf("%s: egctl %s: %v", page, m[1], err)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands were found: the test proves little", seen)
	}
}

// fenced returns the code blocks of a page.
func fenced(text string) []string {
	var blocks []string
	for i, part := range strings.Split(text, "\n```") {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	return blocks
}
