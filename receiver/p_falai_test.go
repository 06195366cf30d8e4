package receiver

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"
)

func falSigner(n byte) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte{n})
	return ed25519.NewKeyFromSeed(seed[:])
}

func signFal(key ed25519.PrivateKey) func(*message, string, time.Time) {
	return func(m *message, _ string, at time.Time) {
		sum := sha256.Sum256(m.body)
		m.header.Set("X-Fal-Webhook-Request-Id", "5057fca7")
		m.header.Set("X-Fal-Webhook-User-Id", "github|12345")
		m.header.Set("X-Fal-Webhook-Timestamp", unix(at))
		m.header.Set("X-Fal-Webhook-Signature", hex.EncodeToString(ed25519.Sign(key, []byte("5057fca7\ngithub|12345\n"+unix(at)+"\n"+hex.EncodeToString(sum[:])))))
	}
}

func falPages() *pages {
	return &pages{at: map[string]string{falKeys.url: keySet(map[string]crypto.PublicKey{"a": falSigner(1).Public(), "b": falSigner(2).Public()})}}
}

func init() {
	c := testCase{
		provider: "falai", noSecret: true, settings: map[string]string{"user_id": "github|12345"}, opts: []Option{Fetch(falPages())},
		body: `{"request_id":"5057fca7","status":"OK","payload":{}}`, sign: signFal(falSigner(2)),
		want:      Delivery{Type: "ok", ID: "5057fca7", Subject: "5057fca7", Time: now},
		proof:     []string{"X-Fal-Webhook-Request-Id", "X-Fal-Webhook-User-Id", "X-Fal-Webhook-Timestamp", "X-Fal-Webhook-Signature"},
		tolerance: 5 * time.Minute,
	}
	addCase(c)
}

func TestFalRefuses(t *testing.T) {
	c := testCase{provider: "falai", settings: map[string]string{"user_id": "github|12345"}, opts: []Option{Fetch(falPages())}, body: "{}"}
	c.sign = signFal(falSigner(3))
	c.refused(t, c.message("", now), nil, now, ErrSignature)
	c.sign = signFal(falSigner(1))
	c.settings = map[string]string{"user_id": "github|1"}
	c.refused(t, c.message("", now), nil, now, ErrSignature)
	c.settings = nil
	c.refused(t, c.message("", now), nil, now, ErrSetting)
	c.settings = map[string]string{"user_id": "github|12345"}
	c.opts = []Option{Fetch(&pages{at: map[string]string{falKeys.url: "<html>"}})}
	c.refused(t, c.message("", now), nil, now, ErrFetch)
}
