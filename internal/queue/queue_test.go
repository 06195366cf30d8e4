package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/queue"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// bench is a manager over a store in memory, with one tenant.
type bench struct {
	*queue.Manager
	t      testing.TB
	model  *storetest.Model
	store  *storetest.Faulty
	lease  store.Lease
	tenant event.Tenant
	log    bytes.Buffer
	next   int // numbers the events
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, model: storetest.NewModel()}
	b.store = storetest.NewFaulty(b.model, nil)
	var err error
	if b.tenant, err = b.store.PutTenant(t.Context(), event.Tenant{Name: "acme"}, 0); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *bench) start() {
	b.t.Helper()
	leases, err := b.store.Acquire(b.t.Context(), "node", time.Now(), time.Minute)
	if err != nil {
		b.t.Fatal(err)
	}
	b.lease = leases[0]
	b.Manager = queue.New(queue.Config{
		Lease: b.lease, Store: b.store, Logger: slog.New(slog.NewTextHandler(&b.log, nil)), Limits: event.DefaultLimits(), MaxQueues: 10,
	})
}

// restart stands for a crash: nothing is closed in order that the store could learn from.
func (b *bench) restart() {
	b.Close()
	b.model.Reopen()
	b.start()
}

func (b *bench) create(q event.Queue) event.Queue {
	b.t.Helper()
	if q.Name == "" {
		q.Name = "work"
	}
	saved, err := b.Create(b.t.Context(), &b.tenant, q)
	if err != nil {
		b.t.Fatal(err)
	}
	return saved
}

// publish appends events with the given keys.
func (b *bench) publish(keys ...string) {
	b.t.Helper()
	var list []event.Event
	for _, k := range keys {
		b.next++
		list = append(list, event.Event{ID: fmt.Sprint("e", b.next), Source: "/s", Type: "order.paid", Key: k, Data: []byte("{}")})
	}
	if _, err := b.store.Append(b.t.Context(), time.Now(), store.AppendRequest{Tenant: b.tenant.ID, Events: list}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) take(ask event.LeaseAsk) []event.Leased {
	b.t.Helper()
	if ask.Max == 0 {
		ask.Max = 100
	}
	list, err := b.Lease(b.t.Context(), b.tenant.ID, "work", ask, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) ack(list ...event.Leased) {
	b.t.Helper()
	bad, err := b.Ack(b.t.Context(), b.tenant.ID, "work", receipts(list))
	if err != nil || len(bad) > 0 {
		b.t.Fatalf("ack: %v %v", bad, err)
	}
}

func (b *bench) nack(delay time.Duration, list ...event.Leased) {
	b.t.Helper()
	bad, err := b.Nack(b.t.Context(), b.tenant.ID, "work", receipts(list), delay)
	if err != nil || len(bad) > 0 {
		b.t.Fatalf("nack: %v %v", bad, err)
	}
}

func (b *bench) view() event.QueueView {
	b.t.Helper()
	q, err := b.Queue(b.t.Context(), &b.tenant, "work")
	if err != nil {
		b.t.Fatal(err)
	}
	v, err := b.View(b.t.Context(), &q)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func receipts(list []event.Leased) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Receipt
	}
	return out
}

func versions(list []event.Leased) []int64 {
	out := []int64{}
	for i := range list {
		out = append(out, list[i].Event.Version)
	}
	return out
}

func wantVersions(t testing.TB, what string, got []event.Leased, want ...int64) {
	t.Helper()
	if v := versions(got); !slices.Equal(v, want) {
		t.Fatalf("%s: %v, want %v", what, v, want)
	}
}

func wantCode(t testing.TB, bad []event.ReceiptError, err error, codes ...string) {
	t.Helper()
	var got []string
	for _, e := range bad {
		got = append(got, fmt.Sprint(e.Index, " ", e.Code))
	}
	if err != nil || !slices.Equal(got, codes) {
		t.Fatalf("receipts: %v (%v), want %v", got, err, codes)
	}
}

// in runs a test in a bubble of time.
func in(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		f(t, b)
		b.Close() // before the bubble ends
	})
}

func TestLeaseAndAck(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.publish("before")
		b.create(event.Queue{})
		b.publish("a", "b", "c")
		got := b.take(event.LeaseAsk{Max: 2})
		wantVersions(t, "the first lease", got, 2, 3)
		if got[0].Deliveries != 1 || !got[0].Expires.Equal(time.Now().UTC().Truncate(time.Microsecond).Add(30*time.Second)) {
			t.Errorf("%+v", got[0])
		}
		rest := b.take(event.LeaseAsk{})
		wantVersions(t, "the second", rest, 4)
		wantVersions(t, "the third", b.take(event.LeaseAsk{}))
		if v := b.view(); v.Open != 3 || v.Leased != 3 || v.Cursor != 4 || v.Head != 4 || v.Depth != 3 {
			t.Errorf("%+v", v)
		}
		b.ack(got[0], rest[0])
		bad, err := b.Ack(t.Context(), b.tenant.ID, "work", []string{got[0].Receipt, "nonsense", got[1].Receipt})
		wantCode(t, bad, err, "0 lease_lost", "1 invalid_receipt")
		b.restart()
		if v := b.view(); v.Depth != 0 || !v.Oldest.IsZero() {
			t.Errorf("%+v", v)
		}
		wantVersions(t, "all done", b.take(event.LeaseAsk{}))
	})
}

func TestRedelivery(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, Visibility: 10 * time.Second, MaxDeliveries: 3})
		b.publish("a", "b")
		first := b.take(event.LeaseAsk{})
		elapse(9 * time.Second)
		until, bad, err := b.Extend(t.Context(), b.tenant.ID, "work", receipts(first[:1]), 5*time.Second)
		wantCode(t, bad, err)
		if left := time.Until(until); left < 4*time.Second || left > 5*time.Second {
			t.Errorf("extended to %v from now", left)
		}
		elapse(2 * time.Second)
		second := b.take(event.LeaseAsk{})
		wantVersions(t, "after the lease's end", second, 2)
		if second[0].Deliveries != 2 {
			t.Errorf("%d deliveries", second[0].Deliveries)
		}
		bad, err = b.Ack(t.Context(), b.tenant.ID, "work", receipts(first[1:]))
		wantCode(t, bad, err, "0 lease_lost")
		b.nack(20*time.Second, second[0])
		elapse(5 * time.Second)
		wantVersions(t, "the extended one", b.take(event.LeaseAsk{Visibility: time.Hour}), 1)
		wantVersions(t, "within the delay", b.take(event.LeaseAsk{}))
		elapse(15 * time.Second)
		third := b.take(event.LeaseAsk{Visibility: time.Second})
		wantVersions(t, "after the delay", third, 2)
		elapse(time.Second)
		wantVersions(t, "after max_deliveries", b.take(event.LeaseAsk{}))
		synctest.Wait() // until it is saved: a lease that got nothing does not wait
		if v := b.view(); v.Dead != 1 || v.Open != 1 {
			t.Errorf("%+v", v)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		q := b.create(event.Queue{Start: 1, MaxDeliveries: 1, MaxOpen: 2})
		b.publish("a", "b", "c")
		b.nack(0, b.take(event.LeaseAsk{Max: 2})...)
		got := b.take(event.LeaseAsk{})
		wantVersions(t, "beside the dead", got, 3)
		list, err := b.DeadLetters(t.Context(), &q, 0, 10)
		if err != nil || len(list) != 2 || list[0].Version != 1 || list[0].Deliveries != 1 || list[1].Version != 2 {
			t.Fatalf("%+v %v", list, err)
		}
		n, err := b.RetryDead(t.Context(), b.tenant.ID, "work", []int64{2, 2, 77})
		if err != nil || n != 1 {
			t.Fatalf("retried %d %v", n, err)
		}
		if n, err = b.RetryDead(t.Context(), b.tenant.ID, "work", nil); err != nil || n != 0 {
			t.Fatalf("retried %d %v over max_open", n, err)
		}
		b.restart()
		again := b.take(event.LeaseAsk{})
		wantVersions(t, "the retried", again, 2)
		if again[0].Deliveries != 1 {
			t.Errorf("%d deliveries", again[0].Deliveries)
		}
		b.ack(again[0], got[0])
		if n, err = b.RetryDead(t.Context(), b.tenant.ID, "work", nil); err != nil || n != 1 {
			t.Fatalf("retried %d %v", n, err)
		}
		b.ack(b.take(event.LeaseAsk{})...)
		if v := b.view(); v.Dead != 0 || v.Depth != 0 {
			t.Errorf("%+v", v)
		}
	})
}

func TestOrderByKey(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, Order: event.OrderKey})
		b.publish("a", "a", "b", "", "", "a", "b")
		first := b.take(event.LeaseAsk{})
		wantVersions(t, "one of each key", first, 1, 3, 4, 5)
		if v := b.view(); v.Parked != 3 || v.Leased != 4 {
			t.Errorf("%+v", v)
		}
		b.nack(10*time.Second, first[0])
		wantVersions(t, "a delayed event blocks its key", b.take(event.LeaseAsk{}))
		b.restart()
		b.ack(first[1])
		wantVersions(t, "the next of b", b.take(event.LeaseAsk{}), 7)
		elapse(10 * time.Second)
		again := b.take(event.LeaseAsk{})
		wantVersions(t, "the first of a", again, 1)
		b.ack(again...)
		again = b.take(event.LeaseAsk{})
		wantVersions(t, "the second of a", again, 2)
		b.ack(again...)
		wantVersions(t, "the third of a", b.take(event.LeaseAsk{}), 6)
	})
}

func TestWait(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{})
		type answer struct {
			list []event.Leased
			took time.Duration
		}
		lease := func(ask event.LeaseAsk) chan answer {
			ch := make(chan answer, 1)
			go func() {
				began := time.Now()
				ch <- answer{b.take(ask), time.Since(began)}
			}()
			synctest.Wait()
			return ch
		}
		began := time.Now()
		wantVersions(t, "an empty wait", b.take(event.LeaseAsk{Wait: 20 * time.Second}))
		if d := time.Since(began); d != 20*time.Second {
			t.Errorf("it took %v", d)
		}
		one, two := lease(event.LeaseAsk{Max: 1, Wait: time.Minute}), lease(event.LeaseAsk{Max: 1, Wait: time.Minute})
		if v := b.view(); v.Waiting != 2 {
			t.Errorf("%d wait", v.Waiting)
		}
		elapse(3 * time.Second)
		b.publish("a")
		first := <-one
		wantVersions(t, "the first waiter", first.list, 1)
		synctest.Wait()
		if first.took != 3*time.Second || len(two) != 0 {
			t.Errorf("the first took %v, the second got %d", first.took, len(two))
		}
		b.nack(5*time.Second, first.list[0])
		second := <-two
		wantVersions(t, "the second waiter", second.list, 1)
		if second.took != 8*time.Second || second.list[0].Deliveries != 2 {
			t.Errorf("%+v", second)
		}
		third := lease(event.LeaseAsk{Wait: time.Minute})
		if got := <-third; got.took != 30*time.Second || len(got.list) != 1 {
			t.Errorf("after the end of the lease: %v %v", got.took, versions(got.list))
		}
		fourth := lease(event.LeaseAsk{Wait: time.Minute})
		b.Drain()
		if got := <-fourth; got.took != 0 || len(got.list) != 0 {
			t.Errorf("when draining: %+v", got)
		}
	})
}

func TestLeaseOfOneWhoLeft(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := b.Lease(ctx, b.tenant.ID, "work", event.LeaseAsk{Max: 1, Wait: time.Minute}, nil)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		b.publish("a")
		got := b.take(event.LeaseAsk{})
		wantVersions(t, "another's lease", got, 1)
		if got[0].Deliveries != 1 {
			t.Errorf("%d deliveries", got[0].Deliveries)
		}
	})
}

func TestAdmit(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		full := event.Errorf(event.KindUnavailable, "busy", "as many wait as may")
		lease := func(admit queue.Admit) ([]event.Leased, error) {
			return b.Lease(t.Context(), b.tenant.ID, "work", event.LeaseAsk{Max: 1, Wait: time.Second}, admit)
		}
		refuse := func() (func(), error) { return nil, full }
		if _, err := lease(refuse); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
		b.publish("a")
		if list, err := lease(refuse); err != nil || len(list) != 1 {
			t.Errorf("%v %v: what is there needs no wait", list, err)
		}
		released := 0
		if _, err := lease(func() (func(), error) { return func() { released++ }, nil }); err != nil || released != 1 {
			t.Errorf("%v, released %d times", err, released)
		}
	})
}

func TestSelection(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, Select: event.Selection{Filter: `key == "b"`}})
		keys := slices.Repeat([]string{"a"}, 3000)
		keys[2500] = "b"
		b.publish(keys...)
		got := b.take(event.LeaseAsk{})
		wantVersions(t, "the selected", got, 2501)
		wantVersions(t, "the rest", b.take(event.LeaseAsk{}))
		synctest.Wait()
		_, _, items, err := b.model.LoadQueue(t.Context(), mustQueue(t, b).ID)
		if err != nil || len(items) != 1 {
			t.Errorf("%v %v", items, err)
		}
		b.ack(got...)
		if v := b.view(); v.Depth != 0 || v.Cursor != 3000 {
			t.Errorf("%+v", v)
		}
		// Another selection goes for what comes.
		q := mustQueue(t, b)
		q.Select = event.Selection{Types: []string{"order.*"}}
		if _, err := b.Update(t.Context(), &b.tenant, q, q.Revision); err != nil {
			t.Fatal(err)
		}
		b.publish("a")
		wantVersions(t, "the new selection", b.take(event.LeaseAsk{}), 3001)
	})
}

// elapse lets the time of a bubble go by.
func elapse(d time.Duration) { <-time.After(d) }

func mustQueue(t testing.TB, b *bench) event.Queue {
	t.Helper()
	q, err := b.Queue(t.Context(), &b.tenant, "work")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestMaxOpen(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, MaxOpen: 3, Order: event.OrderKey})
		b.publish("a", "a", "b", "c", "d")
		first := b.take(event.LeaseAsk{})
		wantVersions(t, "as many as may be open", first, 1, 3)
		wantVersions(t, "no more", b.take(event.LeaseAsk{}))
		b.ack(first[1])
		wantVersions(t, "one more", b.take(event.LeaseAsk{}), 4)
		if v := b.view(); v.Open != 3 || v.Depth != 4 {
			t.Errorf("%+v", v)
		}
	})
}

func TestExpired(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		b.publish("a", "b", "c", "d", "e")
		b.nack(0, b.take(event.LeaseAsk{Max: 1})...)
		trim := func(n int) {
			t.Helper()
			if _, err := b.store.TrimLog(t.Context(), store.TrimPolicy{MaxBytes: 1, Keep: 1 << 60}, n); err != nil {
				t.Fatal(err)
			}
		}
		trim(1)
		wantVersions(t, "an open event is gone", b.take(event.LeaseAsk{Max: 1}), 2)
		synctest.Wait()
		b.restart()
		trim(2)
		wantVersions(t, "unread ones, too", b.take(event.LeaseAsk{}), 4, 5)
		if v := b.view(); v.Expired != 2 || v.Open != 3 {
			t.Errorf("%+v", v)
		}
	})
}

func TestFloor(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		floor := func() int64 {
			t.Helper()
			n, err := b.Floor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := floor(); n < 1<<60 {
			t.Errorf("without queues: %d", n)
		}
		b.create(event.Queue{Start: 1})
		b.publish("a", "b", "c")
		if n := floor(); n != 0 {
			t.Errorf("nothing done: %d", n)
		}
		list := b.take(event.LeaseAsk{})
		b.ack(list[0], list[2])
		if n := floor(); n != list[1].Event.Seq-1 {
			t.Errorf("the second is open: %d", n)
		}
		b.ack(list[1])
		if n := floor(); n != list[2].Event.Seq {
			t.Errorf("all done: %d", n)
		}
		// Another tenant's log grows: a queue at its head does not hold it.
		if _, err := b.store.Append(t.Context(), time.Now(), store.AppendRequest{Tenant: 99, Events: []event.Event{{ID: "x"}}}); err != nil {
			t.Fatal(err)
		}
		if n := floor(); n != list[2].Event.Seq+1 {
			t.Errorf("another tenant's: %d", n)
		}
	})
}

func TestIdleQueuesLeaveMemory(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		b.publish("a", "b")
		got := b.take(event.LeaseAsk{Max: 1})
		loads := b.store.Calls("LoadQueue")
		for range 20 {
			elapse(15 * time.Second)
			b.Sweep()
			synctest.Wait()
		}
		again := b.take(event.LeaseAsk{})
		wantVersions(t, "after a while", again, 1)
		if again[0].Deliveries != 2 || b.store.Calls("LoadQueue") != loads+1 {
			t.Errorf("%+v, %d loads", again[0], b.store.Calls("LoadQueue")-loads)
		}
		bad, err := b.Ack(t.Context(), b.tenant.ID, "work", receipts(got))
		wantCode(t, bad, err, "0 lease_lost")
	})
}

func TestDelete(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		q := b.create(event.Queue{Start: 1})
		b.publish("a")
		got := b.take(event.LeaseAsk{})
		done := make(chan error, 1)
		go func() {
			_, err := b.Lease(t.Context(), b.tenant.ID, "work", event.LeaseAsk{Max: 1, Wait: time.Minute}, nil)
			done <- err
		}()
		synctest.Wait()
		if err := b.Delete(t.Context(), &b.tenant, "work", q.Revision+1); event.KindOf(err) != event.KindPrecondition {
			t.Errorf("%v", err)
		}
		if err := b.Delete(t.Context(), &b.tenant, "work", q.Revision); err != nil {
			t.Fatal(err)
		}
		if err := <-done; event.KindOf(err) != event.KindNotFound {
			t.Errorf("a waiting lease: %v", err)
		}
		if _, err := b.Ack(t.Context(), b.tenant.ID, "work", receipts(got)); event.KindOf(err) != event.KindNotFound {
			t.Errorf("%v", err)
		}
		b.create(event.Queue{Start: 1})
		bad, err := b.Ack(t.Context(), b.tenant.ID, "work", receipts(got))
		wantCode(t, bad, err, "0 invalid_receipt")
		wantVersions(t, "the new queue", b.take(event.LeaseAsk{}), 1)
		b.TenantDeleted(b.tenant.ID)
		if err := b.store.DeleteTenant(t.Context(), b.tenant.ID, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Lease(t.Context(), b.tenant.ID, "work", event.LeaseAsk{Max: 1}, nil); event.KindOf(err) != event.KindNotFound {
			t.Errorf("%v", err)
		}
	})
}

// TestCursorIsSaved holds that how far a queue has looked is saved now and then, also while leases wait and nothing is
// selected.
func TestCursorIsSaved(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		q := b.create(event.Queue{Start: 1, Select: event.Selection{Types: []string{"other"}}})
		done := make(chan []event.Leased, 1)
		go func() { done <- b.take(event.LeaseAsk{Wait: time.Minute}) }()
		synctest.Wait()
		b.publish("a", "b", "c")
		synctest.Wait()
		b.Sweep()
		synctest.Wait()
		c, _, _, err := b.model.LoadQueue(t.Context(), q.ID)
		if err != nil || c.Version != 3 || c.Floor == 0 {
			t.Errorf("%+v %v", c, err)
		}
		wantVersions(t, "nothing", <-done)
		b.publish(slices.Repeat([]string{"a"}, 2000)...)
		b.take(event.LeaseAsk{})
		synctest.Wait()
		if c, _, _, err = b.model.LoadQueue(t.Context(), q.ID); err != nil || c.Version < 1003 {
			t.Errorf("%+v %v", c, err)
		}
	})
}
