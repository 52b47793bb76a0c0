package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// beingWritten says whether some process has a file open for writing: only then
// does Linux refuse a read lease on it with EAGAIN (fcntl(2), F_SETLEASE). Where
// leases are not to be had, it says no.
func beingWritten(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		// Whoever wants to write now waits until the lease is given back.
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return errors.Is(err, unix.EAGAIN)
}
