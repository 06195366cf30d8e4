package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// stallSink takes some bytes at once, and then nothing until it is cut off.
type stallSink struct {
	takes int64
	held  atomic.Int64 // what is being written in vain
	once  sync.Once
	cut   chan struct{}
}

func newStallSink(takes int64) *stallSink { return &stallSink{takes: takes, cut: make(chan struct{})} }

func (s *stallSink) try([]byte) (int, error) { return 0, nil }
func (s *stallSink) write(b []byte, _ time.Duration) (int, time.Duration, error) {
	if s.takes -= int64(len(b)); s.takes >= 0 {
		return len(b), 0, nil
	}
	s.held.Store(int64(cap(b)))
	<-s.cut
	return 0, 0, errSlow
}
func (s *stallSink) blocking() bool      { return false }
func (s *stallSink) hurry(time.Duration) { s.abort() }
func (s *stallSink) abort()              { s.once.Do(func() { close(s.cut) }) }
func (s *stallSink) finish() net.Conn    { return nil }
func (s *stallSink) tune(time.Duration)  {}

// startFake starts a connection of a tenant on a sink.
func startFake(t *testing.T, h *Hub, tenant *event.Tenant, start int64, s sink) *conn {
	t.Helper()
	ticket, err := h.admit(kindSSE, request(t, "127.0.0.1:1"), &Listener{Tenant: tenant, Key: rootKey})
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.feedOf(t.Context(), tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := &sse{}
	c := h.newConn(ticket, f, p)
	if err := c.subscribe(&c.first, subscription{wish: &wish{}, start: start, form: p.form}, nil); err != nil {
		t.Fatal(err)
	}
	c.start(s, nil, nil)
	return c
}

// Clients that read fast for a while and then not at all hold a bounded amount of memory together.
func TestStalledClientsHoldLittle(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	big := note("a", "")
	big.Data = padded(make([]byte, 4000))
	for range 2000 {
		log.append(acme.ID, big)
	}
	sinks := make([]*stallSink, 180)
	for i := range sinks {
		sinks[i] = newStallSink(2 << 20) // enough for the largest page
		startFake(t, h, acme, 1, sinks[i])
	}
	sum := func() (n, all int64) {
		for _, s := range sinks {
			if b := s.held.Load(); b > 0 {
				n, all = n+1, all+b
			}
		}
		return n, all
	}
	waitFor(t, func() bool { n, _ := sum(); return n == int64(len(sinks)) })
	n, all := sum()
	// A buffer that was larger before may be kept for a smaller page, up to four times its size.
	if most := int64(2*pagesBytes) + n*4*minPageBytes; all > most || h.pages.Load() > pagesBytes {
		t.Errorf("%d clients hold %d MiB, of at most %d; %d MiB are counted", n, all>>20, most>>20, h.pages.Load()>>20)
	}
	for _, s := range sinks {
		s.abort()
	}
	waitFor(t, func() bool { return h.Stats().Streams == 0 })
	if h.pages.Load() != 0 || h.Stats().Lagging != 0 {
		t.Errorf("%d bytes are still counted; %+v", h.pages.Load(), h.Stats())
	}
}

// A sweep over members that share nothing does not build all that they get in one piece.
func TestSweepBufferIsBounded(t *testing.T) {
	h := newHub(t, config(newLog()))
	s := newShard(h, 0)
	for v := range int64(10) {
		e := &entry{ev: note("a", "")}
		e.ev.Version = v + 1
		s.list = append(s.list, e)
	}
	for i := range 10_000 {
		b := s.build(lineForm{fmt.Sprint(i, string(make([]byte, 1000)))}, 0, sweepEvents, 10)
		if b.events != 10 || b.to != 10 || len(b.bytes) < 10_000 {
			t.Fatalf("%+v", b)
		}
		if i%3 == 0 {
			s.held = true
		}
		if cap(s.buf) > 16*sweepBytes || len(s.built) > 16*sweepBytes {
			t.Fatalf("after %d forms %d bytes are held, and %d results", i, cap(s.buf), len(s.built))
		}
	}
}

// Selections that nobody uses any more are not kept in any number.
func TestUnusedGroups(t *testing.T) {
	h := newHub(t, config(newLog()))
	f, err := h.feedOf(t.Context(), acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.release()
	count := func() (groups, scan, unused int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.groups), len(f.scan), f.unused
	}
	use := func(i int) *group {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.group(&wish{key: fmt.Sprint(i)})
	}
	for range 2 {
		var used []*group
		for i := range 1000 {
			used = append(used, use(i))
		}
		if groups, scan, unused := count(); groups != 1000 || scan != 1000 || unused != 0 {
			t.Fatalf("%d groups, %d asked, %d unused", groups, scan, unused)
		}
		for _, g := range used {
			f.leave(g)
		}
		if groups, scan, unused := count(); groups != maxUnused || scan != maxUnused || unused != maxUnused {
			t.Fatalf("%d groups, %d asked, %d unused", groups, scan, unused)
		}
	}
	f.tidy(h.now() + 2*lingerAge)
	if groups, scan, unused := count(); groups+scan+unused != 0 {
		t.Errorf("%d groups, %d asked, %d unused", groups, scan, unused)
	}
}

// partLog fails reads of one tenant, or lets all of them hang.
type partLog struct {
	*memLog
	fails  event.TenantID
	hangs  atomic.Bool
	panics atomic.Bool
	tried  atomic.Int64
}

func (l *partLog) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (Page, error) {
	if l.hangs.Load() {
		l.tried.Add(1)
		<-ctx.Done()
		return Page{}, ctx.Err()
	}
	if tenant == l.fails && l.fails != 0 {
		l.tried.Add(1)
		return Page{}, errors.New("a bad sector")
	}
	return l.memLog.ReadTenant(ctx, tenant, after, limit, maxBytes)
}

func (l *partLog) Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error) {
	if l.panics.Load() {
		panic("a bug")
	}
	return l.memLog.Bounds(ctx, tenant)
}

// Connections for which the log cannot be read do not keep others from reading it, and end after a while.
func TestBadPartOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &partLog{memLog: newLog(), fails: 8}
		cfg := config(log)
		cfg.goroutines = true // the other way waits for the system, which the test's clock does not know
		h := newHub(t, cfg)
		other := &event.Tenant{ID: 8}
		for range 10 {
			log.append(other.ID, note("a", ""))
			log.append(acme.ID, note("a", ""))
		}
		bad := make([]*stallSink, 2*pumpsReading)
		for i := range bad {
			bad[i] = newStallSink(1 << 30)
			startFake(t, h, other, 1, bad[i])
		}
		waitFor(t, func() bool { return log.tried.Load() >= pumpsReading })
		begin := time.Now()
		good := startFake(t, h, acme, 1, newStallSink(1<<30))
		waitFor(t, func() bool {
			good.mu.Lock()
			defer good.mu.Unlock()
			return good.first.cursor == 10
		})
		if took := time.Since(begin); took > 100*time.Millisecond { // of the bubble: a bad one waits for seconds
			t.Errorf("a good tenant's connection waited %s", took)
		}
		waitFor(t, func() bool { return h.Stats().Closed["error"] == int64(len(bad)) })
	})
}

// A log that never answers does not keep the hub from ending when its time is over.
func TestShutdownWhileTheLogHangs(t *testing.T) {
	log := &partLog{memLog: newLog()}
	h := newHub(t, config(log))
	log.append(acme.ID, note("a", ""))
	startFake(t, h, acme, 0, newStallSink(1<<30)) // the tail follows from here
	log.hangs.Store(true)
	for range 2 * pumpsReading {
		startFake(t, h, acme, 1, newStallSink(1<<30))
	}
	waitFor(t, func() bool { return log.tried.Load() == pumpsReading })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(patienceOfTests):
		t.Fatal("the hub does not end")
	}
}

// A panic on a stream's way gives back what the stream was counted for.
func TestPanicLeaksNothing(t *testing.T) {
	log := &partLog{memLog: newLog()}
	h := newHub(t, config(log))
	startFake(t, h, acme, 0, newStallSink(1<<30))
	log.append(acme.ID, note("a", ""))
	log.panics.Store(true)
	func() {
		defer func() { _ = recover() }()
		_ = h.Stream(nil, request(t, "127.0.0.1:1"), Listener{Tenant: acme, Key: rootKey, Start: 1})
		t.Error("nothing panicked")
	}()
	if n := h.Stats().Streams; n != 1 {
		t.Errorf("%d streams are counted", n)
	}
}

// The earliest end of a tenant's tokens counts, whatever comes after.
func TestEarlierEndOfTokens(t *testing.T) {
	h := newHub(t, config(newLog()))
	ticket, err := h.admit(kindSSE, request(t, "127.0.0.1:1"), &Listener{Tenant: acme, Key: &event.APIKey{Token: "t"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ticket.release()
	now := time.Now()
	for _, in := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour} {
		h.EndTokens(acme.ID, func(string) bool { return true }, now.Add(in))
	}
	if got := time.Duration(ticket.key.ends.Load() - now.UnixNano()); got != time.Minute {
		t.Errorf("they end in %s", got)
	}
}

// Clients whose address cannot be told, and waits of the server itself, are not counted as one address.
func TestUnknownAddresses(t *testing.T) {
	c := config(newLog())
	c.MaxPerAddress = 1
	h := newHub(t, c)
	release, err := h.AdmitLease(acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for range 2 {
		ticket, err := h.admit(kindSSE, request(t, "@"), &Listener{Tenant: acme, Key: rootKey})
		if err != nil {
			t.Fatal(err)
		}
		defer ticket.release()
	}
}
