package envoy

import "syscall"

// sysProcAttr puts Envoy into a process group of its own, so that Ctrl-C in a
// terminal reaches egctl alone and Envoy is drained, and has the kernel kill it
// when egctl dies.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
