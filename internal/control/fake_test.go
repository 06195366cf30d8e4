package control

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store in memory that keeps to the contract's rules of revisions.
type memory struct {
	mu        sync.Mutex
	tenants   map[string]event.Tenant
	endpoints map[event.EndpointID]event.Endpoint
	types     map[typeKey]event.Type
	keys      map[int64]event.APIKey
	portals   map[event.TenantID]event.Portal
	head      int64
	oldest    int64
	behind    []event.EndpointID
	lastID    event.TenantID
	reads     map[string]int
	// before is called, without the lock, before each call; an error is returned in its place.
	before func(call string) error
}

func newMemory() *memory {
	return &memory{
		tenants: map[string]event.Tenant{}, endpoints: map[event.EndpointID]event.Endpoint{}, types: map[typeKey]event.Type{},
		keys: map[int64]event.APIKey{}, portals: map[event.TenantID]event.Portal{}, reads: map[string]int{},
	}
}

func (m *memory) enter(call string) (func(), error) {
	if m.before != nil {
		if err := m.before(call); err != nil {
			return func() {}, err
		}
	}
	m.mu.Lock()
	m.reads[call]++
	return m.mu.Unlock, nil
}

func conflict() error { return event.Errorf(event.KindConflict, "exists", "it exists") }
func stale() error    { return event.Errorf(event.KindPrecondition, "revision_mismatch", "changed") }

func put[K comparable, V any](m map[K]V, key K, value V, revision int64, of func(V) int64) error {
	old, ok := m[key]
	switch {
	case revision == 0 && ok:
		return conflict()
	case revision != 0 && !ok:
		return event.NotFound("thing")
	case revision != 0 && of(old) != revision:
		return stale()
	}
	m[key] = value
	return nil
}

func page[K cmp.Ordered, V any](m map[K]V, after K, limit int) []V {
	var list []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key > after && len(list) < limit {
			list = append(list, m[key])
		}
	}
	return list
}

func (m *memory) PutTenant(_ context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	leave, err := m.enter("PutTenant")
	defer leave()
	if err != nil {
		return event.Tenant{}, err
	}
	if t.ID == 0 {
		m.lastID++
		t.ID = m.lastID
	}
	t.Revision = revision + 1
	return t, put(m.tenants, t.Name, t, revision, func(t event.Tenant) int64 { return t.Revision })
}

func (m *memory) Tenant(_ context.Context, name string) (event.Tenant, error) {
	leave, err := m.enter("Tenant")
	defer leave()
	if err != nil {
		return event.Tenant{}, err
	}
	t, ok := m.tenants[name]
	if !ok {
		return t, event.NotFound("tenant")
	}
	return t, nil
}

func (m *memory) Tenants(_ context.Context, after string, limit int) ([]event.Tenant, error) {
	leave, err := m.enter("Tenants")
	defer leave()
	return page(m.tenants, after, limit), err
}

func (m *memory) DeleteTenant(_ context.Context, id event.TenantID, revision int64) error {
	leave, err := m.enter("DeleteTenant")
	defer leave()
	if err != nil {
		return err
	}
	for name, t := range m.tenants {
		if t.ID == id && t.Revision == revision {
			delete(m.tenants, name)
			maps.DeleteFunc(m.endpoints, func(_ event.EndpointID, e event.Endpoint) bool { return e.Tenant == id })
			maps.DeleteFunc(m.types, func(k typeKey, _ event.Type) bool { return k.tenant == id })
			maps.DeleteFunc(m.keys, func(_ int64, k event.APIKey) bool { return k.Tenant == id })
			return nil
		}
	}
	return stale()
}

func (m *memory) PutEndpoint(_ context.Context, e event.Endpoint, revision int64, most int) (event.Endpoint, error) {
	leave, err := m.enter("PutEndpoint")
	defer leave()
	if err != nil {
		return event.Endpoint{}, err
	}
	if revision == 0 && most > 0 && len(m.endpoints) >= most {
		return event.Endpoint{}, event.Errorf(event.KindConflict, "too_many_endpoints", "too many")
	}
	e.Revision = revision + 1
	return e, put(m.endpoints, e.ID, e, revision, func(e event.Endpoint) int64 { return e.Revision })
}

func (m *memory) AddEndpointBehind(ctx context.Context, e event.Endpoint, most int) (event.Endpoint, error) {
	if m.before != nil {
		if err := m.before("AddEndpointBehind"); err != nil {
			return event.Endpoint{}, err
		}
	}
	saved, err := m.PutEndpoint(ctx, e, 0, most)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.behind = append(m.behind, e.ID)
	}
	return saved, err
}

func (m *memory) Endpoint(_ context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error) {
	leave, err := m.enter("Endpoint")
	defer leave()
	if err != nil {
		return event.Endpoint{}, err
	}
	e, ok := m.endpoints[id]
	if !ok || e.Tenant != tenant {
		return event.Endpoint{}, event.NotFound("endpoint")
	}
	return e, nil
}

func (m *memory) Endpoints(_ context.Context, _ event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	leave, err := m.enter("Endpoints")
	defer leave()
	return page(m.endpoints, after, limit), err
}

func (m *memory) DeleteEndpoint(_ context.Context, _ event.TenantID, id event.EndpointID, revision int64) error {
	leave, err := m.enter("DeleteEndpoint")
	defer leave()
	if err != nil {
		return err
	}
	if m.endpoints[id].Revision != revision {
		return stale()
	}
	delete(m.endpoints, id)
	return nil
}

func (m *memory) PutType(_ context.Context, t event.Type, revision int64) (event.Type, error) {
	leave, err := m.enter("PutType")
	defer leave()
	if err != nil {
		return event.Type{}, err
	}
	t.Revision = revision + 1
	return t, put(m.types, typeKey{t.Tenant, t.Name}, t, revision, func(t event.Type) int64 { return t.Revision })
}

func (m *memory) Type(_ context.Context, tenant event.TenantID, name string) (event.Type, error) {
	leave, err := m.enter("Type")
	defer leave()
	if err != nil {
		return event.Type{}, err
	}
	t, ok := m.types[typeKey{tenant, name}]
	if !ok {
		return t, event.NotFound("event type")
	}
	return t, nil
}

func (m *memory) Types(_ context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error) {
	leave, err := m.enter("Types")
	defer leave()
	byName := map[string]event.Type{}
	for k, t := range m.types {
		if k.tenant == tenant {
			byName[k.name] = t
		}
	}
	return page(byName, after, limit), err
}

func (m *memory) DeleteType(_ context.Context, tenant event.TenantID, name string, revision int64) error {
	leave, err := m.enter("DeleteType")
	defer leave()
	if err != nil {
		return err
	}
	if m.types[typeKey{tenant, name}].Revision != revision {
		return stale()
	}
	delete(m.types, typeKey{tenant, name})
	return nil
}

func (m *memory) PutAPIKey(_ context.Context, k event.APIKey) error {
	leave, err := m.enter("PutAPIKey")
	defer leave()
	if err != nil {
		return err
	}
	return put(m.keys, k.ID, k, 0, nil)
}

func (m *memory) ReplaceAPIKey(_ context.Context, k event.APIKey, hash [32]byte) error {
	leave, err := m.enter("ReplaceAPIKey")
	defer leave()
	if err != nil {
		return err
	}
	old, ok := m.keys[k.ID]
	switch {
	case !ok:
		return event.NotFound("API key")
	case old.Hash != hash:
		return stale()
	}
	m.keys[k.ID] = k
	return nil
}

func (m *memory) APIKeyByHash(_ context.Context, hash [32]byte) (event.APIKey, error) {
	leave, err := m.enter("APIKeyByHash")
	defer leave()
	if err != nil {
		return event.APIKey{}, err
	}
	for _, k := range m.keys {
		if k.Hash == hash || k.Previous == hash {
			return k, nil
		}
	}
	return event.APIKey{}, event.NotFound("API key")
}

func (m *memory) APIKey(_ context.Context, id int64) (event.APIKey, error) {
	leave, err := m.enter("APIKey")
	defer leave()
	if err != nil {
		return event.APIKey{}, err
	}
	k, ok := m.keys[id]
	if !ok {
		return k, event.NotFound("API key")
	}
	return k, nil
}

func (m *memory) APIKeys(_ context.Context, after int64, limit int) ([]event.APIKey, error) {
	leave, err := m.enter("APIKeys")
	defer leave()
	return page(m.keys, after, limit), err
}

func (m *memory) DeleteAPIKey(_ context.Context, id int64) error {
	leave, err := m.enter("DeleteAPIKey")
	defer leave()
	if err != nil {
		return err
	}
	if _, ok := m.keys[id]; !ok {
		return event.NotFound("API key")
	}
	delete(m.keys, id)
	return nil
}

func (m *memory) Portal(_ context.Context, tenant event.TenantID) (event.Portal, error) {
	leave, err := m.enter("Portal")
	defer leave()
	p := m.portals[tenant]
	p.Tenant = tenant
	return p, err
}

func (m *memory) PutPortal(_ context.Context, p event.Portal, revision int64) (event.Portal, error) {
	leave, err := m.enter("PutPortal")
	defer leave()
	if err != nil {
		return event.Portal{}, err
	}
	if m.portals[p.Tenant].Revision != revision {
		return event.Portal{}, stale()
	}
	p.Revision = revision + 1
	m.portals[p.Tenant] = p
	return p, nil
}

func (m *memory) Bounds(context.Context, event.TenantID) (oldest, head int64, err error) {
	leave, err := m.enter("Bounds")
	defer leave()
	return max(1, m.oldest), m.head, err
}

// envelope is a sealer that can be looked into: the associated data, a line end, and the text turned around.
type envelope struct{}

func (envelope) Seal(plaintext, associated []byte) ([]byte, error) {
	turned := slices.Clone(plaintext)
	slices.Reverse(turned)
	return slices.Concat(associated, []byte("\n"), turned), nil
}

func (envelope) Open(sealed, associated []byte) ([]byte, error) {
	head, body, _ := bytes.Cut(sealed, []byte("\n"))
	if !bytes.Equal(head, associated) {
		return nil, errors.New("sealed for another place")
	}
	plain := slices.Clone(body)
	slices.Reverse(plain)
	return plain, nil
}

// ledger writes down what a listener hears.
type ledger struct {
	mu      sync.Mutex
	changed []event.Endpoint
	deleted []event.EndpointID
	tenants []event.TenantID
	order   []string
}

func (l *ledger) EndpointChanged(e *event.Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(l.changed, *e)
	l.order = append(l.order, "changed")
}

func (l *ledger) EndpointExpected(*event.Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order = append(l.order, "expected")
}

func (l *ledger) EndpointBehind(e *event.Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(l.changed, *e)
	l.order = append(l.order, "behind")
}

func (l *ledger) EndpointDeleted(_ event.TenantID, id event.EndpointID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = append(l.deleted, id)
	l.order = append(l.order, "deleted")
}

func (l *ledger) TenantDeleted(id event.TenantID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tenants = append(l.tenants, id)
	l.order = append(l.order, "tenant")
}

// clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// plane is a control plane with everything around it.
type plane struct {
	*Control
	store  *memory
	heard  *ledger
	clock  *clock
	tenant *event.Tenant
}

func newPlane(t testing.TB) *plane {
	t.Helper()
	p := &plane{store: newMemory(), heard: &ledger{}, clock: &clock{t: time.Date(2026, 11, 21, 8, 30, 0, 5000, time.UTC)}}
	refuse := func(bad string) func(string) error {
		return func(s string) error {
			if s == bad {
				return errors.New("is refused")
			}
			return nil
		}
	}
	c, err := New(Options{
		Store: p.store, Sealer: envelope{}, CheckURL: refuse("bad"), CheckPattern: refuse("bad"), CheckFilter: refuse("bad"),
		Limits: event.DefaultLimits(), Now: p.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Listen(p.heard)
	p.Control = c
	if _, err := c.CreateTenant(t.Context(), event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	if p.tenant, err = c.Tenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	return p
}

func problemOf(t *testing.T, err error) *event.Error {
	t.Helper()
	problem, ok := errors.AsType[*event.Error](err)
	if !ok {
		t.Fatalf("error %v is not an *event.Error", err)
	}
	return problem
}

func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	var names []string
	if err == nil {
		return names
	}
	problem := problemOf(t, err)
	if problem.Kind != event.KindInvalid {
		t.Fatalf("kind %d, want invalid: %v", problem.Kind, problem)
	}
	for _, f := range problem.Fields {
		names = append(names, f.Field)
	}
	return names
}

// slowKeys reads a key, says so, and gives it only after its deletion.
type slowKeys struct {
	*memory
	reading, deleted chan struct{}
	once             sync.Once
}

func (s *slowKeys) APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error) {
	k, err := s.memory.APIKeyByHash(ctx, hash)
	s.once.Do(func() { close(s.reading) })
	<-s.deleted
	return k, err
}
