package deliver

import (
	"slices"

	"github.com/posthornhq/posthorn/internal/event"
)

// awaited is an event to which somebody waits for an answer.
type awaited struct {
	tenant event.TenantID
	id     string
}

// waiter is who waits for the answer of an endpoint.
type waiter struct {
	endpoint event.EndpointID
	answer   chan event.Answer
}

// Await returns a channel that gets the answer of the next finished try to deliver an event to an endpoint, alone or in a
// batch: its status, all headers, and the body to [event.MaxAnswer] bytes. Status 0 means that there was no answer, or one that
// is too large to be passed on, or that none is to be waited for: the event is not for the endpoint, or the endpoint is
// disabled, or a tunnel to which nobody is connected or that strictly waits to try another event again. Reason says which. The
// channel gets nothing when there is no try. cancel ends the wait; it must be called, and may be called at any time. To be called
// before the event is published.
func (m *Manager) Await(tenant event.TenantID, endpoint event.EndpointID, eventID string) (answer <-chan event.Answer, cancel func()) {
	key, c := awaited{tenant, eventID}, make(chan event.Answer, 1)
	m.awaitMu.Lock()
	defer m.awaitMu.Unlock()
	if m.awaits == nil {
		m.awaits = map[awaited][]waiter{}
	}
	m.awaits[key] = append(m.awaits[key], waiter{endpoint, c})
	m.awaiting.Add(1)
	return c, func() {
		m.awaitMu.Lock()
		defer m.awaitMu.Unlock()
		if i := slices.Index(m.awaits[key], waiter{endpoint, c}); i >= 0 {
			m.forget(key, slices.Delete(m.awaits[key], i, i+1))
			m.awaiting.Add(-1)
		}
	}
}

// forget keeps the others that wait for the same; under awaitMu.
func (m *Manager) forget(key awaited, others []waiter) {
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
	return slices.ContainsFunc(u.events, func(ev *event.Event) bool {
		return slices.ContainsFunc(m.awaits[awaited{ev.Tenant, ev.ID}], func(w waiter) bool { return w.endpoint == u.ep.ID })
	})
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
	for _, ev := range u.events {
		m.tell(ev, func(id event.EndpointID) (event.Answer, bool) { return got, id == u.ep.ID })
	}
}

// tell gives those who wait for the answers to an event what f says of their endpoint, if it does.
func (m *Manager) tell(ev *event.Event, f func(event.EndpointID) (event.Answer, bool)) {
	m.awaitMu.Lock()
	defer m.awaitMu.Unlock()
	key := awaited{ev.Tenant, ev.ID}
	list := m.awaits[key]
	if len(list) == 0 {
		return
	}
	var others []waiter
	for _, w := range list {
		if a, ok := f(w.endpoint); ok {
			w.answer <- a // never waits: it is told once
			m.awaiting.Add(-1)
		} else {
			others = append(others, w)
		}
	}
	m.forget(key, others)
}

// Why nobody needs to wait.
const (
	notForIt = "the event is not for the endpoint"
	noAnswer = "the endpoint does not try it now"
)

// excuse tells those who wait for the answers to an event that was offered just now, and for whose endpoints it is not, or
// that will not come to it soon. It is called under the manager's lock.
func (m *Manager) excuse(ev *event.Event, targets []*event.Endpoint) {
	if m.awaiting.Load() == 0 {
		return
	}
	m.tell(ev, func(id event.EndpointID) (event.Answer, bool) {
		l := m.lanes[event.LaneKey{Endpoint: id}]
		switch {
		case l == nil, l.live && ev.Seq > l.liveFrom && !slices.ContainsFunc(targets, func(ep *event.Endpoint) bool { return ep.ID == id }):
			return event.Answer{Reason: notForIt}, true
		case m.away(l.ep), l.ep.Disabled, l.stuck():
			return event.Answer{Reason: noAnswer}, true
		}
		return event.Answer{}, false
	})
}

// stuck reports whether a tunnel's lane waits, in strict order, until it may try again what was refused.
func (l *lane) stuck() bool {
	return l.ep.Kind == event.KindTunnel && l.ep.Order == event.OrderStrict && len(l.retries) > 0 && !l.retries[0].inFlight
}

// passed tells those who wait for the answer to an event that a lane which reads the log by itself does not send.
func (m *Manager) passed(ep *event.Endpoint, ev *event.Event) {
	if m.awaiting.Load() > 0 {
		m.tell(ev, func(id event.EndpointID) (event.Answer, bool) { return event.Answer{Reason: notForIt}, id == ep.ID })
	}
}
