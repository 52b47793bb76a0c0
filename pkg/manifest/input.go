package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxDownload bounds what is fetched from a URL, in bytes. The largest manifest
// that an API server takes is 3 MiB; this is a file of many.
const maxDownload = 256 << 20

// gather reads the bytes of everything named, in order; a file that is named
// twice, or lies in a folder that is named too, is read once.
func gather(ctx context.Context, o Options) ([]input, error) {
	if len(o.Paths) == 0 {
		return nil, errors.New("no manifest given")
	}
	var inputs []input
	seen := map[string]bool{}
	for _, p := range o.Paths {
		paths := []string{p}
		if isFolder(p) {
			var err error
			if paths, err = list(p, o.Recursive); err != nil {
				return nil, err
			}
		}
		for _, p := range paths {
			id := p
			if p != "-" && !isURL(p) {
				id = filepath.Clean(p)
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			in, err := readOne(ctx, o, p)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, in)
		}
	}
	return inputs, nil
}

func readOne(ctx context.Context, o Options, p string) (input, error) {
	switch {
	case p == "-":
		if o.Stdin == nil {
			return input{}, errors.New("read standard input: there is none")
		}
		b, err := io.ReadAll(o.Stdin)
		if err != nil {
			return input{}, fmt.Errorf("read standard input: %w", err)
		}
		return input{"stdin", b}, nil
	case isURL(p):
		b, err := fetch(ctx, o.Client, p)
		if err != nil {
			return input{}, fmt.Errorf("fetch %s: %w", p, err)
		}
		return input{p, b}, nil
	case p == "":
		return input{}, errors.New("the name of a manifest is empty")
	default:
		b, err := os.ReadFile(p)
		if err != nil {
			return input{}, fmt.Errorf("read manifest: %w", err)
		}
		return input{p, b}, nil
	}
}

func isURL(p string) bool {
	return strings.HasPrefix(p, "http://") || strings.HasPrefix(p, "https://")
}

func isFolder(p string) bool {
	if p == "-" || isURL(p) {
		return false
	}
	i, err := os.Stat(p)
	return err == nil && i.IsDir()
}

// IsManifest says whether a file in a folder is one to read, by its name.
func IsManifest(name string) bool {
	if strings.HasPrefix(filepath.Base(name), ".") {
		return false // editors' temporary files
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// list returns the manifests in a folder in the order of their names. Hidden
// folders are not entered: beside .git, they are how Kubernetes mounts the
// files of a ConfigMap a second time.
func list(dir string, recursive bool) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if p != dir && (!recursive || strings.HasPrefix(e.Name(), ".")) {
				return filepath.SkipDir
			}
		case IsManifest(e.Name()) && !isFolder(p):
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	if len(paths) == 0 {
		hint := ""
		if !recursive {
			hint = " (folders in it are read with --recursive)"
		}
		return nil, fmt.Errorf("read folder %s: it holds no .yaml, .yml or .json file%s", dir, hint)
	}
	slices.Sort(paths)
	return paths, nil
}

func fetch(ctx context.Context, client *http.Client, url string) (_ []byte, err error) {
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		var doing *neturl.Error
		if errors.As(err, &doing) {
			return nil, doing.Err // what it was doing, and to which URL, the caller says
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDownload+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDownload {
		return nil, fmt.Errorf("it is larger than %d MiB", maxDownload>>20)
	}
	return b, nil
}
