package queue

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
)

// queue is one queue in memory. Its lock is held for short work in memory only: reads of the log and saves go on beside
// it, at most one of each at a time.
type queue struct {
	m       *Manager
	name    name
	loaded  chan struct{} // closed once load has ended; what follows is set by then
	loadErr error
	id      event.QueueID

	// retrying is held while dead letters are given again, from their reading to the save.
	retrying sync.Mutex

	mu       sync.Mutex
	cfg      event.Queue
	selector *match.Selector
	gone     error // why it is used no more: errMoved, or that it was deleted
	items    *openItems
	cursor   int64 // every version up to it was looked at
	seq      int64 // up to which the tenant has no event after cursor
	lease    int64 // the last number given
	expired  int64
	used     time.Time

	page    page
	reading bool
	reads   int64 // begun so far
	endRead int64 // the number of the read that found the log's end, 0 when there may be more since
	stale   int64 // the number of the last read that the log has grown after
	watched bool  // by the tail
	waiters list.List
	timer   *time.Timer

	pending     *batch
	saving      bool
	savedCursor int64
}

// page is what was read ahead: the selected events after the cursor, which goes to end when all are taken.
type page struct {
	events   []*event.Event
	bytes    int64
	end, seq int64
}

func newQueue(m *Manager, n name) *queue {
	return &queue{m: m, name: n, loaded: make(chan struct{}), used: time.Now()}
}

func (q *queue) isLoaded() bool {
	select {
	case <-q.loaded:
		return q.loadErr == nil
	default:
		return false
	}
}

func (q *queue) load(ctx context.Context) error {
	cfg, err := q.m.cfg.Store.Queue(ctx, q.name.tenant, q.name.queue)
	if err != nil {
		return err
	}
	selector, err := match.CompileSelection(cfg.Select, q.m.cfg.Limits)
	if err != nil {
		return err
	}
	c, _, items, err := q.m.cfg.Store.LoadQueue(ctx, cfg.ID)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := clock()
	q.id, q.cfg, q.selector = cfg.ID, cfg, selector
	q.cursor, q.savedCursor, q.seq, q.lease, q.expired = c.Version, c.Version, c.Seq, c.Lease, c.Expired
	q.items = newOpenItems(cfg.Order == event.OrderKey)
	q.items.restore(items, now)
	return nil
}

// configure takes a changed configuration over, unless a newer one is in use.
func (q *queue) configure(cfg event.Queue, selector *match.Selector) {
	if q.gone != nil || cfg.Revision <= q.cfg.Revision {
		return
	}
	now := clock()
	if cfg.Order != q.cfg.Order {
		q.items = q.items.reorder(cfg.Order == event.OrderKey, now)
	}
	q.cfg, q.selector = cfg, selector
	q.setPage(page{})
	q.endRead = 0
	q.serve(now)
}

// setPage replaces what was read ahead.
func (q *queue) setPage(p page) {
	q.m.buffered.Add(p.bytes - q.page.bytes)
	q.page = p
}

// drop takes the queue out of memory. Everybody who waits is told why; what was changed and not yet saved is lost, and
// those who wait for it are told, too.
func (q *queue) drop(why error) {
	if q.gone != nil {
		return
	}
	q.gone = why
	q.m.forget(q)
	q.setPage(page{})
	q.unwatch()
	if q.timer != nil {
		q.timer.Stop()
	}
	for e := q.waiters.Front(); e != nil; e = q.waiters.Front() {
		w, _ := q.waiters.Remove(e).(*waiter) // nothing else is in there
		w.err, w.place = why, nil
		close(w.done)
	}
	if b := q.pending; b != nil {
		q.pending = nil
		b.err = why
		close(b.done)
	}
}

// batch is the changes that are saved together, in one step.
type batch struct {
	touched map[int64]struct{}         // versions of the items that changed
	dead    map[int64]*event.QueueDead // nil: no longer a dead letter
	done    chan struct{}              // closed when it is saved, or not
	err     error
}

// change returns the batch that takes the next changes.
func (q *queue) change() *batch {
	if q.pending == nil {
		q.pending = &batch{touched: map[int64]struct{}{}, done: make(chan struct{})}
	}
	return q.pending
}

func (q *queue) touch(version int64) { q.change().touched[version] = struct{}{} }

func (b *batch) setDead(version int64, d *event.QueueDead) {
	if b.dead == nil {
		b.dead = map[int64]*event.QueueDead{}
	}
	b.dead[version] = d
}

// saveCursor has the cursor saved, if it has moved.
func (q *queue) saveCursor() {
	if q.gone == nil && q.cursor != q.savedCursor {
		q.change()
		q.kick()
	}
}

// kick starts saving, unless that is under way.
func (q *queue) kick() {
	if q.pending != nil && !q.saving && q.gone == nil {
		q.saving = true
		q.m.work.Go(q.save)
	}
}

// save saves what has come together, batch after batch, until there is nothing more.
func (q *queue) save() {
	for {
		q.mu.Lock()
		b := q.pending
		if b == nil || q.gone != nil {
			q.saving = false
			q.mu.Unlock()
			return
		}
		q.pending = nil
		r := q.record(b)
		q.mu.Unlock()

		err := q.m.cfg.Store.SaveQueue(q.m.ctx, r)

		q.mu.Lock()
		if err == nil {
			q.savedCursor = r.Cursor.Version
		} else {
			q.failed(err)
			b.err = mapError(err)
		}
		q.mu.Unlock()
		close(b.done)
	}
}

// failed drops the queue after a save that had its whole effect or none: the store knows which.
func (q *queue) failed(err error) {
	if event.KindOf(err) == event.KindNotFound {
		q.drop(err)
		return
	}
	if !errors.Is(err, store.ErrFull) { // of which every caller is told
		q.m.cfg.Logger.Warn("cannot save a queue", slog.String("queue", q.name.queue), slog.Int64("tenant", int64(q.name.tenant)), slog.Any("error", err))
	}
	if b := q.pending; b != nil { // its callers did not begin again
		q.pending = nil
		b.err = mapError(err)
		close(b.done)
	}
	q.drop(errMoved)
}

// record is what a batch and the cursor are to be saved as.
func (q *queue) record(b *batch) store.QueueRecord {
	r := store.QueueRecord{Lease: q.m.cfg.Lease, Queue: q.id, Items: make([]event.QueueItem, 0, len(b.touched))}
	for v := range b.touched {
		if it := q.items.byVersion[v]; it != nil {
			r.Items = append(r.Items, it.QueueItem)
		} else {
			r.Drop = append(r.Drop, v)
		}
	}
	for v, d := range b.dead {
		if d != nil {
			r.Dead = append(r.Dead, *d)
		} else {
			r.DropDead = append(r.DropDead, v)
		}
	}
	r.Cursor = event.QueueCursor{
		Version: q.cursor, Seq: q.seq, Low: q.cursor, Floor: q.seq, Lease: q.lease, Expired: q.expired, Open: q.items.len(),
	}
	if first := q.items.oldest(); first != nil {
		r.Cursor.Low, r.Cursor.Floor, r.Cursor.Oldest = first.Version-1, first.Seq-1, first.Received
	}
	return r
}

// wait waits until a batch is saved.
func (b *batch) wait(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
