package rest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Sources are where other systems' webhooks arrive (package inbound). Updates take the revision seen by the caller, 0 for whichever is
// stored.
type Sources interface {
	// Create makes a source. Errors: KindInvalid, KindConflict.
	Create(ctx context.Context, t *event.Tenant, s event.Source, secrets []string, settings map[string]string) (event.Source, error)
	Source(ctx context.Context, t *event.Tenant, name string) (event.Source, error)
	Sources(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Source, error)
	// Update replaces the configuration of the source with this name. Secrets and settings that are nil stay; a setting whose value is
	// empty keeps the value that it has.
	Update(ctx context.Context, t *event.Tenant, s event.Source, secrets []string, settings map[string]string, revision int64) (event.Source, error)
	Delete(ctx context.Context, t *event.Tenant, name string, revision int64) error
	// Secrets returns the secrets that have not expired, the newest first, and the settings.
	Secrets(ctx context.Context, s *event.Source) (event.SourceSecrets, error)
	// AddSecret adds a secret; the others end after overlap.
	AddSecret(ctx context.Context, t *event.Tenant, name, secret string, overlap time.Duration) (event.SourceSecrets, error)
	// State returns what came since the server's start.
	State(id event.SourceID) event.SourceState
	// URL is where a source's provider is to send.
	URL(t *event.Tenant, source string) string
	// Providers lists the providers by name.
	Providers() []event.Provider
	// Shown is the request by which an event came in, whole, with the secrets in it masked; nil when it did not come through a source.
	Shown(ctx context.Context, t *event.Tenant, e *event.Event) *event.Request
}
