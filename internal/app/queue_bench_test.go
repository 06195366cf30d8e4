package app

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/queue"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/sqlite"
)

// BenchmarkQueue is what one queue of the embedded store gives to workers that each lease and acknowledge a batch at a
// time; an operation is one event.
func BenchmarkQueue(b *testing.B) {
	for _, c := range []struct{ workers, batch int }{{1, 1}, {64, 1}, {16, 100}} {
		b.Run(fmt.Sprintf("workers=%d/batch=%d", c.workers, c.batch), func(b *testing.B) { benchQueue(b, c.workers, c.batch) })
	}
}

func benchQueue(b *testing.B, workers, batch int) {
	s, err := sqlite.Open(b.TempDir(), sqlite.Options{LogDelay: -1, StateDelay: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	ctx := b.Context()
	leases, err := s.Acquire(ctx, node, time.Now(), leaseTime)
	if err != nil {
		b.Fatal(err)
	}
	t, err := s.PutTenant(ctx, event.Tenant{Name: "acme"}, 0)
	if err != nil {
		b.Fatal(err)
	}
	m := queue.New(queue.Config{Lease: leases[0], Store: s, Logger: slog.New(slog.DiscardHandler), Limits: event.DefaultLimits()})
	b.Cleanup(m.Close)
	if _, err := m.Create(ctx, &t, event.Queue{Name: "q", Start: 1, MaxOpen: event.MaxMaxOpen}); err != nil {
		b.Fatal(err)
	}
	for at := 0; at < b.N; at += 1000 {
		var list []event.Event
		for i := range min(1000, b.N-at) {
			list = append(list, event.Event{ID: fmt.Sprint(at + i), Source: "/s", Type: "order.paid", Data: make([]byte, 700)})
		}
		if _, err := s.Append(ctx, time.Now(), store.AppendRequest{Tenant: t.ID, Events: list}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var done atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done.Load() < int64(b.N) {
				list, err := m.Lease(ctx, t.ID, "q", event.LeaseAsk{Max: batch}, nil)
				if err != nil || len(list) == 0 {
					if err != nil {
						b.Error(err)
					}
					return
				}
				receipts := make([]string, len(list))
				for i := range list {
					receipts[i] = list[i].Receipt
				}
				if _, err := m.Ack(ctx, t.ID, "q", receipts); err != nil {
					b.Error(err)
					return
				}
				done.Add(int64(len(list)))
			}
		})
	}
	wg.Wait()
	if done.Load() != int64(b.N) {
		b.Fatalf("%d of %d done", done.Load(), b.N)
	}
}
