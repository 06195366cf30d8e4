package deliver

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

var errNoSpace = errors.New("no space")

// standing asks for one endpoint.
func (r *run) standing(version int64, ep event.Endpoint) event.Standing {
	r.t.Helper()
	r.store.mu.Lock()
	ev := r.store.log[version-1]
	r.store.mu.Unlock()
	return r.Standings(&ev, []*event.Endpoint{&ep})[0]
}

// Where an event stands is told at every step of its way: on the wire, sent and not saved yet, saved, tried again, waiting, and
// before the follower has come to it.
func TestStandings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := endpoint(1)
		bad := endpoint(2, func(ep *event.Endpoint) { ep.Order = event.OrderKey })
		paused := endpoint(3, func(ep *event.Endpoint) { ep.Disabled, ep.DisabledReason = true, "paused" })
		s := newFakeStore(well, bad, paused)
		release := make(chan struct{})
		sender := newFakeSender(func(r *Request, _ int) Answer {
			if r.URL == well.URL {
				<-release
				return Answer{Status: 200}
			}
			return Answer{Status: 500}
		})
		r := startRun(t, s, sender, func(c *Config) { c.RecordDelay = time.Second })
		for _, id := range []string{"e1", "e2"} {
			ev := anEvent(id)
			ev.Subject = "same"
			s.append(ev)
		}
		advance(10 * time.Millisecond)
		if got := r.standing(1, well); !got.Ahead || !got.InFlight || got.Retry || got.Waiting != "" {
			t.Errorf("on the wire: %+v", got)
		}
		if got := r.standing(1, bad); !got.Retry || got.Due.IsZero() || len(got.Unsaved) != 1 || got.Unsaved[0].Verdict != event.VerdictRetry {
			t.Errorf("failed, not saved: %+v", got)
		}
		if got := r.standing(2, bad); !got.Retry && !got.Ahead || len(got.Unsaved) != 0 {
			t.Errorf("behind one of its key: %+v", got)
		}
		if got := r.standing(1, paused); !got.Ahead || got.InFlight || got.Waiting != "paused" {
			t.Errorf("paused: %+v", got)
		}
		release <- struct{}{}
		release <- struct{}{}
		advance(10 * time.Millisecond)
		if got := r.standing(1, well); got.Ahead || got.InFlight || len(got.Unsaved) != 1 || got.Unsaved[0].Verdict != event.VerdictDelivered {
			t.Errorf("delivered, not saved: %+v", got)
		}
		advance(2 * time.Second)
		if got := r.standing(1, well); got.Ahead || got.Retry || len(got.Unsaved) != 0 {
			t.Errorf("delivered and saved: %+v", got)
		}
		s.mu.Lock()
		s.fault = func(int) (before, after error) { return errNoSpace, nil }
		s.mu.Unlock()
		go func() { release <- struct{}{} }()
		s.append(anEvent("e3"))
		advance(time.Minute)
		if got := r.standing(3, well); len(got.Unsaved) != 1 {
			t.Errorf("while it cannot be saved: %+v", got)
		}
		s.mu.Lock()
		s.fault = nil
		s.mu.Unlock()
		advance(time.Minute)
		if got := r.standing(3, well); len(got.Unsaved) != 0 {
			t.Errorf("saved at last: %+v", got)
		}
		later := anEvent("e4")
		later.Tenant, later.Version, later.Seq = 1, 4, 4
		if got := r.Standings(&later, []*event.Endpoint{&well, {ID: 9}})[1]; !got.Ahead {
			t.Errorf("before the follower has come to it: %+v", got)
		}
		r.stop()
	})
}
