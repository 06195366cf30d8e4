package store

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bins keeps captured requests. They are for looking at: a store may keep them apart from the log and the state, so that neither
// waits for them. What AddCapture acknowledged is as durable as anything else. A store whose captures were lost apart from the rest
// has none of the bins either: who needs one makes it again.
type Bins interface {
	// PutBin creates or changes a bin, by the rules of [Control]. IDs and aliases are unique together: an alias never names
	// another bin's ID (KindConflict, code "already_exists").
	PutBin(ctx context.Context, b event.Bin, revision int64) (event.Bin, error)
	// Bin returns a bin by its ID or alias (KindNotFound). One that has expired is returned until it is trimmed.
	Bin(ctx context.Context, name string) (event.Bin, error)
	// Bins lists by ID, after the given one, those of a tenant; of tenant 0 those of all tenants and of none.
	Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error)
	// CountBins counts a tenant's bins that had not expired at a time; of tenant 0 those of nobody.
	CountBins(ctx context.Context, tenant event.TenantID, now time.Time) (int, error)
	// BinStats returns a bin's figures (KindNotFound). Bytes is the sum of [CaptureSize].
	BinStats(ctx context.Context, id string) (event.BinStats, error)
	// DeleteBin deletes a bin; its captures are out of reach at once and are deleted by TrimCaptures.
	DeleteBin(ctx context.Context, id string, revision int64) error
	// DeleteTenantBins deletes the bins of a tenant as DeleteBin does. Deleting the tenant does not: bins may be kept apart.
	DeleteTenantBins(ctx context.Context, tenant event.TenantID) error

	// AddCapture keeps a request and gives its Seq. When the bin holds keep requests (0: [event.DefaultBinKept]) or more, so
	// many of the oldest go that it holds keep, or, with refuse, nothing is kept and the error is KindGone with the code
	// "bin_full". KindNotFound without the bin; KindConflict, code "already_exists", when the bin has a capture of this ID.
	// Captures are committed in groups. The slices of c must not be changed any more, also when the call ended early.
	AddCapture(ctx context.Context, c event.Capture, keep int, refuse bool) (event.Capture, error)
	// Capture returns one by its Seq (KindNotFound).
	Capture(ctx context.Context, bin string, seq int64) (event.Capture, error)
	// CaptureByID returns one by its ID (KindNotFound).
	CaptureByID(ctx context.Context, bin, id string) (event.Capture, error)
	// Captures lists in the order of Seq, or the newest first; none without the bin. A MaxBytes of 0 means 16 MiB.
	Captures(ctx context.Context, q event.CaptureQuery) ([]event.Capture, error)
	// NoteCapture sets the note of a capture (KindNotFound).
	NoteCapture(ctx context.Context, bin string, seq int64, note string) error
	// AnswerCapture sets what the caller got (KindNotFound).
	AnswerCapture(ctx context.Context, bin string, seq int64, a event.Answer) error
	// DeleteCaptures deletes those of the given numbers that there are, and returns how many.
	DeleteCaptures(ctx context.Context, bin string, seqs []int64) (int, error)
	// TrimCaptures deletes a small batch (at most limit): bins that expired before now, captures of deleted bins, captures
	// from before a time (zero: no limit by age), and, while all captures have more than maxBytes (0: no limit), the oldest;
	// of one time those that came first.
	// It returns how many bins and captures it deleted; fewer than limit means that it is done for now.
	TrimCaptures(ctx context.Context, now, before time.Time, maxBytes int64, limit int) (int, error)

	// BinCursor returns the last Seq that a tunnel got of a bin; 0 when it got none.
	BinCursor(ctx context.Context, bin, tunnel string) (int64, error)
	// SetBinCursor saves it, never lower than the saved one (KindNotFound without the bin).
	SetBinCursor(ctx context.Context, bin, tunnel string, seq int64) error
}

// captureOverhead is what a capture costs beside its parts, about, in bytes.
const captureOverhead = 200

// CaptureSize is what a capture counts for, in bytes: what it holds and what keeping it costs, about.
func CaptureSize(c *event.Capture) int64 {
	n := c.Size() + len(c.Note) + len(c.Refused) + len(c.Answer.Reason) + len(c.Answer.Body) + captureOverhead
	for _, h := range c.Answer.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return int64(n)
}
