package receiver

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "discord", Title: "Discord",
			Secret:     "the application's public key (hex)",
			Event:      "type from event.type, or the interaction's kind; id of the interaction; subject is the server's or user's id",
			Handshakes: []string{"POST"},
		},
		// Discord tries events again for ten minutes.
		tolerance: 15 * time.Minute,
		verify:    verifyDiscord,
		describe: describe(first(field("event", "type"), discordKind), field("id"),
			first(field("guild_id"), field("event", "data", "guild", "id"), field("event", "data", "user", "id"), field("user", "id")),
			rfc3339(field("event", "timestamp"))),
		handshake: handshakeDiscord,
	})
}

func verifyDiscord(r *request) error {
	text, err := r.header("X-Signature-Ed25519")
	if err != nil {
		return err
	}
	stamp, err := r.header("X-Signature-Timestamp")
	if err != nil {
		return err
	}
	signature, err := hex.DecodeString(text)
	if err != nil {
		return fail(CodeSignature, "the signature is not hex")
	}
	message := append([]byte(stamp), r.body...)
	readable := false
	if err := r.anySecret(func(secret string) bool {
		key, err := hex.DecodeString(secret)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return false
		}
		readable = true
		return ed25519.Verify(key, message, signature)
	}); err != nil {
		if !readable && len(r.secrets) > 0 {
			return fail(CodeWrongSecret, "the secret is not a public key of 64 hex digits")
		}
		return err
	}
	return r.fresh(stamp, time.Second)
}

// handshakeDiscord answers the pings of interactions (type 1 without an event) and of events (type 0).
func handshakeDiscord(r *request) (*Answer, *Learned, error) {
	kind, _ := r.raw("type")
	_, event := r.raw("event")
	interaction := string(kind) == "1" && !event
	if !interaction && string(kind) != "0" {
		return nil, nil, nil
	}
	// Discord sends requests with a wrong signature to see whether they are refused.
	if err := verifyDiscord(r); err != nil {
		return nil, nil, err
	}
	if interaction {
		return reply(map[string]any{"type": 1})
	}
	return &Answer{Status: http.StatusNoContent}, nil, nil
}

func discordKind(r *request) string {
	return map[string]string{
		"2": "application_command", "3": "message_component", "4": "application_command_autocomplete", "5": "modal_submit",
	}[r.text("type")]
}
