package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutTokenKey implements [store.Control].
func (m *Model) PutTokenKey(ctx context.Context, k event.TokenKey) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[k.Tenant]; !ok {
		return event.NotFound("tenant")
	}
	k.Sealed, k.Created, k.Retired = slices.Clone(k.Sealed), utc(k.Created), utc(k.Retired)
	m.tokenKeys[tokenKey{tenant: k.Tenant, id: k.ID}] = k
	return nil
}

// TokenKeys implements [store.Control].
func (m *Model) TokenKeys(ctx context.Context, tenant event.TenantID) ([]event.TokenKey, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.TokenKey
	for _, k := range m.tokenKeys {
		if k.Tenant == tenant {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b event.TokenKey) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// RetireTokenKeys implements [store.Control].
func (m *Model) RetireTokenKeys(ctx context.Context, tenant event.TenantID, except string, at time.Time) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for name, k := range m.tokenKeys {
		if k.Tenant == tenant && k.ID != except && (k.Retired.IsZero() || k.Retired.After(utc(at))) {
			k.Retired = utc(at)
			m.tokenKeys[name] = k
		}
	}
	return nil
}

// TrimTokenKeys implements [store.Control].
func (m *Model) TrimTokenKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	var old []event.TokenKey
	for _, k := range m.tokenKeys {
		if !k.Retired.IsZero() && k.Retired.Before(utc(before)) {
			old = append(old, k)
		}
	}
	slices.SortFunc(old, func(a, b event.TokenKey) int { return a.Retired.Compare(b.Retired) })
	old = old[:min(len(old), max(limit, 0))]
	for _, k := range old {
		delete(m.tokenKeys, tokenKey{tenant: k.Tenant, id: k.ID})
	}
	return len(old), nil
}
