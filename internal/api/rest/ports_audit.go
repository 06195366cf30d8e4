package rest

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Auditor keeps the audit log (package audit).
type Auditor interface {
	// Begin stores an entry before the change that it tells of, and sets its ID and At; after an error the change must not be
	// made. End stores its outcome, whatever became of the context.
	Begin(ctx context.Context, e *event.AuditEntry) error
	End(ctx context.Context, e *event.AuditEntry)
	// Note stores an entry of what was refused before it began.
	Note(ctx context.Context, e *event.AuditEntry) error
	// Entries lists entries, newest first; next is the Before to go on with, 0 at the end.
	Entries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error)
}
