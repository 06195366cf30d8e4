package storetest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Open opens the store under test in a folder, which stays when the store is closed. The suite closes it.
type Open func(t *testing.T, dir string) store.Store

// Run holds a store to the contract of package store.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	t.Run("Backup", func(t *testing.T) { testBackup(t, open) })
	run(t, open)
}

// run is Run without what needs files.
func run(t *testing.T, open Open) {
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		noError(t, f.Value.Set(strconv.Itoa(propertyRuns)))
		t.Cleanup(func() { noError(t, f.Value.Set(f.DefValue)) })
	}
	tests := []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"Append gives versions and seqs", testAppend},
		{"Append keeps every field", testAppendFields},
		{"Append dedupes by id", testAppendDuplicates},
		{"Append repeats an answer by idempotency key", testIdempotency},
		{"Append is all or nothing", testAppendAtomic},
		{"Append is dense under concurrency", testAppendConcurrent},
		{"Append becomes visible in order", testVisibility},
		{"Append wakes readers", testAppended},
		{"Events are read by id and version", testLookup},
		{"ReadTenant pages", testReadTenant},
		{"ReadTenantBack pages", testReadTenantBack},
		{"ReadPartition pages", testReadPartition},
		{"Origins count in pages", testOriginPages},
		{"VersionAt finds the first version of a time", testVersionAt},
		{"TrimLog by age", testTrimAge},
		{"TrimLog by size", testTrimSize},
		{"TrimLog keeps what lanes need", testTrimKeep},
		{"DeleteTenantEvents", testDeleteTenantEvents},
		{"SaveRecord keeps lanes, retries and position", testSaveRecord},
		{"SaveRecord keeps attempts", testAttempts},
		{"Attempts of batches", testBatchAttempts},
		{"Attempts page and filter", testAttemptPages},
		{"Outcomes of every kind are told", testOutcomes},
		{"AttemptAt finds the first attempt of a time", testAttemptAt},
		{"Dead letters", testDead},
		{"TrimAttempts", testTrimAttempts},
		{"DeleteEndpointState", testDeleteEndpointState},
		{"SaveRecord is fenced", testFenced},
		{"Tenants", testTenants},
		{"DeleteTenant", testDeleteTenant},
		{"Endpoints", testEndpoints},
		{"PutEndpoint counts", testEndpointCap},
		{"AddEndpointBehind", testEndpointBehind},
		{"Event types", testTypes},
		{"API keys", testAPIKeys},
		{"Queues", testQueues},
		{"PutQueue counts", testQueueCap},
		{"SaveQueue", testSaveQueue},
		{"Dead letters of queues", testQueueDead},
		{"QueueFloors", testQueueFloors},
		{"Token keys", testTokenKeys},
		{"Sessions", testSessions},
		{"Portals", testPortals},
		{"Disabled endpoints", testDisabled},
		{"RecentDead", testRecentDead},
		{"Sources", testSources},
		{"Bins", testBins},
		{"Aliases of bins", testBinAliases},
		{"Lists of bins", testBinLists},
		{"Cursors of bins", testBinCursors},
		{"AddCapture keeps every field", testCaptureFields},
		{"AddCapture keeps large bodies", testCaptureBody},
		{"AddCapture keeps so many", testCaptureKeep},
		{"AddCapture under concurrency", testCaptureCallers},
		{"Captures pages", testCaptureLists},
		{"Notes and answers of captures", testCaptureMarks},
		{"TrimCaptures", testTrimCaptures},
		{"Audit", testAudit},
		{"Audit pages", testAuditPages},
		{"Answers", testAnswers},
		{"Contexts that ended", testContext},
		{"Observe hears of commits", testObserve},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			t.Cleanup(func() { noError(t, s.Close()) })
			tt.run(t, s)
		})
	}
	t.Run("Close", func(t *testing.T) { testClose(t, open(t, t.TempDir())) })
	t.Run("Reopen", func(t *testing.T) { testReopen(t, open) })
	t.Run("ReopenBins", func(t *testing.T) { testBinsReopen(t, open) })
	t.Run("Property", func(t *testing.T) { testProperty(t, open, propertyOptions{}) })
	t.Run("PropertyReopen", func(t *testing.T) { testProperty(t, open, propertyOptions{reopen: true}) })
	t.Run("PropertyFaults", func(t *testing.T) { testProperty(t, open, propertyOptions{faults: true}) })
	t.Run("FaultsEachCall", func(t *testing.T) { testFaultsEachCall(t, open) })
}

// clock is the suite's time: start plus some seconds.
func clock(seconds int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC).Add(time.Duration(seconds) * time.Second)
}

const unbounded = 1 << 30

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind event.Kind) {
	t.Helper()
	if err == nil || event.KindOf(err) != kind {
		t.Fatalf("the error is %v, want one of kind %d", err, kind)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("the error is %v, want %v", err, target)
	}
}

// lenient makes nil and empty equal, and compares bytes at once.
var lenient = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal)),
}

// same compares values, nil and empty lists being equal.
func same(t testing.TB, what string, got, want any, more ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(more, lenient)...); d != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}

// must returns a value or ends the test.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		noError(t, err)
		return v
	}
}

// ev makes an event with an id.
func ev(id string) event.Event {
	return event.Event{ID: id, Source: "/shop", Type: "order.paid", Time: clock(0), Data: []byte(`{"n":1}`)}
}

// evs makes n events whose ids begin with a prefix.
func evs(prefix string, n int) []event.Event {
	list := make([]event.Event, n)
	for i := range list {
		list[i] = ev(fmt.Sprintf("%s-%04d", prefix, i))
	}
	return list
}

func appendEvents(t testing.TB, s store.Store, tenant event.TenantID, at time.Time, list ...event.Event) []event.Receipt {
	t.Helper()
	return must[[]event.Receipt](t)(s.Append(t.Context(), at, store.AppendRequest{Tenant: tenant, Events: list}))
}

func readAll(t testing.TB, s store.Store) []event.Event {
	t.Helper()
	return must[[]event.Event](t)(s.ReadPartition(t.Context(), 0, 0, 100_000, unbounded))
}

func acquire(t testing.TB, s store.Store) store.Lease {
	t.Helper()
	list := must[[]store.Lease](t)(s.Acquire(t.Context(), "node", clock(0), time.Minute))
	if len(list) == 0 {
		t.Fatal("no lease was granted")
	}
	return list[0]
}

func ids(list []event.Event) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].ID
	}
	return out
}

func versions(list []event.Event) []int64 {
	out := make([]int64, len(list))
	for i := range list {
		out[i] = list[i].Version
	}
	return out
}
