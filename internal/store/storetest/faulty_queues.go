package storetest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// PutQueue implements [store.Queues].
func (f *Faulty) PutQueue(ctx context.Context, q event.Queue, revision int64, maxQueues int) (event.Queue, error) {
	return get(f, "PutQueue", func() (event.Queue, error) { return f.next.PutQueue(ctx, q, revision, maxQueues) })
}

// Queue implements [store.Queues].
func (f *Faulty) Queue(ctx context.Context, tenant event.TenantID, name string) (event.Queue, error) {
	return get(f, "Queue", func() (event.Queue, error) { return f.next.Queue(ctx, tenant, name) })
}

// Queues implements [store.Queues].
func (f *Faulty) Queues(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Queue, error) {
	return get(f, "Queues", func() ([]event.Queue, error) { return f.next.Queues(ctx, tenant, after, limit) })
}

// DeleteQueue implements [store.Queues].
func (f *Faulty) DeleteQueue(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	return f.do("DeleteQueue", func() error { return f.next.DeleteQueue(ctx, tenant, name, revision) })
}

// DeletedQueues implements [store.Queues].
func (f *Faulty) DeletedQueues(ctx context.Context, limit int) ([]event.QueueID, error) {
	return get(f, "DeletedQueues", func() ([]event.QueueID, error) { return f.next.DeletedQueues(ctx, limit) })
}

// ForgetQueue implements [store.Queues].
func (f *Faulty) ForgetQueue(ctx context.Context, id event.QueueID) error {
	return f.do("ForgetQueue", func() error { return f.next.ForgetQueue(ctx, id) })
}

// DeleteQueueState implements [store.Queues].
func (f *Faulty) DeleteQueueState(ctx context.Context, id event.QueueID, limit int) (int, error) {
	return get(f, "DeleteQueueState", func() (int, error) { return f.next.DeleteQueueState(ctx, id, limit) })
}

// SaveQueue implements [store.Queues].
func (f *Faulty) SaveQueue(ctx context.Context, r store.QueueRecord) error {
	return f.do("SaveQueue", func() error { return f.next.SaveQueue(ctx, r) })
}

// QueueDead implements [store.Queues].
func (f *Faulty) QueueDead(ctx context.Context, id event.QueueID, after int64, limit int) ([]event.QueueDead, error) {
	return get(f, "QueueDead", func() ([]event.QueueDead, error) { return f.next.QueueDead(ctx, id, after, limit) })
}

// TrimQueueDead implements [store.Queues].
func (f *Faulty) TrimQueueDead(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimQueueDead", func() (int, error) { return f.next.TrimQueueDead(ctx, before, limit) })
}

// QueueSummaries implements [store.Queues].
func (f *Faulty) QueueSummaries(ctx context.Context, after event.QueueID, limit int) ([]store.QueueSummary, error) {
	return get(f, "QueueSummaries", func() ([]store.QueueSummary, error) { return f.next.QueueSummaries(ctx, after, limit) })
}

// QueueFloors implements [store.Queues].
func (f *Faulty) QueueFloors(ctx context.Context, limit int) ([]store.QueueFloor, error) {
	return get(f, "QueueFloors", func() ([]store.QueueFloor, error) { return f.next.QueueFloors(ctx, limit) })
}

// RaiseQueueFloors implements [store.Queues].
func (f *Faulty) RaiseQueueFloors(ctx context.Context, floors []store.QueueFloor) error {
	return f.do("RaiseQueueFloors", func() error { return f.next.RaiseQueueFloors(ctx, floors) })
}

// LoadQueue implements [store.Queues].
func (f *Faulty) LoadQueue(ctx context.Context, id event.QueueID) (c event.QueueCursor, dead int64, items []event.QueueItem, err error) {
	err = f.do("LoadQueue", func() (err error) {
		c, dead, items, err = f.next.LoadQueue(ctx, id)
		return err
	})
	if err != nil {
		return event.QueueCursor{}, 0, nil, err
	}
	return c, dead, items, nil
}
