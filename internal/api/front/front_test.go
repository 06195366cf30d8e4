package front

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/api/rest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps a clock for its Date header, and sweeps its worker pool, for as long as the process lives.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// echo answers a publish with what it was given.
type echo struct{}

func (echo) Publish(_ context.Context, r rest.PublishRequest) rest.PublishResponse {
	status := http.StatusAccepted
	if strings.HasSuffix(string(r.Body), "fail") {
		status = http.StatusInternalServerError
	}
	if r.Repeated != "" {
		return rest.PublishResponse{Status: http.StatusBadRequest, ContentType: "text/plain", Body: []byte("repeated " + r.Repeated)}
	}
	headers := ""
	if r.Headers != nil {
		for k, v := range r.Headers {
			if strings.HasPrefix(strings.ToLower(k), "ce-") {
				headers += strings.ToLower(k) + "=" + v + ";"
			}
		}
	}
	return rest.PublishResponse{
		Status: status, ContentType: "text/plain", RetryAfter: "7", RequestID: "id", AllowOrigin: r.Origin,
		Body: []byte(strings.Join([]string{"fast", r.Tenant, r.Authorization, r.ContentType, r.IdempotencyKey, r.Query, r.SpecVersion, string(r.Body)}, "|") + headers),
	}
}

func (echo) TooLarge(tenant, origin string) rest.PublishResponse {
	return rest.PublishResponse{
		Status: http.StatusRequestEntityTooLarge, ContentType: "text/plain", Body: []byte("too large for " + tenant), AllowOrigin: origin,
	}
}

// start serves on a free port, and stops at the end of the test.
func start(tb testing.TB) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	std := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, "std|%s|%s|%s|%s", r.Method, r.URL, r.Header.Get("X-Test"), body)
	})
	s := New(context.Background(), echo{}, std, 1<<10, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return ln.Addr().String()
}

// conn is one connection, over which requests are written as they are.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &conn{c, bufio.NewReader(c)}
}

func (c *conn) ask(t *testing.T, raw string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	return c.answer(t)
}

func (c *conn) answer(t *testing.T) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

const publish = "POST /v1/tenants/acme/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

func TestEachRequestFindsItsServer(t *testing.T) {
	addr := start(t)
	get := "GET /v1/tenants/acme/events?limit=2 HTTP/1.1\r\nHost: x\r\nX-Test: a\r\n\r\n"
	tests := []struct{ name, raw, want string }{
		{"publish", publish, "fast|acme|Bearer k|application/json||||{}"},
		{"other", get, "std|GET|/v1/tenants/acme/events?limit=2|a|"},
		{"query", strings.Replace(publish, "events ", "events?x=1 ", 1), "fast|acme|Bearer k|application/json||x=1||{}"},
		{"chunked", strings.Replace(publish, "Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1), "fast|acme|Bearer k|application/json||||{}"},
		{"escaped path", strings.Replace(publish, "acme", "ac%6de", 1), "std|POST|/v1/tenants/ac%6de/events||{}"},
		{"deeper path", strings.Replace(publish, "events ", "events/1/resend ", 1), "std|POST|/v1/tenants/acme/events/1/resend||{}"},
		{
			"binary mode", strings.Replace(publish, "Content-Type", "ce-specversion: 1.0\r\nCE-id: 7\r\nContent-Type", 1),
			"fast|acme|Bearer k|application/json|||1.0|{}ce-specversion=1.0;ce-id=7;",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := dial(t, addr).ask(t, tt.raw); got != tt.want {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
		})
	}
}

// One connection may be used for everything, pipelined requests included.
func TestConnectionChangesServers(t *testing.T) {
	c := dial(t, start(t))
	for range 3 {
		if _, got := c.ask(t, publish); !strings.HasPrefix(got, "fast|") {
			t.Fatalf("publish answered %q", got)
		}
	}
	patch := "PATCH /v1/x?y=%20 HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nContent-Length: 3\r\n\r\nabc"
	if _, err := io.WriteString(c, publish+patch+publish); err != nil {
		t.Fatal(err)
	}
	if _, got := c.answer(t); !strings.HasPrefix(got, "fast|") {
		t.Fatalf("pipelined publish answered %q", got)
	}
	if _, got := c.answer(t); got != "std|PATCH|/v1/x?y=%20|b|abc" {
		t.Fatalf("other request answered %q", got)
	}
	// From now on net/http has the connection, publishes too.
	if _, got := c.answer(t); got != "std|POST|/v1/tenants/acme/events||{}" {
		t.Fatalf("publish after it answered %q", got)
	}
}

// The request that moves a connection keeps its body, however that was sent.
func TestMovingRequestKeepsItsBody(t *testing.T) {
	addr := start(t)
	const get = "GET /v1/y HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tt := range map[string]struct{ raw, want string }{
		"chunked":      {"POST /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "std|POST|/v1/x|b|abc"},
		"empty chunks": {"POST /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "std|POST|/v1/x|b|"},
		"no body":      {"DELETE /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\n\r\n", "std|DELETE|/v1/x|b|"},
		"get":          {"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\n\r\n", "std|GET|/v1/x|b|"},
		"get, body":    {"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nContent-Length: 3\r\n\r\nabc", "std|GET|/v1/x|b|abc"},
		"get, chunked": {"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "std|GET|/v1/x|b|abc"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.ask(t, publish)
			if _, got := c.ask(t, tt.raw); got != tt.want {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
			if _, got := c.ask(t, get); got != "std|GET|/v1/y||" {
				t.Errorf("the request after it: answer %q", got)
			}
		})
	}
}

// A client that waits to be told to go on before it sends its body is told once.
func TestMovingRequestExpects(t *testing.T) {
	c := dial(t, start(t))
	c.ask(t, publish)
	status, _ := c.ask(t, "POST /v1/x HTTP/1.1\r\nHost: x\r\nX-Test: b\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if status != http.StatusContinue {
		t.Fatalf("status %d", status)
	}
	if status, got := c.ask(t, "abc"); status != http.StatusOK || got != "std|POST|/v1/x|b|abc" {
		t.Errorf("answer %d %q", status, got)
	}
}

func TestBadRequests(t *testing.T) {
	addr := start(t)
	long := strings.Repeat("x", 2<<10)
	tests := []struct {
		name, raw string
		status    int
	}{
		{"body over the limit", strings.Replace(publish, "Content-Length: 2\r\n\r\n{}", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long), 1), http.StatusRequestEntityTooLarge},
		{"headers over the limit", strings.Replace(publish, "Content-Type", "X-Long: "+strings.Repeat("y", 40<<10)+"\r\nContent-Type", 1), http.StatusRequestHeaderFieldsTooLarge},
		{"no length that is one", strings.Replace(publish, "Content-Length: 2", "Content-Length: two", 1), http.StatusBadRequest},
		{"not HTTP", "hello\r\n\r\n", http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, body := dial(t, addr).ask(t, tt.raw); status != tt.status {
				t.Errorf("status %d (%s), want %d", status, body, tt.status)
			}
		})
	}
	t.Run("a failed publish keeps its body", func(t *testing.T) {
		c := dial(t, addr)
		if status, _ := c.ask(t, strings.Replace(publish, "Content-Length: 2\r\n\r\n{}", "Content-Length: 4\r\n\r\nfail", 1)); status != http.StatusInternalServerError {
			t.Errorf("status %d", status)
		}
		if _, got := c.ask(t, publish); !strings.HasSuffix(got, "{}") {
			t.Errorf("answer %q", got)
		}
	})
}

// A header that may be given once is refused when it is repeated, in whatever case; others may be repeated.
func TestRepeatedHeaders(t *testing.T) {
	addr := start(t)
	for header, want := range map[string]string{
		"Authorization: Bearer other":     "repeated Authorization",
		"content-type: application/json":  "repeated Content-Type",
		"IDEMPOTENCY-KEY: b":              "repeated Idempotency-Key",
		"Authorization:":                  "repeated Authorization",
		"Accept: a/b\r\nAccept: */*":      "fast|acme|Bearer k|application/json|a|||{}",
		"X-Test: Authorization: Bearer x": "fast|acme|Bearer k|application/json|a|||{}",
	} {
		t.Run(header, func(t *testing.T) {
			c := dial(t, addr)
			raw := strings.Replace(publish, "Content-Length", "Idempotency-Key: a\r\n"+header+"\r\nContent-Length", 1)
			if _, got := c.ask(t, raw); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			if _, got := c.ask(t, publish); got != "fast|acme|Bearer k|application/json||||{}" {
				t.Errorf("the request after it: answer %q", got)
			}
		})
	}
}

// A request whose end can be taken in two ways is refused, and nothing that follows it is read.
func TestTwoLengths(t *testing.T) {
	addr := start(t)
	const chunk = "2\r\n{}\r\n0\r\n\r\n"
	for name, lengths := range map[string]string{
		"length first":  "content-length: 12\r\nTransfer-Encoding: chunked",
		"chunked first": "Transfer-Encoding: chunked\r\nContent-Length: 2",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			raw := strings.Replace(publish, "Content-Length: 2\r\n\r\n{}", lengths+"\r\n\r\n"+chunk, 1)
			status, body := c.ask(t, raw+publish)
			if status != http.StatusBadRequest || !strings.Contains(body, `"code":"malformed"`) {
				t.Errorf("answer %d %q", status, body)
			}
			if more, err := io.ReadAll(c.r); len(more) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after it: %q, %v", more, err)
			}
		})
	}
}

// The ordinary case costs no allocation.
func TestHeaderFaultsAllocates(t *testing.T) {
	raw := []byte("Host: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\nIdempotency-Key: a\r\nContent-Length: 2\r\n")
	if n := testing.AllocsPerRun(100, func() { headerFaults(raw) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// Connections that are open and silent do not keep Shutdown waiting.
func TestShutdownClosesIdleConnections(t *testing.T) {
	addr := start(t)
	dial(t, addr).ask(t, publish)
	dial(t, addr).ask(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkServers compares the two servers at the same publish, over 64 connections of the same client. The figure is
// the CPU time of client and server together.
func BenchmarkServers(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 700)
	for _, std := range []bool{false, true} {
		name, path := "fasthttp", "/v1/tenants/acme/events"
		if std {
			name, path = "nethttp", "/v1/tenants/acme/other"
		}
		b.Run(name, func(b *testing.B) {
			addr := start(b)
			client := &fasthttp.HostClient{Addr: addr, MaxConns: 64}
			defer client.CloseIdleConnections()
			before := cpu(b)
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				req.SetRequestURI("http://" + addr + path)
				req.Header.SetMethod(http.MethodPost)
				req.SetBodyRaw(body)
				for pb.Next() {
					if err := client.Do(req, res); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// TestPublishCrossOrigin: the page's origin reaches the publish path, and what that says of it the browser.
func TestPublishCrossOrigin(t *testing.T) {
	for _, origin := range []string{"", "https://app.example", "*"} {
		for _, body := range []string{"{}", strings.Repeat("x", 2<<10)} { // the second is over the limit
			c := dial(t, start(t))
			header := ""
			if origin != "" {
				header = "Origin: " + origin + "\r\n"
			}
			if _, err := fmt.Fprintf(c, "POST /v1/tenants/acme/events HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("origin %q: %q", origin, got)
			}
			if credentials := res.Header.Get("Access-Control-Allow-Credentials"); (credentials == "true") != strings.HasPrefix(origin, "https") {
				t.Errorf("origin %q: credentials %q", origin, credentials)
			}
		}
	}
}
