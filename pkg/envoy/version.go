package envoy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// versionLine matches what `envoy --version` prints: the program's path, then
// commit/version/tree state/build type/TLS library.
var versionLine = regexp.MustCompile(`version: [0-9a-f]+/(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)/`)

// versionTimeout bounds `envoy --version`, which takes some 50 ms: a program of
// that name that waits for something else must not hang egctl.
const versionTimeout = 10 * time.Second

// BinaryVersion runs `path --version` and returns the release, such as
// "1.40.0". The error says how to mend it where that is known.
func BinaryVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := runVersion(ctx, path)
	// A program forked elsewhere in this process may hold a just written file
	// open for the instant before it executes (golang.org/issue/22315).
	for range 10 {
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		out, err = runVersion(ctx, path)
	}
	if err != nil {
		text := strings.TrimSpace(string(out))
		if text != "" {
			text = ": " + text
		}
		return "", fmt.Errorf("%s --version: %w%s", path, err, text)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version does not answer like Envoy: %q", path, firstLine(out))
	}
	return string(m[1]), nil
}

func runVersion(ctx context.Context, path string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe open
	return cmd.CombinedOutput()
}

// sameMinor reports whether a release shares major and minor version with want.
// A pre-release such as 1.40.0-dev does not count: its API is that of no release.
func sameMinor(version, want string) bool {
	if strings.Contains(version, "-") {
		return false
	}
	minor := want[:strings.LastIndexByte(want, '.')+1]
	return strings.HasPrefix(version, minor)
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
