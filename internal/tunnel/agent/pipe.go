package agent

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// The form of yamux's frames: version, type, flags (2 bytes), stream (4), length of the data that follow (4).
const (
	frameHead = 12
	frameData = 0 // the type of a frame with data
)

// pipe is a WebSocket as a stream of bytes for yamux, which writes the head of a frame and its data by themselves: they go in
// one message.
type pipe struct {
	net.Conn
	ws      *websocket.Conn
	open    *openStreams // what goes through it
	message []byte
}

func newPipe(ctx context.Context, ws *websocket.Conn, open *openStreams) *pipe {
	return &pipe{Conn: websocket.NetConn(ctx, ws, websocket.MessageBinary), ws: ws, open: open}
}

// Read is called by one goroutine, yamux's receiver.
func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if err != nil {
		p.open.interrupt()
	}
	return n, err
}

// Write is called by one goroutine, yamux's sender.
func (p *pipe) Write(b []byte) (int, error) {
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
		return 0, err
	}
	return len(b), nil
}

// Close does not wait for the other side to say goodbye.
func (p *pipe) Close() error {
	p.open.interrupt()
	return p.ws.CloseNow()
}

// openStreams are the open streams of a session. From the beginning of a session's end until all below it has ended, yamux lets
// every reader of a stream spin (v0.1.2, Stream.Read looks at its state and at the session's end in turn), so they are
// interrupted as soon as the connection breaks.
type openStreams struct {
	mu     sync.Mutex
	open   map[*stream]struct{}
	broken bool
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

func (o *openStreams) add(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[*stream]struct{}{}
	}
	o.open[s] = struct{}{}
	if o.broken {
		_ = s.Conn.SetDeadline(past) // never fails
	}
}

func (o *openStreams) remove(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}

// interrupt ends all reads and writes.
func (o *openStreams) interrupt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
	for s := range o.open {
		_ = s.Conn.SetDeadline(past) // never fails
	}
}

// set sets deadlines, unless the connection is broken: then they have passed, and stay so.
func (o *openStreams) set(f func(time.Time) error, t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken {
		return nil
	}
	return f(t)
}
