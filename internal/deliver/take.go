package deliver

import (
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// pump starts workers for a lane until it has nothing that may go now, or no slot is free.
func (m *Manager) pump(l *lane, now time.Time) {
	for {
		u := m.claim(l, now)
		if u == nil {
			return
		}
		m.start(u)
	}
}

// start gives a delivery to an idle worker, or to a new one. Workers are kept because a new goroutine grows its stack
// anew at its first request, which costs as much as the rest of the worker's own work.
func (m *Manager) start(u *unit) {
	if m.idle > 0 {
		m.idle--
		m.jobs <- u // never waits: the channel has room for one for each idle worker
		return
	}
	m.work.Go(func() { m.run(u) })
}

// claim takes a lane's next delivery together with a slot, or puts the lane in line for one.
func (m *Manager) claim(l *lane, now time.Time) *unit {
	if m.closing || l.removed || m.rec.full() || m.away(l.ep) {
		return nil
	}
	pool := &m.probes
	if l.proven {
		pool = &m.trusted
	}
	if pool.used >= pool.max {
		switch until := l.until(); {
		case now.Before(until):
			if !l.ep.Disabled {
				m.wakeAt(l, until, now)
			}
		case l.queued == 0 && len(l.retries) == 0:
			m.feed(l) // what it reads puts the lane in line
		case !l.inReady && l.wants(now):
			l.inReady = true
			pool.ready = append(pool.ready, l)
		}
		return nil
	}
	u := m.take(l, now)
	if u == nil {
		return nil
	}
	l.inFlight++
	pool.used++
	u.pool, u.lane, u.ep, u.started = pool, l, l.ep, now
	if u.first.IsZero() {
		u.first = now
	}
	l.occupy(u.keys)
	return u
}

// wants reports whether the lane may have something to send once a slot is free.
func (l *lane) wants(now time.Time) bool {
	return !l.ep.Disabled && (l.queued > 0 || len(l.retries) > 0) && !now.Before(l.until()) && l.inFlight < l.limit()
}

// next hands a freed slot on, to the lanes in line and then to the lane that freed it, and returns one delivery for the
// worker at hand. It goes on until the slots are used or nobody waits: a lane in line may have come to be of the other
// class, and leave the slot to the one behind it.
func (m *Manager) next(pool *slots, l *lane, now time.Time) *unit {
	var own *unit
	for len(pool.ready) > 0 && pool.used < pool.max {
		waiting := pool.ready[0]
		pool.ready = pool.ready[1:]
		waiting.inReady = false
		u := m.claim(waiting, now)
		if u == nil {
			continue
		}
		if own == nil {
			own = u
		} else {
			m.start(u)
		}
		m.pump(waiting, now)
	}
	if own == nil {
		own = m.claim(l, now)
	}
	if own != nil {
		m.pump(l, now)
	}
	return own
}

// take decides what a lane sends now: a due retry, else the next event or batch from its window. It returns nil when
// nothing may go, and sees to it that the lane is woken when that changes with time.
func (m *Manager) take(l *lane, now time.Time) *unit {
	if l.ep.Disabled {
		return nil
	}
	if until := l.until(); now.Before(until) {
		m.wakeAt(l, until, now)
		return nil
	}
	if l.inFlight >= l.limit() {
		return nil
	}
	if l.limiter != nil {
		if missing := 1 - l.limiter.TokensAt(now); missing > 0 {
			m.wakeAt(l, now.Add(time.Duration(missing/float64(l.limiter.Limit())*float64(time.Second))+time.Millisecond), now)
			return nil
		}
	}
	u := m.takeUnit(l, now)
	if u != nil && l.limiter != nil {
		l.limiter.AllowN(now, 1)
	}
	return u
}

func (m *Manager) takeUnit(l *lane, now time.Time) *unit {
	r, next := l.dueRetry(now)
	if r != nil {
		r.inFlight = true
		return &unit{retry: r, versions: r.Versions, keys: r.Keys, number: r.Number + 1, first: r.First}
	}
	if !next.IsZero() {
		m.wakeAt(l, next, now)
	}
	if l.ep.Order == event.OrderStrict && len(l.retries) > 0 || !l.rowsLeft() {
		m.letGo(l)
		return nil
	}
	if l.queued == 0 {
		m.feed(l)
		return nil
	}
	if l.batchMax() > 1 {
		return m.takeBatch(l, now)
	}
	u := m.takeOne(l, now)
	if !l.live && l.queued < queueLimit/4 {
		m.feed(l) // read ahead
	}
	return u
}

// letGo makes a lane that cannot take new events let go of the follower's position.
func (m *Manager) letGo(l *lane) {
	if l.live && l.tracked > 0 {
		m.demote(l, true)
	}
}

// takeOne takes the first queued event whose key is free.
func (m *Manager) takeOne(l *lane, now time.Time) *unit {
	for i := range l.entries {
		e := &l.entries[i]
		if e.state != entryQueued || !m.keyFree(l, e, now) {
			if !l.rowsLeft() {
				m.letGo(l)
				return nil
			}
			continue
		}
		u := &unit{number: 1}
		u.one[0], u.oneV[0] = e.ev, e.version
		u.events, u.versions = u.one[:], u.oneV[:]
		if e.key != 0 {
			u.keys = []uint64{e.key}
		}
		m.depart(l, e, u)
		l.prune()
		return u
	}
	l.prune()
	return nil
}

// keyFree reports whether a queued event may go as far as its key is concerned. An event behind a failed one of its key
// becomes a retry row of its own, so that the lane's window goes on.
func (m *Manager) keyFree(l *lane, e *entry, now time.Time) bool {
	if e.key == 0 {
		return true
	}
	if l.blocked[e.key] > 0 {
		m.holdBack(l, e, now)
		return false
	}
	return l.busy[e.key] == 0
}

// holdBack turns a queued event into a retry row that waits for the earlier ones of its key.
func (m *Manager) holdBack(l *lane, e *entry, now time.Time) {
	r := &retry{Retry: event.Retry{
		LaneKey: l.LaneKey, Tenant: l.ep.Tenant, Versions: []int64{e.version}, Keys: []uint64{e.key}, Due: now,
	}}
	l.addRetry(r)
	m.rec.putRetry(r)
	m.wakeRecorder()
	l.queued--
	m.settle(l, e)
}

// takeBatch takes up to a batch of queued events, once there are enough or the first has waited long enough.
func (m *Manager) takeBatch(l *lane, now time.Time) *unit {
	limit := l.batchMax()
	if l.queued < limit && !l.live && !l.atEnd {
		if m.feed(l); l.feeding {
			return nil
		}
	}
	var picked []*entry
	for i := range l.entries {
		e := &l.entries[i]
		if len(picked) == limit || !l.rowsLeft() {
			break
		}
		if e.state == entryQueued && m.keyFree(l, e, now) {
			picked = append(picked, e)
		}
	}
	if len(picked) == 0 {
		l.prune()
		if l.queued < limit {
			m.feed(l) // all may have been held back
		}
		return nil
	}
	if due := time.Unix(0, picked[0].at).Add(l.ep.Batch.Wait); len(picked) < limit && now.Before(due) {
		m.wakeAt(l, due, now)
		l.prune()
		return nil
	}
	u := &unit{number: 1, events: make([]*event.Event, 0, len(picked)), versions: make([]int64, 0, len(picked))}
	for _, e := range picked {
		u.events = append(u.events, e.ev)
		u.versions = append(u.versions, e.version)
		if e.key != 0 {
			u.keys = append(u.keys, e.key)
		}
		m.depart(l, e, u)
	}
	l.prune()
	if !l.live && l.queued < limit {
		m.feed(l)
	}
	return u
}

// depart marks an event as under way.
func (m *Manager) depart(l *lane, e *entry, u *unit) {
	e.state, e.unit = entryInFlight, u
	l.queued--
}

// settle marks an entry as delivered, finally failed, or saved as a retry row.
func (m *Manager) settle(l *lane, e *entry) {
	m.free(e)
	e.state, e.unit = entrySettled, nil
	if e.tracked {
		e.tracked = false
		l.tracked--
		m.window.done(e.seq)
		m.wakeRecorder()
	}
	if !l.live {
		m.markDirty(l)
	}
}

// wakeAt has the lane pumped at a time, or earlier if it is to be woken earlier already.
func (m *Manager) wakeAt(l *lane, at, now time.Time) {
	if !l.wake.IsZero() && !at.Before(l.wake) && l.wake.After(now) {
		return
	}
	l.wake = at
	d := max(at.Sub(now), time.Millisecond)
	if l.timer == nil {
		l.timer = time.AfterFunc(d, func() { m.awake(l) })
		return
	}
	l.timer.Reset(d)
}

func (m *Manager) awake(l *lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.wake = time.Time{}
	m.pump(l, time.Now())
}
