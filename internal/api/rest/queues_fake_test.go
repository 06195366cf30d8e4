package rest_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// fakeQueues are the queues of a fake. The receipt "lost" is of a lease that has ended.
type fakeQueues struct {
	f       *fake
	byName  map[string]event.Queue
	view    event.QueueView
	dead    []event.QueueDead
	asked   []event.LeaseAsk
	retried [][]int64
	delays  []time.Duration
}

// reset is called with the fake's lock held.
func (q *fakeQueues) reset(f *fake) {
	*q = fakeQueues{f: f, byName: map[string]event.Queue{}}
	q.byName["work"] = event.Queue{
		ID: 1, Tenant: 1, Name: "work", Order: event.OrderNone, Visibility: time.Minute, MaxDeliveries: 5, MaxOpen: 1000, Start: 1,
		Created: start, Updated: start, Revision: 3,
	}
	q.view = event.QueueView{Cursor: 4, Head: 9, Depth: 8, Open: 3, Leased: 1, Delayed: 1, Parked: 1, Dead: 2, Waiting: 1, Oldest: start}
	q.dead = []event.QueueDead{{Version: 1, Deliveries: 5, At: start}, {Version: 99, Deliveries: 5, At: start}}
}

func (q *fakeQueues) Create(_ context.Context, t *event.Tenant, v event.Queue) (event.Queue, error) {
	defer q.f.lock()()
	if q.f.fail != nil {
		return v, q.f.fail
	}
	v.ID, v.Tenant, v.Created, v.Updated, v.Revision = 2, t.ID, start, start, 1
	q.byName[v.Name] = v
	return v, nil
}

func (q *fakeQueues) Queue(_ context.Context, _ *event.Tenant, name string) (event.Queue, error) {
	defer q.f.lock()()
	v, ok := q.byName[name]
	if q.f.fail != nil {
		return v, q.f.fail
	}
	if !ok {
		return v, event.NotFound("queue")
	}
	return v, nil
}

func (q *fakeQueues) Queues(_ context.Context, _ *event.Tenant, after string, limit int) ([]event.Queue, error) {
	defer q.f.lock()()
	var list []event.Queue
	for name, v := range q.byName {
		if name > after {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b event.Queue) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(limit, len(list))], q.f.fail
}

func (q *fakeQueues) Update(_ context.Context, _ *event.Tenant, v event.Queue, revision int64) (event.Queue, error) {
	defer q.f.lock()()
	stored := q.byName[v.Name]
	if err := q.f.precondition(revision, stored.Revision); err != nil {
		return v, err
	}
	v.ID, v.Start, v.Created, v.Updated, v.Revision = stored.ID, stored.Start, stored.Created, start.Add(time.Hour), stored.Revision+1
	q.byName[v.Name] = v
	return v, nil
}

func (q *fakeQueues) Delete(_ context.Context, _ *event.Tenant, name string, revision int64) error {
	defer q.f.lock()()
	v, ok := q.byName[name]
	if q.f.fail == nil && !ok {
		return event.NotFound("queue")
	}
	if err := q.f.precondition(revision, v.Revision); err != nil {
		return err
	}
	delete(q.byName, name)
	return nil
}

func (q *fakeQueues) View(context.Context, *event.Queue) (event.QueueView, error) {
	defer q.f.lock()()
	return q.view, q.f.fail
}

func (q *fakeQueues) Leases(_ context.Context, _ *event.Queue, after int64, limit int) ([]event.QueueItem, error) {
	defer q.f.lock()()
	var list []event.QueueItem
	for version := after + 1; version <= 3 && len(list) < limit; version++ {
		i := event.QueueItem{Version: version, Deliveries: 2, Lease: 7, Until: start.Add(time.Minute)}
		if version < 3 {
			i.Holder = event.LeaseHolder{Kind: event.ByKey, ID: "key_1", Name: "workers", Consumer: "host-1"}
		}
		list = append(list, i)
	}
	return list, q.f.fail
}

func (q *fakeQueues) Lease(_ context.Context, _ event.TenantID, name string, ask event.LeaseAsk) ([]event.Leased, error) {
	defer q.f.lock()()
	if _, ok := q.byName[name]; !ok {
		return nil, event.NotFound("queue")
	}
	q.asked = append(q.asked, ask)
	var list []event.Leased
	for i := range q.f.events[:min(ask.Max, len(q.f.events))] {
		list = append(list, event.Leased{Receipt: "r" + q.f.events[i].ID, Event: &q.f.events[i], Deliveries: 1, Expires: start.Add(ask.Visibility)})
	}
	return list, q.f.fail
}

func (q *fakeQueues) settle(receipts []string) ([]event.ReceiptError, error) {
	var bad []event.ReceiptError
	for i, r := range receipts {
		switch r {
		case "lost":
			bad = append(bad, event.ReceiptError{Index: i, Code: "lease_lost"})
		case "no receipt":
			bad = append(bad, event.ReceiptError{Index: i, Code: "invalid_receipt"})
		}
	}
	return bad, q.f.fail
}

func (q *fakeQueues) Ack(_ context.Context, _ event.TenantID, _ string, receipts []string) ([]event.ReceiptError, error) {
	defer q.f.lock()()
	return q.settle(receipts)
}

func (q *fakeQueues) Nack(_ context.Context, _ event.TenantID, _ string, receipts []string, delay time.Duration) ([]event.ReceiptError, error) {
	defer q.f.lock()()
	q.delays = append(q.delays, delay)
	return q.settle(receipts)
}

func (q *fakeQueues) Extend(_ context.Context, _ event.TenantID, _ string, receipts []string, visibility time.Duration) (time.Time, []event.ReceiptError, error) {
	defer q.f.lock()()
	q.delays = append(q.delays, visibility)
	bad, err := q.settle(receipts)
	return start.Add(visibility), bad, err
}

func (q *fakeQueues) DeadLetters(_ context.Context, _ *event.Queue, after int64, limit int) ([]event.QueueDead, error) {
	defer q.f.lock()()
	var list []event.QueueDead
	for _, d := range q.dead {
		if d.Version > after && len(list) < limit {
			list = append(list, d)
		}
	}
	return list, q.f.fail
}

func (q *fakeQueues) RetryDead(_ context.Context, _ event.TenantID, _ string, versions []int64) (int, error) {
	defer q.f.lock()()
	q.retried = append(q.retried, versions)
	return len(q.dead), q.f.fail
}
