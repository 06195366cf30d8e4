package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func newQueue(t testing.TB, s store.Store, tenant event.TenantID, id event.QueueID, name string) {
	t.Helper()
	q := event.Queue{ID: id, Tenant: tenant, Name: name, Start: 1, Created: clock(0), Updated: clock(0)}
	must[event.Queue](t)(s.PutQueue(t.Context(), q, 0, 0))
}

func saveQueue(t testing.TB, s store.Store, r store.QueueRecord) {
	t.Helper()
	noError(t, s.SaveQueue(t.Context(), r))
}

// loaded is what LoadQueue returns.
type loaded struct {
	Cursor event.QueueCursor
	Dead   int64
	Items  []event.QueueItem
}

func loadQueue(t testing.TB, s store.Store, id event.QueueID) loaded {
	t.Helper()
	c, dead, items, err := s.LoadQueue(t.Context(), id)
	noError(t, err)
	return loaded{c, dead, items}
}

func testQueues(t *testing.T, s store.Store) {
	tenant, other := newTenant(t, s, "acme").ID, newTenant(t, s, "other").ID
	full := event.Queue{
		ID: 42, Tenant: tenant, Name: "work", Description: "d",
		Select: event.Selection{Types: []string{"order.*"}, Subjects: []string{"a", "b*"}, Filter: "true"}, Order: event.OrderKey,
		Visibility: time.Minute, MaxDeliveries: 7, MaxOpen: 100, Start: 17, Metadata: map[string]string{"k": "v"}, Created: clock(0), Updated: clock(1),
	}
	got := must[event.Queue](t)(s.PutQueue(t.Context(), full, 0, 0))
	full.Revision = 1
	same(t, "the answer", got, full)
	same(t, "the queue", must[event.Queue](t)(s.Queue(t.Context(), tenant, "work")), full)
	same(t, "its state", loadQueue(t, s, 42), loaded{Cursor: event.QueueCursor{Version: 16, Low: 16}})
	_, err := s.PutQueue(t.Context(), full, 0, 0)
	wantKind(t, err, event.KindConflict)
	change := full
	change.ID, change.Start, change.MaxOpen = 99, 1, 5
	got = must[event.Queue](t)(s.PutQueue(t.Context(), change, 1, 1))
	full.MaxOpen, full.Revision = 5, 2
	same(t, "the change keeps id and start", got, full)
	_, err = s.PutQueue(t.Context(), full, 1, 0)
	wantKind(t, err, event.KindPrecondition)
	_, err = s.PutQueue(t.Context(), event.Queue{ID: 43, Tenant: tenant, Name: "none"}, 1, 0)
	wantKind(t, err, event.KindNotFound)
	_, err = s.PutQueue(t.Context(), event.Queue{ID: 43, Tenant: 999, Name: "none"}, 0, 0)
	wantKind(t, err, event.KindNotFound)
	_, err = s.Queue(t.Context(), other, "work")
	wantKind(t, err, event.KindNotFound)
	newQueue(t, s, other, 44, "work")
	newQueue(t, s, tenant, 45, "b")
	newQueue(t, s, tenant, 46, "a")

	var names []string
	for after := ""; ; {
		list := must[[]event.Queue](t)(s.Queues(t.Context(), tenant, after, 2))
		if len(list) == 0 {
			break
		}
		for i := range list {
			names, after = append(names, list[i].Name), list[i].Name
		}
	}
	same(t, "the names", names, []string{"a", "b", "work"})
	all := must[[]store.QueueSummary](t)(s.QueueSummaries(t.Context(), 44, 10))
	same(t, "the summaries", all, []store.QueueSummary{{Queue: 45, Tenant: tenant, Name: "b"}, {Queue: 46, Tenant: tenant, Name: "a"}})
	wantKind(t, s.DeleteQueue(t.Context(), tenant, "work", 1), event.KindPrecondition)
	noError(t, s.DeleteQueue(t.Context(), tenant, "work", 2))
	wantKind(t, s.DeleteQueue(t.Context(), tenant, "work", 0), event.KindNotFound)
	_, _, _, err = s.LoadQueue(t.Context(), 42)
	wantKind(t, err, event.KindNotFound)
	same(t, "to delete", must[[]event.QueueID](t)(s.DeletedQueues(t.Context(), 10)), []event.QueueID{42})
	noError(t, s.ForgetQueue(t.Context(), 42))
	noError(t, s.DeleteTenant(t.Context(), tenant, 0))
	_, err = s.Queue(t.Context(), tenant, "a")
	wantKind(t, err, event.KindNotFound)
	same(t, "the tenant's to delete", must[[]event.QueueID](t)(s.DeletedQueues(t.Context(), 10)), []event.QueueID{45, 46})
	same(t, "the others", len(must[[]store.QueueSummary](t)(s.QueueSummaries(t.Context(), 0, 10))), 1)
}

// testQueueCap creates queues from several callers at once under a cap.
func testQueueCap(t *testing.T, s store.Store) {
	tenant := newTenant(t, s, "acme").ID
	const most = 5
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := s.PutQueue(t.Context(), event.Queue{ID: event.QueueID(i + 1), Tenant: tenant, Name: fmt.Sprint("q", i), Start: 1}, 0, most)
			switch {
			case err == nil:
				made.Add(1)
			case event.KindOf(err) == event.KindConflict && asError(err).Code == "too_many_queues":
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
}

func testSaveQueue(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	tenant := newTenant(t, s, "acme").ID
	newQueue(t, s, tenant, 7, "q")
	newQueue(t, s, tenant, 8, "r")
	item := func(version int64) event.QueueItem {
		return event.QueueItem{
			Version: version, Seq: version + 100, Key: ^uint64(version), Deliveries: 2, Lease: 9, Until: clock(int(version)), Received: clock(1),
		}
	}
	dead := func(version int64, at int) event.QueueDead {
		return event.QueueDead{Version: version, Seq: version + 100, Key: 5, Deliveries: 6, Received: clock(1), At: clock(at)}
	}
	cursor := event.QueueCursor{Version: 20, Seq: 120, Low: 2, Floor: 102, Lease: 9, Expired: 3, Open: 3, Oldest: clock(1)}
	saveQueue(t, s, store.QueueRecord{Lease: lease, Queue: 7, Cursor: cursor, Items: []event.QueueItem{item(9), item(3), item(300)}, Dead: []event.QueueDead{dead(5, 1), dead(4, 2)}})
	saveQueue(t, s, store.QueueRecord{Lease: lease, Queue: 8, Items: []event.QueueItem{{Version: 3}}, Dead: []event.QueueDead{{Version: 5, At: clock(3)}}})
	same(t, "the state", loadQueue(t, s, 7), loaded{cursor, 2, []event.QueueItem{item(3), item(9), item(300)}})

	changed := item(9)
	changed.Lease, changed.Until = 10, clock(99)
	cursor.Lease = 10
	saveQueue(t, s, store.QueueRecord{
		Lease: lease, Queue: 7, Cursor: cursor, Items: []event.QueueItem{changed, item(4)}, Drop: []int64{3, 9, 77}, Dead: []event.QueueDead{dead(5, 4)}, DropDead: []int64{4, 77},
	})
	same(t, "the changed state", loadQueue(t, s, 7), loaded{cursor, 1, []event.QueueItem{item(4), changed, item(300)}})
	same(t, "the dead", must[[]event.QueueDead](t)(s.QueueDead(t.Context(), 7, 0, 10)), []event.QueueDead{dead(5, 4)})
	same(t, "the other queue's", len(loadQueue(t, s, 8).Items), 1)

	stale := lease
	stale.Epoch--
	wantIs(t, s.SaveQueue(t.Context(), store.QueueRecord{Lease: stale, Queue: 7}), store.ErrFenced)
	wantKind(t, s.SaveQueue(t.Context(), store.QueueRecord{Lease: lease, Queue: 99}), event.KindNotFound)
	same(t, "after refusals", loadQueue(t, s, 7).Cursor, cursor)
	noError(t, s.DeleteQueue(t.Context(), tenant, "q", 0))
	wantKind(t, s.SaveQueue(t.Context(), store.QueueRecord{Lease: lease, Queue: 7, Items: []event.QueueItem{item(1)}}), event.KindNotFound)
	total := 0
	for {
		n := must[int](t)(s.DeleteQueueState(t.Context(), 7, 3))
		if total += n; n < 3 {
			break
		}
	}
	same(t, "deleted rows", total, 4)
	same(t, "the other queue's", len(loadQueue(t, s, 8).Items), 1)
}

func testQueueDead(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	tenant := newTenant(t, s, "acme").ID
	newQueue(t, s, tenant, 7, "q")
	newQueue(t, s, tenant, 8, "r")
	for _, q := range []event.QueueID{7, 8} {
		r := store.QueueRecord{Lease: lease, Queue: q}
		for i := range 5 {
			r.Dead = append(r.Dead, event.QueueDead{Version: int64(10 - i), At: clock(i), Received: clock(0)})
		}
		saveQueue(t, s, r)
	}
	list := must[[]event.QueueDead](t)(s.QueueDead(t.Context(), 7, 7, 2))
	if len(list) != 2 || list[0].Version != 8 || list[1].Version != 9 {
		t.Errorf("a page is %+v", list)
	}
	same(t, "a small batch", must[int](t)(s.TrimQueueDead(t.Context(), clock(2), 3)), 3)
	same(t, "the rest", must[int](t)(s.TrimQueueDead(t.Context(), clock(2), 3)), 1)
	same(t, "nothing more", must[int](t)(s.TrimQueueDead(t.Context(), clock(2), 3)), 0)
	same(t, "what is left", loadQueue(t, s, 7).Dead, int64(3))
	same(t, "of the other", must[[]store.QueueSummary](t)(s.QueueSummaries(t.Context(), 7, 3))[0].Dead, int64(3))
}

func testQueueFloors(t *testing.T, s store.Store) {
	lease := acquire(t, s)
	tenant, gone := newTenant(t, s, "acme").ID, newTenant(t, s, "gone").ID
	for i := range 3 {
		id := event.QueueID(i + 1)
		newQueue(t, s, tenant, id, fmt.Sprint("q", i))
		saveQueue(t, s, store.QueueRecord{Lease: lease, Queue: id, Cursor: event.QueueCursor{Low: int64(i), Floor: int64(30 - i)}})
	}
	newQueue(t, s, gone, 9, "q")
	noError(t, s.DeleteTenant(t.Context(), gone, 0))
	floor := func(q event.QueueID, low, seq int64) store.QueueFloor {
		return store.QueueFloor{Queue: q, Tenant: tenant, Low: low, Seq: seq}
	}
	floors := func(limit int) []store.QueueFloor {
		return must[[]store.QueueFloor](t)(s.QueueFloors(t.Context(), limit))
	}
	same(t, "the floors", floors(10), []store.QueueFloor{floor(3, 2, 28), floor(2, 1, 29), floor(1, 0, 30)})
	noError(t, s.RaiseQueueFloors(t.Context(), []store.QueueFloor{floor(3, 77, 40), floor(2, 77, 10), floor(99, 0, 1)}))
	same(t, "the raised ones", floors(2), []store.QueueFloor{floor(2, 1, 29), floor(1, 0, 30)})
	same(t, "a load tells", loadQueue(t, s, 3).Cursor, event.QueueCursor{Low: 2, Floor: 40})
}
