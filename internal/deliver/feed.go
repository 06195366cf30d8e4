package deliver

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of one read of a lane's backlog, and of what all feeds hold at once.
const (
	feedEvents   = queueLimit
	feedBytes    = 1 << 20
	feedMemLimit = 64 << 20
	feedRetry    = time.Second
	// deadEvents is how many dead letters one read brings: they are read without regard to their size.
	deadEvents = 32
)

// feed starts reading a lane's backlog, unless a read is under way or there is nothing to read.
func (m *Manager) feed(l *lane) {
	if l.live || l.feeding || l.removed || m.closing || l.ep.Disabled || l.atEnd && len(l.entries) > 0 {
		return
	}
	if len(l.entries)+feedEvents > entryLimit {
		if m.park(l); len(l.entries)+feedEvents > entryLimit {
			return
		}
	}
	if m.feedMem >= feedMemLimit {
		if !l.forMem {
			l.forMem = true
			m.feedFor = append(m.feedFor, l)
		}
		return
	}
	if l.replay != nil && l.scanned >= l.replay.To {
		l.atEnd = true
		m.endReplay(l)
		return
	}
	l.feeding = true
	m.feedMem += feedBytes // of the page, until it is known what of it is for the lane
	r := feedRead{lane: l, ep: l.ep, after: l.scanned, replay: l.replay, recheckTo: l.doubtTo}
	if l.doubtful {
		if r.recheck = m.rechecked; m.recheck > 0 {
			r.recheck = math.MaxInt64 // the follower has not come so far
		}
	}
	m.wg.Go(func() { r.read(m) })
}

// feedRead is one read of a lane's backlog.
type feedRead struct {
	lane   *lane
	ep     *event.Endpoint
	after  int64
	replay *event.ReplayRange
	// recheck is the Seq, recheckTo the version, up to which events are checked against recorded attempts.
	recheck, recheckTo int64

	events  []*event.Event // those for the lane
	through int64          // version up to which the lane has now considered everything
	seq     int64          // Seq up to which it has
	atEnd   bool
	expired int64 // versions that retention deleted before the lane came to them
}

func (r *feedRead) read(m *Manager) {
	err := r.fetch(m.ctx, m)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.nextFeed()
	l := r.lane
	l.feeding = false
	m.feedMem -= feedBytes
	if l.removed || m.closing {
		return
	}
	if err != nil {
		m.cfg.Logger.Warn("cannot read the log for a lane", slog.String("endpoint", l.Endpoint.String()), slog.Any("error", err))
		m.wakeAt(l, now.Add(feedRetry), now)
		return
	}
	if l.scanned != r.after || l.live || l.ep != r.ep { // what was read went by what the endpoint was
		m.pump(l, now)
		return
	}
	m.absorb(l, r, now)
	if l.atEnd && len(l.entries) == 0 && (l.replay != nil || m.join(l, r.seq)) {
		if l.replay != nil {
			m.endReplay(l)
		}
		return
	}
	m.pump(l, now)
}

// absorb puts what a read brought into the lane's window.
func (m *Manager) absorb(l *lane, r *feedRead, now time.Time) {
	for _, ev := range r.events {
		l.push(ev, false, now)
		e := &l.entries[len(l.entries)-1]
		if _, done := l.restored[ev.Version]; done || l.covers(ev.Version) {
			l.queued--
			e.state, e.ev = entrySettled, nil
			continue
		}
		e.fed = true
		m.feedMem += ev.Size()
	}
	for v := range l.restored {
		if v <= r.through {
			delete(l.restored, v)
		}
	}
	l.prune()
	l.scanned, l.atEnd = r.through, r.atEnd
	if r.expired > 0 {
		m.cfg.Observer.Expired(r.expired)
		m.cfg.Logger.Warn("events expired before they could be delivered",
			slog.String("endpoint", l.Endpoint.String()), slog.Int64("events", r.expired))
	}
	if r.through > r.after {
		m.markDirty(l)
	}
}

// join makes a lane that has nothing left to do live again, if it has read at least as far as the follower.
func (m *Manager) join(l *lane, seq int64) bool {
	if seq < m.announced {
		return false
	}
	l.live, l.liveFrom, l.restored, l.oldest = true, seq, nil, time.Time{}
	m.cfg.Follow(l.ep, true)
	m.markDirty(l)
	return true
}

func (r *feedRead) fetch(ctx context.Context, m *Manager) error {
	if r.replay != nil && r.replay.OnlyFailed {
		return r.fetchDead(ctx, m)
	}
	page, err := m.cfg.Log.ReadTenant(ctx, r.ep.Tenant, r.after, feedEvents, feedBytes)
	if err != nil {
		return err
	}
	r.expired = max(0, page.Oldest-1-r.after)
	r.through, r.seq = page.Head, page.Through
	if n := len(page.Events); n > 0 {
		r.through = page.Events[n-1].Version
	}
	r.atEnd = r.through >= page.Head
	for i := range page.Events {
		ev := &page.Events[i]
		if r.replay != nil && ev.Version > r.replay.To {
			r.through, r.atEnd = r.replay.To, true
			break
		}
		if !m.cfg.Matches(r.ep, ev) {
			if r.replay == nil {
				m.passed(r.ep, ev)
			}
			continue
		}
		tried, err := r.tried(ctx, m, ev)
		if err != nil {
			return err
		}
		if !tried {
			kept := *ev // alone, because one event would hold the whole page in memory
			r.events = append(r.events, &kept)
		}
	}
	if r.replay != nil && r.through >= r.replay.To {
		r.through, r.atEnd = r.replay.To, true
	}
	return nil
}

// tried reports whether an attempt at an event is on record from a former run, whose lane was live then and saved no
// cursor of its own.
func (r *feedRead) tried(ctx context.Context, m *Manager, ev *event.Event) (bool, error) {
	if ev.Seq > r.recheck && ev.Version > r.recheckTo || ev.Received.After(m.began) {
		return false, nil
	}
	list, err := m.cfg.State.Attempted(ctx, ev.Tenant, ev.Version)
	return slices.Contains(list, r.ep.ID), err
}

// fetchDead reads the next dead letters of a replay that sends only those.
func (r *feedRead) fetchDead(ctx context.Context, m *Manager) error {
	dead, err := m.cfg.State.DeadLetters(ctx, r.ep.ID, r.after, deadEvents)
	if err != nil {
		return err
	}
	r.through, r.atEnd = r.replay.To, true
	if len(dead) == deadEvents && dead[len(dead)-1].Version < r.replay.To {
		r.through, r.atEnd = dead[len(dead)-1].Version, false
	}
	var versions []int64
	for _, d := range dead {
		if d.Version <= r.replay.To {
			versions = append(versions, d.Version)
		}
	}
	if len(versions) == 0 {
		return nil
	}
	events, err := m.cfg.Log.Events(ctx, r.ep.Tenant, versions)
	if err != nil {
		return err
	}
	for i := range events {
		r.events = append(r.events, &events[i])
	}
	r.expired = int64(len(versions) - len(events))
	return nil
}

// park turns the deliveries at the front of a full window that are under way into retry rows, so that one slow request
// does not stop the lane. If the process dies the row sends it again.
func (m *Manager) park(l *lane) {
	for i := range l.entries {
		e := &l.entries[i]
		if e.state == entryQueued || len(l.retries) >= event.MaxRetryRows {
			break
		}
		u := e.unit
		if e.state == entrySettled || u.retry != nil {
			continue
		}
		u.retry = &retry{inFlight: true, Retry: event.Retry{
			LaneKey: l.LaneKey, Tenant: l.ep.Tenant, Versions: u.versions, Keys: u.keys, Number: u.number, First: u.first,
			Due: u.started.Add(m.timeout(l.ep)),
		}}
		l.addRetry(u.retry)
		m.rec.putRetry(u.retry)
		m.settleAll(l, u.versions)
	}
	l.prune()
	m.wakeRecorder()
}

// settleAll settles the entries of a delivery.
func (m *Manager) settleAll(l *lane, versions []int64) {
	for _, v := range versions {
		if e := l.find(v); e != nil {
			m.settle(l, e)
		}
	}
}

// nextFeed lets lanes that wait for memory read on.
func (m *Manager) nextFeed() {
	for len(m.feedFor) > 0 && m.feedMem < feedMemLimit {
		l := m.feedFor[0]
		m.feedFor = m.feedFor[1:]
		l.forMem = false
		m.feed(l)
	}
}
