package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// stateFile is state.db: its writer with what only the writer touches, and its readers.
type stateFile struct {
	path  string
	w     *writer
	reads *pool

	// Owned by the writer's goroutine: the shard row as it is on disk plus this transaction's changes.
	loaded, dirty bool
	shard         shard

	// granted is the epoch that this opening of the store was granted, 0 before the first Acquire.
	granted atomic.Int64
}

type shard struct{ epoch, position, lastAttempt, lastTenant int64 }

func openState(path string, readers int, delay time.Duration) (*stateFile, error) {
	f := &stateFile{path: path, reads: newPool(path, readers)}
	c, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	f.w = &writer{name: "state", path: path, delay: delay, c: c, begin: f.begin, finish: f.finish, committed: f.committed, aborted: f.aborted}
	if err := f.begin(c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	f.w.start()
	return f, nil
}

func (f *stateFile) close() error { return errors.Join(f.w.stop(), f.reads.close()) }

func (f *stateFile) begin(c *conn) error {
	if f.loaded {
		return nil
	}
	err := c.query("SELECT epoch, position, last_attempt, last_tenant FROM shard", func(s *stmt) error {
		f.shard = shard{epoch: s.int(0), position: s.int(1), lastAttempt: s.int(2), lastTenant: s.int(3)}
		f.loaded = true
		return nil
	})
	if err == nil && !f.loaded {
		err = fmt.Errorf("%s has no shard: %w", f.path, store.ErrCorrupt)
	}
	return err
}

func (f *stateFile) finish(c *conn) error {
	if !f.dirty {
		return nil
	}
	return c.exec("UPDATE shard SET epoch = ?, position = ?, last_attempt = ?, last_tenant = ?",
		f.shard.epoch, f.shard.position, f.shard.lastAttempt, f.shard.lastTenant)
}

func (f *stateFile) committed() { f.dirty = false }

func (f *stateFile) aborted() { f.loaded, f.dirty = false, false }

// agree checks that the log and the state belong to the same moment: a state that is ahead of its log would skip events.
// Tenants that only the log or the bins know (a backup's) keep their numbers to themselves.
func (s *Store) agree() error {
	if s.state.shard.position > s.log.totals.lastSeq {
		return fmt.Errorf("%s is ahead of %s: %w", s.state.path, s.log.path, store.ErrCorrupt)
	}
	ctx := context.Background()
	var last int64
	for _, known := range []struct {
		reads *pool
		sql   string
	}{{s.log.reads, "SELECT max(tenant) FROM heads"}, {s.bins.reads, "SELECT max(tenant) FROM bins"}} {
		err := known.reads.read(ctx, func(c *conn) error {
			n, err := c.number(known.sql)
			last = max(last, n)
			return err
		})
		if err != nil {
			return err
		}
	}
	if last <= s.state.shard.lastTenant {
		return nil
	}
	return s.state.w.update(ctx, func(*conn) error {
		s.state.shard.lastTenant = last
		s.state.dirty = true
		return nil
	})
}

// Acquire implements [store.Lanes].
func (s *Store) Acquire(ctx context.Context, _ string, _ time.Time, _ time.Duration) ([]store.Lease, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	f := s.state
	var lease store.Lease
	err := f.w.update(ctx, func(*conn) error {
		if f.granted.Load() == 0 || f.granted.Load() != f.shard.epoch {
			f.shard.epoch++
			f.dirty = true
		}
		lease = store.Lease{Epoch: f.shard.epoch, Position: f.shard.position}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.granted.Store(lease.Epoch)
	return []store.Lease{lease}, nil
}

// recordWork is one Record on its way through the writer.
type recordWork struct {
	f      *stateFile
	r      *store.Record
	bodies [][]byte // one packed record an attempt
	rows   int
	bytes  int
	fail   error
}

func (w *recordWork) size() (rows, bytes int) { return w.rows, w.bytes }
func (w *recordWork) lazy() bool              { return true }

func (w *recordWork) pack() {
	r := w.r
	var slab []byte
	w.bodies = make([][]byte, len(r.Attempts))
	for i := range r.Attempts {
		start := len(slab)
		slab = packAttempt(slab, &r.Attempts[i])
		w.bodies[i] = slab[start:len(slab):len(slab)]
	}
	w.rows = len(r.Attempts) + len(r.Retries) + len(r.DropRetries) + len(r.Lanes) + len(r.DropLanes) + len(r.Dead) + len(r.DropDead)
	w.bytes = len(slab) + 100*w.rows
}

func (w *recordWork) apply(c *conn) error {
	w.fail = nil
	l := w.r.Lease
	if granted := w.f.granted.Load(); granted == 0 || l.Epoch != granted || l.Epoch != w.f.shard.epoch || l.Shard != 0 {
		w.fail = store.ErrFenced
		return nil
	}
	if w.r.Position > w.f.shard.position {
		w.f.shard.position = w.r.Position
		w.f.dirty = true
	}
	if err := w.attempts(c); err != nil {
		return err
	}
	if err := w.drops(c); err != nil {
		return err
	}
	return w.upserts(c)
}

// attemptRows is how many attempts one INSERT takes, as insertRows.
const attemptRows = 8

var (
	insertAttempt  = "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)"
	insertAttempts = insertAttempt + strings.Repeat(", (?, ?, ?, ?, ?, ?, ?)", attemptRows-1)
)

func (w *recordWork) attempts(c *conn) error {
	list := w.r.Attempts
	if len(list) == 0 {
		return nil
	}
	w.f.dirty = true
	for at := 0; at < len(list); {
		n, sql := 1, insertAttempt
		if len(list)-at >= attemptRows {
			n, sql = attemptRows, insertAttempts
		}
		insert, err := c.prep(sql)
		if err != nil {
			return err
		}
		for i := range n {
			w.bind(insert, 7*i+1, at+i)
		}
		if err := insert.run(); err != nil {
			return err
		}
		at += n
	}
	return w.blocks(c)
}

// bind gives the i-th attempt its id and fills one row's parameters, from the given one on.
func (w *recordWork) bind(s *stmt, at, i int) {
	a := &w.r.Attempts[i]
	w.f.shard.lastAttempt++
	s.bindInt(at, w.f.shard.lastAttempt)
	s.bindInt(at+1, int64(a.Tenant))
	s.bindInt(at+2, int64(a.Endpoint))
	s.bindInt(at+3, firstVersion(a.Versions))
	s.bindInt(at+4, micros(a.At))
	s.bindBlob(at+5, w.bodies[i])
	if n, ok := packOutcome(a); ok {
		s.bindInt(at+6, n)
	} else {
		s.bindNull(at + 6)
	}
}

// blocks files the attempts at several versions under the blocks of those.
func (w *recordWork) blocks(c *conn) error {
	first := w.f.shard.lastAttempt - int64(len(w.r.Attempts)) + 1
	for i := range w.r.Attempts {
		a := &w.r.Attempts[i]
		err := eachBlock(a.Versions, func(block int64) error {
			return c.exec("INSERT OR IGNORE INTO attempt_blocks VALUES (?, ?, ?)", int64(a.Tenant), block, first+int64(i))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func firstVersion(list []int64) int64 {
	if len(list) == 0 {
		return 0
	}
	return list[0]
}

// eachBlock calls f with the blocks of 256 versions of a batch; a single version has none.
func eachBlock(versions []int64, f func(block int64) error) error {
	if len(versions) < 2 {
		return nil
	}
	last := int64(-1)
	for _, v := range versions {
		if v>>8 == last {
			continue
		}
		last = v >> 8
		if err := f(last); err != nil {
			return err
		}
	}
	return nil
}

func (w *recordWork) drops(c *conn) error {
	for _, k := range w.r.DropRetries {
		err := c.exec("DELETE FROM retries WHERE endpoint = ? AND replay = ? AND version = ?", int64(k.Endpoint), k.Replay, k.Version)
		if err != nil {
			return err
		}
	}
	for _, k := range w.r.DropLanes {
		if err := c.exec("DELETE FROM lanes WHERE endpoint = ? AND replay = ?", int64(k.Endpoint), k.Replay); err != nil {
			return err
		}
	}
	for _, k := range w.r.DropDead {
		if err := c.exec("DELETE FROM dead WHERE endpoint = ? AND version = ?", int64(k.Endpoint), k.Version); err != nil {
			return err
		}
	}
	return nil
}

func (w *recordWork) upserts(c *conn) error {
	for i := range w.r.Retries {
		r := &w.r.Retries[i]
		err := c.exec("INSERT OR REPLACE INTO retries VALUES (?, ?, ?, ?)", int64(r.Endpoint), r.Replay, firstVersion(r.Versions), packRetry(r))
		if err != nil {
			return err
		}
	}
	for i := range w.r.Lanes {
		l := &w.r.Lanes[i]
		if err := c.exec("INSERT OR REPLACE INTO lanes VALUES (?, ?, ?)", int64(l.Endpoint), l.Replay, packLane(l)); err != nil {
			return err
		}
	}
	for i := range w.r.Dead {
		d := &w.r.Dead[i]
		err := c.exec("INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?)", int64(d.Endpoint), d.Version, int64(d.Tenant), micros(d.At), d.Reason)
		if err != nil {
			return err
		}
	}
	return nil
}

// SaveRecord implements [store.Lanes]. In one record drops are carried out before upserts.
func (s *Store) SaveRecord(ctx context.Context, r store.Record) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	w := &recordWork{f: s.state, r: &r}
	w.pack()
	if err := s.state.w.do(ctx, w); err != nil {
		return err
	}
	return w.fail
}

// LoadLanes implements [store.Lanes].
func (s *Store) LoadLanes(ctx context.Context, _ store.Lease) ([]event.LaneState, []event.Retry, error) {
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	var lanes []event.LaneState
	var retries []event.Retry
	err := s.state.reads.snapshot(ctx, func(c *conn) error {
		err := c.query("SELECT endpoint, replay, body FROM lanes", func(s *stmt) error {
			l := event.LaneState{LaneKey: event.LaneKey{Endpoint: event.EndpointID(s.int(0)), Replay: s.int(1)}}
			err := unpackLane(s.blob(2), &l)
			lanes = append(lanes, l)
			return s.damaged("lane", err)
		})
		if err != nil {
			return err
		}
		return c.query("SELECT endpoint, replay, body FROM retries", func(s *stmt) error {
			r := event.Retry{LaneKey: event.LaneKey{Endpoint: event.EndpointID(s.int(0)), Replay: s.int(1)}}
			err := unpackRetry(s.blob(2), &r)
			retries = append(retries, r)
			return s.damaged("retry", err)
		})
	})
	return lanes, retries, err
}

// damaged wraps the error of unpacking a row.
func (s *stmt) damaged(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: a saved %s: %w: %w", s.c.path, what, err, store.ErrCorrupt)
}
