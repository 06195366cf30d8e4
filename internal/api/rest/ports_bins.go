package rest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// Bins keep requests as they arrived (package inspect). A bin is found by its ID or alias, everything in it by its ID.
// Updates take the revision seen by the caller, 0 for whichever is stored.
type Bins interface {
	// URL is where callers send to.
	URL(b *event.Bin) string
	// Create makes a bin of a tenant, 0: of nobody. Errors: KindInvalid, KindConflict.
	Create(ctx context.Context, tenant event.TenantID, b event.Bin) (event.Bin, error)
	// Bin returns a tenant's bin, of tenant 0 anybody's. Errors: KindNotFound, KindGone when it has expired.
	Bin(ctx context.Context, tenant event.TenantID, name string) (event.Bin, error)
	// Bins lists by ID; those that have expired are among them.
	Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error)
	Expired(b *event.Bin) bool
	Stats(ctx context.Context, id string) (event.BinStats, error)
	// Update replaces the configuration of the bin with this ID.
	Update(ctx context.Context, b event.Bin, revision int64) (event.Bin, error)
	Delete(ctx context.Context, id string, revision int64) error

	// Search lists captures that match a query; next is the Seq to go on after, 0 at the end.
	Search(ctx context.Context, q event.CaptureQuery, query string) (list []event.Capture, next int64, err error)
	// Capture returns one by its id, its number, or "latest" (KindNotFound).
	Capture(ctx context.Context, bin, ref string) (event.Capture, error)
	// Next returns captures with Seq > after, of which it waits for the first.
	Next(ctx context.Context, bin string, after int64, wait time.Duration) ([]event.Capture, error)
	// News returns what Next does, and what changed; seen is of the call before, -1 at the first.
	News(ctx context.Context, bin string, after, seen int64, wait time.Duration) (inspect.News, error)
	// Join counts one who watches; KindUnavailable when there are too many.
	Join(bin string) (leave func(), err error)
	Note(ctx context.Context, bin string, seq int64, note string) error
	DeleteCapture(ctx context.Context, bin string, seq int64) error
	DeleteMatching(ctx context.Context, q event.CaptureQuery, query string) (int, error)
	// Held reports whether a caller waits; Answer gives it its answer (KindInvalid, KindConflict when nobody waits).
	Held(bin string, seq int64) bool
	Answer(bin string, seq int64, a event.Answer) error
	// Replay sends a capture again. Errors: KindInvalid naming "url", KindUnavailable when there was no answer.
	Replay(ctx context.Context, c event.Capture, url string, keepPath bool) (event.Answer, time.Duration, error)
}
