package store

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Audit keeps the audit log. It outlives what it tells of: tenants and keys that are deleted leave it as it is.
type Audit interface {
	// AddAudit stores an entry and returns its ID. IDs ascend in the order of the entries and are never given again.
	AddAudit(ctx context.Context, e event.AuditEntry) (int64, error)
	// CompleteAudit stores an entry in place of the one with its ID (KindNotFound).
	CompleteAudit(ctx context.Context, e event.AuditEntry) error
	// DeleteAudit deletes one entry. One that is not there is no error.
	DeleteAudit(ctx context.Context, id int64) error
	// AuditEntries returns entries, newest first. It may look at a bounded number of rows only: next is the Before to go on
	// with, 0 at the end.
	AuditEntries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error)
	// TrimAudit deletes a small batch (at most limit) of entries from before a time, and returns how many.
	TrimAudit(ctx context.Context, before time.Time, limit int) (int, error)
}
