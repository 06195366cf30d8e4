package event

import "time"

// SourceID identifies a source inside a store. A source that is deleted and made again gets another one.
type SourceID int64

// NewSourceID returns a random source id.
func NewSourceID() SourceID { return SourceID(randomID()) }

// What of a source's requests is kept in its bin.
const (
	InspectNone    = ""        // nothing
	InspectRefused = "refused" // what was refused, and why
	InspectAll     = "all"     // everything
)

// How a source tells that a request came before.
const (
	DedupeID   = "id"   // by the provider's delivery id, where it gives one (the default)
	DedupeBody = "body" // by the SHA-256 of the body
	DedupeNone = "none" // not at all
)

// Limits of a source.
const (
	MaxSourceSecrets  = 10
	MaxSourceFields   = 100
	MaxSourceAnswer   = 8 << 10 // bytes of an answer's body
	MaxSyncTimeout    = 30 * time.Second
	DefaultSyncWait   = 10 * time.Second
	MaxSourceSettings = 20
)

// Source is where another system's webhooks arrive. It is immutable once read from a store.
type Source struct {
	ID     SourceID
	Tenant TenantID
	// Name is the handle in URLs, unique in its tenant: [a-z0-9][a-z0-9_-]{0,62}.
	Name        string
	Description string
	// Provider names the rule by which requests are verified and read (package receiver).
	Provider string
	// Sealed holds SourceSecrets encrypted, bound to this source.
	Sealed []byte
	// Map makes the event from the request.
	Map SourceMap
	// Dedupe is DedupeID, DedupeBody or DedupeNone.
	Dedupe string
	// Answer replaces the provider's answer to an accepted request; a zero Status: it does not.
	Answer Answer
	// Sync, not 0, is the endpoint whose answer the caller gets, when it comes within SyncWait.
	Sync     EndpointID
	SyncWait time.Duration
	// Tolerance is how far the time that a signature names may be from now; 0: the provider's rule.
	Tolerance time.Duration
	// Allow lists networks (CIDR) from which requests may come; empty: any.
	Allow []string
	// Inspect is InspectNone, InspectRefused or InspectAll; Bin is the id of the bin where these requests are kept.
	Inspect  string
	Bin      string
	Disabled bool
	Metadata map[string]string
	Created  time.Time
	Updated  time.Time
	Revision int64 // counts changes, the source of the ETag
}

// SourceMap says how a request becomes an event. Members that are empty leave it to the provider. Expressions are CEL over body
// (the parsed JSON, form or XML), text (the body as it is), headers (lower-case names), query, method and path.
type SourceMap struct {
	Type, ID, Subject, Key, Time, Data string
	// Accept is an expression that must be true, or the request is answered and left out.
	Accept string
	// Fields makes the data without code: the member's name → where its value is, such as "Email" or "customer.email"; a
	// value that begins with "=" is taken as it is. Data and Fields exclude each other.
	Fields map[string]string
}

// SourceSecrets is what a source keeps encrypted at rest.
type SourceSecrets struct {
	// Secrets verify requests; any of those that have not expired does.
	Secrets []SigningSecret `json:"secrets,omitempty"`
	// Settings are what else the provider needs, by name, such as verify_token.
	Settings map[string]string `json:"settings,omitempty"`
}
