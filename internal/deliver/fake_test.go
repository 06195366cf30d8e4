package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// fakeStore is a log and the saved state of lanes, in memory. It outlives managers, as a disk does.
type fakeStore struct {
	mu        sync.Mutex
	appended  chan struct{}
	log       []event.Event // version and seq = index + 1
	oldest    int64
	endpoints map[event.EndpointID]event.Endpoint

	epoch    int64
	position int64
	attempts []event.Attempt
	tried    map[int64][]event.EndpointID
	lanes    map[event.LaneKey]event.LaneState
	retries  map[store.RetryKey]event.Retry
	dead     map[store.DeadKey]event.DeadLetter
	saves    int
	maxRows  int
	// fault, when set, decides what happens to a save: an error before it takes effect, or after.
	fault func(n int) (before, after error)
	// reading, when set, is called before each read of a tenant's log.
	reading func()
}

func newFakeStore(endpoints ...event.Endpoint) *fakeStore {
	s := &fakeStore{
		appended: make(chan struct{}), oldest: 1, endpoints: map[event.EndpointID]event.Endpoint{}, tried: map[int64][]event.EndpointID{},
		lanes: map[event.LaneKey]event.LaneState{}, retries: map[store.RetryKey]event.Retry{}, dead: map[store.DeadKey]event.DeadLetter{},
	}
	for _, e := range endpoints {
		s.endpoints[e.ID] = e
	}
	return s
}

func (s *fakeStore) append(ev event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev.Tenant, ev.Version, ev.Seq, ev.Received = 1, int64(len(s.log)+1), int64(len(s.log)+1), time.Now()
	s.log = append(s.log, ev)
	close(s.appended)
	s.appended = make(chan struct{})
}

func (s *fakeStore) Events(_ context.Context, _ event.TenantID, versions []int64) ([]event.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []event.Event
	for _, v := range versions {
		if v >= s.oldest && v <= int64(len(s.log)) {
			list = append(list, s.log[v-1])
		}
	}
	return list, nil
}

func (s *fakeStore) ReadTenant(_ context.Context, _ event.TenantID, after int64, limit, _ int) (store.Page, error) {
	if s.reading != nil {
		s.reading()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(after, s.oldest-1)
	to := min(from+int64(limit), int64(len(s.log)))
	return store.Page{Events: slices.Clone(s.log[from:max(from, to)]), Oldest: s.oldest, Head: int64(len(s.log)), Through: max(from, to)}, nil
}

func (s *fakeStore) Bounds(context.Context, event.TenantID) (oldest, head int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldest, int64(len(s.log)), nil
}

func (s *fakeStore) SaveRecord(_ context.Context, r store.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Lease.Epoch != s.epoch {
		return store.ErrFenced
	}
	s.saves++
	var after error
	if s.fault != nil {
		var before error
		if before, after = s.fault(s.saves); before != nil {
			return before
		}
	}
	s.position = max(s.position, r.Position)
	s.attempts = append(s.attempts, r.Attempts...)
	for _, a := range r.Attempts {
		for _, v := range a.Versions {
			s.tried[v] = append(s.tried[v], a.Endpoint)
		}
	}
	for _, k := range r.DropRetries {
		delete(s.retries, k)
	}
	for _, v := range r.Retries {
		s.retries[store.RetryKey{LaneKey: v.LaneKey, Version: v.Versions[0]}] = v
	}
	for _, k := range r.DropLanes {
		delete(s.lanes, k)
	}
	for _, v := range r.Lanes {
		s.lanes[v.LaneKey] = v
	}
	for _, k := range r.DropDead {
		delete(s.dead, k)
	}
	for _, v := range r.Dead {
		s.dead[store.DeadKey{Endpoint: v.Endpoint, Version: v.Version}] = v
	}
	rows := map[event.LaneKey]int{}
	for k := range s.retries {
		rows[k.LaneKey]++
		s.maxRows = max(s.maxRows, rows[k.LaneKey])
	}
	return after
}

func (s *fakeStore) LoadLanes(context.Context, store.Lease) ([]event.LaneState, []event.Retry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.lanes)), slices.Collect(maps.Values(s.retries)), nil
}

func (s *fakeStore) Attempted(_ context.Context, _ event.TenantID, version int64) ([]event.EndpointID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried[version], nil
}

func (s *fakeStore) EndpointsByID(_ context.Context, ids []event.EndpointID) ([]event.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []event.Endpoint
	for _, id := range ids {
		if e, ok := s.endpoints[id]; ok {
			list = append(list, e)
		}
	}
	return list, nil
}

func (s *fakeStore) DeadLetters(_ context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []event.DeadLetter
	for k, d := range s.dead {
		if k.Endpoint == e && k.Version > after {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b event.DeadLetter) int { return int(a.Version - b.Version) })
	return list[:min(len(list), limit)], nil
}

// arrival is one request as the receivers saw it.
type arrival struct {
	url    string
	id     string
	events []string // the ids in a batch
	number string
	at     time.Time
	ok     bool
}

// fakeSender answers by the endpoint's URL.
type fakeSender struct {
	mu       sync.Mutex
	arrivals []arrival
	answer   func(r *Request, n int) Answer // n counts the requests to this URL from 1
	counts   map[string]int
	busy     map[string]int
	maxBusy  map[string]int
}

func newFakeSender(answer func(r *Request, n int) Answer) *fakeSender {
	return &fakeSender{answer: answer, counts: map[string]int{}, busy: map[string]int{}, maxBusy: map[string]int{}}
}

func header(r *Request, name string) string {
	for _, h := range r.Own {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func (f *fakeSender) Send(r *Request) Answer {
	f.mu.Lock()
	f.counts[r.URL]++
	n := f.counts[r.URL]
	f.busy[r.URL]++
	f.maxBusy[r.URL] = max(f.maxBusy[r.URL], f.busy[r.URL])
	f.mu.Unlock()
	start := time.Now()
	a := f.answer(r, n)
	a.Took = time.Since(start)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy[r.URL]--
	f.arrivals = append(f.arrivals, arrival{
		url: r.URL, id: header(r, "webhook-id"), events: batchOf(r), number: header(r, "posthorn-attempt"), at: time.Now(), ok: a.Status/100 == 2,
	})
	return a
}

// batchOf returns the ids of the events in a batch in the standard envelope.
func batchOf(r *Request) []string {
	var list []struct{ ID string }
	if r.Body[0] != '[' || json.Unmarshal(r.Body, &list) != nil {
		return nil
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

func (f *fakeSender) seen(url string) []arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []arrival
	for _, a := range f.arrivals {
		if a.url == url {
			list = append(list, a)
		}
	}
	return list
}

// pause waits in the bubble's time.
func pause(d time.Duration) { sleep(context.Background(), d) }

// advance waits in the bubble's time, and until everybody else waits too: only the test's own goroutine may.
func advance(d time.Duration) {
	pause(d)
	synctest.Wait()
}

type fakeOwner struct {
	mu       sync.Mutex
	disabled map[event.EndpointID]string
	fail     int // how many calls fail first
}

func (o *fakeOwner) Disable(_ context.Context, e *event.Endpoint, reason string, _ time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail > 0 {
		o.fail--
		return errors.New("not now")
	}
	if o.disabled == nil {
		o.disabled = map[event.EndpointID]string{}
	}
	o.disabled[e.ID] = reason
	return nil
}

type fakeOpener struct{}

func (fakeOpener) Secrets(context.Context, *event.Endpoint) (event.Secrets, error) {
	// The example secret of the Standard Webhooks specification.
	return event.Secrets{Signing: []event.SigningSecret{{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}, nil //nolint:gosec // public
}

type fakeObserver struct {
	mu      sync.Mutex
	expired int64
}

func (*fakeObserver) Attempted(event.TenantID, event.Verdict, int, time.Duration, time.Duration) {
}

func (o *fakeObserver) Expired(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expired += n
}
