package receiver

import (
	"crypto/rsa"
	"errors"
	"net/http"
	"testing"
	"time"
)

func init() {
	c := testCase{
		provider: "wise", header: map[string]string{"X-Delivery-Id": "c1a0f4a5"},
		body: `{"data":{"resource":{"type":"transfer","id":111},"occurred_at":"2026-03-14T15:00:00Z"},"subscription_id":"01234567-89ab","event_type":"transfers#state-change","sent_at":"2026-03-14T15:09:00Z"}`,
		sign: func(m *message, secret string, _ time.Time) {
			key, _ := signerOf(secret).(*rsa.PrivateKey)
			m.header.Set("X-Signature-Sha256", signRSA256(key, string(m.body)))
		},
		want:  Delivery{Type: "transfers#state-change", ID: "c1a0f4a5", Subject: "111", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		proof: []string{"X-Signature-Sha256"},
	}
	c.secret, c.second, c.wrong = rsaTexts()
	own := c
	own.name, own.settings = "own subscriptions", map[string]string{"subscriptions": "76543210-89ab 01234567-89ab"}
	addCase(c, own)
}

// TestWiseSubscriptions has events of another customer's, which Wise signs with the same key.
func TestWiseSubscriptions(t *testing.T) {
	for _, body := range []string{`{"subscription_id":"01234567","event_type":"x"}`, `{"event_type":"x"}`, `{"subscription_id":null}`, "x"} {
		m := message{method: "POST", url: "https://hooks.example.com/hook", header: http.Header{}, body: []byte(body)}
		secret, _, _ := rsaTexts()
		key, _ := signerOf(secret).(*rsa.PrivateKey)
		m.header.Set("X-Signature-Sha256", signRSA256(key, body))
		if _, err := Verify("wise", []string{secret}, m.request(), m.body); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify("wise", []string{secret}, m.request(), m.body, Setting("subscriptions", "01234567-89ab")); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: error %v", body, err)
		}
	}
}
