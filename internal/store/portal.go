package store

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Portals keeps the settings of tenants' portals, one for each tenant that set any. Deleting a tenant deletes its settings.
type Portals interface {
	// PutPortal saves a tenant's settings when the stored revision, 0 without any, is the one given; it returns them with
	// their new revision. Errors: KindPrecondition when another revision is stored, KindNotFound without the tenant.
	PutPortal(ctx context.Context, p event.Portal, revision int64) (event.Portal, error)
	// Portal returns a tenant's settings; the zero value but for Tenant when it never set any. Error: KindNotFound without
	// the tenant.
	Portal(ctx context.Context, tenant event.TenantID) (event.Portal, error)
}
