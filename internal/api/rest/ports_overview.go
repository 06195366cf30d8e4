package rest

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Overviews show how the server and tenants do (package overview).
type Overviews interface {
	// Overview shows a tenant, or with 0 the server.
	Overview(ctx context.Context, tenant event.TenantID) (event.Overview, error)
	// Watch lets somebody watch a tenant, or with 0 the server: each call of next waits for something new. Its error says that
	// it is over. leave must be called at the end. Watch's own error is KindUnavailable: too many watch.
	Watch(tenant event.TenantID, key *event.APIKey) (next func(context.Context) (event.OverviewNews, error), leave func(), err error)
}

// Streams are the live connections (package live).
type Streams interface {
	// List shows those of a tenant with an id above after, by id.
	List(tenant event.TenantID, after int64, limit int) []event.StreamView
	// End ends one (KindNotFound); its client may come back.
	End(tenant event.TenantID, id int64) error
}
