// Command image makes egctl's container image, without a container engine: a
// tarball for "docker load", "ctr images import" or "cluster load".
//
//	CGO_ENABLED=0 go build -o egctl ./cmd/egctl
//	cd test/cluster && go run ./cmd/image -program ../../egctl -o ../../egctl.tar docker.io/egctl/egctl:v1.2.3
//
// It also writes such tarballs, one an architecture, to a registry as one image:
//
//	go run ./cmd/image -push amd64.tar -push arm64.tar docker.io/egctl/egctl:v1.2.3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/egctl/egctl/test/cluster/image"
)

func main() {
	program := flag.String("program", "egctl", "the static program")
	out := flag.String("o", "egctl.tar", "file to write")
	var push []string
	flag.Func("push", "a tarball to write to the registry, instead of making one; once an architecture", func(s string) error {
		push = append(push, s)
		return nil
	})
	flag.Parse()
	if err := run(*program, *out, push, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(program, out string, push, refs []string) error {
	if len(refs) == 0 {
		return errors.New("say what the image is called, such as docker.io/egctl/egctl:v1.2.3")
	}
	if len(push) > 0 {
		digest, err := image.Push(context.Background(), push, refs)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			fmt.Printf("%s@%s\n", ref, digest)
		}
		return nil
	}
	s, err := image.Egctl(program, refs...)
	if err != nil {
		return err
	}
	return image.Build(context.Background(), s, out)
}
