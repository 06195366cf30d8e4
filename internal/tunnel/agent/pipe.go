package agent

import (
	"context"
	"encoding/binary"
	"net"

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
	message []byte
}

func newPipe(ctx context.Context, ws *websocket.Conn) *pipe {
	return &pipe{Conn: websocket.NetConn(ctx, ws, websocket.MessageBinary), ws: ws}
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
func (p *pipe) Close() error { return p.ws.CloseNow() }
