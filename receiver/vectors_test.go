package receiver

import (
	"net/http"
	"testing"
	"time"
)

// TestVectors holds examples that the providers publish, in their documentation or with their libraries: the proof that
// they and this package mean the same. Those of GitHub, LINE, Twilio, Contentful and Standard Webhooks are in their files.
func TestVectors(t *testing.T) {
	const (
		hubSpot       = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
		hubSpotBody   = "{'example_field':'example_value'}"
		hubSpotTarget = "https://www.example.com/webhook_uri"
	)
	for name, v := range map[string]struct {
		provider, secret, body, url string
		header                      map[string]string
		at                          time.Time
	}{
		"Slack's documentation": {
			provider: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5", at: time.Unix(1531420618, 0),
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
				"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
				"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			header: map[string]string{
				"X-Slack-Request-Timestamp": "1531420618",
				"X-Slack-Signature":         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
			},
		},
		"HubSpot's library, v1": {
			provider: "hubspot", secret: hubSpot, body: hubSpotBody, url: hubSpotTarget,
			header: map[string]string{"X-HubSpot-Signature-Version": "v1", "X-HubSpot-Signature": "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"},
		},
		"HubSpot's library, v2": {
			provider: "hubspot", secret: hubSpot, body: hubSpotBody, url: hubSpotTarget,
			header: map[string]string{"X-HubSpot-Signature-Version": "v2", "X-HubSpot-Signature": "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383"},
		},
		"HubSpot's library, v3": {
			provider: "hubspot", secret: hubSpot, body: hubSpotBody, url: hubSpotTarget, at: time.UnixMilli(1693657560000),
			header: map[string]string{"X-HubSpot-Request-Timestamp": "1693657560000", "X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="},
		},
		"Sanity's library": {
			provider: "sanity", secret: "test", body: `{"_id":"resume"}`, at: time.UnixMilli(1633519811129),
			header: map[string]string{"sanity-webhook-signature": "t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrNXcoh0N0"},
		},
		"Sanity's library, with a dash": {
			provider: "sanity", secret: "try-me", body: `{"title":"GROQ-Hooks are neat"}`, at: time.UnixMilli(1633518820676),
			header: map[string]string{"sanity-webhook-signature": "t=1633518820676,v1=e7C9h2sfbFfc4V7TEz7PSOp4IoNzl0UdVsBV-1wgdeA"},
		},
		"Svix's documentation": {
			provider: "svix", secret: "whsec_plJ3nmyCDGBKInavdOK15jsl", body: `{"event_type":"ping","data":{"success":true}}`, at: time.Unix(1731705121, 0),
			header: map[string]string{
				"svix-id": "msg_loFOjxBNrRLzqYUf", "svix-timestamp": "1731705121",
				"svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
			},
		},
		"Twitch's command line": {
			provider: "twitch", secret: "secretabcd", at: time.Date(2021, 2, 19, 23, 47, 1, 0, time.UTC),
			body: `{"subscription":{"id":"ae2ff348-e102-16be-a3eb-6830c1bf38d2","status":"enabled","type":"channel.follow","version":"1",` +
				`"condition":{"broadcaster_user_id":"44429626"},"transport":{"method":"webhook","callback":"null"},"created_at":"2021-02-19T23:47:00.7621315Z"},` +
				`"event":{"user_id":"28408015","user_login":"testFromUser","user_name":"testFromUser","broadcaster_user_id":"44429626",` +
				`"broadcaster_user_login":"44429626","broadcaster_user_name":"testBroadcaster"}}`,
			header: map[string]string{
				"Twitch-Eventsub-Message-Id":        "ae2ff348-e102-16be-a3eb-6830c1bf38d2",
				"Twitch-Eventsub-Message-Timestamp": "2021-02-19T23:47:00.8091512Z",
				"Twitch-Eventsub-Message-Signature": "sha256=d10f5bd9474b7ac7bd7105eb79c2d52768b4d0cd2a135982c3bf5a1d59a78823",
			},
		},
	} {
		m := message{method: http.MethodPost, url: orElse(v.url, "https://hooks.example.com/"), header: http.Header{}, body: []byte(v.body)}
		for header, value := range v.header {
			m.header.Set(header, value)
		}
		opts := []Option{At(func() time.Time { return v.at })}
		if v.provider == "hubspot" {
			opts = append(opts, Setting("older", "v1 v2"))
		}
		_, err := Verify(v.provider, []string{v.secret}, m.request(), m.body, opts...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m.body[0] ^= 1
		if _, err := Verify(v.provider, []string{v.secret}, m.request(), m.body, opts...); err == nil {
			t.Errorf("%s: verified with another body", name)
		}
	}
}
