package queue

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Codes of receipts that do nothing.
const (
	CodeLeaseLost      = "lease_lost"      // the lease has ended or was settled
	CodeInvalidReceipt = "invalid_receipt" // not one of the queue's
)

// Ack closes the events of receipts. It returns the receipts that did nothing; the others are done, durably. Errors:
// KindNotFound, KindUnavailable, KindFull; after another error it is not known what was done.
func (m *Manager) Ack(ctx context.Context, tenant event.TenantID, queueName string, receipts []string) ([]event.ReceiptError, error) {
	return m.settle(ctx, tenant, queueName, receipts, func(q *queue, it *item, now time.Time) { q.items.remove(it, now) })
}

// Nack gives the events of receipts back; they are due again after delay. Results are as of [Manager.Ack].
func (m *Manager) Nack(ctx context.Context, tenant event.TenantID, queueName string, receipts []string, delay time.Duration) ([]event.ReceiptError, error) {
	return m.settle(ctx, tenant, queueName, receipts, func(q *queue, it *item, now time.Time) { q.items.put(it, now.Add(delay), now) })
}

// Extend lets the leases of receipts hold for visibility from now, 0: for the queue's; it returns when they end. Results
// are as of [Manager.Ack].
func (m *Manager) Extend(ctx context.Context, tenant event.TenantID, queueName string, receipts []string, visibility time.Duration) (time.Time, []event.ReceiptError, error) {
	var until time.Time
	bad, err := m.settle(ctx, tenant, queueName, receipts, func(q *queue, it *item, now time.Time) {
		q.items.extend(it, until, now)
	}, func(q *queue, now time.Time) {
		if visibility <= 0 {
			visibility = q.cfg.Visibility
		}
		until = now.Add(visibility)
	})
	return until, bad, err
}

// settle carries a change out on the items whose leases the receipts name, and waits until it is saved.
func (m *Manager) settle(ctx context.Context, tenant event.TenantID, queueName string, receipts []string,
	change func(q *queue, it *item, now time.Time), before ...func(q *queue, now time.Time),
) ([]event.ReceiptError, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.end()
	var bad []event.ReceiptError
	var b *batch
	_, err := m.use(ctx, tenant, queueName, func(q *queue, now time.Time) {
		q.items.settle(now)
		for _, f := range before {
			f(q, now)
		}
		for i, s := range receipts {
			r, ok := parseReceipt(q.id, s)
			if !ok {
				bad = append(bad, event.ReceiptError{Index: i, Code: CodeInvalidReceipt})
				continue
			}
			it := q.items.byVersion[r.version]
			if it == nil || it.Lease != r.lease {
				bad = append(bad, event.ReceiptError{Index: i, Code: CodeLeaseLost})
				continue
			}
			change(q, it, now)
			q.touch(r.version)
			b = q.change()
		}
		q.serve(now)
	})
	if err == nil {
		err = b.wait(ctx)
	}
	if err != nil {
		return nil, mapError(err)
	}
	return bad, nil
}
