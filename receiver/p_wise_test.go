package receiver

import (
	"crypto/rsa"
	"time"
)

func init() {
	c := testCase{
		provider: "wise", header: map[string]string{"X-Delivery-Id": "c1a0f4a5"},
		body: `{"data":{"resource":{"type":"transfer","id":111},"occurred_at":"2026-03-14T15:00:00Z"},"event_type":"transfers#state-change","sent_at":"2026-03-14T15:09:00Z"}`,
		sign: func(m *message, secret string, _ time.Time) {
			key, _ := signerOf(secret).(*rsa.PrivateKey)
			m.header.Set("X-Signature-Sha256", signRSA256(key, string(m.body)))
		},
		want:  Delivery{Type: "transfers#state-change", ID: "c1a0f4a5", Subject: "111", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		proof: []string{"X-Signature-Sha256"},
	}
	c.secret, c.second, c.wrong = rsaTexts()
	addCase(c)
}
