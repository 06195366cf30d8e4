// Package pipe is what both ends of a tunnel's connection share: a WebSocket as the stream of bytes that yamux runs on, and the
// streams that are open in it.
package pipe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// What both ends say.
const (
	// Subprotocol is the WebSocket subprotocol of a tunnel's connection.
	Subprotocol = "posthorn-tunnel-1"
	// HeaderAbout tells the listener what a request is, as JSON; it takes it off.
	HeaderAbout = "Posthorn-Tunnel"
	// HeaderError is set by the listener in an answer of its own, 502, when the local program gave none; its value says why.
	HeaderError = "Posthorn-Tunnel-Error"
)

// The form of yamux's frames: version, type, flags (2 bytes), stream (4), length of the data that follow (4).
const (
	frameHead = 12
	frameData = 0 // the type of a frame with data
)

// Pipe is a WebSocket as a stream of bytes for yamux, which writes the head of a frame and its data by themselves: they go in
// one message.
type Pipe struct {
	net.Conn
	ws      *websocket.Conn
	open    *Streams
	message []byte
}

// New makes a pipe of a WebSocket. open are the streams that will go through it: they are interrupted when it breaks.
func New(ctx context.Context, ws *websocket.Conn, open *Streams) *Pipe {
	return &Pipe{Conn: websocket.NetConn(ctx, ws, websocket.MessageBinary), ws: ws, open: open}
}

// Read is called by one goroutine, yamux's receiver.
func (p *Pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if err != nil {
		p.open.Interrupt()
	}
	return n, err
}

// Write is called by one goroutine, yamux's sender.
func (p *Pipe) Write(b []byte) (int, error) {
	if len(p.message) == 0 && len(b) == frameHead && b[1] == frameData && binary.BigEndian.Uint32(b[8:]) > 0 {
		p.message = append(p.message, b...)
		return len(b), nil
	}
	if len(p.message) == 0 {
		return p.Conn.Write(b)
	}
	p.message = append(p.message, b...)
	_, err := p.Conn.Write(p.message)
	p.message = p.message[:0]
	if err != nil {
		return 0, fmt.Errorf("tunnel: %w", err)
	}
	return len(b), nil
}

// Close does not wait for the other side to say goodbye.
func (p *Pipe) Close() error {
	p.open.Interrupt()
	return p.ws.CloseNow()
}

// Streams are the open streams of a connection. From the beginning of a session's end until all below it has ended, yamux lets
// every reader of a stream spin (v0.1.2, Stream.Read looks at its state and at the session's end in turn); many of them leave
// nothing of the processor to the end itself. So they are interrupted as soon as the connection breaks.
type Streams struct {
	mu     sync.Mutex
	open   map[*Stream]struct{}
	broken bool
}

// Stream is one of them. Once the connection broke its deadlines have passed, and stay so: net/http takes its own off again.
type Stream struct {
	net.Conn
	of *Streams
}

// Past is a deadline that has passed.
var Past = time.Unix(1, 0)

// Add takes a stream in.
func (s *Streams) Add(c net.Conn) *Stream {
	out := &Stream{Conn: c, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Stream]struct{}{}
	}
	s.open[out] = struct{}{}
	if s.broken {
		_ = c.SetDeadline(Past) // never fails
	}
	return out
}

// Interrupt ends all reads and writes.
func (s *Streams) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	for c := range s.open {
		_ = c.Conn.SetDeadline(Past) // never fails
	}
}

// set sets deadlines, unless the connection is broken.
func (s *Streams) set(f func(time.Time) error, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil
	}
	return f(t)
}

// Close implements [net.Conn].
func (c *Stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline implements [net.Conn].
func (c *Stream) SetDeadline(t time.Time) error { return c.of.set(c.Conn.SetDeadline, t) }

// SetReadDeadline implements [net.Conn].
func (c *Stream) SetReadDeadline(t time.Time) error { return c.of.set(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements [net.Conn].
func (c *Stream) SetWriteDeadline(t time.Time) error { return c.of.set(c.Conn.SetWriteDeadline, t) }
