package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/sqlite"
)

// BenchmarkCatchUp measures how fast one listener gets what it has missed: LIVE_EVENTS events (200,000) of about 500 bytes each,
// from the store over server-sent events to a client in the same process.
func BenchmarkCatchUp(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("LIVE_EVENTS"))
	if err != nil {
		n = 200_000
	}
	s, err := sqlite.Open(b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a benchmark's
	tenant, err := s.PutTenant(b.Context(), event.Tenant{Name: "acme"}, 0)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := 0; i < n; {
		batch := make([]event.Event, min(1000, n-i))
		for k := range batch {
			i++
			batch[k] = event.Event{
				ID: fmt.Sprintf("018f0000-0000-7000-8000-%012d", i), Source: "/acme", Type: "order.paid", Subject: "order/" + strconv.Itoa(i%1000), Time: now,
				Data: fmt.Appendf(nil, `{"n":%d,"pad":"%0300d"}`, i, 1),
			}
		}
		if _, err := s.Append(b.Context(), now, store.AppendRequest{Tenant: tenant.ID, Events: batch}); err != nil {
			b.Fatal(err)
		}
	}
	h, err := live.New(live.Config{
		Log: liveLog{s}, Limits: event.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), MaxStreams: 9, MaxPerTenant: 9, MaxPerToken: 9,
		MaxPerAddress: 9, MaxPolls: 9, KeepAlive: 15 * time.Second, WriteTimeout: 30 * time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = h.Stream(w, r, live.Listener{Tenant: &tenant, Key: &event.APIKey{ID: 1}, Start: 1})
	})}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()                   //nolint:errcheck // a benchmark's
	defer h.Shutdown(context.Background()) //nolint:errcheck // a benchmark's
	b.ResetTimer()
	var took time.Duration
	for range b.N {
		took += catchUp(b, ln.Addr().String(), n)
	}
	b.ReportMetric(float64(n*b.N)/took.Seconds(), "events/s")
}

// catchUp reads n events and returns how long it took.
func catchUp(b *testing.B, addr string, n int) time.Duration {
	b.Helper()
	c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a benchmark's
	start := time.Now()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 256<<10)
	mark := []byte("event: o")
	for got, kept := 0, 0; got < n; {
		k, err := c.Read(buf[kept:])
		if err != nil {
			b.Fatalf("after %d: %v", got, err)
		}
		got += bytes.Count(buf[:kept+k], mark)
		// A mark may be cut in two; a whole one at the very end is not counted again.
		keep := min(len(mark)-1, kept+k)
		kept = copy(buf, buf[kept+k-keep:kept+k])
	}
	return time.Since(start)
}
