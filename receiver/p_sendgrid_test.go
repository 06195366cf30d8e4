package receiver

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"
)

func signSendGrid(m *message, secret string, at time.Time) {
	sum := sha256.Sum256([]byte(unix(at) + string(m.body)))
	signature := must(signerOf(secret).Sign(rand.Reader, sum[:], crypto.SHA256))
	m.header.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
	m.header.Set("X-Twilio-Email-Event-Webhook-Timestamp", unix(at))
}

func init() {
	c := testCase{
		provider: "sendgrid", sign: signSendGrid, tolerance: 25 * time.Hour,
		body:  `[{"email":"a@example.com","timestamp":1773500960,"event":"delivered","sg_event_id":"ZGVsaXZlcmVk","sg_message_id":"14c5"}]` + "\r\n",
		want:  Delivery{Type: "delivered", ID: "ZGVsaXZlcmVk", Subject: "a@example.com"},
		proof: []string{"X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"},
	}
	c.secret, c.second, c.wrong = ecdsaTexts(elliptic.P256(), true)
	several := c
	several.name = "several"
	several.body = `[{"email":"a@example.com","event":"processed","sg_event_id":"1"},{"email":"a@example.com","event":"open","sg_event_id":"2"}]`
	several.want = Delivery{Type: "batch", ID: batchID([]string{"1", "2"}), Subject: "a@example.com"}
	addCase(c, several)
}

// TestSendGridVector is the example of SendGrid's own library.
func TestSendGridVector(t *testing.T) {
	const (
		key  = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
		sig  = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
		at   = int64(1600112502)
		body = `[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]` + "\r\n"
	)
	m := message{method: "POST", url: "https://hooks.example.com/hook", header: map[string][]string{}, body: []byte(body)}
	m.header.Set("X-Twilio-Email-Event-Webhook-Signature", sig)
	m.header.Set("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502")
	d, err := Verify("sendgrid", []string{key}, m.request(), m.body, At(func() time.Time { return time.Unix(at, 0) }))
	if err != nil {
		t.Fatal(err)
	}
	if d.Type != "dropped" || d.Subject != "hello@world.com" {
		t.Errorf("delivery %+v", d)
	}
}
