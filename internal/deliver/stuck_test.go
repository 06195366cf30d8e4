package deliver

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// appendAll appends events e0 … e(n-1).
func appendAll(s *fakeStore, n int) {
	for i := range n {
		s.append(anEvent(fmt.Sprintf("e%d", i)))
	}
}

// change saves a new revision of an endpoint and tells the lanes, as the control plane does.
func (r *run) change(id event.EndpointID, f func(*event.Endpoint)) event.Endpoint {
	r.store.mu.Lock()
	ep := r.store.endpoints[id]
	f(&ep)
	ep.Revision++
	r.store.endpoints[id] = ep
	r.store.mu.Unlock()
	r.EndpointChanged(&ep)
	return ep
}

func disabled(e *event.Endpoint) { e.Disabled, e.DisabledReason = true, "paused" }

func enabled(e *event.Endpoint) { e.Disabled, e.DisabledReason = false, "" }

// The lanes that wait for a slot get it also when the one before them in line needs none of its class any more.
func TestFreedSlotReachesTheNextInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := endpoint(1), endpoint(2, disabled)
		s := newFakeStore(first, second)
		sender := newFakeSender(func(*Request, int) Answer {
			pause(time.Second)
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		r.probes.max = 1
		appendAll(s, 2) // the first lane has one under way, and waits in line with the other
		pause(100 * time.Millisecond)
		r.change(2, enabled)
		pause(time.Minute)
		checkAll(t, sender.seen(first.URL), 2)
		checkAll(t, sender.seen(second.URL), 2)
		r.stop()
	})
}

// A penalised lane is woken at the end of its penalty, whoever has the slots when it begins.
func TestPenaltyEndsThoughSlotsWereTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var endpoints []event.Endpoint
		for i := range 5 {
			endpoints = append(endpoints, endpoint(event.EndpointID(i+1)))
		}
		s := newFakeStore(endpoints...)
		var up atomic.Bool
		sender := newFakeSender(func(*Request, int) Answer {
			pause(time.Second)
			if !up.Load() {
				return refused()
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		r.probes.max = 1
		appendAll(s, 3)
		pause(time.Minute)
		up.Store(true)
		advance(time.Hour)
		for i := range endpoints {
			checkAll(t, sender.seen(endpoints[i].URL), 3)
		}
		r.stop()
	})
}

// Memory that a paused or deleted lane gives back lets the lanes go on that wait for it.
func TestFeedMemoryIsHandedOn(t *testing.T) {
	for name, end := range map[string]func(r *run){
		"paused":  func(r *run) { r.change(1, disabled) },
		"deleted": func(r *run) { r.EndpointDeleted(1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				greedy := endpoint(1, disabled, func(e *event.Endpoint) { e.RateLimit = 0.001 })
				other := endpoint(2, disabled)
				s := newFakeStore(greedy, other)
				sender := newFakeSender(ok)
				r := startRun(t, s, sender)
				data := make([]byte, 1<<20)
				for i := range 70 {
					ev := anEvent(fmt.Sprintf("e%d", i))
					ev.Data = fmt.Appendf(data[:0:len(data)], "%q", data)
					s.append(ev)
				}
				pause(time.Second)
				r.change(1, enabled)
				pause(time.Second)
				r.change(2, enabled)
				pause(time.Second)
				if got := len(sender.seen(other.URL)); got > 0 {
					t.Fatalf("%d deliveries: the memory was not used up", got)
				}
				end(r)
				pause(time.Minute)
				checkAll(t, sender.seen(other.URL), 70)
				r.mu.Lock()
				if r.feedMem != 0 || len(r.feedFor) != 0 {
					t.Errorf("feeds hold %d bytes, %d lanes wait", r.feedMem, len(r.feedFor))
				}
				r.mu.Unlock()
				r.stop()
			})
		})
	}
}

// However many lanes have a backlog, few read at once.
func TestReadsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes = 300
		var endpoints []event.Endpoint
		for i := range lanes {
			endpoints = append(endpoints, endpoint(event.EndpointID(i+1), disabled))
		}
		s := newFakeStore(endpoints...)
		sender := newFakeSender(ok)
		r := startRun(t, s, sender)
		appendAll(s, 10)
		pause(2 * time.Second)
		r.stop()
		for i := range endpoints {
			ep := endpoints[i]
			enabled(&ep)
			s.endpoints[ep.ID] = ep
		}
		var now, most atomic.Int64
		s.reading = func() {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			pause(time.Millisecond)
			now.Add(-1)
		}
		r = startRun(t, s, sender)
		pause(time.Minute)
		for i := range endpoints {
			checkAll(t, sender.seen(endpoints[i].URL), 10)
		}
		if got := most.Load(); got > feedMemLimit/feedBytes {
			t.Errorf("%d reads of the log at once", got)
		}
		r.stop()
	})
}

// An event published after an endpoint began to take its type arrives, also when the lane's read of the log had begun before.
func TestReadThatBeganBeforeAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, disabled, func(e *event.Endpoint) { e.Types = []string{"order.made"} })
		s := newFakeStore(ep)
		sender := newFakeSender(ok)
		r := startRun(t, s, sender)
		made := anEvent("e0")
		made.Type = "order.made"
		s.append(made)
		pause(time.Second)
		s.reading = func() { pause(time.Second) }
		r.change(1, enabled)
		pause(10 * time.Millisecond)
		r.change(1, func(e *event.Endpoint) { e.Types = nil })
		s.append(anEvent("e1"))
		pause(time.Minute)
		if got := ids(sender.seen(ep.URL)); !slices.Equal(got, []string{"e0", "e1"}) {
			t.Errorf("arrived %v", got)
		}
		r.stop()
	})
}

// A key that is held up does not hold up the backlog of others, batches or not.
func TestHeldBackKeyInBacklogOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, order(event.OrderKey), disabled, func(e *event.Endpoint) {
			e.Batch = event.Batch{Max: 5}
			e.Retries = []time.Duration{3 * time.Hour}
		})
		s := newFakeStore(ep)
		sender := newFakeSender(func(_ *Request, n int) Answer {
			if n == 1 {
				return Answer{Status: 500}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 20 {
			ev := anEvent(fmt.Sprintf("e%d", i))
			ev.Key = "a"
			s.append(ev)
		}
		pause(time.Second)
		r.change(1, enabled)
		pause(time.Minute)
		for i := range 5 {
			ev := anEvent(fmt.Sprintf("f%d", i))
			ev.Key = "b"
			s.append(ev)
		}
		pause(time.Minute)
		if got := len(sender.seen(ep.URL)); got < 2 {
			t.Errorf("%d requests: a key that failed holds up another", got)
		}
		pause(4 * time.Hour)
		r.stop()
		if got := len(sender.seen(ep.URL)); got < 7 || s.position != 25 || len(s.retries) != 0 {
			t.Errorf("%d requests, position %d, %d retries", got, s.position, len(s.retries))
		}
	})
}

// What is on record as delivered is not delivered again after two crashes either: the first leaves a live lane and the
// position behind, and in the second life the lane saves a cursor of its own.
func TestTwoCrashesRepeatNothingRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		var held atomic.Bool
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if header(r, "webhook-id") == "e0" && !held.Swap(true) {
				pause(20 * time.Second)
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		appendAll(s, 50)
		pause(time.Second)
		r.crash()
		if s.position != 0 || len(s.attempts) != 49 {
			t.Fatalf("position %d, %d attempts on record; want 0, 49", s.position, len(s.attempts))
		}
		r = startRun(t, s, sender)
		r.change(1, disabled)
		pause(time.Second)
		r.crash()
		r = startRun(t, s, sender)
		r.change(1, enabled)
		pause(time.Minute)
		r.stop()
		checkRecorded(t, s, &ep)
		checkAll(t, sender.seen(ep.URL), 50)
	})
}

// What a replay of old events meets says nothing of the events of now: it never disables an endpoint that works.
func TestFailingReplayDisablesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1, func(e *event.Endpoint) { e.Retries = slices.Repeat([]time.Duration{12 * time.Hour}, 14) })
		s := newFakeStore(ep)
		var old atomic.Bool
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if old.Load() && header(r, "webhook-id") == "e0" {
				return Answer{Status: 400}
			}
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		appendAll(s, 1)
		pause(time.Second)
		old.Store(true)
		if _, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 1}); err != nil {
			t.Fatal(err)
		}
		for i := range 7 {
			s.append(anEvent(fmt.Sprintf("f%d", i)))
			advance(24 * time.Hour)
		}
		if got := r.owner.disabled[ep.ID]; got != "" {
			t.Errorf("disabled for %q", got)
		}
		advance(48 * time.Hour)
		r.stop()
		if len(s.lanes) != 0 || len(s.dead) != 1 {
			t.Errorf("%d lanes saved, %d dead letters; want 0, 1", len(s.lanes), len(s.dead))
		}
	})
}

// An event that was matched before a change, and offered after it, does not bring back what the endpoint was.
func TestLaneMadeFromAnOldRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(ok)
		r := startRun(t, s, sender)
		moved := r.change(1, func(e *event.Endpoint) { e.URL = "http://moved" })
		ev := anEvent("e0")
		ev.Tenant, ev.Version, ev.Seq, ev.Received = 1, 1, 1, time.Now()
		if err := r.Offer(t.Context(), &ev, []*event.Endpoint{&ep}); err != nil {
			t.Fatal(err)
		}
		if err := r.Resend(t.Context(), &ep, 1); err != nil {
			t.Fatal(err)
		}
		pause(time.Second)
		if got := len(sender.seen(ep.URL)); got != 0 {
			t.Errorf("%d deliveries to where the endpoint was", got)
		}
		if got := len(sender.seen(moved.URL)); got == 0 {
			t.Error("no delivery to where the endpoint is")
		}
		pause(20 * time.Minute)
		if len(r.lanes)+len(r.byEP)+len(r.changed) != 0 {
			t.Errorf("%d lanes kept of an idle endpoint", len(r.lanes))
		}
		r.stop()
	})
}

// A call that comes after the deletion finds nothing to work on.
func TestDeletedEndpointTakesNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(ok)
		r := startRun(t, s, sender)
		appendAll(s, 3)
		pause(time.Second)
		r.EndpointDeleted(ep.ID)
		if err := r.Resend(t.Context(), &ep, 1); event.KindOf(err) != event.KindNotFound {
			t.Errorf("resend: %v", err)
		}
		if _, err := r.Replay(t.Context(), &ep, event.ReplayRange{From: 1, To: 3}); event.KindOf(err) != event.KindNotFound {
			t.Errorf("replay: %v", err)
		}
		pause(time.Second)
		if got := len(sender.seen(ep.URL)); got != 3 {
			t.Errorf("%d deliveries, want 3", got)
		}
		r.stop()
		if len(s.lanes)+len(s.retries) != 0 {
			t.Errorf("%d lanes and %d retries saved", len(s.lanes), len(s.retries))
		}
	})
}

// Replays may end while their endpoint's lanes are gone through.
func TestReplaysEndAsTheirEndpointChanges(t *testing.T) {
	for name, touch := range map[string]func(r *run, ep *event.Endpoint) error{
		"changed": func(r *run, ep *event.Endpoint) error { r.EndpointChanged(ep); return nil },
		"reset":   func(r *run, ep *event.Endpoint) error { return r.ResetPenalty(r.t.Context(), ep) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ep := endpoint(1)
				s := newFakeStore(ep)
				for id := range int64(4) {
					key := event.LaneKey{Endpoint: ep.ID, Replay: id}
					s.lanes[key] = event.LaneState{
						LaneKey: key, Tenant: 1, Backlog: true, Cursor: 3, Range: event.ReplayRange{From: 1, To: 3 * min(id, 1)},
						PenaltyUntil: time.Now().Add(time.Hour),
					}
				}
				appendAll(s, 5)
				sender := newFakeSender(ok)
				r := startRun(t, s, sender)
				if err := touch(r, &ep); err != nil {
					t.Fatal(err)
				}
				pause(2 * time.Hour)
				if got := ids(sender.seen(ep.URL)); len(got) != 2 {
					t.Errorf("arrived %v, want the two events after the cursor", got)
				}
				r.stop()
				if len(s.lanes) != 0 {
					t.Errorf("%d lanes left", len(s.lanes))
				}
			})
		})
	}
}
