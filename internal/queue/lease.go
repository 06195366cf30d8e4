package queue

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// waiter is a lease that has not got its events yet.
type waiter struct {
	ask   event.LeaseAsk
	once  bool  // it does not wait for events to come
	reads int64 // of the queue, begun when it came: only a later one can tell it that there is nothing
	from  int64 // the queue's cursor when it came

	place *list.Element // nil: it was answered
	done  chan struct{} // closed when it was
	given []lent
	// handed are those given whose events are at hand.
	handed []lent
	bytes  int
	batch  *batch
	err    error
}

// lent is an event that was given to a waiter.
type lent struct {
	version, lease int64
	deliveries     int
	until          time.Time
	ev             *event.Event // nil: to be read
}

// Lease lends events of a queue, at most ask.Max of them and about 4 MiB; none when none is due within ask.Wait.
// When the leases are returned they are durable. admit is asked when the call begins to wait; nil lets it. Errors:
// KindNotFound, KindUnavailable, KindFull, what admit returns, and ctx's own, when the events are given back at once.
func (m *Manager) Lease(ctx context.Context, tenant event.TenantID, queueName string, ask event.LeaseAsk, admit Admit) ([]event.Leased, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.end()
	deadline := time.Now().Add(ask.Wait)
	for range reopenings {
		w := &waiter{ask: ask, once: ask.Wait <= 0, done: make(chan struct{})}
		q, err := m.use(ctx, tenant, queueName, func(q *queue, now time.Time) { q.join(w, now) })
		if err != nil {
			return nil, mapError(err)
		}
		list, err := q.await(ctx, w, time.Until(deadline), admit)
		if err == nil && len(list) == 0 && len(w.given) > 0 {
			err = errMoved // all that it was given is gone from the log
		}
		if !errors.Is(err, errMoved) {
			return list, mapError(err)
		}
		ask.Wait = max(0, time.Until(deadline))
	}
	return nil, errMoved
}

// join takes a place among the waiters and serves them.
func (q *queue) join(w *waiter, now time.Time) {
	w.reads, w.from = q.reads, q.cursor
	w.once = w.once || q.m.draining.Load() // under the lock: Drain comes after it, or was before
	if w.ask.Visibility <= 0 {
		w.ask.Visibility = q.cfg.Visibility
	}
	w.place = q.waiters.PushBack(w)
	q.serve(now)
}

// await waits until the waiter was answered or its time is over, and returns its leases once they are saved.
func (q *queue) await(ctx context.Context, w *waiter, wait time.Duration, admit Admit) ([]event.Leased, error) {
	select {
	case <-w.done:
		return q.finish(ctx, w)
	default:
	}
	var refused error
	if !w.once && admit != nil {
		release, err := admit()
		if err != nil {
			refused = err
			q.hurry(w)
		} else {
			defer release()
		}
	}
	var timeout <-chan time.Time
	if !w.once && refused == nil {
		t := time.NewTimer(wait)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-w.done:
	case <-timeout:
		q.leave(w)
	case <-ctx.Done():
		q.leave(w)
	}
	if w.err == nil && len(w.given) == 0 && refused != nil {
		return nil, refused
	}
	return q.finish(ctx, w)
}

// hurry makes a waiter one that does not wait for events to come.
func (q *queue) hurry(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place != nil {
		w.once = true
		q.serve(clock())
	}
}

// leave takes a waiter out, unless it was answered.
func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place != nil {
		q.waiters.Remove(w.place)
		w.place = nil
		close(w.done)
	}
}

// dismiss answers, with nothing, the waiters that are to go.
func (q *queue) dismiss(goes func(*waiter) bool) {
	for e := q.waiters.Front(); e != nil; {
		next := e.Next()
		if w, _ := e.Value.(*waiter); goes(w) {
			q.waiters.Remove(e)
			w.place = nil
			close(w.done)
		}
		e = next
	}
}

// serve gives the waiters what is due, in the order in which they came; while there is nothing it sees to more.
func (q *queue) serve(now time.Time) {
	if q.gone != nil {
		return
	}
	q.items.settle(now)
	for e := q.waiters.Front(); e != nil; e = q.waiters.Front() {
		w, _ := e.Value.(*waiter) // nothing else is in there
		if q.give(w, now); len(w.given) == 0 {
			break
		}
		q.waiters.Remove(e)
		w.place, w.batch = nil, q.change()
		close(w.done)
	}
	if q.waiters.Len() > 0 {
		q.seeToMore(now)
	} else if q.page.bytes > 0 && q.m.buffered.Load() > readAhead {
		q.setPage(page{})
	}
	q.kick()
}

// give lends a waiter what is due: first what was given before, then what was read.
func (q *queue) give(w *waiter, now time.Time) {
	for len(w.given) < w.ask.Max && w.bytes < leaseBytes {
		if it := q.items.due.first(); it != nil {
			if most := q.cfg.MaxDeliveries; most > 0 && it.Deliveries >= most {
				q.bury(it, now)
				continue
			}
			q.lend(w, it, nil, now)
			continue
		}
		if len(q.page.events) == 0 || q.items.len() >= q.cfg.MaxOpen {
			return
		}
		ev := q.page.events[0]
		q.page.events[0] = nil
		q.page.events = q.page.events[1:]
		q.cursor, q.seq = ev.Version, ev.Seq
		if len(q.page.events) == 0 {
			q.cursor, q.seq = q.page.end, q.page.seq
			q.setPage(page{})
		}
		it := q.items.add(event.QueueItem{
			Version: ev.Version, Seq: ev.Seq, Key: hashKey(ev.OrderingKey()), Until: now, Received: ev.Received,
		}, now)
		q.touch(it.Version)
		if it.in == &q.items.due {
			q.lend(w, it, ev, now)
		}
	}
}

func (q *queue) lend(w *waiter, it *item, ev *event.Event, now time.Time) {
	q.lease++
	q.items.lend(it, q.lease, w.ask.By, now.Add(w.ask.Visibility), now)
	q.touch(it.Version)
	w.given = append(w.given, lent{version: it.Version, lease: it.Lease, deliveries: it.Deliveries, until: it.Until, ev: ev})
	if ev != nil {
		w.bytes += ev.Size()
	}
}

// bury makes an item a dead letter.
func (q *queue) bury(it *item, now time.Time) {
	q.items.remove(it, now)
	q.touch(it.Version)
	q.change().setDead(it.Version, &event.QueueDead{
		Version: it.Version, Seq: it.Seq, Key: it.Key, Deliveries: it.Deliveries, Received: it.Received, At: now,
	})
}

// finish reads the events that a waiter was given and that are not at hand, and waits until its leases are saved. What
// cannot be handed over is given back.
func (q *queue) finish(ctx context.Context, w *waiter) ([]event.Leased, error) {
	if w.err != nil {
		return nil, w.err
	}
	err := ctx.Err()
	if err == nil {
		err = q.fill(ctx, w)
	}
	if err == nil {
		err = w.batch.wait(ctx)
	}
	if err != nil {
		q.giveBack(w.given)
		return nil, mapError(err)
	}
	out := make([]event.Leased, len(w.handed))
	for i := range w.handed {
		g := &w.handed[i]
		out[i] = event.Leased{
			Receipt: receipt{version: g.version, lease: g.lease}.encode(q.id), Event: g.ev, Deliveries: g.deliveries, Expires: g.until,
		}
	}
	return out, nil
}

// fillChunk is how many events one read brings that were given before: they are read without regard to their size.
const fillChunk = 64

// fill reads the events that are not at hand into w.handed. Those that retention deleted are closed, those over the size of a lease
// given back.
func (q *queue) fill(ctx context.Context, w *waiter) error {
	kept := w.given[:0:0]
	var lost []lent
	for i := 0; i < len(w.given); i++ {
		if w.given[i].ev != nil {
			kept = append(kept, w.given[i])
			continue
		}
		if w.bytes >= leaseBytes && len(kept) > 0 {
			q.giveBack(w.given[i:])
			break
		}
		// Those that were given before are the first: due items come before new ones.
		end := i
		var versions []int64
		for ; end < len(w.given) && w.given[end].ev == nil && len(versions) < fillChunk; end++ {
			versions = append(versions, w.given[end].version)
		}
		events, err := q.m.cfg.Store.Events(ctx, q.name.tenant, versions)
		if err != nil {
			return err
		}
		at := map[int64]*event.Event{}
		for k := range events {
			at[events[k].Version] = &events[k]
			w.bytes += events[k].Size()
		}
		for ; i < end; i++ {
			g := w.given[i]
			if g.ev = at[g.version]; g.ev == nil {
				lost = append(lost, g)
				continue
			}
			kept = append(kept, g)
		}
		i--
	}
	w.handed = kept
	q.expire(lost)
	return nil
}

// giveBack ends leases that were not handed over as if they had not been made.
func (q *queue) giveBack(list []lent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil || len(list) == 0 {
		return
	}
	now := clock()
	for i := range list {
		if it := q.items.byVersion[list[i].version]; it != nil && it.Lease == list[i].lease {
			it.Deliveries--
			q.items.put(it, now, now)
			q.touch(it.Version)
		}
	}
	q.serve(now)
}

// expire closes items whose events retention has deleted.
func (q *queue) expire(list []lent) {
	if len(list) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil {
		return
	}
	now := clock()
	for i := range list {
		if it := q.items.byVersion[list[i].version]; it != nil && it.Lease == list[i].lease {
			q.items.remove(it, now)
			q.touch(it.Version)
			q.expired++
		}
	}
	q.logExpired(int64(len(list)))
	q.serve(now)
}

func (q *queue) logExpired(n int64) {
	q.m.cfg.Logger.Warn("events expired before a queue was done with them",
		slog.String("queue", q.name.queue), slog.Int64("tenant", int64(q.name.tenant)), slog.Int64("events", n))
}
