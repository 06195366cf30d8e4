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

	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
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
	open      *pipe.Streams
	transport *http.Transport
	busy      atomic.Int64 // requests under way
	ended     chan struct{}
	once      sync.Once
}

func newSession(mux *yamux.Session, under io.Closer, open *pipe.Streams) *session {
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
	return s.open.Add(c), nil
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
