package receiver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

func init() {
	register(provider{
		Info: Info{
			Name: "x", Title: "X (Twitter)", Aliases: []string{"twitter"}, Secret: "the app's consumer secret (API secret key)", Handshakes: []string{http.MethodGet},
			Event: "type is the name of the list of events, such as tweet_create_events, subject for_user_id; there is no delivery id",
		},
		verify:    verifyX,
		describe:  describe(typeOfX, nil, field("for_user_id"), nil),
		handshake: handshakeX,
	})
}

// verifyX takes JSON objects only: a CRC token is signed for whoever asks, in the same way, and is none.
func verifyX(r *request) error {
	if err := bodyHMAC("X-Twitter-Webhooks-Signature", "sha256=", sha256Base64)(r); err != nil {
		return err
	}
	if !bytes.HasPrefix(r.body, []byte("{")) {
		return fail(CodeMalformed, "the body is not a JSON object")
	}
	return nil
}

// typeOfX is the member of the body that ends with _events, or _event.
func typeOfX(r *request) string {
	for _, name := range r.names() {
		if strings.HasSuffix(name, "_events") || strings.HasSuffix(name, "_event") {
			return name
		}
	}
	return ""
}

// handshakeX answers the check by a CRC token, which X makes every hour and does not sign.
func handshakeX(r *request) (*Answer, *Learned, error) {
	if r.http.Method != http.MethodGet {
		return nil, nil, nil
	}
	token, err := r.param("crc_token")
	if err != nil {
		return nil, nil, err
	}
	// Events are signed in the same way with the same key. If any text were answered, whoever asks could have his own event
	// signed here: so only what is no JSON object is answered, and only JSON objects are events.
	if !isToken(token) {
		return nil, nil, fail(CodeRefused, "the crc_token is not a token")
	}
	if len(r.secrets) == 0 {
		return nil, nil, fail(CodeNoSecret, "no secret is set")
	}
	m := hmac.New(sha256.New, []byte(r.secrets[0]))
	m.Write([]byte(token))
	return reply(map[string]any{"response_token": "sha256=" + base64.StdEncoding.EncodeToString(m.Sum(nil))})
}

// isToken reports whether a text is letters, digits and the other characters of base64 and UUIDs.
func isToken(text string) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("-_.=+/", c) {
			return false
		}
	}
	return text != "" && len(text) <= maxChallenge
}
