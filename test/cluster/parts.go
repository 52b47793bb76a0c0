package cluster

import (
	"bytes"
	"cmp"
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
//go:embed parts
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
	// module is the part whose module it is built in, if that is not its own. The
	// packages that both need are then compiled once.
	module string
}

var moduleVersion = regexp.MustCompile(`(?m)^(?:require )?\s*(\S+) (v[0-9]+\.[0-9]+\.[0-9]+\S*)$`)

// parts returns all parts, those first that show soonest what is amiss.
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
		{name: "init", packages: []string{"."}},
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
		{name: "loadbalancer", module: "kubernetes", packages: []string{"."}},
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
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := sources.ReadFile(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		// The tag keeps what this module does not require out of it.
		files[name] = bytes.Replace(text, []byte("//go:build ignore\n"), nil, 1)
	}
	for to, from := range map[string]string{"go.mod": "part.mod", "go.sum": "part.sum"} {
		if files[to], err = sources.ReadFile(path.Join("parts", cmp.Or(p.module, p.name), from)); err != nil {
			return nil, err
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
