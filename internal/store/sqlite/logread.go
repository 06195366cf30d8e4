package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// maxLookup is the most versions that one call of Events looks up.
const maxLookup = 1000

const selectEvents = "SELECT seq, tenant, version, received, id, body FROM events "

// scanEvent reads a row of selectEvents.
func scanEvent(s *stmt) (event.Event, error) {
	e := event.Event{
		Seq: s.int(0), Tenant: event.TenantID(s.int(1)), Version: s.int(2), Received: fromMicros(s.int(3)), ID: s.id(4),
	}
	if err := unpackEvent(s.blob(5), &e); err != nil {
		return e, fmt.Errorf("%s: event %d: %w: %w", s.c.path, e.Seq, err, store.ErrCorrupt)
	}
	return e, nil
}

// scanEvents runs a query of selectEvents and returns its rows up to about maxBytes, at least one.
func scanEvents(c *conn, limit, maxBytes int, sql string, args ...any) ([]event.Event, error) {
	s, err := c.prep(sql)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		s.bindAny(i+1, a)
	}
	var out []event.Event
	size := 0
	for {
		row, err := s.step()
		if err != nil {
			return nil, err
		}
		if !row {
			break
		}
		if out == nil {
			out = make([]event.Event, 0, min(limit, 256))
		}
		e, err := scanEvent(s)
		if err != nil {
			_ = s.reset()
			return nil, err
		}
		if size += e.Size(); len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, e)
	}
	return out, s.reset()
}

const noBound = int(^uint(0) >> 1)

// Event implements [store.Log].
func (s *Store) Event(ctx context.Context, tenant event.TenantID, id string) (event.Event, error) {
	if err := s.enter(); err != nil {
		return event.Event{}, err
	}
	defer s.leave()
	var list []event.Event
	err := s.log.reads.read(ctx, func(c *conn) (err error) {
		list, err = scanEvents(c, 1, noBound, selectEvents+"WHERE tenant = ? AND id = ?", int64(tenant), eventID(id))
		return err
	})
	if err = one(len(list) == 1, "event", err); err != nil {
		return event.Event{}, err
	}
	return list[0], nil
}

// Events implements [store.Log]. Versions after the first 1,000 are left out.
func (s *Store) Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var out []event.Event
	err := s.log.reads.snapshot(ctx, func(c *conn) error {
		for _, v := range versions[:min(len(versions), maxLookup)] {
			list, err := scanEvents(c, 1, noBound, selectEvents+"WHERE tenant = ? AND version = ?", int64(tenant), v)
			if err != nil {
				return err
			}
			out = append(out, list...)
		}
		return nil
	})
	return out, err
}

// bounds returns a tenant's oldest and last version and the partition's last seq.
func bounds(c *conn, tenant event.TenantID) (p store.Page, err error) {
	p.Oldest = 1
	err = c.query("SELECT oldest, head FROM heads WHERE tenant = ?", func(s *stmt) error {
		p.Oldest, p.Head = s.int(0), s.int(1)
		return nil
	}, int64(tenant))
	if err != nil {
		return p, err
	}
	err = c.query("SELECT last_seq FROM totals", func(s *stmt) error {
		p.Through = s.int(0)
		return nil
	})
	return p, err
}

// ReadTenant implements [store.Log].
func (s *Store) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (store.Page, error) {
	return s.readPage(ctx, tenant, func(c *conn, p *store.Page) (err error) {
		p.Events, err = scanEvents(c, limit, maxBytes, selectEvents+"WHERE tenant = ? AND version > ? ORDER BY version LIMIT ?",
			int64(tenant), after, max(limit, 0))
		if n := len(p.Events); n > 0 && p.Events[n-1].Version < p.Head {
			p.Through = p.Events[n-1].Seq
		}
		return err
	})
}

// ReadTenantBack implements [store.Log].
func (s *Store) ReadTenantBack(ctx context.Context, tenant event.TenantID, before int64, limit int) (store.Page, error) {
	return s.readPage(ctx, tenant, func(c *conn, p *store.Page) (err error) {
		if before == 0 {
			before = p.Head + 1
		}
		p.Events, err = scanEvents(c, limit, noBound, selectEvents+"WHERE tenant = ? AND version < ? ORDER BY version DESC LIMIT ?",
			int64(tenant), before, max(limit, 0))
		if len(p.Events) > 0 && p.Events[0].Version < p.Head {
			p.Through = p.Events[0].Seq
		}
		return err
	})
}

func (s *Store) readPage(ctx context.Context, tenant event.TenantID, fill func(*conn, *store.Page) error) (store.Page, error) {
	if err := s.enter(); err != nil {
		return store.Page{}, err
	}
	defer s.leave()
	var p store.Page
	err := s.log.reads.snapshot(ctx, func(c *conn) (err error) {
		if p, err = bounds(c, tenant); err != nil {
			return err
		}
		return fill(c, &p)
	})
	return p, err
}

// ReadPartition implements [store.Log]. Reads of the log's end are answered from memory.
func (s *Store) ReadPartition(ctx context.Context, _ int, after int64, limit, maxBytes int) ([]event.Event, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if list, ok, err := s.log.tail.read(after, limit, maxBytes); ok {
		return list, err
	}
	var out []event.Event
	err := s.log.reads.read(ctx, func(c *conn) (err error) {
		out, err = scanEvents(c, limit, maxBytes, selectEvents+"WHERE seq > ? ORDER BY seq LIMIT ?", after, max(limit, 0))
		return err
	})
	return out, err
}

// Bounds implements [store.Log].
func (s *Store) Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error) {
	p, err := s.readPage(ctx, tenant, func(*conn, *store.Page) error { return nil })
	return p.Oldest, p.Head, err
}

// VersionAt implements [store.Log]. It halves the range of versions, so where the clock was set back while events were
// appended the answer is one of the possible ones.
func (s *Store) VersionAt(ctx context.Context, tenant event.TenantID, t time.Time) (int64, error) {
	want := micros(t)
	var version int64
	_, err := s.readPage(ctx, tenant, func(c *conn, p *store.Page) error {
		low, high := p.Oldest, p.Head+1 // the answer is in [low, high]
		for low < high {
			mid := low + (high-low)/2
			received := int64(0)
			err := c.query("SELECT received FROM events WHERE tenant = ? AND version = ?", func(s *stmt) error {
				received = s.int(0)
				return nil
			}, int64(tenant), mid)
			if err != nil {
				return err
			}
			if received < want {
				low = mid + 1
			} else {
				high = mid
			}
		}
		version = low
		return nil
	})
	return version, err
}

// LogStats implements [store.Log].
func (s *Store) LogStats(ctx context.Context) (store.LogStats, error) {
	if err := s.enter(); err != nil {
		return store.LogStats{}, err
	}
	defer s.leave()
	var st store.LogStats
	err := s.log.reads.snapshot(ctx, func(c *conn) error {
		err := c.query("SELECT events, bytes FROM totals", func(s *stmt) error {
			st.Events, st.Bytes = s.int(0), s.int(1)
			return nil
		})
		if err != nil {
			return err
		}
		return c.query("SELECT received FROM events ORDER BY seq LIMIT 1", func(s *stmt) error {
			st.Oldest = fromMicros(s.int(0))
			return nil
		})
	})
	return st, err
}
