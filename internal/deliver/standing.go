package deliver

import (
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Standings tells where an event stands with the lanes of some endpoints, one for each in their order. What it says and the
// attempts that are read from the store afterwards leave nothing out between them.
func (m *Manager) Standings(ev *event.Event, endpoints []*event.Endpoint) []event.Standing {
	out := make([]event.Standing, len(endpoints))
	of := make(map[event.EndpointID]*event.Standing, len(endpoints))
	for i, ep := range endpoints {
		of[ep.ID] = &out[i]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for i, ep := range endpoints {
		m.standing(&out[i], ev, ep, now)
	}
	for _, unsaved := range [][]event.Attempt{m.saving, m.rec.attempts} {
		for i := range unsaved {
			a := &unsaved[i]
			if a.Tenant != ev.Tenant || !slices.Contains(a.Versions, ev.Version) {
				continue
			}
			if s := of[a.Endpoint]; s != nil {
				s.Unsaved = append(s.Unsaved, *a)
			}
		}
	}
	return out
}

func (m *Manager) standing(s *event.Standing, ev *event.Event, ep *event.Endpoint, now time.Time) {
	ahead := ev.Seq > m.window.last // the follower has not come to it
	s.Ahead = ahead
	for _, l := range m.byEP[ep.ID] {
		if l.replay == nil {
			s.Ahead = ahead && l.live || !l.live && ev.Version > l.scanned
			if _, s.Waiting = m.stateName(l, now); s.Waiting == "penalty" {
				s.Until = l.until()
			}
		}
		if e := l.find(ev.Version); e != nil && e.state != entrySettled {
			s.Ahead = true
			s.InFlight = s.InFlight || e.state == entryInFlight
		}
		if i := slices.IndexFunc(l.retries, func(r *retry) bool { return slices.Contains(r.Versions, ev.Version) }); i >= 0 {
			r := l.retries[i]
			s.Retry, s.InFlight = true, s.InFlight || r.inFlight
			if s.Due.IsZero() || r.Due.Before(s.Due) {
				s.Due = r.Due
			}
		}
	}
	switch {
	case ep.Disabled:
		s.Waiting, s.Until = ep.DisabledReason, time.Time{}
	case m.away(ep):
		s.Waiting, s.Until = "offline", time.Time{}
	}
}
