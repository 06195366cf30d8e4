package client

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"time"
)

// maxReceipts is how many receipts one request may name.
const maxReceipts = 1000

func (q *Queue) tag(s string) { q.ETag = s }

// QueueHandle is one queue of a tenant, whether it exists or not. It is safe for concurrent use.
type QueueHandle struct {
	c            *Client
	tenant, name string
}

// Queue returns a handle of a queue. Nothing is sent.
func (c *Client) Queue(tenant, name string) *QueueHandle { return &QueueHandle{c, tenant, name} }

// Queues lists a tenant's queues by name, without their states unless [WithState] is given.
func (c *Client) Queues(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[Queue, error] {
	return list[Queue](ctx, c, path("tenants", tenant, "queues"), opts)
}

func (q *QueueHandle) path(more ...string) string {
	return path(append([]string{"tenants", q.tenant, "queues", q.name}, more...)...)
}

// Put makes the queue, or replaces its configuration; with the ETag of one that was read, only that version; with [OnlyNew]
// it does not replace. The name
// within the configuration is not looked at.
func (q *QueueHandle) Put(ctx context.Context, configuration Queue, opts ...CallOption) (*Queue, error) {
	k := newCall(http.MethodPut, q.path(), opts)
	k.set("If-Match", configuration.ETag)
	k.repeat = k.repeat || k.header.Get("If-Match") == "" && k.header.Get("If-None-Match") == "" // twice is as good as once
	configuration.Name = q.name
	return resource[Queue](ctx, q.c, k, configuration)
}

// Get reads the queue with its state.
func (q *QueueHandle) Get(ctx context.Context) (*Queue, error) {
	return resource[Queue](ctx, q.c, newCall(http.MethodGet, q.path(), nil), nil)
}

// Delete deletes the queue. Its events stay on the log.
func (q *QueueHandle) Delete(ctx context.Context, opts ...CallOption) error {
	_, err := q.c.do(ctx, newCall(http.MethodDelete, q.path(), opts), nil, nil)
	return err
}

// Lease borrows events, after waiting for one if r says so; none when there was none by then. Each must be settled with
// [QueueHandle.Ack] or [QueueHandle.Nack], or is given to another worker when its lease ends. A lease is not repeated
// when the connection breaks: its events come again when the leases that nobody got have ended.
//
// [QueueHandle.Work] does all of this by itself.
func (q *QueueHandle) Lease(ctx context.Context, r LeaseRequest) ([]LeasedEvent, error) {
	k := newCall(http.MethodPost, q.path("lease"), nil)
	k.wait = time.Duration(r.Wait)
	var out LeasedEvents
	_, err := q.c.do(ctx, k, r, &out)
	return out.Events, err
}

// Ack says that events are done. The answer names the receipts that were not good any more; one that was sent twice,
// because the first answer was lost, is among them.
func (q *QueueHandle) Ack(ctx context.Context, receipts ...string) (*Settled, error) {
	return q.settle(ctx, "ack", receipts, func(part []string) any { return AckRequest{Receipts: part} })
}

// Nack gives events back, to be leased again after a delay of at most 12 h; see [QueueHandle.Ack].
func (q *QueueHandle) Nack(ctx context.Context, delay time.Duration, receipts ...string) (*Settled, error) {
	return q.settle(ctx, "nack", receipts, func(part []string) any {
		return NackRequest{Receipts: part, Delay: Duration(delay)}
	})
}

func (q *QueueHandle) settle(ctx context.Context, how string, receipts []string, request func([]string) any) (*Settled, error) {
	all := &Settled{Errors: []ReceiptError{}}
	for part := range slices.Chunk(receipts, maxReceipts) {
		var out Settled
		k := newCall(http.MethodPost, q.path(how), nil)
		k.repeat = true
		if _, err := q.c.do(ctx, k, request(part), &out); err != nil {
			return all, err
		}
		all.Done += out.Done
		all.Errors = append(all.Errors, out.Errors...)
	}
	return all, nil
}

// Extend lets leases hold for so long from now; 0 for what the queue says.
func (q *QueueHandle) Extend(ctx context.Context, visibility time.Duration, receipts ...string) (*Extended, error) {
	all := &Extended{Errors: []ReceiptError{}}
	for part := range slices.Chunk(receipts, maxReceipts) {
		var out Extended
		k := newCall(http.MethodPost, q.path("extend"), nil)
		k.repeat = true
		if _, err := q.c.do(ctx, k, ExtendRequest{Receipts: part, Visibility: Duration(visibility)}, &out); err != nil {
			return all, err
		}
		all.Done += out.Done
		all.Errors = append(all.Errors, out.Errors...)
		if all.Expires.IsZero() || out.Expires.Before(all.Expires) {
			all.Expires = out.Expires
		}
	}
	return all, nil
}

// Leases lists the events whose leases hold, in version order, with who has them.
func (q *QueueHandle) Leases(ctx context.Context, opts ...ListOption) iter.Seq2[QueueLease, error] {
	return list[QueueLease](ctx, q.c, q.path("leases"), opts)
}

// Dead lists the queue's dead letters.
func (q *QueueHandle) Dead(ctx context.Context, opts ...ListOption) iter.Seq2[QueueDeadLetter, error] {
	return list[QueueDeadLetter](ctx, q.c, q.path("dead"), opts)
}

// RetryDead gives dead letters of these versions again, or, without any, all; it returns how many.
func (q *QueueHandle) RetryDead(ctx context.Context, versions ...int64) (int, error) {
	var out DeadRetried
	_, err := q.c.do(ctx, newCall(http.MethodPost, q.path("dead", "retry"), nil), DeadRetry{Versions: versions}, &out)
	return out.Retried, err
}
