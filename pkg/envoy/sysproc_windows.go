package envoy

import "syscall"

// sysProcAttr keeps Ctrl-C in a console from reaching Envoy. Envoy publishes no
// program for Windows; this lets the rest of egctl be built there.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
