package fanout

import (
	"context"
	"fmt"
	"sync"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
)

// loadPage is how many endpoints are read at once when a tenant is loaded.
const loadPage = 1000

// Registry holds the endpoints of tenants in an index for matching. A tenant is loaded at its first event, and kept up to
// date by Put and Remove from then on. It is safe for concurrent use.
type Registry struct {
	endpoints Endpoints

	mu      sync.RWMutex
	tenants map[event.TenantID]*tenant
}

// tenant is one tenant's index. Changes while it loads are applied at once, and what the load reads of the same endpoints
// is left out. A change before the load needs nothing: it was saved before it was told, so the load reads it.
type tenant struct {
	// load is held while the endpoints are read, which mu is not: lanes wait for mu.
	load sync.Mutex

	mu     sync.Mutex
	loaded bool
	index  *match.Index
	// away are endpoints that are not followed, because their lanes read the log by themselves: they cost nothing at each
	// event.
	away map[event.EndpointID]*event.Endpoint
	// told are the endpoints changed or removed since the load began, nil while none is under way.
	told map[event.EndpointID]struct{}
}

// put indexes an endpoint, or keeps it aside while it is away.
func (t *tenant) put(ep *event.Endpoint) {
	if old, ok := t.away[ep.ID]; ok {
		t.away[ep.ID] = newest(old, ep)
		return
	}
	t.index.Put(ep)
}

func newest(a, b *event.Endpoint) *event.Endpoint {
	if a.Revision > b.Revision {
		return a
	}
	return b
}

// NewRegistry makes an empty registry.
func NewRegistry(endpoints Endpoints) *Registry {
	return &Registry{endpoints: endpoints, tenants: map[event.TenantID]*tenant{}}
}

// Match appends to dst the followed endpoints that an event is for. It returns an error only when a tenant's endpoints cannot be
// read.
func (r *Registry) Match(ctx context.Context, ev *event.Event, dst []*event.Endpoint) ([]*event.Endpoint, error) {
	t, err := r.ready(ctx, ev.Tenant)
	if err != nil {
		return dst, err
	}
	return t.index.Match(ev, dst), nil
}

// Targets returns all endpoints that an event is for, those that are not followed too.
func (r *Registry) Targets(ctx context.Context, ev *event.Event) ([]*event.Endpoint, error) {
	t, err := r.ready(ctx, ev.Tenant)
	if err != nil {
		return nil, err
	}
	list := t.index.Match(ev, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ep := range t.away {
		if match.Matches(ep, ev) {
			list = append(list, ep)
		}
	}
	return list, nil
}

// Put takes a new or changed endpoint into the index.
func (r *Registry) Put(ep *event.Endpoint) {
	t := r.tenant(ep.Tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told != nil {
		t.told[ep.ID] = struct{}{}
	}
	if t.loaded || t.told != nil {
		t.put(ep)
	}
}

// Remove takes an endpoint out of the index.
func (r *Registry) Remove(id event.TenantID, endpoint event.EndpointID) {
	t := r.tenant(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.away, endpoint)
	if t.told != nil {
		t.told[endpoint] = struct{}{}
	}
	t.index.Remove(endpoint)
}

// Follow says whether events are to be matched for an endpoint. ep may be older than what the registry has.
func (r *Registry) Follow(ep *event.Endpoint, follow bool) {
	t := r.tenant(ep.Tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	known, away := t.away[ep.ID]
	switch {
	case follow && away:
		delete(t.away, ep.ID)
		t.index.Put(newest(known, ep)) // before the load too, which then puts the same or a newer one
	case !follow && !away:
		if t.away == nil {
			t.away = map[event.EndpointID]*event.Endpoint{}
		}
		if indexed := t.index.Get(ep.ID); indexed != nil {
			ep = newest(indexed, ep)
		}
		t.away[ep.ID] = ep
		t.index.Remove(ep.ID)
	}
}

// RemoveTenant forgets a tenant.
func (r *Registry) RemoveTenant(id event.TenantID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tenants, id)
}

func (r *Registry) tenant(id event.TenantID) *tenant {
	r.mu.RLock()
	t := r.tenants[id]
	r.mu.RUnlock()
	if t != nil {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t = r.tenants[id]; t == nil {
		t = &tenant{index: match.NewIndex()}
		r.tenants[id] = t
	}
	return t
}

// ready returns a tenant with its endpoints loaded.
func (r *Registry) ready(ctx context.Context, id event.TenantID) (*tenant, error) {
	t := r.tenant(id)
	if t.isLoaded() {
		return t, nil
	}
	t.load.Lock()
	defer t.load.Unlock()
	if t.isLoaded() {
		return t, nil
	}
	t.begin()
	for after := event.EndpointID(0); ; {
		page, err := r.endpoints.Endpoints(ctx, id, after, loadPage)
		if err != nil {
			t.abandon()
			return nil, fmt.Errorf("cannot load endpoints: %w", err)
		}
		t.absorb(page)
		if len(page) < loadPage {
			return t, nil
		}
		after = page[len(page)-1].ID
	}
}

func (t *tenant) isLoaded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loaded
}

func (t *tenant) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = map[event.EndpointID]struct{}{}
}

// abandon ends a load that failed. What it put stays in the index and is kept up to date by Remove; the next load puts
// the rest again.
func (t *tenant) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = nil
}

// absorb takes a page of a load into the index, and ends the load with the last one.
func (t *tenant) absorb(page []event.Endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range page {
		if _, told := t.told[page[i].ID]; !told {
			t.put(&page[i])
		}
	}
	if len(page) < loadPage {
		t.loaded, t.told = true, nil
	}
}
