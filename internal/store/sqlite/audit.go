package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxAuditScan is how many rows one call of AuditEntries looks at. Those that do not fit are not unpacked.
const maxAuditScan = 20_000

const auditColumns = "id, at, tenant, tenant_name, actor_kind, actor_id, actor_name, action, resource, resource_id, body"

// packAudit packs what is not searched.
func packAudit(e *event.AuditEntry) []byte {
	p := packer{b: []byte{packVersion}}
	for _, s := range []string{e.Address, string(e.Outcome), e.Code, e.RequestID} {
		p.str(s)
	}
	p.int(int64(e.Status))
	packList(&p, e.Changes, func(c event.AuditChange) {
		p.str(c.Field)
		p.bytes(c.From)
		p.bytes(c.To)
	})
	return p.b
}

func unpackAudit(b []byte, e *event.AuditEntry) error {
	u := unpacker{b: b}
	u.version()
	e.Address, e.Outcome, e.Code, e.RequestID = u.str(), event.AuditOutcome(u.str()), u.str(), u.str()
	e.Status = int(u.int())
	e.Changes = unpackList(&u, 3, func() event.AuditChange {
		return event.AuditChange{Field: u.str(), From: u.bytes(), To: u.bytes()}
	})
	return u.err()
}

// auditRow are the values of an entry's columns after the id.
func auditRow(e *event.AuditEntry) []any {
	return []any{
		micros(e.At), int64(e.Tenant), e.TenantName, e.ActorKind, e.ActorID, e.ActorName, e.Action, e.Resource, e.ResourceID, packAudit(e),
	}
}

// scanAudit reads a row but its body.
func scanAudit(s *stmt) event.AuditEntry {
	return event.AuditEntry{
		ID: s.int(0), At: fromMicros(s.int(1)), Tenant: event.TenantID(s.int(2)), TenantName: s.text(3), ActorKind: s.text(4),
		ActorID: s.text(5), ActorName: s.text(6), Action: s.text(7), Resource: s.text(8), ResourceID: s.text(9),
	}
}

// AddAudit implements [store.Audit].
func (s *Store) AddAudit(ctx context.Context, e event.AuditEntry) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var id int64
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		if err = c.exec("INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", auditRow(&e)...); err != nil {
			return err
		}
		id, err = c.number("SELECT last_insert_rowid()")
		return err
	})
	if err != nil {
		return 0, err // the writer may still be at it when the context has ended
	}
	return id, nil
}

// CompleteAudit implements [store.Audit].
func (s *Store) CompleteAudit(ctx context.Context, e event.AuditEntry) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		err := c.exec(`UPDATE audit SET at = ?, tenant = ?, tenant_name = ?, actor_kind = ?, actor_id = ?, actor_name = ?, action = ?,
			resource = ?, resource_id = ?, body = ? WHERE id = ?`, append(auditRow(&e), e.ID)...)
		if err == nil && c.changes() == 0 {
			return refuse(event.NotFound("audit entry"))
		}
		return err
	})
}

// DeleteAudit implements [store.Audit].
func (s *Store) DeleteAudit(ctx context.Context, id int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error { return c.exec("DELETE FROM audit WHERE id = ?", id) })
}

// AuditEntries implements [store.Audit]. One call looks at 20,000 entries at most.
func (s *Store) AuditEntries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	sql, args := "SELECT "+auditColumns+" FROM audit WHERE id < ?", []any{from(q.Before)}
	if q.Tenant != 0 {
		sql += " AND tenant = ?"
		args = append(args, int64(q.Tenant))
	}
	err = s.state.reads.read(ctx, func(c *conn) error {
		seen, last := 0, int64(0)
		return c.queryWhile(sql+" ORDER BY id DESC", func(s *stmt) (bool, error) {
			if seen == maxAuditScan || len(list) >= q.Limit {
				next = last // there is one more
				return false, nil
			}
			seen++
			e := scanAudit(s)
			last = e.ID
			if !q.Fits(&e) {
				return true, nil
			}
			err := s.damaged("audit entry", unpackAudit(s.blob(10), &e))
			list = append(list, e)
			return true, err
		}, args...)
	})
	return list, next, err
}

// TrimAudit implements [store.Audit].
func (s *Store) TrimAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) error {
		err := c.exec("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at, id LIMIT ?)", micros(before), max(limit, 0))
		n = c.changes()
		return err
	})
	return n, err
}
