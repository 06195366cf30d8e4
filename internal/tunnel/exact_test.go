package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// pair is a session whose streams are served by a function that sees every byte.
func pair(t *testing.T, serve func(c net.Conn)) *session {
	t.Helper()
	near, far := net.Pipe()
	cfg := yamux.DefaultConfig()
	cfg.LogOutput = io.Discard
	there, err := yamux.Server(far, cfg)
	if err != nil {
		t.Fatal(err)
	}
	here, err := yamux.Client(near, cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := there.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	s := newSession(here, near, &pipe.Streams{})
	t.Cleanup(func() { s.close(); _ = there.Close(); <-done })
	return s
}

// headOf reads a head as it was sent.
func headOf(c net.Conn) string {
	r := bufio.NewReader(c)
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			return b.String() + err.Error()
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestMessageBytes(t *testing.T) {
	r := &event.Request{Head: []byte("PuT /b/x/y HTTP/1.1\r\n"), Path: "/y z\x00?q=é\x7f"}
	headers := []event.Header{
		{Name: "x-B", Value: "2"},
		{Name: "X-b", Value: "1"},
		{Name: "a", Value: "é\t"},
		{Name: "bad name", Value: "x"},
		{Name: "bad", Value: "a\r\nInjected: 1"},
		{Name: "bad\r\nInjected", Value: "1"},
		{Name: "", Value: "x"},
		{Name: "Empty", Value: ""},
	}
	m, err := newMessage(r, "h.example.com", headers, About{Kind: KindBin, URL: "https://h/\r\nInjected: 1"}, []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	want := "PuT /y%20z%00?q=é%7F HTTP/1.1\r\nHost: h.example.com\r\nx-B: 2\r\nX-b: 1\r\na: é\t\r\nEmpty: \r\n" +
		`Posthorn-Tunnel: {"kind":"bin","url":"https://h/\r\nInjected: 1"}` + "\r\nContent-Length: 3\r\n\r\n"
	if string(m.head) != want || string(m.body) != "abc" {
		t.Errorf("%q\nwant %q", m.head, want)
	}
	for _, line := range []string{"", " / HTTP/1.1", "GET\x00 / HTTP/1.1"} {
		if _, err := newMessage(&event.Request{Head: []byte(line)}, "h", nil, About{}, nil); err == nil {
			t.Errorf("%q is a request", line)
		}
	}
	if m, err = newMessage(&event.Request{Head: []byte("GET / HTTP/1.1")}, "h", nil, About{}, nil); err != nil || strings.Contains(string(m.head), "Content-Length") {
		t.Errorf("%q %v", m.head, err)
	}
}

func TestExchange(t *testing.T) {
	m := &message{method: "POST", head: []byte("POST / HTTP/1.1\r\nx-A: 1\r\nContent-Length: 1000000\r\n\r\n"), body: make([]byte, 1_000_000)}
	for _, c := range []struct {
		name, answer string
		status       int
		body         string
		bad          bool
	}{
		{"early, with an answer before it", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 413, "no", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc", false},
		{"to the end", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "abc", false},
		{"longer than is asked for", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789", 200, "0123456789", false},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 0, "", true},
		{"no HTTP", "hello\r\n\r\n", 0, "", true},
		{"nothing", "", 0, "", true},
		{"an upgrade that nobody asked for", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, "", true},
		{"an endless head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n", 0, "", true},
		{"endless answers before it", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHead/20), 0, "", true},
	} {
		s := pair(t, func(conn net.Conn) {
			if got := headOf(conn); got != string(m.head) {
				t.Errorf("%s: %q came", c.name, got)
			}
			_, _ = io.WriteString(conn, c.answer)
		})
		a, err := s.exchange(t.Context(), m, 10)
		if a.Status != c.status || string(a.Body) != c.body || (err != nil) != c.bad {
			t.Errorf("%s: %d %q %v", c.name, a.Status, a.Body, err)
		}
	}
}

// Whoever gives up is free at once, whatever the other side does.
func TestExchangeEnds(t *testing.T) {
	rest := make(chan struct{})
	s := pair(t, func(net.Conn) { <-rest })
	defer close(rest)
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("late")
	timer := time.AfterFunc(20*time.Millisecond, func() { cancel(late) })
	defer timer.Stop()
	m := &message{method: "POST", head: []byte("POST / HTTP/1.1\r\n\r\n"), body: make([]byte, 3<<20)}
	done := make(chan error, 1)
	go func() { _, err := s.exchange(ctx, m, 10); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(patience):
		t.Fatal("it still waits")
	}
}

// A session that takes no more streams leaves the request to the next one.
func TestExchangeElsewhere(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	answering := func(c net.Conn) {
		headOf(c)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 204 No Content\r\n\r\n")
	}
	leaving, staying := pair(t, answering), pair(t, answering)
	if err := leaving.mux.Close(); err != nil {
		t.Fatal(err)
	}
	h := on.hub
	h.mu.Lock()
	h.tenants[on.tenant.ID]["web"].sessions = []*session{leaving, staying}
	h.mu.Unlock()
	m := &message{method: "GET", head: []byte("GET / HTTP/1.1\r\n\r\n")}
	for range 4 {
		if a, err := h.exchange(t.Context(), on.tenant.ID, "web", m, 10); err != nil || a.Status != 204 {
			t.Errorf("%+v %v", a, err)
		}
	}
	if err := h.try(t.Context(), on.tenant.ID, "web", func(s *session) error { s.release(); return errUnsent }); !errors.Is(err, ErrOffline) {
		t.Errorf("%v", err)
	}
	if n := leaving.busy.Load() + staying.busy.Load(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
	h.mu.Lock()
	h.tenants[on.tenant.ID]["web"].sessions = nil
	h.mu.Unlock()
}

// sizes notes how much is written at once.
type sizes struct{ most, all int }

func (s *sizes) Write(p []byte) (int, error) {
	s.most, s.all = max(s.most, len(p)), s.all+len(p)
	return len(p), nil
}

func TestWriteChunks(t *testing.T) {
	for _, n := range []int{0, 1, chunk, chunk + 1, 10*chunk + 7} {
		var s sizes
		if err := writeChunks(&s, make([]byte, n)); err != nil || s.all != n || s.most > chunk {
			t.Errorf("%d: %+v, %v", n, s, err)
		}
	}
}
