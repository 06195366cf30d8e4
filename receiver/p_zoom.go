package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "zoom", Title: "Zoom", Secret: "the app's webhook secret token", Handshakes: []string{http.MethodPost},
			Event: "type is the event, subject the object's id, time event_ts; there is no delivery id",
		},
		verify:    verifyZoom,
		describe:  describe(field("event"), nil, field("payload", "object", "id"), millis(field("event_ts"))),
		handshake: handshakeZoom,
	})
}

func verifyZoom(r *request) error {
	return r.headersHMAC("X-Zm-Signature", "v0=", "X-Zm-Request-Timestamp", time.Second, sha256Hex,
		func(at string) []byte { return []byte("v0:" + at + ":") })
}

// handshakeZoom answers endpoint.url_validation, which Zoom signs like its events and sends every 72 hours.
func handshakeZoom(r *request) (*Answer, *Learned, error) {
	if r.text("event") != "endpoint.url_validation" {
		return nil, nil, nil
	}
	if err := verifyZoom(r); err != nil {
		return nil, nil, err
	}
	token := r.text("payload", "plainToken")
	if !printable(token) {
		return nil, nil, fail(CodeMalformed, "the plainToken is missing, too long, or not plain text")
	}
	// During a rotation, answer with the secret that the question was signed with.
	m := hmac.New(sha256.New, []byte(r.matched))
	m.Write([]byte(token))
	return reply(map[string]any{"plainToken": token, "encryptedToken": hex.EncodeToString(m.Sum(nil))})
}
