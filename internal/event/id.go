package event

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// alphabet is Crockford's base 32 in lower case: no i, l, o, u.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const idLength = 13

func encodeID(prefix string, n int64) string {
	var b [idLength]byte
	u := uint64(n)
	for i := idLength - 1; i >= 0; i-- {
		b[i] = alphabet[u&31]
		u >>= 5
	}
	return prefix + string(b[:])
}

func decodeID(prefix, s string) (int64, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != idLength || rest[0] > '7' {
		return 0, false
	}
	var u uint64
	for i := range idLength {
		k := strings.IndexByte(alphabet, rest[i])
		if k < 0 {
			return 0, false
		}
		u = u<<5 | uint64(k)
	}
	return int64(u), u > 0
}

// randomID returns 62 random bits, never 0.
func randomID() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return int64(binary.BigEndian.Uint64(b[:])>>2) | 1<<40
}

// NewEndpointID returns a random endpoint id.
func NewEndpointID() EndpointID { return EndpointID(randomID()) }

// String returns the public form, "ep_" and 13 characters.
func (id EndpointID) String() string { return encodeID("ep_", int64(id)) }

// ParseEndpointID reads the public form.
func ParseEndpointID(s string) (EndpointID, bool) {
	n, ok := decodeID("ep_", s)
	return EndpointID(n), ok
}

// NewAPIKeyID returns a random API key id.
func NewAPIKeyID() int64 { return randomID() }

// FormatAPIKeyID returns the public form, "key_" and 13 characters.
func FormatAPIKeyID(n int64) string { return encodeID("key_", n) }

// ParseAPIKeyID reads the public form of an API key's id.
func ParseAPIKeyID(s string) (int64, bool) { return decodeID("key_", s) }

// AttemptID returns the public form of an attempt's id, "att_" and 13 characters.
func AttemptID(n int64) string { return encodeID("att_", n) }

// FormatReplayID returns the public form of a replay's id, "rpl_" and 13 characters.
func FormatReplayID(n int64) string { return encodeID("rpl_", n) }

// ParseReplayID reads the public form of a replay's id.
func ParseReplayID(s string) (int64, bool) { return decodeID("rpl_", s) }

// NewReplayID returns a random replay id.
func NewReplayID() int64 { return randomID() }

// WebhookID is the event's webhook-id header; see the function [WebhookID].
func (e *Event) WebhookID() string { return WebhookID(e.ID) }
