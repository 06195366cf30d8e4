package rest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Publisher is the one door for events (package ingest).
type Publisher interface {
	// Publish stores decoded events. It checks limits, event types' schemas and the tenant's rate, gives ids and times
	// where they lack, and returns once the events are durable. Events are as decoded by package codec.
	Publish(ctx context.Context, t *event.Tenant, events []event.Event, idempotencyKey string, fingerprint [32]byte) ([]event.Receipt, error)
}

// Authenticator turns a bearer key into what it may do (package control). The answer comes from memory when it can.
type Authenticator interface {
	// Authenticate returns the key's record, or KindUnauthorized.
	Authenticate(ctx context.Context, bearer string) (event.APIKey, error)
}

// Control is the control plane (package control). Updates take the revision seen by the caller, 0 for whichever is
// stored, and fail with KindPrecondition when another is stored.
type Control interface {
	CreateTenant(ctx context.Context, t event.Tenant) (event.Tenant, error)
	// Tenant returns a tenant by name from memory when it can; shared, not to be changed.
	Tenant(ctx context.Context, name string) (*event.Tenant, error)
	Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error)
	UpdateTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error)
	DeleteTenant(ctx context.Context, name string, revision int64) error

	// CreateEndpoint validates, gives an id and (unless s has one) a signing secret, seals s, saves, and tells delivery.
	CreateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets) (event.Endpoint, error)
	// CreateEndpointFrom is CreateEndpoint of an endpoint that gets what is on the log from a version on, too. Errors also:
	// KindInvalid naming "start", KindGone.
	CreateEndpointFrom(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, version int64) (event.Endpoint, error)
	Endpoint(ctx context.Context, t *event.Tenant, id event.EndpointID) (event.Endpoint, error)
	Endpoints(ctx context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error)
	// UpdateEndpoint replaces the endpoint's configuration; s, when not nil, replaces headers and credentials (never the
	// signing secrets).
	UpdateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s *event.Secrets, revision int64) (event.Endpoint, error)
	DeleteEndpoint(ctx context.Context, t *event.Tenant, id event.EndpointID, revision int64) error
	// Draft checks an endpoint as CreateEndpoint would, or as UpdateEndpoint of stored would, and saves nothing. It returns it as
	// it would be saved, with its secrets.
	Draft(ctx context.Context, e event.Endpoint, s event.Secrets, stored *event.Endpoint) (event.Endpoint, event.Secrets, error)
	// SetDisabled pauses (reason "paused") or resumes.
	SetDisabled(ctx context.Context, t *event.Tenant, id event.EndpointID, disabled bool, reason string) (event.Endpoint, error)
	// Secrets opens an endpoint's secrets.
	Secrets(ctx context.Context, e *event.Endpoint) (event.Secrets, error)
	// RotateSecret makes secret (a new one when empty) current; the old ones keep signing for overlap.
	RotateSecret(ctx context.Context, t *event.Tenant, id event.EndpointID, secret string, overlap time.Duration) (event.Secrets, error)

	CreateType(ctx context.Context, t *event.Tenant, et event.Type) (event.Type, error)
	Type(ctx context.Context, t *event.Tenant, name string) (event.Type, error)
	Types(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Type, error)
	UpdateType(ctx context.Context, t *event.Tenant, et event.Type, revision int64) (event.Type, error)
	DeleteType(ctx context.Context, t *event.Tenant, name string, revision int64) error

	// CreateAPIKey returns the record and the key itself, which is shown this once.
	CreateAPIKey(ctx context.Context, k event.APIKey) (event.APIKey, string, error)
	APIKey(ctx context.Context, id int64) (event.APIKey, error)
	APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error)
	// RotateAPIKey returns the record and the new key, which is shown this once; the old one goes on working for overlap.
	RotateAPIKey(ctx context.Context, id int64, overlap time.Duration) (event.APIKey, string, error)
	DeleteAPIKey(ctx context.Context, id int64) error
	// TenantName returns the name of a tenant's id, for showing API keys.
	TenantName(ctx context.Context, id event.TenantID) (string, error)
}

// Delivery is what the lanes show and take (package deliver).
type Delivery interface {
	View(ctx context.Context, e *event.Endpoint) (event.LaneView, error)
	// State is the view's State, for many endpoints at once.
	State(e *event.Endpoint) string
	// ResetPenalty ends the penalty and tries at once.
	ResetPenalty(ctx context.Context, e *event.Endpoint) error
	// Resend delivers an event again to an endpoint, KindConflict when the lane's retry rows are all in use.
	Resend(ctx context.Context, e *event.Endpoint, version int64) error
	// Replay starts sending a range again and returns its id; From and To are versions, inclusive.
	Replay(ctx context.Context, e *event.Endpoint, r event.ReplayRange) (event.ReplayView, error)
	// Test sends an event that is not on the log now, and returns the outcome, which is not recorded.
	Test(ctx context.Context, e *event.Endpoint, ev *event.Event) (event.Attempt, error)
	// Targets returns the endpoints that an event is for.
	Targets(ctx context.Context, ev *event.Event) ([]*event.Endpoint, error)
	Explainer
	Previewer
	Replays
}

// Log reads events and attempts (package store).
type Log interface {
	Event(ctx context.Context, tenant event.TenantID, id string) (event.Event, error)
	Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error)
	// Changes returns events with version > after in version order with the log's bounds: oldest kept version and head.
	Changes(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (list []event.Event, oldest, head int64, err error)
	// Newest returns events with version < before, newest first; before 0 starts at the head.
	Newest(ctx context.Context, tenant event.TenantID, before int64, limit int) ([]event.Event, error)
	VersionAt(ctx context.Context, tenant event.TenantID, t time.Time) (int64, error)
	AttemptsOfEvent(ctx context.Context, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error)
	AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error)
	// OutcomesOfEndpoint is AttemptsOfEndpoint of all verdicts, for counting.
	OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (list []event.Outcome, next int64, err error)
	// AttemptAt returns the ID of about the first attempt that ended at or after a time.
	AttemptAt(ctx context.Context, t time.Time) (int64, error)
	DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error)
}

// Answers keeps the answers of writes made with an Idempotency-Key (package store, through app).
type Answers interface {
	Answer(ctx context.Context, scope, key string) (Answer, error)
	SaveAnswer(ctx context.Context, scope, key string, a Answer) error
}

// Answer is a saved answer.
type Answer struct {
	Fingerprint [32]byte
	Status      int
	Header      map[string]string
	Body        []byte
	At          time.Time
}
