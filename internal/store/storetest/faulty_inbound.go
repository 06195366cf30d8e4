package storetest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// PutSource implements [store.Sources].
func (f *Faulty) PutSource(ctx context.Context, v event.Source, revision int64) (event.Source, error) {
	return get(f, "PutSource", func() (event.Source, error) { return f.next.PutSource(ctx, v, revision) })
}

// Source implements [store.Sources].
func (f *Faulty) Source(ctx context.Context, tenant event.TenantID, name string) (event.Source, error) {
	return get(f, "Source", func() (event.Source, error) { return f.next.Source(ctx, tenant, name) })
}

// Sources implements [store.Sources].
func (f *Faulty) Sources(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error) {
	return get(f, "Sources", func() ([]event.Source, error) { return f.next.Sources(ctx, tenant, after, limit) })
}

// DeleteSource implements [store.Sources].
func (f *Faulty) DeleteSource(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	return f.do("DeleteSource", func() error { return f.next.DeleteSource(ctx, tenant, name, revision) })
}

// PutBin implements [store.Bins].
func (f *Faulty) PutBin(ctx context.Context, b event.Bin, revision int64) (event.Bin, error) {
	return get(f, "PutBin", func() (event.Bin, error) { return f.next.PutBin(ctx, b, revision) })
}

// Bin implements [store.Bins].
func (f *Faulty) Bin(ctx context.Context, name string) (event.Bin, error) {
	return get(f, "Bin", func() (event.Bin, error) { return f.next.Bin(ctx, name) })
}

// Bins implements [store.Bins].
func (f *Faulty) Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	return get(f, "Bins", func() ([]event.Bin, error) { return f.next.Bins(ctx, tenant, after, limit) })
}

// CountBins implements [store.Bins].
func (f *Faulty) CountBins(ctx context.Context, tenant event.TenantID, now time.Time) (int, error) {
	return get(f, "CountBins", func() (int, error) { return f.next.CountBins(ctx, tenant, now) })
}

// BinStats implements [store.Bins].
func (f *Faulty) BinStats(ctx context.Context, id string) (event.BinStats, error) {
	return get(f, "BinStats", func() (event.BinStats, error) { return f.next.BinStats(ctx, id) })
}

// DeleteBin implements [store.Bins].
func (f *Faulty) DeleteBin(ctx context.Context, id string, revision int64) error {
	return f.do("DeleteBin", func() error { return f.next.DeleteBin(ctx, id, revision) })
}

// DeleteTenantBins implements [store.Bins].
func (f *Faulty) DeleteTenantBins(ctx context.Context, tenant event.TenantID) error {
	return f.do("DeleteTenantBins", func() error { return f.next.DeleteTenantBins(ctx, tenant) })
}

// AddCapture implements [store.Bins].
func (f *Faulty) AddCapture(ctx context.Context, c event.Capture, keep int, refuse bool) (event.Capture, error) {
	return get(f, "AddCapture", func() (event.Capture, error) { return f.next.AddCapture(ctx, c, keep, refuse) })
}

// Capture implements [store.Bins].
func (f *Faulty) Capture(ctx context.Context, bin string, seq int64) (event.Capture, error) {
	return get(f, "Capture", func() (event.Capture, error) { return f.next.Capture(ctx, bin, seq) })
}

// CaptureByID implements [store.Bins].
func (f *Faulty) CaptureByID(ctx context.Context, bin, id string) (event.Capture, error) {
	return get(f, "CaptureByID", func() (event.Capture, error) { return f.next.CaptureByID(ctx, bin, id) })
}

// Captures implements [store.Bins].
func (f *Faulty) Captures(ctx context.Context, q event.CaptureQuery) ([]event.Capture, error) {
	return get(f, "Captures", func() ([]event.Capture, error) { return f.next.Captures(ctx, q) })
}

// NoteCapture implements [store.Bins].
func (f *Faulty) NoteCapture(ctx context.Context, bin string, seq int64, note string) error {
	return f.do("NoteCapture", func() error { return f.next.NoteCapture(ctx, bin, seq, note) })
}

// AnswerCapture implements [store.Bins].
func (f *Faulty) AnswerCapture(ctx context.Context, bin string, seq int64, a event.Answer) error {
	return f.do("AnswerCapture", func() error { return f.next.AnswerCapture(ctx, bin, seq, a) })
}

// DeleteCaptures implements [store.Bins].
func (f *Faulty) DeleteCaptures(ctx context.Context, bin string, seqs []int64) (int, error) {
	return get(f, "DeleteCaptures", func() (int, error) { return f.next.DeleteCaptures(ctx, bin, seqs) })
}

// TrimCaptures implements [store.Bins].
func (f *Faulty) TrimCaptures(ctx context.Context, now, before time.Time, maxBytes int64, limit int) (int, error) {
	return get(f, "TrimCaptures", func() (int, error) { return f.next.TrimCaptures(ctx, now, before, maxBytes, limit) })
}

// BinCursor implements [store.Bins].
func (f *Faulty) BinCursor(ctx context.Context, bin, tunnel string) (int64, error) {
	return get(f, "BinCursor", func() (int64, error) { return f.next.BinCursor(ctx, bin, tunnel) })
}

// SetBinCursor implements [store.Bins].
func (f *Faulty) SetBinCursor(ctx context.Context, bin, tunnel string, seq int64) error {
	return f.do("SetBinCursor", func() error { return f.next.SetBinCursor(ctx, bin, tunnel, seq) })
}
