// Package config turns flags, POSTHORN_* variables and a file into one checked Config.
//
// One table (options.go) names every option. [Load] takes each option's value
// from the first place that gives one (flag, variable, file, default), parses it
// with the option's own value type (values.go), then checks the options against
// one another (validate.go). The page docs/configuration.md and the usage text
// are written from the same table, so that they cannot differ from it.
package config

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"
)

// Log formats that Config.LogFormat may hold.
const (
	LogFormatAuto = "auto" // Text on a terminal, JSON otherwise.
	LogFormatText = "text"
	LogFormatJSON = "json"
)

// StoreSQLite is the value of Config.Store for the embedded store.
const StoreSQLite = "sqlite"

// Config holds every option of the server, parsed and checked.
//
// Sizes are in bytes. A Config is a plain value: copying it is enough to change
// an option, but its slices are shared and must not be written to.
type Config struct {
	// Listen is the TCP address of the HTTP server, as host:port; an empty host
	// means every interface and port 0 means any free port.
	Listen string
	// PublicURL is the address under which others reach the server, without a
	// trailing slash. It is empty only when it follows from Listen and Listen
	// asks for any free port; [PublicURLFor] then gives it once the port is known.
	PublicURL string
	// ShutdownTimeout bounds a graceful stop.
	ShutdownTimeout time.Duration
	// LogLevel is the lowest level that is logged.
	LogLevel slog.Level
	// LogFormat is one of LogFormatAuto, LogFormatText and LogFormatJSON.
	LogFormat string

	// Data is the folder of the embedded store and of generated keys.
	Data string
	// Store names the store; StoreSQLite is the only one.
	Store string
	// CommitDelay is the longest that an append waits for others to share its commit.
	CommitDelay time.Duration
	// RecordDelay is the longest that an attempt waits for others to share its commit.
	RecordDelay time.Duration

	// RootKey is the first admin API key; empty means that the first start makes one.
	RootKey Secret
	// RootKeyFile is the file that RootKey was read from, if any.
	RootKeyFile string
	// EncryptionKey is the text of the keyset that protects stored secrets; empty
	// means that EncryptionKeyFile holds it.
	EncryptionKey Secret
	// EncryptionKeyFile holds the keyset that protects stored secrets and is made,
	// readable by its owner only, when it does not exist. Unused when
	// EncryptionKey is set.
	EncryptionKeyFile string
	// AllowTargets lists addresses that endpoints may have beside public ones.
	AllowTargets []netip.Prefix
	// DenyTargets lists addresses that endpoints may not have, whatever AllowTargets says.
	DenyTargets []netip.Prefix

	// RetentionAge is how long events are kept; 0 keeps them whatever their age.
	RetentionAge time.Duration
	// RetentionSize is the size of all stored events at which the oldest go; 0 sets no bound.
	RetentionSize int64
	// AttemptsRetentionAge is how long attempts are kept; 0 keeps them whatever their age.
	AttemptsRetentionAge time.Duration
	// BacklogMaxAge is how long an event that an endpoint still waits for is kept from retention.
	BacklogMaxAge time.Duration

	// MaxEventSize bounds one event.
	MaxEventSize int
	// MaxBatchEvents bounds the events of one publish.
	MaxBatchEvents int
	// MaxBatchSize bounds the body of one publish.
	MaxBatchSize int
	// MaxAttributeSize bounds one attribute of an event.
	MaxAttributeSize int
	// MaxJSONDepth bounds the nesting of an event's JSON.
	MaxJSONDepth int
	// MaxEndpoints bounds the endpoints of one tenant.
	MaxEndpoints int
	// MaxURLSize bounds the URL of one endpoint.
	MaxURLSize int
	// MaxHeaders bounds the custom headers of one endpoint.
	MaxHeaders int
	// MaxFilterSize bounds the text of one filter.
	MaxFilterSize int
	// FilterCostLimit bounds one evaluation of a filter, in CEL cost units.
	FilterCostLimit int
	// PublishRate bounds the events that a tenant publishes, in events a second; 0 sets no bound.
	PublishRate int
	// PublishBurst is how many events may come at once under PublishRate; 0 stands for PublishRate.
	PublishBurst int

	// DeliveryTimeout bounds one attempt, unless the endpoint has its own timeout.
	DeliveryTimeout time.Duration
	// RetrySchedule holds the waits between attempts, unless the endpoint has its own.
	RetrySchedule []time.Duration
	// DisableAfter is how long an endpoint may do nothing but fail before it is disabled; 0 never disables it.
	DisableAfter time.Duration
	// MaxInFlight bounds the attempts under way in the whole server.
	MaxInFlight int
	// MaxProbes bounds the attempts under way to penalised endpoints.
	MaxProbes int

	// AllowOrigins lists the web origins, beside the server's own, whose pages may call the API; "*" is any.
	AllowOrigins []string
	// TrustedProxies are the proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// MaxStreams bounds the live connections of the server.
	MaxStreams int
	// MaxStreamsPerTenant bounds the live connections of one tenant.
	MaxStreamsPerTenant int
	// MaxStreamsPerToken bounds the live connections with one token.
	MaxStreamsPerToken int
	// MaxStreamsPerAddress bounds the live connections and waiting polls from one address.
	MaxStreamsPerAddress int
	// MaxWaitingPolls bounds the long polls and waiting leases of the server.
	MaxWaitingPolls int
	// MaxSubscriptions bounds the subscriptions of one WebSocket.
	MaxSubscriptions int
	// MaxMessageSize bounds one message that a client sends over a WebSocket.
	MaxMessageSize int
	// StreamKeepAlive is how long a live connection may be silent.
	StreamKeepAlive time.Duration
	// StreamWriteTimeout is how long a live connection may take nothing of what is sent.
	StreamWriteTimeout time.Duration
	// MaxQueues bounds the queues of one tenant.
	MaxQueues int
	// TokenJWKSURL is where the keys of another issuer of tokens are; empty: nowhere.
	TokenJWKSURL string
	// TokenKeysFile is the file with the keys of another issuer of tokens; empty: none.
	TokenKeysFile string
	// TokenIssuer is the issuer of the tokens of others.
	TokenIssuer string
	// TokenAudience is what the tokens of others are for; empty: PublicURL.
	TokenAudience string

	// MaxSources bounds the sources of one tenant.
	MaxSources int
	// MaxBins bounds the bins of one tenant, and those without one.
	MaxBins int
	// MaxBinBody bounds the body of a captured request, in bytes.
	MaxBinBody int
	// CapturesRetentionAge is how long captured requests are kept; 0 as long as their bins.
	CapturesRetentionAge time.Duration
	// CapturesRetentionSize is how many bytes of captured requests are kept in all; 0 without limit.
	CapturesRetentionSize int64
	// AnonymousBins is BinsByKey or BinsByAnyone.
	AnonymousBins string
	// MaxHeld bounds the callers that wait for an answer of a client, in the whole server.
	MaxHeld int
	// MaxTunnels bounds the tunnels of one tenant, and their connections.
	MaxTunnels int
	// TunnelHosts is the host name, with a leading "*.", under which tunnels may have names of their own; empty: none.
	TunnelHosts string

	// AuditRetention is how long the audit log is kept; 0: for good.
	AuditRetention time.Duration
	// UI says whether the web UI is served.
	UI bool
	// SessionLifetime is how long a browser stays signed in at most, SessionIdle how long without being used.
	SessionLifetime, SessionIdle time.Duration
	// OIDCIssuer is the issuer of the provider of identities; empty: there is none.
	OIDCIssuer string
	// OIDCClientID and OIDCClientSecret are what the server is registered as at the provider.
	OIDCClientID     string
	OIDCClientSecret Secret
	// OIDCClientSecretFile is the file that OIDCClientSecret was read from, if any.
	OIDCClientSecretFile string
	// OIDCScopes are asked for, separated by spaces.
	OIDCScopes string
	// OIDCGroupsClaim is the claim with a person's groups.
	OIDCGroupsClaim string
	// OIDCRoles are what groups may do.
	OIDCRoles []OIDCRole
	// OIDCName is what the provider is called.
	OIDCName string
	// OIDCLogout says whether logging out leads on to the provider's page of logging out.
	OIDCLogout bool
}

// Default returns the configuration of a server that is given no option.
func Default() Config {
	var c Config
	for _, o := range table {
		if o.Default == "" {
			continue
		}
		if err := o.bind(&c).set(o.Default); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", o.Name, err))
		}
	}
	c.derive()
	return c
}

// derive fills the options whose default follows from another option.
func (c *Config) derive() {
	if c.EncryptionKeyFile == "" {
		c.EncryptionKeyFile = filepath.Join(c.Data, "encryption.key")
	}
	if c.PublicURL == "" {
		c.PublicURL = PublicURLFor(c.Listen)
	}
}

// PublicURLFor returns the URL for a listen address, with a loopback host where the
// address means every interface. It is empty for an address with port 0 or without one.
func PublicURLFor(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" || port == "" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if err == nil && ip.Is6() {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Redacted returns every option and its value in the table's order, fit for a
// log: a secret shows only whether it is set.
func (c *Config) Redacted() []slog.Attr {
	attrs := make([]slog.Attr, 0, len(table))
	for _, o := range table {
		attrs = append(attrs, slog.String(o.Name, o.bind(c).text()))
	}
	return attrs
}

// LogValue implements [slog.LogValuer] with the attributes of Redacted.
func (c Config) LogValue() slog.Value { return slog.GroupValue(c.Redacted()...) }

// Secret is a string that no format verb, log handler or encoder prints.
type Secret struct{ v string }

// NewSecret returns v as a Secret.
func NewSecret(v string) Secret { return Secret{v: v} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.v }

// IsZero reports whether the secret is not set.
func (s Secret) IsZero() bool { return s.v == "" }

// String returns a placeholder, or nothing when the secret is not set.
func (s Secret) String() string {
	if s.v == "" {
		return ""
	}
	return "[secret]"
}

// Format implements [fmt.Formatter], so that no verb shows the secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] with the placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
