package storetest

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testTokenKeys(t *testing.T, s store.Store) {
	tenant, other := newTenant(t, s, "acme").ID, newTenant(t, s, "other").ID
	key := func(id string, created int) event.TokenKey {
		return event.TokenKey{ID: id, Tenant: tenant, Sealed: []byte{0, byte(created)}, Created: clock(created)}
	}
	a, b, c := key("b", 1), key("a", 2), key("c", 2)
	foreign := event.TokenKey{ID: "a", Tenant: other, Sealed: []byte("x"), Created: clock(0)}
	for _, k := range []event.TokenKey{c, a, foreign, b} {
		noError(t, s.PutTokenKey(t.Context(), k))
	}
	wantKind(t, s.PutTokenKey(t.Context(), event.TokenKey{ID: "x", Tenant: 999}), event.KindNotFound)
	list := func(tenant event.TenantID) []event.TokenKey {
		return must[[]event.TokenKey](t)(s.TokenKeys(t.Context(), tenant))
	}
	same(t, "the keys", list(tenant), []event.TokenKey{a, b, c})
	a.Sealed = []byte("changed")
	noError(t, s.PutTokenKey(t.Context(), a))
	same(t, "the changed key", list(tenant), []event.TokenKey{a, b, c})

	a.Retired = clock(10)
	noError(t, s.PutTokenKey(t.Context(), a))
	noError(t, s.RetireTokenKeys(t.Context(), tenant, "c", clock(20)))
	b.Retired = clock(20)
	same(t, "retired once", list(tenant), []event.TokenKey{a, b, c})
	noError(t, s.RetireTokenKeys(t.Context(), tenant, "c", clock(15)))
	b.Retired = clock(15)
	same(t, "retired earlier", list(tenant), []event.TokenKey{a, b, c})
	same(t, "another tenant's", list(other), []event.TokenKey{foreign})

	same(t, "nothing to trim", must[int](t)(s.TrimTokenKeys(t.Context(), clock(10), 10)), 0)
	same(t, "a small batch", must[int](t)(s.TrimTokenKeys(t.Context(), clock(100), 1)), 1)
	same(t, "the oldest went", list(tenant), []event.TokenKey{b, c})
	same(t, "the rest", must[int](t)(s.TrimTokenKeys(t.Context(), clock(100), 10)), 1)
	same(t, "the one in use", list(tenant), []event.TokenKey{c})

	noError(t, s.DeleteTenant(t.Context(), other, 0))
	same(t, "a deleted tenant's", list(other), []event.TokenKey{})
}

func (w *world) drawTokenKey(rt *rapid.T) step {
	name, id := rapid.SampledFrom(worldNames).Draw(rt, "name"), rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(rt, "id")
	at := clock(w.now)
	return rapid.SampledFrom([]step{
		{"PutTokenKey", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.PutTokenKey(ctx, event.TokenKey{ID: id, Tenant: t.ID, Sealed: []byte(id), Created: at})
		})},
		{"RetireTokenKeys", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.RetireTokenKeys(ctx, t.ID, id, at)
		})},
		{"TrimTokenKeys", func(ctx context.Context, s store.Store) (any, error) { return s.TrimTokenKeys(ctx, at, 1000) }},
	}).Draw(rt, "tokenKey")
}
