package live

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/posthornhq/posthorn/internal/live/wire"
)

// bare opens a WebSocket without a client's help.
func bare(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(address, "ws://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(c, 16)
	for status := ""; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if status == "" {
			if status = line; !strings.Contains(line, "101") {
				t.Fatal(line)
			}
		}
		if line == "\r\n" {
			return c
		}
	}
}

// socketsEnded waits for the hub to have no sockets.
func socketsEnded(t *testing.T, h *Hub) Stats {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patienceOfTests)
	for {
		s := h.Stats()
		if s.Sockets == 0 {
			return s
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it goes on: %+v", s)
		}
	}
}

// TestSocketTakesNothing has a client that asks for ever more and reads nothing: the server stops reading it, holds
// little for it, and lets go of it.
func TestSocketTakesNothing(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) { c.WriteTimeout = 500 * time.Millisecond })
	for name, message := range map[string]string{
		"pings":    `{"type":"ping","ref":"` + strings.Repeat("x", 60) + `"}`,
		"refusals": `{"type":"nosuch"}`,
		"publishes": `{"type":"publish","ref":"` + strings.Repeat("x", 60) + `","events":[{"type":"a"}` +
			strings.Repeat(`,{"type":"a","id":"`+strings.Repeat("y", 200)+`"}`, 100) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := bare(t, sockets(t, h, allKey))
			frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(message))))
			frames := []byte(strings.Repeat(string(frame), 1+(64<<10)/len(frame)))
			_ = c.SetWriteDeadline(time.Now().Add(patienceOfTests))
			sent, err := 0, error(nil)
			for err == nil && sent < 256<<20 {
				var n int
				n, err = c.Write(frames)
				sent += n
			}
			if err == nil {
				t.Errorf("the server took %d bytes from a client that reads nothing", sent)
			}
			if s := socketsEnded(t, h); s.Closed["slow"] == 0 {
				t.Errorf("%+v", s.Closed)
			}
		})
	}
}

// TestSocketHalfMessage has clients that begin a message and do not go on.
func TestSocketHalfMessage(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) { c.WriteTimeout, c.KeepAlive = 300*time.Millisecond, time.Second })
	c := bare(t, sockets(t, h, allKey))
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(strings.Repeat(" ", 5000)))))
	if _, err := c.Write(frame[:3000]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	socketsEnded(t, h)
	if n := h.rules.Budget.Used(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// TestSocketBudget fills the memory for incomplete messages.
func TestSocketBudget(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) { c.Socket.MaxMessage = 4000 })
	address := sockets(t, h, allKey)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(strings.Repeat(" ", 4000)))))
	refused := 0
	for i := 0; i < 4*incompleteMessages && refused == 0; i++ {
		c := bare(t, address)
		if _, err := c.Write(frame[:3900]); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if f, err := ws.ReadFrame(c); err == nil && f.Header.OpCode == ws.OpClose { //nolint:staticcheck // the peer is ours
			if refused++; binary.BigEndian.Uint16(f.Payload) != uint16(wire.CloseTryLater) {
				t.Errorf("%x", f.Payload)
			}
		}
	}
	if refused == 0 {
		t.Errorf("nobody was refused at %d bytes", h.rules.Budget.Used())
	}
	if most := int64(incompleteMessages * 4000); h.rules.Budget.Used() > most {
		t.Errorf("%d bytes are held, the bound is %d", h.rules.Budget.Used(), most)
	}
}

// TestSocketAnswersBeforeClose shows that what was asked for before a close is done and answered before it.
func TestSocketAnswersBeforeClose(t *testing.T) {
	h, log, _ := socketHub(t, nil)
	c := bare(t, sockets(t, h, allKey))
	var all []byte
	const n = 200
	for i := range n {
		message := fmt.Sprintf(`{"type":"publish","ref":"%d","event":{"type":"a","id":"%d"}}`, i, i)
		all = append(all, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(message))))...)
	}
	all = append(all, ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "done"))))...)
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for {
		f, err := ws.ReadFrame(c) //nolint:staticcheck // the peer is ours
		if err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		if f.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != 1000 {
				t.Errorf("closed with %d", code)
			}
			break
		}
		answers++
	}
	if answers != n {
		t.Errorf("%d answers, want %d", answers, n)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.events) != n {
		t.Errorf("%d events are on the log", len(log.events))
	}
}
