// Package control is the control plane: tenants, endpoints, event types and API keys. A change takes one way: check
// every field, seal what is secret, save, drop what the caches held, tell delivery, answer.
package control

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// Store is what the control plane needs of a store; see package store for the contract of each method.
type Store interface {
	PutTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error)
	Tenant(ctx context.Context, name string) (event.Tenant, error)
	Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error)
	DeleteTenant(ctx context.Context, id event.TenantID, revision int64) error

	PutEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error)
	AddEndpointBehind(ctx context.Context, e event.Endpoint, maxEndpoints int) (event.Endpoint, error)
	Endpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error)
	Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error)
	DeleteEndpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64) error

	PutType(ctx context.Context, t event.Type, revision int64) (event.Type, error)
	Type(ctx context.Context, tenant event.TenantID, name string) (event.Type, error)
	Types(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error)
	DeleteType(ctx context.Context, tenant event.TenantID, name string, revision int64) error

	PutAPIKey(ctx context.Context, k event.APIKey) error
	ReplaceAPIKey(ctx context.Context, k event.APIKey, hash [32]byte) error
	APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error)
	APIKey(ctx context.Context, id int64) (event.APIKey, error)
	APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error)
	DeleteAPIKey(ctx context.Context, id int64) error

	PutPortal(ctx context.Context, p event.Portal, revision int64) (event.Portal, error)
	Portal(ctx context.Context, tenant event.TenantID) (event.Portal, error)

	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
}

// Sealer encrypts what is secret (package keyring). The associated data binds a ciphertext to its place.
type Sealer interface {
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
}

// Listener hears of every change after it was saved and before it is answered, so that an event published after the
// answer is matched against it. Calls for one endpoint come one at a time and in the order of its revisions; calls for
// different endpoints may come at once. A call must be short and must not call the control plane.
type Listener interface {
	// EndpointChanged gives the endpoint as saved, new or changed; it is the listener's to keep, not to change.
	EndpointChanged(e *event.Endpoint)
	EndpointDeleted(tenant event.TenantID, id event.EndpointID)
	// EndpointExpected gives a new endpoint that begins in the past before it is saved: no event is to be matched for it,
	// because its lane is to read the log by itself. EndpointBehind or EndpointDeleted follows.
	EndpointExpected(e *event.Endpoint)
	// EndpointBehind gives it as saved, its lane's first state with it.
	EndpointBehind(e *event.Endpoint)
	// TenantDeleted stands for the deletion of all its endpoints too; none of them is heard of again.
	TenantDeleted(id event.TenantID)
}

// Options are what a [Control] is made of; every field but Now is needed. The checks return nil or an error whose
// text is safe to show and says what is wrong without naming the field.
type Options struct {
	Store  Store
	Sealer Sealer
	// CheckURL checks a target URL, its length included (package guard).
	CheckURL func(url string) error
	// CheckPattern checks one pattern of event types, CheckFilter a filter's text (package match).
	CheckPattern func(pattern string) error
	CheckFilter  func(filter string) error
	Limits       event.Limits
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Bounds of the caches. What they hold is small (a tenant or key is about 300 bytes); schemas are counted in bytes.
const (
	cachedTenants     = 100_000
	cachedKeys        = 100_000
	cachedBadKeys     = 10_000
	cachedTypeNames   = 1_000_000
	cachedSchemaBytes = 16 << 20
)

// stripes is how many locks the endpoints share.
const stripes = 256

// attempts is how often a change without a named revision is tried when another node changes the same thing.
const attempts = 5

// Control is the control plane. It is safe for concurrent use and starts no goroutine of its own.
type Control struct {
	store     Store
	sealer    Sealer
	options   Options
	listeners []Listener
	now       func() time.Time

	tenants  *otter.Cache[string, *event.Tenant]
	names    *otter.Cache[event.TenantID, string]
	keys     *otter.Cache[[32]byte, keyEntry]
	badKeys  *otter.Cache[[32]byte, time.Time] // until when a key is known to be none
	catalog  *otter.Cache[event.TenantID, *catalogue]
	compiled *otter.Cache[typeKey, *validator]

	// life is held for writing while a tenant is deleted and for reading by every other write, so that nothing is saved
	// for, or told of, a tenant after its deletion.
	life     sync.RWMutex
	tenantMu sync.Mutex // writes of tenants
	typeMu   sync.Mutex // writes of event types
	// rootSet: the root key comes from the configuration.
	rootSet bool
	// endpointMu serialises the writes of one endpoint, so that listeners hear of its revisions in order.
	endpointMu [stripes]sync.Mutex
}

// New makes a control plane. It returns an error when an option is missing.
func New(o Options) (*Control, error) {
	if o.Store == nil || o.Sealer == nil || o.CheckURL == nil || o.CheckPattern == nil || o.CheckFilter == nil {
		return nil, errors.New("control: an option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Control{store: o.Store, sealer: o.Sealer, options: o, now: o.Now}
	return c, errors.Join(
		open(&c.tenants, &otter.Options[string, *event.Tenant]{MaximumSize: cachedTenants}),
		open(&c.names, &otter.Options[event.TenantID, string]{MaximumSize: cachedTenants}),
		open(&c.keys, &otter.Options[[32]byte, keyEntry]{MaximumSize: cachedKeys}),
		open(&c.badKeys, &otter.Options[[32]byte, time.Time]{MaximumSize: cachedBadKeys}),
		open(&c.catalog, &otter.Options[event.TenantID, *catalogue]{
			MaximumWeight: cachedTypeNames,
			Weigher:       func(_ event.TenantID, v *catalogue) uint32 { return uint32(1 + len(v.withSchema)) },
		}),
		open(&c.compiled, &otter.Options[typeKey, *validator]{
			MaximumWeight: cachedSchemaBytes,
			Weigher:       func(_ typeKey, v *validator) uint32 { return uint32(1024 + v.size) },
		}),
	)
}

func open[K comparable, V any](cache **otter.Cache[K, V], o *otter.Options[K, V]) error {
	made, err := otter.New(o)
	*cache = made
	return err
}

// Listen adds a listener. All are added before the first use.
func (c *Control) Listen(l Listener) { c.listeners = append(c.listeners, l) }

// stamp is the time of a change as it is saved.
func (c *Control) stamp() time.Time { return c.now().UTC().Truncate(time.Microsecond) }

func (c *Control) endpointLock(id event.EndpointID) *sync.Mutex {
	return &c.endpointMu[uint64(id)%stripes]
}

// retryChange runs a change that reads the stored revision itself, again while it loses to another node.
func retryChange(revision int64, change func() error) error {
	var err error
	for range attempts {
		if err = change(); revision != 0 || event.KindOf(err) != event.KindPrecondition {
			return err
		}
	}
	return err
}

// checkRevision compares what the caller saw (0: whichever is stored) with what is stored.
func checkRevision(seen, stored int64) error {
	if seen != 0 && seen != stored {
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "it was changed since it was read")
	}
	return nil
}

// problems collects what is wrong with the fields of one request.
type problems []event.FieldError

func (p *problems) add(field, message string) {
	*p = append(*p, event.FieldError{Field: field, Message: message})
}

// check adds a problem when message is not empty.
func (p *problems) check(field, message string) {
	if message != "" {
		p.add(field, message)
	}
}

// maxProblems bounds an answer: a request with more faults than this has one cause.
const maxProblems = 50

func (p *problems) addAll(list []event.FieldError) { *p = append(*p, list...) }

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &event.Error{
		Kind: event.KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: p[:min(len(p), maxProblems)],
	}
}

// clampLimit bounds the length of a page.
func clampLimit(limit int) int { return min(max(cmp.Or(limit, 100), 1), 1000) }
