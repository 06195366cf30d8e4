package deliver

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// run is a worker: it makes deliveries of lanes, and waits for more when there is none to go on with.
func (m *Manager) run(u *unit) {
	for u != nil {
		if u = m.deliver(u); u == nil && m.rest() {
			u = <-m.jobs
		}
	}
}

// rest makes a worker idle, unless enough are or the manager ends.
func (m *Manager) rest() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing || m.idle == idleWorkers {
		return false
	}
	m.idle++
	return true
}

// deliver makes one delivery and returns the next one for this worker.
func (m *Manager) deliver(u *unit) *unit {
	if u.events == nil {
		if err := m.load(u); err != nil {
			m.cfg.Logger.Warn("cannot read events for a retry", slog.String("endpoint", u.ep.ID.String()), slog.Any("error", err))
			return m.complete(u, nil, outcome{verdict: event.VerdictRetry})
		}
		if len(u.events) == 0 {
			return m.complete(u, nil, outcome{verdict: event.VerdictFailed})
		}
	}
	at := time.Now()
	answer, id := m.send(u, at, m.isAwaited(u))
	defer m.give(u, &answer)
	if answer.failure == failureUnsent { // there is nothing to tell of
		return m.complete(u, nil, outcome{verdict: event.VerdictRetry})
	}
	o := m.judge(u.ep, &answer, time.Now())
	a := &event.Attempt{
		Tenant: u.ep.Tenant, Endpoint: u.ep.ID, Versions: u.versions, EventID: id, Number: u.number, At: at,
		Duration: answer.Took, Status: answer.Status, Verdict: o.verdict, Error: answer.reason,
		Headers: answer.Headers, Body: answer.Body,
	}
	next := m.complete(u, a, o)
	m.cfg.Observer.Attempted(u.ep.Tenant, a.Verdict, len(u.events), answer.Took, at.Add(answer.Took).Sub(u.events[0].Received))
	return next
}

// load reads the events of a retry; those that retention has deleted are left out.
func (m *Manager) load(u *unit) error {
	list, err := m.cfg.Log.Events(m.ctx, u.ep.Tenant, u.versions)
	if err != nil {
		return err
	}
	for i := range list {
		u.events = append(u.events, &list[i])
	}
	return nil
}

// complete settles a delivery and picks the worker's next one. a is nil when nothing was sent.
func (m *Manager) complete(u *unit, a *event.Attempt, o outcome) *unit {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	l := u.lane
	l.inFlight--
	u.pool.used--
	release(l.busy, u.keys)
	if u.retry != nil {
		u.retry.inFlight = false
	}
	l.used = now
	if !l.removed {
		m.finish(l, u, a, o, now)
		l.prune()
	}
	if a != nil {
		if m.rec.attempts = append(m.rec.attempts, *a); len(m.rec.attempts) == recordSoon {
			hint(m.many)
		}
		m.wakeRecorder()
	}
	m.nextFeed()
	if l.replay != nil && l.atEnd && !l.removed {
		m.endReplay(l)
	}
	return m.next(u.pool, l, now)
}

// finish applies the judgement of one delivery to its lane.
func (m *Manager) finish(l *lane, u *unit, a *event.Attempt, o outcome, now time.Time) {
	switch {
	case a == nil && o.verdict == event.VerdictFailed: // its events were deleted
		m.bury(l, u, "expired", now)
		m.cfg.Observer.Expired(int64(len(u.versions)))
	case a == nil: // could not be read, or its tunnel is not connected; nothing was tried
		m.keepForRetry(l, u, u.number-1, stepOf(u), now.Add(feedRetry))
	case o.verdict == event.VerdictDelivered:
		m.succeed(l, u, o, now)
	case o.verdict == event.VerdictFailed:
		m.bury(l, u, "cannot be sent", now)
	case o.verdict == event.VerdictGone:
		m.bury(l, u, "gone", now)
		m.disable(l.ep, "gone", now)
	default:
		m.fail(l, u, a, o, now)
	}
}

// succeed settles a delivery that arrived, and lets the lane go faster.
func (m *Manager) succeed(l *lane, u *unit, o outcome, now time.Time) {
	m.resolve(l, u)
	if l.replay != nil {
		l.replay.Sent += int64(len(u.versions))
	}
	if u.retry != nil || l.replay != nil {
		m.rec.dropDead(l.Endpoint, u.versions)
	}
	l.proven = true
	if l.allowed > 0 {
		if l.allowed *= 2; l.allowed >= 1<<10 {
			l.allowed = 0
		}
	}
	if l.penalty > 0 || l.failures > 0 || !l.failingSince.IsZero() {
		l.penalty = m.profile(l.ep).better(l.penalty)
		l.penaltyUntil, l.failures, l.failingSince = time.Time{}, 0, time.Time{}
		m.markDirty(l)
	}
	if o.severity == severitySlow {
		l.penalty = max(l.penalty, m.profile(l.ep).Slow)
		l.penaltyUntil = now.Add(l.penalty)
		m.letGo(l)
		m.markDirty(l)
	}
}

// resolve settles a delivery for good.
func (m *Manager) resolve(l *lane, u *unit) {
	if u.retry == nil {
		m.settleAll(l, u.versions)
		return
	}
	l.removeRetry(u.retry)
	m.rec.dropRetry(u.retry)
}

// bury settles a delivery as finally failed.
func (m *Manager) bury(l *lane, u *unit, reason string, now time.Time) {
	m.resolve(l, u)
	for _, v := range u.versions {
		m.rec.dead(event.DeadLetter{Tenant: l.ep.Tenant, Endpoint: l.Endpoint, Version: v, At: now, Reason: reason})
	}
	m.wakeRecorder()
}

func stepOf(u *unit) int {
	if u.retry == nil {
		return 0
	}
	return u.retry.Step
}

// keepForRetry saves a delivery as a retry row, or changes the row that it has.
func (m *Manager) keepForRetry(l *lane, u *unit, number, step int, due time.Time) {
	r := u.retry
	if r == nil {
		r = &retry{Retry: event.Retry{LaneKey: l.LaneKey, Tenant: l.ep.Tenant, Versions: slices.Clone(u.versions), Keys: u.keys}}
		l.addRetry(r)
		m.settleAll(l, u.versions)
	}
	r.Number, r.Step, r.Due = number, step, due
	if number > 0 {
		r.First = u.first
	}
	m.rec.putRetry(r)
	m.wakeRecorder()
}

// fail keeps a failed delivery for its next try or gives it up, and penalises the endpoint when it failed as a whole.
func (m *Manager) fail(l *lane, u *unit, a *event.Attempt, o outcome, now time.Time) {
	l.proven = false
	l.failures++
	if l.failingSince.IsZero() {
		l.failingSince = now
	}
	if o.down || l.failures >= downAfter {
		m.penalise(l, u, o, now)
	}
	if o.throttle {
		l.holdUntil = now.Add(o.retryAfter)
		l.allowed = 1
	}
	sched := m.schedule
	if l.ep.Retries != nil {
		sched = l.ep.Retries
	}
	due, step, ok := sched.next(stepOf(u), u.first, now, o.down, l.ep.Forever)
	if ok {
		if after := now.Add(o.retryAfter); o.retryAfter > 0 && after.After(due) {
			due = after
		}
		if o.down && due.Before(l.penaltyUntil) {
			due = l.penaltyUntil
		}
		m.keepForRetry(l, u, u.number, step, due)
		a.Next = due
	} else {
		a.Verdict = event.VerdictFailed
		m.bury(l, u, "schedule ended", now)
	}
	if now.Before(l.until()) {
		m.demoteIfHeld(l)
	}
	m.markDirty(l)
	if l.replay == nil && !l.ep.Forever && m.cfg.DisableAfter > 0 && now.Sub(l.failingSince) >= m.cfg.DisableAfter {
		m.disable(l.ep, "failing", l.failingSince)
	}
}

// penalise starts or lengthens an endpoint's penalty. Requests that were under way when it began do not count again.
func (m *Manager) penalise(l *lane, u *unit, o outcome, now time.Time) {
	if !u.started.After(l.penalisedAt) {
		return
	}
	l.penalty = m.profile(l.ep).worse(l.penalty, o.severity)
	l.penaltyUntil = now.Add(jitter(l.penalty))
	l.penalisedAt = now
	l.allowed = 1
}

// demoteIfHeld lets go of the follower's position when a lane that must wait holds it.
func (m *Manager) demoteIfHeld(l *lane) {
	l.prune()
	if l.queued > 0 || l.tracked > 0 {
		m.demote(l, true)
	}
}

// disable stops an endpoint in memory at once, and has its owner do so for good.
func (m *Manager) disable(ep *event.Endpoint, reason string, since time.Time) {
	if ep.Disabled {
		return
	}
	stopped := *ep
	stopped.Disabled, stopped.DisabledReason = true, reason
	m.replace(&stopped)
	if m.closing {
		return // it will fail again at the next run
	}
	m.wg.Go(func() {
		for wait := time.Second; ; wait = min(2*wait, time.Minute) {
			err := m.cfg.Owner.Disable(m.ctx, ep, reason, since)
			if err == nil {
				return
			}
			if event.KindOf(err) == event.KindNotFound || !sleep(m.ctx, wait) {
				return
			}
			m.cfg.Logger.Warn("cannot disable an endpoint yet", slog.String("endpoint", ep.ID.String()), slog.Any("error", err))
		}
	})
}

// sleep waits and reports whether the context is still going.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
