// Package webhook signs and verifies webhooks by the Standard Webhooks specification 1.0.0
// (https://www.standardwebhooks.com): v1 is HMAC-SHA256, v1a is Ed25519. It needs the standard library only.
//
// A sender gives its [Key] values to a [Signer], which makes the three headers webhook-id, webhook-timestamp and
// webhook-signature of a message. A receiver gives its keys to a [Verifier], which checks those headers against the
// body exactly as it arrived. What is signed is
//
//	id "." timestamp "." body
//
// so neither the id nor the timestamp may hold a dot. To rotate a secret, sign with the old and the new key for as
// long as receivers need to change over: any one matching signature is enough for them.
//
// A valid signature does not say that a message is new. The id stays the same on every retry of a message: keep the
// ids seen during the tolerance, at least, and drop repeats.
package webhook

// Header names, as the specification writes them; [net/http.Header.Set] and [net/http.Header.Get] accept any case.
const (
	HeaderID        = "webhook-id"        // the message's id, the same on every retry
	HeaderTimestamp = "webhook-timestamp" // Unix seconds of this attempt
	HeaderSignature = "webhook-signature" // signatures, separated by spaces
)

// The header names as [net/http.Header] keeps them.
const (
	canonicalID        = "Webhook-Id"
	canonicalTimestamp = "Webhook-Timestamp"
	canonicalSignature = "Webhook-Signature"
)

// Limits of what is signed and verified. They bound the work that a forged request can cause.
const (
	// MaxID is the longest message id, in bytes.
	MaxID = 256
	// MaxSignatures is the most signatures in a header, unknown versions included.
	MaxSignatures = 16
	// MaxSignatureHeader is the longest webhook-signature header, in bytes.
	MaxSignatureHeader = 4096
	// MaxKeys is the most keys of one [Signer] or [Verifier].
	MaxKeys = 8
)

const (
	versionHMAC    = "v1,"
	versionEd25519 = "v1a,"
	// maxTimestamp is the last second of the year 9999, so that a timestamp has at most 12 digits.
	maxTimestamp = 253402300799
)

// checkID reports whether an id may be signed: printable ASCII, without the dot that separates the signed parts.
func checkID(id string) bool {
	if id == "" || len(id) > MaxID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '.' {
			return false
		}
	}
	return true
}
