package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// Bounds of one connection.
const (
	// maxStreams is how many requests one connection has under way at most.
	maxStreams = 256
	// idleStream is how long a stream is kept for the next request.
	idleStream = 50 * time.Second
	// chunk is how much is written to a stream at once, in bytes: other streams wait for no more than that.
	chunk = 32 << 10
)

// errUnsent is wrapped by the errors of requests of which nothing was sent.
var errUnsent = errors.New("no stream")

// session is one connection of a listener.
type session struct {
	tunnel    *tunnel // set by join
	mux       *yamux.Session
	under     io.Closer // what mux runs on
	open      *streams
	transport *http.Transport
	busy      atomic.Int64 // requests under way
	ended     chan struct{}
	once      sync.Once
}

func newSession(mux *yamux.Session, under io.Closer, open *streams) *session {
	s := &session{mux: mux, under: under, open: open, ended: make(chan struct{})}
	s.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx) },
		// Bytes are as they are: no compression, no proxy, no HTTP/2, and no header that the request does not have.
		DisableCompression: true, MaxIdleConnsPerHost: maxStreams, IdleConnTimeout: idleStream,
		WriteBufferSize: chunk, ReadBufferSize: chunk, MaxResponseHeaderBytes: 256 << 10, ExpectContinueTimeout: time.Second,
	}
	return s
}

// end tells the session to end.
func (s *session) end() { s.once.Do(func() { close(s.ended) }) }

// close ends the connection; requests under way fail.
func (s *session) close() {
	_ = s.under.Close()
	_ = s.mux.Close() // only their end matters
	s.transport.CloseIdleConnections()
}

func (s *session) dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(errUnsent, err)
	}
	c, err := s.mux.OpenStream()
	if err != nil {
		return nil, errors.Join(errUnsent, err)
	}
	return s.open.add(c), nil
}

// streams are the open streams of a connection. From the beginning of a session's end until all below it has ended, yamux lets
// every reader of a stream spin (v0.1.2, Stream.Read looks at its state and at the session's end in turn); many of them leave
// nothing of the processor to the end itself. So they are interrupted as soon as the connection breaks.
type streams struct {
	mu     sync.Mutex
	open   map[*stream]struct{}
	broken bool
}

// stream is one of them.
type stream struct {
	net.Conn
	of *streams
}

// add takes a stream in.
func (s *streams) add(c net.Conn) net.Conn {
	out := &stream{Conn: c, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[out] = struct{}{}
	if s.broken {
		_ = c.SetDeadline(past) // never fails
	}
	return out
}

// interrupt ends all reads and writes.
func (s *streams) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	for c := range s.open {
		_ = c.SetDeadline(past) // never fails
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Close implements [net.Conn].
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// acquire takes the place of one more request, unless all are taken; release gives it back.
func (s *session) acquire() bool {
	if s.busy.Add(1) > maxStreams {
		s.busy.Add(-1)
		return false
	}
	return true
}

func (s *session) release() { s.busy.Add(-1) }

// counted releases a session when its answer's body is closed.
type counted struct {
	io.ReadCloser
	release func()
}

// Close implements [io.Closer].
func (b *counted) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}

// countedConn is that of a connection that was taken over, which is written to, too.
type countedConn struct {
	io.ReadWriteCloser
	release func()
}

// Close implements [io.Closer].
func (c *countedConn) Close() error {
	err := c.ReadWriteCloser.Close()
	c.release()
	return err
}
