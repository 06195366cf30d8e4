package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestLiveView(t *testing.T) {
	c, out, _ := testConsole(t)
	v := newLiveView(c)
	start := time.Now()
	for n, id := range []string{"a", "b", "c"} {
		v.sent(id, n+1, start)
	}
	v.failed("c")
	for w := range wayCount {
		v.arrived(w, "a", start.Add(time.Duration(w+1)*time.Millisecond))
		v.arrived(w, "a", start.Add(time.Hour)) // once more: a webhook that was sent again
		v.arrived(w, "c", start.Add(time.Second))
		v.arrived(w, "unknown", start)
	}
	v.arrived(waySSE, "b", start.Add(9*time.Millisecond))
	v.state(waySSE, true)
	if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "event 1  webhook 1.0 ms  WebSocket 2.0 ms  server-sent events 3.0 ms  long poll 4.0 ms") {
		t.Errorf("an event that has arrived by all ways is not one line: %q", s)
	}
	out.Reset()
	v.end()
	got := strings.Join(strings.Fields(out.String()), " ")
	want := "WAY LAST MEDIAN P99 EVENTS STATE webhook 1.0 ms 1.0 ms 1.0 ms 1 listening WebSocket 2.0 ms 2.0 ms 2.0 ms 1 waiting for the server " +
		"server-sent events 9.0 ms 3.0 ms 9.0 ms 2 listening long poll 4.0 ms 4.0 ms 4.0 ms 1 waiting for the server"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	v.arrived(wayPoll, "b", start.Add(time.Second))
	if len(v.delays[wayPoll]) != 1 {
		t.Error("the figures change after the end")
	}
}

func TestLiveViewOnATerminal(t *testing.T) {
	c, out, _ := testConsole(t)
	c.terminal = true
	v := newLiveView(c)
	v.draw()
	v.draw()
	if s := out.String(); strings.Count(s, "\x1b[5A\x1b[J") != 1 {
		t.Errorf("the table of 5 lines is not written over once: %q", s)
	}
}

// What is kept of events on their way and of arrivals is bounded.
func TestLiveBounds(t *testing.T) {
	c, _, _ := testConsole(t)
	v := newLiveView(c)
	var a arrivals
	for n := range 3000 {
		id := string(rune(n + 1))
		v.sent(id, n, time.Now())
		v.arrived(waySSE, id, time.Now())
		a.add(id, time.Millisecond)
	}
	if len(v.events) > maxDelays || len(v.delays[waySSE]) > maxDelays || len(v.order) > maxDelays || len(a.took) > maxArrivals || len(a.order) > maxArrivals {
		t.Errorf("kept: %d events, %d delays, %d arrivals", len(v.events), len(v.delays[waySSE]), len(a.took))
	}
	if _, ok := a.get(string(rune(3000))); !ok {
		t.Error("the newest arrival is not kept")
	}
}

func TestDemoPages(t *testing.T) {
	d := &liveDemo{restarts: make(chan struct{}, 1)}
	d.arrivals.add("a", 2500*time.Microsecond)
	h := d.pages()
	ask := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("GET", "/demo/arrivals?id=a"); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"delay_ms":2.5}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("GET", "/demo/arrivals?id=b"); w.Code != http.StatusNoContent {
		t.Errorf("%d for an arrival that is not there", w.Code)
	}
	if w := ask("POST", "/demo/restart"); w.Code != http.StatusForbidden || len(d.restarts) != 0 {
		t.Errorf("%d: a page of another origin could restart the server", w.Code)
	}
	for range 2 {
		if w := ask("POST", "/demo/restart", "X-Posthorn-Demo", "restart"); w.Code != http.StatusAccepted || len(d.restarts) != 1 {
			t.Errorf("%d, %d restarts", w.Code, len(d.restarts))
		}
	}
	if w := ask("GET", "/demo/"); w.Code != http.StatusOK {
		t.Errorf("%d for the page", w.Code)
	}
}

func TestDemoLiveUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{"--json": "--json has no effect here", "--rate=0": "--rate must be", "--for=-1s": "--for: must not be negative"} {
		var out, errOut bytes.Buffer
		if status := Run(t.Context(), []string{"demo", "live", args}, strings.NewReader(""), &out, &errOut); status != 2 || !strings.Contains(errOut.String(), want) {
			t.Errorf("%s: status %d, %s", args, status, &errOut)
		}
	}
}

// TestDemoLive: the whole demo for a moment, by all four ways.
func TestDemoLive(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	if status := Run(t.Context(), []string{"demo", "live", "--for", "3s", "--rate", "10"}, strings.NewReader(""), &out, &errOut); status != 0 {
		t.Fatalf("status %d: %s", status, &errOut)
	}
	if s := out.String(); !strings.Contains(s, "/demo/") || !strings.Contains(s, "event 1  webhook ") || strings.Contains(s, "waiting for the server") {
		t.Errorf("it wrote:\n%s", s)
	}
}
