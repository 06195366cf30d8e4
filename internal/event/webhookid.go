package event

import (
	"crypto/sha256"
	"encoding/base64"
)

// maxWebhookID is the longest webhook-id, in bytes (package webhook, MaxID).
const maxWebhookID = 256

const upperHex = "0123456789ABCDEF"

// WebhookID returns the webhook-id under which the event with an id is sent. A CloudEvents id may hold anything; a
// webhook-id goes into a header and is signed as id "." timestamp "." body, so it must be printable ASCII without dots
// (Standard Webhooks 1.0.0, "Signature scheme"). An id that is so already, without '~', stays as it is: every UUID does.
// Other bytes are written as '~' and two hexadecimal digits, and an id that would then be longer than 256 bytes as "~~"
// and its SHA-256 in base64url. Different ids never get the same webhook-id.
func WebhookID(id string) string {
	n := len(id)
	for i := range len(id) {
		if !isWebhookIDByte(id[i]) {
			n += 2
		}
	}
	if n == len(id) && n <= maxWebhookID {
		return id
	}
	if n > maxWebhookID {
		sum := sha256.Sum256([]byte(id))
		return "~~" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	b := make([]byte, 0, n)
	for i := range len(id) {
		if c := id[i]; isWebhookIDByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '~', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

func isWebhookIDByte(c byte) bool { return c > ' ' && c < 0x7f && c != '.' && c != '~' }
