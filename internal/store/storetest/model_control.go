package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// control is the part of a Model that keeps tenants, endpoints, types and keys.
type control struct {
	lastTenant       event.TenantID
	byID             map[event.TenantID]event.Tenant
	endpoints        map[event.EndpointID]event.Endpoint
	types            map[typeKey]event.Type
	keys             map[int64]event.APIKey
	answers          map[answerKey]store.Answer
	tokenKeys        map[tokenKey]event.TokenKey
	portals          map[event.TenantID]event.Portal
	deletedTenants   map[event.TenantID]bool
	deletedEndpoints map[event.EndpointID]bool
}

type typeKey struct {
	tenant event.TenantID
	name   string
}

type tokenKey struct {
	tenant event.TenantID
	id     string
}

type answerKey struct{ scope, key string }

func newControl() control {
	return control{
		byID: map[event.TenantID]event.Tenant{}, endpoints: map[event.EndpointID]event.Endpoint{}, types: map[typeKey]event.Type{},
		keys: map[int64]event.APIKey{}, answers: map[answerKey]store.Answer{}, tokenKeys: map[tokenKey]event.TokenKey{},
		portals: map[event.TenantID]event.Portal{}, deletedTenants: map[event.TenantID]bool{}, deletedEndpoints: map[event.EndpointID]bool{},
	}
}

func exists(what string) error {
	return event.Errorf(event.KindConflict, "already_exists", "there is already such a "+what)
}

// checkPut compares a stored revision, 0 when there is nothing, with the one that the writer saw.
func checkPut(what string, stored, seen int64) error {
	switch {
	case stored == 0 && seen != 0:
		return event.NotFound(what)
	case stored != 0 && seen == 0:
		return exists(what)
	case stored != seen:
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "the "+what+" was changed meanwhile")
	}
	return nil
}

func checkDelete(what string, stored, seen int64) error {
	if stored == 0 {
		return event.NotFound(what)
	}
	if seen == 0 {
		return nil
	}
	return checkPut(what, stored, seen)
}

// page returns values in the order of their keys, those after a key.
func page[K cmp.Ordered, V any](m map[K]V, after K, limit int) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k > after && len(out) < limit {
			out = append(out, m[k])
		}
	}
	return out
}

func (m *Model) tenantNamed(name string) (event.Tenant, bool) {
	for _, t := range m.byID {
		if t.Name == name {
			return t, true
		}
	}
	return event.Tenant{}, false
}

// PutTenant implements [store.Control].
func (m *Model) PutTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	if err := m.enter(ctx); err != nil {
		return event.Tenant{}, err
	}
	defer m.mu.Unlock()
	namesake, taken := m.tenantNamed(t.Name)
	if revision == 0 {
		if taken {
			return event.Tenant{}, exists("tenant")
		}
		m.lastTenant++
		t.ID = m.lastTenant
	} else {
		if err := checkPut("tenant", m.byID[t.ID].Revision, revision); err != nil {
			return event.Tenant{}, err
		}
		if taken && namesake.ID != t.ID {
			return event.Tenant{}, exists("tenant")
		}
	}
	t.Metadata = maps.Clone(t.Metadata)
	t.Created, t.Updated = utc(t.Created), utc(t.Updated)
	t.Revision = revision + 1
	m.byID[t.ID] = t
	return t, nil
}

// Tenant implements [store.Control].
func (m *Model) Tenant(ctx context.Context, name string) (event.Tenant, error) {
	if err := m.enter(ctx); err != nil {
		return event.Tenant{}, err
	}
	defer m.mu.Unlock()
	t, ok := m.tenantNamed(name)
	if !ok {
		return event.Tenant{}, event.NotFound("tenant")
	}
	return t, nil
}

// Tenants implements [store.Control].
func (m *Model) Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	byName := map[string]event.Tenant{}
	for _, t := range m.byID {
		byName[t.Name] = t
	}
	return page(byName, after, limit), nil
}

// DeleteTenant implements [store.Control].
func (m *Model) DeleteTenant(ctx context.Context, id event.TenantID, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := checkDelete("tenant", m.byID[id].Revision, revision); err != nil {
		return err
	}
	delete(m.byID, id)
	delete(m.portals, id)
	m.deletedTenants[id] = true
	for k, e := range m.endpoints {
		if e.Tenant == id {
			delete(m.endpoints, k)
			m.deletedEndpoints[k] = true
		}
	}
	for k := range m.queueNames {
		if k.tenant == id {
			m.dropQueue(k)
		}
	}
	maps.DeleteFunc(m.types, func(k typeKey, _ event.Type) bool { return k.tenant == id })
	maps.DeleteFunc(m.sources, func(k typeKey, _ event.Source) bool { return k.tenant == id })
	maps.DeleteFunc(m.tokenKeys, func(k tokenKey, _ event.TokenKey) bool { return k.tenant == id })
	maps.DeleteFunc(m.keys, func(_ int64, k event.APIKey) bool { return k.Tenant == id })
	return nil
}

// DeletedTenants implements [store.Control].
func (m *Model) DeletedTenants(ctx context.Context) ([]event.TenantID, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.deletedTenants)), nil
}

// ForgetTenant implements [store.Control].
func (m *Model) ForgetTenant(ctx context.Context, id event.TenantID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.deletedTenants, id)
	return nil
}

// PutEndpoint implements [store.Control].
func (m *Model) PutEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return event.Endpoint{}, err
	}
	defer m.mu.Unlock()
	return m.putEndpoint(e, revision, maxEndpoints)
}

// AddEndpointBehind implements [store.Control].
func (m *Model) AddEndpointBehind(ctx context.Context, e event.Endpoint, maxEndpoints int) (event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return event.Endpoint{}, err
	}
	defer m.mu.Unlock()
	out, err := m.putEndpoint(e, 0, maxEndpoints)
	if err == nil {
		key := event.LaneKey{Endpoint: e.ID}
		m.lanes[key] = event.LaneState{LaneKey: key, Tenant: e.Tenant, Backlog: true, Cursor: e.Start, PenaltyUntil: utc(time.Time{}), FailingSince: utc(time.Time{})}
	}
	return out, err
}

func (m *Model) putEndpoint(e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error) {
	if _, ok := m.byID[e.Tenant]; !ok {
		return event.Endpoint{}, event.NotFound("tenant")
	}
	stored := m.endpoints[e.ID]
	if revision != 0 && stored.Tenant != e.Tenant {
		stored = event.Endpoint{}
	}
	if err := checkPut("endpoint", stored.Revision, revision); err != nil {
		return event.Endpoint{}, err
	}
	if revision == 0 && maxEndpoints > 0 {
		n := 0
		for _, other := range m.endpoints {
			if other.Tenant == e.Tenant {
				n++
			}
		}
		if n >= maxEndpoints {
			return event.Endpoint{}, event.Errorf(event.KindConflict, "too_many_endpoints",
				fmt.Sprintf("the tenant has all the endpoints that it may have: %d", maxEndpoints))
		}
	}
	e.Types, e.Channels, e.Retries = slices.Clone(e.Types), slices.Clone(e.Channels), slices.Clone(e.Retries)
	e.Changed = slices.Clone(e.Changed)
	e.Sealed, e.Metadata = slices.Clone(e.Sealed), maps.Clone(e.Metadata)
	e.Created, e.Updated = utc(e.Created), utc(e.Updated)
	e.Revision = revision + 1
	m.endpoints[e.ID] = e
	return e, nil
}

// Endpoint implements [store.Control].
func (m *Model) Endpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return event.Endpoint{}, err
	}
	defer m.mu.Unlock()
	e, ok := m.endpoints[id]
	if !ok || e.Tenant != tenant {
		return event.Endpoint{}, event.NotFound("endpoint")
	}
	return e, nil
}

// Endpoints implements [store.Control].
func (m *Model) Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	mine := map[event.EndpointID]event.Endpoint{}
	for k, e := range m.endpoints {
		if e.Tenant == tenant {
			mine[k] = e
		}
	}
	return page(mine, after, limit), nil
}

// EndpointsByID implements [store.Control].
func (m *Model) EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.Endpoint
	for _, id := range ids {
		if e, ok := m.endpoints[id]; ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// DeleteEndpoint implements [store.Control].
func (m *Model) DeleteEndpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	e := m.endpoints[id]
	if e.Tenant != tenant {
		e = event.Endpoint{}
	}
	if err := checkDelete("endpoint", e.Revision, revision); err != nil {
		return err
	}
	delete(m.endpoints, id)
	m.deletedEndpoints[id] = true
	return nil
}

// DeletedEndpoints implements [store.Control].
func (m *Model) DeletedEndpoints(ctx context.Context, limit int) ([]event.EndpointID, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list := slices.Sorted(maps.Keys(m.deletedEndpoints))
	return list[:min(len(list), max(limit, 0))], nil
}

// ForgetEndpoint implements [store.Control].
func (m *Model) ForgetEndpoint(ctx context.Context, id event.EndpointID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.deletedEndpoints, id)
	return nil
}

// PutType implements [store.Control].
func (m *Model) PutType(ctx context.Context, t event.Type, revision int64) (event.Type, error) {
	if err := m.enter(ctx); err != nil {
		return event.Type{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[t.Tenant]; !ok {
		return event.Type{}, event.NotFound("tenant")
	}
	k := typeKey{tenant: t.Tenant, name: t.Name}
	if err := checkPut("event type", m.types[k].Revision, revision); err != nil {
		return event.Type{}, err
	}
	t.Schema, t.Examples = slices.Clone(t.Schema), slices.Clone(t.Examples)
	t.Created, t.Updated = utc(t.Created), utc(t.Updated)
	t.Revision = revision + 1
	m.types[k] = t
	return t, nil
}

// Type implements [store.Control].
func (m *Model) Type(ctx context.Context, tenant event.TenantID, name string) (event.Type, error) {
	if err := m.enter(ctx); err != nil {
		return event.Type{}, err
	}
	defer m.mu.Unlock()
	t, ok := m.types[typeKey{tenant: tenant, name: name}]
	if !ok {
		return event.Type{}, event.NotFound("event type")
	}
	return t, nil
}

// Types implements [store.Control].
func (m *Model) Types(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return page(ofTenant(m.types, tenant), after, limit), nil
}

// ofTenant returns what a tenant has, by name.
func ofTenant[V any](all map[typeKey]V, tenant event.TenantID) map[string]V {
	mine := map[string]V{}
	for k, v := range all {
		if k.tenant == tenant {
			mine[k.name] = v
		}
	}
	return mine
}

// DeleteType implements [store.Control].
func (m *Model) DeleteType(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	k := typeKey{tenant: tenant, name: name}
	if err := checkDelete("event type", m.types[k].Revision, revision); err != nil {
		return err
	}
	delete(m.types, k)
	return nil
}

// PutAPIKey implements [store.Control].
func (m *Model) PutAPIKey(ctx context.Context, k event.APIKey) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.putKey(k)
}

// ReplaceAPIKey implements [store.Control].
func (m *Model) ReplaceAPIKey(ctx context.Context, k event.APIKey, hash [32]byte) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	old, ok := m.keys[k.ID]
	switch {
	case !ok:
		return event.NotFound("API key")
	case old.Hash != hash:
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "the API key was changed meanwhile")
	}
	return m.putKey(k)
}

func (m *Model) putKey(k event.APIKey) error {
	if _, ok := m.byID[k.Tenant]; !ok && k.Tenant != 0 {
		return event.NotFound("tenant")
	}
	for _, other := range m.keys {
		if other.ID != k.ID && (hasHash(&other, k.Hash) || k.Previous != [32]byte{} && hasHash(&other, k.Previous)) {
			return exists("API key")
		}
	}
	k.Allow = slices.Clone(k.Allow)
	k.Created, k.Expires, k.PreviousExpires = utc(k.Created), utc(k.Expires), utc(k.PreviousExpires)
	m.keys[k.ID] = k
	return nil
}

// hasHash reports whether a hash is that of a key, or was before its last rotation.
func hasHash(k *event.APIKey, hash [32]byte) bool {
	return k.Hash == hash || k.Previous != [32]byte{} && k.Previous == hash
}

// APIKeyByHash implements [store.Control].
func (m *Model) APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error) {
	if err := m.enter(ctx); err != nil {
		return event.APIKey{}, err
	}
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if hasHash(&k, hash) {
			return k, nil
		}
	}
	return event.APIKey{}, event.NotFound("API key")
}

// APIKey implements [store.Control].
func (m *Model) APIKey(ctx context.Context, id int64) (event.APIKey, error) {
	if err := m.enter(ctx); err != nil {
		return event.APIKey{}, err
	}
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return event.APIKey{}, event.NotFound("API key")
	}
	return k, nil
}

// APIKeys implements [store.Control].
func (m *Model) APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return page(m.keys, after, limit), nil
}

// DeleteAPIKey implements [store.Control].
func (m *Model) DeleteAPIKey(ctx context.Context, id int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.keys[id]; !ok {
		return event.NotFound("API key")
	}
	delete(m.keys, id)
	return nil
}

// Answer implements [store.Control].
func (m *Model) Answer(ctx context.Context, scope, key string) (store.Answer, error) {
	if err := m.enter(ctx); err != nil {
		return store.Answer{}, err
	}
	defer m.mu.Unlock()
	a, ok := m.answers[answerKey{scope: scope, key: key}]
	if !ok {
		return store.Answer{}, event.NotFound("answer")
	}
	return a, nil
}

// SaveAnswer implements [store.Control].
func (m *Model) SaveAnswer(ctx context.Context, scope, key string, a store.Answer) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	k := answerKey{scope: scope, key: key}
	if _, ok := m.answers[k]; ok {
		return exists("answer")
	}
	a.Header, a.Body, a.At = maps.Clone(a.Header), slices.Clone(a.Body), utc(a.At)
	m.answers[k] = a
	return nil
}

// TrimAnswers implements [store.Control].
func (m *Model) TrimAnswers(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	gone := func(at time.Time) bool {
		if n >= limit || !at.Before(before) {
			return false
		}
		n++
		return true
	}
	maps.DeleteFunc(m.publishes, func(_ publishKey, p publish) bool { return gone(p.at) })
	maps.DeleteFunc(m.answers, func(_ answerKey, a store.Answer) bool { return gone(a.At) })
	return n, nil
}
