package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestNewNeedsItsOptions(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil {
		t.Error("no error")
	}
}

func TestTenantFields(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tenant event.Tenant
		fields []string
	}{
		{event.Tenant{Name: "a"}, nil},
		{event.Tenant{Name: "0-b_c", PublishRate: 1e6, MaxEndpoints: 5, Metadata: map[string]string{"k": "v"}}, nil},
		{event.Tenant{Name: strings.Repeat("a", 63)}, nil},
		{event.Tenant{}, []string{"name"}},
		{event.Tenant{Name: strings.Repeat("a", 64)}, []string{"name"}},
		{event.Tenant{Name: "-a"}, []string{"name"}},
		{event.Tenant{Name: "_a"}, []string{"name"}},
		{event.Tenant{Name: "Acme"}, []string{"name"}},
		{event.Tenant{Name: "a/b"}, []string{"name"}},
		{event.Tenant{Name: "a\n"}, []string{"name"}},
		{event.Tenant{Name: "é"}, []string{"name"}},
		{event.Tenant{Name: "a", Description: strings.Repeat("x", 1025)}, []string{"description"}},
		{event.Tenant{Name: "a", PublishRate: -1, MaxEndpoints: -1}, []string{"publish_rate", "max_endpoints"}},
		{event.Tenant{Name: "a", PublishRate: math.Inf(1)}, []string{"publish_rate"}},
		{event.Tenant{Name: "a", PublishRate: math.NaN()}, []string{"publish_rate"}},
		{event.Tenant{Name: "a", Metadata: map[string]string{"k\n": "v"}}, []string{`metadata."k\n"`}},
	} {
		p := newPlane(t)
		_, err := p.CreateTenant(t.Context(), test.tenant)
		if got := fieldsOf(t, err); !slices.Equal(got, test.fields) {
			t.Errorf("%+v: fields %q, want %q", test.tenant, got, test.fields)
		}
	}
}

func TestTenantLife(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	if _, err := p.CreateTenant(ctx, event.Tenant{Name: "acme"}); problemOf(t, err).Code != "tenant_exists" {
		t.Errorf("got %v", err)
	}
	again, err := p.Tenant(ctx, "acme")
	if err != nil || again != p.tenant || p.store.reads["Tenant"] != 1 {
		t.Errorf("the second look is not from memory: %v, %d reads", err, p.store.reads["Tenant"])
	}
	p.clock.add(time.Hour)
	saved, err := p.UpdateTenant(ctx, event.Tenant{Name: "acme", Description: "new", ID: 99}, 1)
	if err != nil || saved.Revision != 2 || saved.ID != p.tenant.ID || !saved.Created.Equal(p.tenant.Created) || !saved.Updated.Equal(p.clock.now()) {
		t.Errorf("got %+v, %v", saved, err)
	}
	if now, _ := p.Tenant(ctx, "acme"); now.Description != "new" || p.tenant.Description != "" {
		t.Errorf("got %+v", now)
	}
	if _, err = p.UpdateTenant(ctx, event.Tenant{Name: "acme"}, 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("old revision: %v", err)
	}
	if _, err = p.UpdateTenant(ctx, event.Tenant{Name: "other"}, 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("unknown: %v", err)
	}
	if err = p.DeleteTenant(ctx, "acme", 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("old revision: %v", err)
	}
	if err = p.DeleteTenant(ctx, "acme", 2); err != nil {
		t.Fatal(err)
	}
	if _, err = p.Tenant(ctx, "acme"); event.KindOf(err) != event.KindNotFound {
		t.Errorf("still there: %v", err)
	}
	if !slices.Equal(p.heard.tenants, []event.TenantID{p.tenant.ID}) {
		t.Errorf("heard %v", p.heard.tenants)
	}
	// A tenant of the same name later is another one; who still holds the old one writes nothing.
	if _, err = p.CreateTenant(ctx, event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	if _, err = p.CreateEndpoint(ctx, p.tenant, event.Endpoint{URL: "https://x/"}, event.Secrets{}); event.KindOf(err) != event.KindNotFound {
		t.Errorf("endpoint of a deleted tenant: %v", err)
	}
	if _, err = p.CreateType(ctx, p.tenant, event.Type{Name: "a"}); event.KindOf(err) != event.KindNotFound {
		t.Errorf("type of a deleted tenant: %v", err)
	}
}

func TestTenantNameOfID(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	var last event.Tenant
	for i := range 3 {
		var err error
		if last, err = p.CreateTenant(t.Context(), event.Tenant{Name: fmt.Sprintf("t%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		name, err := p.TenantName(t.Context(), last.ID)
		if err != nil || name != "t2" || p.store.reads["Tenants"] != 1 {
			t.Errorf("got %q, %v after %d reads", name, err, p.store.reads["Tenants"])
		}
	}
	if err := p.DeleteTenant(t.Context(), "t2", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.TenantName(t.Context(), last.ID); event.KindOf(err) != event.KindNotFound {
		t.Errorf("deleted: %v", err)
	}
}

// However endpoints are made beside it, nothing is heard of a tenant's endpoints after its deletion.
func TestDeletedTenantStaysSilent(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				_, err := p.CreateEndpoint(t.Context(), p.tenant, event.Endpoint{URL: "https://x/"}, event.Secrets{})
				if err != nil && event.KindOf(err) != event.KindNotFound {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if err := p.DeleteTenant(t.Context(), "acme", 0); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if last := p.heard.order[len(p.heard.order)-1]; last != "tenant" || len(p.store.endpoints) != 0 {
		t.Errorf("last heard %s, %d endpoints left", last, len(p.store.endpoints))
	}
}

func TestAPIKeyFields(t *testing.T) {
	t.Parallel()
	all := []event.Permission{event.AllowPublish, event.AllowRead, event.AllowManage}
	for _, test := range []struct {
		key    event.APIKey
		fields []string
	}{
		{event.APIKey{Name: "a", Admin: true}, nil},
		{event.APIKey{Name: "a", Tenant: 1, Allow: all}, nil},
		{event.APIKey{Admin: true}, []string{"name"}},
		{event.APIKey{Name: "a\n", Admin: true}, []string{"name"}},
		{event.APIKey{Name: strings.Repeat("x", 129), Admin: true}, []string{"name"}},
		{event.APIKey{Name: "a"}, []string{"tenant", "allow"}},
		{event.APIKey{Name: "a", Admin: true, Tenant: 1, Allow: all}, []string{"tenant", "allow"}},
		{event.APIKey{Name: "a", Tenant: 1, Allow: []event.Permission{"read", "fly", "read"}}, []string{"allow[1]", "allow[2]"}},
		{event.APIKey{Name: "a", Tenant: 77, Allow: all}, []string{"tenant"}},
		{event.APIKey{Name: "a", Admin: true, Expires: time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)}, []string{"expires"}},
	} {
		p := newPlane(t)
		_, _, err := p.CreateAPIKey(t.Context(), test.key)
		if got := fieldsOf(t, err); !slices.Equal(got, test.fields) {
			t.Errorf("%+v: fields %q, want %q", test.key, got, test.fields)
		}
	}
}

func refused(t *testing.T, p *plane, key string) {
	t.Helper()
	if _, err := p.Authenticate(t.Context(), key); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("a bad key gives %v", err)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, key, err := p.CreateAPIKey(t.Context(), event.APIKey{
		Name: "ci", Tenant: p.tenant.ID, Allow: []event.Permission{event.AllowPublish}, Expires: p.clock.now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(key) != 55 || !strings.HasPrefix(key, "ph_") || made.Hint != key[:9] || made.Hash != sha256.Sum256([]byte(key)) {
		t.Errorf("key %s, record %+v", key, made)
	}
	for range 3 {
		got, err := p.Authenticate(t.Context(), key)
		if err != nil || got.ID != made.ID || got.Tenant != p.tenant.ID {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if n := p.store.reads["APIKeyByHash"]; n != 1 {
		t.Errorf("%d reads for three looks", n)
	}
	p.clock.add(time.Hour - time.Microsecond)
	if _, err := p.Authenticate(t.Context(), key); err != nil {
		t.Errorf("before its end: %v", err)
	}
	p.clock.add(time.Microsecond)
	refused(t, p, key)
	for _, bad := range []string{"", "x", key + "x", strings.ToUpper(key), strings.Repeat("x", 513)} {
		refused(t, p, bad)
	}
	n := p.store.reads["APIKeyByHash"]
	refused(t, p, "x")
	if p.store.reads["APIKeyByHash"] != n {
		t.Error("an unknown key is asked for again at once")
	}
	p.clock.add(badKeyTTL)
	refused(t, p, "x")
	if p.store.reads["APIKeyByHash"] != n+1 {
		t.Error("an unknown key is refused for ever")
	}
	broken := errors.New("broken")
	p.store.before = func(string) error { return broken }
	if _, err := p.Authenticate(t.Context(), "another"); !errors.Is(err, broken) {
		t.Errorf("a failing store gives %v", err)
	}
	p.store.before = nil
	refused(t, p, "another")
}

// A record that another node deleted is believed for a short time only; a store that gives another key's record is not.
func TestAuthenticateDoesNotTrustForEver(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, key, _ := p.CreateAPIKey(t.Context(), event.APIKey{Name: "a", Admin: true})
	if _, err := p.Authenticate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	delete(p.store.keys, made.ID)
	p.clock.add(keyTTL)
	refused(t, p, key)

	_, other, _ := p.CreateAPIKey(t.Context(), event.APIKey{Name: "b", Admin: true})
	p.keys.Set(sha256.Sum256([]byte("forged")), keyEntry{key: event.APIKey{Admin: true, Hash: sha256.Sum256([]byte(other))}, loaded: p.clock.now()})
	refused(t, p, "forged")
}

func TestDeletedKeyIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, key, err := p.CreateAPIKey(t.Context(), event.APIKey{Name: "a", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Authenticate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteAPIKey(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, p, key)
	if err := p.DeleteAPIKey(t.Context(), made.ID); event.KindOf(err) != event.KindNotFound {
		t.Errorf("again: %v", err)
	}
	_, key, _ = p.CreateAPIKey(t.Context(), event.APIKey{Name: "b", Tenant: p.tenant.ID, Allow: []event.Permission{event.AllowRead}})
	if _, err := p.Authenticate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteTenant(t.Context(), "acme", 0); err != nil {
		t.Fatal(err)
	}
	refused(t, p, key)
}

// A look-up that read the key before its deletion does not bring it back into the cache after it.
func TestDeletionBeatsALookUpUnderWay(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made, key, err := p.CreateAPIKey(t.Context(), event.APIKey{Name: "a", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	reading, deleted := make(chan struct{}), make(chan struct{})
	slow := &slowKeys{memory: p.store, reading: reading, deleted: deleted}
	p.Control.store = slow
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = p.Authenticate(t.Context(), key) })
	<-reading
	if err := p.DeleteAPIKey(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	close(deleted)
	wg.Wait()
	p.Control.store = p.store
	refused(t, p, key)
}

func TestRootKey(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	ensure := func(configured string) string {
		t.Helper()
		printed, err := p.EnsureRootKey(ctx, configured)
		if err != nil {
			t.Fatal(err)
		}
		return printed
	}
	accepted := func(key string) {
		t.Helper()
		if k, err := p.Authenticate(ctx, key); err != nil || !k.Admin || k.ID != rootKeyID {
			t.Errorf("got %+v, %v", k, err)
		}
	}
	made := ensure("")
	accepted(made)
	if again := ensure(""); again != "" {
		t.Error("the second start makes another key")
	}
	if printed := ensure("configured-root-key-1"); printed != "" {
		t.Error("a configured key is printed")
	}
	accepted("configured-root-key-1")
	refused(t, p, made)
	refused(t, p, "configured-root-key-2")
	ensure("configured-root-key-2")
	accepted("configured-root-key-2")
	refused(t, p, "configured-root-key-1")
	puts := p.store.reads["PutAPIKey"]
	ensure("configured-root-key-2")
	if p.store.reads["PutAPIKey"] != puts {
		t.Error("an unchanged key is written again")
	}
	if k := p.store.keys[rootKeyID]; k.Hint != "" {
		t.Errorf("a part of the configured key is kept: %q", k.Hint)
	}
	if printed := ensure(""); printed != "" {
		t.Error("without a configured key the last one is gone")
	}
	// With another admin key the root key can go for good; without one it comes back.
	admin, _, err := p.CreateAPIKey(ctx, event.APIKey{Name: "a", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteAPIKey(ctx, rootKeyID); err != nil {
		t.Fatal(err)
	}
	if printed := ensure(""); printed != "" {
		t.Error("a root key is made beside an admin key")
	}
	if err := p.DeleteAPIKey(ctx, admin.ID); err != nil {
		t.Fatal(err)
	}
	accepted(ensure(""))
	_, err = p.EnsureRootKey(ctx, "short")
	if got := fieldsOf(t, err); !slices.Equal(got, []string{"root_key"}) {
		t.Errorf("fields %v", got)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	p := newPlane(b)
	_, key, err := p.CreateAPIKey(b.Context(), event.APIKey{Name: "a", Admin: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Authenticate(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTenant(b *testing.B) {
	p := newPlane(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Tenant(b.Context(), "acme"); err != nil {
			b.Fatal(err)
		}
	}
}
