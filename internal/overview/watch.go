package overview

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// watcher is somebody who watches a scope. over is guarded by the service's lock; the rest belongs to who calls next.
type watcher struct {
	scope *scope
	key   *event.APIKey
	over  error // why it has ended

	begun        bool
	ticks, shows uint64 // what was seen
}

// errClosed ends watchers when the server stops.
func errClosed() error {
	e := event.Errorf(event.KindUnavailable, "shutting_down", "the server is stopping")
	e.RetryAfter = time.Second
	return e
}

// Watch lets somebody with a key watch a tenant, or with tenant 0 the server. Each call of next waits for something new: first
// the whole overview, then a tick a second, and what needs attention when that has changed. Who is slow misses ticks. next
// returns an error when its context ends, when the key does (KindUnauthorized), when the tenant is deleted (KindNotFound)
// and when the server stops (KindUnavailable). leave must be called at the end. An error of Watch itself is KindUnavailable:
// too many watch.
func (s *Service) Watch(tenant event.TenantID, key *event.APIKey) (next func(context.Context) (event.OverviewNews, error), leave func(), err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, errClosed()
	case s.watchers >= s.cfg.MaxWatchers || tenant != 0 && s.shareTaken(tenant):
		e := event.Errorf(event.KindUnavailable, "busy", "as many watch overviews as the server takes")
		e.RetryAfter = attentionAge
		return nil, nil, e
	}
	c := s.scope(tenant, now)
	w := &watcher{scope: c, key: key, ticks: c.ticks}
	c.watchers[w] = struct{}{}
	s.watchers++
	s.cfg.Counters.watch(tenant, now)
	leave = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, there := c.watchers[w]; there {
			delete(c.watchers, w)
			s.watchers--
			s.cfg.Counters.unwatch(tenant)
		}
	}
	return func(ctx context.Context) (event.OverviewNews, error) { return s.next(ctx, w) }, leave, nil
}

// shareTaken reports whether as many watch a tenant, or tenants together, as may: a quarter and three quarters of all. Who has
// the link of one portal must not keep everybody else out. s.mu is held.
func (s *Service) shareTaken(tenant event.TenantID) bool {
	watching := func(id event.TenantID) int {
		if c := s.scopes[id]; c != nil {
			return len(c.watchers)
		}
		return 0
	}
	most := s.cfg.MaxWatchers
	return watching(tenant) >= max(1, most/4) || s.watchers-watching(0) >= max(1, most*3/4)
}

// EndSession ends those who watch by a browser's session.
func (s *Service) EndSession(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.scopes {
		for w := range c.watchers {
			if session != "" && w.key.Session == session {
				w.over = event.Errorf(event.KindUnauthorized, "session_ended", "the session has ended")
				c.wake()
			}
		}
	}
}

// next returns what is new for a watcher.
func (s *Service) next(ctx context.Context, w *watcher) (event.OverviewNews, error) {
	c := w.scope
	if !w.begun {
		w.begun = true
		o, err := s.Overview(ctx, c.tenant)
		s.mu.Lock()
		if err == nil && (c.shows == 0 || !reflect.DeepEqual(c.shown, o.Attention)) {
			c.shown, c.shows = o.Attention, c.shows+1
		}
		w.shows = c.shows
		s.mu.Unlock()
		return event.OverviewNews{Overview: &o}, err
	}
	for {
		s.mu.Lock()
		news, over := c.news, w.over
		var out event.OverviewNews
		switch {
		case w.shows != c.shows:
			w.shows, out.Attention = c.shows, c.shown
			if out.Attention == nil {
				out.Attention = []event.Attention{}
			}
		case w.ticks != c.ticks:
			tick := c.tick
			w.ticks, out.Tick = c.ticks, &tick
		}
		s.mu.Unlock()
		switch {
		case over != nil:
			return event.OverviewNews{}, over
		case !w.key.Expires.IsZero() && !time.Now().Before(w.key.Expires):
			return event.OverviewNews{}, event.Errorf(event.KindUnauthorized, "unauthorized", "the key or token has expired")
		case out.Tick != nil || out.Attention != nil:
			return out, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return event.OverviewNews{}, ctx.Err()
		case <-s.done:
			return event.OverviewNews{}, errClosed()
		}
	}
}

// wake tells watchers that there is something new. The service's lock is held.
func (c *scope) wake() {
	close(c.news)
	c.news = make(chan struct{})
}

// Close ends all who watch and lets nobody begin. It may be called more than once.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

// Run samples the counters once a second and tells those who watch, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		s.attendAll(ctx)
	}()
	defer func() { <-slow }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		timer.Reset(now.Truncate(time.Second).Add(time.Second).Sub(now))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		now = time.Now()
		s.cfg.Counters.sample(now)
		for _, c := range s.watched(now) {
			s.tell(c, now)
		}
	}
}

// watched returns the scopes that somebody watches, and forgets those that nobody has looked at for a while.
func (s *Service) watched(now time.Time) []*scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*scope
	for tenant, c := range s.scopes {
		switch {
		case len(c.watchers) > 0:
			list = append(list, c)
		case now.Sub(c.used) > scopeAge:
			delete(s.scopes, tenant)
		}
	}
	return list
}

// tell makes a scope's tick.
func (s *Service) tell(c *scope, now time.Time) {
	var tick event.Tick
	if c.mu.TryLock() { // else what is slow is under way, and the lanes are as they were
		c.look(s.cfg.Lanes, now)
		tick.Lanes = c.lanes()
		c.mu.Unlock()
	} else {
		s.mu.Lock()
		tick.Lanes = c.tick.Lanes
		s.mu.Unlock()
	}
	tick.At, tick.Figures, tick.Streams = now, s.cfg.Counters.tick(c.tenant), s.cfg.Streams.Open(c.tenant)
	s.mu.Lock()
	c.used, c.tick = now, tick
	c.ticks++
	c.wake()
	s.mu.Unlock()
}

// attendAll looks after what needs attention in scopes that are watched, and after the keys of those who watch.
func (s *Service) attendAll(ctx context.Context) {
	ticker := time.NewTicker(attentionAge)
	defer ticker.Stop()
	asked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		for _, c := range s.watched(now) {
			c.mu.Lock()
			c.look(s.cfg.Lanes, now)
			err := s.attend(ctx, c, now)
			list := c.attention
			c.mu.Unlock()
			if err != nil {
				if ctx.Err() == nil {
					s.cfg.Logger.WarnContext(ctx, "cannot tell what needs attention", slog.Any("error", err))
				}
				continue
			}
			s.show(c, list)
		}
		if now.Sub(asked) >= keysEvery {
			asked = now
			s.askKeys(ctx)
		}
	}
}

// show tells the watchers of a scope what needs attention, when that has changed.
func (s *Service) show(c *scope, list []event.Attention) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.shows > 0 && reflect.DeepEqual(c.shown, list) {
		return
	}
	c.shown = list
	c.shows++
	c.wake()
}

// askKeys ends those who watch with a key that is no longer good.
func (s *Service) askKeys(ctx context.Context) {
	if s.cfg.Holds == nil {
		return
	}
	s.mu.Lock()
	var list []*watcher
	for _, c := range s.scopes {
		for w := range c.watchers {
			list = append(list, w)
		}
	}
	s.mu.Unlock()
	for _, w := range list {
		if s.cfg.Holds(ctx, w.key) || ctx.Err() != nil {
			continue
		}
		s.mu.Lock()
		w.over = event.Errorf(event.KindUnauthorized, "unauthorized", "the key or token was revoked")
		w.scope.wake()
		s.mu.Unlock()
	}
}
