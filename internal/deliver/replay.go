package deliver

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of replays.
const (
	// maxReplays bounds the replays that one endpoint may have running.
	maxReplays = 4
	// Replays that ended are remembered for endedFor: endedOfOne of an endpoint, endedMax in all.
	endedFor   = time.Hour
	endedOfOne = 20
	endedMax   = 1000
)

// Words for the states of replays, short for here.
const (
	replayRunning   = event.ReplayRunning
	replayDone      = event.ReplayDone
	replayCancelled = event.ReplayCancelled
)

// endedReplay is a replay that ended lately.
type endedReplay struct {
	endpoint event.EndpointID
	view     event.ReplayView
}

// replayEndpoint is an endpoint as a replay sees it: events from before it was made are for it too.
func replayEndpoint(ep *event.Endpoint) *event.Endpoint {
	e := *ep
	e.Start = 0
	return &e
}

// Replay sends a range of the log to an endpoint again, beside what is new. It returns once that is saved. KindConflict when too
// many replays run, KindNotFound when the endpoint was deleted, KindUnavailable when the lanes stop.
func (m *Manager) Replay(ctx context.Context, ep *event.Endpoint, r event.ReplayRange) (event.ReplayView, error) {
	view, saved, err := m.beginReplay(ep, r)
	if err != nil {
		return event.ReplayView{}, err
	}
	return view, m.await(ctx, saved)
}

func (m *Manager) beginReplay(ep *event.Endpoint, r event.ReplayRange) (event.ReplayView, <-chan error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, deleted := m.deleted[ep.ID]; deleted {
		return event.ReplayView{}, nil, errDeleted()
	}
	running := 0
	for _, l := range m.byEP[ep.ID] {
		if l.replay != nil {
			running++
		}
	}
	if running >= maxReplays {
		return event.ReplayView{}, nil, event.Errorf(event.KindConflict, "too_many_replays", "the endpoint has as many replays running as it may have")
	}
	now := time.Now()
	r.Sent, r.Started = 0, now.UTC().Truncate(time.Microsecond)
	key := event.LaneKey{Endpoint: ep.ID, Replay: event.NewReplayID()}
	l := m.addLane(key, replayEndpoint(m.newest(ep)))
	l.replay, l.scanned, l.used = &r, r.From-1, now
	if r.OnlyFailed {
		l.proven = true
	}
	m.markDirty(l)
	m.pump(l, now)
	return l.replayView(replayRunning), m.promise(), nil
}

// Replays returns an endpoint's replays: those that run, the newest first, and those that ended within the last hour, the last
// first. What ended before a restart is not known any more.
func (m *Manager) Replays(ep event.EndpointID) []event.ReplayView {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []event.ReplayView
	for _, l := range m.byEP[ep] {
		if l.replay != nil {
			list = append(list, l.replayView(replayRunning))
		}
	}
	slices.SortFunc(list, func(a, b event.ReplayView) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID)) })
	for _, e := range slices.Backward(m.ended) {
		if e.endpoint == ep && time.Since(e.view.Ended) < endedFor {
			list = append(list, e.view)
		}
	}
	return list
}

// CancelReplay ends a replay. It returns once its saved state is gone, all of it together, so that it never comes back; what is
// under way ends by itself. A replay that has ended already stays as it is. KindNotFound when there is no such replay,
// KindUnavailable when the lanes stop.
func (m *Manager) CancelReplay(ctx context.Context, ep event.EndpointID, id int64) error {
	gone, err := m.cancelReplay(ep, id)
	if err != nil {
		return err
	}
	return m.await(ctx, gone)
}

func (m *Manager) cancelReplay(ep event.EndpointID, id int64) (<-chan error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lanes[event.LaneKey{Endpoint: ep, Replay: id}]
	if id == 0 || l == nil {
		if id != 0 && slices.ContainsFunc(m.ended, func(e endedReplay) bool { return e.endpoint == ep && e.view.ID == id }) {
			return m.promise(), nil // its end may not be saved yet
		}
		return nil, event.NotFound("replay")
	}
	m.dropReplay(l, replayCancelled)
	m.nextFeed()
	return m.promise(), nil
}

// endReplay removes a replay that has nothing left to do.
func (m *Manager) endReplay(l *lane) {
	if l.atEnd && len(l.entries) == 0 && len(l.retries) == 0 && l.inFlight == 0 && l.replay != nil {
		m.dropReplay(l, replayDone)
	}
}

// dropReplay removes a replay with all that is saved of it, and remembers for a while that there was one.
func (m *Manager) dropReplay(l *lane, state string) {
	view := l.replayView(state)
	view.Ended = time.Now().UTC()
	m.ended = append(m.ended, endedReplay{l.Endpoint, view})
	m.forgetReplays(view.Ended)
	m.remove(l)
	for _, r := range l.retries {
		m.rec.dropRetry(r)
	}
	m.rec.dropLane(l.LaneKey)
	m.wakeRecorder()
}

// forgetReplays keeps what is remembered of ended replays within its bounds.
func (m *Manager) forgetReplays(now time.Time) {
	n := map[event.EndpointID]int{}
	for _, e := range m.ended {
		n[e.endpoint]++
	}
	over := len(m.ended) - endedMax
	m.ended = slices.DeleteFunc(m.ended, func(e endedReplay) bool {
		if over <= 0 && n[e.endpoint] <= endedOfOne && now.Sub(e.view.Ended) < endedFor {
			return false
		}
		over--
		n[e.endpoint]--
		return true
	})
}

func (l *lane) replayView(state string) event.ReplayView {
	r := l.replay
	return event.ReplayView{
		ID: l.Replay, From: r.From, To: r.To, Cursor: l.cursor(), OnlyFailed: r.OnlyFailed, Sent: r.Sent, Retries: len(l.retries),
		State: state, Matching: r.Matching, Started: r.Started,
	}
}
