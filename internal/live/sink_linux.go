package live

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Settings of every socket.
const (
	// unsentMax is how much the system keeps for a client beyond what is on its way, in bytes: without it a silent client
	// can hold megabytes.
	unsentMax = 256 << 10
	// deadAfter is how long at least what was sent may stay without a sign from the client's system: networks take their time.
	deadAfter = 10 * time.Second
)

// tune sets what is set for every connection. A system that refuses is none the worse for it.
func (s *socket) tune(timeout time.Duration) {
	if _, ok := s.Conn.(*net.TCPConn); !ok {
		return
	}
	_ = s.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(timeout, deadAfter).Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMax)
	})
}

// unsent is how much of what was written the client's system has not acknowledged, in bytes.
func unsent(raw syscall.RawConn) int {
	n := 0
	_ = raw.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) // 0 where it cannot be told
	})
	return n
}

// writeNow writes to a socket that does not block. The scheduler is not told: the call takes microseconds, and there are
// many of them in a row.
func writeNow(fd int, b []byte) (int, error) {
	n, _, err := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}
