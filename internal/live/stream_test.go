package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
)

// everyWatcher runs a test with each way of reading.
func everyWatcher(t *testing.T, f func(t *testing.T, c Config)) {
	for _, goroutines := range []bool{false, true} {
		t.Run(fmt.Sprintf("goroutines=%t", goroutines), func(t *testing.T) {
			c := config(newLog())
			c.goroutines = goroutines
			f(t, c)
		})
	}
}

func TestStreamBegins(t *testing.T) {
	log := newLog()
	addr := serveHub(t, newHub(t, config(log)), rootKey)
	log.append(acme.ID, note("a", ""), note("b", ""), note("c", ""))
	for _, tt := range []struct {
		name, query, headers, want string
	}{
		{"what comes", "", "", "id: 3\n"},
		{"a start", "start=3", "", "id: 2\n"},
		{"Last-Event-ID", "", "Last-Event-ID: 1\r\n", "id: 1\n"},
		{"Last-Event-ID counts before start", "start=1", "Last-Event-ID: 3\r\n", "id: 3\n"},
		{"the next one", "start=4", "", "id: 3\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := openStream(t, addr, tt.query, tt.headers)
			h := r.head.Header
			if h.Get("Content-Type") != "text/event-stream; charset=utf-8" || h.Get("Cache-Control") != "no-cache, no-transform" ||
				h.Get("X-Accel-Buffering") != "no" || h.Get("X-Request-Id") != "r1" || h.Get("Date") == "" {
				t.Errorf("headers %v", h)
			}
			if got, err := r.next(); got != "retry: 2000\n"+tt.want || err != nil {
				t.Errorf("first block %q, %v", got, err)
			}
		})
	}
}

func TestStreamForms(t *testing.T) {
	log := newLog()
	addr := serveHub(t, newHub(t, config(log)), rootKey)
	named, plain := openStream(t, addr, "", ""), openStream(t, addr, "event=none", "")
	log.append(acme.ID, note("order.paid", "order/1"))
	for _, r := range []*reader{named, plain} {
		if err := r.until(1); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.data, `"version":1`) {
			t.Errorf("data %q", r.data)
		}
	}
	if named.name != "order.paid" || plain.name != "" {
		t.Errorf("events are called %q and %q", named.name, plain.name)
	}
}

func TestStreamOfHTTP10AndHTTP2(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	addr := serveHub(t, h, rootKey)
	log.append(acme.ID, note("a", ""))
	old, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close() //nolint:errcheck // a test's
	if _, err := io.WriteString(old, "GET /?start=1 HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/?start=1", nil)
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a test's
	if res.ProtoMajor != 2 {
		t.Fatal(res.Proto)
	}
	log.append(acme.ID, note("b", ""))
	want := "id: 2\nevent: b\n"
	for name, in := range map[string]io.Reader{"HTTP/1.0": old, "HTTP/2": res.Body} {
		var got []byte
		for b := make([]byte, 1024); !bytes.Contains(got, []byte(want)); {
			n, err := in.Read(b)
			if got = append(got, b[:n]...); err != nil {
				t.Fatalf("%s: %q %v", name, got, err)
			}
		}
		if bytes.Contains(got, []byte("Transfer-Encoding")) || bytes.Count(got, []byte("data: ")) != 2 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]io.Reader{"HTTP/1.0": old, "HTTP/2": res.Body} {
		if b, err := io.ReadAll(in); err != nil {
			t.Errorf("%s does not end in order: %q %v", name, b, err)
		}
	}
}

// plan is one run of the property: what is published, and who listens how.
type plan struct {
	ring       int
	goroutines bool
	batches    [][]event.Event
	total      int
	listeners  []planned
}

// planned is a listener: it comes when a version is on the log, asks for those from a start, begins to read when another is
// there, and is cut off after some numbers of events.
type planned struct {
	query              string
	want               []int64 // of all versions
	joins, start, from int
	cuts               []int
}

var propertySelections = []struct {
	query string
	fits  func(*event.Event) bool
}{
	{"", func(*event.Event) bool { return true }},
	{"types=a.*", func(e *event.Event) bool { return strings.HasPrefix(e.Type, "a.") }},
	{"subjects=s1,s2", func(e *event.Event) bool { return e.Subject == "s1" || e.Subject == "s2" }},
	{"types=a.x&subjects=s*", func(e *event.Event) bool { return e.Type == "a.x" && strings.HasPrefix(e.Subject, "s") }},
	{"types=never", func(*event.Event) bool { return false }},
}

func drawPlan(rt *rapid.T) plan {
	p := plan{ring: rapid.SampledFrom([]int{1, 3, 20, 1024}).Draw(rt, "ring"), goroutines: rapid.Bool().Draw(rt, "goroutines")}
	total := rapid.IntRange(1, 300).Draw(rt, "events")
	size := rapid.SampledFrom([]int{1, 300, 4000}).Draw(rt, "size")
	var all []event.Event
	for p.total < total {
		batch := make([]event.Event, min(rapid.IntRange(1, 40).Draw(rt, "batch"), total-p.total))
		for i := range batch {
			batch[i] = note(rapid.SampledFrom([]string{"a.x", "a.y", "b"}).Draw(rt, "type"), rapid.SampledFrom([]string{"s1", "s2", "s3", ""}).Draw(rt, "subject"))
			batch[i].Data = padded(make([]byte, size))
		}
		p.batches, p.total, all = append(p.batches, batch), p.total+len(batch), append(all, batch...)
	}
	for range rapid.IntRange(1, 6).Draw(rt, "listeners") {
		sel := propertySelections[rapid.IntRange(0, len(propertySelections)-1).Draw(rt, "selection")]
		l := planned{query: sel.query, joins: rapid.IntRange(0, total).Draw(rt, "joins")}
		l.start = rapid.IntRange(0, l.joins).Draw(rt, "start")
		l.from = rapid.IntRange(l.joins, total).Draw(rt, "from")
		l.cuts = rapid.SliceOfN(rapid.IntRange(1, total), 0, 4).Draw(rt, "cuts")
		for i := range all {
			if sel.fits(&all[i]) {
				l.want = append(l.want, int64(i+1))
			}
		}
		p.listeners = append(p.listeners, l)
	}
	return p
}

// Every listener gets each version that it selects, once and in order: whenever it comes, however slowly it reads, however
// often it is cut off and comes back.
func TestStreamsMissNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		t.Run("", func(t *testing.T) { p.run(t) })
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

func (p *plan) run(t *testing.T) {
	log := newLog()
	c := config(log)
	c.ringEvents, c.goroutines = p.ring, p.goroutines
	h := newHub(t, c)
	addr := serveNarrow(t, h)
	reached := make([]chan struct{}, p.total+1) // closed when a version is on the log
	for i := range reached {
		reached[i] = make(chan struct{})
	}
	close(reached[0])
	var wg sync.WaitGroup
	results := make([]error, len(p.listeners))
	for i := range p.listeners {
		wg.Go(func() { results[i] = p.listeners[i].listen(t, addr, reached) })
	}
	v := 0
	for _, batch := range p.batches {
		log.append(acme.ID, batch...)
		for range batch {
			v++
			close(reached[v])
		}
	}
	wg.Wait()
	if err := errors.Join(results...); err != nil {
		t.Error(err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// listen does as planned and checks what came.
func (l *planned) listen(t *testing.T, addr string, reached []chan struct{}) error {
	<-reached[l.joins]
	query, headers := l.query, ""
	if l.start > 0 {
		query += fmt.Sprintf("&start=%d", l.start)
	}
	var seen, want []int64
	for first, cuts := true, l.cuts; ; first = false {
		r, err := dialStream(t, addr, query, headers, smallBuffer)
		if err != nil {
			return err
		}
		if _, err = r.next(); err != nil {
			return err
		}
		if first {
			i, _ := slices.BinarySearch(l.want, r.last+1)
			want = l.want[i:]
		}
		<-reached[l.from]
		cut := false
		for len(seen) < len(want) && !cut {
			if _, err = r.next(); err != nil {
				return fmt.Errorf("%s: after %d events of %d: %w", query, len(seen), len(want), err)
			}
			seen, r.seen = append(seen, r.seen...), nil
			cut = len(cuts) > 0 && len(seen) >= cuts[0]
		}
		_ = r.conn.Close()
		if !cut {
			break
		}
		cuts, headers = cuts[1:], fmt.Sprintf("Last-Event-ID: %d\r\n", r.last)
	}
	if !slices.Equal(seen, want) {
		return fmt.Errorf("%s from %d: got %v, want %v", query, l.start, seen, want)
	}
	return nil
}

func TestGoneWithOldest(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	for range 10 {
		log.append(acme.ID, note("a", ""))
	}
	log.trim(acme.ID, 6)
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.release()
	for start, want := range map[int64]int64{1: 6, 5: 6, 6: 0, 11: 0, 0: 0} {
		_, _, err := f.begin(t.Context(), start)
		e, gone := errors.AsType[*event.Error](err)
		if gone != (want > 0) || gone && (e.Kind != event.KindGone || e.Oldest != want) {
			t.Errorf("start %d: %v", start, err)
		}
	}
	log.trim(acme.ID, 11)
	if _, _, err := f.begin(t.Context(), 10); event.KindOf(err) != event.KindGone {
		t.Errorf("an empty log that was not: %v", err)
	}
}

// A listener whose next events are deleted before it read them is cut off, in order, and never skips them.
func TestTrimmedUnderAListener(t *testing.T) {
	log := newLog()
	c := config(log)
	c.ringEvents = 4
	h := newHub(t, c)
	r := dialNarrow(t, h, "")
	big := note("a", "")
	big.Data = padded(make([]byte, 20_000))
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.release()
	for range 200 { // one by one, so that the ring holds the last few only
		v := log.append(acme.ID, big)
		waitFor(t, func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.head == v
		})
	}
	waitFor(t, func() bool { return h.Stats().Lagging == 1 })
	log.trim(acme.ID, 200)
	if err := r.rest(); err != nil {
		t.Fatalf("not an orderly end: %v", err)
	}
	for i, v := range r.seen {
		if v != int64(i+1) {
			t.Fatalf("event number %d is version %d", i, v)
		}
	}
	if n := len(r.seen); n == 0 || n >= 200 {
		t.Errorf("%d events came", n)
	}
	waitFor(t, func() bool { return h.Stats().Closed["gone"] == 1 })
}

// waitFor waits until something is so.
func waitFor(tb testing.TB, so func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patienceOfTests); !so(); {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatal("it does not come to be")
		}
	}
}

// A client that takes nothing is cut off after the write timeout; others notice nothing.
func TestSilentClient(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		c.WriteTimeout = 300 * time.Millisecond
		log := c.Log.(*memLog) //nolint:errcheck // it is
		h := newHub(t, c)
		addr := serveNarrow(t, h)
		silent, err := dialStream(t, addr, "", "", smallBuffer)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.conn.Close() //nolint:errcheck // a test's
		good := openStream(t, addr, "", "")
		big := note("a", "")
		big.Data = padded(make([]byte, 50_000))
		for v := int64(1); v <= 300; v++ {
			log.append(acme.ID, big)
			if err := good.until(v); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, func() bool { s := h.Stats(); return s.Closed["slow"] == 1 && s.Streams == 1 && s.Lagging == 0 })
	})
}

// A client that reads a little at a time for longer than the write timeout gets everything.
func TestSlowClient(t *testing.T) {
	log := newLog()
	c := config(log)
	c.WriteTimeout = time.Second
	h := newHub(t, c)
	r := dialNarrow(t, h, "")
	big := note("a", "")
	big.Data = padded(make([]byte, 2000))
	for range 300 {
		log.append(acme.ID, big)
	}
	r.in = nil
	body, one := r.head.Body, make([]byte, 1)
	var got []byte
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	// By the clock and not by ticks, which come late on a busy machine: the system tells the server of room only after some 30 KB.
	const perSecond = 150_000
	began := time.Now()
	for !bytes.HasSuffix(got, []byte("\"version\":300}\n\n")) {
		n, err := body.Read(one)
		if err != nil {
			t.Fatalf("after %d bytes and %s: %v; closed: %v", len(got), time.Since(began), err, h.Stats().Closed)
		}
		got = append(got, one[:n]...)
		due := time.Duration(len(got)) * time.Second / perSecond
		switch since := time.Since(began); {
		case since > 2*c.WriteTimeout:
			one = make([]byte, 100)
		case due > since:
			<-tick.C
		}
	}
	for v := 1; v <= 300; v++ {
		if bytes.Count(got, fmt.Appendf(nil, "id: %d\n", v)) != 1 {
			t.Fatalf("version %d is missing or double", v)
		}
	}
	t.Logf("took %s", time.Since(began))
}

func TestShutdownWithManyConnected(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		h := newHub(t, c)
		addr := serveHub(t, h, rootKey)
		readers := make([]*reader, 1000)
		for i := range readers {
			readers[i] = openStream(t, addr, "", "")
		}
		waiting := make(chan error, 1)
		go func() {
			r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
			r.RemoteAddr = "127.0.0.1:1"
			waiting <- h.Wait(context.Background(), r, Listener{Tenant: acme, Key: rootKey}, 0, time.Minute)
		}()
		waitFor(t, func() bool { return h.Stats().Polls == 1 })
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		for i, r := range readers {
			if err := r.rest(); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		if s := h.Stats(); s.Streams != 0 || s.Polls != 0 || s.Closed["shutdown"] != int64(len(readers)) {
			t.Errorf("%+v", s)
		}
		if r, err := dialStream(t, addr, "", "", 0); err != nil || r.head.Header.Get("Error-Kind") != fmt.Sprint(event.KindUnavailable) {
			t.Errorf("a stream after the end: %v %v", r, err)
		}
	})
}

// Keep-alives come after silence, with the place when it has moved on.
func TestKeepAlive(t *testing.T) {
	log := newLog()
	c := config(log)
	c.KeepAlive = time.Second
	addr := serveHub(t, newHub(t, c), rootKey)
	r := openStream(t, addr, "types=never", "")
	log.append(acme.ID, note("a", ""), note("b", ""))
	alive := 0
	for r.last < 2 {
		block, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if block == ": keep-alive\n" {
			alive++
		}
	}
	if alive != 1 || len(r.seen) != 0 {
		t.Errorf("%d keep-alives before the place, events %v", alive, r.seen)
	}
}

func TestKeysEnd(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	for reason, key := range map[string]*event.APIKey{
		"expired": {ID: 2, Expires: time.Now().Add(100 * time.Millisecond)},
		"revoked": {Token: "t1", Expires: time.Now().Add(time.Hour)},
	} {
		r := openStream(t, serveHub(t, h, key), "", "")
		h.EndTokens(acme.ID, func(string) bool { return true }, time.Now())
		if err := r.rest(); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
		waitFor(t, func() bool { return h.Stats().Closed[reason] == 1 })
	}
}

func TestRevokedKey(t *testing.T) {
	c := config(newLog())
	c.Holds = func(context.Context, *event.APIKey) bool { return false }
	h := newHub(t, c)
	r := openStream(t, serveHub(t, h, rootKey), "", "")
	h.askKeys()
	if err := r.rest(); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return h.Stats().Closed["revoked"] == 1 })
}

func TestTenantDeleted(t *testing.T) {
	h := newHub(t, config(newLog()))
	addr := serveHub(t, h, rootKey)
	r := openStream(t, addr, "", "")
	h.TenantDeleted(99)
	h.TenantDeleted(acme.ID)
	if err := r.rest(); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return h.Stats().Closed["tenant_deleted"] == 1 })
}

// A client that floods a stream that goes one way is shut out; a little noise is nothing.
func TestNoise(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		log := c.Log.(*memLog) //nolint:errcheck // it is
		h := newHub(t, c)
		r := openStream(t, serveHub(t, h, rootKey), "", "")
		if _, err := r.conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		log.append(acme.ID, note("a", ""))
		if err := r.until(1); err != nil {
			t.Fatal(err)
		}
		_, _ = r.conn.Write(make([]byte, maxNoise))
		waitFor(t, func() bool { return h.Stats().Closed["protocol"] == 1 })
	})
}

// A client that goes is noticed without anything being sent.
func TestClientGoes(t *testing.T) {
	everyWatcher(t, func(t *testing.T, c Config) {
		h := newHub(t, c)
		r := openStream(t, serveHub(t, h, rootKey), "", "")
		_ = r.conn.Close()
		waitFor(t, func() bool { s := h.Stats(); return s.Streams == 0 && s.Closed["client"] == 1 })
	})
}
