package queue_test

import (
	"errors"
	"flag"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// fate is what a simple model knows of an event.
type fate struct {
	key        string
	selected   bool
	seen       bool // it was leased before
	done, dead bool
	deliveries int
	receipt    string    // of the last lease
	until      time.Time // when that ends, or when the event may be leased again
	leased     bool
}

// world is the model: every event's fate.
type world struct {
	*bench
	q     event.Queue
	fates map[int64]*fate
	stale []string // receipts that are good for nothing
}

func (w *world) open(f *fate) bool { return !f.done && !f.dead && f.selected }

func (w *world) held(f *fate) bool { return f.leased && f.until.After(time.Now()) }

// mayLease reports whether an event is one that a lease may give.
func (w *world) mayLease(v int64) bool {
	f := w.fates[v]
	if !w.open(f) || f.seen && f.until.After(time.Now()) {
		return false
	}
	if w.q.Order != event.OrderKey || f.key == "" {
		return true
	}
	for other, g := range w.fates {
		if g.key == f.key && w.open(g) && (other < v || w.held(g)) {
			return false
		}
	}
	return true
}

var errStore = errors.New("the store fails")

func TestAgainstModel(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		if err := f.Value.Set("400"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		var failed any // what rapid ends a run with, carried out of the bubble
		synctest.Test(t, func(t *testing.T) {
			defer func() { failed = recover() }()
			w := &world{bench: newBench(t), fates: map[int64]*fate{}}
			defer w.Close()
			w.q = w.create(event.Queue{
				Start: 1, Order: rapid.SampledFrom([]event.Order{event.OrderNone, event.OrderKey}).Draw(rt, "order"),
				MaxDeliveries: rapid.IntRange(0, 3).Draw(rt, "maxDeliveries"), MaxOpen: rapid.IntRange(1, 6).Draw(rt, "maxOpen"),
				Select: event.Selection{Filter: rapid.SampledFrom([]string{"", `key != "x"`}).Draw(rt, "filter")},
			})
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				rapid.SampledFrom([]func(*rapid.T){
					w.publishSome, w.publishSome, w.leaseSome, w.leaseSome, w.leaseSome, w.ackSome, w.ackSome, w.nackSome, w.extendSome,
					w.pass, w.crash, w.retrySome, w.change, w.sweep, w.fault,
				}).Draw(rt, "step")(rt)
				w.bounded(rt)
			}
			w.finish(rt)
		})
		if failed != nil {
			panic(failed)
		}
	})
}

func (w *world) publishSome(rt *rapid.T) {
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "x"}), 1, 5).Draw(rt, "keys")
	for _, k := range keys {
		w.fates[int64(len(w.fates)+1)] = &fate{key: k, selected: k != "x" || w.q.Select.Filter == ""}
	}
	w.publish(keys...)
}

func (w *world) leaseSome(rt *rapid.T) {
	ask := event.LeaseAsk{Max: rapid.IntRange(1, 4).Draw(rt, "max"), Visibility: time.Duration(rapid.IntRange(1, 60).Draw(rt, "visibility")) * time.Second}
	list, err := w.Lease(w.t.Context(), w.tenant.ID, "work", ask, nil)
	if err != nil {
		rt.Fatal(err)
	}
	w.buried(rt)
	w.leased(rt, list, ask)
}

// leased checks what a lease gave.
func (w *world) leased(rt *rapid.T, list []event.Leased, ask event.LeaseAsk) {
	rt.Helper()
	if len(list) > ask.Max {
		rt.Fatalf("%d events of at most %d", len(list), ask.Max)
	}
	if len(list) == 0 {
		w.nothingDue(rt)
	}
	for _, l := range list {
		v := l.Event.Version
		if !w.mayLease(v) {
			rt.Fatalf("version %d was given: %+v", v, w.fates[v])
		}
		f := w.fates[v]
		if f.deliveries++; l.Deliveries != f.deliveries || w.q.MaxDeliveries > 0 && l.Deliveries > w.q.MaxDeliveries {
			rt.Fatalf("version %d has %d deliveries, want %d, at most %d", v, l.Deliveries, f.deliveries, w.q.MaxDeliveries)
		}
		if f.receipt != "" {
			w.stale = append(w.stale, f.receipt)
		}
		f.seen, f.leased, f.receipt, f.until = true, true, l.Receipt, l.Expires
	}
}

// nothingDue checks that an empty lease was right.
func (w *world) nothingDue(rt *rapid.T) {
	rt.Helper()
	full := w.view().Open >= w.q.MaxOpen
	for v, f := range w.fates {
		if w.mayLease(v) && (f.seen || !full) {
			rt.Fatalf("a lease gave nothing, though version %d is due: %+v", v, f)
		}
	}
}

// buried learns which events became dead letters, and checks that they may.
func (w *world) buried(rt *rapid.T) {
	rt.Helper()
	synctest.Wait() // a lease that got nothing does not wait until it is saved what became dead
	list, err := w.DeadLetters(w.t.Context(), &w.q, 0, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	dead := map[int64]bool{}
	for _, d := range list {
		f := w.fates[d.Version]
		dead[d.Version] = true
		if !f.dead && (f.done || w.held(f) || w.q.MaxDeliveries == 0 || f.deliveries < w.q.MaxDeliveries) || d.Deliveries != f.deliveries {
			rt.Fatalf("version %d became a dead letter: %+v %+v", d.Version, d, f)
		}
		f.dead, f.leased = true, false
	}
	for v, f := range w.fates {
		if f.dead && !dead[v] {
			rt.Fatalf("the dead letter %d is lost", v)
		}
	}
}

// draw picks some receipts: good ones, stale ones, and nonsense.
func (w *world) draw(rt *rapid.T) (list []string, of []int64) {
	var live []int64
	for _, v := range slices.Sorted(maps.Keys(w.fates)) {
		if w.fates[v].receipt != "" {
			live = append(live, v)
		}
	}
	for range rapid.IntRange(1, 3).Draw(rt, "receipts") {
		switch n := rapid.IntRange(0, 9).Draw(rt, "which"); {
		case n == 0:
			list, of = append(list, "nonsense"), append(of, -1)
		case n == 1 && len(w.stale) > 0:
			list, of = append(list, rapid.SampledFrom(w.stale).Draw(rt, "stale")), append(of, 0)
		case len(live) > 0:
			v := rapid.SampledFrom(live).Draw(rt, "version")
			list, of = append(list, w.fates[v].receipt), append(of, v)
		}
	}
	return list, of
}

// settled checks the answer to a settlement and carries it out on the model.
func (w *world) settled(rt *rapid.T, of []int64, bad []event.ReceiptError, err error, change func(*fate)) {
	rt.Helper()
	if err != nil {
		rt.Fatal(err)
	}
	codes := map[int]string{}
	for _, b := range bad {
		codes[b.Index] = b.Code
	}
	for i, v := range of {
		want := ""
		switch {
		case v == -1:
			want = "invalid_receipt"
		case v == 0 || !w.held(w.fates[v]) || !w.open(w.fates[v]):
			want = "lease_lost"
		}
		if codes[i] != want {
			rt.Fatalf("the receipt of version %d gave %q, want %q", v, codes[i], want)
		}
		if want == "" {
			change(w.fates[v])
		}
	}
}

func (w *world) ackSome(rt *rapid.T) {
	list, of := w.draw(rt)
	bad, err := w.Ack(w.t.Context(), w.tenant.ID, "work", list)
	w.settled(rt, of, bad, err, func(f *fate) { f.done, f.leased = true, false })
}

func (w *world) nackSome(rt *rapid.T) {
	list, of := w.draw(rt)
	delay := time.Duration(rapid.IntRange(0, 30).Draw(rt, "delay")) * time.Second
	bad, err := w.Nack(w.t.Context(), w.tenant.ID, "work", list, delay)
	until := time.Now().UTC().Truncate(time.Microsecond).Add(delay)
	w.settled(rt, of, bad, err, func(f *fate) { f.leased, f.until = false, until })
}

func (w *world) extendSome(rt *rapid.T) {
	list, of := w.draw(rt)
	until, bad, err := w.Extend(w.t.Context(), w.tenant.ID, "work", list, time.Duration(rapid.IntRange(1, 60).Draw(rt, "visibility"))*time.Second)
	w.settled(rt, of, bad, err, func(f *fate) { f.until = until })
}

func (w *world) pass(rt *rapid.T) {
	elapse(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
}

func (w *world) crash(*rapid.T) { w.restart() }

func (w *world) sweep(*rapid.T) {
	elapse(3 * time.Minute)
	w.Sweep()
	synctest.Wait()
	w.Sweep()
}

func (w *world) retrySome(rt *rapid.T) {
	room := w.q.MaxOpen - w.view().Open
	var dead []int64
	for _, v := range slices.Sorted(maps.Keys(w.fates)) {
		if w.fates[v].dead {
			dead = append(dead, v)
		}
	}
	n, err := w.RetryDead(w.t.Context(), w.tenant.ID, "work", nil)
	if err != nil || n != min(max(room, 0), len(dead)) {
		rt.Fatalf("%d of %d dead letters with room for %d: %v", n, len(dead), room, err)
	}
	for _, v := range dead[:n] {
		f := w.fates[v]
		f.dead, f.deliveries, f.leased, f.until = false, 0, false, time.Now().UTC().Truncate(time.Microsecond)
	}
}

func (w *world) change(rt *rapid.T) {
	q := w.q
	q.Order = rapid.SampledFrom([]event.Order{event.OrderNone, event.OrderKey}).Draw(rt, "order")
	q.MaxOpen = rapid.IntRange(1, 6).Draw(rt, "maxOpen")
	saved, err := w.Update(w.t.Context(), &w.tenant, q, q.Revision)
	if err != nil {
		rt.Fatal(err)
	}
	w.q = saved
}

// bounded checks that no more is open than may be; a change may have lowered that.
func (w *world) bounded(rt *rapid.T) {
	if v := w.view(); v.Open > event.MaxMaxOpen || v.Open != v.Leased+v.Delayed+v.Parked || v.Open > 6 {
		rt.Fatalf("%+v", v)
	}
}

// fault lets a lease or an ack run while saves fail, before or after their effect, and learns from the store what is.
func (w *world) fault(rt *rapid.T) {
	fault := rapid.SampledFrom([]storetest.Fault{{Before: errStore}, {After: errStore}}).Draw(rt, "fault")
	method := rapid.SampledFrom([]string{"SaveQueue", "SaveQueue", "ReadTenant", "Events", "LoadQueue"}).Draw(rt, "method")
	w.store.SetRule(func(c storetest.Call) storetest.Fault {
		if c.Method == method {
			return fault
		}
		return storetest.Fault{}
	})
	ctx := w.t.Context()
	acked := map[int64]bool{}
	list, of := w.draw(rt)
	ask := event.LeaseAsk{Max: 3, Visibility: 30 * time.Second}
	var got []event.Leased
	var err error
	if len(list) == 0 || rapid.Bool().Draw(rt, "lease") {
		got, err = w.Lease(ctx, w.tenant.ID, "work", ask, nil)
	} else {
		var bad []event.ReceiptError
		if bad, err = w.Ack(ctx, w.tenant.ID, "work", list); err == nil {
			w.store.SetRule(nil)
			w.settled(rt, of, bad, nil, func(f *fate) { f.done, f.leased = true, false })
			return
		}
		for _, v := range of {
			acked[v] = true
		}
	}
	synctest.Wait() // until what was given back is saved, or not
	w.store.SetRule(nil)
	if err == nil && len(got) > 0 {
		w.buried(rt)
		w.leased(rt, got, ask)
		return
	}
	w.learn(rt, acked)
}

// learn sets the model to what the store holds, and checks that nothing is lost and nothing came of itself.
func (w *world) learn(rt *rapid.T, acked map[int64]bool) {
	rt.Helper()
	w.restart()
	cursor, _, items, err := w.model.LoadQueue(w.t.Context(), w.q.ID)
	if err != nil {
		rt.Fatal(err)
	}
	open := map[int64]event.QueueItem{}
	for _, i := range items {
		open[i.Version] = i
	}
	dead := map[int64]bool{}
	letters, err := w.DeadLetters(w.t.Context(), &w.q, 0, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	for _, d := range letters {
		dead[d.Version] = true
	}
	for v, f := range w.fates {
		i, isOpen := open[v]
		switch {
		case !f.selected:
		case isOpen:
			if f.done || f.dead || i.Deliveries < f.deliveries || i.Deliveries > f.deliveries+1 {
				rt.Fatalf("version %d is open again: %+v %+v", v, i, f)
			}
			if i.Deliveries > f.deliveries || i.Lease == 0 {
				if f.receipt != "" {
					w.stale = append(w.stale, f.receipt)
				}
				f.receipt = ""
			}
			// One that was set aside only, or lent to nobody who knows.
			f.seen, f.deliveries, f.leased, f.until = true, i.Deliveries, i.Lease != 0, i.Until
		case dead[v]:
			if f.done || w.held(f) {
				rt.Fatalf("version %d is dead: %+v", v, f)
			}
			f.dead, f.leased = true, false
		case v > cursor.Version:
			if f.seen || f.done {
				rt.Fatalf("version %d is after the cursor: %+v", v, f)
			}
		case f.done:
		case acked[v]:
			f.done, f.leased = true, false
		default:
			rt.Fatalf("version %d is lost: %+v", v, f)
		}
	}
}

// finish works everything off and checks that every event was done or is dead.
func (w *world) finish(rt *rapid.T) {
	for range 1000 {
		elapse(time.Hour)
		list, err := w.Lease(w.t.Context(), w.tenant.ID, "work", event.LeaseAsk{Max: 100}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		w.buried(rt)
		w.leased(rt, list, event.LeaseAsk{Max: 100})
		if len(list) == 0 {
			break
		}
		bad, err := w.Ack(w.t.Context(), w.tenant.ID, "work", receipts(list))
		if err != nil || len(bad) > 0 {
			rt.Fatal(bad, err)
		}
		for i := range list {
			w.fates[list[i].Event.Version].done = true
		}
	}
	for v, f := range w.fates {
		if w.open(f) {
			rt.Fatalf("version %d was never done: %+v", v, f)
		}
	}
	if v := w.view(); v.Depth != 0 {
		rt.Fatalf("%+v", v)
	}
}
