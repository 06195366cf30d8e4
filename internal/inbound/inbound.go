package inbound

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// Prefix begins the paths of sources: /in/{tenant}/{source}.
const Prefix = "/in/"

// Store keeps sources; see package store for the contract of each method.
type Store interface {
	PutSource(ctx context.Context, s event.Source, revision int64) (event.Source, error)
	Source(ctx context.Context, tenant event.TenantID, name string) (event.Source, error)
	Sources(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error)
	DeleteSource(ctx context.Context, tenant event.TenantID, name string, revision int64) error
}

// Sealer encrypts secrets at rest (package keyring). The associated data binds a ciphertext to its place.
type Sealer interface {
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
}

// Tenants finds tenants (package control).
type Tenants interface {
	// Tenant returns a tenant by name, from memory when it can; KindNotFound when there is none.
	Tenant(ctx context.Context, name string) (*event.Tenant, error)
}

// Inspector keeps requests in a source's bin (package inspect).
type Inspector interface {
	// Capture keeps a request; refused says why it was refused, if it was. KindNotFound when the bin is gone.
	Capture(ctx context.Context, bin string, req event.Request, refused string) error
	// MakeBin makes a bin for a source and returns its id. It must not expire.
	MakeBin(ctx context.Context, t *event.Tenant, source string) (bin string, err error)
	// DropBin deletes it; one that is gone already is no error.
	DropBin(ctx context.Context, t *event.Tenant, bin string) error
}

// Awaiter tells of the answers of endpoints (package deliver, package tunnel).
type Awaiter interface {
	// Await gives the first answer of an endpoint to an event that is about to be published. cancel must be called.
	Await(tenant event.TenantID, endpoint event.EndpointID, eventID string) (answers <-chan event.Answer, cancel func())
	// Answering returns the endpoint of a connected tunnel whose answers are for the callers of a source.
	Answering(tenant event.TenantID, source string) (event.EndpointID, bool)
}

// Outcomes of requests.
const (
	OutcomeAccepted  = "accepted"  // an event was stored
	OutcomeDuplicate = "duplicate" // it was on the log already
	OutcomeDropped   = "dropped"   // the source's map left it out
	OutcomeHandshake = "handshake" // the provider's question was answered
	OutcomeRefused   = "refused"   // it was not verified, could not be read, or is too large
	OutcomeFailed    = "failed"    // the server could not take it now
)

// Observer hears of every request to a source, for metrics. Calls are concurrent and must be quick.
type Observer interface {
	// Received is called with an outcome, and the time from the request's head to the answer's.
	Received(provider, outcome string, took time.Duration)
}

// Config is what a [Service] is made of. Store, Sealer, Tenants, Publish, Arrived and Logger are needed.
type Config struct {
	Store   Store
	Sealer  Sealer
	Tenants Tenants
	// Publish stores an event, durably (package ingest).
	Publish func(ctx context.Context, t *event.Tenant, e *event.Event) (event.Receipt, error)
	// Arrived returns a request as it came, without its body; prefix is the address of the source.
	Arrived func(r *http.Request, prefix string) event.Request
	// Inspector keeps requests; nil: sources cannot ask for it.
	Inspector Inspector
	// Awaiter gives endpoints' answers to callers; nil: sources cannot ask for them.
	Awaiter Awaiter
	// Endpoint reports whether a tenant has an endpoint (KindNotFound when not); nil: it is not asked.
	Endpoint func(ctx context.Context, t *event.Tenant, id event.EndpointID) error
	// Fetcher gets providers' keys; nil is [receiver.DefaultFetcher].
	Fetcher  receiver.Fetcher
	Observer Observer // may be nil
	// PublicURL is the server's address as callers see it, without a path.
	PublicURL string
	// MaxBody bounds a body, in bytes, as it is sent and once it is decompressed.
	MaxBody int
	// Hold counts a caller that waits for an endpoint's answer, until release is called; not ok: too many wait. nil: no bound.
	Hold func() (release func(), ok bool)
	// MaxSources bounds the sources of a tenant.
	MaxSources int
	Logger     *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Defaults of a Config, and what is kept in memory.
const (
	defaultMaxBody    = 256 << 10
	defaultMaxSources = 1000
	// cachedSources bounds the sources in memory, each some KiB, with expressions some 100 KiB; counted the sources whose figures are.
	cachedSources = 5_000
	counted       = 100_000
	// sourceTTL is how long a source is believed without asking the store: another node may have changed it.
	sourceTTL = 10 * time.Second
)

// Service has the sources. It is safe for concurrent use and starts no goroutine of its own.
type Service struct {
	Config
	cache *otter.Cache[place, *prepared]
	// changes counts what was changed here: what was read from the store before a change is not cached after it.
	changes atomic.Int64
	making  sync.Mutex // of new sources, so that their limit holds

	mu       sync.Mutex
	counters map[event.SourceID]*counters
}

// place is where a source is.
type place struct {
	tenant event.TenantID
	name   string
}

// New makes a service. It returns an error when something is missing.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Sealer == nil || c.Tenants == nil || c.Publish == nil || c.Arrived == nil || c.Logger == nil {
		return nil, errors.New("inbound: an option is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Hold == nil {
		c.Hold = func() (func(), bool) { return func() {}, true }
	}
	if c.MaxSources <= 0 {
		c.MaxSources = defaultMaxSources
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	s := &Service{Config: c, counters: map[event.SourceID]*counters{}}
	var err error
	s.cache, err = otter.New(&otter.Options[place, *prepared]{MaximumSize: cachedSources})
	return s, err
}

type nobody struct{}

func (nobody) Received(string, string, time.Duration) {}

// URL is where the provider of a source is to send.
func (s *Service) URL(t *event.Tenant, source string) string {
	return strings.TrimSuffix(s.PublicURL, "/") + Prefix + t.Name + "/" + source
}

// TenantDeleted forgets a tenant's sources.
func (s *Service) TenantDeleted(id event.TenantID) {
	s.changes.Add(1)
	for at, p := range s.cache.All() {
		if at.tenant == id {
			s.cache.Invalidate(at)
			s.forget(p.source.ID)
		}
	}
}

// changed forgets a source that was changed or deleted.
func (s *Service) changed(tenant event.TenantID, name string) {
	s.changes.Add(1)
	s.cache.Invalidate(place{tenant, name})
}
