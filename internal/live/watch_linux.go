package live

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watchHandle is what a watcher notes on a connection.
type watchHandle struct {
	slot int32 // from 1
}

// epoll watches all connections with one system object: a connection has a goroutine and a buffer only while it has something to
// read. The object itself is watched by the runtime's own, so that no thread waits for it.
type epoll struct {
	hub  *Hub
	file *os.File
	raw  syscall.RawConn

	mu    sync.Mutex
	slots []slot
	free  []int32
}

// slot is a watched connection. The generation tells a late report about its former holder.
type slot struct {
	conn       *conn
	socket     *socket
	generation int32
}

// interest is what is waited for: once, until it is asked for again.
const interest = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT

func newWatcher(h *Hub) (watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	e := &epoll{hub: h, file: os.NewFile(uintptr(fd), "epoll")}
	if e.raw, err = e.file.SyscallConn(); err != nil {
		_ = e.file.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	h.running.Go(e.run)
	return e, nil
}

func (e *epoll) close() { _ = e.file.Close() }

// run starts a goroutine for each connection that can be read.
func (e *epoll) run() {
	events := make([]unix.EpollEvent, 256)
	for {
		n := 0
		var waited error
		err := e.raw.Read(func(fd uintptr) bool {
			for {
				n, waited = unix.EpollWait(int(fd), events, 0)
				if !errors.Is(waited, unix.EINTR) {
					break
				}
			}
			return n != 0 || waited != nil
		})
		if err != nil || waited != nil {
			return // closed
		}
		for _, ev := range events[:n] {
			e.mu.Lock()
			if s := e.slots[ev.Fd-1]; s.conn != nil && s.generation == ev.Pad {
				e.hub.work.Go(func() { e.read(s, ev.Fd) }) // under the lock: the connection has not let go of the hub
			}
			e.mu.Unlock()
		}
	}
}

// read gives a connection's protocol what has come.
func (e *epoll) read(s slot, index int32) {
	b := scratch.Get().(*[scratchSize]byte) //nolint:errcheck // the pool holds nothing else
	defer scratch.Put(b)
	for range readsInARow {
		n, err := -1, error(nil)
		closed := s.socket.raw.Read(func(fd uintptr) bool {
			for {
				n, err = unix.Read(int(fd), b[:])
				if !errors.Is(err, unix.EINTR) {
					return true
				}
			}
		})
		switch {
		case closed != nil:
			return
		case errors.Is(err, unix.EAGAIN):
			e.arm(s, index)
			return
		case n <= 0:
			s.conn.end(reasonClient)
			return
		}
		s.conn.heard()
		s.conn.proto.received(s.conn, b[:n])
		if n < len(b) {
			break
		}
	}
	e.arm(s, index)
}

// readsInARow is how often one connection is read before others have their turn.
const readsInARow = 16

// arm has the connection reported again.
func (e *epoll) arm(s slot, index int32) {
	_ = e.control(s, index, unix.EPOLL_CTL_MOD) // one that was closed meanwhile needs no report
}

// control changes what is watched of a slot's connection.
func (e *epoll) control(s slot, index int32, how int) error {
	return e.raw.Control(func(set uintptr) {
		_ = s.socket.raw.Control(func(fd uintptr) {
			ev := unix.EpollEvent{Events: interest, Fd: index, Pad: s.generation}
			if err := unix.EpollCtl(int(set), how, int(fd), &ev); err != nil && how == unix.EPOLL_CTL_ADD {
				e.hub.work.Go(func() { s.conn.end(reasonError) })
			}
		})
	})
}

func (e *epoll) add(c *conn, nc net.Conn) {
	s, ok := c.sink.(*socket)
	if !ok {
		readers{e.hub}.add(c, nc)
		return
	}
	e.mu.Lock()
	var index int32
	if last := len(e.free) - 1; last >= 0 {
		index, e.free = e.free[last], e.free[:last]
	} else {
		e.slots = append(e.slots, slot{})
		index = int32(len(e.slots))
	}
	at := &e.slots[index-1]
	at.conn, at.socket = c, s
	at.generation++
	taken := *at
	c.handle.slot = index
	e.mu.Unlock()
	_ = e.control(taken, index, unix.EPOLL_CTL_ADD)
}

func (e *epoll) remove(c *conn, linger bool) bool {
	if _, ok := c.sink.(*socket); !ok {
		return readers{e.hub}.remove(c, linger)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	index := c.handle.slot
	if index == 0 {
		return false
	}
	at := &e.slots[index-1]
	_ = e.control(*at, index, unix.EPOLL_CTL_DEL)
	at.conn, at.socket = nil, nil
	at.generation++
	c.handle.slot = 0
	e.free = append(e.free, index)
	return false
}
