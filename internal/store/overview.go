package store

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Overviews answers for overviews of a tenant, or of all with tenant 0. What an answer costs follows from how many endpoints
// are disabled, and from the limit, never from how many there are.
type Overviews interface {
	// CountEndpoints counts the saved endpoints, and those of them that are disabled by reason. A deleted tenant's do not count.
	CountEndpoints(ctx context.Context, tenant event.TenantID) (event.EndpointCounts, error)
	// DisabledEndpoints returns endpoints that are disabled for a reason, those changed last first, at most limit.
	DisabledEndpoints(ctx context.Context, tenant event.TenantID, reason string, limit int) ([]event.Endpoint, error)
	// RecentDead returns the newest dead letters since a time, the newest first, at most limit.
	RecentDead(ctx context.Context, tenant event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error)
}
