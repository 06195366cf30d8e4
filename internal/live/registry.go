package live

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/posthornhq/posthorn/internal/event"
)

// open are the connections and waits of a tenant, in the order in which they came.
type open struct {
	streams     int // connections
	first, last *ticket
}

func (o *open) count() int {
	if o == nil {
		return 0
	}
	return o.streams
}

// waitInfo is what is shown of a wait.
type waitInfo struct {
	key   *event.APIKey
	ask   event.Selection
	after int64
	end   func()
}

// maxAgent is how much of a client's own description is kept, in bytes.
const maxAgent = 200

// enlist gives a ticket its id and its place among the tenant's. l.mu is held.
func (l *limits) enlist(t *ticket, r *http.Request, who *Listener) {
	l.lastID++
	t.id, t.since = l.lastID, t.hub.now()
	agent := r.UserAgent()
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	t.agent = unique.Make(agent) // one copy for all the clients of a kind
	o := l.tenants[t.tenant]
	if o == nil {
		o = &open{}
		l.tenants[t.tenant] = o
	}
	if t.kind != kindPoll {
		o.streams++
	} else {
		t.wait = &waitInfo{key: who.Key, end: func() {}}
	}
	if t.prev = o.last; o.last != nil {
		o.last.next = t
	} else {
		o.first = t
	}
	o.last = t
}

// delist takes a ticket out; one that was never put in is left as it is. l.mu is held.
func (l *limits) delist(t *ticket) {
	if t.id == 0 {
		return
	}
	o := l.tenants[t.tenant]
	if t.kind != kindPoll {
		o.streams--
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		o.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		o.last = t.prev
	}
	t.prev, t.next, t.conn = nil, nil, nil
	if o.first == nil {
		delete(l.tenants, t.tenant)
	}
}

// connected notes the connection of a ticket, and reports whether somebody has ended it already.
func (t *ticket) connected(c *conn) (ended bool) {
	t.hub.limits.mu.Lock()
	defer t.hub.limits.mu.Unlock()
	t.conn = c
	return t.refused
}

// waits notes what a wait is for, and ends it when somebody has ended it already.
func (t *ticket) waits(w *waitInfo) {
	t.hub.limits.mu.Lock()
	defer t.hub.limits.mu.Unlock()
	t.wait = w
	if t.refused {
		w.end()
	}
}

// Open counts the live connections of a tenant, or with tenant 0 all, without those who wait.
func (h *Hub) Open(tenant event.TenantID) int {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	if tenant == 0 {
		return h.limits.streams
	}
	return h.limits.tenants[tenant].count()
}

// List shows a tenant's live connections and waiting polls with an id above after, in the order in which they came, at most
// limit. Waits of the server itself for a client, such as those of leases, are not among them.
func (h *Hub) List(tenant event.TenantID, after int64, limit int) []event.StreamView {
	var list []ticket
	h.limits.mu.Lock()
	if o := h.limits.tenants[tenant]; o != nil {
		for t := o.first; t != nil && len(list) < limit; t = t.next {
			if t.id > after {
				list = append(list, *t)
			}
		}
	}
	h.limits.mu.Unlock()
	head := h.head(tenant)
	out := make([]event.StreamView, 0, len(list))
	for i := range list {
		out = append(out, list[i].view(head))
	}
	return out
}

// head is the last version of a tenant's log, as far as those who listen know it.
func (h *Hub) head(tenant event.TenantID) int64 {
	h.mu.RLock()
	f := h.feeds[tenant]
	h.mu.RUnlock()
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

var kindNames = [kindCount]string{kindSSE: "sse", kindSocket: "websocket", kindPoll: "poll"}

// view shows a copy of a ticket.
func (t *ticket) view(head int64) event.StreamView {
	v := event.StreamView{ID: t.id, Kind: kindNames[t.kind], UserAgent: t.agent.Value(), Since: time.Unix(0, t.since).UTC(), Subscriptions: 1}
	if t.remote.IsValid() {
		v.Address = t.remote.String()
	}
	if t.wait != nil {
		v.By, v.Selection, v.Version, v.Head = t.wait.key, t.wait.ask, t.wait.after, max(head, t.wait.after)
		return v
	}
	v.By = t.key.key
	if t.conn == nil {
		return v
	}
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	v.Sent, v.Subscriptions = c.sent, len(c.members)
	for i, m := range c.members {
		if at := m.reached(); i == 0 || at < v.Version {
			v.Version = at
		}
	}
	if len(c.members) > 0 {
		v.Head, v.Selection = max(head, v.Version), c.members[0].group.shown
	}
	return v
}

// End ends a tenant's live connection or wait; the client may come back. KindNotFound when there is none.
func (h *Hub) End(tenant event.TenantID, id int64) error {
	h.limits.mu.Lock()
	var found *ticket
	if o := h.limits.tenants[tenant]; o != nil {
		for found = o.first; found != nil && found.id != id; {
			found = found.next
		}
	}
	if found == nil {
		h.limits.mu.Unlock()
		return event.NotFound("stream")
	}
	found.refused = true
	c, w := found.conn, found.wait
	h.limits.mu.Unlock()
	switch {
	case c != nil:
		c.end(reasonEnded)
	case w != nil:
		w.end()
	}
	return nil
}

// cloneSelection copies a selection that may be a part of what was received.
func cloneSelection(s event.Selection) event.Selection {
	cloned := func(list []string) []string {
		list = slices.Clone(list)
		for i := range list {
			list[i] = strings.Clone(list[i])
		}
		return list
	}
	return event.Selection{Types: cloned(s.Types), Subjects: cloned(s.Subjects), Filter: strings.Clone(s.Filter)}
}
