package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// shortListener has no file descriptor left for its first connections.
type shortListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// A server that runs out of file descriptors for a moment goes on when there are some again.
func TestAcceptGoesOnWithoutDescriptors(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	short := &shortListener{Listener: ln}
	short.failures.Store(3)
	s := New(context.Background(), echo{}, http.NotFoundHandler(), 1<<10, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(short) }()
	if status, got := dial(t, ln.Addr().String()).ask(t, publish); status != http.StatusAccepted {
		t.Errorf("answer %d %q", status, got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(s.Shutdown(ctx), <-done); err != nil {
		t.Error(err)
	}
}

// Shutdown also ends connections that have not sent a whole request line, and leaves nothing behind.
func TestShutdownClosesSilentConnections(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(context.Background(), echo{}, http.NotFoundHandler(), 1<<10, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	silent, slow := dial(t, ln.Addr().String()), dial(t, ln.Addr().String())
	if _, err := io.WriteString(slow, "POST /v1/ten"); err != nil {
		t.Fatal(err)
	}
	dial(t, ln.Addr().String()).ask(t, publish) // those before it were accepted
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(s.Shutdown(ctx), <-done); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]*conn{"silent": silent, "slow": slow} {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the %s connection is still open: %v", name, err)
		}
	}
}

// A body is passed on as it came, also one that says it is a form.
func TestFormsAreNotParsed(t *testing.T) {
	form := strings.Replace(publish, "application/json", "multipart/form-data; boundary=b", 1)
	for _, body := range []string{"no form at all", "before\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n"} {
		raw := strings.Replace(form, "Content-Length: 2\r\n\r\n{}", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 1)
		if status, got := dial(t, start(t)).ask(t, raw); status != http.StatusAccepted || !strings.HasSuffix(got, "|"+body) {
			t.Errorf("answer %d %q", status, got)
		}
	}
}

// A client of HTTP/1.0 gets one answer, and the end of the connection; one that asks for it may go on.
func TestOldClients(t *testing.T) {
	old := strings.Replace(publish, "HTTP/1.1", "HTTP/1.0", 1)
	addr := start(t)
	c := dial(t, addr)
	if status, got := c.ask(t, old); status != http.StatusAccepted {
		t.Fatalf("answer %d %q", status, got)
	}
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("after the answer came %q, %v", rest, err)
	}
	c = dial(t, addr)
	c.ask(t, strings.Replace(old, "Host: x", "Host: x\r\nConnection: keep-alive", 1))
	if _, got := c.ask(t, "GET /v1/x HTTP/1.0\r\nHost: x\r\nX-Test: b\r\n\r\n"); got != "std|GET|/v1/x|b|" {
		t.Errorf("answer %q", got)
	}
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("after the second answer came %q, %v", rest, err)
	}
}

// A client that waits to be told to go on is told, and one whose body is too large is refused and its connection closed.
func TestPublishExpects(t *testing.T) {
	addr := start(t)
	expect := strings.Replace(publish, "Content-Length: 2\r\n\r\n{}", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 1)
	c := dial(t, addr)
	if status, _ := c.ask(t, expect); status != http.StatusContinue {
		t.Fatalf("status %d", status)
	}
	if status, got := c.ask(t, "{}"); status != http.StatusAccepted {
		t.Errorf("answer %d %q", status, got)
	}
	c = dial(t, addr)
	status, _ := c.ask(t, strings.Replace(expect, "Content-Length: 2", "Content-Length: 5000", 1))
	if status == http.StatusContinue {
		status, _ = c.answer(t)
	}
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d to a body over the limit", status)
	}
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("after the refusal came %q, %v", rest, err)
	}
}
