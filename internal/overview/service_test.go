package overview

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// fake is what a service is made of.
type fake struct {
	mu       sync.Mutex
	survey   event.LaneSurvey
	surveys  int
	slow     time.Duration // a survey takes so long
	counts   event.EndpointCounts
	disabled []event.Endpoint
	dead     []event.DeadLetter
	attempts map[event.EndpointID]event.Attempt
	reads    int
	fail     error
	revoked  bool
}

func (f *fake) lock() func() { f.mu.Lock(); return f.mu.Unlock }

func (f *fake) Survey(event.TenantID, int) event.LaneSurvey {
	defer f.lock()()
	f.surveys++
	if f.slow > 0 {
		<-time.After(f.slow)
	}
	return f.survey
}

func (f *fake) CountEndpoints(context.Context, event.TenantID) (event.EndpointCounts, error) {
	defer f.lock()()
	f.reads++
	return f.counts, f.fail
}

func (f *fake) DisabledEndpoints(_ context.Context, _ event.TenantID, reason string, limit int) ([]event.Endpoint, error) {
	defer f.lock()()
	var out []event.Endpoint
	for _, e := range f.disabled {
		if e.DisabledReason == reason && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, f.fail
}

func (f *fake) RecentDead(_ context.Context, _ event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error) {
	defer f.lock()()
	var out []event.DeadLetter
	for _, d := range f.dead {
		if !d.At.Before(since) && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, f.fail
}

func (f *fake) EndpointsByID(_ context.Context, ids []event.EndpointID) ([]event.Endpoint, error) {
	out := make([]event.Endpoint, len(ids))
	for i, id := range ids {
		out[i] = endpoint(id)
	}
	return out, nil
}

func (f *fake) AttemptsOfEndpoint(_ context.Context, e event.EndpointID, _ []event.Verdict, _ int64, _ int) ([]event.Attempt, int64, error) {
	defer f.lock()()
	if a, ok := f.attempts[e]; ok {
		return []event.Attempt{a}, 0, nil
	}
	return nil, 0, nil
}

func (f *fake) Bounds(context.Context, event.TenantID) (oldest, head int64, err error) {
	return 1, 100, nil
}

func (f *fake) ReceivedAfter(_ context.Context, _ event.TenantID, after int64) (time.Time, error) {
	return began.Add(time.Duration(after) * time.Second), nil
}

func (f *fake) Open(tenant event.TenantID) int { return int(tenant) + 1 }

func (f *fake) Holds(context.Context, *event.APIKey) bool {
	defer f.lock()()
	return !f.revoked
}

func endpoint(id event.EndpointID) event.Endpoint {
	return event.Endpoint{ID: id, Tenant: 1, URL: "https://example.com/" + strconv.Itoa(int(id))}
}

func newService(f *fake) *Service {
	return New(Config{Counters: NewCounters(time.Now()), Lanes: f, Store: f, Streams: f, Logger: slog.New(slog.DiscardHandler), Holds: f.Holds, MaxWatchers: 3})
}

func trouble(id event.EndpointID, reason string, since time.Time) event.LaneTrouble {
	ep := endpoint(id)
	return event.LaneTrouble{Endpoint: &ep, Reason: reason, Since: since, Cursor: 40}
}

func TestOverview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		f := &fake{counts: event.EndpointCounts{All: 12, Disabled: map[string]int{"gone": 2, "paused": 1}}, attempts: map[event.EndpointID]event.Attempt{5: {Status: 503, Error: "x"}}}
		f.survey = event.LaneSurvey{LaneCounts: event.LaneCounts{
			Live: 3, Backlog: 1, Waiting: 2, Disabled: 1, InFlight: 4, Retries: 9, Reasons: map[string]int{"penalty": 1, "gone": 1},
			Oldest: event.LaneOldest{At: now.Add(-time.Hour), Endpoint: &event.Endpoint{ID: 9}},
		}, Trouble: []event.LaneTrouble{trouble(1, "gone", now.Add(-time.Minute)), trouble(5, "penalty", now.Add(-time.Hour))}}
		one, two := endpoint(1), endpoint(2)
		one.Disabled, one.DisabledReason, one.Updated = true, "gone", now.Add(-time.Minute)
		two.Disabled, two.DisabledReason, two.Updated = true, "gone", now.Add(-time.Second)
		f.disabled = []event.Endpoint{two, one}
		f.dead = []event.DeadLetter{{Endpoint: 5, At: now}, {Endpoint: 7, At: now}, {Endpoint: 7, At: now.Add(-time.Minute)}, {Endpoint: 8, At: now.Add(-25 * time.Hour)}}
		s := newService(f)
		o, err := s.Overview(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		l := o.Lanes
		if l.Live != 3 || l.Backlog != 1 || l.Waiting != 4 || l.Idle != 4 || l.Reasons["gone"] != 2 || l.Reasons["paused"] != 1 || l.Reasons["penalty"] != 1 {
			t.Errorf("%+v", l)
		}
		if f.survey.Reasons["paused"] != 0 {
			t.Error("the survey was changed")
		}
		if o.Endpoints != 12 || o.Streams != 1 || l.InFlight != 4 || l.Retries != 9 {
			t.Errorf("%+v", o)
		}
		var got []string
		for _, a := range o.Attention {
			got = append(got, a.Reason+" "+strconv.Itoa(int(a.Endpoint)))
		}
		if want := []string{"gone 2", "gone 1", "penalty 5", "dead_letters 7"}; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i, want := range []event.Attention{{}, {Backlog: 60, OldestAt: began.Add(40 * time.Second)}, {Backlog: 60, OldestAt: began.Add(40 * time.Second), LastStatus: 503, LastError: "x"}, {Failures: 2}} {
			if a := o.Attention[i]; a.Backlog != want.Backlog || !a.OldestAt.Equal(want.OldestAt) || a.LastStatus != want.LastStatus || a.LastError != want.LastError || a.Failures != want.Failures || a.URL == "" {
				t.Errorf("%+v", a)
			}
		}
		if !o.Lanes.Oldest.At.Equal(now.Add(-time.Hour)) || o.Lanes.Oldest.Endpoint.ID != 9 {
			t.Errorf("oldest %+v", o.Lanes.Oldest) // the fake's log is of a later time
		}
	})
}

// TestOverviewIsShared: whoever asks within a second gets the same survey, and within five the same list.
func TestOverviewIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := newService(f)
		ask := func(n int) {
			t.Helper()
			for range n {
				if _, err := s.Overview(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask(100)
		if f.surveys != 1 || f.reads != 1 {
			t.Errorf("%d surveys, %d reads", f.surveys, f.reads)
		}
		<-time.After(time.Second)
		ask(100)
		if f.surveys != 2 || f.reads != 1 {
			t.Errorf("after a second %d surveys, %d reads", f.surveys, f.reads)
		}
		<-time.After(4 * time.Second)
		ask(100)
		if f.surveys != 3 || f.reads != 2 {
			t.Errorf("after five %d surveys, %d reads", f.surveys, f.reads)
		}
		f.slow = 100 * time.Millisecond
		<-time.After(time.Second)
		ask(1)
		<-time.After(4 * time.Second)
		ask(1)
		if f.surveys != 4 {
			t.Errorf("%d surveys: one that takes 0.1 s is made every five seconds", f.surveys)
		}
		<-time.After(time.Second)
		ask(1)
		if f.surveys != 5 {
			t.Errorf("%d surveys", f.surveys)
		}
		f.fail = errors.New("no")
		<-time.After(10 * time.Second)
		if _, err := s.Overview(t.Context(), 0); err == nil {
			t.Error("a store that fails is not noticed")
		}
	})
}

// TestAttentionLeavesRoom: when there are very many of one reason, the others are seen, too.
func TestAttentionLeavesRoom(t *testing.T) {
	t.Parallel()
	var list []event.LaneTrouble
	for i := range 50 {
		list = append(list, trouble(event.EndpointID(i+1), "gone", began.Add(time.Duration(i)*time.Second)))
	}
	for i := range 3 {
		list = append(list, trouble(event.EndpointID(i+101), "penalty", began.Add(time.Duration(i)*time.Second)))
	}
	got := worst(list)
	if len(got) != maxAttention {
		t.Fatalf("%d", len(got))
	}
	of := map[string]int{}
	for i, x := range got {
		of[x.Reason]++
		if i > 0 && event.CompareAttention(got[i-1].Reason, x.Reason, got[i-1].Since, x.Since) > 0 {
			t.Errorf("%d is out of order", i)
		}
	}
	if of["penalty"] != 3 || of["gone"] != 17 || got[0].Endpoint.ID != 50 || got[17].Endpoint.ID != 101 {
		t.Errorf("%v, %v first", of, got[0].Endpoint.ID)
	}
}

// hear collects what a watcher is told until the time is up.
func hear(t *testing.T, next func(context.Context) (event.OverviewNews, error), d time.Duration) (heard []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for {
		news, err := next(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return heard, nil
		case err != nil:
			return heard, err
		case news.Overview != nil:
			heard = append(heard, "overview "+strconv.FormatInt(news.Overview.Events, 10))
		case news.Tick != nil:
			heard = append(heard, "tick "+strconv.FormatInt(news.Tick.Events, 10))
		case news.Attention != nil:
			heard = append(heard, "attention "+strconv.Itoa(len(news.Attention)))
		default:
			t.Error("no news")
		}
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := newService(f)
		ctx, cancel := context.WithCancel(t.Context())
		var g sync.WaitGroup
		g.Go(func() { _ = s.Run(ctx) })
		defer g.Wait()
		defer cancel()
		<-time.After(300 * time.Millisecond)
		s.cfg.Counters.Published(1, 5)
		next, leave, err := s.Watch(1, &event.APIKey{})
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		s.cfg.Counters.Published(1, 2)
		heard, err := hear(t, next, 2*time.Second)
		if want := "overview 7,tick 2,tick 0"; err != nil || strings.Join(heard, ",") != want {
			t.Errorf("heard %v, %v, want %s", heard, err, want)
		}
		f.mu.Lock()
		f.survey.Trouble = []event.LaneTrouble{trouble(5, "penalty", began)}
		f.mu.Unlock()
		s.cfg.Counters.Published(1, 3)
		heard, err = hear(t, next, 10*time.Second)
		if n := strings.Count(strings.Join(heard, ","), "attention 1"); err != nil || n != 1 || !slices.Contains(heard, "tick 3") || len(heard) != 11 {
			t.Errorf("heard %v, %v: the list is told once", heard, err)
		}
		<-time.After(10 * time.Second)
		if heard, _ = hear(t, next, 500*time.Millisecond); len(heard) > 2 {
			t.Errorf("who was away hears the newest only: %v", heard)
		}
		f.mu.Lock()
		f.revoked = true
		f.mu.Unlock()
		if heard, err = hear(t, next, 40*time.Second); event.KindOf(err) != event.KindUnauthorized {
			t.Errorf("with a revoked key: %v, %v", heard, err)
		}
	})
}

// TestWatchShares: who has the link of a portal cannot keep others from watching.
func TestWatchShares(t *testing.T) {
	s := newService(&fake{})
	s.cfg.MaxWatchers = 8
	watch := func(tenant event.TenantID) error {
		_, leave, err := s.Watch(tenant, &event.APIKey{})
		if err == nil {
			t.Cleanup(leave)
		}
		return err
	}
	for i, most := range []int{2, 2, 2, 0} {
		for n := range 3 {
			if err := watch(event.TenantID(i + 1)); (err == nil) != (n < most) || err != nil && event.KindOf(err) != event.KindUnavailable {
				t.Errorf("tenant %d, number %d: %v", i+1, n, err)
			}
		}
	}
	for range 2 {
		if err := watch(0); err != nil {
			t.Errorf("the server's own: %v", err)
		}
	}
	if err := watch(0); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("over all: %v", err)
	}
}

// TestWatchEndSession: signing out ends what the session watches, at once, and nothing else.
func TestWatchEndSession(t *testing.T) {
	s := newService(&fake{})
	begin := func(key *event.APIKey) func(context.Context) (event.OverviewNews, error) {
		next, leave, err := s.Watch(1, key)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(leave)
		if _, err := next(t.Context()); err != nil {
			t.Fatal(err)
		}
		return next
	}
	s.cfg.MaxWatchers = 12
	mine, other, key := begin(&event.APIKey{Session: "ses_1"}), begin(&event.APIKey{Session: "ses_2"}), begin(&event.APIKey{})
	s.EndSession("ses_1")
	s.EndSession("")
	if _, err := mine(t.Context()); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, next := range []func(context.Context) (event.OverviewNews, error){other, key} {
		if _, err := next(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := newService(f)
		ctx, cancel := context.WithCancel(t.Context())
		var g sync.WaitGroup
		g.Go(func() { _ = s.Run(ctx) })
		watch := func(tenant event.TenantID, key *event.APIKey) (next func(context.Context) (event.OverviewNews, error), leave func()) {
			t.Helper()
			next, leave, err := s.Watch(tenant, key)
			if err != nil {
				t.Fatal(err)
			}
			return next, leave
		}
		expires, leaveExpires := watch(0, &event.APIKey{Expires: time.Now().Add(5 * time.Second)})
		deleted, leaveDeleted := watch(4, &event.APIKey{})
		stays, leaveStays := watch(0, &event.APIKey{})
		if _, _, err := s.Watch(0, &event.APIKey{}); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("too many: %v", err)
		}
		if heard, err := hear(t, expires, time.Minute); event.KindOf(err) != event.KindUnauthorized || len(heard) < 5 || len(heard) > 7 {
			t.Errorf("heard %v, %v", heard, err)
		}
		s.TenantDeleted(4)
		if _, err := hear(t, deleted, time.Minute); event.KindOf(err) != event.KindNotFound {
			t.Errorf("%v", err)
		}
		leaveExpires()
		leaveDeleted()
		leaveDeleted() // once more does no harm
		s.Close()
		s.Close()
		if _, err := hear(t, stays, time.Minute); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("%v", err)
		}
		leaveStays()
		if _, _, err := s.Watch(0, &event.APIKey{}); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("after Close: %v", err)
		}
		if s.watchers != 0 {
			t.Errorf("%d watch", s.watchers)
		}
		<-time.After(2 * scopeAge)
		s.mu.Lock()
		if len(s.scopes) != 0 {
			t.Errorf("%d scopes are kept for nobody", len(s.scopes))
		}
		s.mu.Unlock()
		cancel()
		g.Wait()
	})
}
