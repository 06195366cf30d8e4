package storetest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// AddAudit implements [store.Audit].
func (f *Faulty) AddAudit(ctx context.Context, e event.AuditEntry) (int64, error) {
	return get(f, "AddAudit", func() (int64, error) { return f.next.AddAudit(ctx, e) })
}

// CompleteAudit implements [store.Audit].
func (f *Faulty) CompleteAudit(ctx context.Context, e event.AuditEntry) error {
	return f.do("CompleteAudit", func() error { return f.next.CompleteAudit(ctx, e) })
}

// DeleteAudit implements [store.Audit].
func (f *Faulty) DeleteAudit(ctx context.Context, id int64) error {
	return f.do("DeleteAudit", func() error { return f.next.DeleteAudit(ctx, id) })
}

// AuditEntries implements [store.Audit].
func (f *Faulty) AuditEntries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error) {
	err = f.do("AuditEntries", func() (err error) {
		list, next, err = f.next.AuditEntries(ctx, q)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, next, nil
}

// TrimAudit implements [store.Audit].
func (f *Faulty) TrimAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimAudit", func() (int, error) { return f.next.TrimAudit(ctx, before, limit) })
}
