package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeQueue is a queue of events 1 to n, without a network.
type fakeQueue struct {
	mu       sync.Mutex
	now      func() time.Time
	ready    map[int64]time.Time // when an event may be leased
	leased   map[string]*fakeLease
	tries    map[int64]int
	done     []int64
	delays   map[int64][]time.Duration
	requests map[string]int
	extended int
	fail     func(how string, n int) (*http.Response, error) // nil, nil: answer
}

type fakeLease struct {
	version int64
	until   time.Time
}

func newFakeQueue(n int64) *fakeQueue {
	q := &fakeQueue{now: time.Now, ready: map[int64]time.Time{}, leased: map[string]*fakeLease{}, tries: map[int64]int{}, delays: map[int64][]time.Duration{}, requests: map[string]int{}}
	for v := int64(1); v <= n; v++ {
		q.ready[v] = time.Time{}
	}
	return q
}

func (q *fakeQueue) RoundTrip(r *http.Request) (*http.Response, error) {
	how := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	q.mu.Lock()
	q.requests[how]++
	n := q.requests[how]
	q.mu.Unlock()
	if q.fail != nil {
		if res, err := q.fail(how, n); res != nil || err != nil {
			return res, err
		}
	}
	var in struct {
		Max                     int
		Wait, Visibility, Delay Duration
		Receipts                []string
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if how == "lease" {
		return q.lease(r, max(1, in.Max), time.Duration(in.Wait), time.Duration(in.Visibility))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out := Settled{Errors: []ReceiptError{}}
	for _, receipt := range in.Receipts {
		l := q.leased[receipt]
		if l == nil || q.now().After(l.until) {
			out.Errors = append(out.Errors, ReceiptError{Receipt: receipt, Code: "lease_lost"})
			continue
		}
		out.Done++
		switch how {
		case "ack":
			q.done = append(q.done, l.version)
			delete(q.leased, receipt)
		case "nack":
			q.ready[l.version] = q.now().Add(time.Duration(in.Delay))
			q.delays[l.version] = append(q.delays[l.version], time.Duration(in.Delay))
			delete(q.leased, receipt)
		case "extend":
			l.until = q.now().Add(time.Duration(in.Visibility))
			q.extended++
		}
	}
	return jsonOf(r, out)
}

func jsonOf(r *http.Request, v any) (*http.Response, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return answerOf(200, nil, string(body))(r)
}

func (q *fakeQueue) lease(r *http.Request, most int, wait, visibility time.Duration) (*http.Response, error) {
	for end := q.now().Add(wait); ; {
		if given := q.give(most, visibility); len(given) > 0 || !q.now().Before(end) {
			return jsonOf(r, LeasedEvents{Events: given})
		}
		if err := sleep(r.Context(), 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (q *fakeQueue) give(most int, visibility time.Duration) []LeasedEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	for receipt, l := range q.leased {
		if q.now().After(l.until) {
			q.ready[l.version] = q.now()
			delete(q.leased, receipt)
		}
	}
	var versions []int64
	for v, at := range q.ready {
		if !q.now().Before(at) {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	given := []LeasedEvent{}
	for _, v := range versions[:min(most, len(versions))] {
		delete(q.ready, v)
		q.tries[v]++
		receipt := fmt.Sprintf("r%d-%d", v, q.tries[v])
		q.leased[receipt] = &fakeLease{v, q.now().Add(visibility)}
		given = append(given, LeasedEvent{Receipt: receipt, Event: Event{Type: "a", Version: v}, Deliveries: q.tries[v], Expires: q.now().Add(visibility)})
	}
	return given
}

func (q *fakeQueue) handle(t *testing.T, opts ...Option) *QueueHandle {
	t.Helper()
	c, err := New("http://posthorn.test", "key", append(opts, WithHTTPClient(&http.Client{Transport: q, Timeout: time.Minute}))...)
	if err != nil {
		t.Fatal(err)
	}
	return c.Queue("acme", "jobs")
}

func (q *fakeQueue) sorted() []int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(slices.Values(q.done))
}

// workUntil works until n events are done.
func workUntil(t *testing.T, q *fakeQueue, n int, o WorkOptions, f WorkFunc) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done, told := 0, o.OnDone
	o.OnDone = func(e LeasedEvent, err error) {
		if told != nil {
			told(e, err)
		}
		if err == nil {
			if done++; done == n {
				cancel()
			}
		}
	}
	return q.handle(t).Work(ctx, f, o)
}

func TestWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(100)
		q.fail = func(how string, _ int) (*http.Response, error) {
			if how == "ack" { // takes as long as it does over a network
				return nil, sleep(t.Context(), 10*time.Millisecond)
			}
			return nil, nil
		}
		var mu sync.Mutex
		running, most := 0, 0
		began := time.Now()
		err := workUntil(t, q, 100, WorkOptions{Concurrency: 10}, func(ctx context.Context, _ LeasedEvent) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			err := sleep(ctx, time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return err
		})
		if took := time.Since(began); err != nil || most != 10 || !slices.Equal(q.sorted(), upTo(100)) || took > 11*time.Second {
			t.Errorf("%v: %d at once, done %v after %v", err, most, q.done, took)
		}
		// Those done together are told together.
		if q.requests["ack"] > 60 || q.requests["extend"] > 10 {
			t.Errorf("%v", q.requests)
		}
	})
}

func TestWorkNacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(3)
		var told []string
		err := workUntil(t, q, 3, WorkOptions{
			Concurrency: 3,
			OnDone: func(e LeasedEvent, err error) {
				told = append(told, fmt.Sprintf("%d.%d %v", e.Event.Version, e.Deliveries, err))
			},
		}, func(_ context.Context, e LeasedEvent) error {
			switch {
			case e.Event.Version == 1 && e.Deliveries <= 4:
				return errors.New("no")
			case e.Event.Version == 2 && e.Deliveries == 1:
				return fmt.Errorf("wrapped: %w", RetryIn(7*time.Minute, nil))
			}
			return nil
		})
		if err != nil || !slices.Equal(q.sorted(), upTo(3)) {
			t.Errorf("%v, done %v", err, q.done)
		}
		for i, d := range q.delays[1] {
			if most := time.Second << i; d < most/2-100*time.Millisecond || d > most {
				t.Errorf("delay %d was %v", i, d)
			}
		}
		if len(q.delays[1]) != 4 || !slices.Equal(q.delays[2], []time.Duration{7 * time.Minute}) {
			t.Errorf("delays %v", q.delays)
		}
		slices.Sort(told)
		want := []string{"1.1 no", "1.2 no", "1.3 no", "1.4 no", "1.5 <nil>", "2.1 wrapped: client: to be given again", "2.2 <nil>", "3.1 <nil>"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	})
}

// Leases of events that are handled, and of those that wait for that, are extended.
func TestWorkExtends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(3)
		err := workUntil(t, q, 3, WorkOptions{Prefetch: 2, Visibility: 9 * time.Second}, func(ctx context.Context, _ LeasedEvent) error {
			return sleep(ctx, time.Hour)
		})
		if err != nil || !slices.Equal(q.done, upTo(3)) || len(q.delays) > 0 || q.tries[3] != 1 {
			t.Errorf("%v, done %v, tries %v", err, q.done, q.tries)
		}
	})
}

func TestWorkLosesLeases(t *testing.T) {
	t.Parallel()
	away := errors.New("network is unreachable")
	for name, c := range map[string]struct {
		fail func(string, int) (*http.Response, error)
		most time.Duration
	}{
		"said by the server": {func(how string, n int) (*http.Response, error) {
			if how == "extend" && n == 2 {
				return answerOf(200, nil, `{"done":0,"errors":[{"receipt":"r1-1","code":"lease_lost"}]}`)(nil)
			}
			return nil, nil
		}, 21 * time.Second},
		"server away": {func(how string, n int) (*http.Response, error) {
			if how == "extend" && n < 20 {
				return nil, away
			}
			return nil, nil
		}, 45 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(1)
				q.fail = c.fail
				var lost error
				began, took := time.Now(), time.Duration(0)
				err := workUntil(t, q, 1, WorkOptions{OnDone: func(e LeasedEvent, err error) {
					if e.Deliveries == 1 {
						lost = err
					}
				}}, func(ctx context.Context, e LeasedEvent) error {
					if e.Deliveries > 1 {
						return nil
					}
					<-ctx.Done()
					took = time.Since(began)
					return context.Cause(ctx)
				})
				if err != nil || !errors.Is(lost, ErrLeaseLost) || took > c.most || took < 19*time.Second {
					t.Errorf("%v: %v after %v", err, lost, took)
				}
			})
		})
	}
}

// An ack whose answer was lost, and a server that is away while an event is done.
func TestWorkAcksThroughFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(1)
		failed := 0
		q.fail = func(how string, n int) (*http.Response, error) {
			if how == "ack" && n <= 7 {
				return answerOf(503, nil, "")(nil)
			}
			return nil, nil
		}
		err := workUntil(t, q, 1, WorkOptions{OnError: func(error) { failed++ }}, func(context.Context, LeasedEvent) error { return nil })
		if err != nil || !slices.Equal(q.done, upTo(1)) || failed != 1 {
			t.Errorf("%v, done %v, %d failures", err, q.done, failed)
		}
		// Until the lease has ended: then nobody needs it.
		q = newFakeQueue(1)
		q.fail = func(how string, n int) (*http.Response, error) {
			if how == "ack" && n <= 60 {
				return nil, errors.New("refused")
			}
			return nil, nil
		}
		var told []error
		err = workUntil(t, q, 1, WorkOptions{OnDone: func(_ LeasedEvent, err error) { told = append(told, err) }}, func(context.Context, LeasedEvent) error { return nil })
		if err != nil || len(told) < 2 || !errors.Is(told[0], ErrLeaseLost) || told[len(told)-1] != nil {
			t.Errorf("%v, told %v", err, told)
		}
	})
}

func TestWorkDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(10)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := 0
		err := q.handle(t).Work(ctx, func(hctx context.Context, _ LeasedEvent) error {
			if began++; began == 1 {
				cancel()
			}
			return sleep(hctx, 20*time.Second) // outlives ctx
		}, WorkOptions{Prefetch: 5})
		if err != nil || !slices.Equal(q.done, []int64{1}) || began != 1 {
			t.Errorf("%v, done %v, %d begun", err, q.done, began)
		}
		if len(q.leased) != 0 || len(q.delays) != 5 || q.delays[2][0] != 0 {
			t.Errorf("not given back: %v, %v", q.leased, q.delays)
		}
		// A handler that takes too long is told to end.
		q = newFakeQueue(1)
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		var stop time.Time
		err = q.handle(t).Work(ctx, func(hctx context.Context, _ LeasedEvent) error {
			cancel()
			stop = time.Now()
			<-hctx.Done()
			return hctx.Err()
		}, WorkOptions{Drain: 5 * time.Second})
		if took := time.Since(stop); err != nil || took != 5*time.Second || len(q.delays[1]) != 1 {
			t.Errorf("%v after %v, %v", err, took, q.delays)
		}
		// And so is everything when the server is away: Work ends.
		q = newFakeQueue(1)
		q.fail = func(how string, _ int) (*http.Response, error) {
			if how != "lease" {
				return nil, errors.New("refused")
			}
			return nil, nil
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		err = q.handle(t).Work(ctx, func(context.Context, LeasedEvent) error { cancel(); stop = time.Now(); return nil }, WorkOptions{Drain: 5 * time.Second, Visibility: time.Hour})
		if took := time.Since(stop); err != nil || took > 16*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestWorkTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(1)
		err := workUntil(t, q, 1, WorkOptions{Timeout: 3 * time.Second}, func(ctx context.Context, e LeasedEvent) error {
			if e.Deliveries > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil || len(q.delays[1]) != 1 {
			t.Errorf("%v, %v", err, q.delays)
		}
	})
}

func TestWorkEndsAndTriesAgain(t *testing.T) {
	t.Parallel()
	never := func(context.Context, LeasedEvent) error { return errors.New("called") }
	for _, c := range []struct {
		status, requests int
		code             string
		token            bool
	}{
		{404, 1, "not_found", false}, {401, 1, "unauthorized", false}, {403, 1, "forbidden", false}, {401, 3, "unauthorized", true}, {404, 1, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(0)
			q.fail = func(string, int) (*http.Response, error) {
				return answerOf(c.status, nil, fmt.Sprintf(`{"code":%q}`, c.code))(nil)
			}
			var opts []Option
			if c.token {
				opts = append(opts, WithToken(func(context.Context) (string, error) { return "t", nil }))
			}
			err := q.handle(t, opts...).Work(t.Context(), never, WorkOptions{})
			if p, ok := errors.AsType[*Problem](err); !ok || p.Status != c.status || q.requests["lease"] != c.requests {
				t.Errorf("%d: %v after %v", c.status, err, q.requests)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(1)
		q.fail = func(how string, n int) (*http.Response, error) {
			switch {
			case how == "lease" && n == 1:
				return answerOf(503, http.Header{"Retry-After": {"90"}}, "")(nil)
			case how == "lease" && n <= 4:
				return nil, errors.New("refused")
			}
			return nil, nil
		}
		failed, began := 0, time.Now()
		err := workUntil(t, q, 1, WorkOptions{OnError: func(error) { failed++ }}, func(context.Context, LeasedEvent) error { return nil })
		if took := time.Since(began); err != nil || failed != 4 || took < 94*time.Second || took > 115*time.Second {
			t.Errorf("%v, %d failures, %v", err, failed, took)
		}
		// A server that does not wait is not asked all the time.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q = newFakeQueue(0)
		q.fail = func(string, int) (*http.Response, error) { return answerOf(200, nil, `{"events":[]}`)(nil) }
		if err := q.handle(t).Work(ctx, never, WorkOptions{}); err != nil || q.requests["lease"] > 61 {
			t.Errorf("%v, %v", err, q.requests)
		}
	})
}

func TestWorkOptions(t *testing.T) {
	t.Parallel()
	for i, o := range []WorkOptions{
		{Concurrency: -1}, {Concurrency: 1001}, {Prefetch: -1}, {Visibility: time.Second}, {Visibility: 13 * time.Hour}, {Wait: 61 * time.Second}, {Timeout: -1}, {Drain: -1},
	} {
		if err := newFakeQueue(0).handle(t).Work(t.Context(), nil, o); err == nil {
			t.Errorf("options %d: no error", i)
		}
	}
}

func TestQueueRequests(t *testing.T) {
	t.Parallel()
	var got []string
	answer := `{"name":"jobs","events":[{"receipt":"r","deliveries":2}],"done":2,"retried":3,"data":[{"version":5}],"expires":"2026-01-01T00:00:00Z","errors":[{"receipt":"x","code":"lease_lost"}]}`
	f := roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("If-Match")+" "+string(body)))
		return answerOf(200, http.Header{"Etag": {`"7"`}}, answer)(r)
	})
	c, err := New("http://posthorn.test", "key", WithHTTPClient(&http.Client{Transport: f}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, q := t.Context(), c.Queue("acme", "jobs")
	made, err := q.Put(ctx, Queue{Name: "other", Types: []string{"a.*"}})
	if err != nil || made.ETag != `"7"` {
		t.Errorf("%v, %v", made, err)
	}
	if _, err := q.Put(ctx, Queue{ETag: `"7"`}); err != nil {
		t.Error(err)
	}
	if _, err := q.Get(ctx); err != nil {
		t.Error(err)
	}
	if events, err := q.Lease(ctx, LeaseRequest{Max: 5, Wait: Duration(2 * time.Second)}); err != nil || len(events) != 1 || events[0].Deliveries != 2 {
		t.Errorf("%v, %v", events, err)
	}
	if out, err := q.Ack(ctx, "r", "x"); err != nil || out.Done != 2 || len(out.Errors) != 1 {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := q.Nack(ctx, time.Minute, "r"); err != nil {
		t.Error(err)
	}
	if out, err := q.Extend(ctx, time.Minute, "r"); err != nil || out.Expires.IsZero() {
		t.Errorf("%v, %v", out, err)
	}
	for d, err := range q.Dead(ctx) {
		if err != nil || d.Version != 5 {
			t.Errorf("%v, %v", d, err)
		}
	}
	if n, err := q.RetryDead(ctx, 5, 6); err != nil || n != 3 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := q.RetryDead(ctx); err != nil {
		t.Error(err)
	}
	for _, err := range c.Queues(ctx, "acme", WithState()) {
		if err != nil {
			t.Error(err)
		}
	}
	if err := q.Delete(ctx); err != nil {
		t.Error(err)
	}
	const at = "/v1/tenants/acme/queues"
	want := []string{
		"PUT " + at + `/jobs  {"name":"jobs","types":["a.*"]}`,
		"PUT " + at + `/jobs "7" {"name":"jobs"}`,
		"GET " + at + "/jobs",
		"POST " + at + `/jobs/lease  {"max":5,"wait":"2s"}`,
		"POST " + at + `/jobs/ack  {"receipts":["r","x"]}`,
		"POST " + at + `/jobs/nack  {"receipts":["r"],"delay":"1m"}`,
		"POST " + at + `/jobs/extend  {"receipts":["r"],"visibility":"1m"}`,
		"GET " + at + "/jobs/dead",
		"POST " + at + `/jobs/dead/retry  {"versions":[5,6]}`,
		"POST " + at + "/jobs/dead/retry  {}",
		"GET " + at + "?state=true",
		"DELETE " + at + "/jobs",
	}
	for i := range want { // times are written where they are the zero time
		if i < 2 {
			got[i], _, _ = strings.Cut(got[i], `,"created"`)
			got[i] = strings.TrimSuffix(got[i], "}") + "}"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// More receipts than one request may name.
	got = nil
	if out, err := q.Ack(ctx, make([]string, 2500)...); err != nil || out.Done != 6 || len(out.Errors) != 3 || len(got) != 3 {
		t.Errorf("%v, %v", out, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
