package storetest

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testPortals(t *testing.T, s store.Store) {
	tenant, other := newTenant(t, s, "acme").ID, newTenant(t, s, "other").ID
	get := func(tenant event.TenantID) event.Portal { return must[event.Portal](t)(s.Portal(t.Context(), tenant)) }
	same(t, "never set", get(tenant), event.Portal{Tenant: tenant})
	full := event.Portal{
		Tenant: tenant, Name: "Acme", Colour: "#a1b2c3", Logo: "data:image/png;base64," + strings.Repeat("A", 32000),
		Origins: []string{"https://app.example.com", "http://localhost:3000"}, Language: "cs", Updated: clock(1),
	}
	got := must[event.Portal](t)(s.PutPortal(t.Context(), full, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "the settings", get(tenant), full)
	same(t, "of the other tenant", get(other), event.Portal{Tenant: other})
	for _, revision := range []int64{0, 2} {
		_, err := s.PutPortal(t.Context(), full, revision)
		wantKind(t, err, event.KindPrecondition)
	}
	_, err := s.PutPortal(t.Context(), event.Portal{Tenant: other}, 1)
	wantKind(t, err, event.KindPrecondition)
	empty := must[event.Portal](t)(s.PutPortal(t.Context(), event.Portal{Tenant: tenant, Updated: clock(2)}, 1))
	same(t, "nothing of before is left", empty, event.Portal{Tenant: tenant, Revision: 2, Updated: clock(2)})
	same(t, "read again", get(tenant), empty)

	_, err = s.PutPortal(t.Context(), event.Portal{Tenant: 999}, 0)
	wantKind(t, err, event.KindNotFound)
	_, err = s.Portal(t.Context(), 999)
	wantKind(t, err, event.KindNotFound)
	noError(t, s.DeleteTenant(t.Context(), tenant, 0))
	_, err = s.Portal(t.Context(), tenant)
	wantKind(t, err, event.KindNotFound)
	_, err = s.PutPortal(t.Context(), full, 2)
	wantKind(t, err, event.KindNotFound)
	same(t, "of the tenant that is left", get(other), event.Portal{Tenant: other})
}

func (w *world) drawPortal(rt *rapid.T) step {
	name, revision, at := rapid.SampledFrom(worldNames).Draw(rt, "name"), drawRevision(rt), clock(w.now)
	title := rapid.SampledFrom([]string{"", "one", "two"}).Draw(rt, "title")
	return rapid.SampledFrom([]step{
		{"PutPortal", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return s.PutPortal(ctx, event.Portal{Tenant: t.ID, Name: title, Updated: at}, revision)
		})},
		{"Portal", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) { return s.Portal(ctx, t.ID) })},
	}).Draw(rt, "portalStep")
}

// portals reads the settings of every tenant's portal.
func (r *reader) portals(d *dump) {
	d.Portals = map[string]event.Portal{}
	for _, t := range d.Tenants {
		p, err := r.s.Portal(r.ctx, t.ID)
		d.Portals[t.Name] = read(r, p, err)
	}
}
