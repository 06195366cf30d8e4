package sqlite

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Options tune a store. The zero value means the defaults; a negative delay means none.
type Options struct {
	// LogDelay is how long an append may wait for others while several callers append at once; 1 ms by default.
	LogDelay time.Duration
	// StateDelay is the same for records; 20 ms by default.
	StateDelay time.Duration
	// BinsDelay is the same for captures; 1 ms by default.
	BinsDelay time.Duration
	// Readers is how many reads of one file may run at once; 4 by default.
	Readers int
	// TailBytes bounds the newest events kept in memory for readers of the log's end; 16 MiB by default.
	TailBytes int
}

// Store is the embedded store. Make one with [Open].
type Store struct {
	dir   string
	lock  *folderLock
	log   *logFile
	state *stateFile
	bins  *binsFile

	mu     sync.RWMutex // held for reading by every call, for writing by Close
	closed bool
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a folder, which it makes (0700) when there is none, and brings its files to the newest
// schema. It fails with [store.ErrInUse], [store.ErrNewer], [store.ErrCorrupt] or [store.ErrFull], the file named, and
// then has changed nothing in the files.
func Open(dir string, o Options) (*Store, error) {
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	s, err := open(dir, o)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	s.lock = lock
	return s, nil
}

func open(dir string, o Options) (_ *Store, err error) {
	paths, err := prepareFiles(dir)
	if err != nil {
		return nil, err
	}
	readers := cmp.Or(o.Readers, 4)
	s := &Store{dir: dir}
	if s.log, err = openLog(paths.log, readers, cmp.Or(o.LogDelay, time.Millisecond), cmp.Or(o.TailBytes, 16<<20)); err != nil {
		return nil, err
	}
	if s.state, err = openState(paths.state, readers, cmp.Or(o.StateDelay, 20*time.Millisecond)); err != nil {
		return nil, errors.Join(err, s.log.close())
	}
	if s.bins, err = openBins(paths.bins, readers, cmp.Or(o.BinsDelay, time.Millisecond)); err != nil {
		return nil, errors.Join(err, s.log.close(), s.state.close())
	}
	if err := errors.Join(s.agree(), s.fillDisabled(context.Background())); err != nil {
		return nil, errors.Join(err, s.log.close(), s.state.close(), s.bins.close())
	}
	return s, nil
}

// enter admits a call; leave must be called when err is nil.
func (s *Store) enter() error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }

// Close implements [store.Store]. Later calls return nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := errors.Join(s.log.close(), s.state.close(), s.bins.close())
	return errors.Join(err, s.lock.release())
}

// Observe implements [store.Store].
func (s *Store) Observe(f func(store.Commit)) {
	s.log.w.observe = f
	s.state.w.observe = f
	s.bins.w.observe = f
}

// Ready implements [store.Store]. After a write that failed for want of space it writes a little to learn whether there
// is space again.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	for _, w := range []*writer{s.log.w, s.state.w, s.bins.w} {
		if !w.full.Load() {
			continue
		}
		if err := w.probe(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pool lends reading connections, opened at first use.
type pool struct {
	path  string
	conns chan *conn // nil: not open
}

func newPool(path string, n int) *pool {
	p := &pool{path: path, conns: make(chan *conn, n)}
	for range n {
		p.conns <- nil
	}
	return p
}

// read lends a connection to f. Statements that f leaves open are reset when they are used next.
func (p *pool) read(ctx context.Context, f func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-p.conns:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c == nil {
		var err error
		if c, err = openReader(p.path); err != nil {
			p.conns <- nil
			return err
		}
	}
	err := f(c)
	if err != nil && wholeGroup(err) {
		_ = c.close() // it has failed already
		c = nil
	}
	p.conns <- c
	return err
}

// snapshot is read with all of f's statements seeing the same commit.
func (p *pool) snapshot(ctx context.Context, f func(c *conn) error) error {
	return p.read(ctx, func(c *conn) error {
		if err := c.exec("BEGIN"); err != nil {
			return err
		}
		err := f(c)
		return errors.Join(err, c.exec("COMMIT"))
	})
}

func (p *pool) close() error {
	var err error
	for range cap(p.conns) {
		if c := <-p.conns; c != nil {
			err = errors.Join(err, c.close())
		}
	}
	return err
}

// one turns "no row" into KindNotFound.
func one(found bool, what string, err error) error {
	if err == nil && !found {
		return event.NotFound(what)
	}
	return err
}
