package queue

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// FuzzReceipt holds that only what encode makes for a queue is read, and as what it was.
func FuzzReceipt(f *testing.F) {
	f.Add("", int64(1), int64(1), int64(1))
	f.Add(receipt{version: 7, lease: 9}.encode(3), int64(3), int64(7), int64(9))
	f.Add("AAAAAAAAAAEAAAAAAAAAASG3dNKJjoBR", int64(1)<<61, int64(1)<<62, int64(1))
	f.Fuzz(func(t *testing.T, s string, queue, version, lease int64) {
		q := event.QueueID(queue)
		if r, ok := parseReceipt(q, s); ok && r.encode(q) != s {
			t.Fatalf("%q is read as %+v, which is written %q", s, r, r.encode(q))
		}
		if version <= 0 || lease <= 0 {
			return
		}
		r := receipt{version: version, lease: lease}
		if got, ok := parseReceipt(q, r.encode(q)); !ok || got != r {
			t.Fatalf("%+v is read as %+v", r, got)
		}
		if _, ok := parseReceipt(q+1, r.encode(q)); ok {
			t.Fatal("a receipt is good for another queue")
		}
	})
}
