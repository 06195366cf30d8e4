package receiver

import (
	"net/http"
	"testing"
	"time"
)

func init() {
	addCase(
		testCase{
			provider: "bitbucket", header: map[string]string{"X-Event-Key": "repo:push", "X-Request-UUID": "1f2-3", "X-Hook-UUID": "9"},
			body: `{"repository":{"full_name":"team/repo"},"push":{}}`,
			sign: signBody("X-Hub-Signature", "sha256=", hex256), proof: []string{"X-Hub-Signature"},
			want: Delivery{Type: "repo:push", ID: "1f2-3", Subject: "team/repo"},
		},
		testCase{
			provider: "gitea", header: map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "f6266f16"},
			body: `{"repository":{"full_name":"a/b"}}`,
			sign: signBody("X-Gitea-Signature", "", hex256), proof: []string{"X-Gitea-Signature"},
			want: Delivery{Type: "push", ID: "f6266f16", Subject: "a/b"},
		},
		testCase{
			provider: "forgejo", header: map[string]string{"X-Forgejo-Event": "issues", "X-Forgejo-Delivery": "f6", "X-Gitea-Event": "issues", "X-Gitea-Delivery": "g7"},
			body: `{"repository":{"full_name":"a/b"}}`,
			sign: signBody("X-Forgejo-Signature", "", hex256), proof: []string{"X-Forgejo-Signature"},
			want: Delivery{Type: "issues", ID: "f6", Subject: "a/b"},
		},
		testCase{
			provider: "forgejo", name: "Gitea's header", header: map[string]string{"X-Gitea-Event": "issues", "X-Gitea-Delivery": "g7"},
			body: `{"repository":{"full_name":"a/b"}}`,
			sign: signBody("X-Gitea-Signature", "", hex256), proof: []string{"X-Gitea-Signature"},
			want: Delivery{Type: "issues", ID: "g7", Subject: "a/b"},
		},
		testCase{
			provider: "shopify",
			header:   map[string]string{"X-Shopify-Topic": "orders/create", "X-Shopify-Webhook-Id": "b54557e4", "X-Shopify-Triggered-At": "2026-03-14T15:09:00.123456789Z"},
			body:     `{"id":820982911946154508,"admin_graphql_api_id":"gid://shopify/Order/820982911946154508"}`,
			sign:     signBody("X-Shopify-Hmac-Sha256", "", base256), proof: []string{"X-Shopify-Hmac-Sha256"},
			want: Delivery{Type: "orders/create", ID: "b54557e4", Subject: "gid://shopify/Order/820982911946154508", Time: time.Date(2026, 3, 14, 15, 9, 0, 123456789, time.UTC)},
		},
		testCase{
			provider: "shopify", name: "new headers", header: map[string]string{"shopify-topic": "orders/create", "shopify-webhook-id": "b5"},
			body: `{"id":8209829}`,
			sign: signBody("shopify-hmac-sha256", "", base256), proof: []string{"Shopify-Hmac-Sha256"},
			want: Delivery{Type: "orders/create", ID: "b5", Subject: "8209829"},
		},
		testCase{
			provider: "intercom", body: `{"type":"notification_event","id":"notif_1","topic":"user.created","created_at":1773500960,"data":{"item":{"id":"i7"}}}`,
			sign: signBody("X-Hub-Signature", "sha1=", hex1), proof: []string{"X-Hub-Signature"},
			want: Delivery{Type: "user.created", ID: "notif_1", Subject: "i7", Time: time.Unix(1773500960, 0).UTC()},
		},
		testCase{
			provider: "pusher", body: `{"time_ms":1773500960123,"events":[{"name":"channel_occupied","channel":"test"}]}`,
			settings: map[string]string{"key": "278d425bdf160c739803"}, header: map[string]string{"X-Pusher-Key": "278d425bdf160c739803"},
			sign: signBody("X-Pusher-Signature", "", hex256), proof: []string{"X-Pusher-Signature"},
			want: Delivery{Type: "channel_occupied", Subject: "test", Time: time.UnixMilli(1773500960123).UTC()},
		},
		testCase{
			provider: "line", body: `{"destination":"x","events":[{"type":"message","webhookEventId":"01FZ","timestamp":1773500960123,"source":{"type":"user","userId":"U8"}}]}`,
			sign: signBody("X-Line-Signature", "", base256), proof: []string{"X-Line-Signature"},
			want: Delivery{Type: "message", ID: "01FZ", Subject: "U8", Time: time.UnixMilli(1773500960123).UTC()},
		},
		testCase{
			provider: "line", name: "two events", body: `{"events":[{"type":"follow","webhookEventId":"01"},{"type":"message","webhookEventId":"02"}]}`,
			sign: signBody("X-Line-Signature", "", base256), proof: []string{"X-Line-Signature"},
			want: Delivery{Type: "follow"},
		},
		testCase{
			provider: "dropbox", body: `{"list_folder":{"accounts":["dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"]},"delta":{"users":[12345678]}}`,
			sign: signBody("X-Dropbox-Signature", "", hex256), proof: []string{"X-Dropbox-Signature"},
			want: Delivery{Type: "change", Subject: "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"},
		},
		testCase{
			provider: "woocommerce", header: map[string]string{"X-WC-Webhook-Topic": "order.created", "X-WC-Webhook-Delivery-ID": "d1"},
			body: `{"id":727}`, sign: signBody("X-WC-Webhook-Signature", "", base256), proof: []string{"X-WC-Webhook-Signature"},
			want: Delivery{Type: "order.created", ID: "d1", Subject: "727"},
		},
		testCase{
			provider: "fourthwall", body: `{"id":"weve_1","type":"ORDER_PLACED","createdAt":"2026-03-14T15:09:00Z","data":{"id":"o1"}}`,
			sign: signBody("X-Fourthwall-Hmac-SHA256", "", base256), proof: []string{"X-Fourthwall-Hmac-SHA256"},
			want: Delivery{Type: "ORDER_PLACED", ID: "weve_1", Subject: "o1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "razorpay", header: map[string]string{"x-razorpay-event-id": "ev9"},
			body: `{"entity":"event","event":"payment.captured","created_at":1773500960,"payload":{"payment":{"entity":{"id":"pay_1"}}}}`,
			sign: signBody("X-Razorpay-Signature", "", hex256), proof: []string{"X-Razorpay-Signature"},
			want: Delivery{Type: "payment.captured", ID: "ev9", Subject: "pay_1", Time: time.Unix(1773500960, 0).UTC()},
		},
		testCase{
			provider: "lemonsqueezy", header: map[string]string{"X-Event-Name": "order_created"}, body: `{"meta":{"event_name":"order_created"},"data":{"id":"1"}}`,
			sign: signBody("X-Signature", "", hex256), proof: []string{"X-Signature"},
			want: Delivery{Type: "order_created", Subject: "1"},
		},
		testCase{
			provider: "vercel", body: `{"id":"uev_1","type":"deployment.created","createdAt":1773500960123,"payload":{"deployment":{"id":"dpl_1"}}}`,
			sign: signBody("x-vercel-signature", "", hex1), proof: []string{"X-Vercel-Signature"},
			want: Delivery{Type: "deployment.created", ID: "uev_1", Subject: "dpl_1", Time: time.UnixMilli(1773500960123).UTC()},
		},
		testCase{
			provider: "heroku", body: `{"id":"w1","action":"create","resource":"build","published_at":"2026-03-14T15:09:00Z","data":{"app":{"name":"example"}},"webhook_metadata":{"event":{"id":"e1"}}}`,
			sign: signBody("Heroku-Webhook-Hmac-SHA256", "", base256), proof: []string{"Heroku-Webhook-Hmac-SHA256"},
			want: Delivery{Type: "build:create", ID: "e1", Subject: "example", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "calcom", body: `{"triggerEvent":"BOOKING_CREATED","createdAt":"2026-03-14T15:09:00.000Z","payload":{"uid":"u1"}}`,
			sign: signBody("X-Cal-Signature-256", "", hex256), proof: []string{"X-Cal-Signature-256"},
			want: Delivery{Type: "BOOKING_CREATED", Subject: "u1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "sentry", header: map[string]string{"Sentry-Hook-Resource": "issue", "Request-ID": "r1", "Sentry-Hook-Timestamp": "1773500960"},
			body: `{"action":"created","data":{"issue":{"id":"117"}}}`,
			sign: signBody("sentry-hook-signature", "", hex256), proof: []string{"Sentry-Hook-Signature"},
			want: Delivery{Type: "issue.created", ID: "r1", Subject: "117", Time: time.Unix(1773500960, 0).UTC()},
		},
		testCase{
			provider: "hookdeck", header: map[string]string{"X-Hookdeck-EventID": "evt_1", "X-Hookdeck-Source-Name": "shop"}, body: `{"type":"a.b"}`,
			sign: signBody("x-hookdeck-signature", "", base256), proof: []string{"X-Hookdeck-Signature"},
			want: Delivery{Type: "a.b", ID: "evt_1", Subject: "shop"},
		},
		testCase{
			provider: "hookdeck", name: "second signature", header: map[string]string{"X-Hookdeck-EventID": "evt_1"}, body: `{"type":"a.b"}`,
			sign: func(m *message, secret string, _ time.Time) {
				m.header.Set("X-Hookdeck-Signature", base256("an old secret", string(m.body)))
				m.header.Set("X-Hookdeck-Signature-2", base256(secret, string(m.body)))
			},
			want: Delivery{Type: "a.b", ID: "evt_1"},
		},
	)

	addHandshake(
		handshakeCase{provider: "intercom", name: "HEAD", method: http.MethodHead},
		handshakeCase{provider: "line", name: "verify", secrets: []string{secretOne}, body: `{"destination":"x","events":[]}`, sign: signBody("X-Line-Signature", "", base256)},
		handshakeCase{
			provider: "line", name: "verify, not signed", secrets: []string{secretOne}, body: `{"destination":"x","events":[]}`,
			header: map[string]string{"X-Line-Signature": "AAAA"}, err: ErrSignature,
		},
		handshakeCase{provider: "line", name: "event", secrets: []string{secretOne}, body: `{"destination":"x","events":[{}]}`, none: true},
		handshakeCase{
			provider: "dropbox", name: "challenge", method: http.MethodGet, url: "https://hooks.example.com/hook?challenge=%3Cscript%3Ealert(1)%3C/script%3E",
			want: "<script>alert(1)</script>", headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"},
		},
		handshakeCase{provider: "dropbox", name: "no challenge", method: http.MethodGet, err: ErrMalformed},
		handshakeCase{provider: "dropbox", name: "huge challenge", method: http.MethodGet, url: "https://hooks.example.com/hook?challenge=" + long(maxChallenge+1), err: ErrMalformed},
		handshakeCase{provider: "dropbox", name: "event", body: `{}`, none: true},
		handshakeCase{provider: "woocommerce", name: "ping", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "webhook_id=42"},
		handshakeCase{provider: "woocommerce", name: "more than a ping", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "webhook_id=42&id=7", none: true},
		handshakeCase{provider: "woocommerce", name: "not a number", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "webhook_id=x", none: true},
		handshakeCase{provider: "github", name: "none at all", method: http.MethodGet, none: true},
	)
}

func long(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = 'a'
	}
	return string(text)
}

// TestLineVector is the example of LINE's documentation of a body with Unicode and escapes in it.
func TestLineVector(t *testing.T) {
	const (
		secret    = "8c570fa6dd201bb328f1c1eac23a96d8"
		body      = `{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}`
		signature = "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="
	)
	m := message{method: "POST", url: "https://hooks.example.com/hook", header: http.Header{"X-Line-Signature": {signature}}, body: []byte(body)}
	if _, err := Verify("line", []string{secret}, m.request(), m.body); err != nil {
		t.Error(err)
	}
}

func TestPusherOfAnotherApp(t *testing.T) {
	m := message{method: "POST", url: "https://hooks.example.com/hook", header: http.Header{"X-Pusher-Key": {"other"}}, body: []byte(`{}`)}
	signBody("X-Pusher-Signature", "", hex256)(&m, secretOne, now)
	c := testCase{provider: "pusher", settings: map[string]string{"key": "278d425bdf160c739803"}}
	c.refused(t, m, []string{secretOne}, now, ErrSignature)
}
