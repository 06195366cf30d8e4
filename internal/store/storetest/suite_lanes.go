package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func laneKey(endpoint, replay int64) event.LaneKey {
	return event.LaneKey{Endpoint: event.EndpointID(endpoint), Replay: replay}
}

func saveRecord(t testing.TB, s store.Store, r store.Record) {
	t.Helper()
	noError(t, s.SaveRecord(t.Context(), r))
}

// loadLanes returns lanes and retries in key order.
func loadLanes(t testing.TB, s store.Store, l store.Lease) ([]event.LaneState, []event.Retry) {
	t.Helper()
	lanes, retries, err := s.LoadLanes(t.Context(), l)
	noError(t, err)
	sortLanes(lanes, retries)
	return lanes, retries
}

func sortLanes(lanes []event.LaneState, retries []event.Retry) {
	slices.SortFunc(lanes, func(a, b event.LaneState) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Replay, b.Replay))
	})
	slices.SortFunc(retries, func(a, b event.Retry) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Replay, b.Replay), cmp.Compare(a.Versions[0], b.Versions[0]))
	})
}

func testSaveRecord(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	if lease.Position != 0 {
		t.Fatalf("a new store's position is %d", lease.Position)
	}
	full := event.LaneState{
		LaneKey: laneKey(7, 9), Tenant: 3, Backlog: true, Cursor: 100, Done: []int64{101, 105, 1000}, Penalty: time.Minute,
		PenaltyUntil: clock(60), Failures: 4, FailingSince: clock(1), Range: event.ReplayRange{From: 1, To: 200, OnlyFailed: true, Sent: 5, Started: clock(2), Matching: 9},
	}
	plain := event.LaneState{LaneKey: laneKey(7, 0), Tenant: 3}
	retry := event.Retry{
		LaneKey: laneKey(7, 0), Tenant: 3, Versions: []int64{5, 6, 300}, Keys: []uint64{1, 1<<64 - 1}, Number: 3, Step: 2, First: clock(2), Due: clock(3),
	}
	bare := event.Retry{LaneKey: laneKey(7, 0), Tenant: 3, Versions: []int64{8}}
	saveRecord(t, s, store.Record{Lease: lease, Position: 40, Lanes: []event.LaneState{full, plain}, Retries: []event.Retry{retry, bare}})
	lanes, retries := loadLanes(t, s, lease)
	same(t, "lanes", lanes, []event.LaneState{plain, full})
	same(t, "retries", retries, []event.Retry{retry, bare})

	full.Cursor, full.Done, retry.Number = 200, nil, 4
	saveRecord(t, s, store.Record{
		Lease: lease, Position: 30, Lanes: []event.LaneState{full}, Retries: []event.Retry{retry},
		DropLanes: []event.LaneKey{plain.LaneKey, laneKey(99, 0)}, DropRetries: []store.RetryKey{{LaneKey: laneKey(7, 0), Version: 8}},
	})
	lanes, retries = loadLanes(t, s, lease)
	same(t, "changed lanes", lanes, []event.LaneState{full})
	same(t, "changed retries", retries, []event.Retry{retry})
	if p := acquire(t, s).Position; p != 40 {
		t.Errorf("the position is %d, want 40: it never goes back", p)
	}
}

func attempt(endpoint event.EndpointID, at time.Time, verdict event.Verdict, versions ...int64) event.Attempt {
	return event.Attempt{
		Tenant: 1, Endpoint: endpoint, Versions: versions, EventID: "id", Number: 1, At: at, Verdict: verdict, Status: 200,
	}
}

var ignoreAttemptID = cmpopts.IgnoreFields(event.Attempt{}, "ID")

func attemptVersions(list []event.Attempt) [][]int64 {
	var out [][]int64
	for i := range list {
		out = append(out, list[i].Versions)
	}
	return out
}

func testAttempts(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	full := event.Attempt{
		Tenant: 1, Endpoint: 5, Versions: []int64{7}, EventID: "evt", Number: 3, At: clock(1), Duration: 1234567 * time.Nanosecond, Status: 503,
		Verdict: event.VerdictRetry, Error: "timeout", Headers: []event.Header{{Name: "Retry-After", Value: "5"}, {Name: "X", Value: ""}},
		Body: []byte("busy\x00"), Next: clock(9),
	}
	long := attempt(6, clock(2), event.VerdictDelivered, 7)
	long.Body = make([]byte, event.MaxAnswerKept+100)
	saveRecord(t, s, store.Record{Lease: lease, Attempts: []event.Attempt{full, long}})
	saveRecord(t, s, store.Record{Lease: lease, Attempts: []event.Attempt{attempt(5, clock(3), event.VerdictDelivered, 7)}})
	long.Body = long.Body[:event.MaxAnswerKept]

	list := must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, 7, 0, 10))
	same(t, "the attempts", list, []event.Attempt{attempt(5, clock(3), event.VerdictDelivered, 7), long, full}, ignoreAttemptID)
	if list[0].ID <= list[1].ID || list[1].ID <= list[2].ID || list[2].ID <= 0 {
		t.Errorf("the ids are %d, %d, %d", list[0].ID, list[1].ID, list[2].ID)
	}
	same(t, "attempted", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 1, 7)), []event.EndpointID{5, 6}, sortedIDs)
	same(t, "not attempted", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 1, 8)), []event.EndpointID{})
	same(t, "another tenant's", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 2, 7)), []event.EndpointID{})
}

var sortedIDs = cmpopts.SortSlices(func(a, b event.EndpointID) bool { return a < b })

func testBatchAttempts(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	saveRecord(t, s, store.Record{Lease: lease, Attempts: []event.Attempt{
		attempt(1, clock(1), event.VerdictDelivered, 250, 255, 256, 700),
		attempt(2, clock(2), event.VerdictDelivered, 255),
		attempt(3, clock(3), event.VerdictRetry, 255, 257),
		attempt(4, clock(4), event.VerdictDelivered, 254, 255),
		attempt(4, clock(4), event.VerdictDelivered, 254, 256),
	}})
	for version, want := range map[int64][]event.EndpointID{
		250: {1}, 251: nil, 254: {4, 4}, 255: {4, 3, 2, 1}, 256: {4, 1}, 257: {3}, 700: {1}, 701: nil,
	} {
		var got []event.EndpointID
		before := int64(0)
		for { // pages of one
			list := must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, version, before, 1))
			if len(list) == 0 {
				break
			}
			got = append(got, list[0].Endpoint)
			before = list[0].ID
		}
		same(t, "endpoints of the attempts", got, want)
		slices.Sort(want)
		same(t, "attempted", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 1, version)), slices.Compact(want), sortedIDs)
	}
}

func testAttemptPages(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	r := store.Record{Lease: lease}
	verdicts := []event.Verdict{event.VerdictDelivered, event.VerdictRetry, event.VerdictFailed}
	for i := range 2500 {
		v := event.VerdictGone // rare: beyond the rows that one call looks at
		if i > 0 {
			v = verdicts[i%3]
		}
		r.Attempts = append(r.Attempts, attempt(1, clock(i), v, int64(i+1)))
	}
	r.Attempts = append(r.Attempts, attempt(2, clock(9), event.VerdictDelivered, 1))
	saveRecord(t, s, r)
	collect := func(limit int, verdicts ...event.Verdict) (list []event.Attempt) {
		before := int64(0)
		for range 5000 {
			page, next, err := s.AttemptsOfEndpoint(t.Context(), 1, verdicts, before, limit)
			noError(t, err)
			if len(page) > limit {
				t.Fatalf("a page of %d holds %d", limit, len(page))
			}
			list = append(list, page...)
			if next == 0 {
				return list
			}
			if before != 0 && next >= before {
				t.Fatalf("next is %d after %d", next, before)
			}
			before = next
		}
		t.Fatal("the pages have no end")
		return nil
	}
	if n := len(collect(100)); n != 2500 {
		t.Errorf("%d attempts, want 2,500", n)
	}
	got := collect(700, event.VerdictRetry, event.VerdictFailed)
	for i := range got {
		if got[i].Verdict == event.VerdictDelivered || i > 0 && got[i].ID >= got[i-1].ID {
			t.Fatalf("attempt %d is %+v", i, got[i])
		}
	}
	if len(got) != 1667-1 && len(got) != 1666 {
		t.Errorf("%d filtered attempts", len(got))
	}
	same(t, "the rare one", attemptVersions(collect(10, event.VerdictGone)), [][]int64{{1}})
	var want, outcomes []event.Outcome
	for _, a := range collect(3000) {
		want = append(want, a.Outcome())
	}
	for before, next := int64(0), int64(1); next != 0; before = next {
		var page []event.Outcome
		var err error
		page, next, err = s.OutcomesOfEndpoint(t.Context(), 1, before, 700)
		noError(t, err)
		if len(page) > 700 || next != 0 && next != page[len(page)-1].ID {
			t.Fatalf("a page of %d, next %d", len(page), next)
		}
		outcomes = append(outcomes, page...)
	}
	same(t, "outcomes", outcomes, want)
}

func testOutcomes(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	r := store.Record{Lease: lease}
	var want []event.Outcome
	for i, o := range []event.Outcome{
		{Verdict: event.VerdictDelivered, Status: 200, Duration: 1234567 * time.Nanosecond},
		{Verdict: event.VerdictRetry, Status: 999, Duration: 24 * 365 * time.Hour},
		{Verdict: event.VerdictFailed, Status: 1023},
		{Verdict: event.VerdictGone, Status: 410, Duration: time.Microsecond},
		{Verdict: event.VerdictRetry},
		{Verdict: "of later", Status: 200, Duration: time.Second},
		{Verdict: event.VerdictRetry, Status: 1024},
		{Verdict: event.VerdictRetry, Status: -1},
		{Verdict: event.VerdictRetry, Status: 500, Duration: -time.Second},
	} {
		a := attempt(3, clock(i), o.Verdict, int64(i+1))
		a.Status, a.Duration, a.Body = o.Status, o.Duration, make([]byte, 10_000)
		r.Attempts = append(r.Attempts, a)
		o.At, o.Duration = a.At, o.Duration.Truncate(time.Microsecond)
		want = append(want, o)
	}
	slices.Reverse(want)
	saveRecord(t, s, r)
	got, next, err := s.OutcomesOfEndpoint(t.Context(), 3, 0, 100)
	noError(t, err)
	same(t, "outcomes", got, want, cmpopts.IgnoreFields(event.Outcome{}, "ID"))
	if next != 0 || got[0].ID != got[len(got)-1].ID+int64(len(got))-1 {
		t.Errorf("the ids are %d to %d, next is %d", got[0].ID, got[len(got)-1].ID, next)
	}
}

func testAttemptAt(t *testing.T, s store.Store) {
	at := func(seconds int) int64 { return must[int64](t)(s.AttemptAt(t.Context(), clock(seconds))) }
	same(t, "without any", at(0), int64(1))
	lease := acquire(t, s)
	const n = 200
	for batch := range 4 {
		r := store.Record{Lease: lease}
		for i := batch * n / 4; i < (batch+1)*n/4; i++ {
			a := attempt(event.EndpointID(i%3+1), clock(10*i), event.VerdictDelivered, 1) // ends at 10 i + 5
			if a.Duration = 5 * time.Second; i%7 == 0 {
				a.At, a.Duration = clock(10*i-100), 105*time.Second // slow ones end in their turn
			}
			r.Attempts = append(r.Attempts, a)
		}
		saveRecord(t, s, r)
	}
	list := must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, 1, 0, n))
	slices.Reverse(list)
	id := func(i int) int64 { return list[i].ID }
	check := func(what string, first int) {
		t.Helper()
		for i := first; i < n; i++ {
			same(t, what+", the very end", at(10*i+5), id(i))
			if i+1 < n {
				same(t, what+", between", at(10*i+6), id(i+1))
			}
		}
		same(t, what+", before all", at(-1000), id(first))
		same(t, what+", after all", at(10*n), id(n-1)+1)
	}
	check("all", 0)
	same(t, "trimmed", must[int](t)(s.TrimAttempts(t.Context(), clock(500), 1000)) > 40, true)
	list = must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, 1, 0, n))
	slices.Reverse(list)
	gone := n - len(list)
	list = append(make([]event.Attempt, gone), list...)
	check("after trimming", gone)

	// A deleted endpoint leaves holes: the next that is there counts.
	same(t, "deleted", must[int](t)(s.DeleteEndpointState(t.Context(), 2, 1000)) > 40, true)
	for i := gone; i < n-3; i++ {
		got, want := at(10*i+5), id(i)
		if i%3 == 1 { // of endpoint 2
			if got <= id(i-1) || got > id(i+1) {
				t.Errorf("for the hole %d it is %d, not above %d up to %d", want, got, id(i-1), id(i+1))
			}
			continue
		}
		if got > want || i%3 == 0 && got <= id(i-1) || i%3 == 2 && got <= id(i-2) {
			t.Errorf("for %d it is %d", want, got)
		}
	}

	// Of those out of order it is a place where they meet.
	r := store.Record{Lease: lease}
	for i := range 50 {
		r.Attempts = append(r.Attempts, attempt(9, clock(10_000+i*10+i*37%60), event.VerdictDelivered, 9))
	}
	saveRecord(t, s, r)
	list = must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, 9, 0, n))
	for seconds := 10_070; seconds < 10_480; seconds += 7 {
		got := at(seconds)
		for _, a := range list {
			if a.ID == got && a.At.Before(clock(seconds)) || a.ID == got-1 && !a.At.Before(clock(seconds)) ||
				a.ID >= got && a.At.Before(clock(seconds-60)) || a.ID < got && a.At.After(clock(seconds+60)) {
				t.Errorf("for %d s it is %d; %d is of %v", seconds, got, a.ID, a.At)
			}
		}
	}
}

func testDead(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	d := func(version int64, reason string) event.DeadLetter {
		return event.DeadLetter{Tenant: 1, Endpoint: 4, Version: version, At: clock(int(version)), Reason: reason}
	}
	saveRecord(t, s, store.Record{Lease: lease, Dead: []event.DeadLetter{d(9, "gone"), d(2, "a"), d(5, "b"), {Tenant: 1, Endpoint: 5, Version: 3, At: clock(0)}}})
	saveRecord(t, s, store.Record{Lease: lease, Dead: []event.DeadLetter{d(5, "schedule ended")}, DropDead: []store.DeadKey{{Endpoint: 4, Version: 2}, {Endpoint: 4, Version: 77}}})
	same(t, "dead letters", must[[]event.DeadLetter](t)(s.DeadLetters(t.Context(), 4, 0, 10)), []event.DeadLetter{d(5, "schedule ended"), d(9, "gone")})
	same(t, "a page", must[[]event.DeadLetter](t)(s.DeadLetters(t.Context(), 4, 0, 1)), []event.DeadLetter{d(5, "schedule ended")})
	same(t, "the next", must[[]event.DeadLetter](t)(s.DeadLetters(t.Context(), 4, 5, 1)), []event.DeadLetter{d(9, "gone")})
}

func testTrimAttempts(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	var r store.Record
	for i := range 10 {
		r.Attempts = append(r.Attempts, attempt(1, clock(i), event.VerdictDelivered, int64(10*i+1), int64(10*i+2)))
		r.Dead = append(r.Dead, event.DeadLetter{Tenant: 1, Endpoint: 1, Version: int64(i + 1), At: clock(i)})
	}
	r.Lease = lease
	saveRecord(t, s, r)
	total := 0
	for {
		n := must[int](t)(s.TrimAttempts(t.Context(), clock(4), 3))
		if n > 3 {
			t.Fatalf("a batch of 3 took %d", n)
		}
		if total += n; n < 3 {
			break
		}
	}
	if total != 8 {
		t.Errorf("%d rows were trimmed, want 4 attempts and 4 dead letters", total)
	}
	list, _, err := s.AttemptsOfEndpoint(t.Context(), 1, nil, 0, 100)
	noError(t, err)
	same(t, "attempts left", len(list), 6)
	same(t, "a trimmed batch", must[[]event.Attempt](t)(s.AttemptsOfEvent(t.Context(), 1, 2, 0, 10)), []event.Attempt{})
	same(t, "dead letters left", len(must[[]event.DeadLetter](t)(s.DeadLetters(t.Context(), 1, 0, 100))), 6)
	last := list[0].ID
	must[int](t)(s.TrimAttempts(t.Context(), clock(100), 100))
	saveRecord(t, s, store.Record{Lease: lease, Attempts: []event.Attempt{attempt(1, clock(50), event.VerdictDelivered, 1)}})
	list, _, err = s.AttemptsOfEndpoint(t.Context(), 1, nil, 0, 100)
	noError(t, err)
	if len(list) != 1 || list[0].ID <= last {
		t.Errorf("an id comes again: %d after %d", list[0].ID, last)
	}
}

func testDeleteEndpointState(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	r := store.Record{Lease: lease, Position: 1}
	for _, e := range []event.EndpointID{1, 2} {
		for i := range int64(4) {
			r.Attempts = append(r.Attempts, attempt(e, clock(0), event.VerdictFailed, i+1, i+300))
			r.Dead = append(r.Dead, event.DeadLetter{Tenant: 1, Endpoint: e, Version: i + 1, At: clock(0)})
			r.Lanes = append(r.Lanes, event.LaneState{LaneKey: event.LaneKey{Endpoint: e, Replay: i}})
			r.Retries = append(r.Retries, event.Retry{LaneKey: event.LaneKey{Endpoint: e}, Versions: []int64{i + 1}})
		}
	}
	saveRecord(t, s, r)
	total := 0
	for {
		n := must[int](t)(s.DeleteEndpointState(t.Context(), 1, 3))
		if n > 3 {
			t.Fatalf("a batch of 3 took %d", n)
		}
		if total += n; n < 3 {
			break
		}
	}
	if total != 16 {
		t.Errorf("%d rows were deleted, want 16", total)
	}
	lanes, retries := loadLanes(t, s, lease)
	same(t, "what the other endpoint has", []int{len(lanes), len(retries)}, []int{4, 4})
	same(t, "attempted", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 1, 300)), []event.EndpointID{2})
	same(t, "dead letters", len(must[[]event.DeadLetter](t)(s.DeadLetters(t.Context(), 1, 0, 10))), 0)
}

func testFenced(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	if again := acquire(t, s); !gocmp.Equal(lease, again) {
		t.Errorf("the lease went from %+v to %+v while it was held", lease, again)
	}
	old := lease
	old.Epoch--
	r := store.Record{Position: 9, Attempts: []event.Attempt{attempt(1, clock(0), event.VerdictDelivered, 1)}, Lanes: []event.LaneState{{LaneKey: laneKey(1, 0)}}}
	for _, l := range []store.Lease{old, {}} {
		r.Lease = l
		wantIs(t, s.SaveRecord(t.Context(), r), store.ErrFenced)
	}
	lanes, _ := loadLanes(t, s, lease)
	same(t, "lanes", lanes, []event.LaneState{})
	same(t, "attempted", must[[]event.EndpointID](t)(s.Attempted(t.Context(), 1, 1)), []event.EndpointID{})
	if p := acquire(t, s).Position; p != 0 {
		t.Errorf("the position is %d", p)
	}
}
