package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

func TestCreateChecks(t *testing.T) {
	b := newBench(t)
	for field, q := range map[string]event.Queue{
		"name":           {Name: "Work"},
		"description":    {Name: "a", Description: "\x00"},
		"order":          {Name: "a", Order: event.OrderStrict},
		"visibility":     {Name: "a", Visibility: time.Millisecond},
		"max_deliveries": {Name: "a", MaxDeliveries: 1001},
		"max_open":       {Name: "a", MaxOpen: 10_001},
		"start":          {Name: "a", Start: -1},
		"metadata":       {Name: "a", Metadata: map[string]string{"": "x"}},
		"metadata.k":     {Name: "a", Metadata: map[string]string{"k": strings.Repeat("x", 501)}},
		"types[0]":       {Name: "a", Select: event.Selection{Types: []string{"a..b"}}},
		"subjects[0]":    {Name: "a", Select: event.Selection{Subjects: []string{""}}},
		"filter":         {Name: "a", Select: event.Selection{Filter: "data.("}},
	} {
		_, err := b.Create(t.Context(), &b.tenant, q)
		e, ok := errors.AsType[*event.Error](err)
		if !ok || e.Kind != event.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	q := b.create(event.Queue{})
	if q.Order != event.OrderNone || q.Visibility != 30*time.Second || q.MaxOpen != 1000 || q.Start != 1 || q.Revision != 1 || q.ID == 0 {
		t.Errorf("%+v", q)
	}
	if _, err := b.Create(t.Context(), &b.tenant, event.Queue{Name: "work"}); event.KindOf(err) != event.KindConflict {
		t.Errorf("%v", err)
	}
	for i := range 9 {
		b.create(event.Queue{Name: fmt.Sprint("q", i)})
	}
	_, err := b.Create(t.Context(), &b.tenant, event.Queue{Name: "over"})
	if e, ok := errors.AsType[*event.Error](err); !ok || e.Code != "too_many_queues" {
		t.Errorf("%v", err)
	}
	list, err := b.Queues(t.Context(), &b.tenant, "q7", 10)
	if err != nil || len(list) != 2 || list[0].Name != "q8" {
		t.Errorf("%v %v", list, err)
	}
}

func TestStartOlderThanKept(t *testing.T) {
	b := newBench(t)
	b.publish("a", "b", "c")
	if _, err := b.store.TrimLog(t.Context(), store.TrimPolicy{MaxBytes: 1, Keep: 1 << 60}, 2); err != nil {
		t.Fatal(err)
	}
	_, err := b.Create(t.Context(), &b.tenant, event.Queue{Name: "work", Start: 2})
	if e, ok := errors.AsType[*event.Error](err); !ok || e.Kind != event.KindGone || e.Oldest != 3 {
		t.Errorf("%v", err)
	}
	b.create(event.Queue{Start: 3})
	wantVersions(t, "what is kept", b.take(event.LeaseAsk{}), 3)
}

func TestUpdate(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		q := b.create(event.Queue{Start: 1, MaxOpen: 2})
		b.publish("a", "a", "b")
		got := b.take(event.LeaseAsk{})
		wantVersions(t, "two may be open", got, 1, 2)
		change := event.Queue{Name: "work", MaxOpen: 5, Order: event.OrderKey, Visibility: time.Hour}
		if _, err := b.Update(t.Context(), &b.tenant, change, q.Revision+1); event.KindOf(err) != event.KindPrecondition {
			t.Errorf("%v", err)
		}
		other := change
		other.Start = 2
		if _, err := b.Update(t.Context(), &b.tenant, other, 0); event.KindOf(err) != event.KindInvalid {
			t.Errorf("another start: %v", err)
		}
		saved, err := b.Update(t.Context(), &b.tenant, change, 0)
		if err != nil || saved.Start != 1 || saved.ID != q.ID || saved.Revision != 2 {
			t.Fatalf("%+v %v", saved, err)
		}
		b.publish("a")
		more := b.take(event.LeaseAsk{})
		wantVersions(t, "one of another key", more, 3)
		if left := time.Until(more[0].Expires); left < 59*time.Minute {
			t.Errorf("the lease holds %v", left)
		}
		b.ack(got[1])
		wantVersions(t, "the first is still leased", b.take(event.LeaseAsk{}))
		b.ack(got[0])
		wantVersions(t, "the next of the key", b.take(event.LeaseAsk{}), 4)
		if _, err := b.Update(t.Context(), &b.tenant, event.Queue{Name: "none"}, 0); event.KindOf(err) != event.KindNotFound {
			t.Errorf("%v", err)
		}
	})
}

// TestLargeEvents holds that one lease does not bring more than some megabytes.
func TestLargeEvents(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		for i := range 200 {
			e := event.Event{ID: fmt.Sprint("e", i), Source: "/s", Type: "a", Data: make([]byte, 200<<10)}
			if _, err := b.store.Append(t.Context(), time.Now(), store.AppendRequest{Tenant: b.tenant.ID, Events: []event.Event{e}}); err != nil {
				t.Fatal(err)
			}
		}
		var all []event.Leased
		for {
			list := b.take(event.LeaseAsk{Max: 1000})
			if len(list) == 0 {
				break
			}
			all = append(all, list...)
		}
		if len(all) != 200 {
			t.Fatalf("%d events", len(all))
		}
		for part := range slices.Chunk(all, 100) {
			b.nack(0, part...)
		}
		again := b.take(event.LeaseAsk{Max: 1000})
		if len(again) < 20 || len(again) > 100 || again[0].Deliveries != 2 {
			t.Errorf("%d events again", len(again))
		}
		rest := b.take(event.LeaseAsk{Max: 1000})
		if len(rest) == 0 || rest[0].Deliveries != 2 {
			t.Errorf("what was over the bound was not given back as it was: %d", len(rest))
		}
	})
}

func TestStats(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		b.create(event.Queue{Name: "idle", Start: 1})
		b.create(event.Queue{Name: "other", Start: 1})
		b.publish("a", "b", "c")
		elapse(time.Minute)
		b.take(event.LeaseAsk{Max: 2})
		list, rest, err := b.Stats(t.Context(), 2)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v %v", list, err)
		}
		depth, open := rest.Depth, rest.Open
		for _, s := range list {
			depth, open = depth+s.Depth, open+s.Open
			if s.Tenant != b.tenant.ID || s.Depth != 3 || time.Since(s.Oldest) < time.Minute {
				t.Errorf("%+v", s)
			}
		}
		if depth != 9 || open != 2 {
			t.Errorf("depth %d, open %d", depth, open)
		}
		b.Close()
		synctest.Wait()
		b.model.Reopen()
		b.start()
		if again, _, err := b.Stats(t.Context(), 3); err != nil || len(again) != 3 || b.store.Calls("LoadQueue") != 1 {
			t.Errorf("%+v %v: not from the store alone", again, err)
		}
	})
}

func TestErrorsOfTheStore(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1})
		b.publish("a")
		lease := func() error {
			_, err := b.Lease(t.Context(), b.tenant.ID, "work", event.LeaseAsk{Max: 1}, nil)
			return err
		}
		for method, kind := range map[string]event.Kind{"SaveQueue": event.KindFull, "ReadTenant": event.KindFull, "LoadQueue": event.KindFull} {
			b.restart()
			b.store.SetRule(func(c storetest.Call) storetest.Fault {
				if c.Method == method {
					return storetest.Fault{Before: fmt.Errorf("state.db: %w", store.ErrFull)}
				}
				return storetest.Fault{}
			})
			if err := lease(); event.KindOf(err) != kind {
				t.Errorf("%s: %v", method, err)
			}
			synctest.Wait()
			b.store.SetRule(nil)
			if _, _, items, err := b.model.LoadQueue(t.Context(), mustQueue(t, b).ID); err != nil || len(items) != 0 {
				t.Errorf("%s: %v %v", method, items, err)
			}
		}
		if err := lease(); err != nil {
			t.Error(err)
		}
		b.Close()
		if err := lease(); event.KindOf(err) != event.KindUnavailable {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestLeases tells who has leased what, in memory, after a kill, and no longer once a lease ended.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		q := b.create(event.Queue{})
		b.publish("a", "b", "c", "d")
		one := event.LeaseHolder{Kind: event.ByKey, ID: "key_1", Name: "workers", Consumer: "host-1"}
		two := event.LeaseHolder{Kind: event.ByToken, ID: "token"}
		list := b.take(event.LeaseAsk{Max: 2, By: one, Visibility: time.Minute})
		b.take(event.LeaseAsk{Max: 1, By: two, Visibility: time.Hour})
		check := func(what string, after int64, limit int, want ...event.LeaseHolder) {
			t.Helper()
			got, err := b.Leases(t.Context(), &q, after, limit)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: %+v %v", what, got, err)
			}
			for i := range want {
				if got[i].Holder != want[i] || got[i].Deliveries != 1 || i > 0 && got[i].Version <= got[i-1].Version {
					t.Errorf("%s: %+v, want %+v", what, got[i], want[i])
				}
			}
		}
		check("all", 0, 10, one, one, two)
		check("a page", 0, 2, one, one)
		check("the next", list[1].Event.Version, 2, two)
		b.restart()
		check("after a kill", 0, 10, one, one, two)
		b.nack(0, list[0])
		b.ack(list[1])
		check("two were settled", 0, 10, two)
		b.take(event.LeaseAsk{Max: 1, Visibility: time.Second})
		<-time.After(2 * time.Minute) // of the bubble's clock
		check("one lease ended", 0, 10, two)
		<-time.After(time.Hour)
		check("all ended", 0, 10)
	})
}

// TestDepthPassesOthers: a queue from which nobody leases has no depth by events that it does not select.
func TestDepthPassesOthers(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, Select: event.Selection{Filter: `key == "mine"`}})
		b.publish("a", "b", "c")
		if v := b.view(); v.Depth != 0 || !v.Oldest.IsZero() || v.Cursor != 0 || v.Head != 3 {
			t.Errorf("nothing of its own: %+v", v)
		}
		<-time.After(time.Minute) // of the test's clock
		b.publish("mine", "d")
		began := time.Now()
		if v := b.view(); v.Depth != 2 || v.Oldest.Before(began.Add(-time.Second)) {
			t.Errorf("one of its own, one after it: %+v", v)
		}
		list, _, err := b.Stats(t.Context(), 10)
		if err != nil || len(list) != 1 || list[0].Depth != 2 {
			t.Errorf("the figures for metrics: %+v %v", list, err)
		}
	})
}

// TestDepthLooksSoFar: of very many other events only some are looked at; the rest counts until it is known.
func TestDepthLooksSoFar(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.create(event.Queue{Start: 1, Select: event.Selection{Filter: `key == "mine"`}})
		for range 30 {
			b.publish(slices.Repeat([]string{"other"}, 100)...)
		}
		if v := b.view(); v.Depth <= 0 || v.Depth >= 3000 || v.Oldest.IsZero() {
			t.Errorf("%+v", v)
		}
		wantVersions(t, "nothing is due", b.take(event.LeaseAsk{}))
		if v := b.view(); v.Depth != 0 {
			t.Errorf("after a lease: %+v", v)
		}
	})
}

// TestStatsLooksSoFar: the figures of all queues together look at a bounded number of other queues' events.
func TestStatsLooksSoFar(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		for i := range 10 {
			b.create(event.Queue{Name: fmt.Sprint("q", i), Start: 1, Select: event.Selection{Filter: `key == "mine"`}})
		}
		for range 30 {
			b.publish(slices.Repeat([]string{"other"}, 100)...)
		}
		list, _, err := b.Stats(t.Context(), 10)
		if err != nil || len(list) != 10 {
			t.Fatal(list, err)
		}
		if first, last := list[0], list[9]; first.Depth != 0 || last.Depth != 3000 || last.Oldest.IsZero() {
			t.Errorf("first %+v, last %+v", first, last)
		}
	})
}
