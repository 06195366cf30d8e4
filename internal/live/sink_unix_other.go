//go:build unix && !linux

package live

import (
	"syscall"
	"time"
)

// tune sets what is set for every connection: nothing here.
func (s *socket) tune(time.Duration) {}

// unsent is how much of what was written the client's system has not acknowledged; it cannot be told here.
func unsent(syscall.RawConn) int { return 0 }

// writeNow writes to a socket that does not block.
func writeNow(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
