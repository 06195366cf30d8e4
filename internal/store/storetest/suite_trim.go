package storetest

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

const everySeq = 1 << 60

func trim(t *testing.T, s store.Store, p store.TrimPolicy, limit, want int) {
	t.Helper()
	if n := must[int](t)(s.TrimLog(t.Context(), p, limit)); n != want {
		t.Fatalf("%d events were trimmed, want %d", n, want)
	}
}

func testTrimAge(t *testing.T, s store.Store) {
	for i := range 6 {
		appendEvents(t, s, event.TenantID(1+i%2), clock(i), ev(string(rune('a'+i))))
	}
	trim(t, s, store.TrimPolicy{Keep: everySeq}, 10, 0)
	trim(t, s, store.TrimPolicy{Before: clock(3), Keep: everySeq}, 2, 2)
	trim(t, s, store.TrimPolicy{Before: clock(3), Keep: everySeq}, 10, 1)
	trim(t, s, store.TrimPolicy{Before: clock(3), Keep: everySeq}, 10, 0)
	same(t, "what is left", ids(readAll(t, s)), []string{"d", "e", "f"})
	oldest, head, err := s.Bounds(t.Context(), 1)
	noError(t, err)
	same(t, "tenant 1", []int64{oldest, head}, []int64{3, 3})
	trim(t, s, store.TrimPolicy{Before: clock(100), Keep: everySeq}, 10, 3)
	oldest, head, err = s.Bounds(t.Context(), 1)
	noError(t, err)
	same(t, "tenant 1 without events", []int64{oldest, head}, []int64{4, 3})
	st := must[store.LogStats](t)(s.LogStats(t.Context()))
	if st.Events != 0 || st.Bytes != 0 || !st.Oldest.IsZero() {
		t.Errorf("an empty log's figures are %+v", st)
	}
	p := must[store.Page](t)(s.ReadTenant(t.Context(), 1, 0, 10, unbounded))
	if len(p.Events) != 0 || p.Oldest != 4 || p.Head != 3 {
		t.Errorf("the page is %+v", p)
	}
	same(t, "the next version", appendEvents(t, s, 1, clock(200), ev("next")), []event.Receipt{{ID: "next", Version: 4}})
	if list := readAll(t, s); len(list) != 1 || list[0].Seq <= p.Through {
		t.Errorf("after seq %d the log is %+v", p.Through, list)
	}
}

func testTrimSize(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), evs("a", 100)...)
	full := must[store.LogStats](t)(s.LogStats(t.Context()))
	if full.Events != 100 || full.Bytes <= 0 || !full.Oldest.Equal(clock(0)) {
		t.Fatalf("the figures are %+v", full)
	}
	trim(t, s, store.TrimPolicy{MaxBytes: full.Bytes, Keep: everySeq}, 10, 0)
	bound := full.Bytes / 2
	trim(t, s, store.TrimPolicy{MaxBytes: bound, Keep: everySeq}, 10, 10)
	for must[int](t)(s.TrimLog(t.Context(), store.TrimPolicy{MaxBytes: bound, Keep: everySeq}, 10)) == 10 { //nolint:revive // until done
	}
	st := must[store.LogStats](t)(s.LogStats(t.Context()))
	if st.Bytes > bound || st.Bytes < bound-full.Bytes/50 || st.Events >= 60 || st.Events < 40 {
		t.Errorf("after a trim to %d bytes the figures are %+v", bound, st)
	}
	if list := readAll(t, s); int64(len(list)) != st.Events || list[0].Version != 101-st.Events {
		t.Errorf("%d events are left, from version %d", len(list), list[0].Version)
	}
}

func testTrimKeep(t *testing.T, s store.Store) {
	for i := range 6 {
		appendEvents(t, s, 1, clock(i), evs(string(rune('a'+i)), 1)...)
	}
	keep := readAll(t, s)[1].Seq
	trim(t, s, store.TrimPolicy{Before: clock(100), MaxBytes: 1, Keep: keep}, 10, 2)
	trim(t, s, store.TrimPolicy{Before: clock(100), Keep: keep, KeepSince: clock(4)}, 10, 2)
	trim(t, s, store.TrimPolicy{Before: clock(100), Keep: keep, KeepSince: clock(4)}, 10, 0)
	same(t, "what is left", versions(readAll(t, s)), []int64{5, 6})
}

func testDeleteTenantEvents(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), evs("a", 5)...)
	appendEvents(t, s, 2, clock(0), evs("b", 5)...)
	appendEvents(t, s, 1, clock(1), evs("c", 2)...)
	for _, want := range []int{3, 3, 1, 0} {
		if n := must[int](t)(s.DeleteTenantEvents(t.Context(), 1, 3)); n != want {
			t.Fatalf("%d events were deleted, want %d", n, want)
		}
	}
	same(t, "what is left", ids(readAll(t, s)), ids(evs("b", 5)))
	_, err := s.Event(t.Context(), 1, "a-0000")
	wantKind(t, err, event.KindNotFound)
	if st := must[store.LogStats](t)(s.LogStats(t.Context())); st.Events != 5 {
		t.Errorf("the figures are %+v", st)
	}
}
