package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// crowd holds its connections by their file descriptors alone, watched by one epoll: the machine is shared with the server
// that is measured, so that what a listener costs must be little more than its reads.
type crowd struct {
	epoll  int
	conns  map[int]*listener
	order  Order // the last that opened
	buf    []byte
	events [1024]unix.EpollEvent
	total  Heard
	delays latencies
}

// listener is one connection.
type listener struct {
	tally
	fd     int
	kind   string
	opened bool   // its first bytes have come
	answer []byte // of a poll: what has come of the answer
}

func newCrowd() (*crowd, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	_, err = raiseFiles(unix.Getpid())
	return &crowd{epoll: fd, conns: map[int]*listener{}, buf: make([]byte, markLen+256<<10)}, err
}

// raiseFiles lets a process open 100,000 files where it may, and as many as it may where not. It returns how many.
func raiseFiles(pid int) (int, error) {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	const enough = 100_000
	want := unix.Rlimit{Cur: enough, Max: max(now.Max, enough)}
	if now.Cur >= enough || unix.Prlimit(pid, unix.RLIMIT_NOFILE, &want, nil) == nil {
		return enough, nil
	}
	want = unix.Rlimit{Cur: now.Max, Max: now.Max}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &want, nil); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	return int(now.Max), nil
}

func (c *crowd) close() {
	c.closeAll()
	_ = unix.Close(c.epoll)
}

func (c *crowd) closeAll() {
	for fd := range c.conns {
		_ = unix.Close(fd)
	}
	clear(c.conns)
	c.reset()
}

func (c *crowd) reset() {
	c.total, c.delays = Heard{}, latencies{}
	for _, l := range c.conns {
		l.tally = tally{}
	}
}

// open adds connections, a few hundred at a time, so that none waits long in the server's backlog.
func (c *crowd) open(o Order) error {
	c.order = o
	to, err := netip.ParseAddrPort(o.Address)
	if err != nil || !to.Addr().Is4() {
		return fmt.Errorf("address %s: must be an IPv4 address and a port", o.Address)
	}
	address := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	var fresh []*listener
	for range o.Count {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		l := &listener{fd: fd, kind: o.Kind}
		c.conns[fd] = l
		if err := c.dial(l, address); err != nil {
			return err
		}
		if fresh = append(fresh, l); len(fresh) == 256 {
			if err := c.settle(fresh); err != nil {
				return err
			}
			fresh = fresh[:0]
		}
	}
	return c.settle(fresh)
}

// dial connects and sends the request.
func (c *crowd) dial(l *listener, to unix.Sockaddr) error {
	if err := unix.Connect(l.fd, to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, l.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.fd)})
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return c.ask(l, c.order.Start)
}

// ask sends the request of a connection; start is where a poll begins.
func (c *crowd) ask(l *listener, start int64) error {
	request := "GET " + c.order.Path + " HTTP/1.1\r\nHost: " + c.order.Address + "\r\nAuthorization: Bearer " + c.order.Key + "\r\n"
	switch l.kind {
	case kindSocket:
		request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
			"Sec-WebSocket-Protocol: posthorn.v1.json\r\n\r\n"
	case kindPoll:
		if start > 0 {
			request = "GET " + c.order.Path + "&start=" + strconv.FormatInt(start, 10) + request[len("GET "+c.order.Path):]
		}
		request += "\r\n"
	default:
		request += "Accept: text/event-stream\r\n\r\n"
	}
	return write(l.fd, []byte(request))
}

func write(fd int, b []byte) error {
	if n, err := unix.Write(fd, b); err != nil || n < len(b) {
		return fmt.Errorf("%d of %d bytes were sent: %w", n, len(b), err)
	}
	return nil
}

// settle waits until new connections have had their first bytes. Polls have none while nothing happens.
func (c *crowd) settle(fresh []*listener) error {
	if len(fresh) == 0 || fresh[0].kind == kindPoll {
		return c.listen(0)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := c.listen(10 * time.Millisecond); err != nil {
			return err
		}
		waiting := 0
		for _, l := range fresh {
			if !l.opened {
				waiting++
			}
		}
		switch {
		case waiting == 0:
			return nil
		case c.total.Closed > 0:
			return errors.New("the server closed a connection: " + c.total.Error)
		case time.Now().After(deadline):
			return fmt.Errorf("%d connections were not answered", waiting)
		}
	}
}

// listen reads what has come, after waiting for at most wait.
func (c *crowd) listen(wait time.Duration) error {
	n, err := unix.EpollWait(c.epoll, c.events[:], int(wait.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range c.events[:max(n, 0)] {
		if l := c.conns[int(e.Fd)]; l != nil {
			if err := c.read(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// read takes what one connection has got.
func (c *crowd) read(l *listener) error {
	start := markLen - int(l.carried)
	n, err := unix.Read(l.fd, c.buf[markLen:])
	if err != nil && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) {
		return nil
	}
	if n <= 0 {
		c.total.Closed++
		delete(c.conns, l.fd)
		return unix.Close(l.fd)
	}
	now := time.Now()
	c.total.Bytes += int64(n)
	c.total.Reads++
	copy(c.buf[start:], l.carry[:l.carried])
	b := c.buf[start : markLen+n]
	if !l.opened || l.kind == kindPoll {
		if err := c.accept(l, c.buf[markLen:markLen+n]); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(b, []byte(mark))
		if i < 0 || len(b) < i+markLen {
			break
		}
		c.hear(l, b[i+len(mark):i+markLen], now)
		b = b[i+markLen:]
	}
	l.carried = uint8(copy(l.carry[:], b[max(len(b)-markLen+1, 0):]))
	return nil
}

// hear counts one event.
func (c *crowd) hear(l *listener, digits []byte, now time.Time) {
	var raw [16]byte
	if _, err := hex.Decode(raw[:], digits); err != nil {
		return
	}
	n := int64(binary.BigEndian.Uint64(raw[:8]))
	l.count++
	l.sum += n
	l.squares += n * n
	c.total.Messages++
	c.total.Last = now
	c.delays.add(now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(raw[8:])))))
}

// accept looks at the head of an answer; of a poll at all of it, to ask again when it is whole.
func (c *crowd) accept(l *listener, b []byte) error {
	if !l.opened {
		ok := bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) || l.kind == kindSocket && bytes.HasPrefix(b, []byte("HTTP/1.1 101 "))
		if !ok {
			return fmt.Errorf("a %s was answered: %.200s", l.kind, b)
		}
		l.opened = true
		if l.kind == kindSocket {
			return write(l.fd, masked(`{"type":"subscribe","id":"1"}`))
		}
	}
	if l.kind != kindPoll {
		return nil
	}
	l.answer = append(l.answer, b...)
	head, body, ok := bytes.Cut(l.answer, []byte("\r\n\r\n"))
	if !ok {
		return nil
	}
	_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	if want, err := strconv.Atoi(string(length)); err != nil || len(body) < want {
		return err
	}
	_, next, _ := bytes.Cut(body, []byte(`],"next":`))
	next, _, _ = bytes.Cut(next, []byte(","))
	start, err := strconv.ParseInt(string(next), 10, 64)
	if err != nil {
		return fmt.Errorf("the answer to a poll has no next: %.200s", body)
	}
	l.answer, l.opened = nil, false
	return c.ask(l, start)
}

// masked is a text frame from a client (RFC 6455, 5.2), with a mask of zeros.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// heard says what all connections have heard.
func (c *crowd) heard() Heard {
	h := c.total
	for _, l := range c.conns {
		if l.opened || l.kind == kindPoll {
			h.Open++
		}
		h.Most = max(h.Most, l.count)
	}
	n := h.Most
	for _, l := range c.conns {
		if l.count == n && l.sum == n*(n-1)/2 && l.squares == (n-1)*n*(2*n-1)/6 {
			h.Whole++
		}
	}
	h.Latency = c.delays.summary()
	return h
}
