package queue

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// receiptSize is the bytes of a receipt before it is written in base 64: version, lease number and a check.
const receiptSize = 3 * 8

// receipt names one lease of one event.
type receipt struct{ version, lease int64 }

// seal is a check that a receipt is of a queue. It guards against mistakes, not against forgery: whoever may use the
// queue may settle its leases.
func (r receipt) seal(q event.QueueID) uint64 {
	var b [receiptSize]byte
	binary.BigEndian.PutUint64(b[0:], uint64(r.version))
	binary.BigEndian.PutUint64(b[8:], uint64(r.lease))
	binary.BigEndian.PutUint64(b[16:], uint64(q))
	return xxhash.Sum64(b[:])
}

func (r receipt) encode(q event.QueueID) string {
	var b [receiptSize]byte
	binary.BigEndian.PutUint64(b[0:], uint64(r.version))
	binary.BigEndian.PutUint64(b[8:], uint64(r.lease))
	binary.BigEndian.PutUint64(b[16:], r.seal(q))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// parseReceipt reads a receipt of a queue; ok is false for anything else.
func parseReceipt(q event.QueueID, s string) (r receipt, ok bool) {
	var b [receiptSize]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(receiptSize) {
		return receipt{}, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != receiptSize {
		return receipt{}, false
	}
	r = receipt{version: int64(binary.BigEndian.Uint64(b[0:])), lease: int64(binary.BigEndian.Uint64(b[8:]))}
	if r.version <= 0 || r.lease <= 0 || binary.BigEndian.Uint64(b[16:]) != r.seal(q) {
		return receipt{}, false
	}
	return r, true
}
