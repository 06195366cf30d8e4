package rest

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Portals keeps the settings of tenants' portals (package control).
type Portals interface {
	// Portal returns a tenant's settings, of revision 0 when it never set any.
	Portal(ctx context.Context, t *event.Tenant) (event.Portal, error)
	// SetPortal replaces settings of a revision, or whatever is stored with -1. Errors: KindInvalid, KindPrecondition.
	SetPortal(ctx context.Context, t *event.Tenant, p event.Portal, revision int64) (event.Portal, error)
}
