package live

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// sink is where a connection's bytes go.
type sink interface {
	// try writes what can be written at once.
	try(b []byte) (int, error)
	// write writes something, and waits for it as long as the client takes anything within the timeout; then it returns
	// errSlow. waited is for how long.
	write(b []byte, timeout time.Duration) (n int, waited time.Duration, err error)
	// blocking reports whether try always writes nothing: such a connection has a goroutine all its life.
	blocking() bool
	// hurry bounds all writes from now on together; abort ends them at once.
	hurry(d time.Duration)
	abort()
	// finish ends the sending side and returns the connection, nil when there is none to close.
	finish() net.Conn
	// tune is told the write timeout, once, before the first write.
	tune(timeout time.Duration)
}

// errSlow is returned when a client took nothing for the write timeout.
var errSlow = errors.New("live: the client takes nothing")

// takeOver takes an HTTP/1 connection from net/http, with what was read of it already. The sink is the fastest that
// the connection is fit for.
func takeOver(w http.ResponseWriter) (s sink, already []byte, err error) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Peek(n) // what is buffered can be peeked at
		already = append(already, b...)
	}
	// Below may be a connection of which some was read before net/http got it.
	for {
		if p, ok := c.(interface{ Unread() []byte }); ok {
			already = append(already, p.Unread()...)
		}
		_, secure := c.(*tls.Conn) // bytes may not go around it
		p, ok := c.(interface{ NetConn() net.Conn })
		if !ok || secure {
			break
		}
		c = p.NetConn()
	}
	return newSink(c), already, nil
}

// bound keeps the time by which all writes must be done, against the timeouts of single ones.
type bound struct{ until atomic.Int64 } // in ns since 1970, 0: never

// arm sets the deadline of a write that starts now, which a bound set meanwhile cuts short.
func (b *bound) arm(set func(time.Time) error, start time.Time, timeout time.Duration) error {
	for {
		until, at := b.until.Load(), start.Add(timeout)
		if until != 0 && until < at.UnixNano() {
			at = time.Unix(0, until)
		}
		if err := set(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if b.until.Load() == until {
			return nil
		}
	}
}

// free takes the deadline of a write that is over back, so that it does not end a later one; a bound stays.
func (b *bound) free(set func(time.Time) error) {
	for {
		until, at := b.until.Load(), time.Time{}
		if until != 0 {
			at = time.Unix(0, until)
		}
		_ = set(at) // a connection on which it fails is over
		if b.until.Load() == until {
			return
		}
	}
}

// end bounds what is under way too.
func (b *bound) end(set func(time.Time) error, at time.Time) {
	b.until.Store(at.UnixNano())
	_ = set(at) // a connection on which it fails is over
}

// maxBlocking is the most that a write that blocks is given at once, in bytes: its timeout is for all of it, and a client
// that takes little is not one that takes nothing.
const maxBlocking = 32 << 10

// longAgo is a deadline that has passed.
func longAgo() time.Time { return time.Unix(1, 0) }

// slow turns an ended wait into errSlow.
func slow(err error) error {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return errSlow
	}
	return err
}

// streamSink answers a request that cannot be taken over, such as one of HTTP/2.
type streamSink struct {
	w       http.ResponseWriter
	control *http.ResponseController
	bound   bound
}

func newStreamSink(w http.ResponseWriter) *streamSink {
	return &streamSink{w: w, control: http.NewResponseController(w)}
}

func (s *streamSink) try([]byte) (int, error) { return 0, nil }
func (s *streamSink) blocking() bool          { return true }
func (s *streamSink) finish() net.Conn        { return nil }
func (s *streamSink) tune(time.Duration)      {}
func (s *streamSink) hurry(d time.Duration) {
	s.bound.end(s.control.SetWriteDeadline, time.Now().Add(d))
}
func (s *streamSink) abort() { s.bound.end(s.control.SetWriteDeadline, longAgo()) }

func (s *streamSink) write(b []byte, timeout time.Duration) (int, time.Duration, error) {
	start := time.Now()
	if err := s.bound.arm(s.control.SetWriteDeadline, start, timeout); err != nil {
		return 0, 0, err
	}
	n, err := s.w.Write(b[:min(len(b), maxBlocking)])
	if err == nil {
		err = s.control.Flush()
	}
	s.bound.free(s.control.SetWriteDeadline) // with HTTP/2 it would end the stream, whether something is written or not
	return n, time.Since(start), slow(err)
}

// connSink writes to a connection that cannot write without waiting.
type connSink struct {
	c     net.Conn
	bound bound
}

func (s *connSink) try([]byte) (int, error) { return 0, nil }
func (s *connSink) blocking() bool          { return true }
func (s *connSink) finish() net.Conn        { return s.c }
func (s *connSink) tune(time.Duration)      {}
func (s *connSink) hurry(d time.Duration)   { s.bound.end(s.c.SetWriteDeadline, time.Now().Add(d)) }
func (s *connSink) abort()                  { s.bound.end(s.c.SetWriteDeadline, longAgo()) }

func (s *connSink) write(b []byte, timeout time.Duration) (int, time.Duration, error) {
	start := time.Now()
	if err := s.bound.arm(s.c.SetWriteDeadline, start, timeout); err != nil {
		return 0, 0, err
	}
	n, err := s.c.Write(b[:min(len(b), maxBlocking)])
	if n > 0 {
		err = nil // it took something; the next write tells more
	}
	return n, time.Since(start), slow(err)
}
