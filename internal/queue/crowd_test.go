package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// roll returns one of n numbers from 0 on.
func roll(n int) int { return rand.IntN(n) } //nolint:gosec // any will do

// ledger notes who holds and who has done what, for many workers.
type ledger struct {
	mu   sync.Mutex
	t    *testing.T
	held map[int64]string // by version: the receipt
	keys map[string]int64 // by key: the version that is held
	done map[int64]bool
	last map[string]int64 // by key: the last version done
}

func (l *ledger) take(e event.Leased, ordered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, key := e.Event.Version, e.Event.Key
	if l.held[v] != "" || l.done[v] {
		l.t.Errorf("version %d was given to two at a time, or after it was done", v)
	}
	l.held[v] = e.Receipt
	if ordered {
		if l.keys[key] != 0 || l.last[key] >= v {
			l.t.Errorf("version %d of key %s was given beside %d, after %d was done", v, key, l.keys[key], l.last[key])
		}
		l.keys[key] = v
	}
}

// leave is called before the lease is settled: from then on another may hold it.
func (l *ledger) leave(e event.Leased, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, key := e.Event.Version, e.Event.Key
	delete(l.held, v)
	delete(l.keys, key)
	if done {
		l.done[v] = true
		l.last[key] = v
	}
}

func (l *ledger) finished(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.done) == n
}

// TestManyWorkers has workers lease, give back and acknowledge at once while events come in, leases are given up half-way
// and saves fail now and then.
func TestManyWorkers(t *testing.T) {
	for _, order := range []event.Order{event.OrderNone, event.OrderKey} {
		t.Run(string(order), func(t *testing.T) {
			b := newBench(t)
			b.create(event.Queue{Start: 1, Order: order, MaxDeliveries: 0, MaxOpen: 50, Visibility: time.Hour})
			const events, workers = 1500, 12
			l := &ledger{t: t, held: map[int64]string{}, keys: map[string]int64{}, done: map[int64]bool{}, last: map[string]int64{}}
			var wg sync.WaitGroup
			wg.Go(func() {
				for range events / 5 {
					var keys []string
					for range 5 {
						keys = append(keys, fmt.Sprint("k", roll(20)))
					}
					b.publish(keys...)
				}
			})
			for range workers {
				wg.Go(func() {
					for !l.finished(events) && !t.Failed() {
						b.work(t, l, order == event.OrderKey)
					}
				})
			}
			wg.Wait()
			if v := b.view(); v.Depth != 0 || v.Dead != 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// work is one lease of a worker, some of it given back.
func (b *bench) work(t *testing.T, l *ledger, ordered bool) {
	ctx, cancel := t.Context(), func() {}
	if roll(10) == 0 { // one who leaves soon
		ctx, cancel = context.WithTimeout(ctx, time.Duration(roll(2000))*time.Microsecond)
	}
	defer cancel()
	list, err := b.Lease(ctx, b.tenant.ID, "work", event.LeaseAsk{Max: 1 + roll(4), Wait: 20 * time.Millisecond}, nil)
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		return
	}
	for _, e := range list {
		l.take(e, ordered)
	}
	for _, e := range list {
		back := roll(5) == 0
		l.leave(e, !back)
		settle := func() ([]event.ReceiptError, error) {
			return b.Ack(t.Context(), b.tenant.ID, "work", []string{e.Receipt})
		}
		if back {
			settle = func() ([]event.ReceiptError, error) {
				return b.Nack(t.Context(), b.tenant.ID, "work", []string{e.Receipt}, time.Duration(roll(3))*time.Millisecond)
			}
		}
		if bad, err := settle(); err != nil || len(bad) > 0 {
			t.Errorf("version %d: %v %v", e.Event.Version, bad, err)
		}
	}
}

// TestSavesThatFail lets workers go on while saves fail: what is acknowledged is never given again, and nothing is lost.
func TestSavesThatFail(t *testing.T) {
	b := newBench(t)
	b.create(event.Queue{Start: 1, MaxOpen: 50, Visibility: time.Second, MaxDeliveries: 0})
	const events, workers = 300, 8
	for range events {
		b.publish("k")
	}
	b.store.SetRule(func(c storetest.Call) storetest.Fault {
		switch {
		case c.Method == "SaveQueue" && c.N%13 == 5:
			return storetest.Fault{Before: errStore}
		case c.Method == "SaveQueue" && c.N%17 == 5:
			return storetest.Fault{After: errStore}
		case c.Method == "ReadTenant" && c.N%7 == 3, c.Method == "LoadQueue" && c.N%5 == 3, c.Method == "ReadPartition" && c.N%3 == 2:
			return storetest.Fault{Before: errStore}
		}
		return storetest.Fault{}
	})
	var mu sync.Mutex
	sure, maybe := map[int64]bool{}, map[int64]bool{} // acknowledged; perhaps
	settled := func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := len(sure)
		for v := range maybe {
			if !sure[v] {
				n++
			}
		}
		return n == events
	}
	deadline := time.Now().Add(30 * time.Second)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for !settled() && time.Now().Before(deadline) {
				list, err := b.Lease(t.Context(), b.tenant.ID, "work", event.LeaseAsk{Max: 3, Wait: 50 * time.Millisecond}, nil)
				if err != nil {
					continue
				}
				mu.Lock()
				for _, e := range list {
					if sure[e.Event.Version] {
						t.Errorf("version %d was given after its ack", e.Event.Version)
					}
				}
				mu.Unlock()
				bad, err := b.Ack(t.Context(), b.tenant.ID, "work", receipts(list))
				lost := map[int]bool{}
				for _, e := range bad {
					lost[e.Index] = true
				}
				mu.Lock()
				for i, e := range list {
					switch {
					case err != nil:
						maybe[e.Event.Version] = true
					case !lost[i]:
						sure[e.Event.Version] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.store.SetRule(nil)
	if !settled() {
		t.Fatalf("after 30 s %d were acknowledged and %d perhaps, of %d", len(sure), len(maybe), events)
	}
	if v := b.view(); v.Cursor != events || v.Open > len(maybe) {
		t.Errorf("%+v", v)
	}
}
