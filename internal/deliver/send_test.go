package deliver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
)

func loopbackSender(tb testing.TB, roots *x509.CertPool) *HTTPSender {
	tb.Helper()
	s := NewHTTPSender(guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil), roots)
	tb.Cleanup(s.Close)
	return s
}

func request(url string, timeout time.Duration) *Request {
	uri, err := parseURL(url)
	if err != nil {
		panic(err)
	}
	return &Request{
		URL: url, uri: uri, ContentType: "application/json", UserAgent: "Posthorn/test", Body: []byte(`{"a":1}`), Timeout: timeout,
		Headers: []event.Header{{Name: "x-custom", Value: "c"}}, Own: []event.Header{{Name: "webhook-id", Value: "id1"}},
	}
}

// raw serves connections with a function, for answers that no HTTP server gives.
func raw(t *testing.T, f func(c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String() + "/hook"
}

func TestSendsWhatItIsGiven(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Answer", "yes")
		w.Header().Set("Set-Cookie", "secret=1")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, strings.Repeat("y", 10_000))
	}))
	defer server.Close()
	a := loopbackSender(t, nil).Send(request(server.URL+"/a%2Fb/../c?q=1%20", time.Second))
	if a.Status != http.StatusAccepted || a.failure != failureNone {
		t.Fatalf("answer %+v", a)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/a%2Fb/../c?q=1%20" || string(body) != `{"a":1}` {
		t.Errorf("%s %s %s", got.Method, got.RequestURI, body)
	}
	for k, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "Posthorn/test", "X-Custom": "c", "Webhook-Id": "id1"} {
		if got.Header.Get(k) != want {
			t.Errorf("header %s: %q, want %q", k, got.Header.Get(k), want)
		}
	}
	if len(a.Body) != event.MaxAnswerKept {
		t.Errorf("%d bytes of the answer kept, want %d", len(a.Body), event.MaxAnswerKept)
	}
	if !slices.Contains(a.Headers, event.Header{Name: "X-Answer", Value: "yes"}) || slices.ContainsFunc(a.Headers, func(h event.Header) bool { return h.Name == "Set-Cookie" }) {
		t.Errorf("headers kept: %v", a.Headers)
	}
}

func TestDoesNotFollowRedirects(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	if a := loopbackSender(t, nil).Send(request(server.URL, time.Second)); a.Status != http.StatusTemporaryRedirect || asked != 1 {
		t.Errorf("status %d after %d requests", a.Status, asked)
	}
}

func TestHostileAnswers(t *testing.T) {
	head := func(r *bufio.Reader) { _, _ = http.ReadRequest(r) }
	tests := []struct {
		name    string
		serve   func(c net.Conn, r *bufio.Reader)
		status  int
		failure failure
	}{
		{"slow drip of the headers", func(c net.Conn, r *bufio.Reader) {
			head(r)
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("z", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil || !sleep(context.Background(), 20*time.Millisecond) {
					return
				}
			}
		}, 0, failureTimeout},
		{"slow drip of the body", func(c net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for {
				if _, err := c.Write([]byte{'x'}); err != nil || !sleep(context.Background(), 20*time.Millisecond) {
					return
				}
			}
		}, 0, failureTimeout},
		{"endless body", func(c net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				if _, err := io.WriteString(c, "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n"); err != nil {
					return
				}
			}
		}, http.StatusOK, failureNone},
		{"large body announced", func(c net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 100000000\r\n\r\nx")
		}, http.StatusInternalServerError, failureNone},
		{"endless headers", func(c net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-Y: "+strings.Repeat("x", 4000)+"\r\n"); err != nil {
					return
				}
			}
		}, 0, failureProtocol},
		{"not HTTP", func(c net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(c, "220 smtp ready\r\n\r\n")
		}, 0, failureProtocol},
		{"closed without an answer", func(_ net.Conn, r *bufio.Reader) { head(r) }, 0, failureConnect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			a := loopbackSender(t, nil).Send(request(raw(t, tt.serve), 300*time.Millisecond))
			if a.Status != tt.status || a.failure != tt.failure {
				t.Errorf("status %d, failure %d (%s); want %d, %d", a.Status, a.failure, a.reason, tt.status, tt.failure)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v with a timeout of 300 ms", took)
			}
		})
	}
}

func TestRefusesAddressesAndCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	server.Config.ErrorLog = nil
	if a := loopbackSender(t, nil).Send(request(server.URL, time.Second)); a.failure != failureTLS || event.CauseOf(a.reason) != event.CauseCertificate {
		t.Errorf("a certificate of nobody: failure %d (%s)", a.failure, a.reason)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if a := loopbackSender(t, roots).Send(request(server.URL, time.Second)); a.Status != http.StatusOK {
		t.Errorf("a trusted certificate: status %d (%s)", a.Status, a.reason)
	}
	closed := NewHTTPSender(guard.New(nil, nil), nil)
	for _, url := range []string{server.URL, "http://127.0.0.1:1", "http://localhost:1", "http://[::ffff:127.0.0.1]:1", "http://0x7f000001:1"} {
		if a := closed.Send(request(url, time.Second)); a.failure != failureForbidden && a.failure != failureConnect || a.Status != 0 {
			t.Errorf("%s: failure %d (%s)", url, a.failure, a.reason)
		}
	}
	if a := closed.Send(request("http://127.0.0.1:1", time.Second)); a.failure != failureForbidden || event.CauseOf(a.reason) != event.CauseForbidden {
		t.Errorf("loopback: failure %d (%s)", a.failure, a.reason)
	}
	if a := loopbackSender(t, nil).Send(request("http://127.0.0.1:1", time.Second)); a.failure != failureConnect || a.reason != "connection refused" || event.CauseOf(a.reason) != event.CauseRefused {
		t.Errorf("refused: failure %d (%s)", a.failure, a.reason)
	}
}

// A kept connection that the other side has closed meanwhile does not count as a failure.
func TestStaleConnection(t *testing.T) {
	requests := make(chan struct{}, 10)
	url := raw(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		requests <- struct{}{}
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n") // and closes, without having said so
	})
	s := loopbackSender(t, nil)
	for range 3 {
		if a := s.Send(request(url, time.Second)); a.Status != http.StatusNoContent {
			t.Fatalf("failure %d (%s)", a.failure, a.reason)
		}
		<-requests
	}
}

// A receiver that closes all its idle connections at once does not count as a failure either.
func TestStaleConnections(t *testing.T) {
	const many = 8
	var arrived sync.WaitGroup
	arrived.Add(many)
	url := raw(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		arrived.Done()
		arrived.Wait()                                              // so that each of the first requests has a connection of its own
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n") // and closes, without having said so
	})
	s := loopbackSender(t, nil)
	var sent sync.WaitGroup
	for range many {
		sent.Go(func() {
			if a := s.Send(request(url, 10*time.Second)); a.Status != http.StatusNoContent {
				t.Errorf("failure %d (%s)", a.failure, a.reason)
			}
		})
	}
	sent.Wait()
	arrived.Add(1)
	if a := s.Send(request(url, 10*time.Second)); a.Status != http.StatusNoContent {
		t.Errorf("after all were closed: failure %d (%s)", a.failure, a.reason)
	}
}

// BenchmarkSend compares the sender with net/http at the same POST over 16 connections to the same sink. The figure is the
// CPU time of client and sink together.
func BenchmarkSend(b *testing.B) {
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	sink := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}
	go func() { _ = sink.Serve(ln) }()
	defer func() { _ = sink.Shutdown() }()
	url, body := "http://"+ln.Addr().String()+"/hook", bytes.Repeat([]byte("x"), 700)
	bench := func(name string, send func() int) {
		b.Run(name, func(b *testing.B) {
			before := rusage(b)
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if status := send(); status != http.StatusOK {
						b.Errorf("status %d", status)
						return
					}
				}
			})
			b.ReportMetric(float64((rusage(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	s := loopbackSender(b, nil)
	bench("fasthttp", func() int {
		r := request(url, 30*time.Second)
		r.Body = body
		return s.Send(r).Status
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	bench("nethttp", func() int {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return 0
		}
		res, err := client.Do(r)
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	})
}

func rusage(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
