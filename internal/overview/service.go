package overview

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Lanes show how deliveries go (package deliver).
type Lanes interface {
	// Survey counts lanes of a tenant, 0: all, and names the worst, at most most of each reason.
	Survey(tenant event.TenantID, most int) event.LaneSurvey
}

// Store is what is read of the store; see package store for the contract of each method.
type Store interface {
	CountEndpoints(ctx context.Context, tenant event.TenantID) (event.EndpointCounts, error)
	DisabledEndpoints(ctx context.Context, tenant event.TenantID, reason string, limit int) ([]event.Endpoint, error)
	RecentDead(ctx context.Context, tenant event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error)
	EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error)
	AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error)
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
	// ReceivedAfter returns when the first event with version > after that is still on the log was received, zero without one.
	ReceivedAfter(ctx context.Context, tenant event.TenantID, after int64) (time.Time, error)
}

// Streams counts live connections (package live).
type Streams interface {
	// Open returns those of a tenant, 0: all.
	Open(tenant event.TenantID) int
}

// Config is what a [Service] is made of. All fields are needed unless they say otherwise.
type Config struct {
	Counters *Counters
	Lanes    Lanes
	Store    Store
	Streams  Streams
	Logger   *slog.Logger
	// Holds reports whether a key or token is still good; it is asked about each that watches, about every 30 s. nil: they are
	// good until they expire.
	Holds func(ctx context.Context, key *event.APIKey) bool
	// MaxWatchers bounds those who watch at once; 0: 256. A tenant may have a quarter of them, all tenants three quarters.
	MaxWatchers int
}

// How old what is shown may be, and how long what nobody looks at is kept.
const (
	laneAge      = time.Second
	attentionAge = 5 * time.Second
	scopeAge     = time.Minute
	// laneShare bounds a survey's part of the time: one in so many.
	laneShare = 50
	keysEvery = 30 * time.Second
)

// Service makes overviews. Figures go on as long as [Service.Run] does. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu       sync.Mutex
	scopes   map[event.TenantID]*scope
	watchers int
	closed   bool
	done     chan struct{} // closed by Close
}

// scope is what is shown of a tenant, or of the server (0), and kept for all who look.
type scope struct {
	tenant event.TenantID

	// Guarded by the service's lock.
	used     time.Time
	watchers map[*watcher]struct{}
	news     chan struct{} // closed when there is something new for watchers
	tick     event.Tick
	ticks    uint64
	shown    []event.Attention // what watchers were told last
	shows    uint64

	mu         sync.Mutex // held while one of the following is made anew
	survey     event.LaneSurvey
	surveyNext time.Time // when it may be made anew
	attention  []event.Attention
	endpoints  event.EndpointCounts
	attended   time.Time // when these two were made
}

// New makes a service; Run begins its work.
func New(c Config) *Service {
	if c.MaxWatchers == 0 {
		c.MaxWatchers = 256
	}
	return &Service{cfg: c, scopes: map[event.TenantID]*scope{}, done: make(chan struct{})}
}

// scope returns what is kept of a tenant. s.mu is held.
func (s *Service) scope(tenant event.TenantID, now time.Time) *scope {
	c := s.scopes[tenant]
	if c == nil {
		c = &scope{tenant: tenant, news: make(chan struct{}), watchers: map[*watcher]struct{}{}}
		s.scopes[tenant] = c
	}
	c.used = now
	return c
}

// Overview shows how a tenant does, or with tenant 0 the server. Errors are those of the store.
func (s *Service) Overview(ctx context.Context, tenant event.TenantID) (event.Overview, error) {
	now := time.Now()
	s.mu.Lock()
	c := s.scope(tenant, now)
	s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(s.cfg.Lanes, now)
	if now.Sub(c.attended) >= attentionAge {
		if err := s.attend(ctx, c, now); err != nil {
			return event.Overview{}, err
		}
	}
	var o event.Overview
	s.cfg.Counters.fill(&o, tenant, now)
	o.Lanes = c.lanes()
	o.Endpoints, o.Attention, o.Streams = c.endpoints.All, c.attention, s.cfg.Streams.Open(tenant)
	for i := range c.attention { // the lanes know the age only of what they have read
		a := &c.attention[i]
		if !a.OldestAt.IsZero() && a.Backlog > 0 && (o.Lanes.Oldest.At.IsZero() || a.OldestAt.Before(o.Lanes.Oldest.At)) {
			o.Lanes.Oldest = event.LaneOldest{At: a.OldestAt, Endpoint: &event.Endpoint{ID: a.Endpoint, Tenant: a.Tenant, Kind: a.Kind, URL: a.URL}}
		}
	}
	return o, nil
}

// look surveys the lanes unless that was done lately. c.mu is held.
func (c *scope) look(lanes Lanes, now time.Time) {
	if now.Before(c.surveyNext) {
		return
	}
	start := time.Now()
	c.survey = lanes.Survey(c.tenant, maxAttention)
	c.surveyNext = now.Add(max(laneAge-laneAge/10, laneShare*time.Since(start))) // a little early, for what ticks once a second
}

// lanes returns the counts of lanes together with those of disabled endpoints that have none. c.mu is held.
func (c *scope) lanes() event.LaneCounts {
	out := c.survey.LaneCounts
	out.Reasons = maps.Clone(out.Reasons)
	if out.Reasons == nil {
		out.Reasons = map[string]int{}
	}
	for why, n := range c.endpoints.Disabled {
		out.Reasons[why] = max(out.Reasons[why], n)
	}
	out.Waiting = 0
	for _, n := range out.Reasons {
		out.Waiting += n
	}
	out.Idle = max(0, c.endpoints.All-out.Live-out.Backlog-out.Waiting)
	return out
}

// TenantDeleted forgets a tenant and ends what watches it.
func (s *Service) TenantDeleted(id event.TenantID) {
	s.cfg.Counters.TenantDeleted(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.scopes[id]
	if c == nil {
		return
	}
	for w := range c.watchers {
		w.over = event.NotFound("tenant")
	}
	c.wake()
	delete(s.scopes, id)
}
