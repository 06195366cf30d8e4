package deliver

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// run is one life of a manager with a follower over a fake store.
type run struct {
	*Manager
	t        *testing.T
	store    *fakeStore
	sender   *fakeSender
	owner    *fakeOwner
	observer *fakeObserver
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu   sync.Mutex
	away map[event.EndpointID]bool
}

// schedule9 is the retry schedule of Standard Webhooks 1.0.0, the server's default.
func schedule9() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// matches is the test's rule: an endpoint with types takes events of these types.
func matches(ep *event.Endpoint, ev *event.Event) bool {
	if ev.Version <= ep.Start {
		return false
	}
	return len(ep.Types) == 0 || slices.Contains(ep.Types, ev.Type)
}

func startRun(t *testing.T, s *fakeStore, sender *fakeSender, change ...func(*Config)) *run {
	t.Helper()
	s.mu.Lock()
	s.epoch++
	lease := store.Lease{Epoch: s.epoch, Position: s.position}
	s.mu.Unlock()
	r := &run{t: t, store: s, sender: sender, owner: &fakeOwner{}, observer: &fakeObserver{}, away: map[event.EndpointID]bool{}}
	cfg := Config{
		Lease: lease, Log: s, State: s, Sender: sender, Owner: r.owner, Opener: fakeOpener{}, Observer: r.observer,
		Follow: func(ep *event.Endpoint, follow bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.away[ep.ID] = !follow
		},
		Matches: matches, Logger: slog.New(slog.DiscardHandler), UserAgent: "Posthorn/test",
		Timeout: 30 * time.Second, Retries: schedule9(), DisableAfter: 120 * time.Hour, MaxInFlight: 64, MaxProbes: 32,
		RecordDelay: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	r.Manager = New(cfg)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	r.wg.Go(func() { r.follow(ctx, lease.Position) })
	return r
}

// follow is a follower in a few lines.
func (r *run) follow(ctx context.Context, position int64) {
	for {
		r.store.mu.Lock()
		appended := r.store.appended
		events := r.store.log[position:]
		events = events[:min(len(events), 50)]
		r.store.mu.Unlock()
		if len(events) == 0 {
			select {
			case <-appended:
				continue
			case <-ctx.Done():
				return
			}
		}
		r.Announce(events[len(events)-1].Seq)
		for i := range events {
			if err := r.Offer(ctx, &events[i], r.targets(&events[i])); err != nil {
				return
			}
			position = events[i].Seq
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (r *run) targets(ev *event.Event) []*event.Endpoint {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*event.Endpoint
	for _, ep := range r.store.endpoints {
		if !r.away[ep.ID] && matches(&ep, ev) {
			list = append(list, &ep)
		}
	}
	return list
}

// behind makes an endpoint that begins in the past as the control plane does: expected, saved with its lane, and told of,
// unless the process dies before that.
func (r *run) behind(ep event.Endpoint, tell bool) {
	r.mu.Lock()
	r.away[ep.ID] = true
	r.mu.Unlock()
	key := event.LaneKey{Endpoint: ep.ID}
	r.store.mu.Lock()
	r.store.endpoints[ep.ID] = ep
	r.store.lanes[key] = event.LaneState{LaneKey: key, Tenant: ep.Tenant, Backlog: true, Cursor: ep.Start}
	r.store.mu.Unlock()
	if tell {
		r.EndpointBehind(&ep)
	}
}

func (r *run) stop() {
	r.t.Helper()
	r.cancel()
	r.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.t.Error(err)
	}
}

// crash ends a run as kill -9 does: nothing more is saved.
func (r *run) crash() {
	r.store.mu.Lock()
	r.store.epoch++
	r.store.mu.Unlock()
	r.stop()
}

func endpoint(id event.EndpointID, change ...func(*event.Endpoint)) event.Endpoint {
	e := event.Endpoint{
		ID: id, Tenant: 1, URL: "http://" + id.String(), Order: event.OrderNone, Payload: event.PayloadFull,
		Envelope: event.EnvelopeStandard, Signing: "standard", Revision: 1,
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func order(o event.Order) func(*event.Endpoint) { return func(e *event.Endpoint) { e.Order = o } }

func anEvent(id string) event.Event {
	return event.Event{ID: id, Type: "order.paid", Subject: "order/" + strings.TrimLeft(id, "e"), Data: []byte(`{"a":1}`)}
}

func ok(*Request, int) Answer { return Answer{Status: 200} }

func refused() Answer { return Answer{failure: failureConnect, reason: "connection refused"} }
