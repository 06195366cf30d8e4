package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// heads starts a server whose answers are the heads of the requests.
func heads(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	std := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(Head(r))
	})
	s := New(context.Background(), echo{}, std, 1<<10, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-done); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// The head of every request of a connection is what was sent: order, case, repetitions and space kept, whatever came before.
func TestHeadIsAsItWasSent(t *testing.T) {
	first := "POST /b/x?q=%20a HTTP/1.1\r\nhOsT:  example.com \r\nX-B: 2\r\nx-a: 1\r\nX-B: 1\r\nContent-Length: 5\r\n"
	chunked := "PUT /b/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Z: z\r\nA: a\r\n"
	large := "POST /in/a/b HTTP/1.1\r\nHost: x\r\nz: 1\r\nContent-Length: 100000\r\nB: " + strings.Repeat("b", 20_000) + "\r\n"
	c := dial(t, heads(t))
	for i, req := range []struct{ head, body string }{
		{first, "hello"},
		{chunked, "3\r\nabc\r\n0\r\n\r\n"},
		{large, strings.Repeat("x", 100_000)},
		{"GET /b/y HTTP/1.1\r\nHost: x\r\nlast: 1\r\n", ""},
		{first, "again"},
	} {
		if status, got := c.ask(t, req.head+"\r\n"+req.body); status != http.StatusOK || got != req.head {
			t.Errorf("request %d: answer %d %q, want %q", i, status, got, req.head)
		}
	}
}

// A connection that published before it moved over keeps the head of the request that it moved with.
func TestHeadOfAMovedConnection(t *testing.T) {
	c := dial(t, heads(t))
	c.ask(t, publish)
	for _, head := range []string{"POST /b/x HTTP/1.1\r\nz-last: 1\r\nHost: x\r\ncontent-length: 2\r\nA-First: 2\r\n", "DELETE /b/x HTTP/1.1\r\nb: 1\r\nHost: x\r\nContent-Length: 2\r\n"} {
		if status, got := c.ask(t, head+"\r\nhi"); status != http.StatusOK || got != head {
			t.Errorf("answer %d %q, want %q", status, got, head)
		}
	}
}

// Lines that end in a bare LF are read as net/http reads them.
func TestHeadWithBareLineEnds(t *testing.T) {
	_, got := dial(t, heads(t)).ask(t, "GET /b/x HTTP/1.1\nHost: x\nb: 1\na: 2\n\n")
	if want := "GET /b/x HTTP/1.1\r\nHost: x\r\nb: 1\r\na: 2\r\n"; got != want {
		t.Errorf("head %q, want %q", got, want)
	}
}

// Requests that are sent before the answers to earlier ones have a head, too: their own, and whole.
func TestHeadOfPipelinedRequests(t *testing.T) {
	c := dial(t, heads(t))
	var all bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&all, "POST /b/%d HTTP/1.1\r\nHost: x\r\nX-N: %d\r\nContent-Length: 1\r\n\r\n%d", i, i, i%10)
	}
	if _, err := c.Write(all.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		_, got := c.answer(t)
		if !strings.HasPrefix(got, fmt.Sprintf("POST /b/%d HTTP/1.1\r\n", i)) || !strings.Contains(got, fmt.Sprintf("X-N: %d\r\n", i)) || !strings.HasSuffix(got, "\r\n") {
			t.Errorf("request %d: head %q", i, got)
		}
	}
}

// A body that looks like the head of its own request is not taken for it, whatever was sent together.
func TestHeadIsNotForged(t *testing.T) {
	c := dial(t, heads(t))
	forged := "POST /b/2 HTTP/1.1\r\nHost: x\r\nX-Forged: 1\r\n\r\n"
	true2 := fmt.Sprintf("POST /b/2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-True: 1\r\n", len(forged))
	c.ask(t, "GET /b/1 HTTP/1.1\r\nHost: x\r\n\r\n"+true2+"\r\n")
	if _, got := c.ask(t, forged); got != true2 {
		t.Errorf("head %q, want %q", got, true2)
	}
}

// What net/http takes out of the headers, or adds to them, stays as it was sent.
func TestHeadWithWhatIsTakenOut(t *testing.T) {
	c := dial(t, heads(t))
	for _, head := range []string{
		"GET /b/x HTTP/1.1\r\npragma: no-cache\r\nHost: x\r\n",
		"GET /b/x HTTP/1.1\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nHost: x\r\n",
		"GET http://y/b/x HTTP/1.1\r\nz: \r\nHost: x\r\n",
	} {
		if status, got := c.ask(t, head+"\r\n"); status != http.StatusOK || got != head {
			t.Errorf("answer %d %q, want %q", status, got, head)
		}
	}
	trailed := "POST /b/x HTTP/1.1\r\nz: 1\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nHost: x\r\n"
	if status, got := c.ask(t, trailed+"\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"); status != http.StatusOK || got != trailed {
		t.Errorf("answer %d %q, want %q", status, got, trailed)
	}
}

// A first byte that was read while the answer before was under way belongs to the next request.
func TestRecorderReadAhead(t *testing.T) {
	var c recorder
	c.saw([]byte("GET /b/1 HTTP/1.1\r\nA: 1\r\n\r"), 4096)
	c.saw([]byte("\n"), 4096)
	c.saw([]byte("G"), 1)
	if want := "GET /b/1 HTTP/1.1\r\nA: 1\r\n"; string(c.head) != want || !c.done {
		t.Fatalf("head %q, %v", c.head, c.done)
	}
	c.next()
	c.saw([]byte("ET /b/2 HTTP/1.1\r\nB: 2\r\n\r\nbody"), 4096)
	if want := "GET /b/2 HTTP/1.1\r\nB: 2\r\n"; string(c.head) != want || !c.done {
		t.Fatalf("head %q, %v", c.head, c.done)
	}
	c.next()
	c.saw([]byte("GET /v1/tenants HTTP/1.1\r\nAuthorization: Bearer s\r\n\r\n"), 4096)
	if c.head != nil || !c.done {
		t.Errorf("of a request of the API was kept %q", c.head)
	}
}

// Of HTTP/2 a head is made.
func TestHeadOfHTTP2(t *testing.T) {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+heads(t)+"/b/x?a=b", strings.NewReader("hi"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-B": {"1", "2"}, "A": {"3"}, "User-Agent": {"t"}}
	req.Host = "example.com"
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	want := "POST /b/x?a=b HTTP/2.0\r\nHost: example.com\r\nA: 3\r\nAccept-Encoding: gzip\r\nContent-Length: 2\r\nUser-Agent: t\r\nX-B: 1\r\nX-B: 2\r\n"
	if string(got) != want {
		t.Errorf("head %q, want %q", got, want)
	}
}
