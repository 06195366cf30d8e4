package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// binServer is a server with a bin of requests numbered from 1. Its streams end after some requests.
type binServer struct {
	mu    sync.Mutex
	last  int64
	cut   int // requests of one stream
	fail  []int
	seen  []string // Last-Event-ID of each stream
	calls []string
}

func (s *binServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
	switch {
	case r.URL.Path == "/v1/bins/box":
		_ = json.NewEncoder(w).Encode(Bin{ID: "1", Stats: &BinStats{Last: s.last}}) //nolint:errchkjson // plain
	case strings.HasSuffix(r.URL.Path, "/stream"):
		s.stream(w, r)
	case strings.HasSuffix(r.URL.Path, "/raw"):
		_, _ = w.Write([]byte("GET / HTTP/1.1\r\n\r\n\xff"))
	case strings.HasSuffix(r.URL.Path, "/export"):
		_, _ = fmt.Fprint(w, r.URL.Query().Get("format"), " ", r.URL.Query().Get("query"))
	case r.URL.Query().Has("wait"):
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":"not_held","status":409}`))
	}
}

// stream is called with the lock held.
func (s *binServer) stream(w http.ResponseWriter, r *http.Request) {
	s.seen = append(s.seen, r.Header.Get("Last-Event-ID"))
	if len(s.fail) > 0 {
		status := s.fail[0]
		s.fail = s.fail[1:]
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", typeEvents)
	after, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	_, _ = fmt.Fprint(w, ": connected\n\nevent: other\ndata: x\n\nevent: change\ndata: {\"seqs\":[1],\"note\":\"\"}\n\n")
	for seq := max(1, after); seq <= min(s.last, after+int64(s.cut)); seq++ { // begins with one that was given before
		text := "body " + strconv.FormatInt(seq, 10)
		line, _ := json.Marshal(BinRequest{Seq: seq, Body: &text}) //nolint:errchkjson // plain
		_, _ = fmt.Fprintf(w, "id: %d\nevent: request\ndata: %s\n\n", seq, line)
	}
	s.last += 2
}

func newBinClient(t *testing.T, s *binServer) *BinHandle {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := New(server.URL, "key", WithHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return c.Bin("box")
}

// TestBinWatch gets each request once and in order, over streams that end and fail.
func TestBinWatch(t *testing.T) {
	t.Parallel()
	s := &binServer{last: 5, cut: 3, fail: []int{503}}
	b := newBinClient(t, s)
	next := int64(1)
	for r, err := range b.Watch(t.Context(), -1) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := r.Content()
		if err != nil || r.Seq != next || string(body) != "body "+strconv.FormatInt(next, 10) {
			t.Fatalf("got %d %q %v, want %d", r.Seq, body, err, next)
		}
		if next++; next == 8 {
			break
		}
	}
	if got := strings.Join(s.seen, " "); got != "0 0 3 6" {
		t.Errorf("Last-Event-ID: %s", got)
	}
	s.last = 20
	for r, err := range b.Watch(t.Context(), 0) { // what comes after the call
		if err != nil || r.Seq != 21 {
			t.Errorf("%d %v", r.Seq, err)
		}
		break
	}
}

// TestBinFollowAgain says that a connection was made again, when changes may have been missed.
func TestBinFollowAgain(t *testing.T) {
	t.Parallel()
	s := &binServer{last: 3, cut: 3}
	b := newBinClient(t, s)
	var got []string
	for n, err := range b.Follow(t.Context(), -1, MaxBody(0)) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n.Again:
			got = append(got, "again")
		case n.Change != nil:
			got = append(got, "change")
		default:
			got = append(got, strconv.FormatInt(n.Request.Seq, 10))
		}
		if len(got) == 7 {
			break
		}
	}
	if text := strings.Join(got, " "); text != "change 1 2 3 again change 4" {
		t.Errorf("got %s", text)
	}
	if s.calls[0] != "GET /v1/bins/box/stream?max_body=0" {
		t.Errorf("asked for %s", s.calls[0])
	}
}

// TestBinFollowHears: a connection that told of changes only was a good one, so the next is tried soon.
func TestBinFollowHears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{stream: slices.Repeat([]respond{sse(io.EOF, "event: change\ndata: {\"seqs\":[1],\"deleted\":true}\n\n")}, 8)}
		changes := 0
		for n, err := range f.client(t).Bin("box").Follow(t.Context(), -1) {
			if err != nil {
				t.Fatal(err)
			}
			if n.Change != nil {
				changes++
			}
			if changes == 8 {
				break
			}
		}
		for i := range 7 {
			if took := f.at[i+1].Sub(f.at[i]); took > time.Second {
				t.Errorf("wait %d was %v", i, took)
			}
		}
	})
}

// TestBinWatchEnds tells what trying again would not mend, and ends with its context.
func TestBinWatchEnds(t *testing.T) {
	t.Parallel()
	s := &binServer{last: 5, cut: 3, fail: []int{404}}
	b := newBinClient(t, s)
	n := 0
	for _, err := range b.Watch(t.Context(), 1) {
		n++
		if p, ok := errors.AsType[*Problem](err); !ok || p.Status != http.StatusNotFound {
			t.Errorf("%v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range b.Watch(ctx, 1) {
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if n != 1 || len(s.seen) < 2 {
		t.Errorf("%d items, %d streams", n, len(s.seen))
	}
}

func TestBinCalls(t *testing.T) {
	t.Parallel()
	s := &binServer{}
	b := newBinClient(t, s)
	ctx := t.Context()
	if raw, err := b.Raw(ctx, "latest"); err != nil || string(raw) != "GET / HTTP/1.1\r\n\r\n\xff" {
		t.Errorf("raw: %q %v", raw, err)
	}
	var out strings.Builder
	if err := b.Export(ctx, &out, "har", Search("a b")); err != nil || out.String() != "har a b" {
		t.Errorf("export: %q %v", out.String(), err)
	}
	if r, err := b.Next(ctx, 7, time.Second); r != nil || err != nil {
		t.Errorf("next: %v %v", r, err)
	}
	err := b.Answer(ctx, "1", BinAnswer{Status: 200})
	if p, ok := errors.AsType[*Problem](err); !ok || p.Code != "not_held" {
		t.Errorf("answer: %v", err)
	}
	if _, err := b.File(ctx, "a/b", 2); err == nil {
		t.Error("file: no error")
	}
	want := "GET /v1/bins/box/requests/latest/raw,GET /v1/bins/box/export?format=har&query=a+b,GET /v1/bins/box/requests/latest?after=7&wait=1s," +
		"POST /v1/bins/box/requests/1/answer,GET /v1/bins/box/requests/a%2Fb/files/2"
	if got := strings.Join(s.calls, ","); got != want {
		t.Errorf("calls:\n%s\n%s", got, want)
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "0s": 0, "0d": 0, "365d": 8760 * time.Hour, "1d0s": 24 * time.Hour,
	} {
		var d Lifetime
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %s %v", text, time.Duration(d), err)
		}
		var again Lifetime
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s is written as %s, which is %s, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "7", "1d-1h", "12h1d", "999999d", "1dd", "1w"} {
		var d Lifetime
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %s", text, d)
		}
	}
}
