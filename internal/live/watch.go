package live

import (
	"net"
	"sync"
	"time"
)

// watcher reads what clients send.
type watcher interface {
	// add begins to watch a connection.
	add(c *conn, nc net.Conn)
	// remove ends it. It returns true when the watcher itself goes on to read until the client is done, and closes then.
	remove(c *conn, linger bool) bool
	close()
}

// scratchSize is how much is read at once, in bytes.
const scratchSize = 4 << 10

// scratch are buffers to read into; one is in use only while there is something to read.
var scratch = sync.Pool{New: func() any { return new([scratchSize]byte) }}

// readers watches each connection with a goroutine that is blocked in Read.
type readers struct{ hub *Hub }

func (r readers) add(c *conn, nc net.Conn) {
	r.hub.work.Go(func() {
		for {
			b := scratch.Get().(*[scratchSize]byte) //nolint:errcheck // the pool holds nothing else
			n, err := nc.Read(b[:])
			if n > 0 {
				c.heard()
				c.proto.received(c, b[:n])
			}
			scratch.Put(b)
			if err != nil {
				c.end(reasonClient)
				_ = nc.Close()
				return
			}
		}
	})
}

func (readers) remove(c *conn, linger bool) bool {
	if linger {
		nc := c.sink.finish()
		_ = nc.SetReadDeadline(time.Now().Add(lastWords))
		closeWrite(nc)
	}
	return linger
}

func (readers) close() {}

// watch begins to read a connection.
func (h *Hub) watch(c *conn) {
	if nc := c.sink.finish(); nc != nil {
		h.watcher.add(c, nc)
	}
}

// unwatch ends the reading of a connection and closes it; when it lingers, once the client has said what it had to say.
func (h *Hub) unwatch(c *conn, linger bool) {
	if c.sink == nil {
		return
	}
	nc := c.sink.finish()
	if nc == nil || h.watcher.remove(c, linger) {
		return
	}
	if !linger {
		_ = nc.Close()
		return
	}
	closeWrite(nc)
	h.work.Go(func() {
		_ = nc.SetReadDeadline(time.Now().Add(lastWords))
		b := scratch.Get().(*[scratchSize]byte) //nolint:errcheck // the pool holds nothing else
		defer scratch.Put(b)
		for {
			if _, err := nc.Read(b[:]); err != nil {
				break
			}
		}
		_ = nc.Close()
	})
}

// closeWrite tells the client that nothing more comes.
func closeWrite(nc net.Conn) {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be gone
	}
}
