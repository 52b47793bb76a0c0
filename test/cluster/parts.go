package cluster

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"strings"
)

// toolchain builds the parts, whatever Go runs the tests: the same sources give
// the same parts. An older go command fetches it by itself.
const toolchain = "go1.27.3"

// sources are the modules that the parts are built from. Each lies in a folder
// as part.mod and part.sum, since go:embed passes by folders that hold a go.mod.
//
//go:embed go.mod go.sum parts
var sources embed.FS

// A part is some programs of a node that are built together, and cached together
// under the digest of their sources.
type part struct {
	name string
	// packages are what to build; a package of the part's own module is ".".
	packages []string
	tags     string
	// ldflags are besides -s -w.
	ldflags string
	// links are further names of the one program built.
	links []string
	// ours says that the part is a package of this very module.
	ours bool
}

var moduleVersion = regexp.MustCompile(`(?m)^(?:require )?\s*(\S+) (v[0-9]+\.[0-9]+\.[0-9]+\S*)$`)

// parts returns all parts; the one that takes the longest to build is the last.
func parts() ([]part, error) {
	kubernetes, err := requiredVersion("kubernetes", "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	number := strings.Split(strings.TrimPrefix(kubernetes, "v"), ".")
	// Without these, every version reads v0.0.0, and clients that check the
	// server's version refuse it.
	const variable = " -X k8s.io/component-base/version."
	stamp := variable + "gitVersion=" + kubernetes + variable + "gitMajor=" + number[0] + variable + "gitMinor=" + number[1]
	return []part{
		{name: "init", ours: true, packages: []string{"./parts/init"}},
		{name: "loadbalancer", ours: true, packages: []string{"./parts/loadbalancer"}},
		{name: "containerd", tags: "no_btrfs,no_devmapper,no_zfs", packages: []string{
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"github.com/containerd/containerd/v2/cmd/ctr",
		}},
		{name: "echo", packages: []string{"sigs.k8s.io/gateway-api-conformance-images/echo-basic"}},
		{name: "coredns", packages: []string{"."}},
		{name: "kubernetes", packages: []string{"."}, ldflags: stamp, links: []string{
			"etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet",
		}},
	}, nil
}

// requiredVersion returns the version of module that the part's go.mod names.
func requiredVersion(part, module string) (string, error) {
	file := path.Join("parts", part, "part.mod")
	text, err := sources.ReadFile(file)
	if err != nil {
		return "", err
	}
	for _, m := range moduleVersion.FindAllStringSubmatch(string(text), -1) {
		if m[1] == module {
			return m[2], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", file, module)
}

// files returns what is to be written to an empty folder to build the part
// there, by path.
func (p part) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	dir := path.Join("parts", p.name)
	entries, err := fs.ReadDir(sources, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := sources.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		switch name := e.Name(); {
		case p.ours:
			files[path.Join(dir, name)] = text
		case name == "part.mod" || name == "part.sum":
			files["go."+name[len("part."):]] = text
		default:
			// The tag that keeps the file out of this module.
			files[name] = []byte(strings.Replace(string(text), "//go:build ignore\n", "", 1))
		}
	}
	if p.ours {
		for _, name := range []string{"go.mod", "go.sum"} {
			if files[name], err = sources.ReadFile(name); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// key names the part's folder in the cache: everything that the result depends
// on is in it.
func (p part) key() (string, error) {
	files, err := p.files()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %q %q %q %q\n", toolchain, runtime.GOOS, runtime.GOARCH, p.packages, p.tags, p.ldflags, p.links)
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return p.name + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}
