package deliver

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestDeliversOnceAndSavesPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s, sender := newFakeStore(ep), newFakeSender(ok)
		r := startRun(t, s, sender)
		for i := range 500 {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
		}
		pause(time.Second)
		if got := len(sender.seen(ep.URL)); got != 500 {
			t.Errorf("%d deliveries, want 500", got)
		}
		r.stop()
		if s.position != 500 || len(s.attempts) != 500 || len(s.lanes)+len(s.retries)+len(s.dead) != 0 {
			t.Errorf("position %d, %d attempts, %d lanes, %d retries, %d dead", s.position, len(s.attempts), len(s.lanes), len(s.retries), len(s.dead))
		}
		r = startRun(t, s, sender)
		pause(time.Second)
		r.stop()
		if got := len(sender.seen(ep.URL)); got != 500 {
			t.Errorf("%d deliveries after an orderly restart, want 500", got)
		}
	})
}

// A dead endpoint costs a cursor and a few rows however much piles up behind it, and gets everything once it is back.
func TestDeadEndpointIsBoundedAndCatchesUp(t *testing.T) {
	for _, o := range []event.Order{event.OrderNone, event.OrderKey, event.OrderStrict} {
		t.Run(string(o), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead, healthy := endpoint(1, order(o)), endpoint(2)
				var up atomic.Bool
				s := newFakeStore(dead, healthy)
				sender := newFakeSender(func(r *Request, _ int) Answer {
					if r.URL == dead.URL && !up.Load() {
						return refused()
					}
					return Answer{Status: 204}
				})
				r := startRun(t, s, sender)
				const n = 20_000
				for i := range n {
					s.append(anEvent(fmt.Sprintf("e%d", i)))
					if i%100 == 0 {
						pause(10 * time.Millisecond)
					}
				}
				advance(time.Minute)
				if got := len(sender.seen(healthy.URL)); got != n {
					t.Errorf("the healthy endpoint got %d, want %d", got, n)
				}
				s.mu.Lock()
				if s.position != n {
					t.Errorf("position %d, want %d: a dead endpoint holds it", s.position, n)
				}
				if s.maxRows > event.MaxRetryRows || len(s.lanes) != 1 {
					t.Errorf("%d retry rows, %d lanes", s.maxRows, len(s.lanes))
				}
				s.mu.Unlock()
				if tries := len(sender.seen(dead.URL)); tries > 40 {
					t.Errorf("%d tries at a dead endpoint in a minute", tries)
				}
				r.mu.Lock()
				if !r.away[dead.ID] {
					t.Error("a dead endpoint is still matched at every event")
				}
				r.mu.Unlock()
				up.Store(true)
				advance(2 * time.Minute)
				checkAll(t, sender.seen(dead.URL), n)
				r.stop()
				if len(s.retries) != 0 {
					t.Errorf("%d retry rows left", len(s.retries))
				}
			})
		})
	}
}

// checkAll checks that events e0 … e(n-1) were all received.
func checkAll(t *testing.T, seen []arrival, n int) {
	t.Helper()
	got := map[string]bool{}
	for _, a := range seen {
		if a.ok {
			got[a.id] = true
		}
	}
	missing := 0
	for i := range n {
		if !got[fmt.Sprintf("e%d", i)] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d events did not arrive", missing, n)
	}
}

func TestABadEventDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if header(r, "webhook-id") == "e3" {
				return Answer{Status: 500}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 100 {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
		}
		pause(time.Second)
		if got := len(sender.seen(ep.URL)); got != 100 {
			t.Errorf("%d deliveries, want 100", got)
		}
		pause(7 * 24 * time.Hour)
		r.stop()
		var tries []arrival
		for _, a := range sender.seen(ep.URL) {
			if a.id == "e3" {
				tries = append(tries, a)
			}
		}
		want := schedule9()
		if len(tries) != len(want)+1 {
			t.Fatalf("%d tries, want %d", len(tries), len(want)+1)
		}
		for i := 1; i < len(tries); i++ {
			wait := tries[i].at.Sub(tries[i-1].at)
			if wait < want[i-1] || wait > want[i-1]+want[i-1]/10+time.Second {
				t.Errorf("try %d came after %v, want %v and up to a tenth more", i+1, wait, want[i-1])
			}
			if tries[i].number != strconv.Itoa(i+1) {
				t.Errorf("try %d is numbered %s", i+1, tries[i].number)
			}
		}
		if len(s.dead) != 1 || len(s.retries) != 0 {
			t.Errorf("%d dead letters, %d retries; want 1, 0", len(s.dead), len(s.retries))
		}
		if last := s.attempts[len(s.attempts)-1]; last.Verdict != event.VerdictFailed || !last.Next.IsZero() {
			t.Errorf("the last attempt is %s, next %v", last.Verdict, last.Next)
		}
	})
}

func TestOrderKeyBlocksOnlyItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, order(event.OrderKey), func(e *event.Endpoint) { e.Retries = []time.Duration{time.Minute} })
		s := newFakeStore(ep)
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if header(r, "webhook-id") == "a1" && header(r, "posthorn-attempt") == "1" {
				return Answer{Status: 503}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for _, id := range []string{"a1", "b1", "a2", "b2", "a3", "b3"} {
			ev := anEvent(id)
			ev.Key = id[:1]
			s.append(ev)
		}
		pause(30 * time.Second)
		checkKey(t, sender, ep.URL, "a", "a1")
		checkKey(t, sender, ep.URL, "b", "b1", "b2", "b3")
		pause(time.Minute)
		checkKey(t, sender, ep.URL, "a", "a1", "a1", "a2", "a3")
		checkKey(t, sender, ep.URL, "b", "b1", "b2", "b3")
		r.stop()
	})
}

// checkKey checks what arrived of one key, in order.
func checkKey(t *testing.T, sender *fakeSender, url, key string, want ...string) {
	t.Helper()
	got := slices.DeleteFunc(ids(sender.seen(url)), func(id string) bool { return id[:1] != key })
	if !slices.Equal(got, want) {
		t.Errorf("of key %s arrived %v, want %v", key, got, want)
	}
}

func ids(list []arrival) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.id)
	}
	return out
}

func TestOrderStrictWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, order(event.OrderStrict), func(e *event.Endpoint) { e.Retries = []time.Duration{time.Minute} })
		s := newFakeStore(ep)
		sender := newFakeSender(func(_ *Request, n int) Answer {
			if n == 3 {
				return Answer{Status: 500}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 6 {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
		}
		pause(2 * time.Minute)
		if got := ids(sender.seen(ep.URL)); !slices.Equal(got, []string{"e0", "e1", "e2", "e2", "e3", "e4", "e5"}) {
			t.Errorf("arrived %v", got)
		}
		if sender.maxBusy[ep.URL] != 1 {
			t.Errorf("%d requests at once", sender.maxBusy[ep.URL])
		}
		r.stop()
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(func(_ *Request, n int) Answer {
			if n == 1 {
				return Answer{Status: http.StatusTooManyRequests, RetryAfter: "90"}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		s.append(anEvent("e0"))
		pause(time.Second)
		s.append(anEvent("e1")) // held too: the receiver asked for less
		pause(80 * time.Second)
		if got := len(sender.seen(ep.URL)); got != 1 {
			t.Errorf("%d requests before the time the receiver asked for", got)
		}
		pause(15 * time.Second)
		if got := len(sender.seen(ep.URL)); got != 3 {
			t.Errorf("%d requests after it, want 3", got)
		}
		r.stop()
	})
}

func TestGoneDisables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		var back atomic.Bool
		sender := newFakeSender(func(r *Request, n int) Answer {
			if back.Load() {
				return ok(r, n)
			}
			return Answer{Status: http.StatusGone}
		})
		r := startRun(t, s, sender)
		r.owner.fail = 2
		s.append(anEvent("e0"))
		advance(10 * time.Second)
		s.append(anEvent("e1"))
		advance(time.Minute)
		if got := len(sender.seen(ep.URL)); got != 1 {
			t.Errorf("%d requests to an endpoint that is gone", got)
		}
		if got := r.owner.disabled[ep.ID]; got != "gone" {
			t.Errorf("disabled for %q, want gone", got)
		}
		s.mu.Lock()
		if len(s.dead) != 1 || s.position != 2 {
			t.Errorf("%d dead letters, position %d", len(s.dead), s.position)
		}
		s.mu.Unlock()
		v, err := r.View(t.Context(), &ep)
		if err != nil || v.State != "waiting" || v.Waiting != "gone" || v.Backlog != 1 || r.State(&ep) != v.State {
			t.Errorf("view %+v, %v", v, err)
		}
		enabled := ep
		enabled.Revision = 3
		back.Store(true)
		r.EndpointChanged(&enabled)
		advance(time.Second)
		if got := ids(sender.seen(ep.URL)); !slices.Equal(got, []string{"e0", "e1"}) {
			t.Errorf("arrived %v after it was enabled again", got)
		}
		r.stop()
	})
}

func TestDisabledAfterLongFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(func(*Request, int) Answer { return refused() })
		r := startRun(t, s, sender)
		s.append(anEvent("e0"))
		for range 24 * 5 {
			s.append(anEvent(fmt.Sprintf("x%d", len(s.log))))
			advance(time.Hour)
		}
		advance(2 * time.Hour)
		if got := r.owner.disabled[ep.ID]; got != "failing" {
			t.Errorf("disabled for %q, want failing", got)
		}
		if got := len(sender.seen(ep.URL)); got > 5*24+60 {
			t.Errorf("%d tries in five days", got)
		}
		r.stop()
	})
}

func TestBatchesAndCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(e *event.Endpoint) { e.Batch = event.Batch{Max: 10, Wait: 5 * time.Second, Coalesce: true} })
		s := newFakeStore(ep)
		var mu sync.Mutex
		var bodies []string
		sender := newFakeSender(func(r *Request, _ int) Answer {
			mu.Lock()
			defer mu.Unlock()
			bodies = append(bodies, header(r, "posthorn-batch"))
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 14 {
			ev := anEvent(fmt.Sprintf("e%d", i))
			ev.Key = strconv.Itoa(i % 3)
			s.append(ev)
		}
		advance(time.Second)
		mu.Lock()
		if !slices.Equal(bodies, []string{"3"}) {
			t.Errorf("batches of %v before the wait is over, want one of 3", bodies)
		}
		mu.Unlock()
		advance(10 * time.Second)
		if !slices.Equal(bodies, []string{"3", "3"}) {
			t.Errorf("batches of %v", bodies)
		}
		r.stop()
		if s.position != 14 || len(s.attempts) != 2 || len(s.attempts[0].Versions) != 10 || len(s.attempts[1].Versions) != 4 {
			t.Errorf("position %d, %d attempts", s.position, len(s.attempts))
		}
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(e *event.Endpoint) { e.RateLimit = 5 })
		s := newFakeStore(ep)
		sender := newFakeSender(ok)
		r := startRun(t, s, sender)
		for i := range 1000 {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
		}
		advance(20 * time.Second)
		if got := len(sender.seen(ep.URL)); got < 95 || got > 106 {
			t.Errorf("%d requests in 20 s at 5/s", got)
		}
		s.mu.Lock()
		if s.position != 1000 {
			t.Errorf("position %d: a slow lane holds it", s.position)
		}
		s.mu.Unlock()
		advance(200 * time.Second)
		checkAll(t, sender.seen(ep.URL), 1000)
		r.stop()
	})
}

func TestResendReplayAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(e *event.Endpoint) { e.Retries = []time.Duration{time.Second} })
		s := newFakeStore(ep)
		fail := true
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if id := header(r, "webhook-id"); fail && (id == "e2" || id == "e5") {
				return Answer{Status: 400}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 10 {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
		}
		pause(time.Minute)
		if len(s.dead) != 2 {
			t.Fatalf("%d dead letters, want 2", len(s.dead))
		}
		before := len(sender.seen(ep.URL))
		fail = false
		if _, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 10, OnlyFailed: true}); err != nil {
			t.Fatal(err)
		}
		pause(time.Minute)
		replayed := ids(sender.seen(ep.URL)[before:])
		slices.Sort(replayed)
		if !slices.Equal(replayed, []string{"e2", "e5"}) {
			t.Errorf("the replay of failed events sent %v", replayed)
		}
		for k := range s.lanes {
			if k.Replay != 0 {
				t.Error("a finished replay left its row")
			}
		}
		if len(s.dead) != 0 {
			t.Errorf("%d dead letters left", len(s.dead))
		}
		before = len(sender.seen(ep.URL))
		if _, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 3, To: 8}); err != nil {
			t.Fatal(err)
		}
		if err := r.Resend(t.Context(), &ep, 1); err != nil {
			t.Fatal(err)
		}
		pause(time.Minute)
		got := ids(sender.seen(ep.URL)[before:])
		slices.Sort(got)
		if !slices.Equal(got, []string{"e0", "e2", "e3", "e4", "e5", "e6", "e7"}) {
			t.Errorf("replay and resend sent %v", got)
		}
		r.stop()
	})
}

// One request that hangs must not stop the lane, nor hold the position once the window is full.
func TestHangingRequestIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(e *event.Endpoint) { e.Timeout = 20 * time.Minute })
		s := newFakeStore(ep)
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if header(r, "webhook-id") == "e0" {
				pause(10 * time.Minute)
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		const n = 5000
		for i := range n {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
			if i%50 == 0 {
				pause(10 * time.Millisecond)
			}
		}
		pause(30 * time.Second)
		if got := len(sender.seen(ep.URL)); got != n-1 {
			t.Errorf("%d delivered beside a hanging request, want %d", got, n-1)
		}
		pause(15 * time.Minute)
		checkAll(t, sender.seen(ep.URL), n)
		if got := len(sender.seen(ep.URL)); got != n {
			t.Errorf("%d deliveries, want %d", got, n)
		}
		r.stop()
		if len(s.retries) != 0 || s.position != n {
			t.Errorf("%d retries left, position %d", len(s.retries), s.position)
		}
	})
}
