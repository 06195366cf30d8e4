package inbound_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func syncSource() event.Source {
	return event.Source{Name: "a", Provider: "none", Sync: 77, SyncWait: 2 * time.Second, Answer: event.Answer{Status: 202, Body: []byte("later")}}
}

func TestSyncAnswer(t *testing.T) {
	t.Parallel()
	on := newStage(t, syncSource(), nil, nil)
	on.answers = func(*event.Event) (event.Answer, bool) {
		return event.Answer{
			Status: 418, Body: []byte("<b>teapot</b>"),
			Headers: []event.Header{
				{Name: "content-type", Value: "text/html"},
				{Name: "X-A", Value: "1"},
				{Name: "x-a", Value: "2"},
				{Name: "Set-Cookie", Value: "a=b"},
				{Name: "Content-Security-Policy", Value: "default-src *"},
				{Name: "Content-Length", Value: "9999"},
				{Name: "Transfer-Encoding", Value: "chunked"},
				{Name: "Connection", Value: "close"},
			},
		}, true
	}
	w := on.send(t, "POST", "/in/acme/a", "{}")
	h := w.Header()
	if w.Code != 418 || w.Body.String() != "<b>teapot</b>" || h.Get("Content-Type") != "text/html" || len(h["X-A"]) != 2 {
		t.Errorf("%d %v %s", w.Code, h, w.Body)
	}
	if h.Get("Set-Cookie") != "" || strings.Contains(h.Get("Content-Security-Policy"), "*") || h.Get("Content-Length") != "13" || h.Get("Connection") != "" ||
		h.Get("Transfer-Encoding") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", h)
	}
	if e := on.last(t); len(e.ID) != 36 || e.ID[14] != '7' {
		t.Errorf("id %q", e.ID)
	}
	if on.held.Load() != 0 || on.canceled != 1 || len(on.waiting) != 0 {
		t.Errorf("%d held, %d ended, %v", on.held.Load(), on.canceled, on.waiting)
	}
	// Parts with headers of their own set no cookies.
	on.answers = func(*event.Event) (event.Answer, bool) {
		return event.Answer{Status: 200, Headers: []event.Header{{Name: "Content-Type", Value: "Multipart/X-Mixed-Replace; boundary=b"}}, Body: []byte("--b\r\nSet-Cookie: a=b\r\n\r\n")}, true
	}
	if w := on.send(t, "POST", "/in/acme/a", "{}"); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("%v", w.Header())
	}
	// An endpoint that could not be reached answers nothing.
	on.answers = func(*event.Event) (event.Answer, bool) { return event.Answer{Reason: "refused"}, true }
	if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 202 || w.Body.String() != "later" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSyncTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := newStage(t, syncSource(), nil, nil)
		began := time.Now()
		if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 202 || w.Body.String() != "later" || time.Since(began) != 2*time.Second {
			t.Errorf("%d %s after %v", w.Code, w.Body, time.Since(began))
		}
		if len(on.events) != 1 || on.held.Load() != 0 {
			t.Errorf("%d events, %d held", len(on.events), on.held.Load())
		}
	})
}

// TestSyncDuplicate: the endpoint has answered to the first; nobody waits for a second answer.
func TestSyncDuplicate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := syncSource()
		src.Dedupe = event.DedupeBody
		on := newStage(t, src, nil, nil)
		on.answers = func(*event.Event) (event.Answer, bool) { return event.Answer{Status: 201}, true }
		if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 201 {
			t.Errorf("%d", w.Code)
		}
		on.answers = nil
		began := time.Now()
		if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 202 || time.Since(began) != 0 {
			t.Errorf("%d after %v", w.Code, time.Since(began))
		}
	})
}

func TestSyncBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := newStage(t, syncSource(), nil, nil)
		done := make(chan int)
		for range most {
			go func() { done <- on.send(t, "POST", "/in/acme/a", "{}").Code }()
		}
		synctest.Wait()
		w := on.send(t, "POST", "/in/acme/a", "{}")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || len(on.events) != most {
			t.Errorf("%d, %d events", w.Code, len(on.events))
		}
		if s := on.state(t, "a"); s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		for range most {
			if code := <-done; code != 202 {
				t.Errorf("%d", code)
			}
		}
		if w := on.send(t, "POST", "/in/acme/a", "{}"); w.Code != 202 {
			t.Errorf("%d", w.Code)
		}
	})
}

func TestSyncCallerGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := newStage(t, syncSource(), nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			on.h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "POST", "/in/acme/a", http.NoBody))
		}()
		synctest.Wait()
		cancel()
		<-done
		if on.held.Load() != 0 || len(on.waiting) != 0 || len(on.events) != 1 {
			t.Errorf("%d held", on.held.Load())
		}
	})
}

func TestTunnelAnswers(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "tunnelled", Provider: "none"}, nil, nil)
	on.answers = func(*event.Event) (event.Answer, bool) {
		return event.Answer{Status: 203, Body: []byte("laptop")}, true
	}
	if w := on.send(t, "POST", "/in/acme/tunnelled", "{}"); w.Code != 200 {
		t.Errorf("away: %d", w.Code)
	}
	on.tunnel = 5
	if w := on.send(t, "POST", "/in/acme/tunnelled", "{}"); w.Code != 203 || w.Body.String() != "laptop" {
		t.Errorf("connected: %d %s", w.Code, w.Body)
	}
}

// TestTunnelBusy: when too many callers wait, events for a tunnel are taken without one more.
func TestTunnelBusy(t *testing.T) {
	t.Parallel()
	on := newStage(t, event.Source{Name: "tunnelled", Provider: "none"}, nil, nil)
	on.tunnel = 5
	on.held.Store(most)
	if w := on.send(t, "POST", "/in/acme/tunnelled", "{}"); w.Code != 200 || len(on.events) != 1 {
		t.Errorf("%d, %d events", w.Code, len(on.events))
	}
}
