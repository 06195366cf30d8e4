package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Errors of a request that got no answer. Neither says more than that.
var (
	// ErrOffline: nobody is connected; nothing was sent.
	ErrOffline = errors.New("the tunnel is not connected")
	// ErrBusy: every connection has as many requests under way as it may; nothing was sent.
	ErrBusy = errors.New("the tunnel has too many requests under way")
	// ErrLost: the connection broke, or what came was no answer, after the request was sent or a part of it.
	ErrLost = errors.New("the tunnel was lost before the answer")
)

// Kinds of tunnels.
const (
	KindBin      = "bin"      // gets what is sent to a bin of its own
	KindSource   = "source"   // gets what a source accepted, as it came
	KindEndpoint = "endpoint" // gets events as signed webhooks
	KindHTTP     = "http"     // gets what is sent to the tunnel's own address
)

// Config is what a hub is made of. All fields are needed unless they say otherwise.
type Config struct {
	Endpoints Endpoints
	Bins      Bins
	// Sources reports whether a tenant has a source.
	Sources func(ctx context.Context, t *event.Tenant, name string) (bool, error)
	// Tenant finds a tenant by its name (KindNotFound), for addresses of tunnels.
	Tenant func(ctx context.Context, name string) (*event.Tenant, error)
	// Caller tells the IP address of a request's caller, of its proxy's word where that is trusted, and the address that it
	// called as the caller sees it.
	Caller func(r *http.Request) (remote, url string)
	// PublicURL is the server's address as callers see it, without a path; empty: addresses are relative.
	PublicURL string
	// Hosts is a host name whose first label is "*", below which tunnels may have host names; empty: they have none.
	Hosts string
	// MaxTunnels bounds the tunnels of one tenant, and their connections.
	MaxTunnels int
	// Hold counts a caller that waits for an answer, until release is called; not ok: too many wait. nil: no bound.
	Hold func() (release func(), ok bool)
	// Holds reports whether a key or token is still good; it is asked about each that is connected, about every 30 s. nil:
	// they are good until they expire.
	Holds  func(ctx context.Context, key *event.APIKey) bool
	Logger *slog.Logger

	now func() time.Time // nil: time.Now
}

// Change is that a connection of a tunnel came or went, and how it is now.
type Change struct {
	Tenant   event.TenantID
	Name     string
	Kind     string
	Endpoint event.EndpointID // of the kinds source and endpoint
	Bin      string           // of the kind bin
	// Online: somebody is connected.
	Online      bool
	Connections int
}

// Hub holds the connections of tunnels. It is safe for concurrent use. Make one with New, end it with Shutdown.
type Hub struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // the hub's life: connections outlive their requests' contexts
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections
	host   string         // of the server's own address
	hosts  string         // what every host name of a tunnel ends with, such as ".dev.example.com"
	proxy  http.Handler

	mu      sync.RWMutex
	tenants map[event.TenantID]map[string]*tunnel
	byHost  map[string]*tunnel // by first label
	conns   map[event.TenantID]int
	drops   int // counts when tunnels were forgotten that may be about to be joined
	closing bool

	telling   sync.Mutex // so that the last call of a listener tells the last state
	listeners []func(Change)
	setups    sync.Mutex // one Setup or Delete at a time: names stay unique over endpoints, bins and the hub
}

// tunnel is a tunnel that is connected, or one of the kind http, which is known nowhere else. All of it is under the hub's
// lock.
type tunnel struct {
	tenant     event.TenantID
	tenantName string
	spec       Spec
	sessions   []*session
	turn       int
	since      time.Time // of the first session
	used       time.Time // when it was set up or its last session went
}

// New makes a hub.
func New(cfg Config) (*Hub, error) {
	if cfg.Endpoints == nil || cfg.Bins == nil || cfg.Sources == nil || cfg.Tenant == nil || cfg.Caller == nil || cfg.Logger == nil || cfg.MaxTunnels < 1 {
		return nil, errors.New("tunnel: an option is missing")
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	h := &Hub{
		cfg: cfg, log: cfg.Logger, tenants: map[event.TenantID]map[string]*tunnel{}, byHost: map[string]*tunnel{}, conns: map[event.TenantID]int{},
		hosts: strings.ToLower(strings.TrimPrefix(cfg.Hosts, "*")),
	}
	h.host = "localhost"
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		h.host = u.Host
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.proxy = h.newProxy()
	return h, nil
}

// OnChange adds a function that hears of every change, one at a time and outside the hub's lock. All are added before the
// first use.
func (h *Hub) OnChange(f func(Change)) { h.listeners = append(h.listeners, f) }

// Online reports whether anybody is connected to a tunnel. It never waits for I/O.
func (h *Hub) Online(tenant event.TenantID, name string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.tenants[tenant][name]
	return t != nil && len(t.sessions) > 0
}

// Answering returns the endpoint whose answer the callers of a source get: that of a connected tunnel which was set up to
// answer, the one that is connected longest.
func (h *Hub) Answering(tenant event.TenantID, source string) (event.EndpointID, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var best *tunnel
	for _, t := range h.tenants[tenant] {
		if t.spec.Kind == KindSource && t.spec.Source == source && t.spec.Answer && len(t.sessions) > 0 && (best == nil || t.since.Before(best.since)) {
			best = t
		}
	}
	if best == nil {
		return 0, false
	}
	return best.spec.Endpoint, true
}

// EndpointDeleted ends the tunnel whose endpoint was deleted.
func (h *Hub) EndpointDeleted(tenant event.TenantID, id event.EndpointID) {
	h.drop(tenant, func(t *tunnel) bool { return t.spec.Endpoint == id })
}

// BinDeleted ends the tunnel whose bin was deleted.
func (h *Hub) BinDeleted(tenant event.TenantID, id string) {
	h.drop(tenant, func(t *tunnel) bool { return t.spec.Bin == id && id != "" })
}

// TenantDeleted ends all tunnels of a tenant.
func (h *Hub) TenantDeleted(tenant event.TenantID) {
	h.drop(tenant, func(*tunnel) bool { return true })
}

// drop forgets tunnels of a tenant and ends their connections.
func (h *Hub) drop(tenant event.TenantID, which func(*tunnel) bool) {
	h.mu.Lock()
	h.drops++
	var gone []*session
	for _, t := range h.tenants[tenant] {
		if which(t) {
			gone = append(gone, t.sessions...)
			h.forget(t)
		}
	}
	h.mu.Unlock()
	for _, s := range gone {
		s.end()
	}
}

// forget takes a tunnel out of the tables; under the lock.
func (h *Hub) forget(t *tunnel) {
	if h.tenants[t.tenant][t.spec.Name] == t {
		delete(h.tenants[t.tenant], t.spec.Name)
		if len(h.tenants[t.tenant]) == 0 {
			delete(h.tenants, t.tenant)
		}
	}
	if h.byHost[t.spec.Host] == t {
		delete(h.byHost, t.spec.Host)
	}
}

// remember puts a tunnel into the tables, or gives the one that is there a new spec; under the lock.
func (h *Hub) remember(tenant *event.Tenant, spec Spec) *tunnel {
	t := h.tenants[tenant.ID][spec.Name]
	if t == nil {
		t = &tunnel{tenant: tenant.ID}
		if h.tenants[tenant.ID] == nil {
			h.tenants[tenant.ID] = map[string]*tunnel{}
		}
		h.tenants[tenant.ID][spec.Name] = t
	} else if t.spec.Host != spec.Host && h.byHost[t.spec.Host] == t {
		delete(h.byHost, t.spec.Host)
	}
	t.tenantName, t.spec, t.used = tenant.Name, spec, h.cfg.now()
	if spec.Host != "" {
		h.byHost[spec.Host] = t
	}
	return t
}

// admit counts a connection that begins. Errors: KindUnavailable at the end, KindRateLimited when the tenant has as many as it
// may. It is to be dismissed.
func (h *Hub) admit(tenant event.TenantID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closing:
		return unavailable("the server is stopping")
	case h.conns[tenant] >= h.cfg.MaxTunnels:
		return tooMany("the tenant has as many connections of tunnels as it may")
	}
	h.conns[tenant]++
	h.wg.Add(1)
	return nil
}

// dismiss counts one that ended.
func (h *Hub) dismiss(tenant event.TenantID) {
	h.mu.Lock()
	if h.conns[tenant]--; h.conns[tenant] == 0 {
		delete(h.conns, tenant)
	}
	h.mu.Unlock()
	h.wg.Done()
}

// join adds a session to its tunnel, which is read again when tunnels were deleted meanwhile (KindNotFound).
func (h *Hub) join(ctx context.Context, l *Listener, s *session) error {
	for {
		h.mu.RLock()
		drops := h.drops
		h.mu.RUnlock()
		spec, err := h.find(ctx, l.Tenant, l.Name)
		if err != nil {
			return err
		}
		h.mu.Lock()
		if h.drops != drops {
			h.mu.Unlock()
			continue
		}
		t := h.tenants[l.Tenant.ID][l.Name]
		if t == nil {
			t = h.remember(l.Tenant, spec)
		}
		if len(t.sessions) == 0 {
			t.since = h.cfg.now()
		}
		t.sessions = append(t.sessions, s)
		s.tunnel = t
		h.mu.Unlock()
		h.tell(t)
		return nil
	}
}

// leave takes a session out of its tunnel.
func (h *Hub) leave(s *session) {
	h.mu.Lock()
	t := s.tunnel
	t.sessions = slices.DeleteFunc(t.sessions, func(o *session) bool { return o == s })
	if t.used = h.cfg.now(); len(t.sessions) == 0 && t.spec.Kind != KindHTTP {
		h.forget(t)
	}
	h.mu.Unlock()
	h.tell(t)
}

// tell tells the listeners how a tunnel is now.
func (h *Hub) tell(t *tunnel) {
	h.telling.Lock()
	defer h.telling.Unlock()
	h.mu.RLock()
	c := Change{Tenant: t.tenant, Name: t.spec.Name, Kind: t.spec.Kind, Endpoint: t.spec.Endpoint, Bin: t.spec.Bin}
	if now := h.tenants[t.tenant][t.spec.Name]; now != nil {
		c.Connections = len(now.sessions)
	}
	h.mu.RUnlock()
	c.Online = c.Connections > 0
	for _, f := range h.listeners {
		f(c)
	}
}

// Shutdown ends all connections and waits for them until ctx ends.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	h.cancel()
	done := make(chan struct{})
	go func() { h.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func unavailable(detail string) error {
	return &event.Error{Kind: event.KindUnavailable, Code: "unavailable", Detail: detail, RetryAfter: 5 * time.Second}
}

func tooMany(detail string) error {
	return &event.Error{Kind: event.KindRateLimited, Code: "too_many_tunnels", Detail: detail, RetryAfter: 30 * time.Second}
}
