//go:build unix

package live

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// socket writes to a TCP or Unix socket without waiting when it can.
type socket struct {
	net.Conn
	raw   syscall.RawConn
	bound bound
}

// newSink returns the sink for a connection.
func newSink(c net.Conn) sink {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		if sc, ok := c.(syscall.Conn); ok {
			if raw, err := sc.SyscallConn(); err == nil {
				return &socket{Conn: c, raw: raw}
			}
		}
	}
	return &connSink{c: c}
}

// attempt is one system call on a socket. Its function is made once: a closure for each write would be garbage.
type attempt struct {
	b   []byte
	n   int
	err error
	do  func(fd uintptr) bool
	// wait has the runtime wait until the socket is ready.
	wait bool
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.do = func(fd uintptr) bool {
		for {
			a.n, a.err = writeNow(int(fd), a.b)
			if a.err != syscall.EINTR { //nolint:errorlint // a bare number, on the hottest path
				break
			}
		}
		a.n = max(a.n, 0)
		if a.err == syscall.EAGAIN { //nolint:errorlint // a bare number, on the hottest path
			a.err = nil
			return !a.wait
		}
		return true
	}
	return a
}}

func (s *socket) attempt(b []byte, wait bool) (int, error) {
	a := attempts.Get().(*attempt) //nolint:errcheck // the pool holds nothing else
	a.b, a.n, a.err, a.wait = b, 0, nil, wait
	err := s.raw.Write(a.do)
	if err == nil {
		err = a.err
	}
	n := a.n
	a.b = nil
	attempts.Put(a)
	return n, err
}

func (s *socket) try(b []byte) (int, error) { return s.attempt(b, false) }

func (s *socket) write(b []byte, timeout time.Duration) (int, time.Duration, error) {
	n, err := s.attempt(b, false)
	if n > 0 || err != nil {
		return n, 0, slow(err)
	}
	start := time.Now()
	left := unsent(s.raw)
	defer s.bound.free(s.SetWriteDeadline)
	for {
		if err := s.bound.arm(s.SetWriteDeadline, time.Now(), timeout); err != nil {
			return 0, 0, err
		}
		n, err = s.attempt(b, true)
		err = slow(err)
		// The system tells of room only when there is much of it: a client that takes little is not one that takes nothing.
		if now := unsent(s.raw); errors.Is(err, errSlow) && now < left && s.bound.until.Load() == 0 {
			left = now
			continue
		}
		return n, time.Since(start), err
	}
}

func (s *socket) blocking() bool        { return false }
func (s *socket) finish() net.Conn      { return s.Conn }
func (s *socket) hurry(d time.Duration) { s.bound.end(s.SetWriteDeadline, time.Now().Add(d)) }
func (s *socket) abort()                { s.bound.end(s.SetWriteDeadline, longAgo()) }
