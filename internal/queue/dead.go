package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// DeadLetters returns a queue's dead letters with version > after, in version order, at most limit.
func (m *Manager) DeadLetters(ctx context.Context, q *event.Queue, after int64, limit int) ([]event.QueueDead, error) {
	return m.cfg.Store.QueueDead(ctx, q.ID, after, limit)
}

// RetryDead makes dead letters due again, as if they had never been leased: those of the versions, or with none the
// oldest; at most 1,000, and no more than may be open. It returns how many; the others stay dead letters. Those whose
// events retention has deleted go. Errors are as of [Manager.Ack].
func (m *Manager) RetryDead(ctx context.Context, tenant event.TenantID, queueName string, versions []int64) (int, error) {
	if err := m.begin(); err != nil {
		return 0, err
	}
	defer m.end()
	for range reopenings {
		q, err := m.open(ctx, tenant, queueName)
		if err != nil {
			return 0, err
		}
		n, err := q.retry(ctx, versions)
		if !errors.Is(err, errMoved) {
			return n, mapError(err)
		}
	}
	return 0, errMoved
}

// retry is RetryDead of one queue. Only one runs at a time, until what it did is saved: a dead letter that was read is
// not given again by another one.
func (q *queue) retry(ctx context.Context, versions []int64) (int, error) {
	q.retrying.Lock()
	defer q.retrying.Unlock()
	letters, err := q.letters(ctx, versions)
	if err != nil {
		return 0, err
	}
	there := map[int64]bool{}
	list := make([]int64, len(letters))
	for i := range letters {
		list[i] = letters[i].Version
	}
	events, err := q.m.cfg.Store.Events(ctx, q.name.tenant, list)
	if err != nil {
		return 0, err
	}
	for i := range events {
		there[events[i].Version] = true
	}
	n := 0
	var b *batch
	err = q.do(func(q *queue, now time.Time) {
		n, b = q.revive(letters, there, now)
		q.serve(now)
	})
	if err == nil {
		// Not with ctx: the next retry must not read what is about to change.
		err = b.wait(context.WithoutCancel(ctx))
	}
	return n, err
}

// letters reads the dead letters that are to be given again.
func (q *queue) letters(ctx context.Context, versions []int64) ([]event.QueueDead, error) {
	if len(versions) == 0 {
		return q.m.cfg.Store.QueueDead(ctx, q.id, 0, event.MaxLease)
	}
	versions = slices.Clone(versions)
	slices.Sort(versions)
	var out []event.QueueDead
	for _, v := range slices.Compact(versions) {
		list, err := q.m.cfg.Store.QueueDead(ctx, q.id, v-1, 1)
		if err != nil {
			return nil, err
		}
		if len(list) == 1 && list[0].Version == v {
			out = append(out, list[0])
		}
	}
	return out, nil
}

// revive makes open items of dead letters.
func (q *queue) revive(letters []event.QueueDead, there map[int64]bool, now time.Time) (n int, b *batch) {
	for i := range letters {
		d := &letters[i]
		if !there[d.Version] {
			q.change().setDead(d.Version, nil)
			q.expired++
			b = q.change()
			continue
		}
		if q.items.len() >= q.cfg.MaxOpen {
			break
		}
		q.items.add(event.QueueItem{Version: d.Version, Seq: d.Seq, Key: d.Key, Until: now, Received: d.Received}, now)
		q.touch(d.Version)
		q.change().setDead(d.Version, nil)
		b = q.change()
		n++
	}
	return n, b
}
