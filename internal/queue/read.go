package queue

import (
	"time"

	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
)

// seeToMore is called while waiters have nothing: it reads on, or, at the log's end and while all that may be open is,
// answers those that do not wait, and has the others woken.
func (q *queue) seeToMore(now time.Time) {
	full := q.items.len() >= q.cfg.MaxOpen
	q.dismiss(func(w *waiter) bool { return w.once && (full || q.endRead > w.reads || q.cursor-w.from >= maxScan) })
	last := q.waiters.Back()
	if last == nil {
		return
	}
	if next := q.items.timed.first(); next != nil {
		q.wakeAfter(next.Until.Sub(now))
	}
	if full || q.reading {
		return
	}
	if w, _ := last.Value.(*waiter); q.endRead > w.reads { // nothing is else in there
		q.watch()
		return
	}
	q.reading = true
	q.reads++
	number, after, selector, revision := q.reads, q.cursor, q.selector, q.cfg.Revision
	q.m.work.Go(func() { q.read(number, after, selector, revision) })
}

// wakeAfter serves the waiters again after some time.
func (q *queue) wakeAfter(d time.Duration) {
	if q.timer != nil {
		q.timer.Reset(d)
		return
	}
	q.timer = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.waiters.Len() > 0 {
			q.serve(clock())
		}
	})
}

// read reads a page of the log and serves the waiters with it.
func (q *queue) read(number, after int64, selector *match.Selector, revision int64) {
	p, err := q.m.cfg.Store.ReadTenant(q.m.ctx, q.name.tenant, after, readEvents, readBytes)
	next := page{end: after, seq: p.Through}
	for i := range p.Events {
		ev := &p.Events[i]
		next.end = ev.Version
		if selector.Matches(ev) {
			next.events = append(next.events, ev)
			next.bytes += int64(ev.Size())
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reading = false
	if q.gone != nil {
		return
	}
	if err != nil {
		err = mapError(err)
		q.dismiss(func(w *waiter) bool {
			w.err = err
			return true
		})
		return
	}
	if q.cfg.Revision != revision { // it was selected by what the queue was
		q.serve(clock())
		return
	}
	q.absorb(number, after, &p, next)
	q.serve(clock())
}

// absorb takes over what was read. The cursor passes what was not selected; what was is passed when it is taken.
func (q *queue) absorb(number, after int64, p *store.Page, next page) {
	if gap := p.Oldest - 1 - after; gap > 0 { // retention deleted what the queue had not looked at
		q.expired += gap
		q.cursor = p.Oldest - 1
		next.end = max(next.end, q.cursor)
		q.logExpired(gap)
	}
	if n := len(p.Events); number > q.stale && (n == 0 || p.Events[n-1].Version >= p.Head) {
		q.endRead = number
	}
	if len(next.events) > 0 {
		q.setPage(next)
	} else {
		q.cursor, q.seq = next.end, max(q.seq, next.seq)
	}
	if q.cursor-q.savedCursor >= cursorEvery {
		q.change()
	}
}

// watch has the queue woken when the tenant's log grows.
func (q *queue) watch() {
	if !q.watched {
		q.watched = true
		q.m.tail.add(q, q.seq)
	}
}

func (q *queue) unwatch() {
	if q.watched {
		q.watched = false
		q.m.tail.remove(q)
	}
}

// grown hears that the tenant's log has grown.
func (q *queue) grown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endRead, q.stale = 0, q.reads
	if q.waiters.Len() == 0 {
		q.unwatch()
		return
	}
	q.serve(clock())
}
