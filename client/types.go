package client

import (
	"encoding/json"
	"time"
)

// Tenant is an isolated log with its endpoints, keys and limits.
type Tenant struct {
	Name         string            `json:"name" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" patternDescription:"1 to 63 of a-z, 0-9, _ and -, not starting with _ or -" doc:"The handle in URLs; it cannot be changed"`
	Description  string            `json:"description,omitempty" doc:"For people"`
	PublishRate  float64           `json:"publish_rate,omitempty" minimum:"0" doc:"The most events a second; absent: the server's default"`
	MaxEndpoints int               `json:"max_endpoints,omitempty" minimum:"0" doc:"The most endpoints; absent: the server's default"`
	Metadata     map[string]string `json:"metadata,omitzero" doc:"Yours to use"`
	Created      time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated      time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// Endpoint is where Posthorn pushes events to.
type Endpoint struct {
	ID          string   `json:"id,omitempty" required:"true" readOnly:"true" doc:"Given by the server"`
	URL         string   `json:"url" doc:"Where to send, http or https"`
	Kind        string   `json:"kind,omitempty" enum:"webhook,flexibee,tunnel" doc:"How to send; default webhook. flexibee: a hook of the FlexiBee-compatible interface, which makes it; it can be changed here but keeps its form. tunnel: a listener's own port, reached through its connection; tunnels make it, and its url is tunnel: and the tunnel's name"`
	Description string   `json:"description,omitempty" doc:"For people"`
	Types       []string `json:"types,omitzero" doc:"Patterns of event types such as order.paid, order.* (one more segment) and order.** (any number more); empty: every type"`
	Filter      string   `json:"filter,omitempty" doc:"A CEL expression over the event's attributes and data that must be true"`
	Channels    []string `json:"channels,omitzero" doc:"Only events that name one of these channels"`
	Changed     []string `json:"changed,omitzero" doc:"Only events whose data say that one of these members changed, in data.changed or data.previous, or do not say what changed; empty: whatever changed"`
	// Start is read when the endpoint is made; 0: what comes. Updates may leave it out and cannot change it.
	Start       int64             `json:"start,omitempty" minimum:"1" doc:"The first version that it gets; absent when it is made: what comes. It cannot be changed"`
	Order       string            `json:"order,omitempty" enum:"none,key,strict" doc:"none: best effort. key: events of one key in version order. strict: all in version order. Default none"`
	Payload     string            `json:"payload,omitempty" enum:"full,thin" doc:"thin: id, type, subject, version and a URL instead of the data. Default full"`
	Envelope    string            `json:"envelope,omitempty" enum:"standard,cloudevents,cloudevents-binary,raw,flexibee,original" doc:"The form of the body; default standard (Standard Webhooks). original: the request that came in through a source, sent on as it was: method, path after the source's address, query, headers and body; raw for other events. flexibee: of the kind flexibee only"`
	Format      string            `json:"format,omitempty" enum:"json,xml" doc:"Default json. xml: of the kind flexibee only"`
	Batch       *Batch            `json:"batch,omitempty" doc:"Several events in one request; absent: one event a request"`
	Headers     map[string]string `json:"headers,omitzero" doc:"Custom request headers. Shown to keys that may manage only"`
	Auth        *Auth             `json:"auth,omitempty" doc:"Credentials sent with each request"`
	Signing     string            `json:"signing,omitempty" enum:"standard,standard-v1a,none" doc:"standard: HMAC-SHA256 (v1). standard-v1a: Ed25519. Default standard"`
	Timeout     Duration          `json:"timeout,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 30s or 5m" example:"30s" doc:"Bounds one attempt; absent: the server's default, 30s unless configured"`
	Retries     []Duration        `json:"retries,omitzero" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 30s or 5m" doc:"The waits between tries, such as [\"5s\",\"5m\"]; absent or empty: the server's schedule"`
	Forever     bool              `json:"forever,omitempty" doc:"Repeat until it succeeds: the last wait of the schedule again and again; neither 410 nor failing for long disables the endpoint"`
	Profile     string            `json:"profile,omitempty" enum:"default,flexibee" doc:"How long it is left alone when it fails as a whole. default: 5 s, doubled by each failure up to 1 h. flexibee: 10 to 180 s for any fault, as the FlexiBee-compatible interface says. Default default"`
	RateLimit   float64           `json:"rate_limit,omitempty" minimum:"0" doc:"The most requests a second; absent: no limit"`
	Concurrency int               `json:"concurrency,omitempty" minimum:"0" doc:"The most requests at once; absent: the server's default"`
	Disabled    bool              `json:"disabled" required:"false" doc:"Nothing is sent while true; what comes in waits in the log"`
	// DisabledReason is "paused", "gone" (the endpoint answered 410), "failing" (it failed for too long) or "changelog" (a
	// hook of the kind flexibee, while the tenant's changelog is off).
	DisabledReason string            `json:"disabled_reason,omitempty" readOnly:"true" doc:"paused, gone (it answered 410), failing (it failed for too long) or changelog (a hook, while the tenant's changelog is off)"`
	Metadata       map[string]string `json:"metadata,omitzero" doc:"Yours to use"`
	State          *EndpointState    `json:"state,omitempty" readOnly:"true" doc:"What its deliveries are doing: in the answer to GET of one endpoint, and in lists with state=true"`
	Created        time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated        time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// Batch lets several events share one request.
type Batch struct {
	Max      int      `json:"max,omitempty" minimum:"1" maximum:"200" doc:"The most events in a request"`
	Wait     Duration `json:"wait,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 1s" doc:"How long a first event may wait for others, at most 60s"`
	Coalesce bool     `json:"coalesce,omitempty" doc:"Keep only the newest event of each key within a batch"`
}

// Auth is how an endpoint is told who calls. Password and Token are never shown; leaving them out of an update keeps
// the stored ones while the type, the username and the URL's host stay the same.
type Auth struct {
	Type     string `json:"type" enum:"basic,bearer" doc:"The scheme of the Authorization header"`
	Username string `json:"username,omitempty" doc:"For basic"`
	Password string `json:"password,omitempty" writeOnly:"true" doc:"For basic; never shown"`
	Token    string `json:"token,omitempty" writeOnly:"true" doc:"For bearer; never shown"`
}

// EndpointState is what an endpoint's deliveries are doing.
type EndpointState struct {
	Lane    string `json:"lane" enum:"live,backlog,waiting" doc:"live: up to date. backlog: catching up from the log. waiting: see waiting"`
	Waiting string `json:"waiting,omitempty" doc:"Why it waits: penalty, paused, gone, failing, changelog, offline (nobody is connected to the tunnel), or retries (too many retries are due)"`
	// Backlog counts versions: an upper bound of the events still to be delivered.
	Backlog      int64      `json:"backlog" doc:"Versions between its place and the log's head: an upper bound of what is still to be delivered"`
	OldestAt     *time.Time `json:"oldest_at,omitempty" doc:"When the first event of the backlog was received"`
	Retries      int        `json:"retries" doc:"Events that failed and are to be tried again"`
	InFlight     int        `json:"in_flight" doc:"Requests under way"`
	Penalty      Duration   `json:"penalty,omitempty" doc:"The wait earned by failing"`
	PenaltyUntil *time.Time `json:"penalty_until,omitempty" doc:"When the penalty ends"`
	FailingSince *time.Time `json:"failing_since,omitempty" doc:"When the run of failures began"`
	Failures     int        `json:"failures" doc:"Failures in a row"`
	LastAttempt  *time.Time `json:"last_attempt,omitempty" doc:"When the newest recorded attempt was made; not in lists"`
	Replays      []Replay   `json:"replays,omitempty" doc:"Replays under way"`
}

// EventType is a catalogued event type. Events of types that are not catalogued are accepted as they are.
type EventType struct {
	Name        string `json:"name" doc:"Such as order.paid; it cannot be changed"`
	Description string `json:"description,omitempty" doc:"For people"`
	// Schema is a JSON Schema that the data of every event of this type must satisfy.
	Schema   json.RawMessage   `json:"schema,omitempty" doc:"A JSON Schema that the data of every event of this type must satisfy; absent: none"`
	Examples []json.RawMessage `json:"examples,omitempty" doc:"Sample data"`
	Archived bool              `json:"archived" required:"false" doc:"No longer in use; for people"`
	Created  time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated  time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// APIKey is a bearer key of the API: for everything (Admin), or for one tenant.
type APIKey struct {
	ID     string   `json:"id,omitempty" required:"true" readOnly:"true" doc:"Given by the server"`
	Name   string   `json:"name" minLength:"1" maxLength:"200" doc:"For people"`
	Admin  bool     `json:"admin,omitempty" doc:"May do everything; instead of tenant and allow"`
	Tenant string   `json:"tenant,omitempty" doc:"The tenant that it is for"`
	Allow  []string `json:"allow,omitempty" enum:"publish,read,manage" doc:"What it may do there; manage includes read"`
	// Expires ends the key; nil: never.
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends; absent: never"`
	Hint    string     `json:"hint,omitempty" readOnly:"true" doc:"The key's first characters, to tell keys apart"`
	Created time.Time  `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	// Key is the key itself, in the answers to its creation and to a rotation only.
	Key string `json:"key,omitempty" readOnly:"true" doc:"The key itself, in the answers to its creation and to a rotation only"`
	// PreviousExpires is when the key before a rotation ends; nil when there is none.
	PreviousExpires *time.Time `json:"previous_expires,omitempty" readOnly:"true" doc:"When the key from before the last rotation ends; absent: it has ended, or there is none"`
}

// KeyRotation asks for a new key in place of an API key.
type KeyRotation struct {
	Overlap *Duration `json:"overlap,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 1h" doc:"How long the key from before goes on working too: 0s (it ends at once) to 720h, default 24h"`
}

// Attempt is one try to deliver one event, or one batch, to one endpoint.
type Attempt struct {
	ID       string  `json:"id" doc:"Ascends with time"`
	Event    string  `json:"event" doc:"The webhook-id sent: the event's id, or the batch's"`
	Endpoint string  `json:"endpoint" doc:"The endpoint's id"`
	Version  int64   `json:"version" doc:"The event's version; the first one of a batch"`
	Versions []int64 `json:"versions,omitempty" doc:"All versions of a batch of several"`
	Number   int     `json:"number" doc:"Counts the tries of this delivery from 1"`
	// At is when it began.
	At         time.Time `json:"at" doc:"When it began"`
	Status     int       `json:"status" doc:"The HTTP status of the answer; 0 when there was none"`
	Verdict    string    `json:"verdict" enum:"delivered,retry,failed,gone" doc:"delivered: 2xx. retry: to be tried again. failed: finally failed. gone: the endpoint answered 410"`
	DurationMS float64   `json:"duration_ms" doc:"From dial to the last byte of the answer"`
	Response   *Response `json:"response,omitempty" doc:"The answer"`
	Error      string    `json:"error,omitempty" doc:"Why there was no answer, for people"`
	// Cause is stable, for programs; empty when there was an answer.
	Cause string `json:"cause,omitempty" enum:"dns,refused,unreachable,closed,timeout,busy,certificate,tls,forbidden,not_http,offline,unsendable,other" doc:"Why there was no answer, in one stable word; absent when there was one"`
	// NextAt is when the next try is due; nil when there is none.
	NextAt *time.Time `json:"next_at,omitempty" doc:"When the next try is due"`
}

// Response is what an endpoint answered.
type Response struct {
	Headers map[string]string `json:"headers,omitempty" doc:"The answer's headers"`
	Body    string            `json:"body,omitempty" doc:"The answer's body, at most 4 KiB of it"`
}

// DeadLetter is an event that finally failed for an endpoint.
type DeadLetter struct {
	Version int64     `json:"version" doc:"The event's version"`
	Event   string    `json:"event,omitempty" doc:"The event's id; absent when the event is no longer on the log"`
	Type    string    `json:"type,omitempty" doc:"The event's type"`
	At      time.Time `json:"at" doc:"When it finally failed"`
	Reason  string    `json:"reason" doc:"Why, such as: schedule ended"`
}

// Secret is an endpoint's signing secrets.
type Secret struct {
	Secret string `json:"secret" doc:"The current one: whsec_… (v1) or whsk_… (v1a)"`
	// PublicKey is what receivers verify with when the signing is standard-v1a.
	PublicKey string `json:"public_key,omitempty" doc:"whpk_…, what receivers verify with (v1a)"`
	// Previous still sign too, until they expire.
	Previous []PreviousSecret `json:"previous,omitempty" doc:"Older ones that still sign too"`
}

// PreviousSecret is an older signing secret within the overlap of a rotation.
type PreviousSecret struct {
	Secret  string    `json:"secret" doc:"whsec_… or whsk_…"`
	Expires time.Time `json:"expires" doc:"When it stops signing"`
}

// Rotation asks for a new signing secret.
type Rotation struct {
	Secret  string    `json:"secret,omitempty" doc:"The new one; absent: made by the server"`
	Overlap *Duration `json:"overlap,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 24h" doc:"How long the old one goes on signing too; default 24h, at most 720h, 0s: it stops at once"`
}

// ResendRequest says where to send an event again.
type ResendRequest struct {
	Endpoint string `json:"endpoint,omitempty" doc:"The endpoint's id; absent: every endpoint that the event is for"`
}

// Resent says where an event is being sent again.
type Resent struct {
	Event     string   `json:"event" doc:"The event's id"`
	Version   int64    `json:"version" doc:"The event's version"`
	Endpoints []string `json:"endpoints" doc:"The endpoints"`
}

// TestRequest describes a test event; all of it is optional.
type TestRequest struct {
	Type string          `json:"type,omitempty" doc:"The event's type; default posthorn.test"`
	Data json.RawMessage `json:"data,omitempty" doc:"The event's data; default a short text"`
}

// TestResult is what an endpoint answered to a test event.
type TestResult struct {
	Status     int               `json:"status" doc:"The HTTP status; 0 when there was no answer"`
	Headers    map[string]string `json:"headers,omitempty" doc:"The answer's headers"`
	Body       string            `json:"body,omitempty" doc:"The answer's body, at most 4 KiB of it"`
	DurationMS float64           `json:"duration_ms" doc:"From dial to the last byte of the answer"`
	Verdict    string            `json:"verdict" enum:"delivered,retry,failed,gone" doc:"How the answer would be judged"`
	Error      string            `json:"error,omitempty" doc:"Why there was no answer, for people"`
	// Cause is stable, for programs; empty when there was an answer.
	Cause string `json:"cause,omitempty" enum:"dns,refused,unreachable,closed,timeout,busy,certificate,tls,forbidden,not_http,offline,unsendable,other" doc:"Why there was no answer, in one stable word; absent when there was one"`
}

// Stats are figures over an endpoint's newest recorded attempts: at most 10,000 of them, within the window.
type Stats struct {
	// Endpoint is set where figures of several endpoints were asked for.
	Endpoint string   `json:"endpoint,omitempty" doc:"The endpoint's id, where figures of several were asked for"`
	Window   Duration `json:"window" doc:"What was asked for"`
	// From is the time of the oldest attempt counted.
	From     *time.Time `json:"from,omitempty" doc:"The time of the oldest attempt counted"`
	Attempts int        `json:"attempts" doc:"How many attempts are counted"`
	// Complete is false when the window holds more attempts than are counted.
	Complete    bool       `json:"complete" doc:"false when the window holds more attempts than are counted"`
	Delivered   int        `json:"delivered" doc:"Attempts by verdict"`
	Retry       int        `json:"retry" doc:"Attempts by verdict"`
	Failed      int        `json:"failed" doc:"Attempts by verdict"`
	Gone        int        `json:"gone" doc:"Attempts by verdict"`
	SuccessRate float64    `json:"success_rate" doc:"delivered by attempts, 0 to 1; 0 when there are none"`
	Latency     Latency    `json:"latency_ms" doc:"Of the attempts that got an answer"`
	LastAttempt *time.Time `json:"last_attempt,omitempty" doc:"When the newest attempt was made, also when it is older than the window"`
	// Series is there when buckets were asked for. It covers the whole window, also where that holds more attempts than are counted.
	Series []StatsBucket `json:"series,omitempty" doc:"By time, the oldest first, when buckets were asked for: the whole window, also what is older than the attempts counted above"`
}

// Latency holds percentiles in milliseconds.
type Latency struct {
	P50 float64 `json:"p50" doc:"The median"`
	P95 float64 `json:"p95" doc:"95 % are as fast or faster"`
	P99 float64 `json:"p99" doc:"99 % are as fast or faster"`
}

// BackupRequest asks for a copy of the data.
type BackupRequest struct {
	// Dir is the absolute path of a new or empty folder of the server's machine.
	Dir string `json:"dir" doc:"The absolute path of a new or empty folder of the server's machine"`
}

// BackupLine is a line of the answer to a backup: progress, and at last the end or the error.
type BackupLine struct {
	Done  int64    `json:"done,omitempty" doc:"Pages copied"`
	Total int64    `json:"total,omitempty" doc:"Pages to copy"`
	Dir   string   `json:"dir,omitempty" doc:"The folder, when the copy is complete"`
	Error *Problem `json:"error,omitempty" doc:"Why there is no copy"`
}
