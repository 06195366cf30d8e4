package sqlite

import (
	"context"
	"time"
)

// trimBytes is about how much one transaction of TrimCaptures deletes, so that captures need not wait for it long.
const trimBytes = 64 << 20

// doomedCapture is a capture that is to be deleted.
type doomedCapture struct{ n, bin, bytes int64 }

// selectDoomedCaptures returns captures in the order in which they are to go.
func selectDoomedCaptures(c *conn, where string, args ...any) ([]doomedCapture, error) {
	var list []doomedCapture
	err := c.query("SELECT c.n, c.bin, c.bytes + coalesce(m.bytes, 0) FROM captures c LEFT JOIN marks m ON m.n = c.n "+where, func(s *stmt) error {
		list = append(list, doomedCapture{n: s.int(0), bin: s.int(1), bytes: s.int(2)})
		return nil
	}, args...)
	return list, err
}

// remove deletes captures and takes them out of the figures.
func (f *binsFile) remove(c *conn, list []doomedCapture) error {
	for _, d := range list {
		if err := c.exec("DELETE FROM captures WHERE n = ?", d.n); err != nil {
			return err
		}
		if err := c.exec("DELETE FROM marks WHERE n = ?", d.n); err != nil {
			return err
		}
		g, err := f.figuresAt(c, d.bin)
		if err != nil {
			return err
		}
		f.count(g, -1, -d.bytes)
	}
	return nil
}

// DeleteCaptures implements [store.Bins].
func (s *Store) DeleteCaptures(ctx context.Context, bin string, seqs []int64) (int, error) {
	n := 0
	err := s.change(ctx, func(c *conn) error {
		n = 0
		g, err := s.bins.figuresOf(c, bin)
		if err != nil || g == nil {
			return err
		}
		for _, seq := range seqs {
			list, err := selectDoomedCaptures(c, "WHERE c.bin = ? AND c.seq = ?", g.bin, seq)
			if err != nil {
				return err
			}
			if err := s.bins.remove(c, list); err != nil {
				return err
			}
			n += len(list)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// TrimCaptures implements [store.Bins]. It works in transactions that are small in bytes too.
func (s *Store) TrimCaptures(ctx context.Context, now, before time.Time, maxBytes int64, limit int) (int, error) {
	total := 0
	for {
		t := captureTrim{f: s.bins, now: micros(now), before: before, maxBytes: maxBytes}
		err := s.change(ctx, func(c *conn) error {
			t.c, t.left, t.bytes, t.done = c, limit-total, s.bins.trimBytes, 0
			return t.run()
		})
		if err != nil {
			return total, err
		}
		if total += t.done; t.bytes > 0 || total >= limit {
			return total, nil
		}
	}
}

// captureTrim is one transaction of TrimCaptures.
type captureTrim struct {
	f        *binsFile
	c        *conn
	now      int64
	before   time.Time
	maxBytes int64
	left     int   // how many bins and captures may still be deleted
	bytes    int64 // about how many bytes may still be deleted
	done     int
}

func (t *captureTrim) run() error {
	n, err := t.f.dropSome(t.c, "SELECT n, id FROM bins WHERE expires <> 0 AND expires < ? ORDER BY expires, n LIMIT ?", t.now, max(t.left, 0))
	if err != nil {
		return err
	}
	t.left -= n
	t.done += n
	if err := t.deleted(); err != nil {
		return err
	}
	if !t.before.IsZero() {
		if _, err := t.some(0, "WHERE c.at < ? ORDER BY c.at, c.n LIMIT ?", micros(t.before)); err != nil {
			return err
		}
	}
	if over := t.f.totals.bytes - t.maxBytes; t.maxBytes > 0 && over > 0 {
		_, err = t.some(over, "ORDER BY c.at, c.n LIMIT ?")
	}
	return err
}

// deleted deletes captures of deleted bins.
func (t *captureTrim) deleted() error {
	for t.left > 0 && t.bytes > 0 {
		bin, err := t.c.number("SELECT n FROM deleted_bins ORDER BY n LIMIT 1")
		if err != nil || bin == 0 {
			return err
		}
		all, err := t.some(0, "WHERE c.bin = ? ORDER BY c.seq LIMIT ?", bin)
		if err != nil || !all {
			return err
		}
		if err := t.c.exec("DELETE FROM deleted_bins WHERE n = ?", bin); err != nil {
			return err
		}
	}
	return nil
}

// some deletes captures in the order of a query that ends with a limit, as many as may still go and, unless over is 0,
// until so many bytes went. all reports that the query gave no more.
func (t *captureTrim) some(over int64, where string, args ...any) (all bool, err error) {
	if t.left <= 0 || t.bytes <= 0 {
		return false, nil
	}
	list, err := selectDoomedCaptures(t.c, where, append(args, t.left)...)
	if err != nil {
		return false, err
	}
	all = len(list) < t.left
	gone := int64(0)
	for i, d := range list {
		if t.bytes <= 0 || over > 0 && gone >= over {
			list, all = list[:i], false
			break
		}
		gone += d.bytes
		t.bytes -= d.bytes
	}
	t.left -= len(list)
	t.done += len(list)
	return all, t.f.remove(t.c, list)
}
