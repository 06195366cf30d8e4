package receiver

import (
	"context"
	"crypto/x509"
	"time"
)

// DefaultTolerance is how far a signed timestamp may be from the clock, either way, for providers that name no time of
// their own.
const DefaultTolerance = 5 * time.Minute

// DefaultMaxBody is the largest body that [Middleware] takes, in bytes, unless [MaxBody] says otherwise.
const DefaultMaxBody = 1 << 20

// Option changes how a request is checked.
type Option func(*options)

// options are what the Option functions set.
type options struct {
	now       func() time.Time
	tolerance time.Duration
	url       string
	origin    string
	settings  map[string]string
	fetcher   Fetcher
	roots     *x509.CertPool
	once      Seen

	// Of the middleware only.
	maxBody int64
	dedupe  Seen
	learn   func(context.Context, Learned) error
}

func collect(opts []Option) *options {
	o := &options{now: time.Now, maxBody: DefaultMaxBody}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// At sets the clock; without it, it is [time.Now].
func At(now func() time.Time) Option { return func(o *options) { o.now = now } }

// Tolerance sets how far a signed timestamp may be from the clock, either way. Zero and less leave the provider's own,
// mostly [DefaultTolerance].
func Tolerance(d time.Duration) Option { return func(o *options) { o.tolerance = d } }

// URL sets the address that was called as the sender knows it, whole, with its query: some providers sign it. Without it,
// it is put together from the request: https if it came through TLS, the Host header, the request target.
func URL(address string) Option { return func(o *options) { o.url = address } }

// Origin sets the scheme and host under which the sender knows this server, such as "https://hooks.example.com"; path and
// query are the request's. It is for servers behind a proxy that ends TLS. [URL] goes before it.
func Origin(origin string) Option { return func(o *options) { o.origin = origin } }

// Setting sets what a provider needs besides secrets; [Providers] names the settings of each. An empty value is
// as if it were not set.
func Setting(name, value string) Option {
	return func(o *options) {
		if o.settings == nil {
			o.settings = map[string]string{}
		}
		o.settings[name] = value
	}
}

// Fetch sets how keys and certificates are fetched, for the providers that publish theirs.
func Fetch(fetcher Fetcher) Option { return func(o *options) { o.fetcher = fetcher } }

// Roots sets which certificates are trusted at the end of PayPal's chains; without it, they are the system's.
func Roots(pool *x509.CertPool) Option { return func(o *options) { o.roots = pool } }

// Fetcher gets what is at an https address, for rules that need a provider's key or certificate. It is asked only for
// addresses at the provider's own hosts, whatever the request says; it must not follow redirects to others, and should
// keep what it gets: it is asked for every request. If it also has a method Refresh with the same parameters and results, that is
// asked, past what is kept, when a request names a key that is not in a set; it should do so once a minute at most.
type Fetcher interface {
	Fetch(ctx context.Context, url string) ([]byte, error)
}

// Once sets where values are kept that are good for one request only, such as Mailgun's token or what PayPal signed. Without it the process
// keeps the latest ones in memory.
func Once(seen Seen) Option { return func(o *options) { o.once = seen } }

// MaxBody sets the largest body that [Middleware] takes, in bytes; larger ones are answered 413 without being read whole.
func MaxBody(n int64) Option { return func(o *options) { o.maxBody = n } }

// Dedupe sets where [Middleware] keeps the deliveries that were handled; without it, it keeps the latest ones in memory. The keys are the
// provider's name and the delivery's id: receivers whose senders do not trust each other need one each.
func Dedupe(seen Seen) Option { return func(o *options) { o.dedupe = seen } }

// Learn sets what [Middleware] does with a secret that a provider hands over in a handshake: keep it for good. An error
// refuses the handshake. Without it such handshakes are refused.
func Learn(keep func(context.Context, Learned) error) Option {
	return func(o *options) { o.learn = keep }
}
