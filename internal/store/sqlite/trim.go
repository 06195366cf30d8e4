package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// doomed is a row of the log that may be deleted.
type doomed struct {
	seq, version, received, bytes int64
	tenant                        event.TenantID
}

const selectDoomed = "SELECT seq, version, received, tenant, length(body) FROM events "

func scanDoomed(s *stmt) doomed {
	return doomed{
		seq: s.int(0), version: s.int(1), received: s.int(2), tenant: event.TenantID(s.int(3)),
		bytes: rowBytes(int(s.int(4))),
	}
}

// TrimLog implements [store.Log].
func (s *Store) TrimLog(ctx context.Context, policy store.TrimPolicy, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if policy.Before.IsZero() && policy.MaxBytes <= 0 {
		return 0, nil
	}
	n := 0
	err := s.log.update(ctx, func(c *conn) (err error) {
		n, err = s.log.trim(c, policy, limit)
		return err
	})
	return n, err
}

func (l *logFile) trim(c *conn, policy store.TrimPolicy, limit int) (int, error) {
	var list []doomed
	bytes, stop := l.totals.bytes, false
	err := c.query(selectDoomed+"ORDER BY seq LIMIT ?", func(s *stmt) error {
		d := scanDoomed(s)
		if stop = stop || !mayTrim(policy, d, bytes); !stop {
			list = append(list, d)
			bytes -= d.bytes
		}
		return nil
	}, max(limit, 0))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	last := list[len(list)-1].seq
	if err := c.exec("DELETE FROM events WHERE seq <= ?", last); err != nil {
		return 0, err
	}
	l.trimmed = max(l.trimmed, last)
	return len(list), l.gone(c, list)
}

// mayTrim reports whether the log's oldest event may be deleted while the log holds so many bytes.
func mayTrim(p store.TrimPolicy, d doomed, bytes int64) bool {
	old := !p.Before.IsZero() && d.received < micros(p.Before)
	over := p.MaxBytes > 0 && bytes > p.MaxBytes
	kept := d.seq > p.Keep && d.received >= micros(p.KeepSince)
	return (old || over) && !kept
}

// gone takes deleted events, each the oldest of its tenant in turn, out of the totals and heads.
func (l *logFile) gone(c *conn, list []doomed) error {
	for _, d := range list {
		h, err := l.headOf(c, d.tenant)
		if err != nil {
			return err
		}
		h.oldest = d.version + 1
		l.touch(d.tenant, h)
		l.totals.events--
		l.totals.bytes -= d.bytes
	}
	return nil
}

// DeleteTenantEvents implements [store.Log].
func (s *Store) DeleteTenantEvents(ctx context.Context, tenant event.TenantID, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.log.update(ctx, func(c *conn) (err error) {
		n, err = s.log.deleteTenant(c, tenant, limit)
		return err
	})
	return n, err
}

func (l *logFile) deleteTenant(c *conn, tenant event.TenantID, limit int) (int, error) {
	var list []doomed
	err := c.query(selectDoomed+"WHERE tenant = ? ORDER BY version LIMIT ?", func(s *stmt) error {
		list = append(list, scanDoomed(s))
		return nil
	}, int64(tenant), max(limit, 0))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	for _, d := range list {
		if err := c.exec("DELETE FROM events WHERE seq = ?", d.seq); err != nil {
			return 0, err
		}
	}
	l.cleared = true
	return len(list), l.gone(c, list)
}

// TrimAnswers implements [store.Control].
func (s *Store) TrimAnswers(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.log.update(ctx, func(c *conn) error {
		err := c.exec(`DELETE FROM publishes WHERE (tenant, key) IN
			(SELECT tenant, key FROM publishes WHERE at < ? ORDER BY at LIMIT ?)`, micros(before), max(limit, 0))
		n = c.changes()
		return err
	})
	if err != nil || n >= limit {
		return n, err
	}
	more := 0
	err = s.state.w.update(ctx, func(c *conn) error {
		err := c.exec(`DELETE FROM answers WHERE (scope, key) IN
			(SELECT scope, key FROM answers WHERE at < ? ORDER BY at LIMIT ?)`, micros(before), limit-n)
		more = c.changes()
		return err
	})
	return n + more, err
}
