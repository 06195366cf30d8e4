package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutBin implements [store.Bins].
func (s *Store) PutBin(ctx context.Context, b event.Bin, revision int64) (event.Bin, error) {
	var out event.Bin
	err := s.change(ctx, func(c *conn) (err error) {
		out, err = s.bins.put(c, b, revision)
		return err
	})
	if err != nil {
		return event.Bin{}, err
	}
	return out, nil
}

func (f *binsFile) put(c *conn, b event.Bin, revision int64) (event.Bin, error) {
	var n, stored int64
	err := c.query("SELECT n, revision FROM bins WHERE id = ?", func(s *stmt) error {
		n, stored = s.int(0), s.int(1)
		return nil
	}, b.ID)
	if err != nil {
		return b, err
	}
	if err := checkRevision("bin", stored, revision); err != nil {
		return b, refuse(err)
	}
	taken, err := c.number("SELECT count(*) FROM bins WHERE id <> ?1 AND (alias = ?1 AND alias <> '' OR alias = ?2 AND alias <> '' OR id = ?2)", b.ID, b.Alias)
	if err != nil {
		return b, err
	}
	if taken > 0 {
		return b, refuse(exists("bin"))
	}
	if stored == 0 {
		f.dirty = true
		f.totals.lastBin++
		n = f.totals.lastBin
		if err := c.exec("INSERT INTO figures VALUES (?, 0, 0, 0, 0)", n); err != nil {
			return b, err
		}
	}
	b.Revision = stored + 1
	body, expires := packBin(&b), expiry(b.Expires)
	err = c.exec("INSERT OR REPLACE INTO bins VALUES (?, ?, ?, ?, ?, ?, ?)", n, b.ID, int64(b.Tenant), b.Alias, expires, b.Revision, body)
	if err != nil {
		return b, err
	}
	if expires != 0 {
		b.Expires = fromMicros(expires)
	}
	return b, unpackBin(body, &b)
}

// Bin implements [store.Bins].
func (s *Store) Bin(ctx context.Context, name string) (event.Bin, error) {
	list, err := readBins(ctx, s, scanBin, selectBins+"WHERE id = ?1 OR alias = ?1 AND alias <> ''", name)
	if err = one(len(list) == 1, "bin", err); err != nil {
		return event.Bin{}, err
	}
	return list[0], nil
}

// Bins implements [store.Bins].
func (s *Store) Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	if tenant == 0 {
		return readBins(ctx, s, scanBin, selectBins+"WHERE id > ? ORDER BY id LIMIT ?", after, max(limit, 0))
	}
	return readBins(ctx, s, scanBin, selectBins+"WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", int64(tenant), after, max(limit, 0))
}

// CountBins implements [store.Bins].
func (s *Store) CountBins(ctx context.Context, tenant event.TenantID, now time.Time) (int, error) {
	list, err := readBins(ctx, s, func(s *stmt) (int, error) { return int(s.int(0)), nil },
		"SELECT count(*) FROM bins WHERE tenant = ? AND (expires = 0 OR expires > ?)", int64(tenant), micros(now))
	if err != nil {
		return 0, err
	}
	return list[0], nil
}

// BinStats implements [store.Bins].
func (s *Store) BinStats(ctx context.Context, id string) (event.BinStats, error) {
	list, err := readBins(ctx, s, func(s *stmt) (event.BinStats, error) {
		st := event.BinStats{Last: s.int(0), Requests: s.int(1), Bytes: s.int(2)}
		if st.Last > 0 {
			st.Newest = fromMicros(s.int(3))
		}
		return st, nil
	}, "SELECT last, requests, bytes, newest FROM figures WHERE bin = (SELECT n FROM bins WHERE id = ?)", id)
	if err = one(len(list) == 1, "bin", err); err != nil {
		return event.BinStats{}, err
	}
	return list[0], nil
}

// DeleteBin implements [store.Bins].
func (s *Store) DeleteBin(ctx context.Context, id string, revision int64) error {
	return s.change(ctx, func(c *conn) error {
		var n, stored int64
		err := c.query("SELECT n, revision FROM bins WHERE id = ?", func(s *stmt) error {
			n, stored = s.int(0), s.int(1)
			return nil
		}, id)
		if err != nil {
			return err
		}
		if err := checkDelete("bin", stored, revision); err != nil {
			return refuse(err)
		}
		return s.bins.drop(c, n, id)
	})
}

// DeleteTenantBins implements [store.Bins]. It goes in batches, so that captures need not wait.
func (s *Store) DeleteTenantBins(ctx context.Context, tenant event.TenantID) error {
	for more := true; more; {
		err := s.change(ctx, func(c *conn) error {
			n, err := s.bins.dropSome(c, "SELECT n, id FROM bins WHERE tenant = ? LIMIT ?", int64(tenant), purgeBatch)
			more = n == purgeBatch
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropSome deletes the bins whose numbers and ids a query gives, and returns how many.
func (f *binsFile) dropSome(c *conn, sql string, args ...any) (int, error) {
	type bin struct {
		n  int64
		id string
	}
	var list []bin
	err := c.query(sql, func(s *stmt) error {
		list = append(list, bin{s.int(0), s.text(1)})
		return nil
	}, args...)
	for _, b := range list {
		if err == nil {
			err = f.drop(c, b.n, b.id)
		}
	}
	return len(list), err
}

// BinCursor implements [store.Bins].
func (s *Store) BinCursor(ctx context.Context, bin, tunnel string) (int64, error) {
	list, err := readBins(ctx, s, func(s *stmt) (int64, error) { return s.int(0), nil },
		"SELECT seq FROM cursors WHERE bin = (SELECT n FROM bins WHERE id = ?) AND tunnel = ?", bin, tunnel)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0], nil
}

// SetBinCursor implements [store.Bins].
func (s *Store) SetBinCursor(ctx context.Context, bin, tunnel string, seq int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.bins.w.join(ctx, func(c *conn) error {
		g, err := s.bins.figuresOf(c, bin)
		if err != nil {
			return err
		}
		if g == nil {
			return refuse(event.NotFound("bin"))
		}
		return c.exec("INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq", g.bin, tunnel, seq)
	})
}
