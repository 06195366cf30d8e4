package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	fresh   []tailEntry // appended by this transaction
	trimmed int64       // the highest seq that a trim of this transaction deleted
	cleared bool        // a tenant's events were deleted

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
	clear(l.fresh)
	l.fresh = l.fresh[:0]
}

func (l *logFile) wake() {
	l.hintMu.Lock()
	close(l.hint)
	l.hint = make(chan struct{})
	l.hintMu.Unlock()
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
	h, err := a.log.headOf(c, a.req.Tenant)
	if err != nil {
		return err
	}
	insert, err := c.prep("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i := range a.ids {
		if err := a.insert(c, insert, h, i); err != nil {
			return err
		}
	}
	if a.req.IdempotencyKey == "" {
		return nil
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

func (a *appendWork) insert(c *conn, insert *stmt, h *head, i int) error {
	l, id, body := a.log, a.ids[i], a.bodies[i]
	seq, version := l.totals.lastSeq+1, h.head+1
	insert.bindInt(1, seq)
	insert.bindInt(2, int64(a.req.Tenant))
	insert.bindInt(3, version)
	insert.bindInt(4, a.now)
	insert.bindID(5, id)
	insert.bindBlob(6, body)
	if err := insert.run(); err != nil {
		return err
	}
	if c.changes() == 0 {
		return a.duplicate(c, id)
	}
	l.totals.lastSeq = seq
	l.totals.events++
	l.totals.bytes += rowBytes(len(body))
	h.head = version
	l.touch(a.req.Tenant, h)
	l.fresh = append(l.fresh, tailEntry{seq: seq, version: version, received: a.now, tenant: a.req.Tenant, id: id, body: body})
	a.receipts = append(a.receipts, event.Receipt{ID: id, Version: version})
	return nil
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
