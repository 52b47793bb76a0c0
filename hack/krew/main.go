// Command krew fills in the manifest of the kubectl plugin: what plugins/eg.yaml
// leaves open are the tag of a release, and address and digest of its archives.
//
//	go run ./hack/krew -tag v1.2.3 -checksums dist/release/checksums.txt -o eg.yaml plugins/eg.yaml
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"text/template"
)

func main() {
	tag := flag.String("tag", "", "tag of the release")
	checksums := flag.String("checksums", "checksums.txt", "what sha256sum says of the archives")
	out := flag.String("o", "eg.yaml", "file to write")
	flag.Parse()
	if err := run(*tag, *checksums, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "krew:", err)
		os.Exit(1)
	}
}

func run(tag, checksums, out string, args []string) error {
	if tag == "" || len(args) != 1 {
		return errors.New("say -tag TAG TEMPLATE")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	sums, err := os.Open(checksums)
	if err != nil {
		return err
	}
	defer sums.Close()
	digests, err := read(sums)
	if err != nil {
		return fmt.Errorf("%s: %w", checksums, err)
	}
	manifest, err := fill(string(text), tag, digests)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(out, manifest, 0o644)
}

// read returns digests by file name.
func read(r io.Reader) (map[string]string, error) {
	digests := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		digest, file, ok := strings.Cut(lines.Text(), "  ")
		if !ok || len(digest) != 64 {
			return nil, fmt.Errorf("not a line of sha256sum: %q", lines.Text())
		}
		digests[file] = digest
	}
	return digests, lines.Err()
}

// fill executes a template of krew-release-bot, which has one function of its
// own. That takes an address, which is a template itself, and gives the lines uri
// and sha256 for it. A digest of digits only would be a number without quotes.
func fill(text, tag string, digests map[string]string) ([]byte, error) {
	execute := func(text string, funcs template.FuncMap) ([]byte, error) {
		t, err := template.New("manifest").Funcs(funcs).Option("missingkey=error").Parse(text)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = t.Execute(&b, map[string]string{"TagName": tag})
		return b.Bytes(), err
	}
	return execute(text, template.FuncMap{
		"addURIAndSha": func(address, _ string) (string, error) {
			uri, err := execute(address, nil)
			if err != nil {
				return "", err
			}
			digest, ok := digests[path.Base(string(uri))]
			if !ok {
				return "", fmt.Errorf("the release has no %s", path.Base(string(uri)))
			}
			return fmt.Sprintf("uri: %s\n    sha256: %q", uri, digest), nil
		},
	})
}
