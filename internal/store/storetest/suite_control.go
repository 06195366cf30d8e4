package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func newTenant(t testing.TB, s store.Store, name string) event.Tenant {
	t.Helper()
	return must[event.Tenant](t)(s.PutTenant(t.Context(), event.Tenant{Name: name, Created: clock(0), Updated: clock(0)}, 0))
}

func testTenants(t *testing.T, s store.Store) {
	full := event.Tenant{
		Name: "acme", Description: "d", PublishRate: 12.5, MaxEndpoints: 7, Metadata: map[string]string{"a": "1", "b": ""},
		Created: clock(0), Updated: clock(1), Changelog: true,
	}
	got := must[event.Tenant](t)(s.PutTenant(t.Context(), full, 0))
	if got.ID <= 0 || got.Revision != 1 {
		t.Fatalf("the new tenant is %+v", got)
	}
	full.ID, full.Revision = got.ID, 1
	same(t, "the answer", got, full)
	same(t, "the tenant", must[event.Tenant](t)(s.Tenant(t.Context(), "acme")), full)
	_, err := s.PutTenant(t.Context(), event.Tenant{Name: "acme"}, 0)
	wantKind(t, err, event.KindConflict)
	_, err = s.Tenant(t.Context(), "nobody")
	wantKind(t, err, event.KindNotFound)

	full.Description = "changed"
	full.Name = "acme2"
	got = must[event.Tenant](t)(s.PutTenant(t.Context(), full, 1))
	full.Revision = 2
	same(t, "the changed one", got, full)
	_, err = s.PutTenant(t.Context(), full, 1)
	wantKind(t, err, event.KindPrecondition)
	gone := full
	gone.ID = 999
	_, err = s.PutTenant(t.Context(), gone, 1)
	wantKind(t, err, event.KindNotFound)
	other := newTenant(t, s, "b")
	other.Name = "acme2"
	_, err = s.PutTenant(t.Context(), other, other.Revision)
	wantKind(t, err, event.KindConflict)
	newTenant(t, s, "a")

	var names []string
	after := ""
	for {
		list := must[[]event.Tenant](t)(s.Tenants(t.Context(), after, 2))
		if len(list) == 0 {
			break
		}
		for _, x := range list {
			names = append(names, x.Name)
			after = x.Name
		}
	}
	same(t, "the names", names, []string{"a", "acme2", "b"})
}

func testDeleteTenant(t *testing.T, s store.Store) {
	keep, gone := newTenant(t, s, "keep"), newTenant(t, s, "gone")
	for i, tenant := range []event.TenantID{keep.ID, gone.ID} {
		_, err := s.PutEndpoint(t.Context(), event.Endpoint{ID: event.EndpointID(10 + i), Tenant: tenant, URL: "https://example.com"}, 0, 0)
		noError(t, err)
		_, err = s.PutType(t.Context(), event.Type{Tenant: tenant, Name: "x"}, 0)
		noError(t, err)
		noError(t, s.PutAPIKey(t.Context(), event.APIKey{ID: int64(20 + i), Tenant: tenant, Hash: [32]byte{byte(i)}}))
	}
	wantKind(t, s.DeleteTenant(t.Context(), gone.ID, 7), event.KindPrecondition)
	wantKind(t, s.DeleteTenant(t.Context(), 999, 0), event.KindNotFound)
	noError(t, s.DeleteTenant(t.Context(), gone.ID, gone.Revision))
	wantKind(t, s.DeleteTenant(t.Context(), gone.ID, 0), event.KindNotFound)

	_, err := s.Tenant(t.Context(), "gone")
	wantKind(t, err, event.KindNotFound)
	_, err = s.Endpoint(t.Context(), gone.ID, 11)
	wantKind(t, err, event.KindNotFound)
	_, err = s.Type(t.Context(), gone.ID, "x")
	wantKind(t, err, event.KindNotFound)
	_, err = s.APIKey(t.Context(), 21)
	wantKind(t, err, event.KindNotFound)
	_, err = s.APIKeyByHash(t.Context(), [32]byte{1})
	wantKind(t, err, event.KindNotFound)
	same(t, "endpoints by id", len(must[[]event.Endpoint](t)(s.EndpointsByID(t.Context(), []event.EndpointID{10, 11}))), 1)
	same(t, "keys", len(must[[]event.APIKey](t)(s.APIKeys(t.Context(), 0, 10))), 1)
	same(t, "to delete", must[[]event.TenantID](t)(s.DeletedTenants(t.Context())), []event.TenantID{gone.ID})
	same(t, "endpoints to delete", must[[]event.EndpointID](t)(s.DeletedEndpoints(t.Context(), 10)), []event.EndpointID{11})
	noError(t, s.ForgetTenant(t.Context(), gone.ID))
	noError(t, s.ForgetTenant(t.Context(), gone.ID))
	noError(t, s.ForgetEndpoint(t.Context(), 11))
	same(t, "nothing to delete", must[[]event.TenantID](t)(s.DeletedTenants(t.Context())), []event.TenantID{})
	same(t, "no endpoint to delete", must[[]event.EndpointID](t)(s.DeletedEndpoints(t.Context(), 10)), []event.EndpointID{})
	if again := newTenant(t, s, "gone"); again.ID == gone.ID || again.ID == keep.ID {
		t.Errorf("tenant number %d is used again", again.ID)
	}
	_, err = s.PutEndpoint(t.Context(), event.Endpoint{ID: 77, Tenant: gone.ID}, 0, 0)
	wantKind(t, err, event.KindNotFound)
	_, err = s.PutType(t.Context(), event.Type{Tenant: gone.ID, Name: "x"}, 0)
	wantKind(t, err, event.KindNotFound)
	wantKind(t, s.PutAPIKey(t.Context(), event.APIKey{ID: 77, Tenant: gone.ID, Hash: [32]byte{9}}), event.KindNotFound)
}

func testEndpoints(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	full := event.Endpoint{
		ID: 42, Tenant: tenant, URL: "https://example.com/hook", Kind: "webhook", Description: "d", Types: []string{"order.*"}, Channels: []string{"c"},
		Filter: "true", Order: event.OrderKey, Payload: event.PayloadThin, Envelope: event.EnvelopeRaw, Format: "json",
		Batch: event.Batch{Max: 10, Wait: time.Second, Coalesce: true}, Signing: "standard", AuthType: "basic", Timeout: 5 * time.Second,
		Retries: []time.Duration{time.Second, time.Hour}, RateLimit: 2.5, Concurrency: 8, Disabled: true, DisabledReason: "paused",
		Metadata: map[string]string{"k": "v"}, Sealed: []byte{0, 1, 2}, Start: 17, Created: clock(0), Updated: clock(1),
		Profile: event.ProfileFlexiBee, Forever: true, Changed: []string{"stavUhrK"},
	}
	got := must[event.Endpoint](t)(s.PutEndpoint(t.Context(), full, 0, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "the endpoint", must[event.Endpoint](t)(s.Endpoint(t.Context(), tenant, 42)), full)
	_, err := s.PutEndpoint(t.Context(), full, 0, 0)
	wantKind(t, err, event.KindConflict)
	full.URL, full.Disabled = "https://example.org", false
	same(t, "the change", must[event.Endpoint](t)(s.PutEndpoint(t.Context(), full, 1, 1)).Revision, int64(2))
	_, err = s.PutEndpoint(t.Context(), full, 1, 0)
	wantKind(t, err, event.KindPrecondition)
	_, err = s.PutEndpoint(t.Context(), event.Endpoint{ID: 43, Tenant: tenant}, 1, 0)
	wantKind(t, err, event.KindNotFound)

	other := newTenant(t, s, "other").ID
	_, err = s.Endpoint(t.Context(), other, 42)
	wantKind(t, err, event.KindNotFound)
	stolen := full
	stolen.Tenant = other
	_, err = s.PutEndpoint(t.Context(), stolen, 2, 0)
	wantKind(t, err, event.KindNotFound)
	wantKind(t, s.DeleteEndpoint(t.Context(), other, 42, 0), event.KindNotFound)

	for _, id := range []event.EndpointID{5, 1 << 61, 7} {
		must[event.Endpoint](t)(s.PutEndpoint(t.Context(), event.Endpoint{ID: id, Tenant: tenant, Created: clock(0), Updated: clock(0)}, 0, 0))
	}
	var order []event.EndpointID
	after := event.EndpointID(0)
	for {
		list := must[[]event.Endpoint](t)(s.Endpoints(t.Context(), tenant, after, 3))
		if len(list) == 0 {
			break
		}
		for i := range list {
			order = append(order, list[i].ID)
			after = list[i].ID
		}
	}
	same(t, "the ids", order, []event.EndpointID{5, 7, 42, 1 << 61})
	same(t, "by id", len(must[[]event.Endpoint](t)(s.EndpointsByID(t.Context(), []event.EndpointID{7, 99, 42}))), 2)
	wantKind(t, s.DeleteEndpoint(t.Context(), tenant, 42, 1), event.KindPrecondition)
	noError(t, s.DeleteEndpoint(t.Context(), tenant, 42, 2))
	wantKind(t, s.DeleteEndpoint(t.Context(), tenant, 42, 2), event.KindNotFound)
	noError(t, s.DeleteEndpoint(t.Context(), tenant, 5, 0))
	same(t, "to delete", must[[]event.EndpointID](t)(s.DeletedEndpoints(t.Context(), 10)), []event.EndpointID{5, 42})
	same(t, "a page to delete", must[[]event.EndpointID](t)(s.DeletedEndpoints(t.Context(), 1)), []event.EndpointID{5})
}

// testEndpointBehind creates endpoints that begin in the past: each comes with its lane's state, or not at all.
func testEndpointBehind(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	lease := acquire(t, s)
	e := event.Endpoint{ID: 42, Tenant: tenant, URL: "https://example.com", Start: 17, Created: clock(0), Updated: clock(0)}
	got := must[event.Endpoint](t)(s.AddEndpointBehind(t.Context(), e, 1))
	e.Revision = 1
	same(t, "the answer", got, e)
	same(t, "the endpoint", must[event.Endpoint](t)(s.Endpoint(t.Context(), tenant, 42)), e)
	want := []event.LaneState{{LaneKey: event.LaneKey{Endpoint: 42}, Tenant: tenant, Backlog: true, Cursor: 17}}
	lanes := func() []event.LaneState {
		t.Helper()
		list, retries, err := s.LoadLanes(t.Context(), lease)
		noError(t, err)
		same(t, "retries", len(retries), 0)
		return list
	}
	same(t, "its lane", lanes(), want)

	saveRecord(t, s, store.Record{Lease: lease, Lanes: []event.LaneState{{LaneKey: event.LaneKey{Endpoint: 42}, Tenant: tenant, Backlog: true, Cursor: 20}}})
	want[0].Cursor = 20
	_, err := s.AddEndpointBehind(t.Context(), e, 0)
	wantKind(t, err, event.KindConflict)
	_, err = s.AddEndpointBehind(t.Context(), event.Endpoint{ID: 43, Tenant: tenant}, 1)
	wantKind(t, err, event.KindConflict)
	_, err = s.AddEndpointBehind(t.Context(), event.Endpoint{ID: 44, Tenant: 999}, 0)
	wantKind(t, err, event.KindNotFound)
	same(t, "the lanes after refusals", lanes(), want)

	saveRecord(t, s, store.Record{Lease: lease, DropLanes: []event.LaneKey{{Endpoint: 42}}})
	same(t, "no lane left", len(lanes()), 0)
}

// testEndpointCap creates endpoints from several callers at once under a cap.
func testEndpointCap(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	const most = 5
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := s.PutEndpoint(t.Context(), event.Endpoint{ID: event.EndpointID(i + 1), Tenant: tenant}, 0, most)
			switch {
			case err == nil:
				made.Add(1)
			case event.KindOf(err) == event.KindConflict && asError(err).Code == "too_many_endpoints":
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != most || refused.Load() != 20-most {
		t.Fatalf("%d were made, %d refused", made.Load(), refused.Load())
	}
	list := must[[]event.Endpoint](t)(s.Endpoints(t.Context(), tenant, 0, 100))
	same(t, "endpoints", len(list), most)
	noError(t, s.DeleteEndpoint(t.Context(), tenant, list[0].ID, 0))
	must[event.Endpoint](t)(s.PutEndpoint(t.Context(), event.Endpoint{ID: 100, Tenant: tenant}, 0, most))
	_, err := s.PutEndpoint(t.Context(), event.Endpoint{ID: 101, Tenant: tenant}, 0, most)
	wantKind(t, err, event.KindConflict)
}

func testTypes(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	full := event.Type{
		Tenant: tenant, Name: "order.paid", Description: "d", Schema: json.RawMessage(`{"type":"object"}`),
		Examples: []json.RawMessage{json.RawMessage(`{}`), json.RawMessage(`{"a":1}`)}, Archived: true, Created: clock(0), Updated: clock(1),
	}
	got := must[event.Type](t)(s.PutType(t.Context(), full, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "the type", must[event.Type](t)(s.Type(t.Context(), tenant, "order.paid")), full)
	_, err := s.PutType(t.Context(), full, 0)
	wantKind(t, err, event.KindConflict)
	full.Schema = nil
	same(t, "the change", must[event.Type](t)(s.PutType(t.Context(), full, 1)).Revision, int64(2))
	_, err = s.PutType(t.Context(), full, 1)
	wantKind(t, err, event.KindPrecondition)
	_, err = s.PutType(t.Context(), event.Type{Tenant: tenant, Name: "none"}, 3)
	wantKind(t, err, event.KindNotFound)
	_, err = s.Type(t.Context(), tenant+1, "order.paid")
	wantKind(t, err, event.KindNotFound)
	for i := range 4 {
		must[event.Type](t)(s.PutType(t.Context(), event.Type{Tenant: tenant, Name: fmt.Sprint("t", i)}, 0))
	}
	var names []string
	after := ""
	for {
		list := must[[]event.Type](t)(s.Types(t.Context(), tenant, after, 2))
		if len(list) == 0 {
			break
		}
		for i := range list {
			names = append(names, list[i].Name)
			after = list[i].Name
		}
	}
	same(t, "the names", names, []string{"order.paid", "t0", "t1", "t2", "t3"})
	wantKind(t, s.DeleteType(t.Context(), tenant, "order.paid", 1), event.KindPrecondition)
	noError(t, s.DeleteType(t.Context(), tenant, "order.paid", 2))
	wantKind(t, s.DeleteType(t.Context(), tenant, "order.paid", 0), event.KindNotFound)
}

func testAPIKeys(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	full := event.APIKey{
		ID: 9, Name: "n", Hash: [32]byte{1, 2, 3}, Hint: "ph_ab", Tenant: tenant, Allow: []event.Permission{event.AllowRead, event.AllowPublish},
		Created: clock(0), Expires: clock(100),
	}
	admin := event.APIKey{ID: 1 << 60, Name: "root", Hash: [32]byte{9}, Admin: true, Created: clock(0)}
	noError(t, s.PutAPIKey(t.Context(), full))
	noError(t, s.PutAPIKey(t.Context(), admin))
	same(t, "by hash", must[event.APIKey](t)(s.APIKeyByHash(t.Context(), full.Hash)), full)
	same(t, "by id", must[event.APIKey](t)(s.APIKey(t.Context(), admin.ID)), admin)
	_, err := s.APIKeyByHash(t.Context(), [32]byte{7})
	wantKind(t, err, event.KindNotFound)
	_, err = s.APIKey(t.Context(), 7)
	wantKind(t, err, event.KindNotFound)
	wantKind(t, s.PutAPIKey(t.Context(), event.APIKey{ID: 10, Hash: full.Hash, Admin: true}), event.KindConflict)
	same(t, "the list", must[[]event.APIKey](t)(s.APIKeys(t.Context(), 0, 10)), []event.APIKey{full, admin})
	same(t, "a page", must[[]event.APIKey](t)(s.APIKeys(t.Context(), 9, 10)), []event.APIKey{admin})
	rotated := full
	rotated.Hash, rotated.Previous, rotated.PreviousExpires = [32]byte{4}, full.Hash, clock(50)
	wantKind(t, s.ReplaceAPIKey(t.Context(), rotated, [32]byte{8}), event.KindPrecondition)
	same(t, "not replaced", must[event.APIKey](t)(s.APIKey(t.Context(), 9)), full)
	noError(t, s.ReplaceAPIKey(t.Context(), rotated, full.Hash))
	for _, hash := range [][32]byte{rotated.Hash, rotated.Previous} {
		same(t, "by either hash", must[event.APIKey](t)(s.APIKeyByHash(t.Context(), hash)), rotated)
		wantKind(t, s.PutAPIKey(t.Context(), event.APIKey{ID: 10, Hash: hash, Admin: true}), event.KindConflict)
		wantKind(t, s.PutAPIKey(t.Context(), event.APIKey{ID: 10, Hash: [32]byte{11}, Previous: hash, Admin: true}), event.KindConflict)
	}
	again := rotated
	again.Hash, again.Previous, again.PreviousExpires = [32]byte{5}, rotated.Hash, clock(60)
	noError(t, s.ReplaceAPIKey(t.Context(), again, rotated.Hash))
	_, err = s.APIKeyByHash(t.Context(), full.Hash)
	wantKind(t, err, event.KindNotFound)
	same(t, "the list of rotated ones", must[[]event.APIKey](t)(s.APIKeys(t.Context(), 0, 10)), []event.APIKey{again, admin})

	noError(t, s.DeleteAPIKey(t.Context(), 9))
	wantKind(t, s.DeleteAPIKey(t.Context(), 9), event.KindNotFound)
	wantKind(t, s.ReplaceAPIKey(t.Context(), again, again.Hash), event.KindNotFound)
	for _, hash := range [][32]byte{again.Hash, again.Previous} {
		_, err = s.APIKeyByHash(t.Context(), hash)
		wantKind(t, err, event.KindNotFound)
	}
}

func testAnswers(t *testing.T, s store.Store) {
	full := store.Answer{Fingerprint: [32]byte{5}, Status: 201, Header: map[string]string{"Location": "/x"}, Body: []byte(`{"a":1}`), At: clock(3)}
	_, err := s.Answer(t.Context(), "scope", "key")
	wantKind(t, err, event.KindNotFound)
	noError(t, s.SaveAnswer(t.Context(), "scope", "key", full))
	same(t, "the answer", must[store.Answer](t)(s.Answer(t.Context(), "scope", "key")), full)
	wantKind(t, s.SaveAnswer(t.Context(), "scope", "key", store.Answer{At: clock(0)}), event.KindConflict)
	same(t, "still the first", must[store.Answer](t)(s.Answer(t.Context(), "scope", "key")), full)
	noError(t, s.SaveAnswer(t.Context(), "scope2", "key", store.Answer{At: clock(1)}))
	noError(t, s.SaveAnswer(t.Context(), "scope", "key2", store.Answer{At: clock(2)}))
	same(t, "a small batch", must[int](t)(s.TrimAnswers(t.Context(), clock(3), 1)), 1)
	same(t, "the rest", must[int](t)(s.TrimAnswers(t.Context(), clock(3), 10)), 1)
	same(t, "nothing more", must[int](t)(s.TrimAnswers(t.Context(), clock(3), 10)), 0)
	same(t, "the young one", must[store.Answer](t)(s.Answer(t.Context(), "scope", "key")), full)
}
