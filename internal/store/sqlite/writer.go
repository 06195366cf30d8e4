package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/store"
)

// Bounds of one commit. A request over them is still committed, alone.
const (
	maxCallers  = 4096
	maxRows     = 8192
	maxBytes    = 8 << 20
	queueLength = 4096
	// checkpointPages is how many 4 KiB pages the write-ahead log may hold before they are copied into the file (16 MB).
	checkpointPages = 4096
)

// work is one caller's write. apply runs inside the transaction of a group and may run twice: the group is rolled back
// and its works run one by one when one of them fails in a way of its own. An answer such as a conflict is kept in the
// work itself, which then has written nothing; an error from apply rolls back.
type work interface {
	apply(c *conn) error
	// size returns the rows and bytes to be written, about.
	size() (rows, bytes int)
	// lazy work may wait a commit delay for company.
	lazy() bool
}

// job is a work in the queue of a writer. Its caller owns it again once done has been received from.
type job struct {
	ctx  context.Context
	work work
	err  error
	done chan struct{}
}

// writer owns the only writing connection of one file.
type writer struct {
	name    string // "log", "state" or "bins", for metrics
	path    string
	delay   time.Duration
	queue   chan *job
	end     chan struct{} // closed when run has returned
	closing chan struct{} // closed by stop
	c       *conn
	group   []*job

	observe func(store.Commit)
	// begin runs inside each transaction before the works, finish after them.
	begin, finish func(c *conn) error
	// committed runs after the commit, before the callers are answered; aborted after a rollback.
	committed, aborted func()

	last  int         // callers of the last commit
	grown int         // pages that the write-ahead log may have grown by since it was last looked at
	full  atomic.Bool // the last write failed for want of space
}

func (w *writer) start() {
	w.queue = make(chan *job, queueLength)
	w.end, w.closing = make(chan struct{}), make(chan struct{})
	go w.run()
}

// stop ends the writer when its queue is empty. Nobody may call do any more.
func (w *writer) stop() error {
	close(w.closing)
	close(w.queue)
	<-w.end
	if w.c == nil {
		return nil
	}
	return w.c.close()
}

// do commits a work together with others' and returns its error.
func (w *writer) do(ctx context.Context, wk work) error {
	j := &job{ctx: ctx, work: wk, done: make(chan struct{}, 1)}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	defer close(w.end)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		first, ok := <-w.queue
		if !ok {
			return
		}
		w.collect(first, timer)
		w.commitGroup()
		clear(w.group)
		w.group = w.group[:0]
	}
}

// collect fills the group with what is queued. When the last commit had several callers and nobody is in a hurry, it
// first waits the commit delay, asleep: taking each caller in as it comes would wake this goroutine for every one.
func (w *writer) collect(first *job, timer *time.Timer) {
	rows, bytes := 0, 0
	hurry := w.last <= 1 || w.delay <= 0
	add := func(j *job) (more bool) {
		w.group = append(w.group, j)
		r, b := j.work.size()
		rows, bytes = rows+r, bytes+b
		hurry = hurry || !j.work.lazy()
		return len(w.group) < maxCallers && rows < maxRows && bytes < maxBytes
	}
	if more := add(first) && w.drain(add); !more || hurry {
		return
	}
	timer.Reset(w.delay)
	select {
	case <-timer.C:
	case <-w.closing:
	}
	w.drain(add)
}

// drain adds what is queued and reports whether there is room for more.
func (w *writer) drain(add func(*job) bool) bool {
	for {
		select {
		case j, ok := <-w.queue:
			if !ok {
				return false
			}
			if !add(j) {
				return false
			}
		default:
			return true
		}
	}
}

// commitGroup commits the group, or its works one by one when one of them breaks it, and answers the callers.
func (w *writer) commitGroup() {
	began := time.Now()
	live := w.group[:0]
	for _, j := range w.group {
		if j.err = j.ctx.Err(); j.err != nil {
			j.done <- struct{}{}
			continue
		}
		live = append(live, j)
	}
	w.group = live
	if len(live) == 0 {
		return
	}
	err := w.transact(live)
	if err != nil && !wholeGroup(err) && len(live) > 1 {
		for i := range live {
			live[i].err = w.transact(live[i : i+1])
			live[i].done <- struct{}{}
		}
		w.last = len(live)
		return
	}
	rows, bytes := 0, 0
	for _, j := range live {
		r, b := j.work.size()
		rows, bytes = rows+r, bytes+b
	}
	w.last = len(live)
	for _, j := range live {
		j.err = err
		j.done <- struct{}{}
	}
	if err == nil && w.observe != nil {
		w.observe(store.Commit{File: w.name, Callers: len(live), Rows: rows, Took: time.Since(began)})
	}
	if err == nil {
		w.checkpoint(rows, bytes)
	}
}

// transact runs works in one transaction. After an error nothing of it remains, unless the commit itself failed, when
// the file says what remains.
func (w *writer) transact(jobs []*job) error {
	err := w.try(jobs)
	if err == nil {
		w.full.Store(false)
		w.committed()
		return nil
	}
	w.full.Store(errors.Is(err, store.ErrFull))
	w.rollback()
	w.aborted()
	if errors.Is(err, errIO) || errors.Is(err, store.ErrCorrupt) {
		w.drop()
	}
	return err
}

func (w *writer) try(jobs []*job) error {
	if w.c == nil {
		c, err := openWriter(w.path)
		if err != nil {
			return err
		}
		w.c = c
	}
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := w.begin(w.c); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := j.work.apply(w.c); err != nil {
			return err
		}
	}
	if err := w.finish(w.c); err != nil {
		return err
	}
	return w.c.exec("COMMIT")
}

func (w *writer) rollback() {
	if w.c == nil || w.c.autocommit() {
		return
	}
	if err := w.c.exec("ROLLBACK"); err != nil {
		w.drop()
	}
}

// drop closes the connection; the next write opens another.
func (w *writer) drop() {
	if w.c != nil {
		_ = w.c.close() // it has failed already
		w.c = nil
	}
}

// checkpoint copies a write-ahead log that has grown long into the file. It runs between commits, on the writer's own
// connection, because only then can the log start from its beginning again. A failure shows at the next write. Looking
// at the log's length costs a few µs, so that is done only when enough was written to matter.
func (w *writer) checkpoint(rows, bytes int) {
	const pageSize, touched = 4096, 8 // a commit touches some pages, and a row may touch a page of an index
	w.grown += touched + rows + bytes/pageSize
	if w.grown < checkpointPages/8 {
		return
	}
	w.grown = 0
	n, err := w.c.pragmaInt("wal_checkpoint(NOOP)", 1)
	if err != nil || n < checkpointPages {
		return
	}
	if err := w.c.pragmas("wal_checkpoint(PASSIVE)"); err != nil && errors.Is(err, store.ErrFull) {
		w.full.Store(true)
	}
}

// simple is a rare write made of a function.
type simple struct {
	f    func(c *conn) error
	fail error
}

func (s *simple) apply(c *conn) error {
	s.fail = nil
	err := s.f(c)
	if answer, ok := errors.AsType[*answerError](err); ok {
		s.fail = answer.err
		return nil
	}
	return err
}

func (s *simple) size() (rows, bytes int) { return 1, 256 }
func (s *simple) lazy() bool              { return false }

// answerError marks a refusal, such as a conflict, of a function that has written nothing.
type answerError struct{ err error }

func (e *answerError) Error() string { return e.err.Error() }

// refuse makes the error with which the function of [writer.update] refuses before it has written anything.
func refuse(err error) error { return &answerError{err: err} }

// update runs a rare write.
func (w *writer) update(ctx context.Context, f func(c *conn) error) error {
	s := &simple{f: f}
	if err := w.do(ctx, s); err != nil {
		return err
	}
	return s.fail
}

// grouped is a frequent write made of a function.
type grouped struct{ simple }

func (*grouped) lazy() bool { return true }

// join runs a frequent write, which may wait for others.
func (w *writer) join(ctx context.Context, f func(c *conn) error) error {
	g := &grouped{simple{f: f}}
	if err := w.do(ctx, g); err != nil {
		return err
	}
	return g.fail
}

// probe writes about as much as a small batch and takes it away again, to learn whether there is space.
func (w *writer) probe(ctx context.Context) error {
	err := w.update(ctx, func(c *conn) error { return c.exec("INSERT INTO probe VALUES (zeroblob(65536))") })
	if err != nil {
		return fmt.Errorf("no write is possible: %w", err)
	}
	return w.update(ctx, func(c *conn) error { return c.exec("DELETE FROM probe") })
}
