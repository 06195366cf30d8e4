package store

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Sources keeps where webhooks arrive. Puts, lists and deletes follow the rules of [Control]; deleting a tenant deletes its sources.
type Sources interface {
	// PutSource creates or changes a source; names are unique in a tenant.
	PutSource(ctx context.Context, s event.Source, revision int64) (event.Source, error)
	Source(ctx context.Context, tenant event.TenantID, name string) (event.Source, error)
	// Sources lists by name.
	Sources(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error)
	DeleteSource(ctx context.Context, tenant event.TenantID, name string, revision int64) error
}
