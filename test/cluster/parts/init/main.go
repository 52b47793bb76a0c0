// Command init is the first process of a process namespace. It waits for a
// signal to end and reaps the orphans that fall to it; that alone makes it the
// "pause" container of a pod.
//
// Called as "init DIR CACHE" it is the first process of a test cluster's node. It was
// started in new mount, process and network namespaces, and before it waits it
// gives the node directories of its own in place of those that Kubernetes'
// programs write to whatever they are told. When it ends, the kernel ends every
// process of the node and with them goes every mount.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)

	if len(os.Args) == 3 {
		if err := setUpNode(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "init:", err)
			os.Exit(1)
		}
	}
	for {
		select {
		case <-ending:
			return
		case <-orphans:
			reap()
		}
	}
}

// reap collects all children that have ended: signals of the same kind merge,
// so that one may stand for many.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
