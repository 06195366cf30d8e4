//go:build unix

package sink

import (
	"syscall"
	"time"
)

// ProcessCPU returns the processor time of this process, user and system, 0 where the system does not tell.
func ProcessCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
