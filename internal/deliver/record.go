package deliver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Bounds of what may wait to be saved.
const (
	recordMax     = 8192             // attempts; over that no delivery starts
	recordSoon    = 1024             // attempts; from there on the delay is cut short
	positionDelay = time.Second      // how long a position that moved alone may be behind
	retryMax      = 10 * time.Second // longest wait before a failed save is tried again
)

// pending is what has happened and is not saved yet.
type pending struct {
	attempts []event.Attempt
	retries  map[store.RetryKey]*retry // nil value: drop
	lanes    map[event.LaneKey]*lane   // nil value: drop
	deads    map[store.DeadKey]*event.DeadLetter
	saved    int64          // position
	told     []chan<- error // who waits until all this is saved; each has room for one
}

func (p *pending) full() bool { return len(p.attempts) >= recordMax }

func (p *pending) putRetry(r *retry) { p.setRetry(r, r) }

func (p *pending) dropRetry(r *retry) { p.setRetry(r, nil) }

func (p *pending) setRetry(r, value *retry) {
	if p.retries == nil {
		p.retries = map[store.RetryKey]*retry{}
	}
	p.retries[store.RetryKey{LaneKey: r.LaneKey, Version: r.Versions[0]}] = value
}

func (p *pending) dirty(l *lane) { p.setLane(l.LaneKey, l) }

func (p *pending) dropLane(k event.LaneKey) { p.setLane(k, nil) }

func (p *pending) setLane(k event.LaneKey, l *lane) {
	if p.lanes == nil {
		p.lanes = map[event.LaneKey]*lane{}
	}
	p.lanes[k] = l
}

func (p *pending) dead(d event.DeadLetter) {
	p.setDead(store.DeadKey{Endpoint: d.Endpoint, Version: d.Version}, &d)
}

func (p *pending) dropDead(e event.EndpointID, versions []int64) {
	for _, v := range versions {
		p.setDead(store.DeadKey{Endpoint: e, Version: v}, nil)
	}
}

func (p *pending) setDead(k store.DeadKey, d *event.DeadLetter) {
	if p.deads == nil {
		p.deads = map[store.DeadKey]*event.DeadLetter{}
	}
	p.deads[k] = d
}

// wakeRecorder hints that there is something to save.
func (m *Manager) wakeRecorder() { hint(m.kick) }

// hint wakes the reader of a channel with room for one, unless it is to wake already.
func hint(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// snapshot takes everything pending as one record. Because it is taken under the lock, the attempts, retries, lanes and
// position in it agree. It returns false when there is nothing to save.
func (m *Manager) snapshot() (store.Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.rec
	r := store.Record{Lease: m.cfg.Lease, Position: m.window.position(), Attempts: p.attempts}
	for k, v := range p.retries {
		if v == nil {
			r.DropRetries = append(r.DropRetries, k)
		} else {
			r.Retries = append(r.Retries, v.Retry)
		}
	}
	for k, l := range p.lanes {
		switch {
		case l != nil && l.needsRow():
			r.Lanes = append(r.Lanes, l.state())
			l.saved = true
		case l == nil || l.saved:
			r.DropLanes = append(r.DropLanes, k)
			if l != nil {
				l.saved = false
			}
		}
	}
	for k, d := range p.deads {
		if d == nil {
			r.DropDead = append(r.DropDead, k)
		} else {
			r.Dead = append(r.Dead, *d)
		}
	}
	empty := len(p.told) == 0 && len(p.attempts)+len(p.retries)+len(r.Lanes)+len(r.DropLanes)+len(p.deads) == 0 && r.Position == p.saved
	wasFull := p.full()
	m.saving, m.telling = r.Attempts, append(m.telling, p.told...)
	*p = pending{saved: r.Position, attempts: make([]event.Attempt, 0, min(cap(p.attempts), recordSoon))}
	if wasFull {
		m.pumpAll()
	}
	return r, !empty
}

// pumpAll lets lanes go on that stopped because too much waited to be saved.
func (m *Manager) pumpAll() {
	now := time.Now()
	for _, l := range m.lanes {
		if l.queued > 0 || len(l.retries) > 0 || !l.live {
			m.pump(l, now)
		}
	}
}

// record saves what happens until the context ends, and then what is left.
func (m *Manager) record(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.moved:
			m.gather(ctx, positionDelay)
		case <-m.kick:
			m.gather(ctx, m.cfg.RecordDelay)
		}
		r, ok := m.snapshot()
		// A save that has begun is waited for: cut off, it might have had its effect, and would be made again.
		if ok && !m.save(ctx, context.WithoutCancel(ctx), r) {
			m.unsaved = &r
			return
		}
	}
}

// gather waits for more results, so that they share a commit. Where only the position moved it waits long, until there
// are results.
func (m *Manager) gather(ctx context.Context, delay time.Duration) {
	t := time.NewTimer(delay)
	defer t.Stop()
	var kick <-chan struct{}
	if delay > m.cfg.RecordDelay {
		kick = m.kick
	}
	for {
		select {
		case <-t.C:
			return
		case <-ctx.Done():
			return
		case <-m.many:
			return
		case <-kick:
			kick = nil
			t.Reset(m.cfg.RecordDelay)
		}
	}
}

// save writes one record, again and again until it is written: what it holds must not be lost while the process lives.
// It returns false when the lease is lost or the context ends; call is the context of each try.
func (m *Manager) save(ctx, call context.Context, r store.Record) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, retryMax) {
		err := m.cfg.State.SaveRecord(call, r)
		if err == nil {
			m.recorded(nil)
			return true
		}
		if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrClosed) {
			m.cfg.Logger.ErrorContext(ctx, "cannot save deliveries any more", slog.Any("error", err))
			select {
			case m.failed <- err:
			default:
			}
			m.recorded(err)
			return false
		}
		if ctx.Err() != nil {
			return false
		}
		m.cfg.Logger.WarnContext(ctx, "cannot save deliveries yet", slog.Any("error", err), slog.Int("attempts", len(r.Attempts)))
		if !sleep(ctx, wait) {
			return false
		}
	}
}

// recorded tells those who wait that their record is saved, or never will be.
func (m *Manager) recorded(err error) {
	m.mu.Lock()
	told := m.telling
	m.saving, m.telling = nil, nil
	m.mu.Unlock()
	for _, c := range told {
		c <- err
	}
}

// promise returns a channel that gets nil once everything that is pending now is saved. It is called under the lock.
func (m *Manager) promise() <-chan error {
	c := make(chan error, 1)
	m.rec.told = append(m.rec.told, c)
	m.wakeRecorder()
	return c
}

// await waits for a promise. Error: KindUnavailable when nobody will know, because the lanes stop.
func (m *Manager) await(ctx context.Context, c <-chan error) error {
	var err error
	select {
	case err = <-c:
	case <-ctx.Done():
		return ctx.Err()
	case <-m.done:
		select {
		case err = <-c:
		default:
			err = ErrStopped
		}
	}
	if err != nil {
		return &event.Error{Kind: event.KindUnavailable, Code: "shutting_down", Detail: "deliveries are being stopped; ask again", Err: err}
	}
	return nil
}

// Start loads what an earlier run saved and begins the lanes' work.
func (m *Manager) Start(ctx context.Context) error {
	states, retries, err := m.cfg.State.LoadLanes(ctx, m.cfg.Lease)
	if err != nil {
		return err
	}
	endpoints, err := m.endpointsOf(ctx, states, retries)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for i := range states {
		if ep := endpoints[states[i].Endpoint]; ep != nil {
			m.restore(&states[i], ep)
		}
	}
	for i := range retries {
		m.restoreRetry(&retries[i], endpoints, now)
	}
	m.wg.Go(func() { m.record(m.ctx) })
	m.wg.Go(func() { m.sweep(m.ctx) })
	for _, l := range m.lanes {
		m.pump(l, now)
	}
	return nil
}

func (m *Manager) endpointsOf(ctx context.Context, states []event.LaneState, retries []event.Retry) (map[event.EndpointID]*event.Endpoint, error) {
	var ids []event.EndpointID
	for i := range states {
		ids = append(ids, states[i].Endpoint)
	}
	for i := range retries {
		ids = append(ids, retries[i].Endpoint)
	}
	slices.Sort(ids)
	list, err := m.cfg.State.EndpointsByID(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	endpoints := make(map[event.EndpointID]*event.Endpoint, len(list))
	for i := range list {
		endpoints[list[i].ID] = &list[i]
	}
	return endpoints, nil
}

func (m *Manager) restore(s *event.LaneState, ep *event.Endpoint) {
	if s.Replay != 0 {
		ep = replayEndpoint(ep)
	}
	l := m.addLane(s.LaneKey, ep)
	l.live, l.saved, l.scanned = !s.Backlog, true, s.Cursor
	l.penalty, l.penaltyUntil, l.failures, l.failingSince = s.Penalty, s.PenaltyUntil, s.Failures, s.FailingSince
	if s.Backlog && s.Replay == 0 {
		m.cfg.Follow(ep, false)
		l.doubtTo = s.Cursor + windowEvents // the most that the lane's last live run had recorded beyond it
	}
	l.used = time.Now()
	if l.penalty > 0 {
		l.allowed = 1
	}
	if len(s.Done) > 0 {
		l.restored = make(map[int64]struct{}, len(s.Done))
		for _, v := range s.Done {
			l.restored[v] = struct{}{}
		}
	}
	if s.Replay != 0 {
		r := s.Range
		l.replay = &r
	}
}

func (m *Manager) restoreRetry(r *event.Retry, endpoints map[event.EndpointID]*event.Endpoint, now time.Time) {
	l := m.lanes[r.LaneKey]
	if ep := endpoints[r.Endpoint]; l == nil && ep != nil && r.Replay == 0 {
		l = m.lane(ep, now)
	}
	if l == nil {
		return
	}
	l.addRetry(&retry{Retry: *r})
	// The row may be done with before the follower comes to its events again.
	if l.restored == nil {
		l.restored = make(map[int64]struct{}, len(r.Versions))
	}
	for _, v := range r.Versions {
		l.restored[v] = struct{}{}
	}
}

// Stop ends the manager's work: nothing new starts, what is under way is waited for until ctx ends, and what has happened
// is saved. Deliveries still under way then are made again by the next run.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	if !m.closing {
		m.closing, m.idle = true, 0
		close(m.jobs)
	}
	for _, l := range m.lanes {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { m.work.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	m.cancel()
	m.wg.Wait()
	m.saveRest(ctx)
	close(m.done)
	return err
}

// saveRest saves what the recorder left, in order: a later record must not be saved without the ones before it.
func (m *Manager) saveRest(ctx context.Context) {
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if m.unsaved != nil && !m.save(final, final, *m.unsaved) {
		return
	}
	if r, ok := m.snapshot(); ok {
		m.save(final, final, r)
	}
}
