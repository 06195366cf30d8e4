package client

import "time"

// Source is where another system's webhooks arrive: verified by that system's rule, they become events.
type Source struct {
	Name        string `json:"name" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" patternDescription:"1 to 63 of a-z, 0-9, _ and -, not starting with _ or -" doc:"The handle in URLs; it cannot be changed"`
	Provider    string `json:"provider" doc:"Whose webhooks they are, such as github: one of GET /v1/providers; or token, hmac, basic, standard or none, for any sender"`
	Description string `json:"description,omitempty" doc:"For people"`
	// Secrets are written only: nil leaves those that are there, an empty list takes them away.
	Secrets     []string     `json:"secrets,omitzero" maxItems:"10" writeOnly:"true" doc:"What requests are verified with; any of them does. Absent in an update: those that are there stay; never shown"`
	SecretHints []SecretHint `json:"secret_hints,omitzero" readOnly:"true" doc:"The secrets that are there"`
	// Settings are what else the provider needs. Those that are secret are shown as "", which, written, leaves the value that is there.
	Settings  map[string]string `json:"settings,omitzero" doc:"What else the provider needs, by name. Secret ones are shown as empty; an empty one in an update leaves the value that is there"`
	Map       *SourceMap        `json:"map,omitempty" doc:"How a request becomes an event; absent: as the provider's requests say"`
	Dedupe    string            `json:"dedupe,omitempty" enum:"id,body,none" doc:"How it is told that a request came before. id: by the provider's delivery id. body: by the body's SHA-256. none: not at all. Default id"`
	Answer    *SourceAnswer     `json:"answer,omitempty" doc:"The answer to accepted requests; absent: the one that the provider expects"`
	Sync      *SourceSync       `json:"sync,omitempty" doc:"Callers get an endpoint's own answer; absent: they do not wait for it"`
	Tolerance Duration          `json:"tolerance,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 5m" example:"5m" doc:"How far the time that a signature names may be from now, at most 24h; absent: the provider's own rule"`
	Allow     []string          `json:"allow,omitzero" doc:"Networks (CIDR) and addresses from which requests may come; empty: any"`
	Inspect   string            `json:"inspect,omitempty" enum:"none,refused,all" doc:"Which requests are kept in the source's bin. Default none"`
	Disabled  bool              `json:"disabled" required:"false" doc:"Requests are answered with 404 while true"`
	Metadata  map[string]string `json:"metadata,omitzero" doc:"Yours to use"`
	URL       string            `json:"url,omitempty" required:"true" readOnly:"true" doc:"Where the provider is to send"`
	Bin       string            `json:"bin,omitempty" readOnly:"true" doc:"The bin where requests are kept, with inspect"`
	State     *SourceState      `json:"state,omitempty" readOnly:"true" doc:"What came since the server's start: in the answer to GET of one source, and in lists with state=true"`
	Created   time.Time         `json:"created,omitzero" required:"true" readOnly:"true" doc:"When it was made"`
	Updated   time.Time         `json:"updated,omitzero" required:"true" readOnly:"true" doc:"When it was last changed"`

	// ETag is the version read, sent as If-Match by updates when not empty.
	ETag string `json:"-"`
}

// SecretHint tells secrets apart without showing them.
type SecretHint struct {
	Hint    string     `json:"hint" doc:"The first characters of a long secret"`
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends; absent: it does not"`
}

// SourceMap says how a request becomes an event. Expressions are CEL over body (JSON, a form or XML, parsed), text, headers (names in
// lower case), query, method and path.
type SourceMap struct {
	Type    string `json:"type,omitempty" doc:"CEL: the event's type"`
	ID      string `json:"id,omitempty" doc:"CEL: the delivery's id, by which repeated deliveries are told"`
	Subject string `json:"subject,omitempty" doc:"CEL: what the event is about"`
	Key     string `json:"key,omitempty" doc:"CEL: the ordering key"`
	Time    string `json:"time,omitempty" doc:"CEL: when it happened: a timestamp, RFC 3339, or a number of seconds or milliseconds since 1970"`
	Data    string `json:"data,omitempty" doc:"CEL: the event's data, any value that JSON has"`
	Accept  string `json:"accept,omitempty" doc:"CEL: must be true, or the request is answered and left out"`
	// Fields makes the data without code: the member's name → where its value is in the body, such as "customer.email"; a value that
	// begins with "=" is taken as it is.
	Fields map[string]string `json:"fields,omitzero" doc:"The data without code: a member's name and where its value is in the body, such as Email or customer.email; what begins with = is taken as it is. Instead of data"`
}

// SourceAnswer is an answer to callers of a source.
type SourceAnswer struct {
	Status  int               `json:"status,omitempty" minimum:"200" maximum:"599" doc:"Default 200"`
	Headers map[string]string `json:"headers,omitzero" doc:"Headers; those of the connection, cookies and others that would reach beyond the source cannot be set"`
	Body    string            `json:"body,omitempty" doc:"The body, at most 8 KiB"`
}

// SourceSync lets callers wait for an endpoint's answer.
type SourceSync struct {
	Endpoint string   `json:"endpoint" doc:"The endpoint's id"`
	Wait     Duration `json:"wait,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 10s" example:"10s" doc:"How long, 100ms to 30s; then the caller gets the usual answer. Default 10s"`
}

// SourceState counts what came to a source since the server's start.
type SourceState struct {
	Accepted     int64          `json:"accepted" doc:"Events that were stored"`
	Duplicates   int64          `json:"duplicates" doc:"Requests whose event was on the log already"`
	Refused      int64          `json:"refused" doc:"Requests that were not verified, could not be read, or were too large"`
	Handshakes   int64          `json:"handshakes" doc:"Questions of the provider that were answered"`
	Dropped      int64          `json:"dropped" doc:"Requests that the map's accept left out"`
	LastAccepted *time.Time     `json:"last_accepted,omitempty" doc:"When the newest event was stored"`
	LastRefused  *SourceRefusal `json:"last_refused,omitempty" doc:"The newest request that was refused"`
}

// SourceRefusal says when and why a request was refused.
type SourceRefusal struct {
	At     time.Time `json:"at" doc:"When"`
	Code   string    `json:"code" doc:"Why, such as bad_signature"`
	Detail string    `json:"detail,omitempty" doc:"One sentence for people"`
}

// SourceSecrets are a source's secrets, those that have not expired.
type SourceSecrets struct {
	Secrets []SourceSecret `json:"secrets" doc:"The newest first"`
}

// SourceSecret is one of them.
type SourceSecret struct {
	Secret  string     `json:"secret" doc:"The secret"`
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends; absent: it does not"`
}

// NewSourceSecret adds a secret to a source.
type NewSourceSecret struct {
	Secret string `json:"secret" minLength:"1" doc:"The new secret"`
	// Overlap is how long the others stay good; nil: 24h.
	Overlap *Duration `json:"overlap,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration such as 24h" example:"24h" doc:"How long the other secrets stay good, at most 720h; with 0s they end at once. Default 24h"`
}

// Provider describes a rule by which a source's requests are verified and read.
type Provider struct {
	Name     string            `json:"name" doc:"As a source names it"`
	Title    string            `json:"title" doc:"As the provider writes it"`
	Aliases  []string          `json:"aliases,omitempty" doc:"Other names that are taken"`
	Secret   string            `json:"secret,omitempty" doc:"What the secret is and where it comes from; absent: there is none"`
	Optional bool              `json:"optional,omitempty" doc:"It also works without a secret"`
	Learns   bool              `json:"learns,omitempty" doc:"The provider hands its secret over by itself, once, while the source has none"`
	Settings []ProviderSetting `json:"settings,omitempty" doc:"What else it takes"`
	Event    string            `json:"event,omitempty" doc:"Where an event's type, id and subject come from"`
}

// ProviderSetting is what a provider takes besides secrets.
type ProviderSetting struct {
	Name     string `json:"name" doc:"Its name"`
	Doc      string `json:"doc" doc:"What it is"`
	Required bool   `json:"required,omitempty" doc:"Without it nothing verifies"`
	Secret   bool   `json:"secret,omitempty" doc:"It is never shown"`
}

// Providers are all providers.
type Providers struct {
	Data []Provider `json:"data" doc:"By name"`
}

// Origin is the request by which an event came in through a source. Values that carry a secret are shown as ***.
type Origin struct {
	Method     string      `json:"method" doc:"The method"`
	Target     string      `json:"target" doc:"The path and query as sent"`
	URL        string      `json:"url" doc:"The address that was called"`
	Remote     string      `json:"remote" doc:"The caller's IP address"`
	Headers    []NameValue `json:"headers" doc:"The header lines in their order, case and number"`
	Body       *string     `json:"body,omitempty" doc:"The body as it came, where it is UTF-8"`
	BodyBase64 string      `json:"body_base64,omitempty" doc:"The body in base 64, where it is not"`
}

// Content returns the body's bytes.
func (o *Origin) Content() ([]byte, error) { return contentOf(o.Body, o.BodyBase64) }
