package ingest

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// idSource makes UUIDs of version 7 (RFC 9562, section 5.7) that ascend within one publish: 48 bits of milliseconds, 12
// bits of the fraction of a millisecond (method 3 of section 6.2) and 62 random bits that are counted up by random steps
// (method 2). The bits come from the runtime's ChaCha8, which no two processes share: ids must be unique, not secret.
type idSource struct {
	time   uint64 // the first half, 0 before the first id
	random uint64 // 62 bits
}

func (s *idSource) next(now time.Time) string {
	if s.time == 0 {
		ns := max(now.UnixNano(), 1)
		ms := uint64(ns / int64(time.Millisecond))
		fraction := uint64(ns%int64(time.Millisecond)) << 12 / uint64(time.Millisecond)
		s.time = ms<<16 | 7<<12 | fraction
		// The top bit is left clear, so that a batch cannot count over the end.
		s.random = rand.Uint64() >> 3 //nolint:gosec // unique, not secret
	} else {
		s.random += 1 + rand.Uint64()>>32 //nolint:gosec // unique, not secret
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.time)
	binary.BigEndian.PutUint64(b[8:], s.random|1<<63)
	return formatUUID(&b)
}

const lowerHex = "0123456789abcdef"

func formatUUID(b *[16]byte) string {
	var text [36]byte
	at := 0
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = lowerHex[c>>4], lowerHex[c&15]
		at += 2
	}
	return string(text[:])
}
