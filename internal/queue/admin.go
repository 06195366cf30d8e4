package queue

import (
	"cmp"
	"context"
	"fmt"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
)

// attempts is how often a change without a named revision is tried when another one comes in between.
const attempts = 5

// Create makes a queue. A Start of 0 stands for what comes; a zero Visibility, MaxOpen or Order for its default.
// Errors: KindInvalid, KindGone when Start is older than what is kept, KindConflict ("already_exists", "too_many_queues").
func (m *Manager) Create(ctx context.Context, t *event.Tenant, q event.Queue) (event.Queue, error) {
	q.Tenant, q.ID = t.ID, event.NewQueueID()
	if _, err := m.check(&q); err != nil {
		return event.Queue{}, err
	}
	oldest, head, err := m.cfg.Store.Bounds(ctx, t.ID)
	if err != nil {
		return event.Queue{}, mapError(err)
	}
	if q.Start == 0 {
		q.Start = head + 1
	}
	if q.Start < oldest {
		return event.Queue{}, event.Gone("start", oldest)
	}
	q.Created = clock()
	q.Updated = q.Created
	saved, err := m.cfg.Store.PutQueue(ctx, q, 0, m.cfg.MaxQueues)
	return saved, mapError(err)
}

// Update replaces a queue's configuration, found by its name; revision 0 stands for whichever is stored. Errors:
// KindInvalid, also for another Start, KindNotFound, KindPrecondition.
func (m *Manager) Update(ctx context.Context, t *event.Tenant, q event.Queue, revision int64) (event.Queue, error) {
	q.Tenant = t.ID
	selector, err := m.check(&q)
	if err != nil {
		return event.Queue{}, err
	}
	var saved event.Queue
	for range attempts {
		var stored event.Queue
		if stored, err = m.cfg.Store.Queue(ctx, t.ID, q.Name); err != nil {
			return event.Queue{}, mapError(err)
		}
		if q.Start != 0 && q.Start != stored.Start {
			return event.Queue{}, event.Invalid("start", "cannot be changed; delete the queue and make it again")
		}
		q.Created, q.Updated = stored.Created, clock()
		saved, err = m.cfg.Store.PutQueue(ctx, q, cmp.Or(revision, stored.Revision), m.cfg.MaxQueues)
		if revision != 0 || event.KindOf(err) != event.KindPrecondition {
			break
		}
	}
	if err != nil {
		return event.Queue{}, mapError(err)
	}
	if open := m.find(ctx, name{t.ID, q.Name}); open != nil {
		open.mu.Lock()
		if open.id == saved.ID {
			open.configure(saved, selector)
		}
		open.mu.Unlock()
	}
	return saved, nil
}

// Queue returns a queue (KindNotFound).
func (m *Manager) Queue(ctx context.Context, t *event.Tenant, queueName string) (event.Queue, error) {
	q, err := m.cfg.Store.Queue(ctx, t.ID, queueName)
	return q, mapError(err)
}

// Queues lists a tenant's queues by name, after the given one, at most limit.
func (m *Manager) Queues(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Queue, error) {
	list, err := m.cfg.Store.Queues(ctx, t.ID, after, limit)
	return list, mapError(err)
}

// Delete deletes a queue with its state; leases that wait end with KindNotFound. revision 0 stands for whichever is
// stored. Errors: KindNotFound, KindPrecondition.
func (m *Manager) Delete(ctx context.Context, t *event.Tenant, queueName string, revision int64) error {
	if err := m.cfg.Store.DeleteQueue(ctx, t.ID, queueName, revision); err != nil {
		return mapError(err)
	}
	if q := m.find(context.WithoutCancel(ctx), name{t.ID, queueName}); q != nil {
		stored, err := m.cfg.Store.Queue(context.WithoutCancel(ctx), t.ID, queueName)
		q.mu.Lock()
		if err != nil || stored.ID != q.id { // not one that was made again meanwhile
			q.drop(event.NotFound("queue"))
		}
		q.mu.Unlock()
	}
	return nil
}

// check fills defaults in and reports what is wrong with a queue, every field named.
func (m *Manager) check(q *event.Queue) (*match.Selector, error) {
	var bad []event.FieldError
	add := func(field, message string) {
		if message != "" {
			bad = append(bad, event.FieldError{Field: field, Message: message})
		}
	}
	if q.Order == "" {
		q.Order = event.OrderNone
	}
	if q.Visibility == 0 {
		q.Visibility = event.DefaultVisibility
	}
	if q.MaxOpen == 0 {
		q.MaxOpen = event.DefaultMaxOpen
	}
	add("name", event.CheckName(q.Name))
	add("description", event.CheckText(q.Description, event.MaxDescription))
	if q.Order != event.OrderNone && q.Order != event.OrderKey {
		add("order", "must be none or key")
	}
	if q.Visibility < event.MinVisibility || q.Visibility > event.MaxVisibility {
		add("visibility", "must be 1s to 12h")
	}
	if q.MaxDeliveries < 0 || q.MaxDeliveries > event.MaxMaxDeliveries {
		add("max_deliveries", fmt.Sprintf("must be 0 (no bound) to %d", event.MaxMaxDeliveries))
	}
	if q.MaxOpen < 1 || q.MaxOpen > event.MaxMaxOpen {
		add("max_open", fmt.Sprintf("must be 1 to %d", event.MaxMaxOpen))
	}
	if q.Start < 0 {
		add("start", "must be at least 1")
	}
	bad = append(bad, event.CheckMetadata(q.Metadata)...)
	if len(bad) > 0 {
		return nil, &event.Error{Kind: event.KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: bad}
	}
	return match.CompileSelection(q.Select, m.cfg.Limits)
}
