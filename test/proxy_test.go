package e2e

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// faultProxy stands between clients and a server and does what networks do: it cuts connections in the middle of
// anything, holds bytes back, and hands them on in pieces of any size.
type faultProxy struct {
	t      testing.TB
	listen net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	rand  *rand.Rand
	open  map[net.Conn]bool
	kind  bool // no more faults
	ended bool
	cuts  int
}

// newFaultProxy starts a proxy to an address; its faults follow from the seed.
func newFaultProxy(t testing.TB, target string, seed uint64) *faultProxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{t: t, listen: l, target: target, rand: rand.New(rand.NewPCG(seed, 1)), open: map[net.Conn]bool{}} //nolint:gosec // the tests are repeated by it
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.ended = true
		for c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *faultProxy) addr() string { return p.listen.Addr().String() }

// relent ends the faults for connections to come.
func (p *faultProxy) relent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind = true
}

// faults says how many connections were cut.
func (p *faultProxy) faults() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *faultProxy) accept() {
	for {
		c, err := p.listen.Accept()
		if err != nil {
			return
		}
		if p.keep(c) {
			p.wg.Go(func() { p.carry(c) })
		}
	}
}

// keep notes a connection that has to be closed at the end.
func (p *faultProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		_ = c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *faultProxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// carry is one connection from its making to its end.
func (p *faultProxy) carry(client net.Conn) {
	defer p.drop(client)
	server, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(p.t.Context(), "tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	fate := p.fate()
	done := make(chan struct{}, 2)
	p.wg.Go(func() { _, _ = io.Copy(server, client); done <- struct{}{} })
	p.wg.Go(func() { p.down(client, server, fate); done <- struct{}{} })
	<-done // the deferred closes end the other one
}

// fate is what will happen to one connection.
type fate struct {
	cutAfter int // bytes to the client; 0: never
	piece    int // the most bytes at once
	hold     time.Duration
	rand     *rand.Rand
}

func (p *faultProxy) fate() fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := fate{piece: 32 << 10, rand: rand.New(rand.NewPCG(p.rand.Uint64(), 2))} //nolint:gosec // the tests are repeated by it
	if p.kind {
		return f
	}
	switch p.rand.IntN(3) {
	case 0: // frames and lines in halves
		f.piece = 1 + p.rand.IntN(200)
	case 1:
		f.hold = time.Duration(p.rand.IntN(int(20 * time.Millisecond)))
	}
	f.cutAfter = 1 + p.rand.IntN(100<<10)
	return f
}

// down carries what the server sends, with the faults.
func (p *faultProxy) down(client, server net.Conn, f fate) {
	buf := make([]byte, f.piece)
	sent := 0
	for {
		n, err := server.Read(buf[:1+f.rand.IntN(len(buf))])
		cut := f.cutAfter > 0 && sent+n >= f.cutAfter
		if cut {
			n = f.cutAfter - sent
		}
		if f.hold > 0 && f.rand.IntN(50) == 0 {
			_ = pause(p.t.Context(), f.hold)
		}
		_, e := client.Write(buf[:n])
		if errors.Join(err, e) != nil {
			return
		}
		if sent += n; cut {
			p.mu.Lock()
			p.cuts++
			p.mu.Unlock()
			return
		}
	}
}
