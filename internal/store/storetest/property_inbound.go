package storetest

import (
	"context"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

var (
	worldSources = []string{"s", "t"}
	worldBins    = []string{"0199b3c4-1234-7abc-8def-0123456789ab", "bin"}
)

func (w *world) drawSource(rt *rapid.T) step {
	tenant, name, revision := rapid.SampledFrom(worldNames).Draw(rt, "name"), rapid.SampledFrom(worldSources).Draw(rt, "source"), drawRevision(rt)
	id, at := event.SourceID(1000+10*int64(tenant[0])+int64(name[0])), clock(w.now)
	return rapid.SampledFrom([]step{
		{"PutSource", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return s.PutSource(ctx, event.Source{ID: id, Tenant: t.ID, Name: name, Provider: "none", Created: at, Updated: at}, revision)
		})},
		{"DeleteSource", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.DeleteSource(ctx, t.ID, name, revision)
		})},
		{"Source", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return s.Source(ctx, t.ID, name)
		})},
	}).Draw(rt, "sourceStep")
}

func (w *world) drawBin(rt *rapid.T) step {
	b := event.Bin{
		ID: rapid.SampledFrom(worldBins).Draw(rt, "bin"), Alias: rapid.SampledFrom([]string{"", "alias", "bin"}).Draw(rt, "alias"),
		Tenant: event.TenantID(rapid.IntRange(0, 2).Draw(rt, "tenant")), Created: clock(0), Updated: clock(w.now),
	}
	if rapid.Bool().Draw(rt, "expires") {
		b.Expires = clock(w.now + 2)
	}
	revision, seq := drawRevision(rt), rapid.Int64Range(0, 5).Draw(rt, "seq")
	tunnel := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "tunnel")
	return rapid.SampledFrom([]step{
		{"PutBin", func(ctx context.Context, s store.Store) (any, error) { return s.PutBin(ctx, b, revision) }},
		{"PutBin", func(ctx context.Context, s store.Store) (any, error) { return s.PutBin(ctx, b, 0) }},
		{"Bin", func(ctx context.Context, s store.Store) (any, error) { return s.Bin(ctx, b.Alias) }},
		{"CountBins", func(ctx context.Context, s store.Store) (any, error) { return s.CountBins(ctx, b.Tenant, clock(w.now)) }},
		{"DeleteBin", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteBin(ctx, b.ID, revision) }},
		{"DeleteTenantBins", func(ctx context.Context, s store.Store) (any, error) { return nil, s.DeleteTenantBins(ctx, b.Tenant) }},
		{"SetBinCursor", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.SetBinCursor(ctx, b.ID, tunnel, seq)
		}},
	}).Draw(rt, "binStep")
}

func (w *world) drawCapture(rt *rapid.T) step {
	bin, keep, refuse := rapid.SampledFrom(worldBins).Draw(rt, "bin"), rapid.IntRange(1, 4).Draw(rt, "keep"), rapid.Bool().Draw(rt, "refuse")
	c := capture1(bin, fmt.Sprint("c", rapid.IntRange(0, 20).Draw(rt, "id")), clock(w.now))
	c.Body = rapid.SampledFrom([][]byte{nil, []byte("b"), make([]byte, 9000)}).Draw(rt, "body")
	c.Note = rapid.SampledFrom([]string{"", "note"}).Draw(rt, "note")
	add := step{"AddCapture", func(ctx context.Context, s store.Store) (any, error) { return s.AddCapture(ctx, c, keep, refuse) }}
	seq := rapid.Int64Range(1, 6).Draw(rt, "seq")
	q := event.CaptureQuery{
		Bin: bin, After: rapid.Int64Range(0, 3).Draw(rt, "after"), Before: rapid.SampledFrom([]int64{0, 4, 9}).Draw(rt, "before"),
		Newest: rapid.Bool().Draw(rt, "newest"), Limit: rapid.IntRange(0, 4).Draw(rt, "limit"), MaxBytes: rapid.SampledFrom([]int{0, 1, 9500}).Draw(rt, "maxBytes"),
	}
	if rapid.Bool().Draw(rt, "bounded") {
		q.Since, q.Until = clock(rapid.IntRange(0, w.now).Draw(rt, "since")), clock(rapid.IntRange(0, w.now+1).Draw(rt, "until"))
	}
	var before time.Time
	if rapid.Bool().Draw(rt, "aged") {
		before = clock(rapid.IntRange(0, w.now+1).Draw(rt, "trimBefore"))
	}
	now, size, limit := clock(w.now), rapid.SampledFrom([]int64{0, 300, 10_000}).Draw(rt, "size"), rapid.IntRange(0, 6).Draw(rt, "trimLimit")
	return rapid.SampledFrom([]step{
		add, add, add, add,
		{"NoteCapture", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.NoteCapture(ctx, bin, seq, c.Note+"x")
		}},
		{"AnswerCapture", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.AnswerCapture(ctx, bin, seq, event.Answer{Status: 200, Body: c.Body})
		}},
		{"Captures", func(ctx context.Context, s store.Store) (any, error) { return s.Captures(ctx, q) }},
		{"CaptureByID", func(ctx context.Context, s store.Store) (any, error) { return s.CaptureByID(ctx, bin, c.ID) }},
		{"DeleteCaptures", func(ctx context.Context, s store.Store) (any, error) {
			return s.DeleteCaptures(ctx, bin, []int64{seq, seq + 2, seq})
		}},
		{"TrimCaptures", func(ctx context.Context, s store.Store) (any, error) {
			return s.TrimCaptures(ctx, now, before, size, limit)
		}},
	}).Draw(rt, "captureStep")
}

// binDump is everything about one bin.
type binDump struct {
	Stats    event.BinStats
	Captures []event.Capture
	Cursors  []int64
}

// inbound reads everything about sources and bins.
func (r *reader) inbound(d *dump) {
	d.Sources, d.BinStates = map[string][]event.Source{}, map[string]binDump{}
	for _, t := range d.Tenants {
		list, err := r.s.Sources(r.ctx, t.ID, "", 1000)
		d.Sources[t.Name] = read(r, list, err)
	}
	bins, err := r.s.Bins(r.ctx, 0, "", 1000)
	d.Bins = read(r, bins, err)
	for t := range event.TenantID(3) {
		list, err := r.s.Bins(r.ctx, t, "", 1000)
		d.TenantBins[t] = len(read(r, list, err))
	}
	for _, id := range worldBins {
		var b binDump
		st, err := r.s.BinStats(r.ctx, id)
		if event.KindOf(err) != event.KindNotFound || err == nil {
			b.Stats = read(r, st, err)
		}
		list, err := r.s.Captures(r.ctx, event.CaptureQuery{Bin: id, Limit: 1000, MaxBytes: unbounded})
		b.Captures = read(r, list, err)
		for _, tunnel := range []string{"a", "b"} {
			n, err := r.s.BinCursor(r.ctx, id, tunnel)
			b.Cursors = append(b.Cursors, read(r, n, err))
		}
		d.BinStates[id] = b
	}
}
