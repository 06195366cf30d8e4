package deliver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestNothingIsLost runs many lives of the lanes over one store, with receivers that fail at random, saves that fail
// before or after their effect, kills, and owners who pause, resume, change and replay, and checks from the receivers' side
// what was promised.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(simSeeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

const simEvents = 1500

// receiver is a random receiver: good, flaky, slow, down for a while, or refusing some events for a time.
type receiver struct {
	flaky     float64
	slow      time.Duration
	down      func(at time.Duration) bool
	start     time.Time
	mu        sync.Mutex
	rng       *rand.Rand
	poisonous int
}

func (x *receiver) answer(r *Request) Answer {
	x.mu.Lock()
	roll, wait := x.rng.Float64(), time.Duration(0)
	if x.slow > 0 && time.Since(x.start) < 10*time.Minute {
		wait = time.Duration(x.rng.Int64N(int64(x.slow)))
	}
	x.mu.Unlock()
	pause(wait)
	at := time.Since(x.start)
	switch {
	case at > 10*time.Minute: // in the end everybody is well
		return Answer{Status: 200}
	case x.down(at):
		return refused()
	case roll < x.flaky/4:
		return Answer{failure: failureTimeout, reason: "timeout"}
	case roll < x.flaky/2:
		return Answer{Status: 429, RetryAfter: "3"}
	case roll < x.flaky:
		return Answer{Status: 500}
	case x.poisonous > 0 && len(header(r, "webhook-id"))%2 == 0 && roll < 0.3:
		return Answer{Status: 422}
	}
	return Answer{Status: 200}
}

func simulate(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's dice
	receivers := map[string]*receiver{}
	var endpoints []event.Endpoint
	const later = 2 // the last endpoints, which are made while events come, and begin in the past
	for i, o := range []event.Order{
		event.OrderNone, event.OrderKey, event.OrderStrict, event.OrderNone, event.OrderKey, event.OrderStrict, event.OrderKey,
	} {
		ep := endpoint(event.EndpointID(i+1), order(o), func(e *event.Endpoint) {
			e.Retries = []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute, 10 * time.Minute, 10 * time.Minute}
			e.Concurrency = 1 + rng.IntN(20)
			if i == 3 {
				e.Batch = event.Batch{Max: 1 + rng.IntN(30), Wait: time.Duration(rng.IntN(2)) * time.Second}
			}
			if rng.IntN(4) == 0 {
				e.RateLimit = 50
			}
			if i == 5 { // a hook of the FlexiBee-compatible interface
				e.Batch = event.Batch{Max: 200, Wait: 100 * time.Millisecond}
				e.Profile, e.Forever, e.Retries = event.ProfileFlexiBee, true, nil
			}
		})
		endpoints = append(endpoints, ep)
		from, length := time.Duration(rng.Int64N(int64(3*time.Minute))), time.Duration(rng.Int64N(int64(3*time.Minute)))
		receivers[ep.URL] = &receiver{
			flaky: []float64{0, 0.05, 0.4}[rng.IntN(3)], slow: []time.Duration{0, 50 * time.Millisecond, 5 * time.Second}[rng.IntN(3)],
			down:  func(at time.Duration) bool { return at > from && at < from+length },
			start: time.Now(), rng: rand.New(rand.NewPCG(seed, uint64(i)+2)), poisonous: rng.IntN(2), //nolint:gosec // a test's dice
		}
	}
	made := len(endpoints) - later
	s := newFakeStore(endpoints[:made]...)
	dice := rand.New(rand.NewPCG(seed, 99)) //nolint:gosec // a test's dice, of the goroutine that saves
	s.fault = func(int) (before, after error) {
		switch dice.IntN(12) {
		case 0:
			return errors.New("before"), nil
		case 1:
			return nil, errors.New("after")
		}
		return nil, nil
	}
	sender := newFakeSender(func(r *Request, _ int) Answer { return receivers[r.URL].answer(r) })
	r := startRun(t, s, sender)
	kills := 0
	for i := range simEvents {
		ev := anEvent(fmt.Sprintf("e%d", i))
		ev.Key = strconv.Itoa(rng.IntN(12))
		s.append(ev)
		if rng.IntN(20) == 0 {
			pause(time.Duration(rng.Int64N(int64(4 * time.Second))))
		}
		if rng.IntN(40) == 0 {
			meddle(t, r, rng, endpoints[:made])
		}
		if made < len(endpoints) && (rng.IntN(300) == 0 || i >= simEvents-later) {
			tell := rng.IntN(2) == 0
			r.behind(endpoints[made], tell)
			made++
			if !tell { // it dies between saving and telling
				kills++
				r.crash()
				r = startRun(t, s, sender)
			}
		}
		if rng.IntN(100) == 0 {
			kills++
			if rng.IntN(3) == 0 {
				r.stop()
			} else {
				r.crash()
			}
			r = startRun(t, s, sender)
		}
	}
	for i := range endpoints {
		r.change(endpoints[i].ID, enabled)
	}
	pause(3 * time.Hour) // the longest penalty twice
	for i := range endpoints {
		checkLane(t, s, sender, &endpoints[i], kills)
	}
	if s.maxRows > event.MaxRetryRows {
		t.Errorf("%d retry rows at once", s.maxRows)
	}
	r.stop()
	if s.position != simEvents || len(s.retries) != 0 {
		t.Errorf("position %d, want %d; %d retries left", s.position, simEvents, len(s.retries))
	}
	for key := range s.lanes {
		if key.Replay != 0 {
			t.Errorf("the replay %v has not ended", key)
		}
	}
	checkEmpty(t, r)
}

// simReplayed is the endpoint that replays are made to.
const simReplayed = event.EndpointID(4)

// meddle does one thing that an owner does to a random endpoint. The order stays.
func meddle(t *testing.T, r *run, rng *rand.Rand, endpoints []event.Endpoint) {
	t.Helper()
	ep := endpoints[rng.IntN(len(endpoints))]
	switch rng.IntN(5) {
	case 0, 1:
		r.change(ep.ID, disabled)
	case 2:
		r.change(ep.ID, enabled)
	case 3:
		r.change(ep.ID, func(e *event.Endpoint) {
			e.Concurrency, e.RateLimit = 1+rng.IntN(20), float64(rng.IntN(2)*50)
			if e.Batch.Max > 0 {
				e.Batch = event.Batch{Max: 1 + rng.IntN(30), Wait: time.Duration(rng.IntN(2)) * time.Second}
			}
		})
	default:
		_, head, _ := r.store.Bounds(t.Context(), 1)
		replayed := endpoint(simReplayed)
		_, err := r.Replay(t.Context(), &replayed, event.ReplayRange{From: 1 + rng.Int64N(head), To: head, OnlyFailed: rng.IntN(3) == 0})
		if err != nil && event.KindOf(err) != event.KindConflict {
			t.Error(err)
		}
	}
}

// checkEmpty requires that lanes which have nothing left to do hold nothing.
func checkEmpty(t *testing.T, r *run) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.feedMem != 0 || len(r.feedFor) != 0 || len(r.trusted.ready)+len(r.probes.ready) != 0 || r.trusted.used+r.probes.used != 0 {
		t.Errorf("feeds hold %d bytes, %d lanes wait for memory, %d and %d for a slot; %d and %d slots used", r.feedMem, len(r.feedFor),
			len(r.trusted.ready), len(r.probes.ready), r.trusted.used, r.probes.used)
	}
	if len(r.window.slots) != 0 || r.window.bytes != 0 {
		t.Errorf("%d events of %d bytes in the window", len(r.window.slots), r.window.bytes)
	}
	for key, l := range r.lanes {
		if len(l.entries)+l.queued+l.tracked+l.inFlight+len(l.retries)+len(l.blocked)+len(l.busy) != 0 || !l.live {
			t.Errorf("%v: live %v, %d entries, %d queued, %d tracked, %d in flight, %d retries, %d and %d keys", key, l.live, len(l.entries),
				l.queued, l.tracked, l.inFlight, len(l.retries), len(l.blocked), len(l.busy))
		}
	}
}

// checkLane checks what one endpoint received.
func checkLane(t *testing.T, s *fakeStore, sender *fakeSender, ep *event.Endpoint, kills int) {
	t.Helper()
	first := map[int64]int{} // version → place of its first success
	double := 0
	place := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[string]int64{}
	for i := range s.log {
		byID[s.log[i].ID] = s.log[i].Version
	}
	for _, a := range sender.seen(ep.URL) {
		if !a.ok {
			continue
		}
		ids := a.events
		if ids == nil {
			ids = []string{a.id}
		}
		for _, id := range ids {
			v := byID[id]
			if _, again := first[v]; again {
				double++
				continue
			}
			first[v] = place
			place++
		}
	}
	if len(first) != simEvents {
		t.Errorf("%s (%s): %d of %d events arrived", ep.URL, ep.Order, len(first), simEvents)
	}
	if bound := kills * 21 * max(1, ep.Batch.Max) * 8; double > bound && ep.ID != simReplayed {
		t.Errorf("%s (%s): %d duplicates after %d kills", ep.URL, ep.Order, double, kills)
	}
	if ep.ID != simReplayed {
		checkRecorded(t, s, ep)
	}
	last := map[string]int{}
	for i := range s.log {
		group := ""
		switch ep.Order {
		case event.OrderNone:
			continue
		case event.OrderKey:
			group = s.log[i].Key
		case event.OrderStrict:
		}
		at, arrived := first[s.log[i].Version]
		if arrived && at < last[group] {
			t.Errorf("%s (%s): version %d arrived before an earlier one of its order", ep.URL, ep.Order, s.log[i].Version)
			return
		}
		if arrived {
			last[group] = at
		}
	}
}

// checkRecorded requires that no delivery was made again after it was on record as made. A save that failed after its
// effect was made twice, so attempts are told apart by their time.
func checkRecorded(t *testing.T, s *fakeStore, ep *event.Endpoint) {
	t.Helper()
	made := map[int64]time.Time{}
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.Endpoint != ep.ID || a.Verdict != event.VerdictDelivered {
			continue
		}
		for _, v := range a.Versions {
			if at, twice := made[v]; twice && !at.Equal(a.At) {
				t.Errorf("%s (%s): version %d is on record as delivered at %v and at %v", ep.URL, ep.Order, v, at, a.At)
				return
			}
			made[v] = a.At
		}
	}
}
