package event

import (
	"encoding/json"
	"slices"
	"time"
)

// EndpointID identifies an endpoint; its public form is "ep_" and 13 characters ([EndpointID.String]).
type EndpointID int64

// Order is the promise an endpoint makes about the order of its events.
type Order string

// Orders.
const (
	OrderNone   Order = "none"   // best effort; a failing event blocks nothing
	OrderKey    Order = "key"    // events of one key in version order; a failing event blocks its key
	OrderStrict Order = "strict" // all events in version order; a failing event blocks the endpoint
)

// Payload says how much of an event is sent.
type Payload string

// Payloads.
const (
	PayloadFull Payload = "full"
	PayloadThin Payload = "thin" // id, type, subject, version and a URL; the receiver reads the rest from the API
)

// Envelope is the form in which an event is sent.
type Envelope string

// Envelopes.
const (
	EnvelopeStandard          Envelope = "standard"           // Standard Webhooks: {"type","timestamp","data"}
	EnvelopeCloudEvents       Envelope = "cloudevents"        // CloudEvents structured (batched when several)
	EnvelopeCloudEventsBinary Envelope = "cloudevents-binary" // CloudEvents binary: ce-* headers, data as the body
	EnvelopeRaw               Envelope = "raw"                // data as the body, nothing else
	EnvelopeFlexiBee          Envelope = "flexibee"           // a list of changes as FlexiBee's Changes API shows it
	EnvelopeOriginal          Envelope = "original"           // the request that came in through a source, sent on as it was; raw for other events
)

// Kinds of endpoints.
const (
	KindWebhook  = "webhook"
	KindFlexiBee = "flexibee" // a hook of the FlexiBee-compatible interface: gets only events that are a [RecordChange]
	KindTunnel   = "tunnel"   // a listener's own port, reached through its connection; URL is "tunnel:" and the tunnel's name
)

// Formats of bodies.
const (
	FormatJSON = "json"
	FormatXML  = "xml"
)

// Profiles of penalties; what they say is with the lanes.
const (
	ProfileDefault  = "default"
	ProfileFlexiBee = "flexibee"
)

// Batch lets several events share one request.
type Batch struct {
	// Max is the most events in a request, 1 to 200; 0 and 1 mean no batches.
	Max int
	// Wait is how long a first event may wait for others, at most 60 s.
	Wait time.Duration
	// Coalesce keeps only the newest event of each key within a batch.
	Coalesce bool
}

// Endpoint is where Posthorn pushes to. It is immutable once read from a store; changes make a new value.
type Endpoint struct {
	ID          EndpointID
	Tenant      TenantID
	URL         string
	Kind        string // KindWebhook, KindFlexiBee or KindTunnel
	Description string
	Types       []string // patterns, see package match; empty means every type
	Channels    []string // empty: events without and with any channel… see package match
	Filter      string   // CEL, or empty
	// Changed are names of members of the data: an event whose data say what changed, and name none of these, is not for
	// the endpoint. Empty: whatever changed. See package match.
	Changed  []string
	Order    Order
	Payload  Payload
	Envelope Envelope
	Format   string // FormatJSON or FormatXML
	Batch    Batch
	Signing  string // "standard" (v1), "standard-v1a", or "none"
	AuthType string // "", "basic" or "bearer"; the credentials are in Sealed
	// Timeout bounds one attempt from dial to the last byte of the answer; 0 means the server's default.
	Timeout time.Duration
	// Retries is the schedule of waits between tries; nil means the server's default.
	Retries []time.Duration
	// Forever repeats a delivery until it succeeds: the last wait of the schedule is used again and again, no answer and no
	// length of time disables the endpoint, and 410 is an answer like other 4xx.
	Forever bool
	// Profile names how the endpoint is penalised when it fails as a whole: ProfileDefault (also when empty) or ProfileFlexiBee.
	Profile string
	// RateLimit is the most requests a second, 0 for no limit.
	RateLimit float64
	// Concurrency is the most requests at once; 0 means the default.
	Concurrency int
	// Disabled stops deliveries; the backlog waits in the log.
	Disabled bool
	// DisabledReason is "paused", "gone", "failing" or "changelog" while Disabled.
	DisabledReason string
	Metadata       map[string]string
	// Sealed holds Secrets (signing secrets, credentials, custom headers) encrypted, bound to this endpoint.
	Sealed []byte
	// Start is the tenant's version when the endpoint was made, or the older one that it was told to begin after: only
	// later events are for it.
	Start    int64
	Created  time.Time
	Updated  time.Time
	Revision int64 // counts changes, the source of the ETag
}

// Secrets is what an endpoint keeps encrypted at rest.
type Secrets struct {
	Signing []SigningSecret `json:"signing,omitempty"`
	Headers []Header        `json:"headers,omitempty"`
	Auth    *Credentials    `json:"auth,omitempty"`
}

// SigningSecret is one signing secret of an endpoint. Several are valid during a rotation.
type SigningSecret struct {
	Secret string `json:"secret"` // whsec_… or whsk_…
	// Expires ends an old secret's overlap; zero for the current one.
	Expires time.Time `json:"expires,omitzero"`
}

// Header is a custom request header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Credentials are sent with each request: basic (Username, Password) or bearer (Token).
type Credentials struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
}

// Tenant is an isolated log with its endpoints, keys and limits.
type Tenant struct {
	ID          TenantID
	Name        string // the handle in URLs: [a-z0-9][a-z0-9_-]{0,62}
	Description string
	// PublishRate is the most events a second; 0 means the server's default.
	PublishRate float64
	// MaxEndpoints caps the endpoints; 0 means the server's default.
	MaxEndpoints int
	Metadata     map[string]string
	// Changelog shows the log as FlexiBee's Changes API, and lets hooks be registered.
	Changelog bool
	Created   time.Time
	Updated   time.Time
	Revision  int64
}

// Type is a catalogued event type. Events of types that are not catalogued are accepted as they are.
type Type struct {
	Tenant      TenantID
	Name        string
	Description string
	// Schema is a JSON Schema that the data of every event of this type must satisfy; empty for none.
	Schema json.RawMessage
	// Examples are sample data, shown to people.
	Examples []json.RawMessage
	Archived bool
	Created  time.Time
	Updated  time.Time
	Revision int64
}

// Permission is one thing that an API key may do in its tenant.
type Permission string

// Permissions.
const (
	AllowPublish Permission = "publish"
	AllowRead    Permission = "read"
	AllowManage  Permission = "manage"
	// AllowPortal lets the bearer of a token do what a tenant's portal does: see its events and manage its webhooks.
	// AllowPortalRead shows the same and changes nothing. They stand alone, and API keys have neither.
	AllowPortal     Permission = "portal"
	AllowPortalRead Permission = "portal-read"
)

// APIKey is a bearer key of the API. The key itself is never stored, only its SHA-256.
type APIKey struct {
	ID   int64
	Name string
	// Hash is the SHA-256 of the key, which carries 256 random bits.
	Hash [32]byte
	// Hint is the key's first characters, to tell keys apart.
	Hint string
	// Admin keys may do everything; others belong to one Tenant.
	Admin   bool
	Tenant  TenantID
	Allow   []Permission
	Created time.Time
	Expires time.Time // zero: never
	// Previous is the hash of the key from before the last rotation, which goes on working until PreviousExpires; both are
	// zero without one.
	Previous        [32]byte
	PreviousExpires time.Time

	// Token is the id of the short-lived token that this record stands for; empty for API keys. A token has no ID and no Hash.
	Token string
	// Only narrows what a token may publish and read, nil: everything that Allow names. API keys are never narrowed.
	Only *Selection

	// Kind says what the caller is, for those who are told who did something: [ByRoot], [ByKey], [ByToken] or [ByUser].
	// It is set where callers are authenticated and is not stored; [APIKey.Who] goes with it. Name is that of the key or of
	// the person; tokens have none.
	Kind string
	// User identifies the person who signed in, for as long as the provider of identities knows them; empty for all others.
	// A person has no ID, no Hash and no Token.
	User string
	// Session is the id of the browser session that the request belongs to, empty without one. It is not the secret in the
	// cookie. A session begun with an API key has the key's ID, Hash and permissions, too.
	Session string
	// Grants are what a person may do in which tenants; others have none. Of a person, Tenant and Allow hold what counts
	// for the request's tenant ([APIKey.In]) once that is known, and nothing before.
	Grants []Grant
}

// Portal reports whether this is the token of a portal, which counts on the routes of portals only.
func (k *APIKey) Portal() bool {
	return slices.Contains(k.Allow, AllowPortal) || slices.Contains(k.Allow, AllowPortalRead)
}

// The kinds of callers. BySystem is for what the server does by itself; nobody calls as that.
const (
	ByRoot   = "root"   // the root key
	ByKey    = "apikey" // another API key
	ByToken  = "token"  // a short-lived token
	ByUser   = "user"   // a person who signed in through a provider of identities
	BySystem = "system"
)

// RootKeyID is the id of the root key's record; ids that are made are above 2^40.
const RootKeyID = 1

// Grant is what a person may do in a tenant.
type Grant struct {
	// Tenant is 0 for every tenant.
	Tenant TenantID
	Allow  []Permission
}

// Identify sets Kind from the other fields when it is empty.
func (k *APIKey) Identify() {
	switch {
	case k.Kind != "":
	case k.User != "":
		k.Kind = ByUser
	case k.Token != "":
		k.Kind = ByToken
	case k.ID == RootKeyID:
		k.Kind = ByRoot
	default:
		k.Kind = ByKey
	}
}

// Who returns the caller's id as it is shown: an API key's, a token's or a person's.
func (k *APIKey) Who() string {
	switch {
	case k.User != "":
		return k.User
	case k.Token != "":
		return k.Token
	default:
		return FormatAPIKeyID(k.ID)
	}
}

// In returns the record as it counts in a tenant: a person's with the permissions that their grants give there, another's
// as it is.
func (k *APIKey) In(tenant TenantID) APIKey {
	out := *k
	if k.User == "" {
		return out
	}
	out.Tenant, out.Allow = tenant, nil
	for _, g := range k.Grants {
		if g.Tenant != 0 && g.Tenant != tenant {
			continue
		}
		for _, p := range g.Allow {
			if !slices.Contains(out.Allow, p) {
				out.Allow = append(out.Allow, p)
			}
		}
	}
	return out
}
