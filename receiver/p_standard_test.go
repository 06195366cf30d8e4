package receiver

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/webhook"
)

const (
	whsecOne   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	whsecTwo   = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	whsecWrong = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// signStandard signs with the key that a secret stands for, under the standard names or Svix's.
func signStandard(prefix string, raw bool) func(*message, string, time.Time) {
	return func(m *message, secret string, at time.Time) {
		key := secret
		if !raw {
			decoded, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			if err != nil {
				panic(err)
			}
			key = string(decoded)
		}
		m.header.Set(prefix+"-id", "msg_1")
		m.header.Set(prefix+"-timestamp", unix(at))
		m.header.Set(prefix+"-signature", "v1,"+base256(key, "msg_1", ".", unix(at), ".", string(m.body)))
	}
}

func init() {
	at := time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)
	standard := testCase{
		provider: "standard", secret: whsecOne, second: whsecTwo, wrong: whsecWrong, tolerance: 5 * time.Minute,
		body: `{"type":"contact.created","timestamp":"2026-03-14T15:09:00Z","data":{"id":"c1"}}`,
		sign: signStandard("webhook", false), proof: []string{"webhook-id", "webhook-timestamp", "webhook-signature"},
		want: Delivery{Type: "contact.created", ID: "msg_1", Subject: "c1", Time: at},
	}
	cases := []testCase{standard}
	for _, p := range []struct {
		name, prefix string
		raw          bool
		body         string
		want         Delivery
	}{
		{"svix", "svix", false, `{"type":"invoice.paid","timestamp":"2026-03-14T15:09:00Z"}`, Delivery{Type: "invoice.paid", Time: at}},
		{"clerk", "svix", false, `{"type":"user.created","timestamp":1773500940000,"data":{"id":"user_1"}}`, Delivery{Type: "user.created", Subject: "user_1", Time: at}},
		{"resend", "svix", false, `{"type":"email.sent","created_at":"2026-03-14T15:09:00Z","data":{"email_id":"e1"}}`, Delivery{Type: "email.sent", Subject: "e1", Time: at}},
		{"openai", "webhook", false, `{"id":"evt_1","type":"response.completed","created_at":1773500940,"data":{"id":"resp_1"}}`, Delivery{Type: "response.completed", Subject: "resp_1", Time: at}},
		{"replicate", "webhook", false, `{"id":"p1","status":"succeeded","created_at":"2026-03-14T15:00:00Z","completed_at":"2026-03-14T15:09:00Z"}`, Delivery{Type: "succeeded", Subject: "p1", Time: at}},
		{"dodo", "webhook", false, `{"type":"payment.succeeded","timestamp":"2026-03-14T15:09:00Z","data":{"payment_id":"pay_1"}}`, Delivery{Type: "payment.succeeded", Subject: "pay_1", Time: at}},
		{"polar", "webhook", true, `{"type":"order.paid","timestamp":"2026-03-14T15:09:00Z","data":{"id":"o1"}}`, Delivery{Type: "order.paid", Subject: "o1", Time: at}},
		{"whop", "webhook", true, `{"action":"payment.succeeded","data":{"id":"pay_1"}}`, Delivery{Type: "payment.succeeded", Subject: "pay_1"}},
	} {
		c := standard
		c.provider, c.body, c.want, c.sign = p.name, p.body, p.want, signStandard(p.prefix, p.raw)
		c.want.ID = "msg_1"
		c.proof = []string{p.prefix + "-id", p.prefix + "-timestamp", p.prefix + "-signature"}
		if p.raw {
			c.secret, c.second, c.wrong = secretOne, "short", secretWrong
		}
		cases = append(cases, c)
	}
	addCase(cases...)

	gitlab := testCase{
		provider: "gitlab", header: map[string]string{"X-Gitlab-Event": "Push Hook", "Idempotency-Key": "k1"}, unsigned: true,
		body:  `{"object_kind":"push","project":{"path_with_namespace":"group/app"}}`,
		sign:  func(m *message, secret string, _ time.Time) { m.header.Set("X-Gitlab-Token", secret) },
		want:  Delivery{Type: "push", ID: "k1", Subject: "group/app"},
		proof: []string{"X-Gitlab-Token"},
	}
	signing := standard
	signing.provider, signing.name, signing.body, signing.want = "gitlab", "signing token", `{"event_name":"project_create","path_with_namespace":"g/a"}`, Delivery{Type: "project_create", ID: "msg_1", Subject: "g/a"}
	// Without the signature it is a request by token.
	signing.proof = []string{"webhook-id", "webhook-timestamp", "webhook-signature"}
	addCase(gitlab, signing)
}

// TestStandardVector is that of the specification, and the same for Ed25519.
func TestStandardVector(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/", body: []byte(`{"test": 2432232314}`), header: http.Header{
		"Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
	}}
	at := At(func() time.Time { return time.Unix(1614265330, 0) })
	for secret, signature := range map[string]string{
		whsecOne: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		"whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
	} {
		m.header["Webhook-Signature"] = []string{"v9,AAAA " + signature}
		for _, name := range []string{"standard", "svix"} {
			if _, err := Verify(name, []string{whsecTwo, secret}, m.request(), m.body, at); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := Verify(name, []string{whsecTwo}, m.request(), m.body, at); err == nil {
				t.Error("verified with another secret")
			}
		}
	}
}

// TestStandardKeys holds that keys of any length are used as HMAC uses them.
func TestStandardKeys(t *testing.T) {
	for _, size := range []int{1, 23, 24, 63, 64, 65, 200} {
		secret := strings.Repeat("k", size)
		c := testCase{provider: "polar", body: `{}`, sign: signStandard("webhook", true)}
		if _, err := c.verify(c.message(secret, now), []string{secret}, now); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		key, err := webhook.ParseKey(sized([]byte(secret)))
		if err != nil || key.Text() == "" {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	c := testCase{provider: "svix", body: `{}`, sign: signStandard("svix", false)}
	c.refused(t, c.message(whsecOne, now), []string{"not base64!"}, now, ErrWrongSecret)
	c.refused(t, c.message(whsecOne, now), []string{"whsec_="}, now, ErrWrongSecret)
}
