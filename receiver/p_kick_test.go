package receiver

import (
	"crypto/rsa"
	"testing"
	"time"
)

func signKick(m *message, secret string, at time.Time) {
	key, _ := signerOf(secret).(*rsa.PrivateKey)
	const id = "01KKPQ5V2X3Y4Z5A6B7C8D9E0F"
	sent := at.UTC().Format(time.RFC3339)
	m.header.Set("Kick-Event-Message-Id", id)
	m.header.Set("Kick-Event-Message-Timestamp", sent)
	m.header.Set("Kick-Event-Signature", signRSA256(key, id+"."+sent+"."+string(m.body)))
	m.header.Set("Kick-Event-Type", "chat.message.sent")
}

func init() {
	c := testCase{
		provider: "kick", body: `{"message_id":"m1","broadcaster":{"user_id":123456789},"content":"Hello"}`, sign: signKick,
		want:      Delivery{Type: "chat.message.sent", ID: "01KKPQ5V2X3Y4Z5A6B7C8D9E0F", Subject: "123456789", Time: now},
		proof:     []string{"Kick-Event-Message-Id", "Kick-Event-Message-Timestamp", "Kick-Event-Signature"},
		tolerance: time.Hour,
	}
	c.secret, c.second, c.wrong = rsaTexts()
	own := c
	own.name = "own channel"
	own.settings = map[string]string{"broadcaster": "123456789"}
	addCase(c, own)
}

func TestKickKeys(t *testing.T) {
	if _, err := parsePublicKey(kickKey); err != nil {
		t.Errorf("the built-in key: %v", err)
	}
	one, _, _ := rsaTexts()
	c := testCase{provider: "kick", body: `{"broadcaster":{"user_id":1}}`, sign: signKick, settings: map[string]string{"broadcaster": "2"}}
	c.refused(t, c.message(one, now), []string{one}, now, ErrSignature)
	c.refused(t, c.message(one, now), nil, now, ErrSignature)
	c.refused(t, c.message(one, now), []string{"not a key"}, now, ErrWrongSecret)
}
