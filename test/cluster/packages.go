package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// debian says which Debian package brings which program; a node runs all of
// them, and building them here would need a C compiler.
var debian = []struct{ program, name string }{
	{"runc", "runc"},
	{cniDir + "/bridge", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"nft", "nftables"},
	{"conntrack", "conntrack"},
	{"ipset", "ipset"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
}

// cniDir is where Debian's package puts the CNI plugins.
const cniDir = "/usr/lib/cni"

// ensurePackages installs the Debian packages whose programs are missing.
func ensurePackages(ctx context.Context, o Options) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("a node needs the programs of the Debian packages %s, and there is no apt-get to install them: install what your distribution calls them", strings.Join(missing, ", "))
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(o.CacheDir, "packages.lock"))
	defer func() { _ = lock.Close() }()
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another process to install packages: %w", err)
	}
	if missing = missingPackages(); len(missing) == 0 {
		return nil
	}
	return o.step("install "+strings.Join(missing, ", "), func() error {
		install := append([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}, missing...)
		// The lists of packages may be old or, in a container image, not there.
		if err := aptGet(ctx, install...); err != nil {
			if err := aptGet(ctx, "update"); err != nil {
				return err
			}
			if err := aptGet(ctx, install...); err != nil {
				return err
			}
		}
		if missing := missingPackages(); len(missing) > 0 {
			return errors.New("apt-get succeeded, but these packages did not bring what was expected of them: " + strings.Join(missing, ", "))
		}
		return nil
	})
}

func missingPackages() []string {
	var missing []string
	for _, p := range debian {
		if _, err := exec.LookPath(p.program); err != nil && !slices.Contains(missing, p.name) {
			missing = append(missing, p.name)
		}
	}
	return missing
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, lastLines(said.String(), 20))
	}
	return nil
}
