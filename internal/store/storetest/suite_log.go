package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testAppend(t *testing.T, s store.Store) {
	same(t, "the first answer", appendEvents(t, s, 1, clock(0), ev("a"), ev("b")), []event.Receipt{{ID: "a", Version: 1}, {ID: "b", Version: 2}})
	same(t, "another tenant's", appendEvents(t, s, 2, clock(1), ev("a")), []event.Receipt{{ID: "a", Version: 1}})
	same(t, "the next", appendEvents(t, s, 1, clock(2), ev("c")), []event.Receipt{{ID: "c", Version: 3}})
	same(t, "an empty request", appendEvents(t, s, 1, clock(2)), []event.Receipt{})
	var last int64
	for _, e := range readAll(t, s) {
		if e.Seq <= last {
			t.Fatalf("seq %d comes after %d", e.Seq, last)
		}
		last = e.Seq
	}
	oldest, head, err := s.Bounds(t.Context(), 1)
	noError(t, err)
	same(t, "the bounds", []int64{oldest, head}, []int64{1, 3})
	oldest, head, err = s.Bounds(t.Context(), 99)
	noError(t, err)
	same(t, "an unknown tenant's bounds", []int64{oldest, head}, []int64{1, 0})
}

func testAppendFields(t *testing.T, s store.Store) {
	full := event.Event{
		ID: "0199b3c4-1234-7abc-8def-0123456789ab", Source: "/a b", Type: "x.y", Subject: "größe/1", Time: clock(-5), ContentType: "text/plain; charset=utf-8",
		Schema: "https://example.com/s", Key: "k", Channels: []string{"a", "", "c"},
		Extensions: []event.Extension{{Name: "b", Value: true}, {Name: "f", Value: false}, {Name: "i", Value: int32(-7)}, {Name: "s", Value: "v"}, {Name: "z", Value: ""}},
		Data:       []byte("\x00\xff big " + strings.Repeat("data", 30_000)),
	}
	odd := event.Event{ID: "nul\x00 and \xff", Source: "s", Type: "t", Time: time.Time{}, Data: []byte{}}
	upper := ev("0199B3C4-1234-7ABC-8DEF-0123456789AB")
	none := event.Event{ID: "none", Source: "s", Type: "t", Time: clock(0)}
	came, bare := full, none
	came.ID, bare.ID = "came", "same"
	came.Origin = &event.Request{
		Head: []byte("POST /in/a/b?c HTTP/1.1\r\nX-A:  1\r\nx-a: \xff\r\n"), Body: []byte("\x1f\x8b zipped"), Remote: "192.0.2.1",
		URL: "https://example.com/in/a/b?c", Path: "?c",
	}
	bare.Data, bare.Origin = []byte("the body"), &event.Request{Head: []byte("PUT / HTTP/1.1\r\n")}
	list := []event.Event{full, odd, upper, none, came, bare}
	appendEvents(t, s, 3, clock(1), list...)
	for i := range list {
		list[i].Tenant, list[i].Version, list[i].Received = 3, int64(i+1), clock(1)
	}
	got := slices.Clone(readAll(t, s))
	for i := range got {
		got[i].Seq = 0
	}
	same(t, "the log", got, list)
	if got[3].Data != nil {
		t.Error("an event without data has some now")
	}
	if got[0].Origin != nil || got[5].Origin.Body != nil {
		t.Error("an event has an origin, or an origin a body, that was not given")
	}
	for i := range list {
		e := must[event.Event](t)(s.Event(t.Context(), 3, list[i].ID))
		e.Seq = 0
		same(t, "an event by id", e, list[i])
	}
	bad := ev("bad")
	bad.Extensions = []event.Extension{{Name: "f", Value: 1.5}}
	_, err := s.Append(t.Context(), clock(1), store.AppendRequest{Tenant: 3, Events: []event.Event{bad}})
	wantKind(t, err, event.KindInvalid)
	if _, err := s.Event(t.Context(), 3, "bad"); event.KindOf(err) != event.KindNotFound {
		t.Errorf("a refused event is on the log: %v", err)
	}
}

// testOriginPages bounds pages by the bytes of origins too.
func testOriginPages(t *testing.T, s store.Store) {
	list := evs("a", 3)
	for i := range list {
		list[i].Origin = &event.Request{Head: []byte("GET / HTTP/1.1\r\n"), Body: make([]byte, 10_000)}
	}
	appendEvents(t, s, 1, clock(0), list...)
	for _, tt := range []struct{ bytes, want int }{{1, 1}, {15_000, 1}, {25_000, 2}, {unbounded, 3}} {
		p := must[store.Page](t)(s.ReadTenant(t.Context(), 1, 0, 10, tt.bytes))
		same(t, fmt.Sprintf("of %d bytes the tenant's page", tt.bytes), ids(p.Events), ids(list[:tt.want]))
		page := must[[]event.Event](t)(s.ReadPartition(t.Context(), 0, 0, 10, tt.bytes))
		same(t, fmt.Sprintf("of %d bytes the partition's page", tt.bytes), ids(page), ids(list[:tt.want]))
	}
}

func testAppendDuplicates(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), ev("a"))
	changed := ev("a")
	changed.Data = []byte(`{"other":true}`)
	got := appendEvents(t, s, 1, clock(1), ev("b"), changed, ev("b"), ev("c"))
	same(t, "the answer", got, []event.Receipt{
		{ID: "b", Version: 2}, {ID: "a", Version: 1, Duplicate: true}, {ID: "b", Version: 2, Duplicate: true}, {ID: "c", Version: 3},
	})
	list := readAll(t, s)
	same(t, "the log", ids(list), []string{"a", "b", "c"})
	same(t, "the first one's data", list[0].Data, ev("a").Data)
	same(t, "another tenant's id", appendEvents(t, s, 2, clock(1), ev("a")), []event.Receipt{{ID: "a", Version: 1}})
	// What was trimmed is forgotten.
	must[int](t)(s.TrimLog(t.Context(), store.TrimPolicy{Before: clock(1), Keep: list[0].Seq, KeepSince: clock(5)}, 1))
	same(t, "an id that was trimmed", appendEvents(t, s, 1, clock(2), ev("a")), []event.Receipt{{ID: "a", Version: 4}})
}

func testIdempotency(t *testing.T, s store.Store) {
	req := store.AppendRequest{Tenant: 1, Events: []event.Event{ev("a"), ev("b")}, IdempotencyKey: "key", Fingerprint: [32]byte{1}}
	first := must[[]event.Receipt](t)(s.Append(t.Context(), clock(0), req))
	// Ids given anew at each try do not matter: the key says that it is the same request.
	req.Events = []event.Event{ev("x"), ev("y")}
	same(t, "the second answer", must[[]event.Receipt](t)(s.Append(t.Context(), clock(1), req)), first)
	other := req
	other.Fingerprint = [32]byte{2}
	_, err := s.Append(t.Context(), clock(1), other)
	wantKind(t, err, event.KindConflict)
	if !strings.Contains(fmt.Sprintf("%+v", asError(err).Code), "idempotency_key_reused") {
		t.Errorf("the code is %q", asError(err).Code)
	}
	other.Tenant = 2
	same(t, "the key with another tenant", must[[]event.Receipt](t)(s.Append(t.Context(), clock(1), other)),
		[]event.Receipt{{ID: "x", Version: 1}, {ID: "y", Version: 2}})
	same(t, "the log", ids(readAll(t, s)), []string{"a", "b", "x", "y"})
	if n := must[int](t)(s.TrimAnswers(t.Context(), clock(1), 10)); n != 1 {
		t.Errorf("%d answers were trimmed, want 1", n)
	}
	got := must[[]event.Receipt](t)(s.Append(t.Context(), clock(2), req))
	same(t, "after the answer was trimmed", got, []event.Receipt{{ID: "x", Version: 3}, {ID: "y", Version: 4}})
}

// testAppendAtomic sends refused requests together with good ones, so that they share commits.
func testAppendAtomic(t *testing.T, s store.Store) {
	must[[]event.Receipt](t)(s.Append(t.Context(), clock(0), store.AppendRequest{
		Tenant: 1, Events: evs("first", 1), IdempotencyKey: "key", Fingerprint: [32]byte{1},
	}))
	const n = 50
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := s.Append(t.Context(), clock(1), store.AppendRequest{
				Tenant: 1, Events: evs(fmt.Sprintf("bad%d", i), 3), IdempotencyKey: "key", Fingerprint: [32]byte{2},
			})
			if event.KindOf(err) != event.KindConflict {
				t.Errorf("a reused key gave %v", err)
			}
		})
		wg.Go(func() {
			if _, err := s.Append(t.Context(), clock(1), store.AppendRequest{Tenant: 1, Events: evs(fmt.Sprintf("good%d", i), 3)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list := readAll(t, s)
	if len(list) != 1+3*n {
		t.Fatalf("the log holds %d events, want %d", len(list), 1+3*n)
	}
	for i, e := range list {
		if e.Version != int64(i+1) || strings.HasPrefix(e.ID, "bad") {
			t.Fatalf("event %d has version %d and id %s", i, e.Version, e.ID)
		}
		// A request's events stand together.
		if k := (i - 1) % 3; i > 0 && !strings.HasSuffix(e.ID, fmt.Sprintf("-%04d", k)) {
			t.Fatalf("event %d is %s", i, e.ID)
		}
	}
}

func testAppendConcurrent(t *testing.T, s store.Store) {
	const callers, each, tenants = 16, 20, 3
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[event.TenantID][]int64{}
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				tenant := event.TenantID(1 + (c+i)%tenants)
				r, err := s.Append(t.Context(), clock(i), store.AppendRequest{Tenant: tenant, Events: evs(fmt.Sprintf("%d-%d", c, i), 2)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[tenant] = append(got[tenant], r[0].Version, r[1].Version)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total := 0
	for tenant, list := range got {
		slices.Sort(list)
		for i, v := range list {
			if v != int64(i+1) {
				t.Fatalf("tenant %d: version %d in place of %d", tenant, v, i+1)
			}
		}
		total += len(list)
	}
	if n := len(readAll(t, s)); n != total || total != 2*callers*each {
		t.Fatalf("the log holds %d events, %d were acknowledged", n, total)
	}
}

// testVisibility follows the log while others append: what a reader has passed never grows.
func testVisibility(t *testing.T, s store.Store) {
	const callers, each = 8, 30
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				r, err := s.Append(t.Context(), clock(i), store.AppendRequest{Tenant: event.TenantID(1 + c%2), Events: evs(fmt.Sprintf("%d-%d", c, i), 1)})
				if err != nil {
					t.Error(err)
					return
				}
				// Own writes are read.
				p, err := s.ReadTenant(t.Context(), event.TenantID(1+c%2), r[0].Version-1, 1, unbounded)
				if err != nil || len(p.Events) != 1 || p.Events[0].ID != r[0].ID {
					t.Errorf("after its append version %d is %v (%v)", r[0].Version, ids(p.Events), err)
					return
				}
			}
		})
	}
	next := map[event.TenantID]int64{}
	after, seen := int64(0), 0
	for seen < callers*each && !t.Failed() {
		hint := s.Appended(0)
		list := must[[]event.Event](t)(s.ReadPartition(t.Context(), 0, after, 7, unbounded))
		for _, e := range list {
			next[e.Tenant]++
			if e.Seq <= after || e.Version != next[e.Tenant] {
				t.Fatalf("tenant %d: seq %d version %d after seq %d, want version %d", e.Tenant, e.Seq, e.Version, after, next[e.Tenant])
			}
			after = e.Seq
		}
		if seen += len(list); len(list) == 0 {
			select {
			case <-hint:
			case <-time.After(10 * time.Second):
				t.Fatalf("%d of %d events were seen", seen, callers*each)
			}
		}
	}
	wg.Wait()
}

func testAppended(t *testing.T, s store.Store) {
	hint := s.Appended(0)
	select {
	case <-hint:
		t.Fatal("the hint came before an append")
	default:
	}
	appendEvents(t, s, 1, clock(0), ev("a"))
	select {
	case <-hint:
	case <-time.After(10 * time.Second):
		t.Fatal("no hint came")
	}
}

func testLookup(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), evs("e", 5)...)
	appendEvents(t, s, 2, clock(0), evs("f", 5)...)
	same(t, "events in the order asked", ids(must[[]event.Event](t)(s.Events(t.Context(), 1, []int64{4, 99, 2, 0, 2}))),
		[]string{"e-0003", "e-0001", "e-0001"})
	same(t, "no events", must[[]event.Event](t)(s.Events(t.Context(), 1, nil)), []event.Event{})
	e := must[event.Event](t)(s.Event(t.Context(), 2, "f-0002"))
	same(t, "an event", []int64{int64(e.Tenant), e.Version}, []int64{2, 3})
	_, err := s.Event(t.Context(), 1, "f-0002")
	wantKind(t, err, event.KindNotFound)
}

func testReadTenant(t *testing.T, s store.Store) {
	for i := range 10 {
		appendEvents(t, s, 1, clock(i), evs(fmt.Sprint("a", i), 1)...)
		appendEvents(t, s, 2, clock(i), evs(fmt.Sprint("b", i), 1)...)
	}
	all := readAll(t, s)
	last := all[len(all)-1].Seq
	var got []int64
	after := int64(0)
	for {
		p := must[store.Page](t)(s.ReadTenant(t.Context(), 1, after, 4, unbounded))
		same(t, "bounds", []int64{p.Oldest, p.Head}, []int64{1, 10})
		if len(p.Events) == 0 || p.Events[len(p.Events)-1].Version == 10 {
			if p.Through != last {
				t.Fatalf("at the head through is %d, want %d", p.Through, last)
			}
		} else if p.Through != p.Events[len(p.Events)-1].Seq {
			t.Fatalf("through is %d, want %d", p.Through, p.Events[len(p.Events)-1].Seq)
		}
		if len(p.Events) == 0 {
			break
		}
		got = append(got, versions(p.Events)...)
		after = p.Events[len(p.Events)-1].Version
	}
	same(t, "the versions", got, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	big := ev("big")
	big.Data = make([]byte, 10_000)
	big2 := big
	big2.ID = "big2"
	appendEvents(t, s, 1, clock(20), big, big2)
	p := must[store.Page](t)(s.ReadTenant(t.Context(), 1, 10, 10, 100))
	same(t, "at least one event", ids(p.Events), []string{"big"})
	p = must[store.Page](t)(s.ReadTenant(t.Context(), 1, 0, 100, 15_000))
	if n := len(p.Events); n != 11 {
		t.Errorf("15,000 bytes hold %d events, want 11", n)
	}
	p = must[store.Page](t)(s.ReadTenant(t.Context(), 9, 0, 10, unbounded))
	same(t, "an unknown tenant", p, store.Page{Oldest: 1, Through: p.Through})
}

func testReadTenantBack(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), evs("e", 7)...)
	var got []int64
	before := int64(0)
	for {
		p := must[store.Page](t)(s.ReadTenantBack(t.Context(), 1, before, 3))
		same(t, "bounds", []int64{p.Oldest, p.Head}, []int64{1, 7})
		if len(p.Events) == 0 {
			break
		}
		got = append(got, versions(p.Events)...)
		before = p.Events[len(p.Events)-1].Version
	}
	same(t, "the versions", got, []int64{7, 6, 5, 4, 3, 2, 1})
}

func testReadPartition(t *testing.T, s store.Store) {
	appendEvents(t, s, 1, clock(0), evs("a", 5)...)
	appendEvents(t, s, 2, clock(1), evs("b", 5)...)
	var got []string
	after := int64(0)
	for {
		list := must[[]event.Event](t)(s.ReadPartition(t.Context(), 0, after, 3, unbounded))
		if len(list) == 0 {
			break
		}
		got = append(got, ids(list)...)
		after = list[len(list)-1].Seq
	}
	same(t, "the ids", got, append(ids(evs("a", 5)), ids(evs("b", 5))...))
	if n := len(must[[]event.Event](t)(s.ReadPartition(t.Context(), 0, 0, 100, 1))); n != 1 {
		t.Errorf("one byte holds %d events, want 1", n)
	}
}

func testVersionAt(t *testing.T, s store.Store) {
	for i := range 10 {
		appendEvents(t, s, 1, clock(10*i), evs(fmt.Sprint(i), 2)...)
	}
	must[int](t)(s.TrimLog(t.Context(), store.TrimPolicy{Before: clock(20), Keep: 1 << 60}, 100))
	for _, c := range []struct {
		at   int
		want int64
	}{{-100, 5}, {20, 5}, {21, 7}, {30, 7}, {85, 19}, {90, 19}, {91, 21}} {
		if v := must[int64](t)(s.VersionAt(t.Context(), 1, clock(c.at))); v != c.want {
			t.Errorf("second %d: version %d, want %d", c.at, v, c.want)
		}
	}
	if v := must[int64](t)(s.VersionAt(t.Context(), 5, clock(0))); v != 1 {
		t.Errorf("an empty log: version %d, want 1", v)
	}
}

func asError(err error) *event.Error {
	if e, ok := err.(*event.Error); ok { //nolint:errorlint // exactly this is what callers are given
		return e
	}
	return &event.Error{}
}
