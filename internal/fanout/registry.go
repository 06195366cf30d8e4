package fanout

import (
	"context"
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

// tenant is one tenant's index. Its lock is held while it loads, so that changes meanwhile are applied after what was
// read. A change before the load needs nothing: it was saved before it was told, so the load reads it.
type tenant struct {
	mu     sync.Mutex
	loaded bool
	index  *match.Index
	// away are endpoints that are not followed, because their lanes read the log by themselves: they cost nothing at each
	// event.
	away map[event.EndpointID]*event.Endpoint
}

// put indexes an endpoint, or keeps it aside while it is away.
func (t *tenant) put(ep *event.Endpoint) {
	if _, ok := t.away[ep.ID]; ok {
		t.away[ep.ID] = ep
		return
	}
	t.index.Put(ep)
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
	if t.loaded {
		t.put(ep)
	}
}

// Remove takes an endpoint out of the index.
func (r *Registry) Remove(id event.TenantID, endpoint event.EndpointID) {
	t := r.tenant(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.away, endpoint)
	if t.loaded {
		t.index.Remove(endpoint)
	}
}

// Follow says whether events are to be matched for an endpoint.
func (r *Registry) Follow(ep *event.Endpoint, follow bool) {
	t := r.tenant(ep.Tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	known, away := t.away[ep.ID]
	switch {
	case follow && away:
		delete(t.away, ep.ID)
		if t.loaded {
			t.index.Put(known)
		}
	case !follow && !away:
		if t.away == nil {
			t.away = map[event.EndpointID]*event.Endpoint{}
		}
		t.away[ep.ID] = ep
		if t.loaded {
			t.index.Remove(ep.ID)
		}
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loaded {
		return t, nil
	}
	for after := event.EndpointID(0); ; {
		page, err := r.endpoints.Endpoints(ctx, id, after, loadPage)
		if err != nil {
			return nil, loadError(err)
		}
		for i := range page {
			t.put(&page[i])
		}
		if len(page) < loadPage {
			t.loaded = true
			return t, nil
		}
		after = page[len(page)-1].ID
	}
}
