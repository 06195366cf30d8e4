// Package store is the contract between Posthorn and its databases: the log of events, and the state of everything
// else. Implementations are sqlite (embedded) and later postgres; storetest holds every one of them to this text.
//
// Rules for every method. It is one complete use: no transaction, SQL or dialect shows through. When it returns nil its
// effect survives a kill -9 and a power cut; when it returns an error it either had its whole effect or none, and the
// caller may try again. Times are UTC in µs and come from the caller. Returned values may be kept; slices and events
// must not be changed. A node reads its own writes. Every method is safe for concurrent use and ends early with the
// context's error when its context ends while it waits; an effect already under way may still come to be.
//
// Errors: [ErrFull] when the disk is full, [ErrFenced] when a lease is no longer held, [ErrClosed] after Close, and
// [event.Error] of KindNotFound, KindConflict or KindPrecondition where a method says so.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Errors that every implementation returns, wrapped.
var (
	// ErrFull: no space is left. Nothing was changed; the same call succeeds once there is space.
	ErrFull = errors.New("store: no space left")
	// ErrFenced: the lease named in the call is no longer held; nothing was changed.
	ErrFenced = errors.New("store: lease lost")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrCorrupt: the database file is damaged or is not one of ours.
	ErrCorrupt = errors.New("store: database damaged")
	// ErrNewer: the database was written by a newer Posthorn.
	ErrNewer = errors.New("store: database is from a newer version")
	// ErrInUse: another process holds the data folder.
	ErrInUse = errors.New("store: data folder in use")
)

// AppendRequest is one publish: all its events become visible together, or none.
type AppendRequest struct {
	Tenant event.TenantID
	// Events have everything but Seq, Version and Received, which Append gives.
	Events []event.Event
	// IdempotencyKey, when not empty, makes the whole request repeatable within the tenant: a second request with the
	// same key and Fingerprint returns the first answer; one with another Fingerprint is KindConflict with the code
	// "idempotency_key_reused" and nothing is stored.
	IdempotencyKey string
	// Fingerprint is a hash of the request's content.
	Fingerprint [32]byte
}

// Page is a part of one tenant's log, in version order.
type Page struct {
	Events []event.Event
	// Oldest and Head are the first and last version on the log at the time of reading; Head is 0 on an empty log that
	// never had events, and Oldest is Head+1 when all were deleted.
	Oldest, Head int64
	// Through is the partition's last Seq known to the same read when Events reaches Head, else the last event's Seq:
	// every event of the tenant up to Seq Through has been returned by this or an earlier page.
	Through int64
}

// Log is the durable log of events of all tenants.
//
// A tenant's events live in one partition. Seq ascends within a partition without being dense and becomes visible in
// order: a reader that has seen Seq n never finds a lower one later. Version is dense per tenant. The embedded store
// has one partition, 0.
type Log interface {
	// Append stores a request's events and returns a receipt for each, in order. An event whose ID is already on the
	// tenant's log, or earlier in the same request, is not stored again: its receipt is the first one, marked Duplicate.
	// Append, dedupe by id, idempotency key and versions are one atomic step. Callers are committed in groups.
	Append(ctx context.Context, now time.Time, req AppendRequest) ([]event.Receipt, error)
	// Event returns one event by id (KindNotFound).
	Event(ctx context.Context, tenant event.TenantID, id string) (event.Event, error)
	// Events returns the events of the given versions that are still on the log, in the order asked, at most 1,000.
	Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error)
	// ReadTenant returns events with version > after, at most limit and about maxBytes (at least one event).
	ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (Page, error)
	// ReadTenantBack returns events with version < before, newest first (before 0: from the head).
	ReadTenantBack(ctx context.Context, tenant event.TenantID, before int64, limit int) (Page, error)
	// ReadPartition returns events of all tenants with Seq > after, in Seq order, at most limit and about maxBytes.
	ReadPartition(ctx context.Context, partition int, after int64, limit, maxBytes int) ([]event.Event, error)
	// Bounds returns the oldest and the last version of a tenant's log as [Page] does.
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
	// VersionAt returns the first version received at or after t; head+1 when there is none.
	VersionAt(ctx context.Context, tenant event.TenantID, t time.Time) (int64, error)
	// Appended returns a channel that is closed at the next append to the partition: a hint to read again.
	Appended(partition int) <-chan struct{}
	// TrimLog deletes a small batch (at most limit) of the oldest events: those received before Before, or, while the log
	// holds more than MaxBytes, the oldest ones; never one with Seq > Keep that was received at or after KeepSince.
	// It returns how many were deleted; fewer than limit means that it is done for now.
	TrimLog(ctx context.Context, policy TrimPolicy, limit int) (int, error)
	// DeleteTenantEvents deletes a small batch of a deleted tenant's events and returns how many.
	DeleteTenantEvents(ctx context.Context, tenant event.TenantID, limit int) (int, error)
	// LogStats returns counts for metrics; events may be an estimate.
	LogStats(ctx context.Context) (LogStats, error)
}

// TrimPolicy says what of the log may go.
type TrimPolicy struct {
	Before   time.Time // zero: no limit by age
	MaxBytes int64     // 0: no limit by size
	// Keep protects events that lanes have still to deliver: those with Seq > Keep stay …
	Keep int64
	// … unless they were received before KeepSince (backlog_max_age).
	KeepSince time.Time
}

// LogStats are figures about the log.
type LogStats struct {
	Events, Bytes int64
	Oldest        time.Time // when the oldest event was received; zero when empty
}

// Lease is a node's hold on one shard: a slice of the endpoints over one partition of the log. Everything that a
// follower or a lane saves names it. The embedded store has one shard and grants it to its only node.
type Lease struct {
	Shard, Partition int
	// Epoch ascends with each grant of the shard; a save with an older one is refused with ErrFenced.
	Epoch int64
	// Position is the follower's saved position: every event up to this Seq is settled.
	Position int64
}

// Record is what lanes and the follower save, in one atomic step.
type Record struct {
	Lease Lease
	// Position is the follower's new position; never below the saved one.
	Position    int64
	Attempts    []event.Attempt // ID is given by the store, in this order
	Retries     []event.Retry   // upserted by lane and first version
	DropRetries []RetryKey
	Lanes       []event.LaneState // upserted by LaneKey
	DropLanes   []event.LaneKey
	Dead        []event.DeadLetter // upserted by endpoint and version
	DropDead    []DeadKey
}

// RetryKey identifies a retry row.
type RetryKey struct {
	event.LaneKey
	Version int64 // the first of its versions
}

// DeadKey identifies a dead letter.
type DeadKey struct {
	Endpoint event.EndpointID
	Version  int64
}

// Lanes keeps what delivery saves.
type Lanes interface {
	// Acquire takes or renews the shards that this node should hold. The embedded store grants all, with a new epoch at
	// each opening of the store.
	Acquire(ctx context.Context, node string, now time.Time, ttl time.Duration) ([]Lease, error)
	// SaveRecord stores a record, or nothing with ErrFenced. Records are committed in groups.
	SaveRecord(ctx context.Context, r Record) error
	// LoadLanes returns every saved lane state and retry of a shard.
	LoadLanes(ctx context.Context, l Lease) ([]event.LaneState, []event.Retry, error)
	// Attempted returns the endpoints that have an attempt at the given event.
	Attempted(ctx context.Context, tenant event.TenantID, version int64) ([]event.EndpointID, error)
	// AttemptsOfEvent returns attempts at an event, newest first, with ID < before (0: from the newest).
	AttemptsOfEvent(ctx context.Context, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error)
	// AttemptsOfEndpoint returns attempts of an endpoint, newest first, with ID < before (0: from the newest) and, unless
	// empty, one of the verdicts. It may look at a bounded number of rows only: next is the `before` to go on with, 0 at the end.
	AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error)
	// OutcomesOfEndpoint is AttemptsOfEndpoint, of all verdicts, for those who only count: it costs a small part of that.
	OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (list []event.Outcome, next int64, err error)
	// AttemptAt returns the ID of the first attempt, of any endpoint, that ended (At + Duration) at or after a time, one above
	// the last when none did. Attempts are numbered as they end, but for moments: it is found by bisection, so that among such
	// that are out of order it is one of the places where those before the time and those after it meet.
	AttemptAt(ctx context.Context, t time.Time) (int64, error)
	// DeadLetters returns an endpoint's dead letters with version > after, in version order.
	DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error)
	// TrimAttempts deletes a small batch of attempts and dead letters from before a time, and returns how many.
	TrimAttempts(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteEndpointState deletes a small batch of a deleted endpoint's lanes, retries, dead letters and attempts.
	DeleteEndpointState(ctx context.Context, e event.EndpointID, limit int) (int, error)
}

// Control keeps tenants, endpoints, event types, API keys and the keys of tokens.
//
// Puts take the revision that the caller saw: 0 creates (KindConflict when it exists), another must be the stored one
// (KindPrecondition when it is not, KindNotFound when the thing is gone). They return the value as stored, with its new
// Revision. Lists are in key order, after the given key, at most limit.
type Control interface {
	// PutTenant also gives the ID of a new tenant. Names are unique.
	PutTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error)
	Tenant(ctx context.Context, name string) (event.Tenant, error)
	Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error)
	// DeleteTenant deletes a tenant with its endpoints, queues, sources, event types and keys, and notes its events and attempts for deletion.
	DeleteTenant(ctx context.Context, id event.TenantID, revision int64) error
	// DeletedTenants returns tenants whose events are still to be deleted; ForgetTenant ends it.
	DeletedTenants(ctx context.Context) ([]event.TenantID, error)
	ForgetTenant(ctx context.Context, id event.TenantID) error

	// PutEndpoint creates or changes an endpoint; maxEndpoints > 0 caps how many its tenant may have (KindConflict, code
	// "too_many_endpoints").
	PutEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error)
	// AddEndpointBehind creates an endpoint, as PutEndpoint does with revision 0, together with the first state of its lane:
	// in backlog, its cursor at e.Start. So what is on the log after e.Start already is delivered too, also after a crash.
	AddEndpointBehind(ctx context.Context, e event.Endpoint, maxEndpoints int) (event.Endpoint, error)
	Endpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error)
	// Endpoints lists by id.
	Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error)
	// EndpointsByID returns those that exist, for lanes that start again.
	EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error)
	// DeleteEndpoint deletes an endpoint and notes its state for deletion.
	DeleteEndpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64) error
	// DeletedEndpoints returns endpoints whose state is still to be deleted; ForgetEndpoint ends it.
	DeletedEndpoints(ctx context.Context, limit int) ([]event.EndpointID, error)
	ForgetEndpoint(ctx context.Context, id event.EndpointID) error

	PutType(ctx context.Context, t event.Type, revision int64) (event.Type, error)
	Type(ctx context.Context, tenant event.TenantID, name string) (event.Type, error)
	Types(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error)
	DeleteType(ctx context.Context, tenant event.TenantID, name string, revision int64) error

	PutAPIKey(ctx context.Context, k event.APIKey) error
	// ReplaceAPIKey is PutAPIKey of a key that is there and whose Hash is still the given one (KindNotFound, KindPrecondition).
	ReplaceAPIKey(ctx context.Context, k event.APIKey, hash [32]byte) error
	// APIKeyByHash returns the key of a hash, also by its Previous one, whether that has ended or not.
	APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error)
	APIKey(ctx context.Context, id int64) (event.APIKey, error)
	APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error)
	DeleteAPIKey(ctx context.Context, id int64) error

	// PutTokenKey keeps a key that signs a tenant's tokens, in place of one with the same ID (KindNotFound without the tenant).
	PutTokenKey(ctx context.Context, k event.TokenKey) error
	// TokenKeys returns a tenant's keys, the oldest first; retired ones too, until they are trimmed.
	TokenKeys(ctx context.Context, tenant event.TenantID) ([]event.TokenKey, error)
	// RetireTokenKeys lets all of a tenant's keys but one end at a time, unless they end earlier.
	RetireTokenKeys(ctx context.Context, tenant event.TenantID, except string, at time.Time) error
	// TrimTokenKeys deletes a small batch of keys that ended before a time, and returns how many.
	TrimTokenKeys(ctx context.Context, before time.Time, limit int) (int, error)

	// Answer returns a saved answer to a write made with an Idempotency-Key (KindNotFound). The scope names the API key
	// and the route.
	Answer(ctx context.Context, scope, key string) (Answer, error)
	// SaveAnswer keeps an answer; a second one under the same scope and key is KindConflict.
	SaveAnswer(ctx context.Context, scope, key string, a Answer) error
	// TrimAnswers deletes a small batch of answers (also those of Append) from before a time.
	TrimAnswers(ctx context.Context, before time.Time, limit int) (int, error)
}

// Answer is what a repeated write gets again.
type Answer struct {
	Fingerprint [32]byte
	Status      int
	Header      map[string]string
	Body        []byte
	At          time.Time
}

// Store is a whole store.
type Store interface {
	Log
	Lanes
	Queues
	Control
	Sources
	Bins
	Audit
	Portals
	Sessions
	Overviews
	// Backup writes a consistent copy into an empty or new folder while the store goes on. progress may be nil; it is
	// called with pages done and in all.
	Backup(ctx context.Context, dir string, progress func(done, total int64)) error
	// Ready returns nil when the store can take writes: an error such as ErrFull otherwise.
	Ready(ctx context.Context) error
	// Observe sets the callback that hears of every group commit; set once, before use.
	Observe(func(Commit))
	// Close waits for what is under way and closes the files.
	Close() error
}

// Commit describes one group commit, for metrics.
type Commit struct {
	File    string // "log", "state" or "bins"
	Callers int
	Rows    int
	Took    time.Duration
}
