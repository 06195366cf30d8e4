package deliver

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// got returns what came, and whether anything did.
func got(c <-chan event.Answer) (event.Answer, bool) {
	select {
	case a := <-c:
		return a, true
	default:
		return event.Answer{}, false
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		s := newFakeStore(ep)
		sender := newFakeSender(func(r *Request, n int) Answer {
			switch n {
			case 1:
				return refused()
			case 2:
				if !r.Whole {
					t.Error("not asked for whole")
				}
				return Answer{Status: 201, Body: []byte("cut"), whole: &event.Answer{Status: 201, Body: []byte("all of it")}}
			case 3:
				if r.Whole {
					t.Error("nobody waits any more")
				}
			}
			return Answer{Status: 204}
		})
		r := startRun(t, s, sender)
		first, cancel := r.Await(1, ep.ID, "e0")
		defer cancel()
		also, cancelAlso := r.Await(1, ep.ID, "e0")
		defer cancelAlso()
		other, cancelOther := r.Await(1, 2, "e0")
		gone, cancelGone := r.Await(1, ep.ID, "e0")
		cancelGone()
		s.append(anEvent("e0"))
		synctest.Wait()
		for _, c := range []<-chan event.Answer{first, also} {
			if a, ok := got(c); !ok || a.Status != 0 || a.Reason == "" {
				t.Errorf("%+v %v", a, ok)
			}
		}
		if _, ok := got(gone); ok {
			t.Error("one that was cancelled got something")
		}
		if a, ok := got(other); !ok || a.Reason != notForIt {
			t.Errorf("for which it is not: %+v %v", a, ok)
		}
		// The next try is another matter.
		next, cancelNext := r.Await(1, ep.ID, "e0")
		advance(time.Minute)
		if a, ok := got(next); !ok || a.Status != 201 || string(a.Body) != "all of it" {
			t.Errorf("%+v %v", a, ok)
		}
		cancelNext()
		cancelNext()
		cancelOther()
		s.append(anEvent("e1"))
		advance(time.Minute)
		r.stop()
		if r.awaiting.Load() != 0 || len(r.awaits) != 0 {
			t.Errorf("%d are still waited for: %v", r.awaiting.Load(), r.awaits)
		}
		if string(s.attempts[1].Body) != "cut" {
			t.Errorf("%q is kept", s.attempts[1].Body)
		}
	})
}

func TestAwaitBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := endpoint(1)
		ep.Batch = event.Batch{Max: 10, Wait: time.Second}
		s := newFakeStore(ep)
		sender := newFakeSender(func(*Request, int) Answer {
			return Answer{Status: 202, whole: &event.Answer{Status: 202, Body: []byte("of all")}}
		})
		r := startRun(t, s, sender)
		var waits []<-chan event.Answer
		for _, id := range []string{"e0", "e2"} {
			c, cancel := r.Await(1, ep.ID, id)
			defer cancel()
			waits = append(waits, c)
		}
		for _, id := range numbered(3) {
			s.append(anEvent(id))
		}
		advance(2 * time.Second)
		for _, c := range waits {
			if a, ok := got(c); !ok || a.Status != 202 || string(a.Body) != "of all" {
				t.Errorf("%+v %v", a, ok)
			}
		}
		if n := len(sender.seen(ep.URL)); n != 1 {
			t.Errorf("%d requests", n)
		}
		r.stop()
	})
}

// Through a tunnel the answer comes whole, and who waits is told when nothing was sent.
func TestAwaitTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		big := make([]byte, event.MaxAnswerKept+10)
		s, tunnels := newFakeStore(ep), &fakeTunnels{online: true}
		tunnels.answer = func(n int) (event.Answer, error) {
			switch n {
			case 4:
				return event.Answer{Status: 200, Body: make([]byte, event.MaxAnswer+1)}, nil
			case 2:
				return event.Answer{}, event.Errorf(event.KindUnavailable, "tunnel_offline", "the tunnel is not connected")
			}
			return event.Answer{Status: 200, Body: big, Headers: []event.Header{{Name: "Set-Cookie", Value: "a"}, {Name: "X-A", Value: "b"}}}, nil
		}
		r := startRun(t, s, newFakeSender(ok), through(tunnels))
		one, cancel := r.Await(1, ep.ID, "e0")
		defer cancel()
		s.append(anEvent("e0"))
		synctest.Wait()
		if a, ok := got(one); !ok || len(a.Body) != len(big) || len(a.Headers) != 2 {
			t.Errorf("%d bytes, %v, %v", len(a.Body), a.Headers, ok)
		}
		two, cancelTwo := r.Await(1, ep.ID, "e1")
		defer cancelTwo()
		s.append(anEvent("e1"))
		synctest.Wait()
		if a, ok := got(two); !ok || a.Status != 0 || a.Reason != "the tunnel is not connected" {
			t.Errorf("%+v %v", a, ok)
		}
		advance(time.Minute)
		three, cancelThree := r.Await(1, ep.ID, "e2")
		defer cancelThree()
		s.append(anEvent("e2"))
		synctest.Wait()
		if a, ok := got(three); !ok || a.Status != 0 || a.Reason != tooLarge {
			t.Errorf("%+v %v", a, ok)
		}
		advance(time.Minute)
		r.stop()
		if a := s.attempts[0]; len(a.Body) != event.MaxAnswerKept || len(a.Headers) != 1 {
			t.Errorf("%d bytes and %v are kept", len(a.Body), a.Headers)
		}
	})
}

// Nobody waits for an answer that will not come: of an endpoint that an event is not for, whether its lane follows the log or reads
// it by itself, of one that is disabled, and of a tunnel that is away or waits to try another event again.
func TestAwaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		ep.Order, ep.Types = event.OrderStrict, []string{"order.paid"}
		s, tunnels := newFakeStore(ep), &fakeTunnels{online: true}
		var status atomic.Int64
		status.Store(200)
		tunnels.answer = func(int) (event.Answer, error) { return event.Answer{Status: int(status.Load())}, nil }
		r := startRun(t, s, newFakeSender(ok), through(tunnels))
		told := func(what, id, kind, reason string) {
			t.Helper()
			ev := anEvent(id)
			if kind != "" {
				ev.Type = kind
			} else {
				ev.Type = "order.paid"
			}
			c, cancel := r.Await(1, ep.ID, id)
			defer cancel()
			elsewhere, cancelElsewhere := r.Await(2, ep.ID, id)
			defer cancelElsewhere()
			s.append(ev)
			synctest.Wait()
			if a, ok := got(c); !ok || a.Reason != reason {
				t.Errorf("%s: %+v %v", what, a, ok)
			}
			if a, ok := got(elsewhere); ok {
				t.Errorf("%s: another tenant's got %+v", what, a)
			}
		}
		told("not for it", "a", "user.made", notForIt)
		told("for it", "b", "", "")
		status.Store(422)
		told("refused", "c", "", "")
		told("behind it", "d", "", noAnswer)
		status.Store(200)
		advance(time.Minute)
		told("all well", "e", "", "")
		tunnels.set(r, ep.ID, false)
		told("away", "f", "", noAnswer)
		tunnels.set(r, ep.ID, true)
		advance(time.Minute)
		off := ep
		off.Disabled, off.Revision = true, ep.Revision+1
		r.EndpointChanged(&off)
		told("disabled", "g", "", noAnswer)
		r.stop()
		if n := r.awaiting.Load(); n != 0 {
			t.Errorf("%d are still waited for", n)
		}
	})
}

// While nobody waits a delivery pays for one look at a number.
func TestAwaitCostsNothing(t *testing.T) {
	m := New(Config{})
	u := &unit{ep: &event.Endpoint{ID: 1}, events: []*event.Event{{ID: "e"}}}
	a := &Answer{Status: 200}
	if n := testing.AllocsPerRun(100, func() {
		if m.isAwaited(u) {
			t.Error("awaited")
		}
		m.give(u, a)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
