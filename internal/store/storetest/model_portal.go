package storetest

import (
	"context"
	"slices"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutPortal implements [store.Portals].
func (m *Model) PutPortal(ctx context.Context, p event.Portal, revision int64) (event.Portal, error) {
	if err := m.enter(ctx); err != nil {
		return event.Portal{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[p.Tenant]; !ok {
		return event.Portal{}, event.NotFound("tenant")
	}
	if m.portals[p.Tenant].Revision != revision {
		return event.Portal{}, event.Errorf(event.KindPrecondition, "revision_mismatch", "the portal was changed meanwhile")
	}
	p.Revision, p.Origins, p.Updated = revision+1, slices.Clone(p.Origins), utcOrZero(p.Updated)
	m.portals[p.Tenant] = p
	return p, nil
}

// Portal implements [store.Portals].
func (m *Model) Portal(ctx context.Context, tenant event.TenantID) (event.Portal, error) {
	if err := m.enter(ctx); err != nil {
		return event.Portal{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[tenant]; !ok {
		return event.Portal{}, event.NotFound("tenant")
	}
	p := m.portals[tenant]
	p.Tenant, p.Origins = tenant, slices.Clone(p.Origins)
	return p, nil
}
