package deliver

import (
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// idleLane is how long a lane with nothing to remember is kept.
const idleLane = 5 * time.Minute

// EndpointChanged takes a new version of an endpoint, or a new endpoint, into use.
func (m *Manager) EndpointChanged(ep *event.Endpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replace(ep)
	if m.lanes[event.LaneKey{Endpoint: ep.ID}] == nil {
		m.changed[ep.ID] = change{ep: m.newest(ep), at: time.Now()}
	}
	m.nextFeed()
}

// EndpointBehind takes a new endpoint that begins in the past into use. The store has the first state of its lane already,
// in backlog with the cursor at ep.Start, and the follower matches no event for it since before it was saved.
func (m *Manager) EndpointBehind(ep *event.Endpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, deleted := m.deleted[ep.ID]; deleted || m.closing {
		return
	}
	key := event.LaneKey{Endpoint: ep.ID}
	l := m.lanes[key]
	if l == nil { // else a command made it meanwhile; it has taken nothing in
		l = m.addLane(key, m.newest(ep))
	}
	delete(m.changed, ep.ID)
	l.live, l.saved, l.scanned, l.used = false, true, ep.Start, time.Now()
	m.cfg.Follow(l.ep, false)
	m.pump(l, l.used)
}

// change is an endpoint's last change, kept for a while for a lane that is made from what was read before it.
type change struct {
	ep *event.Endpoint
	at time.Time
}

// newest returns what is known last of an endpoint.
func (m *Manager) newest(ep *event.Endpoint) *event.Endpoint {
	if l := m.lanes[event.LaneKey{Endpoint: ep.ID}]; l != nil && l.ep.Revision >= ep.Revision {
		return l.ep
	}
	if c, ok := m.changed[ep.ID]; ok && c.ep.Revision > ep.Revision {
		return c.ep
	}
	return ep
}

// errDeleted is the answer to a call for an endpoint that was deleted after the caller had read it.
func errDeleted() error {
	return event.Errorf(event.KindNotFound, "not_found", "there is no such endpoint")
}

func (m *Manager) replace(ep *event.Endpoint) {
	now := time.Now()
	for _, l := range m.byEP[ep.ID] {
		if l.ep.Revision > ep.Revision {
			continue
		}
		was := l.ep
		l.ep = ep
		if l.replay != nil {
			l.ep = replayEndpoint(ep)
		}
		l.target.Store(nil)
		if was.RateLimit != ep.RateLimit {
			l.setLimiter()
		}
		if ep.Disabled {
			m.demoteIfHeld(l)
			continue
		}
		if was.Disabled {
			l.penalty, l.penaltyUntil, l.failures, l.failingSince, l.allowed = 0, time.Time{}, 0, time.Time{}, 1
			m.markDirty(l)
		}
		m.pump(l, now)
	}
}

// EndpointDeleted forgets an endpoint's lanes. Its saved state is deleted by the store's owner.
func (m *Manager) EndpointDeleted(id event.EndpointID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deleted[id] = time.Now()
	delete(m.changed, id)
	m.ended = slices.DeleteFunc(m.ended, func(e endedReplay) bool { return e.endpoint == id })
	for _, l := range m.byEP[id] {
		m.remove(l)
		for _, r := range l.retries {
			m.rec.dropRetry(r)
		}
		m.rec.dropLane(l.LaneKey)
	}
	m.nextFeed()
	m.wakeRecorder()
}

// remove takes a lane out of the manager; its workers end with what they are doing.
func (m *Manager) remove(l *lane) {
	m.untrack(l)
	for i := range l.entries {
		m.free(&l.entries[i])
	}
	l.entries, l.queued, l.removed = nil, 0, true
	if l.timer != nil {
		l.timer.Stop()
	}
	delete(m.lanes, l.LaneKey)
	m.delist(l)
	// A new list: a lane may end while somebody goes through the old one.
	var list []*lane
	for _, o := range m.byEP[l.Endpoint] {
		if o != l {
			list = append(list, o)
		}
	}
	if list == nil {
		delete(m.byEP, l.Endpoint)
	} else {
		m.byEP[l.Endpoint] = list
	}
}

// sweep forgets lanes that have been idle and have nothing to remember.
func (m *Manager) sweep(ctx context.Context) {
	for sleep(ctx, idleLane/5) {
		m.mu.Lock()
		now := time.Now()
		for _, l := range m.lanes {
			if l.live && !l.needsRow() && !l.saved && len(l.entries) == 0 && len(l.retries) == 0 && l.inFlight == 0 && now.Sub(l.used) > idleLane {
				m.remove(l)
			}
		}
		for id, at := range m.deleted {
			if now.Sub(at) > idleLane {
				delete(m.deleted, id)
			}
		}
		for id, c := range m.changed {
			if now.Sub(c.at) > idleLane {
				delete(m.changed, id)
			}
		}
		m.forgetReplays(now)
		m.mu.Unlock()
	}
}

// ResetPenalty ends an endpoint's penalty, makes its retries due, and tries at once.
func (m *Manager) ResetPenalty(_ context.Context, ep *event.Endpoint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, l := range m.byEP[ep.ID] {
		m.reset(l, now)
	}
	return nil
}

// reset ends a lane's penalty, makes its retries due, and tries at once.
func (m *Manager) reset(l *lane, now time.Time) {
	l.penalty, l.penaltyUntil, l.holdUntil, l.failures = 0, time.Time{}, time.Time{}, 0
	for _, r := range l.retries {
		if r.Due.After(now) {
			r.Due = now
			m.rec.putRetry(r)
		}
	}
	m.markDirty(l)
	m.pump(l, now)
}

// Resend delivers an event again to an endpoint, whether it matches or not. KindConflict when the lane's retry rows are
// all in use, KindNotFound when the endpoint was deleted.
func (m *Manager) Resend(_ context.Context, ep *event.Endpoint, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, deleted := m.deleted[ep.ID]; deleted {
		return errDeleted()
	}
	now := time.Now()
	l := m.lane(ep, now)
	if l.retryAt(version) != nil {
		return nil // on its way already
	}
	if !l.rowsLeft() {
		return event.Errorf(event.KindConflict, "too_many_retries", "the endpoint has as many retries waiting as it may have")
	}
	r := &retry{Retry: event.Retry{LaneKey: l.LaneKey, Tenant: ep.Tenant, Versions: []int64{version}, Due: now}}
	l.addRetry(r)
	m.rec.putRetry(r)
	m.wakeRecorder()
	m.pump(l, now)
	return nil
}

// View shows an endpoint's lane.
func (m *Manager) View(ctx context.Context, ep *event.Endpoint) (event.LaneView, error) {
	_, head, err := m.cfg.Log.Bounds(ctx, ep.Tenant)
	if err != nil {
		return event.LaneView{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	v := event.LaneView{Cursor: head}
	v.State, v.Waiting = m.stateOf(ep, now)
	for _, l := range m.byEP[ep.ID] {
		if l.replay != nil {
			v.Replays = append(v.Replays, l.replayView(replayRunning))
			continue
		}
		v.Retries, v.InFlight = len(l.retries), l.inFlight
		v.Penalty, v.FailingSince, v.Failures, v.OldestAt = l.penalty, l.failingSince, l.failures, l.oldest
		if until := l.until(); now.Before(until) {
			v.PenaltyUntil = until
		}
		v.Cursor = max(l.cursor(), l.ep.Start)
		if l.live {
			v.Backlog = int64(l.queued)
		} else {
			v.Backlog = max(0, head-l.cursor())
		}
		if len(l.retries) > 0 {
			v.Cursor = min(v.Cursor, l.retries[0].Versions[0]-1)
		}
	}
	return v, nil
}

// State is the State of an endpoint's [Manager.View] alone, for those who look at many: it reads nothing from the store.
func (m *Manager) State(ep *event.Endpoint) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	state, _ := m.stateOf(ep, time.Now())
	return state
}

// stateOf is the state of an endpoint's main lane for people, and why it waits.
func (m *Manager) stateOf(ep *event.Endpoint, now time.Time) (state, why string) {
	switch {
	case ep.Disabled:
		return "waiting", ep.DisabledReason
	case m.away(ep):
		return "waiting", "offline"
	}
	for _, l := range m.byEP[ep.ID] {
		if l.replay == nil {
			return m.stateName(l, now)
		}
	}
	return "live", ""
}

// stateName is a lane's state for people, and why it waits.
func (m *Manager) stateName(l *lane, now time.Time) (state, why string) {
	switch {
	case l.ep.Disabled:
		return "waiting", l.ep.DisabledReason
	case m.away(l.ep):
		return "waiting", "offline"
	case now.Before(l.until()):
		return "waiting", "penalty"
	case len(l.retries) >= event.MaxRetryRows:
		return "waiting", "retries"
	case l.live:
		return "live", ""
	}
	return "backlog", ""
}

// Stats counts lanes by state and what they hold, for metrics.
type Stats struct {
	Live, Backlog, Waiting           int
	InFlight, Retries, UnsavedEvents int
	// Oldest is when the oldest event that a lane has still to deliver was received, zero when there is none known.
	Oldest time.Time
}

// Stats returns the counts of now, as [Manager.Survey] does.
func (m *Manager) Stats() Stats {
	v := m.Survey(0, 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Live: v.Live, Backlog: v.Backlog, Waiting: v.Waiting, InFlight: m.trusted.used + m.probes.used, Retries: v.Retries,
		UnsavedEvents: len(m.window.slots), Oldest: v.Oldest.At,
	}
}

// Backlogs returns, for each tenant with lanes that read the log by themselves, the lowest cursor: what retention must
// keep for them.
func (m *Manager) Backlogs() map[event.TenantID]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	lowest := map[event.TenantID]int64{}
	note := func(t event.TenantID, v int64) {
		if old, ok := lowest[t]; !ok || v < old {
			lowest[t] = v
		}
	}
	for _, l := range m.lanes {
		if !l.live && l.replay == nil {
			note(l.ep.Tenant, l.cursor())
		}
		if len(l.retries) > 0 {
			note(l.ep.Tenant, l.retries[0].Versions[0]-1)
		}
	}
	return lowest
}

// Post sends one request now, outside any lane, and returns its outcome: a probe of an address that no endpoint has yet.
// Nothing is recorded or tried again. The address is checked as it is dialled, like every other. An error means that the
// URL cannot be read or that ctx has ended.
func (m *Manager) Post(ctx context.Context, url, contentType string, headers []event.Header, body []byte, timeout time.Duration) (event.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return event.Attempt{}, err
	}
	uri, err := parseURL(url)
	if err != nil {
		return event.Attempt{}, err
	}
	at := time.Now()
	answer := m.cfg.Sender.Send(&Request{
		URL: url, uri: uri, ContentType: contentType, Headers: headers, UserAgent: m.cfg.UserAgent, Body: body, Timeout: timeout,
	})
	return event.Attempt{
		Number: 1, At: at, Duration: answer.Took, Status: answer.Status, Verdict: judge(&answer, m.cfg.Profile, time.Now()).verdict,
		Error: answer.reason, Headers: answer.Headers, Body: answer.Body,
	}, nil
}

// TenantDeleted forgets the lanes of all endpoints of a tenant.
func (m *Manager) TenantDeleted(id event.TenantID) {
	m.mu.Lock()
	var gone []event.EndpointID
	for ep, lanes := range m.byEP {
		if lanes[0].ep.Tenant == id {
			gone = append(gone, ep)
		}
	}
	m.mu.Unlock()
	for _, ep := range gone {
		m.EndpointDeleted(ep)
	}
}
