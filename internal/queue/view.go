package queue

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
)

// View returns how far a queue is. It does not load the queue into memory.
func (m *Manager) View(ctx context.Context, q *event.Queue) (event.QueueView, error) {
	list, err := m.cfg.Store.QueueSummaries(ctx, q.ID-1, 1)
	if err != nil {
		return event.QueueView{}, mapError(err)
	}
	if len(list) == 0 || list[0].Queue != q.ID {
		return event.QueueView{}, event.NotFound("queue")
	}
	v := event.QueueView{Dead: list[0].Dead}
	if open := m.find(ctx, name{q.Tenant, q.Name}); open == nil || !open.show(q.ID, &v) {
		c, _, items, err := m.cfg.Store.LoadQueue(ctx, q.ID)
		if err != nil {
			return event.QueueView{}, mapError(err)
		}
		stored := newOpenItems(q.Order == event.OrderKey)
		now := clock()
		stored.restore(items, now)
		v.Cursor, v.Expired = c.Version, c.Expired
		stored.show(&v, now)
	}
	look := lookEvents
	return v, m.addLog(ctx, name{q.Tenant, q.Name}, &v, &look)
}

// Leases returns the events of a queue whose leases hold, with version > after, in version order, at most limit. Like View it
// does not load the queue into memory.
func (m *Manager) Leases(ctx context.Context, q *event.Queue, after int64, limit int) ([]event.QueueItem, error) {
	if open := m.find(ctx, name{q.Tenant, q.Name}); open != nil {
		if list, ok := open.leases(q.ID, after, limit); ok {
			return list, nil
		}
	}
	_, _, items, err := m.cfg.Store.LoadQueue(ctx, q.ID)
	if err != nil {
		return nil, mapError(err)
	}
	return held(slices.Values(items), after, limit, clock()), nil
}

// leases is Leases of a queue in memory; false when it is not the one meant, or no longer in use.
func (q *queue) leases(id event.QueueID, after int64, limit int) ([]event.QueueItem, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil || q.id != id {
		return nil, false
	}
	return held(func(yield func(event.QueueItem) bool) {
		for _, it := range q.items.byVersion {
			if !yield(it.QueueItem) {
				return
			}
		}
	}, after, limit, clock()), true
}

// held picks the items whose leases hold, of versions > after the first limit.
func held(items iter.Seq[event.QueueItem], after int64, limit int, now time.Time) []event.QueueItem {
	var out []event.QueueItem
	for it := range items {
		if it.Lease != 0 && it.Until.After(now) && it.Version > after {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b event.QueueItem) int { return cmp.Compare(a.Version, b.Version) })
	return out[:min(limit, len(out))]
}

// lookEvents is how many events after the cursor View looks at, about, for one that the queue selects; statsLook how many Stats
// looks at for all queues together, which are asked for again and again.
const (
	lookEvents = 1000
	statsLook  = 20_000
)

// addLog adds what the log says to a view: the head, the depth and the age. A queue from which nobody leases passes no events, so
// those that it does not select are passed here, as long as look lasts.
func (m *Manager) addLog(ctx context.Context, n name, v *event.QueueView, look *int) error {
	p, err := m.cfg.Store.ReadTenant(ctx, n.tenant, v.Cursor, 1, 1)
	if err != nil {
		return mapError(err)
	}
	v.Head = p.Head
	passed, first := max(v.Cursor, p.Oldest-1), time.Time{}
	if len(p.Events) > 0 {
		first = p.Events[0].Received
		if *look > 0 {
			if passed, first, err = m.passed(ctx, n, p, look); err != nil {
				return mapError(err)
			}
		}
	}
	v.Depth = int64(v.Open) + max(0, p.Head-passed)
	if v.Oldest.IsZero() && passed < p.Head {
		v.Oldest = first
	}
	return nil
}

// passed returns the version before the first event of a page, or of those that follow, that a queue selects, and when that one was
// received; after as many others as look allows, those of the last it has looked at.
func (m *Manager) passed(ctx context.Context, n name, p store.Page, look *int) (version int64, received time.Time, err error) {
	cfg, err := m.cfg.Store.Queue(ctx, n.tenant, n.queue)
	if err != nil {
		return 0, time.Time{}, err
	}
	selector, err := match.CompileSelection(cfg.Select, m.cfg.Limits)
	if err != nil {
		return 0, time.Time{}, err
	}
	for len(p.Events) > 0 {
		*look -= len(p.Events)
		for i := range p.Events {
			ev := &p.Events[i]
			if selector.Matches(ev) {
				return ev.Version - 1, ev.Received, nil
			}
			version, received = ev.Version, ev.Received
		}
		if *look <= 0 {
			break
		}
		if p, err = m.cfg.Store.ReadTenant(ctx, n.tenant, version, readEvents, readBytes); err != nil {
			return 0, time.Time{}, err
		}
	}
	return version, received, nil
}

// show fills in what is known in memory; false when the queue is not the one meant, or no longer in use.
func (q *queue) show(id event.QueueID, v *event.QueueView) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil || q.id != id {
		return false
	}
	now := clock()
	q.items.settle(now)
	v.Cursor, v.Expired, v.Waiting = q.cursor, q.expired, q.waiters.Len()
	q.items.show(v, now)
	return true
}

// show counts the items.
func (o *openItems) show(v *event.QueueView, now time.Time) {
	v.Open = o.len()
	for _, it := range o.byVersion {
		switch {
		case it.leased() && it.Until.After(now):
			v.Leased++
		case it.in == nil:
			v.Parked++
		default:
			v.Delayed++
		}
	}
	if first := o.oldest(); first != nil {
		v.Oldest = first.Received
	}
}

// Stat is a queue with its figures, for metrics. Its Leased, Delayed and Parked are not filled in.
type Stat struct {
	Tenant event.TenantID
	Name   string
	event.QueueView
}

// statsScan is how many queues Stats looks at in all, statsPage in one read.
const (
	statsScan = 10_000
	statsPage = 1000
)

// Stats returns figures of queues of all tenants, at most the given number, and the sums over the others (the oldest
// time, the sums of the rest), of at most 10,000 queues in all. Of the others the time of the oldest event is known only
// where it was leased before.
func (m *Manager) Stats(ctx context.Context, most int) (list []Stat, rest event.QueueView, err error) {
	heads := map[event.TenantID]int64{}
	look := statsLook
	after := event.QueueID(0)
	for seen := 0; seen < statsScan; {
		page, err := m.cfg.Store.QueueSummaries(ctx, after, statsPage)
		if err != nil || len(page) == 0 {
			return list, rest, err
		}
		seen += len(page)
		after = page[len(page)-1].Queue
		for i := range page {
			v, err := m.stat(ctx, &page[i], len(list) < most, &look, heads)
			switch {
			case err != nil:
				return list, rest, err
			case len(list) < most:
				list = append(list, Stat{Tenant: page[i].Tenant, Name: page[i].Name, QueueView: v})
			default:
				rest.Depth, rest.Open, rest.Dead = rest.Depth+v.Depth, rest.Open+v.Open, rest.Dead+v.Dead
				if rest.Oldest.IsZero() || !v.Oldest.IsZero() && v.Oldest.Before(rest.Oldest) {
					rest.Oldest = v.Oldest
				}
			}
		}
	}
	return list, rest, nil
}

// stat is the figures of one queue; exact ones read the log for the queue, others once for a tenant.
func (m *Manager) stat(ctx context.Context, s *store.QueueSummary, exact bool, look *int, heads map[event.TenantID]int64) (event.QueueView, error) {
	v := event.QueueView{Cursor: s.Cursor.Version, Open: s.Cursor.Open, Oldest: s.Cursor.Oldest, Expired: s.Cursor.Expired, Dead: s.Dead}
	m.mu.Lock()
	open := m.queues[name{s.Tenant, s.Name}]
	m.mu.Unlock()
	if open != nil && open.isLoaded() {
		open.glance(s.Queue, &v)
	}
	if exact {
		return v, m.addLog(ctx, name{s.Tenant, s.Name}, &v, look)
	}
	head, ok := heads[s.Tenant]
	if !ok {
		var err error
		if _, head, err = m.cfg.Store.Bounds(ctx, s.Tenant); err != nil {
			return v, mapError(err)
		}
		heads[s.Tenant] = head
	}
	v.Head, v.Depth = head, int64(v.Open)+max(0, head-v.Cursor)
	return v, nil
}

// glance is show without counting the items.
func (q *queue) glance(id event.QueueID, v *event.QueueView) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil || q.id != id {
		return
	}
	v.Cursor, v.Open, v.Expired, v.Waiting, v.Oldest = q.cursor, q.items.len(), q.expired, q.waiters.Len(), time.Time{}
	if first := q.items.oldest(); first != nil {
		v.Oldest = first.Received
	}
}

// floorsPage is how many queues one call of Floor looks at more closely.
const floorsPage = 1000

// Floor returns the Seq up to which no queue needs an event of the log; math.MaxInt64 without queues. It is asked for now
// and then: what a queue at its tenant's head has saved falls behind the log, so the queues with the lowest floors are
// looked at again, a bounded number of them, and their floors saved anew.
func (m *Manager) Floor(ctx context.Context) (int64, error) {
	floors, err := m.cfg.Store.QueueFloors(ctx, floorsPage)
	if err != nil {
		return 0, err
	}
	keep := int64(math.MaxInt64)
	if len(floors) == floorsPage { // those that were not looked at are not lower
		keep = floors[len(floors)-1].Seq
	}
	var raise []store.QueueFloor
	for _, f := range floors {
		if f.Seq >= keep {
			break
		}
		p, err := m.cfg.Store.ReadTenant(ctx, f.Tenant, f.Low, 1, 1)
		if err != nil {
			return 0, err
		}
		seq := p.Through
		if len(p.Events) > 0 {
			seq = p.Events[0].Seq - 1
		}
		if seq > f.Seq {
			f.Seq = seq
			raise = append(raise, f)
		}
		keep = min(keep, f.Seq)
	}
	if len(raise) > 0 {
		err = m.cfg.Store.RaiseQueueFloors(ctx, raise)
	}
	return keep, err
}
