package storetest

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// byName runs a call for the tenant of a name, or with a number that no tenant has.
func byName(name string, call func(ctx context.Context, s store.Store, t event.Tenant) (any, error)) func(context.Context, store.Store) (any, error) {
	return func(ctx context.Context, s store.Store) (any, error) {
		t, err := s.Tenant(ctx, name)
		if event.KindOf(err) == event.KindNotFound {
			t = event.Tenant{ID: 1 << 40}
		} else if err != nil {
			return nil, err
		}
		return call(ctx, s, t)
	}
}

func drawRevision(rt *rapid.T) int64 { return rapid.Int64Range(0, 2).Draw(rt, "revision") }

func (w *world) drawTenant(rt *rapid.T) step {
	name, revision := rapid.SampledFrom(worldNames).Draw(rt, "name"), drawRevision(rt)
	newName := rapid.SampledFrom(worldNames).Draw(rt, "newName")
	at := clock(w.now)
	return rapid.SampledFrom([]step{
		{"PutTenant", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			if revision == 0 {
				newName = name
			}
			return s.PutTenant(ctx, event.Tenant{ID: t.ID, Name: newName, Created: at, Updated: at}, revision)
		})},
		{"DeleteTenant", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.DeleteTenant(ctx, t.ID, revision)
		})},
		{"ForgetTenant", func(ctx context.Context, s store.Store) (any, error) {
			list, err := s.DeletedTenants(ctx)
			if err != nil || len(list) == 0 {
				return nil, err
			}
			return nil, s.ForgetTenant(ctx, list[0])
		}},
	}).Draw(rt, "tenant")
}

func (w *world) drawEndpoint(rt *rapid.T) step {
	name, revision, e := rapid.SampledFrom(worldNames).Draw(rt, "name"), drawRevision(rt), drawEndpointID(rt)
	most := rapid.IntRange(0, 2).Draw(rt, "most")
	v := event.Endpoint{ID: e, URL: "https://example.com", Created: clock(w.now), Updated: clock(w.now), Sealed: []byte("sealed")}
	return rapid.SampledFrom([]step{
		{"PutEndpoint", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			put := v
			put.Tenant = t.ID
			return s.PutEndpoint(ctx, put, revision, most)
		})},
		{"AddEndpointBehind", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			put := v
			put.Tenant, put.Start = t.ID, int64(revision)
			return s.AddEndpointBehind(ctx, put, most)
		})},
		{"DeleteEndpoint", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.DeleteEndpoint(ctx, t.ID, e, revision)
		})},
		{"Endpoint", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) { return s.Endpoint(ctx, t.ID, e) })},
		{"ForgetEndpoint", func(ctx context.Context, s store.Store) (any, error) { return nil, s.ForgetEndpoint(ctx, e) }},
	}).Draw(rt, "endpoint")
}

func (w *world) drawType(rt *rapid.T) step {
	name, revision := rapid.SampledFrom(worldNames).Draw(rt, "name"), drawRevision(rt)
	typ := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "type")
	at := clock(w.now)
	return rapid.SampledFrom([]step{
		{"PutType", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return s.PutType(ctx, event.Type{Tenant: t.ID, Name: typ, Created: at, Updated: at}, revision)
		})},
		{"DeleteType", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.DeleteType(ctx, t.ID, typ, revision)
		})},
		{"Type", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) { return s.Type(ctx, t.ID, typ) })},
	}).Draw(rt, "typeStep")
}

func (w *world) drawKey(rt *rapid.T) step {
	name, id := rapid.SampledFrom(worldNames).Draw(rt, "name"), rapid.Int64Range(1, 3).Draw(rt, "id")
	hash := [32]byte{byte(rapid.IntRange(1, 3).Draw(rt, "hash"))}
	next := [32]byte{byte(rapid.IntRange(1, 4).Draw(rt, "next"))}
	admin := rapid.Bool().Draw(rt, "admin")
	return rapid.SampledFrom([]step{
		{"PutAPIKey", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			k := event.APIKey{ID: id, Hash: hash, Admin: admin, Created: clock(0)}
			if !admin {
				k.Tenant = t.ID
			}
			return nil, s.PutAPIKey(ctx, k)
		})},
		{"ReplaceAPIKey", byName(name, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			k := event.APIKey{ID: id, Hash: next, Previous: hash, PreviousExpires: clock(w.now), Admin: admin, Created: clock(0)}
			if !admin {
				k.Tenant = t.ID
			}
			return nil, s.ReplaceAPIKey(ctx, k, hash)
		})},
		{"DeleteAPIKey", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteAPIKey(ctx, id) }},
		{"APIKey", func(ctx context.Context, s store.Store) (any, error) { return s.APIKey(ctx, id) }},
		{"APIKeyByHash", func(ctx context.Context, s store.Store) (any, error) { return s.APIKeyByHash(ctx, hash) }},
	}).Draw(rt, "apikey")
}

func (w *world) drawAnswer(rt *rapid.T) step {
	key := rapid.SampledFrom([]string{"k1", "k2"}).Draw(rt, "key")
	a := store.Answer{Status: w.now, At: clock(w.now)}
	return rapid.SampledFrom([]step{
		{"SaveAnswer", func(ctx context.Context, s store.Store) (any, error) { return nil, s.SaveAnswer(ctx, "scope", key, a) }},
		{"Answer", func(ctx context.Context, s store.Store) (any, error) { return s.Answer(ctx, "scope", key) }},
	}).Draw(rt, "answer")
}

// testFaultsEachCall lets each call fail once before and once after its effect; what remains must be what the calls that
// had their effect make of a model.
func testFaultsEachCall(t *testing.T, open Open) {
	f := NewFaulty(open(t, t.TempDir()), nil)
	defer func() { noError(t, f.next.Close()) }()
	model := NewModel()
	for _, s := range []store.Store{f, model} {
		acquire(t, s)
		appendEvents(t, s, 1, clock(-50), evs("old", 3)...)
	}
	tried, ideal := calls(f, t.TempDir()), calls(model, t.TempDir())
	for name, call := range tried {
		if name == "Close" {
			continue
		}
		before := f.Calls(name)
		f.SetRule(only(name, Fault{Before: errInjected}))
		wantIs(t, call(t.Context()), errInjected)
		same(t, "after a fault before "+name, mustDump(t, f), mustDump(t, model), unnumbered)
		f.SetRule(only(name, Fault{After: errInjected}))
		err, want := call(t.Context()), ideal[name](t.Context())
		f.SetRule(nil)
		if want == nil {
			wantIs(t, err, errInjected)
		} else if class(err) != class(want) {
			t.Fatalf("%s: the error is %v, want %v", name, err, want)
		}
		same(t, "after a fault after "+name, mustDump(t, f), mustDump(t, model), unnumbered)
		if n := f.Calls(name) - before; n < 2 {
			t.Errorf("%d calls of %s were counted", n, name)
		}
	}
}

func mustDump(t testing.TB, s store.Store) dump {
	t.Helper()
	if f, ok := s.(*Faulty); ok {
		s = f.next // faults are for the calls under test
	}
	d, err := takeDump(t.Context(), s)
	noError(t, err)
	return d
}
