package storetest

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testDisabled(t *testing.T, s store.Store) {
	one, two := newTenant(t, s, "one").ID, newTenant(t, s, "two").ID
	put := func(tenant event.TenantID, id event.EndpointID, revision int64, reason string, at int) {
		t.Helper()
		must[event.Endpoint](t)(s.PutEndpoint(t.Context(), event.Endpoint{
			ID: id, Tenant: tenant, URL: "https://example.com/", Disabled: reason != "", DisabledReason: reason, Created: clock(0), Updated: clock(at),
		}, revision, 0))
	}
	counted := func(what string, tenant event.TenantID, all int, disabled map[string]int) {
		t.Helper()
		same(t, what, must[event.EndpointCounts](t)(s.CountEndpoints(t.Context(), tenant)), event.EndpointCounts{All: all, Disabled: disabled})
	}
	listed := func(what string, tenant event.TenantID, reason string, limit int, want ...event.EndpointID) {
		t.Helper()
		var got []event.EndpointID
		for _, e := range must[[]event.Endpoint](t)(s.DisabledEndpoints(t.Context(), tenant, reason, limit)) {
			if !e.Disabled || e.DisabledReason != reason || e.URL == "" || e.Tenant == 0 {
				t.Errorf("%s: %+v", what, e)
			}
			got = append(got, e.ID)
		}
		same(t, what, got, want)
	}
	counted("nothing", 0, 0, map[string]int{})
	for id := range event.EndpointID(5) {
		put(one, id+1, 0, "", 0)
	}
	put(two, 11, 0, "paused", 1)
	put(two, 12, 0, "gone", 5)
	counted("all", 0, 7, map[string]int{"paused": 1, "gone": 1})
	counted("of one", one, 5, map[string]int{})
	put(one, 1, 1, "gone", 3)
	put(one, 2, 1, "gone", 9)
	put(one, 3, 1, "failing", 4)
	counted("all", 0, 7, map[string]int{"paused": 1, "gone": 3, "failing": 1})
	counted("of one", one, 5, map[string]int{"gone": 2, "failing": 1})
	listed("all", 0, "gone", 10, 2, 12, 1)
	listed("the newest", 0, "gone", 2, 2, 12)
	listed("of two", two, "gone", 10, 12)
	listed("none", two, "failing", 10)

	put(one, 2, 2, "", 10) // resumed
	noError(t, s.DeleteEndpoint(t.Context(), one, 3, 0))
	counted("of one", one, 4, map[string]int{"gone": 1})
	noError(t, s.DeleteTenant(t.Context(), one, 0))
	counted("all", 0, 2, map[string]int{"paused": 1, "gone": 1})
	listed("all", 0, "gone", 10, 12)
	counted("of a deleted tenant", one, 0, map[string]int{})
}

func testRecentDead(t *testing.T, s store.Store) {
	lease := must[[]store.Lease](t)(s.Acquire(t.Context(), "n", clock(0), unbounded))[0]
	record := store.Record{Lease: lease, Position: lease.Position}
	for i := range 6 {
		record.Dead = append(record.Dead, event.DeadLetter{
			Tenant: event.TenantID(i%2 + 1), Endpoint: event.EndpointID(i%3 + 1), Version: int64(i + 1), At: clock(i), Reason: "schedule ended",
		})
	}
	noError(t, s.SaveRecord(t.Context(), record))
	versions := func(what string, tenant event.TenantID, since, limit int, want ...int64) {
		t.Helper()
		var got []int64
		for _, d := range must[[]event.DeadLetter](t)(s.RecentDead(t.Context(), tenant, clock(since), limit)) {
			got = append(got, d.Version)
			same(t, what, d, record.Dead[d.Version-1])
		}
		same(t, what, got, want)
	}
	versions("all", 0, 0, 10, 6, 5, 4, 3, 2, 1)
	versions("since", 0, 3, 10, 6, 5, 4)
	versions("the newest", 0, 0, 2, 6, 5)
	versions("of a tenant", 2, 0, 10, 6, 4, 2)
	versions("of a tenant, since", 1, 4, 10, 5)
	versions("nothing", 3, 0, 10)
	noError(t, s.SaveRecord(t.Context(), store.Record{Lease: lease, Position: lease.Position, DropDead: []store.DeadKey{{Endpoint: 3, Version: 6}}}))
	versions("after a replay", 0, 3, 10, 5, 4)
}
