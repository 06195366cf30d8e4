package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Endpoints keeps the tunnels of the kinds source and endpoint, as endpoints of the kind tunnel (package control).
type Endpoints interface {
	Endpoints(ctx context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error)
	CreateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets) (event.Endpoint, error)
	UpdateEndpoint(ctx context.Context, t *event.Tenant, e event.Endpoint, s *event.Secrets, revision int64) (event.Endpoint, error)
	DeleteEndpoint(ctx context.Context, t *event.Tenant, id event.EndpointID, revision int64) error
	Secrets(ctx context.Context, e *event.Endpoint) (event.Secrets, error)
}

// Bins keeps those of the kind bin (package inspect).
type Bins interface {
	Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error)
	Create(ctx context.Context, tenant event.TenantID, b event.Bin) (event.Bin, error)
	Update(ctx context.Context, b event.Bin, revision int64) (event.Bin, error)
	Delete(ctx context.Context, id string, revision int64) error
	URL(b *event.Bin) string
}

// Spec says what a tunnel is for.
type Spec struct {
	// Name is unique in the tenant: [a-z0-9][a-z0-9_-]{0,62}.
	Name string
	// Kind is KindBin, KindSource, KindEndpoint or KindHTTP.
	Kind string
	// Source is the name of the source, of the kind source.
	Source string
	// Types and Filter select events, of the kinds source and endpoint.
	Types  []string
	Filter string
	// Order is the endpoint's, of the same kinds; empty: strict.
	Order event.Order
	// Answer lets the callers of the bin or source wait for the local answer while the tunnel is connected.
	Answer bool
	// Host is the first label of a host name, of the kind http; or empty.
	Host string

	// Endpoint and Bin are what the tunnel is kept as; given by Setup.
	Endpoint event.EndpointID
	Bin      string
}

// Tunnel is a tunnel as it is shown.
type Tunnel struct {
	Spec
	// URL is where requests are sent that go through the tunnel; empty of the kind endpoint, to which nobody sends.
	URL string
	// HostURL is its address by host name; empty without one.
	HostURL string
	// Secret signs what is sent, of the kind endpoint; only Setup gives it.
	Secret string
	// Connections counts who is connected, Since is when the first of them came; Requests those under way.
	Connections int
	Since       time.Time
	Requests    int
}

// What is noted in the metadata of a tunnel's endpoint or bin.
const (
	noteKind   = "tunnel.kind"
	noteSource = "tunnel.source"
	noteFilter = "tunnel.filter"
	noteAnswer = "tunnel.answer"
)

// urlPrefix begins the URL of a tunnel's endpoint; its name follows.
const urlPrefix = "tunnel:"

// Waits between the tries of a delivery that the local program did not take; the last one is repeated.
func retries() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second}
}

// localTimeout is how long the local program has to answer an event: somebody may be stepping through it.
const localTimeout = time.Minute

// Setup makes a tunnel, or changes what it selects and whether it answers; doing it again changes nothing. Errors:
// KindInvalid naming the field, KindConflict when the name is one of another kind or source, the host name is in use, or there
// are as many tunnels as there may be.
func (h *Hub) Setup(ctx context.Context, t *event.Tenant, s Spec) (Tunnel, error) {
	s.Order = cmp.Or(s.Order, event.OrderStrict)
	if err := h.check(ctx, t, &s); err != nil {
		return Tunnel{}, err
	}
	h.setups.Lock()
	defer h.setups.Unlock()
	old, err := h.stored(ctx, t, s.Name)
	switch {
	case event.KindOf(err) == event.KindNotFound:
		if err := h.room(ctx, t); err != nil {
			return Tunnel{}, err
		}
	case err != nil:
		return Tunnel{}, err
	case old.Kind != s.Kind || old.Source != s.Source:
		return Tunnel{}, event.Errorf(event.KindConflict, "already_exists", "there is a tunnel of this name for something else; delete it, or take another name")
	default:
		s.Endpoint, s.Bin = old.Endpoint, old.Bin
	}
	out := Tunnel{}
	switch s.Kind {
	case KindBin:
		err = h.setupBin(ctx, t, &s)
	case KindHTTP:
		err = h.setupHTTP(t, &s)
	default:
		out.Secret, err = h.setupEndpoint(ctx, t, &s)
	}
	if err != nil {
		return Tunnel{}, err
	}
	h.mu.Lock()
	if h.tenants[t.ID][s.Name] != nil {
		h.remember(t, s)
	}
	h.mu.Unlock()
	secret := out.Secret
	out = h.show(t, s)
	out.Secret = secret
	return out, nil
}

// check reports what is wrong with a spec.
func (h *Hub) check(ctx context.Context, t *event.Tenant, s *Spec) error {
	if message := event.CheckName(s.Name); message != "" {
		return event.Invalid("name", message)
	}
	events := s.Kind == KindSource || s.Kind == KindEndpoint
	switch {
	case !events && s.Kind != KindBin && s.Kind != KindHTTP:
		return event.Invalid("kind", "must be bin, source, endpoint or http")
	case !events && len(s.Types) > 0:
		return event.Invalid("types", "is for the kinds source and endpoint")
	case !events && s.Filter != "":
		return event.Invalid("filter", "is for the kinds source and endpoint")
	case s.Kind != KindSource && s.Source != "":
		return event.Invalid("source", "is for the kind source")
	case s.Kind != KindHTTP && s.Host != "":
		return event.Invalid("host", "is for the kind http")
	case s.Host != "" && h.hosts == "":
		return event.Invalid("host", "this server has no host names for tunnels (tunnel-hosts)")
	case s.Host != "" && !isLabel(s.Host):
		return event.Invalid("host", "must be 1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'")
	case s.Kind != KindSource:
		return nil
	case event.CheckName(s.Source) != "":
		return event.Invalid("source", "must be the name of a source")
	}
	found, err := h.cfg.Sources(ctx, t, s.Source)
	if err == nil && !found {
		return event.Invalid("source", "there is no such source")
	}
	return err
}

// isLabel reports whether s is a label of a host name (RFC 1123, 2.1), in lower case.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// room reports whether a tenant may have one more tunnel.
func (h *Hub) room(ctx context.Context, t *event.Tenant) error {
	list, err := h.specs(ctx, t)
	if err != nil {
		return err
	}
	if len(list) < h.cfg.MaxTunnels || h.evict(t.ID) {
		return nil
	}
	return event.Errorf(event.KindConflict, "too_many_tunnels", fmt.Sprintf("the tenant has %d tunnels, as many as it may; delete one", len(list)))
}

// evict forgets the tunnel of the kind http that is away the longest; false when none is.
func (h *Hub) evict(tenant event.TenantID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	var oldest *tunnel
	for _, t := range h.tenants[tenant] {
		if t.spec.Kind == KindHTTP && len(t.sessions) == 0 && (oldest == nil || t.used.Before(oldest.used)) {
			oldest = t
		}
	}
	if oldest != nil {
		h.forget(oldest)
		h.drops++
	}
	return oldest != nil
}

func (h *Hub) setupBin(ctx context.Context, t *event.Tenant, s *Spec) error {
	if s.Bin == "" {
		b, err := h.cfg.Bins.Create(ctx, t.ID, event.Bin{
			Description: "tunnel " + s.Name, Tunnel: s.Name,
			Metadata: map[string]string{noteKind: KindBin, noteAnswer: strconv.FormatBool(s.Answer)},
		})
		s.Bin = b.ID
		return err
	}
	b, err := h.bin(ctx, t, s.Name)
	if err != nil || answers(b.Metadata) == s.Answer {
		return err
	}
	b.Metadata = maps.Clone(b.Metadata)
	if b.Metadata == nil {
		b.Metadata = map[string]string{}
	}
	b.Metadata[noteAnswer] = strconv.FormatBool(s.Answer)
	_, err = h.cfg.Bins.Update(ctx, b, b.Revision)
	return err
}

// answers reports what an endpoint or bin notes of whether callers wait; a bin that was not made here says nothing.
func answers(metadata map[string]string) bool { return metadata[noteAnswer] != "false" }

// setupHTTP takes a tunnel's host name, unless one that is connected has it.
func (h *Hub) setupHTTP(t *event.Tenant, s *Spec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.byHost[s.Host]; s.Host != "" && other != nil && (other.tenant != t.ID || other.spec.Name != s.Name) {
		if len(other.sessions) > 0 {
			return event.Errorf(event.KindConflict, "host_taken", "another tunnel is connected at this host name")
		}
		h.forget(other) // its listener has to set it up anew, and hears then that the name is taken
		h.drops++
	}
	h.remember(t, *s)
	return nil
}

// setupEndpoint makes or changes the endpoint of a tunnel; it returns the secret that signs, of the kind endpoint.
func (h *Hub) setupEndpoint(ctx context.Context, t *event.Tenant, s *Spec) (secret string, err error) {
	want := endpointOf(s)
	e := event.Endpoint{}
	if s.Endpoint == 0 {
		e, err = h.cfg.Endpoints.CreateEndpoint(ctx, t, want, event.Secrets{})
	} else if e, err = h.endpoint(ctx, t, s.Name); err == nil {
		next := e
		next.Types, next.Filter, next.Order = want.Types, want.Filter, want.Order
		next.Metadata = maps.Clone(e.Metadata)
		if next.Metadata == nil {
			next.Metadata = map[string]string{}
		}
		maps.Copy(next.Metadata, want.Metadata)
		if want.Metadata[noteFilter] == "" {
			delete(next.Metadata, noteFilter)
		}
		e, err = h.cfg.Endpoints.UpdateEndpoint(ctx, t, next, nil, e.Revision)
	}
	if err != nil {
		return "", asked(err, s)
	}
	s.Endpoint = e.ID
	if s.Kind != KindEndpoint {
		return "", nil
	}
	secrets, err := h.cfg.Endpoints.Secrets(ctx, &e)
	if err != nil || len(secrets.Signing) == 0 {
		return "", err
	}
	return secrets.Signing[0].Secret, nil
}

// asked keeps the conditions that the server adds out of an error about the filter.
func asked(err error, s *Spec) error {
	if e, ok := errors.AsType[*event.Error](err); ok && e.Kind == event.KindInvalid && s.Filter == "" {
		return fmt.Errorf("tunnel: an endpoint cannot be made: %w", err)
	}
	return err
}

// endpointOf is the endpoint as which a tunnel is kept: it never gives up.
func endpointOf(s *Spec) event.Endpoint {
	e := event.Endpoint{
		URL: urlPrefix + s.Name, Kind: event.KindTunnel, Description: "tunnel " + s.Name, Types: s.Types, Filter: s.Filter,
		Order: s.Order, Forever: true, Retries: retries(), Timeout: localTimeout,
		Metadata: map[string]string{noteKind: s.Kind},
	}
	if s.Kind == KindSource {
		e.Envelope, e.Signing = event.EnvelopeOriginal, "none"
		e.Filter = `source == "/sources/` + s.Source + `"`
		if s.Filter != "" {
			e.Filter += " && (" + s.Filter + ")"
		}
		e.Metadata[noteSource], e.Metadata[noteAnswer] = s.Source, strconv.FormatBool(s.Answer)
	}
	return e
}

// specOf reads a tunnel from its endpoint.
func specOf(e *event.Endpoint) Spec {
	s := Spec{
		Name: strings.TrimPrefix(e.URL, urlPrefix), Kind: KindEndpoint, Types: e.Types, Filter: e.Filter, Order: e.Order, Endpoint: e.ID,
	}
	if source := e.Metadata[noteSource]; e.Metadata[noteKind] == KindSource && source != "" {
		s.Kind, s.Source, s.Answer = KindSource, source, answers(e.Metadata)
		s.Filter = strings.TrimPrefix(e.Filter, `source == "/sources/`+source+`"`)
		s.Filter = strings.TrimSuffix(strings.TrimPrefix(s.Filter, " && ("), ")")
	}
	return s
}

// find returns what a tunnel is for (KindNotFound).
func (h *Hub) find(ctx context.Context, t *event.Tenant, name string) (Spec, error) {
	h.mu.RLock()
	known := h.tenants[t.ID][name]
	if known != nil {
		s := known.spec
		h.mu.RUnlock()
		return s, nil
	}
	h.mu.RUnlock()
	return h.stored(ctx, t, name)
}

// stored is find for those who change something: a bin may have been deleted or changed behind the hub's back.
func (h *Hub) stored(ctx context.Context, t *event.Tenant, name string) (Spec, error) {
	h.mu.RLock()
	if known := h.tenants[t.ID][name]; known != nil && known.spec.Kind == KindHTTP {
		s := known.spec
		h.mu.RUnlock()
		return s, nil
	}
	h.mu.RUnlock()
	e, err := h.endpoint(ctx, t, name)
	if err == nil {
		return specOf(&e), nil
	}
	if event.KindOf(err) != event.KindNotFound {
		return Spec{}, err
	}
	b, err := h.bin(ctx, t, name)
	if err != nil {
		return Spec{}, err
	}
	return specOfBin(&b), nil
}

func specOfBin(b *event.Bin) Spec {
	return Spec{Name: b.Tunnel, Kind: KindBin, Bin: b.ID, Answer: answers(b.Metadata)}
}

// page is how many endpoints or bins are read at once.
const page = 1000

// eachEndpoint goes through the endpoints of a tenant's tunnels until f returns false.
func (h *Hub) eachEndpoint(ctx context.Context, t *event.Tenant, f func(*event.Endpoint) bool) error {
	for after := event.EndpointID(0); ; {
		list, err := h.cfg.Endpoints.Endpoints(ctx, t, after, page)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Kind == event.KindTunnel && !f(&list[i]) {
				return nil
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// eachBin goes through the bins of a tenant's tunnels that have not expired, until f returns false.
func (h *Hub) eachBin(ctx context.Context, t *event.Tenant, f func(*event.Bin) bool) error {
	now := h.cfg.now()
	for after := ""; ; {
		list, err := h.cfg.Bins.Bins(ctx, t.ID, after, page)
		if err != nil {
			return err
		}
		for i := range list {
			b := &list[i]
			if b.Tunnel != "" && (b.Expires.IsZero() || now.Before(b.Expires)) && !f(b) {
				return nil
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// endpoint returns the endpoint of a tunnel (KindNotFound).
func (h *Hub) endpoint(ctx context.Context, t *event.Tenant, name string) (found event.Endpoint, err error) {
	err = h.eachEndpoint(ctx, t, func(e *event.Endpoint) bool {
		if e.URL == urlPrefix+name {
			found = *e
		}
		return found.ID == 0
	})
	if err == nil && found.ID == 0 {
		err = event.NotFound("tunnel")
	}
	return found, err
}

// bin returns the bin of a tunnel (KindNotFound).
func (h *Hub) bin(ctx context.Context, t *event.Tenant, name string) (found event.Bin, err error) {
	err = h.eachBin(ctx, t, func(b *event.Bin) bool {
		if b.Tunnel == name {
			found = *b
		}
		return found.ID == ""
	})
	if err == nil && found.ID == "" {
		err = event.NotFound("tunnel")
	}
	return found, err
}

// specs returns all tunnels of a tenant by name.
func (h *Hub) specs(ctx context.Context, t *event.Tenant) ([]Spec, error) {
	all := map[string]Spec{}
	if err := h.eachBin(ctx, t, func(b *event.Bin) bool { all[b.Tunnel] = specOfBin(b); return true }); err != nil {
		return nil, err
	}
	if err := h.eachEndpoint(ctx, t, func(e *event.Endpoint) bool { s := specOf(e); all[s.Name] = s; return true }); err != nil {
		return nil, err
	}
	h.mu.RLock()
	for name, known := range h.tenants[t.ID] {
		if known.spec.Kind == KindHTTP {
			all[name] = known.spec
		}
	}
	h.mu.RUnlock()
	return slices.SortedFunc(maps.Values(all), func(a, b Spec) int { return strings.Compare(a.Name, b.Name) }), nil
}

// List returns a tenant's tunnels by name.
func (h *Hub) List(ctx context.Context, t *event.Tenant) ([]Tunnel, error) {
	specs, err := h.specs(ctx, t)
	if err != nil {
		return nil, err
	}
	list := make([]Tunnel, len(specs))
	for i, s := range specs {
		list[i] = h.show(t, s)
	}
	return list, nil
}

// Delete takes a tunnel down with its endpoint or bin (KindNotFound).
func (h *Hub) Delete(ctx context.Context, t *event.Tenant, name string) error {
	h.setups.Lock()
	defer h.setups.Unlock()
	s, err := h.find(ctx, t, name)
	if err != nil {
		return err
	}
	switch s.Kind {
	case KindHTTP:
	case KindBin:
		err = h.cfg.Bins.Delete(ctx, s.Bin, 0)
	default:
		err = h.cfg.Endpoints.DeleteEndpoint(ctx, t, s.Endpoint, 0)
	}
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return err
	}
	h.drop(t.ID, func(o *tunnel) bool { return o.spec.Name == name })
	return nil
}

// show is a tunnel with its addresses and who is connected.
func (h *Hub) show(t *event.Tenant, s Spec) Tunnel {
	out := Tunnel{Spec: s}
	switch s.Kind {
	case KindBin:
		out.URL = h.cfg.Bins.URL(&event.Bin{ID: s.Bin})
	case KindSource:
		out.URL = h.cfg.PublicURL + "/in/" + t.Name + "/" + s.Source
	case KindHTTP:
		out.URL = h.cfg.PublicURL + pathPrefix + t.Name + "/" + s.Name + "/"
		if s.Host != "" {
			scheme, _, _ := strings.Cut(h.cfg.PublicURL, "://")
			out.HostURL = cmp.Or(scheme, "http") + "://" + s.Host + h.hosts + port(h.cfg.PublicURL) + "/"
		}
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if known := h.tenants[t.ID][s.Name]; known != nil {
		out.Connections = len(known.sessions)
		if out.Connections > 0 {
			out.Since = known.since
		}
		for _, c := range known.sessions {
			out.Requests += int(c.busy.Load())
		}
	}
	return out
}
