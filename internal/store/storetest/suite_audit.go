package storetest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// allAudit reads every entry that fits, in pages.
func allAudit(ctx context.Context, s store.Store, q event.AuditQuery) (out []event.AuditEntry, err error) {
	for {
		list, next, err := s.AuditEntries(ctx, q)
		out = append(out, list...)
		if err != nil || next == 0 {
			return out, err
		}
		q.Before = next
	}
}

func testAudit(t *testing.T, s store.Store) {
	ctx := t.Context()
	tenant := newTenant(t, s, "acme").ID
	full := event.AuditEntry{
		At: clock(1), ActorKind: event.ByKey, ActorID: "key_1", ActorName: "ci", Address: "192.0.2.7", Action: "patch-endpoint", Tenant: tenant,
		TenantName: "acme", Resource: "endpoint", ResourceID: "ep_1", Outcome: event.AuditUnknown, RequestID: "r1",
	}
	system := event.AuditEntry{
		At: clock(2), ActorKind: event.BySystem, Action: "disable-endpoint", Tenant: tenant, TenantName: "acme", Resource: "endpoint", ResourceID: "ep_2",
		Outcome: event.AuditDone,
	}
	root := event.AuditEntry{At: clock(3), ActorKind: event.ByRoot, ActorID: "key_0", ActorName: "root", Action: "create-tenant", TenantName: "beta", Outcome: event.AuditRefused, Status: 409, Code: "tenant_exists"}
	for _, e := range []*event.AuditEntry{&full, &system, &root} {
		before := e.ID
		e.ID = must[int64](t)(s.AddAudit(ctx, *e))
		if e.ID <= before || e.ID <= 0 {
			t.Fatalf("id %d", e.ID)
		}
	}
	full.Outcome, full.Status, full.ResourceID = event.AuditDone, 200, "ep_9"
	full.Changes = []event.AuditChange{
		{Field: "url", From: json.RawMessage(`"a"`), To: json.RawMessage(`"b"`)}, {Field: "auth.password", To: json.RawMessage(`"changed"`)}, {Field: "filter", From: json.RawMessage(`""`)},
	}
	noError(t, s.CompleteAudit(ctx, full))
	missing := full
	missing.ID = root.ID + 1000
	wantKind(t, s.CompleteAudit(ctx, missing), event.KindNotFound)

	for name, tt := range map[string]struct {
		q    event.AuditQuery
		want []event.AuditEntry
	}{
		"all":              {event.AuditQuery{}, []event.AuditEntry{root, system, full}},
		"of a tenant":      {event.AuditQuery{Tenant: tenant}, []event.AuditEntry{system, full}},
		"by tenant's name": {event.AuditQuery{TenantName: "beta"}, []event.AuditEntry{root}},
		"by actor's kind":  {event.AuditQuery{Actor: "system"}, []event.AuditEntry{system}},
		"by actor's id":    {event.AuditQuery{Actor: "key_1"}, []event.AuditEntry{full}},
		"by actor's name":  {event.AuditQuery{Actor: "ci"}, []event.AuditEntry{full}},
		"by action":        {event.AuditQuery{Action: "create-tenant"}, []event.AuditEntry{root}},
		"by resource":      {event.AuditQuery{Resource: "endpoint"}, []event.AuditEntry{system, full}},
		"by resource's id": {event.AuditQuery{Resource: "ep_9"}, []event.AuditEntry{full}},
		"since":            {event.AuditQuery{Since: clock(2)}, []event.AuditEntry{root, system}},
		"until":            {event.AuditQuery{Until: clock(2)}, []event.AuditEntry{full}},
		"nothing":          {event.AuditQuery{Actor: "ci", Action: "create-tenant"}, nil},
		"another tenant's": {event.AuditQuery{Tenant: tenant + 100}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			tt.q.Limit = limit
			same(t, name, must[[]event.AuditEntry](t)(allAudit(ctx, s, tt.q)), tt.want)
		}
	}

	extra := must[int64](t)(s.AddAudit(ctx, root))
	noError(t, s.DeleteAudit(ctx, extra))
	noError(t, s.DeleteAudit(ctx, extra))
	same(t, "without the one that was deleted", must[[]event.AuditEntry](t)(allAudit(ctx, s, event.AuditQuery{Limit: 9})), []event.AuditEntry{root, system, full})
	again := must[int64](t)(s.AddAudit(ctx, root))
	noError(t, s.DeleteAudit(ctx, again))
	if again <= extra {
		t.Errorf("the id %d is given again", extra)
	}

	noError(t, s.DeleteTenant(ctx, tenant, 0))
	same(t, "after the tenant", must[[]event.AuditEntry](t)(allAudit(ctx, s, event.AuditQuery{Tenant: tenant, Limit: 9})), []event.AuditEntry{system, full})
	same(t, "nothing is so old", must[int](t)(s.TrimAudit(ctx, clock(1), 10)), 0)
	same(t, "a small batch", must[int](t)(s.TrimAudit(ctx, clock(3), 1)), 1)
	same(t, "the oldest went", must[[]event.AuditEntry](t)(allAudit(ctx, s, event.AuditQuery{Limit: 9})), []event.AuditEntry{root, system})
	same(t, "the rest", must[int](t)(s.TrimAudit(ctx, clock(100), 10)), 2)
	if id := must[int64](t)(s.AddAudit(ctx, full)); id <= root.ID {
		t.Errorf("the id %d is given again", id)
	}
}

// testAuditPages has more entries than one call looks at.
func testAuditPages(t *testing.T, s store.Store) {
	ctx := t.Context()
	var want []event.AuditEntry
	for i := range 300 {
		e := event.AuditEntry{At: clock(i), Action: "a", ActorName: "n", Outcome: event.AuditDone}
		if i%100 == 3 {
			e.Action = "seldom"
		}
		e.ID = must[int64](t)(s.AddAudit(ctx, e))
		if e.Action == "seldom" {
			want = append(want, e)
		}
	}
	slices.Reverse(want)
	same(t, "the seldom ones", must[[]event.AuditEntry](t)(allAudit(ctx, s, event.AuditQuery{Action: "seldom", Limit: 2})), want)
	all := must[[]event.AuditEntry](t)(allAudit(ctx, s, event.AuditQuery{Limit: 7}))
	same(t, "all of them", len(all), 300)
	if !slices.IsSortedFunc(all, func(a, b event.AuditEntry) int { return int(b.ID - a.ID) }) {
		t.Error("not the newest first")
	}
}

func (w *world) drawAudit(rt *rapid.T) step {
	id, limit := rapid.Int64Range(1, 5).Draw(rt, "id"), rapid.IntRange(0, 3).Draw(rt, "limit")
	e := event.AuditEntry{
		ID: id, At: clock(w.now), Tenant: event.TenantID(rapid.IntRange(0, 2).Draw(rt, "of")), ActorName: rapid.SampledFrom(worldNames).Draw(rt, "actor"),
		Action: rapid.SampledFrom([]string{"make", "drop"}).Draw(rt, "action"), Outcome: event.AuditDone,
		Changes: []event.AuditChange{{Field: "f", To: json.RawMessage(`1`)}},
	}
	return rapid.SampledFrom([]step{
		{"AddAudit", func(ctx context.Context, s store.Store) (any, error) { return s.AddAudit(ctx, e) }},
		{"CompleteAudit", func(ctx context.Context, s store.Store) (any, error) { return nil, s.CompleteAudit(ctx, e) }},
		{"DeleteAudit", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteAudit(ctx, id) }},
		{"AuditEntries", func(ctx context.Context, s store.Store) (any, error) {
			return allAudit(ctx, s, event.AuditQuery{Tenant: e.Tenant, Actor: e.ActorName, Limit: limit + 1})
		}},
		{"TrimAudit", func(ctx context.Context, s store.Store) (any, error) { return s.TrimAudit(ctx, e.At, limit) }},
	}).Draw(rt, "audit")
}
