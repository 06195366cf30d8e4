package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// growing is a server whose log grows by one event a millisecond up to an end, over a real network. Of its answers some
// are cut in the middle.
type growing struct {
	end  int64
	cut  float64 // the chance of a cut before an event
	hold bool    // keep server-sent events back, as a proxy does

	mu   sync.Mutex
	head int64
}

func (g *growing) grow(ctx context.Context) {
	for g.at() < g.end && sleep(ctx, time.Millisecond) == nil {
		g.mu.Lock()
		g.head++
		g.mu.Unlock()
	}
}

func chance() float64 { return rand.Float64() } //nolint:gosec // where to cut is no secret

func (g *growing) at() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.head
}

func (g *growing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
	if r.URL.Path == "/v1/tenants/acme/changes" {
		out := Changes{Changes: []Event{}, Next: max(start, 1)}
		for out.Head = g.at(); out.Head < start && sleep(r.Context(), time.Millisecond) == nil; {
			out.Head = g.at()
		}
		for ; out.Next <= out.Head; out.Next++ {
			out.Changes = append(out.Changes, Event{Type: "a", Version: out.Next})
		}
		body, _ := json.Marshal(out) //nolint:errchkjson // plain
		if chance() < 20*g.cut {
			_, _ = w.Write(body[:len(body)/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if g.hold {
		<-r.Context().Done()
		return
	}
	c := http.NewResponseController(w)
	_, _ = fmt.Fprintf(w, "retry: 1\nid: %d\n\n", start-1)
	_ = c.Flush()
	for v := start; ; v++ {
		for v > g.at() {
			if sleep(r.Context(), time.Millisecond) != nil {
				return
			}
		}
		block := from(v, v)
		if chance() < g.cut {
			_, _ = io.WriteString(w, block[:int(chance()*float64(len(block)))])
			_ = c.Flush()
			panic(http.ErrAbortHandler)
		}
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
		_ = c.Flush()
	}
}

// listen serves g and returns a client with its own transport.
func (g *growing) listen(t *testing.T, http2 bool) *Client {
	t.Helper()
	srv := httptest.NewUnstartedServer(g)
	srv.EnableHTTP2 = http2
	if http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var grows sync.WaitGroup
	grows.Go(func() { g.grow(ctx) })
	t.Cleanup(func() {
		cancel()
		grows.Wait()
		srv.Client().CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	c, err := New(srv.URL, "key", WithHTTPClient(srv.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStreamOverNetwork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		http2 bool
		via   Transport
	}{
		"HTTP/1.1":       {via: TransportSSE},
		"HTTP/2":         {http2: true, via: TransportSSE},
		"polls":          {via: TransportPoll},
		"polls, HTTP/2":  {http2: true, via: TransportPoll},
		"whatever comes": {via: TransportAuto},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const last = 1000
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			g := &growing{end: last, cut: 0.02}
			s := g.listen(t, c.http2).Stream("acme", Start(1), Via(c.via), Backoff(time.Millisecond, 20*time.Millisecond))
			got, err := take(ctx, s, last)
			if err != nil || !slices.Equal(got, upTo(last)) {
				t.Errorf("%d events, %v", len(got), err)
			}
		})
	}
}

// Against a proxy that holds answers back.
func TestStreamOverBufferingProxy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := &growing{end: 100, hold: true}
	soon := streamOption(func(c *streamConfig) { c.patience = 50 * time.Millisecond })
	got, err := take(ctx, g.listen(t, false).Stream("acme", Start(1), soon), 100)
	if err != nil || !slices.Equal(got, upTo(100)) {
		t.Errorf("%d events, %v", len(got), err)
	}
}
