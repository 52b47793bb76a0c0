//go:build unix && !linux

package envoy

import "syscall"

// sysProcAttr puts Envoy into a process group of its own, so that Ctrl-C in a
// terminal reaches egctl alone and Envoy is drained. There is no parent death
// signal here: an egctl that is killed leaves its Envoy running.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
