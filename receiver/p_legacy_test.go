package receiver

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func init() {
	github := testCase{
		provider: "github-sha1", header: map[string]string{"X-Github-Event": "push", "X-Github-Delivery": "72d3"},
		body: `{"repository":{"full_name":"octo/hello"}}`, sign: signBody("X-Hub-Signature", "sha1=", hex1),
		want: Delivery{Type: "push", ID: "72d3", Subject: "octo/hello"}, proof: []string{"X-Hub-Signature"},
	}
	instagram := testCase{
		provider: "instagram-sha1", body: `[{"object":"user","object_id":"1234","time":1773500966,"subscription_id":1}]`,
		sign: signBody("X-Hub-Signature", "", hex1), proof: []string{"X-Hub-Signature"},
		want: Delivery{Type: "user", Subject: "1234", Time: time.Unix(1773500966, 0).UTC()},
	}
	slack := testCase{
		provider: "slack-token", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, unsigned: true, marks: []string{secretOne},
		sign: func(m *message, secret string, _ time.Time) {
			m.body = []byte("token=" + url.QueryEscape(secret) + "&channel_id=C7&timestamp=1773500966.000001&text=hi+there&trigger_word=hi")
		},
		want: Delivery{Type: "hi", ID: "1773500966.000001", Subject: "C7"},
	}
	stripe := testCase{
		provider: "stripe-untimed", body: `{"id":"evt_1","created":1773500960,"type":"charge.failed","data":{"object":{"id":"ch_9"}}}`,
		sign: func(m *message, secret string, _ time.Time) { // Signed in 2015.
			m.header.Set("Stripe-Signature", "t=1420070400,v1="+hex256(secret, "1420070400.", string(m.body)))
		},
		want: Delivery{Type: "charge.failed", ID: "evt_1", Subject: "ch_9", Time: time.Unix(1773500960, 0).UTC()}, proof: []string{"Stripe-Signature"},
	}
	pusher := testCase{
		provider: "pusher-keys", secret: "other_0000; 47bd0a_" + secretOne, second: "47bd0a_" + secretTwo, wrong: "47bd0a_" + secretWrong,
		body: `{"time_ms":1773500966123,"events":[{"name":"channel_occupied","channel":"my-channel"}]}`,
		sign: func(m *message, secret string, _ time.Time) {
			_, value, _ := strings.Cut(secret, "47bd0a_")
			m.header.Set("X-Pusher-Key", "47bd0a")
			m.header.Set("X-Pusher-Signature", hex256(value, string(m.body)))
		},
		want: Delivery{Type: "channel_occupied", Subject: "my-channel", Time: time.UnixMilli(1773500966123).UTC()}, proof: []string{"X-Pusher-Key", "X-Pusher-Signature"},
	}
	addCase(github, instagram, slack, stripe, pusher)

	ping := handshakeCase{
		provider: "github-sha1", name: "ping", secrets: []string{secretOne}, header: map[string]string{"X-Github-Event": "ping"},
		body: `{"zen":"Design for failure."}`, sign: github.sign,
	}
	unsigned, push := ping, ping
	unsigned.name, unsigned.sign, unsigned.err = "unsigned", nil, ErrMissing
	push.name, push.header, push.none = "event", github.header, true
	test := handshakeCase{
		provider: "stripe-untimed", name: "test event", secrets: []string{secretOne}, body: `{"id":"evt_00000000000000","type":"charge.failed"}`, sign: stripe.sign,
	}
	challenge := handshakeCase{
		provider: "instagram-sha1", name: "challenge", method: "GET", secrets: []string{secretOne}, settings: map[string]string{"verify_token": "t0ken"},
		url:  "https://hooks.example.com/hook?hub.mode=subscribe&hub.challenge=%3Cb%3E15f7&hub.verify_token=t0ken",
		want: "<b>15f7", headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
	}
	wrong, open, empty := challenge, challenge, challenge
	wrong.name, wrong.settings, wrong.err = "another token", map[string]string{"verify_token": "0ther-t0ken"}, ErrRefused
	open.name, open.settings = "no token set", nil
	empty.name, empty.url, empty.settings, empty.err = "no challenge", "https://hooks.example.com/hook", nil, ErrMissing
	addHandshake(ping, unsigned, push, test, challenge, wrong, open, empty)
}

func TestPusherKeysOfOtherApps(t *testing.T) {
	c := testCase{provider: "pusher-keys", body: "{}", sign: func(m *message, secret string, _ time.Time) {
		m.header.Set("X-Pusher-Key", "a")
		m.header.Set("X-Pusher-Signature", hex256(secret, string(m.body)))
	}}
	for _, secret := range []string{"b_" + secretOne, secretOne, "a_", "a", "_" + secretOne, ";;"} {
		c.refused(t, c.message(secretOne, now), []string{secret}, now, ErrSignature)
	}
	// The secret of another app does not count for this one's key.
	c.refused(t, c.message(secretTwo, now), []string{"a_" + secretOne + ";b_" + secretTwo}, now, ErrSignature)
}
