package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Where the node's programs see the cluster's folder and the cache, wherever these
// are: Unix sockets have room for 107 bytes of path.
const (
	nodeDir  = "/run/cluster"
	cacheDir = "/run/cache"
)

// tunables are settings of the whole machine that a kubelet insists on. It finds
// them as it wants them in files of the node's own, and leaves the machine's
// alone: a test must not make a developer's machine reboot after an oops.
var tunables = map[string]string{
	"/proc/sys/vm/overcommit_memory":      "1",
	"/proc/sys/vm/panic_on_oom":           "0",
	"/proc/sys/kernel/panic":              "10",
	"/proc/sys/kernel/panic_on_oops":      "1",
	"/proc/sys/kernel/keys/root_maxkeys":  "1000000",
	"/proc/sys/kernel/keys/root_maxbytes": "25000000",
}

// networkTunables are settings of the network namespace. Those of bridges exist
// only with the kernel's br_netfilter.
var networkTunables = map[string]string{
	"/proc/sys/net/ipv4/ip_forward":                 "1",
	"/proc/sys/net/ipv6/conf/all/forwarding":        "1",
	"/proc/sys/net/bridge/bridge-nf-call-iptables":  "1",
	"/proc/sys/net/bridge/bridge-nf-call-ip6tables": "1",
}

// setUpNode arranges the mounts of the node whose folder is dir and whose programs
// are in cache, and writes the file dir/ready when all is done.
func setUpNode(dir, cache string) error {
	if os.Getpid() != 1 {
		return errors.New("a node's init must be the first process of its namespace")
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Either may lie below a directory that is about to be hidden.
	held := map[string]*os.File{}
	for at, from := range map[string]string{nodeDir: dir, cacheDir: cache} {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		held[at] = f
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for at, f := range held {
		if err := bind(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), at, true); err != nil {
			return err
		}
	}
	for _, at := range []string{"/var/lib", "/var/log"} {
		own := filepath.Join(nodeDir, "root", at)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := bind(own, at, true); err != nil {
			return err
		}
	}
	for file, value := range tunables {
		own := filepath.Join(nodeDir, "root", file)
		if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(own, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := bind(own, file, false); err != nil {
			return err
		}
	}
	for file, value := range networkTunables {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.WriteFile(filepath.Join(nodeDir, "ready"), nil, 0o644)
}

func bind(from, at string, makeDir bool) error {
	if makeDir {
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount(from, at, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, at, err)
	}
	return nil
}
