package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// maxHeads bounds the heads of tenants that the writer keeps in memory between commits.
const maxHeads = 100_000

// logFile is log.db: its writer with what only the writer touches, its readers and its tail.
type logFile struct {
	path  string
	w     *writer
	reads *pool
	tail  tail

	// Owned by the writer's goroutine: the totals row and heads as they are on disk plus this transaction's changes.
	loaded  bool
	dirty   bool
	totals  totals
	heads   map[event.TenantID]*head
	changed []event.TenantID
	pending []pendingRow // events of this transaction that are still to be inserted, at most insertRows
	fresh   []tailEntry  // appended by this transaction
	trimmed int64        // the highest seq that a trim of this transaction deleted
	cleared bool         // a tenant's events were deleted

	hintMu sync.Mutex
	hint   chan struct{}
}

type totals struct{ lastSeq, events, bytes int64 }

// head is a tenant's place on the log. Oldest is head+1 when the log holds none of its events.
type head struct {
	oldest, head int64
	dirty        bool
}

func openLog(path string, readers int, delay time.Duration, tailBytes int) (*logFile, error) {
	l := &logFile{path: path, reads: newPool(path, readers), heads: map[event.TenantID]*head{}, hint: make(chan struct{})}
	l.tail.max = tailBytes
	c, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	l.w = &writer{name: "log", path: path, delay: delay, c: c, begin: l.begin, finish: l.finish, committed: l.committed, aborted: l.aborted}
	if err := l.begin(c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	l.tail.reset(l.totals.lastSeq)
	l.w.start()
	return l, nil
}

func (l *logFile) close() error {
	err := errors.Join(l.w.stop(), l.reads.close())
	l.wake()
	return err
}

func (l *logFile) begin(c *conn) error {
	if l.loaded {
		return nil
	}
	err := c.query("SELECT last_seq, events, bytes FROM totals", func(s *stmt) error {
		l.totals = totals{lastSeq: s.int(0), events: s.int(1), bytes: s.int(2)}
		l.loaded = true
		return nil
	})
	if err == nil && !l.loaded {
		err = fmt.Errorf("%s has no totals: %w", l.path, store.ErrCorrupt)
	}
	return err
}

func (l *logFile) finish(c *conn) error {
	if err := l.flush(c); err != nil {
		return err
	}
	if !l.dirty {
		return nil
	}
	for _, t := range l.changed {
		h := l.heads[t]
		err := c.exec("INSERT INTO heads VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET oldest = ?2, head = ?3", int64(t), h.oldest, h.head)
		if err != nil {
			return err
		}
		h.dirty = false
	}
	return c.exec("UPDATE totals SET last_seq = ?, events = ?, bytes = ?", l.totals.lastSeq, l.totals.events, l.totals.bytes)
}

func (l *logFile) committed() {
	if l.cleared {
		l.tail.reset(l.totals.lastSeq)
	} else if l.trimmed > 0 {
		l.tail.trim(l.trimmed)
	}
	if len(l.fresh) > 0 {
		if !l.cleared {
			l.tail.add(l.fresh)
		}
		l.wake()
	}
	if len(l.heads) > maxHeads {
		clear(l.heads)
	}
	l.forget()
}

// aborted throws away what the transaction changed in memory: the next one loads it from the file.
func (l *logFile) aborted() {
	l.loaded = false
	clear(l.heads)
	l.forget()
}

func (l *logFile) forget() {
	l.dirty, l.cleared, l.trimmed = false, false, 0
	l.changed = l.changed[:0]
	clear(l.pending)
	l.pending = l.pending[:0]
	clear(l.fresh)
	l.fresh = l.fresh[:0]
}

func (l *logFile) wake() {
	l.hintMu.Lock()
	close(l.hint)
	l.hint = make(chan struct{})
	l.hintMu.Unlock()
}

// update runs a rare write after the events that came before it in its group.
func (l *logFile) update(ctx context.Context, f func(c *conn) error) error {
	return l.w.update(ctx, func(c *conn) error {
		if err := l.flush(c); err != nil {
			return err
		}
		return f(c)
	})
}

// headOf returns a tenant's head for change by this transaction.
func (l *logFile) headOf(c *conn, t event.TenantID) (*head, error) {
	h := l.heads[t]
	if h == nil {
		h = &head{oldest: 1}
		err := c.query("SELECT oldest, head FROM heads WHERE tenant = ?", func(s *stmt) error {
			h.oldest, h.head = s.int(0), s.int(1)
			return nil
		}, int64(t))
		if err != nil {
			return nil, err
		}
		l.heads[t] = h
	}
	return h, nil
}

// touch notes that a head was changed.
func (l *logFile) touch(t event.TenantID, h *head) {
	l.dirty = true
	if !h.dirty {
		h.dirty = true
		l.changed = append(l.changed, t)
	}
}

// rowBytes is what an event costs on disk, about: its body, its id twice, and its numbers.
func rowBytes(body int) int64 { return int64(body + 100) }

// appendWork is one AppendRequest on its way through the writer.
type appendWork struct {
	log      *logFile
	now      int64
	req      store.AppendRequest
	ids      []string // the caller may leave early and use its slice again
	bodies   [][]byte // one packed record an event, parts of one slab
	bytes    int
	receipts []event.Receipt
	fail     error
}

func (a *appendWork) size() (rows, bytes int) { return len(a.bodies), a.bytes }
func (a *appendWork) lazy() bool              { return true }

// pack encodes the events in the caller's goroutine, before the single writer's turn.
func (a *appendWork) pack() error {
	size := 0
	for i := range a.req.Events {
		e := &a.req.Events[i]
		size += attributesSize(e) + len(e.Data) + 24
		if e.Origin != nil {
			size += e.Origin.Size() + 5*binary.MaxVarintLen64
		}
	}
	slab := make([]byte, 0, size)
	a.bodies = make([][]byte, len(a.req.Events))
	a.ids = make([]string, len(a.req.Events))
	for i := range a.req.Events {
		start := len(slab)
		var err error
		if slab, err = packEvent(slab, &a.req.Events[i]); err != nil {
			return err
		}
		a.bodies[i] = slab[start:len(slab):len(slab)]
		a.ids[i] = a.req.Events[i].ID
	}
	a.bytes = len(slab)
	a.req.Events = nil
	return nil
}

func (a *appendWork) apply(c *conn) error {
	a.fail = nil
	a.receipts = make([]event.Receipt, 0, len(a.ids))
	if a.req.IdempotencyKey != "" {
		found, err := a.repeated(c)
		if err != nil || found {
			return err
		}
	}
	for i := range a.ids {
		a.log.pending = append(a.log.pending, pendingRow{a: a, i: i})
		if len(a.log.pending) == insertRows {
			if err := a.log.flush(c); err != nil {
				return err
			}
		}
	}
	if a.req.IdempotencyKey == "" {
		return nil
	}
	if err := a.log.flush(c); err != nil { // the answer is complete only then
		return err
	}
	a.log.dirty = true
	return c.exec("INSERT INTO publishes VALUES (?, ?, ?, ?, ?)", int64(a.req.Tenant), a.req.IdempotencyKey,
		a.req.Fingerprint[:], a.now, packReceipts(a.receipts))
}

// repeated answers a request whose idempotency key is known.
func (a *appendWork) repeated(c *conn) (found bool, err error) {
	var fingerprint, receipts []byte
	err = c.query("SELECT fingerprint, receipts FROM publishes WHERE tenant = ? AND key = ?", func(s *stmt) error {
		fingerprint, receipts, found = s.blob(0), s.blob(1), true
		return nil
	}, int64(a.req.Tenant), a.req.IdempotencyKey)
	if err != nil || !found {
		return false, err
	}
	if !bytes.Equal(fingerprint, a.req.Fingerprint[:]) {
		a.fail = event.Errorf(event.KindConflict, "idempotency_key_reused", "the idempotency key was used with another request")
		return true, nil
	}
	if a.receipts, err = unpackReceipts(receipts); err != nil {
		return true, fmt.Errorf("%s: a saved answer: %w: %w", a.log.path, err, store.ErrCorrupt)
	}
	return true, nil
}

// insertRows is how many events one INSERT takes: by eight at once a row costs a fifth less than alone, and more rows
// gain nothing.
const insertRows = 8

var (
	insertOne  = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)"
	insertMany = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?, ?, ?)", insertRows-1)
)

// pendingRow is the i-th event of a work.
type pendingRow struct {
	a *appendWork
	i int
}

// flush inserts the pending events, all with one statement when they are enough and none of them is a duplicate.
func (l *logFile) flush(c *conn) error {
	defer func() {
		clear(l.pending)
		l.pending = l.pending[:0]
	}()
	if len(l.pending) == insertRows {
		done, err := l.insertMany(c)
		if err != nil || done {
			return err
		}
	}
	for _, r := range l.pending {
		if err := l.insertOne(c, r); err != nil {
			return err
		}
	}
	return nil
}

// bind fills one row's parameters, from the given one on.
func (r pendingRow) bind(s *stmt, at int, seq, version int64) {
	s.bindInt(at, seq)
	s.bindInt(at+1, int64(r.a.req.Tenant))
	s.bindInt(at+2, version)
	s.bindInt(at+3, r.a.now)
	s.bindID(at+4, r.a.ids[r.i])
	s.bindBlob(at+5, r.a.bodies[r.i])
}

// insertMany inserts insertRows events, or none and returns false when one of them is a duplicate.
func (l *logFile) insertMany(c *conn) (done bool, err error) {
	insert, err := c.prep(insertMany)
	if err != nil {
		return false, err
	}
	var heads [insertRows]*head
	for i, r := range l.pending {
		if heads[i], err = l.headOf(c, r.a.req.Tenant); err != nil {
			return false, err
		}
		heads[i].head++
		r.bind(insert, 6*i+1, l.totals.lastSeq+1+int64(i), heads[i].head)
	}
	err = insert.run()
	for _, h := range heads {
		h.head-- // inserted counts again
	}
	if isConstraint(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i, r := range l.pending {
		l.inserted(r, heads[i])
	}
	return true, nil
}

// insertOne inserts an event unless its id is on the log.
func (l *logFile) insertOne(c *conn, r pendingRow) error {
	insert, err := c.prep(insertOne)
	if err != nil {
		return err
	}
	h, err := l.headOf(c, r.a.req.Tenant)
	if err != nil {
		return err
	}
	r.bind(insert, 1, l.totals.lastSeq+1, h.head+1)
	if err := insert.run(); err != nil {
		return err
	}
	if c.changes() == 0 {
		return r.a.duplicate(c, r.a.ids[r.i])
	}
	l.inserted(r, h)
	return nil
}

// inserted counts an event that took the next seq and version, and gives its receipt.
func (l *logFile) inserted(r pendingRow, h *head) {
	a, id, body := r.a, r.a.ids[r.i], r.a.bodies[r.i]
	l.totals.lastSeq++
	l.totals.events++
	l.totals.bytes += rowBytes(len(body))
	h.head++
	l.touch(a.req.Tenant, h)
	l.fresh = append(l.fresh, tailEntry{
		seq: l.totals.lastSeq, version: h.head, received: a.now, tenant: a.req.Tenant, id: id, body: body,
	})
	a.receipts = append(a.receipts, event.Receipt{ID: id, Version: h.head})
}

// duplicate answers for an event whose id is on the log.
func (a *appendWork) duplicate(c *conn, id string) error {
	r := event.Receipt{ID: id, Duplicate: true}
	err := c.query("SELECT version FROM events WHERE tenant = ? AND id = ?", func(s *stmt) error {
		r.Version = s.int(0)
		return nil
	}, int64(a.req.Tenant), eventID(id))
	if err == nil && r.Version == 0 {
		err = fmt.Errorf("%s: an event's place is taken by another: %w", a.log.path, store.ErrCorrupt)
	}
	a.receipts = append(a.receipts, r)
	return err
}

// Append implements [store.Log].
func (s *Store) Append(ctx context.Context, now time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	a := &appendWork{log: s.log, now: micros(now), req: req}
	if err := a.pack(); err != nil {
		return nil, err
	}
	if err := s.log.w.do(ctx, a); err != nil {
		return nil, err
	}
	return a.receipts, a.fail
}

// Appended implements [store.Log].
func (s *Store) Appended(int) <-chan struct{} {
	s.log.hintMu.Lock()
	defer s.log.hintMu.Unlock()
	return s.log.hint
}
