package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// binsFile is bins.db: its writer with what only the writer touches, and its readers.
type binsFile struct {
	path  string
	w     *writer
	reads *pool

	// Owned by the writer's goroutine: the totals row and bins' figures as they are on disk plus this transaction's changes.
	loaded, dirty bool
	totals        binTotals
	figures       map[int64]*figures // by the bin's number
	numbers       map[string]int64   // the numbers of these bins by their ids
	changed       []*figures

	trimBytes int64 // about how much one transaction of TrimCaptures deletes
}

// binTotals counts what bins.db holds; of deleted bins what is not deleted yet.
type binTotals struct{ lastBin, requests, bytes int64 }

// figures are what is known of one bin.
type figures struct {
	bin                           int64
	last, requests, bytes, newest int64
	dirty                         bool
}

func openBins(path string, readers int, delay time.Duration) (*binsFile, error) {
	f := &binsFile{path: path, reads: newPool(path, readers), figures: map[int64]*figures{}, numbers: map[string]int64{}, trimBytes: trimBytes}
	c, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	f.w = &writer{name: "bins", path: path, delay: delay, c: c, begin: f.begin, finish: f.finish, committed: f.committed, aborted: f.aborted}
	if err := f.begin(c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	f.w.start()
	return f, nil
}

func (f *binsFile) close() error { return errors.Join(f.w.stop(), f.reads.close()) }

func (f *binsFile) begin(c *conn) error {
	if f.loaded {
		return nil
	}
	err := c.query("SELECT last_bin, requests, bytes FROM totals", func(s *stmt) error {
		f.totals = binTotals{lastBin: s.int(0), requests: s.int(1), bytes: s.int(2)}
		f.loaded = true
		return nil
	})
	if err == nil && !f.loaded {
		err = fmt.Errorf("%s has no totals: %w", f.path, store.ErrCorrupt)
	}
	return err
}

func (f *binsFile) finish(c *conn) error {
	for _, g := range f.changed {
		if f.figures[g.bin] != g { // the bin was deleted
			continue
		}
		err := c.exec("UPDATE figures SET last = ?, requests = ?, bytes = ?, newest = ? WHERE bin = ?", g.last, g.requests, g.bytes, g.newest, g.bin)
		if err != nil {
			return err
		}
		g.dirty = false
	}
	if !f.dirty {
		return nil
	}
	return c.exec("UPDATE totals SET last_bin = ?, requests = ?, bytes = ?", f.totals.lastBin, f.totals.requests, f.totals.bytes)
}

func (f *binsFile) committed() {
	f.dirty = false
	f.changed = f.changed[:0]
	if len(f.figures) > maxHeads {
		clear(f.figures)
		clear(f.numbers)
	}
}

// aborted throws away what the transaction changed in memory: the next one loads it from the file.
func (f *binsFile) aborted() {
	f.loaded, f.dirty = false, false
	f.changed = f.changed[:0]
	clear(f.figures)
	clear(f.numbers)
}

// figuresOf returns a bin's figures for change by this transaction, nil without the bin.
func (f *binsFile) figuresOf(c *conn, id string) (*figures, error) {
	if g := f.figures[f.numbers[id]]; g != nil {
		return g, nil
	}
	n, err := c.number("SELECT n FROM bins WHERE id = ?", id)
	if err != nil || n == 0 {
		return nil, err
	}
	f.numbers[id] = n
	return f.figuresAt(c, n)
}

// figuresAt is figuresOf by the bin's number.
func (f *binsFile) figuresAt(c *conn, n int64) (*figures, error) {
	if g := f.figures[n]; g != nil {
		return g, nil
	}
	var g *figures
	err := c.query("SELECT last, requests, bytes, newest FROM figures WHERE bin = ?", func(s *stmt) error {
		g = &figures{bin: n, last: s.int(0), requests: s.int(1), bytes: s.int(2), newest: s.int(3)}
		return nil
	}, n)
	if err != nil || g == nil {
		return nil, err
	}
	f.figures[n] = g
	return g, nil
}

// count changes how much a bin, nil for a deleted one, and all bins hold.
func (f *binsFile) count(g *figures, requests, bytes int64) {
	f.dirty = true
	f.totals.requests += requests
	f.totals.bytes += bytes
	if g == nil {
		return
	}
	g.requests += requests
	g.bytes += bytes
	if !g.dirty {
		g.dirty = true
		f.changed = append(f.changed, g)
	}
}

// drop deletes a bin and notes its captures for deletion.
func (f *binsFile) drop(c *conn, n int64, id string) error {
	g, err := f.figuresAt(c, n)
	if err != nil {
		return err
	}
	if g != nil && g.requests > 0 {
		if err := c.exec("INSERT OR IGNORE INTO deleted_bins VALUES (?)", n); err != nil {
			return err
		}
	}
	delete(f.figures, n)
	delete(f.numbers, id)
	for _, sql := range []string{"DELETE FROM bins WHERE n = ?", "DELETE FROM figures WHERE bin = ?", "DELETE FROM cursors WHERE bin = ?"} {
		if err := c.exec(sql, n); err != nil {
			return err
		}
	}
	return nil
}

// change runs a rare write of bins.db.
func (s *Store) change(ctx context.Context, f func(c *conn) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.bins.w.update(ctx, f)
}

// readBins reads a list of bins.db.
func readBins[T any](ctx context.Context, s *Store, scan func(*stmt) (T, error), sql string, args ...any) ([]T, error) {
	return readFrom(ctx, s, s.bins.reads, scan, sql, args...)
}

const selectBins = "SELECT id, tenant, alias, expires, revision, body FROM bins "

func scanBin(s *stmt) (event.Bin, error) {
	b := event.Bin{ID: s.text(0), Tenant: event.TenantID(s.int(1)), Alias: s.text(2), Revision: s.int(4)}
	if n := s.int(3); n != 0 {
		b.Expires = fromMicros(n)
	}
	return b, s.damaged("bin", unpackBin(s.blob(5), &b))
}

// expiry is when a bin expires as it is stored: 0 for never.
func expiry(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}
