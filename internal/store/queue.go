package store

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// QueueRecord is what a queue saves, in one atomic step.
type QueueRecord struct {
	Lease  Lease
	Queue  event.QueueID
	Cursor event.QueueCursor
	Items  []event.QueueItem // upserted by version
	Drop   []int64           // versions of items that are no longer open
	Dead   []event.QueueDead // upserted by version
	// DropDead are versions of dead letters that are open again.
	DropDead []int64
}

// QueueFloor says what the log has to keep for one queue; see [event.QueueCursor].
type QueueFloor struct {
	Queue  event.QueueID
	Tenant event.TenantID
	// Low and Seq: of the tenant's events only those with a version > Low are needed, and none up to Seq.
	Low, Seq int64
}

// QueueSummary is a queue with the figures of its saved state.
type QueueSummary struct {
	Queue  event.QueueID
	Tenant event.TenantID
	Name   string
	Cursor event.QueueCursor
	Dead   int64
}

// Queues keeps queues and their states.
type Queues interface {
	// PutQueue creates a queue, with a cursor before its Start, or changes one, which keeps its ID and Start; found by
	// tenant and name. Revisions are as in [Control]; maxQueues > 0 caps how many its tenant may have (KindConflict, code
	// "too_many_queues").
	PutQueue(ctx context.Context, q event.Queue, revision int64, maxQueues int) (event.Queue, error)
	Queue(ctx context.Context, tenant event.TenantID, name string) (event.Queue, error)
	// Queues lists a tenant's queues by name.
	Queues(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Queue, error)
	// DeleteQueue deletes a queue and notes its state for deletion.
	DeleteQueue(ctx context.Context, tenant event.TenantID, name string, revision int64) error
	// DeletedQueues returns queues whose state is still to be deleted; ForgetQueue ends it.
	DeletedQueues(ctx context.Context, limit int) ([]event.QueueID, error)
	ForgetQueue(ctx context.Context, id event.QueueID) error
	// DeleteQueueState deletes a small batch of a deleted queue's items and dead letters, and returns how many.
	DeleteQueueState(ctx context.Context, id event.QueueID, limit int) (int, error)

	// SaveQueue stores a record, or nothing with ErrFenced, or KindNotFound when the queue was deleted. Of one version a
	// drop is carried out before an upsert. Records are committed in groups.
	SaveQueue(ctx context.Context, r QueueRecord) error
	// LoadQueue returns a queue's cursor, how many dead letters it has, and its open items in version order (KindNotFound).
	LoadQueue(ctx context.Context, id event.QueueID) (c event.QueueCursor, dead int64, items []event.QueueItem, err error)
	// QueueDead returns a queue's dead letters with version > after, in version order.
	QueueDead(ctx context.Context, id event.QueueID, after int64, limit int) ([]event.QueueDead, error)
	// TrimQueueDead deletes a small batch of dead letters from before a time, and returns how many.
	TrimQueueDead(ctx context.Context, before time.Time, limit int) (int, error)
	// QueueSummaries lists the queues of all tenants by id.
	QueueSummaries(ctx context.Context, after event.QueueID, limit int) ([]QueueSummary, error)
	// QueueFloors returns the queues with the lowest floors, the lowest first.
	QueueFloors(ctx context.Context, limit int) ([]QueueFloor, error)
	// RaiseQueueFloors saves higher floors: Seq only, never lower than the saved one. Queues that are gone are left out.
	RaiseQueueFloors(ctx context.Context, floors []QueueFloor) error
}
