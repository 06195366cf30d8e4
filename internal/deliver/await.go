package deliver

import (
	"slices"

	"github.com/posthornhq/posthorn/internal/event"
)

// awaited is what somebody waits for: the answer to an event at an endpoint.
type awaited struct {
	endpoint event.EndpointID
	id       string
}

// Await returns a channel that gets the answer of the next finished try to deliver an event to an endpoint, alone or in a
// batch: its status, all headers, and the body to [event.MaxAnswer] bytes. Status 0 means that there was no answer, or one that
// is too large to be passed on; Reason says which. The channel gets nothing when there is no try. cancel ends the wait; it must
// be called, and may be called at any time. To be called before the event is published.
func (m *Manager) Await(endpoint event.EndpointID, eventID string) (answer <-chan event.Answer, cancel func()) {
	key, c := awaited{endpoint, eventID}, make(chan event.Answer, 1)
	m.awaitMu.Lock()
	defer m.awaitMu.Unlock()
	if m.awaits == nil {
		m.awaits = map[awaited][]chan event.Answer{}
	}
	m.awaits[key] = append(m.awaits[key], c)
	m.awaiting.Add(1)
	return c, func() {
		m.awaitMu.Lock()
		defer m.awaitMu.Unlock()
		if i := slices.Index(m.awaits[key], c); i >= 0 {
			m.forget(key, slices.Delete(m.awaits[key], i, i+1))
			m.awaiting.Add(-1)
		}
	}
}

// forget keeps the others that wait for the same; under awaitMu.
func (m *Manager) forget(key awaited, others []chan event.Answer) {
	if len(others) == 0 {
		delete(m.awaits, key)
	} else {
		m.awaits[key] = others
	}
}

// isAwaited reports whether anybody waits for the answer to a delivery. It costs nothing while nobody waits for any.
func (m *Manager) isAwaited(u *unit) bool {
	if m.awaiting.Load() == 0 {
		return false
	}
	m.awaitMu.Lock()
	defer m.awaitMu.Unlock()
	return slices.ContainsFunc(u.events, func(ev *event.Event) bool { return len(m.awaits[awaited{u.ep.ID, ev.ID}]) > 0 })
}

// give passes an answer on to those who wait for it.
func (m *Manager) give(u *unit, a *Answer) {
	if m.awaiting.Load() == 0 {
		return
	}
	got := event.Answer{Reason: a.reason}
	switch {
	case a.whole != nil:
		got = *a.whole
	case a.failure == failureNone: // somebody began to wait only now
		got = event.Answer{Status: a.Status, Headers: a.Headers, Body: a.Body}
		if len(a.Body) >= event.MaxAnswerKept {
			got = event.Answer{Reason: "the answer was not kept whole"}
		}
	}
	m.awaitMu.Lock()
	defer m.awaitMu.Unlock()
	for _, ev := range u.events {
		key := awaited{u.ep.ID, ev.ID}
		for _, c := range m.awaits[key] {
			c <- got // never waits: it is told once
			m.awaiting.Add(-1)
		}
		delete(m.awaits, key)
	}
}
