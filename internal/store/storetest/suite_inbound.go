package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func newBin(t testing.TB, s store.Store, b event.Bin) event.Bin {
	t.Helper()
	b.Created, b.Updated = clock(0), clock(0)
	return must[event.Bin](t)(s.PutBin(t.Context(), b, 0))
}

// fullSource has a value in every field.
func fullSource(tenant event.TenantID) event.Source {
	return event.Source{
		ID: 42, Tenant: tenant, Name: "github", Description: "d", Provider: "github", Sealed: []byte{1, 2},
		Map: event.SourceMap{
			Type: "t", ID: "i", Subject: "s", Key: "k", Time: "w", Data: "d", Accept: "a", Fields: map[string]string{"email": "Email", "x": "=y"},
		},
		Dedupe: event.DedupeBody, Answer: event.Answer{Status: 201, Reason: "r", Headers: []event.Header{{Name: "A", Value: "b"}}, Body: []byte("ok")},
		Sync: 77, SyncWait: 3 * time.Second, Tolerance: time.Minute, Allow: []string{"192.0.2.0/24"},
		Inspect: event.InspectRefused, Bin: "0199b3c4-1234-7abc-8def-0123456789ab", Disabled: true, Metadata: map[string]string{"k": "v"}, Created: clock(0), Updated: clock(1),
	}
}

func testSources(t *testing.T, s store.Store) {
	tenant, other := newTenant(t, s, "acme").ID, newTenant(t, s, "other").ID
	full := fullSource(tenant)
	got := must[event.Source](t)(s.PutSource(t.Context(), full, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "the source", must[event.Source](t)(s.Source(t.Context(), tenant, "github")), full)
	_, err := s.PutSource(t.Context(), full, 0)
	wantKind(t, err, event.KindConflict)
	change := full
	change.ID, change.Provider = 99, "gitlab"
	got = must[event.Source](t)(s.PutSource(t.Context(), change, 1))
	full.Provider, full.Revision = "gitlab", 2
	same(t, "the change keeps the id", got, full)
	same(t, "the changed source", must[event.Source](t)(s.Source(t.Context(), tenant, "github")), full)
	_, err = s.PutSource(t.Context(), full, 1)
	wantKind(t, err, event.KindPrecondition)
	_, err = s.PutSource(t.Context(), event.Source{ID: 43, Tenant: tenant, Name: "none"}, 1)
	wantKind(t, err, event.KindNotFound)
	_, err = s.PutSource(t.Context(), event.Source{ID: 43, Tenant: 999, Name: "none"}, 0)
	wantKind(t, err, event.KindNotFound)
	_, err = s.Source(t.Context(), other, "github")
	wantKind(t, err, event.KindNotFound)
	for i, put := range []event.Source{{Tenant: other, Name: "github"}, {Tenant: tenant, Name: "b"}, {Tenant: tenant, Name: "a"}} {
		put.ID = event.SourceID(50 + i)
		must[event.Source](t)(s.PutSource(t.Context(), put, 0))
	}
	var names []string
	for after := ""; ; {
		list := must[[]event.Source](t)(s.Sources(t.Context(), tenant, after, 2))
		if len(list) == 0 {
			break
		}
		for i := range list {
			names, after = append(names, list[i].Name), list[i].Name
		}
	}
	same(t, "the names", names, []string{"a", "b", "github"})

	wantKind(t, s.DeleteSource(t.Context(), tenant, "github", 1), event.KindPrecondition)
	noError(t, s.DeleteSource(t.Context(), tenant, "github", 2))
	wantKind(t, s.DeleteSource(t.Context(), tenant, "github", 0), event.KindNotFound)
	same(t, "the other tenant's", must[event.Source](t)(s.Source(t.Context(), other, "github")).ID, event.SourceID(50))
	again := must[event.Source](t)(s.PutSource(t.Context(), event.Source{ID: 60, Tenant: tenant, Name: "github"}, 0))
	same(t, "one made again", []int64{int64(again.ID), again.Revision}, []int64{60, 1})
	noError(t, s.DeleteTenant(t.Context(), tenant, 0))
	_, err = s.Source(t.Context(), tenant, "a")
	wantKind(t, err, event.KindNotFound)
	same(t, "of the deleted tenant", len(must[[]event.Source](t)(s.Sources(t.Context(), tenant, "", 10))), 0)
	wantKind(t, s.DeleteSource(t.Context(), tenant, "a", 0), event.KindNotFound)
	_, err = s.PutSource(t.Context(), event.Source{ID: 61, Tenant: tenant, Name: "a"}, 0)
	wantKind(t, err, event.KindNotFound)
	same(t, "of the other tenant", len(must[[]event.Source](t)(s.Sources(t.Context(), other, "", 10))), 1)
}

// fullBin has a value in every field.
func fullBin() event.Bin {
	return event.Bin{
		ID: "0199b3c4-1234-7abc-8def-0123456789ab", Tenant: 7, Alias: "first", Description: "d",
		Answer: event.Answer{Status: 404, Reason: "r", Headers: []event.Header{{Name: "A", Value: "b"}, {Name: "a", Value: ""}}, Body: []byte{0, 255}},
		Delay:  time.Second, Hold: time.Minute, CORS: true, Keep: 12, Refuse: true, Expires: clock(100), Tunnel: "laptop",
		Metadata: map[string]string{"k": "v"}, Created: clock(0), Updated: clock(1),
	}
}

func testBins(t *testing.T, s store.Store) {
	full := fullBin()
	got := must[event.Bin](t)(s.PutBin(t.Context(), full, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "by its id", must[event.Bin](t)(s.Bin(t.Context(), full.ID)), full)
	same(t, "by its alias", must[event.Bin](t)(s.Bin(t.Context(), "first")), full)
	same(t, "its figures", must[event.BinStats](t)(s.BinStats(t.Context(), full.ID)), event.BinStats{})
	_, err := s.PutBin(t.Context(), full, 0)
	wantKind(t, err, event.KindConflict)
	full.Description, full.Alias, full.Expires = "changed", "second", time.Time{}
	got = must[event.Bin](t)(s.PutBin(t.Context(), full, 1))
	full.Revision = 2
	same(t, "the change", got, full)
	same(t, "by its new alias", must[event.Bin](t)(s.Bin(t.Context(), "second")), full)
	for _, name := range []string{"first", "", "nobody"} {
		_, err = s.Bin(t.Context(), name)
		wantKind(t, err, event.KindNotFound)
	}
	_, err = s.PutBin(t.Context(), full, 1)
	wantKind(t, err, event.KindPrecondition)
	_, err = s.PutBin(t.Context(), event.Bin{ID: "gone"}, 1)
	wantKind(t, err, event.KindNotFound)
	_, err = s.BinStats(t.Context(), "gone")
	wantKind(t, err, event.KindNotFound)
	_, err = s.BinStats(t.Context(), "second")
	wantKind(t, err, event.KindNotFound)

	wantKind(t, s.DeleteBin(t.Context(), full.ID, 1), event.KindPrecondition)
	noError(t, s.DeleteBin(t.Context(), full.ID, 2))
	wantKind(t, s.DeleteBin(t.Context(), full.ID, 0), event.KindNotFound)
	_, err = s.Bin(t.Context(), full.ID)
	wantKind(t, err, event.KindNotFound)
	_, err = s.PutBin(t.Context(), full, 2)
	wantKind(t, err, event.KindNotFound)
	same(t, "made again", must[event.Bin](t)(s.PutBin(t.Context(), full, 0)).Revision, int64(1))
}

// testBinAliases holds ids and aliases to be unique together.
func testBinAliases(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one", Alias: "x"})
	newBin(t, s, event.Bin{ID: "two"})
	newBin(t, s, event.Bin{ID: "three"}) // no alias is no alias, also twice
	taken := func(b event.Bin, revision int64) {
		t.Helper()
		_, err := s.PutBin(t.Context(), b, revision)
		wantKind(t, err, event.KindConflict)
		if code := asError(err).Code; code != "already_exists" {
			t.Errorf("the code is %q", code)
		}
	}
	taken(event.Bin{ID: "four", Alias: "x"}, 0)   // another's alias
	taken(event.Bin{ID: "four", Alias: "two"}, 0) // another's id
	taken(event.Bin{ID: "x"}, 0)                  // an id that is another's alias
	taken(event.Bin{ID: "two", Alias: "x"}, 1)
	taken(event.Bin{ID: "two", Alias: "three"}, 1)
	same(t, "what stayed", must[event.Bin](t)(s.Bin(t.Context(), "two")).Revision, int64(1))
	must[event.Bin](t)(s.PutBin(t.Context(), event.Bin{ID: "one", Alias: "y"}, 1))
	must[event.Bin](t)(s.PutBin(t.Context(), event.Bin{ID: "two", Alias: "x"}, 1))
	same(t, "the alias moved", must[event.Bin](t)(s.Bin(t.Context(), "x")).ID, "two")
	noError(t, s.DeleteBin(t.Context(), "one", 0))
	newBin(t, s, event.Bin{ID: "five", Alias: "y"})
}

func binIDs(list []event.Bin) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].ID
	}
	return out
}

func testBinLists(t *testing.T, s store.Store) {
	for i := range 9 {
		newBin(t, s, event.Bin{ID: fmt.Sprint("b", 8-i), Tenant: event.TenantID((8 - i) % 3)}) // tenants 0, 1 and 2
	}
	list := func(tenant event.TenantID, after string, limit int) []string {
		t.Helper()
		return binIDs(must[[]event.Bin](t)(s.Bins(t.Context(), tenant, after, limit)))
	}
	same(t, "a tenant's", list(1, "", 2), []string{"b1", "b4"})
	same(t, "the next ones", list(1, "b4", 2), []string{"b7"})
	same(t, "all", list(0, "", 100), []string{"b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8"})
	same(t, "some of all", list(0, "b3", 2), []string{"b4", "b5"})
	same(t, "of nobody known", list(9, "", 100), []string{})
	newBin(t, s, event.Bin{ID: "expired", Tenant: 2, Expires: clock(5)})
	for tenant, want := range []int{3, 3, 4, 0} {
		same(t, "counted", must[int](t)(s.CountBins(t.Context(), event.TenantID(tenant), clock(4))), want)
	}
	same(t, "counted when one has expired", must[int](t)(s.CountBins(t.Context(), 2, clock(5))), 3)
	noError(t, s.DeleteBin(t.Context(), "expired", 0))
	addCapture(t, s, capture1("b4", "c", clock(0)), 10)
	noError(t, s.DeleteTenantBins(t.Context(), 1))
	noError(t, s.DeleteTenantBins(t.Context(), 1))
	same(t, "the tenant's left", list(1, "", 100), []string{})
	same(t, "left", list(0, "", 100), []string{"b0", "b2", "b3", "b5", "b6", "b8"})
	_, err := s.Capture(t.Context(), "b4", 1)
	wantKind(t, err, event.KindNotFound)
	same(t, "trimmed", must[int](t)(s.TrimCaptures(t.Context(), clock(0), time.Time{}, 0, 10)), 1)
}

func testBinCursors(t *testing.T, s store.Store) {
	newBin(t, s, event.Bin{ID: "one"})
	newBin(t, s, event.Bin{ID: "two"})
	cursor := func(bin, tunnel string) int64 {
		t.Helper()
		return must[int64](t)(s.BinCursor(t.Context(), bin, tunnel))
	}
	same(t, "at first", cursor("one", "a"), int64(0))
	noError(t, s.SetBinCursor(t.Context(), "one", "a", 5))
	noError(t, s.SetBinCursor(t.Context(), "one", "b", 2))
	noError(t, s.SetBinCursor(t.Context(), "two", "a", 1))
	noError(t, s.SetBinCursor(t.Context(), "one", "a", 4))
	same(t, "never lower", cursor("one", "a"), int64(5))
	noError(t, s.SetBinCursor(t.Context(), "one", "a", 6))
	same(t, "the cursors", []int64{cursor("one", "a"), cursor("one", "b"), cursor("two", "a"), cursor("two", "b")}, []int64{6, 2, 1, 0})
	wantKind(t, s.SetBinCursor(t.Context(), "none", "a", 1), event.KindNotFound)
	same(t, "without the bin", cursor("none", "a"), int64(0))
	noError(t, s.DeleteBin(t.Context(), "one", 0))
	wantKind(t, s.SetBinCursor(t.Context(), "one", "a", 9), event.KindNotFound)
	same(t, "of the deleted one", cursor("one", "a"), int64(0))
	newBin(t, s, event.Bin{ID: "one"})
	same(t, "of one made again", cursor("one", "a"), int64(0))
	same(t, "of the other", cursor("two", "a"), int64(1))
}
