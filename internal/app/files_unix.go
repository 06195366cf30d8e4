//go:build unix

package app

import (
	"math"
	"syscall"
)

// openFiles returns how many files the process may have open, 0 when that is not known. The runtime has raised the soft
// limit to the hard one already.
func openFiles() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(uint64(r.Cur), math.MaxInt32)) // some systems have a signed type
}
