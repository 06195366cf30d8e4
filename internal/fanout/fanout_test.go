package fanout

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is the endpoints as the store has them.
type table struct {
	mu    sync.Mutex
	rows  map[event.EndpointID]event.Endpoint
	reads int
	// before, when set, is called before each read returns what was read, with the number of the read from 1; its error is
	// the read's.
	before func(n int) error
}

func newTable(list ...event.Endpoint) *table {
	t := &table{rows: map[event.EndpointID]event.Endpoint{}}
	for _, ep := range list {
		t.rows[ep.ID] = ep
	}
	return t
}

func (t *table) Endpoints(_ context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	t.mu.Lock()
	var page []event.Endpoint
	for id, ep := range t.rows {
		if id > after && ep.Tenant == tenant {
			page = append(page, ep)
		}
	}
	t.reads++
	n, before := t.reads, t.before
	t.mu.Unlock()
	slices.SortFunc(page, func(a, b event.Endpoint) int { return int(a.ID - b.ID) })
	if before != nil {
		if err := before(n); err != nil {
			return nil, err
		}
	}
	return page[:min(len(page), limit)], nil
}

func (t *table) set(ep *event.Endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[ep.ID] = *ep
}

func (t *table) drop(id event.EndpointID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, id)
}

func endpoint(id event.EndpointID, revision int64) *event.Endpoint {
	return &event.Endpoint{ID: id, Tenant: 1, Revision: revision}
}

// matched returns what an event of tenant 1 is matched to, as ids and revisions in the order of ids.
func matched(t *testing.T, r *Registry) [][2]int64 {
	t.Helper()
	list, err := r.Match(t.Context(), &event.Event{Tenant: 1, Version: 1, Type: "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pairs(list)
}

func pairs(list []*event.Endpoint) [][2]int64 {
	out := make([][2]int64, 0, len(list))
	for _, ep := range list {
		out = append(out, [2]int64{int64(ep.ID), ep.Revision})
	}
	slices.SortFunc(out, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	return out
}

func check(t *testing.T, what string, got [][2]int64, want ...[2]int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: matched %v, want %v", what, got, want)
	}
}

func TestLoadsAtTheFirstEvent(t *testing.T) {
	store := newTable(*endpoint(1, 1))
	r := NewRegistry(store)
	r.Put(endpoint(2, 1)) // saved before it was told
	store.set(endpoint(2, 1))
	check(t, "first event", matched(t, r), [2]int64{1, 1}, [2]int64{2, 1})
	check(t, "second event", matched(t, r), [2]int64{1, 1}, [2]int64{2, 1})
	if store.reads != 1 {
		t.Errorf("%d reads, want 1", store.reads)
	}
	r.Put(endpoint(1, 2))
	r.Remove(1, 2)
	check(t, "after changes", matched(t, r), [2]int64{1, 2})
	r.RemoveTenant(1)
	store.drop(1)
	store.drop(2)
	check(t, "after the tenant was deleted", matched(t, r))
}

func TestLoadsEveryPage(t *testing.T) {
	store := newTable()
	for id := range event.EndpointID(2*loadPage + 1) {
		store.set(endpoint(id+1, 1))
	}
	if got := len(matched(t, NewRegistry(store))); got != 2*loadPage+1 {
		t.Errorf("%d endpoints, want %d", got, 2*loadPage+1)
	}
}

// Changes between the read of a page and its use are newer than the page. None of them waits for the load.
func TestChangesWhileLoading(t *testing.T) {
	store := newTable(*endpoint(1, 1), *endpoint(2, 1), *endpoint(3, 1))
	r := NewRegistry(store)
	store.before = func(int) error {
		r.Put(endpoint(1, 2))
		r.Remove(1, 2)
		r.Put(endpoint(4, 1))
		r.Follow(endpoint(3, 1), false)
		return nil
	}
	check(t, "loaded", matched(t, r), [2]int64{1, 2}, [2]int64{4, 1})
	r.Follow(endpoint(3, 1), true)
	check(t, "followed again", matched(t, r), [2]int64{1, 2}, [2]int64{3, 1}, [2]int64{4, 1})
}

// An endpoint that was deleted after a load had failed half way is not left over from it.
func TestLoadFailsHalfWay(t *testing.T) {
	store := newTable()
	for id := range event.EndpointID(loadPage + 1) {
		store.set(endpoint(id+1, 1))
	}
	broken := errors.New("broken")
	store.before = func(n int) error {
		if n == 2 {
			return broken
		}
		return nil
	}
	r := NewRegistry(store)
	if _, err := r.Match(t.Context(), &event.Event{Tenant: 1, Version: 1, Type: "a"}, nil); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	for id := range event.EndpointID(loadPage) {
		store.drop(id + 1)
		r.Remove(1, id+1)
	}
	store.set(endpoint(loadPage+1, 2))
	r.Put(endpoint(loadPage+1, 2))
	check(t, "loaded again", matched(t, r), [2]int64{loadPage + 1, 2})
}

// An endpoint comes back with its latest revision, however the lane's calls and the control plane's fall together.
func TestAwayAndBack(t *testing.T) {
	old, changed := endpoint(1, 1), endpoint(1, 2)
	for name, calls := range map[string]func(r *Registry){
		"changed while away":      func(r *Registry) { r.Follow(old, false); r.Put(changed); r.Follow(old, true) },
		"changed before, unheard": func(r *Registry) { r.Put(changed); r.Follow(old, false); r.Follow(old, true) },
		"the lane knows more":     func(r *Registry) { r.Follow(old, false); r.Follow(changed, true) },
		"told twice": func(r *Registry) {
			r.Follow(old, false)
			r.Follow(old, false)
			r.Put(changed)
			r.Follow(old, true)
			r.Follow(old, true)
		},
	} {
		for _, loaded := range []bool{false, true} {
			store := newTable(*old)
			r := NewRegistry(store)
			if loaded {
				matched(t, r)
			}
			store.set(changed)
			calls(r)
			check(t, name, matched(t, r), [2]int64{1, 2})
		}
	}
	r := NewRegistry(newTable(*old))
	r.Follow(old, false)
	check(t, "away", matched(t, r))
	all, err := r.Targets(t.Context(), &event.Event{Tenant: 1, Version: 1, Type: "a"})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "all targets", pairs(all), [2]int64{1, 1})
	r.Remove(1, 1)
	r.Follow(old, true)
	check(t, "removed while away", matched(t, r))
}

func TestRegistryConcurrently(t *testing.T) {
	store := newTable(*endpoint(1, 1), *endpoint(2, 1))
	r := NewRegistry(store)
	var wg sync.WaitGroup
	for i := range int64(4) {
		wg.Go(func() {
			for n := range int64(200) {
				id := event.EndpointID(1 + n%3)
				switch (n + i) % 5 {
				case 0:
					r.Put(endpoint(id, n))
				case 1:
					r.Remove(1, id)
				case 2:
					r.Follow(endpoint(id, n), n%2 == 0)
				case 3:
					r.RemoveTenant(1)
				default:
					if _, err := r.Targets(t.Context(), &event.Event{Tenant: 1, Version: 1, Type: "a"}); err != nil {
						t.Error(err)
					}
				}
				matched(t, r)
			}
		})
	}
	wg.Wait()
}

// journal is a log that can fail.
type journal struct {
	mu       sync.Mutex
	events   []event.Event
	appended chan struct{}
	fail     int // how many reads fail
}

func newJournal() *journal { return &journal{appended: make(chan struct{})} }

func (j *journal) append(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		seq := int64(len(j.events) + 1)
		j.events = append(j.events, event.Event{Tenant: 1, Seq: seq, Version: seq, Type: "a"})
	}
	close(j.appended)
	j.appended = make(chan struct{})
}

func (j *journal) Appended(int) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appended
}

func (j *journal) ReadPartition(_ context.Context, _ int, after int64, limit, _ int) ([]event.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail > 0 {
		j.fail--
		return nil, errors.New("not now")
	}
	list := j.events[min(after, int64(len(j.events))):]
	return slices.Clone(list[:min(len(list), limit)]), nil
}

// catcher is lanes that note what they are given, and can fail.
type catcher struct {
	mu        sync.Mutex
	announced int64
	seqs      []int64
	wrong     string
	fail      map[int64]int // by Seq: how many offers fail
}

func (c *catcher) Announce(seq int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announced = seq
}

func (c *catcher) Offer(_ context.Context, ev *event.Event, targets []*event.Endpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail[ev.Seq] > 0 {
		c.fail[ev.Seq]--
		return errors.New("not now")
	}
	if ev.Seq > c.announced || len(targets) != 1 {
		c.wrong = "an event came unannounced, or without its target"
	}
	c.seqs = append(c.seqs, ev.Seq)
	return nil
}

// Every event comes once and in order, whatever fails: the log, the endpoints, the lanes.
func TestFollowerGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lanes, store := newJournal(), &catcher{fail: map[int64]int{4: 2, 7: 1}}, newTable(*endpoint(1, 1))
		store.before = func(n int) error {
			if n < 3 {
				return errors.New("not now")
			}
			return nil
		}
		log.fail = 2
		f := &Follower{Position: 2, Log: log, Registry: NewRegistry(store), Lanes: lanes, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		log.append(5)
		advance(10 * time.Second)
		log.mu.Lock()
		log.fail = 1
		log.mu.Unlock()
		log.append(readEvents + 3)
		advance(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
		if lanes.wrong != "" {
			t.Error(lanes.wrong)
		}
		for i, seq := range lanes.seqs {
			if seq != int64(i+3) {
				t.Fatalf("event %d has Seq %d, want %d", i, seq, i+3)
			}
		}
		if len(lanes.seqs) != readEvents+6 || f.Position != readEvents+8 {
			t.Errorf("%d events, position %d", len(lanes.seqs), f.Position)
		}
	})
}

// advance lets the bubble's time go on.
func advance(d time.Duration) { <-time.After(d) }

// A follower that waits for events, or for another try, ends with its context.
func TestFollowerEnds(t *testing.T) {
	for name, fail := range map[string]int{"waiting": 0, "trying again": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newJournal()
				log.fail = fail
				f := &Follower{Log: log, Registry: NewRegistry(newTable()), Lanes: &catcher{}, Logger: slog.New(slog.DiscardHandler)}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- f.Run(ctx) }()
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}
