package event

import "time"

// Limits of bins.
const (
	// MaxBinKept is the most requests that a bin keeps; DefaultBinKept is how many it keeps when it was not told.
	MaxBinKept     = 10_000
	DefaultBinKept = 500
	// MaxBinAge is how long a bin may live, DefaultBinAge how long when it was not told.
	MaxBinAge     = 365 * 24 * time.Hour
	DefaultBinAge = 7 * 24 * time.Hour
	// MaxBinDelay and MaxBinHold bound how long a caller waits.
	MaxBinDelay = 30 * time.Second
	MaxBinHold  = 60 * time.Second
	// MaxBinAnswer is the largest body of a set answer, in bytes.
	MaxBinAnswer = 1 << 20
	// MaxNote is the longest note, in bytes.
	MaxNote = 4 << 10
)

// Bin is a URL that captures what is sent to it. It is immutable once read from a store.
type Bin struct {
	// ID is a random UUID: who knows it can send.
	ID string
	// Tenant owns the bin; 0: only admin keys see it.
	Tenant TenantID
	// Alias is another name for it in URLs, unique in the store, [A-Za-z0-9_-]{3,128}; or empty.
	Alias       string
	Description string
	// Answer is what callers get; a zero Status means 200. It is given after Delay.
	Answer Answer
	Delay  time.Duration
	// Hold is how long a caller waits for a client to give its answer, before it gets Answer; 0: it does not.
	Hold time.Duration
	// CORS lets pages of any origin send.
	CORS bool
	// Keep is how many requests are kept. Refuse says what happens to one more: it is refused (410), or the oldest goes.
	Keep   int
	Refuse bool
	// Expires is when the bin goes, with what is in it; zero: never.
	Expires time.Time
	// Tunnel, when not empty, is the name of the tunnel to which requests are forwarded.
	Tunnel   string
	Metadata map[string]string
	Created  time.Time
	Updated  time.Time
	Revision int64 // counts changes, the source of the ETag
}

// Capture is a request in a bin. It is immutable once read from a store.
type Capture struct {
	// Bin is the bin's ID, Seq the capture's number in it: ascending from 1, never given twice.
	Bin string
	Seq int64
	// ID is a random UUID.
	ID string
	At time.Time
	Request
	// Note is what people wrote about it.
	Note string
	// Refused says why the source whose bin this is refused the request; empty: it did not.
	Refused string
	// Answer is what the caller got; its Body is kept to MaxAnswerKept bytes. A zero Status: nothing yet.
	Answer Answer
}

// CaptureQuery asks for captures of a bin.
type CaptureQuery struct {
	Bin string
	// After and Before bound Seq, exclusively; 0: no bound.
	After, Before int64
	// Newest begins with the newest.
	Newest bool
	// Since (inclusive) and Until (exclusive) bound At; zero: no bound.
	Since, Until time.Time
	// Limit is at most 1,000; about MaxBytes are read, at least one capture.
	Limit, MaxBytes int
}

// BinStats are figures about a bin.
type BinStats struct {
	Requests, Bytes int64
	// Last is the last Seq given, and Newest when; zero when there was none.
	Last   int64
	Newest time.Time
}
