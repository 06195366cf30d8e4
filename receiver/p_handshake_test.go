package receiver

import (
	"net/http"
	"testing"
	"time"
)

// The providers whose files hold little more than their handshakes.

func signZoom(m *message, secret string, at time.Time) {
	m.header.Set("x-zm-request-timestamp", unix(at))
	m.header.Set("x-zm-signature", "v0="+hex256(secret, "v0:", unix(at), ":", string(m.body)))
}

func signTwitch(m *message, secret string, at time.Time) {
	stamp := at.Format(time.RFC3339Nano)
	m.header.Set("Twitch-Eventsub-Message-Id", "befa7b53")
	m.header.Set("Twitch-Eventsub-Message-Timestamp", stamp)
	m.header.Set("Twitch-Eventsub-Message-Signature", "sha256="+hex256(secret, "befa7b53", stamp, string(m.body)))
}

func init() {
	addCase(
		testCase{
			provider: "zoom", body: `{"event":"meeting.started","event_ts":1773500960123,"payload":{"object":{"id":"1234567890"}}}`,
			sign: signZoom, proof: []string{"x-zm-signature", "x-zm-request-timestamp"}, tolerance: 5 * time.Minute,
			want: Delivery{Type: "meeting.started", Subject: "1234567890", Time: time.UnixMilli(1773500960123).UTC()},
		},
		testCase{
			provider: "x", body: `{"for_user_id":"2244994945","tweet_create_events":[{"id":1}]}`,
			sign: signBody("x-twitter-webhooks-signature", "sha256=", base256), proof: []string{"x-twitter-webhooks-signature"},
			want: Delivery{Type: "tweet_create_events", Subject: "2244994945"},
		},
		testCase{
			provider: "meta", body: `{"object":"page","entry":[{"id":"E1","changes":[{"field":"feed"}]}]}`,
			sign: signBody("X-Hub-Signature-256", "sha256=", hex256), proof: []string{"X-Hub-Signature-256"},
			want: Delivery{Type: "page.feed", Subject: "E1"},
		},
		testCase{
			provider: "whatsapp", body: `{"object":"whatsapp_business_account","entry":[{"id":"W1","changes":[{"field":"messages","value":{}}]}]}`,
			sign: signBody("X-Hub-Signature-256", "sha256=", hex256), proof: []string{"X-Hub-Signature-256"},
			want: Delivery{Type: "whatsapp_business_account.messages", Subject: "W1"},
		},
		testCase{
			provider: "twitch", header: map[string]string{"Twitch-Eventsub-Message-Type": "notification", "Twitch-Eventsub-Subscription-Type": "channel.follow"},
			body: `{"subscription":{"id":"f1"},"event":{"user_id":"1234","broadcaster_user_id":"1337"}}`,
			sign: signTwitch, proof: []string{"Twitch-Eventsub-Message-Signature", "Twitch-Eventsub-Message-Id", "Twitch-Eventsub-Message-Timestamp"}, tolerance: 10 * time.Minute,
			want: Delivery{Type: "channel.follow", ID: "befa7b53", Subject: "1337", Time: now},
		},
		testCase{
			provider: "twitch", name: "revocation", header: map[string]string{"Twitch-Eventsub-Message-Type": "revocation", "Twitch-Eventsub-Subscription-Type": "channel.follow"},
			body: `{"subscription":{"id":"f1"}}`, sign: signTwitch, tolerance: 10 * time.Minute,
			want: Delivery{Type: "revocation", ID: "befa7b53", Subject: "f1", Time: now},
		},
		testCase{
			provider: "asana", body: `{"events":[{"action":"changed","created_at":"2026-03-14T15:09:00.000Z","resource":{"gid":"77","resource_type":"task"}}]}`,
			sign: signBody("X-Hook-Signature", "", hex256), proof: []string{"X-Hook-Signature"},
			want: Delivery{Type: "task.changed", Subject: "77", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "notion", body: `{"id":"367c","type":"page.created","timestamp":"2026-03-14T15:09:00.950Z","entity":{"id":"153104cd"}}`,
			sign: signBody("X-Notion-Signature", "sha256=", hex256), proof: []string{"X-Notion-Signature"},
			want: Delivery{Type: "page.created", ID: "367c", Subject: "153104cd", Time: time.Date(2026, 3, 14, 15, 9, 0, 95e7, time.UTC)},
		},
		testCase{
			provider: "smartsheet", body: `{"nonce":"4b","timestamp":"2026-03-14T15:09:00.000Z","scopeObjectId":4509093797881732,"events":[{"objectType":"row","eventType":"updated"}]}`,
			sign: signBody("Smartsheet-Hmac-SHA256", "", hex256), proof: []string{"Smartsheet-Hmac-SHA256"},
			want: Delivery{Type: "row.updated", Subject: "4509093797881732", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
	)
	addSignedHandshakes()
	addMetaHandshakes()
	addLearned()
}

func addSignedHandshakes() {
	zoom := handshakeCase{
		provider: "zoom", name: "url_validation", secrets: []string{secretOne}, sign: signZoom,
		body: `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`,
		want: `{"encryptedToken":"` + hex256(secretOne, "qgg8vlvZRS6UYooatFL8Aw") + `","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}`,
	}
	rotated, unsigned, none := zoom, zoom, zoom
	// The answer is made with the secret of the question, not with the first one.
	rotated.name, rotated.secrets = "rotated", []string{secretTwo, secretOne}
	rotated.sign = func(m *message, _ string, at time.Time) { signZoom(m, secretOne, at) }
	unsigned.name, unsigned.sign, unsigned.err = "not signed", nil, ErrMissing
	none.name, none.body, none.none = "event", `{"event":"meeting.started"}`, true

	twitch := handshakeCase{
		provider: "twitch", name: "challenge", secrets: []string{secretOne}, sign: signTwitch,
		header: map[string]string{"Twitch-Eventsub-Message-Type": "webhook_callback_verification"},
		body:   `{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{"id":"f1"}}`, want: "pogchamp-kappa-360noscope-vohiyo",
		headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
	}
	forged := twitch
	forged.name, forged.sign, forged.err = "not signed", nil, ErrMissing

	x := handshakeCase{
		provider: "x", name: "crc", method: http.MethodGet, secrets: []string{secretOne}, url: "https://hooks.example.com/hook?crc_token=challenge_string",
		want: `{"response_token":"sha256=` + base256(secretOne, "challenge_string") + `"}`, headers: map[string]string{"Content-Type": "application/json"},
	}
	oracle, secretless, empty := x, x, x
	// Answered, this would be the signature of a forged event.
	oracle.name, oracle.url, oracle.err = "signing oracle", "https://hooks.example.com/hook?crc_token=%7B%22for_user_id%22%3A%221%22%7D", ErrRefused
	secretless.name, secretless.secrets, secretless.err = "no secret", []string{""}, ErrSecret
	empty.name, empty.url, empty.err = "no token", "", ErrMissing
	addHandshake(zoom, rotated, unsigned, none, twitch, forged, x, oracle, secretless, empty)
}

func addMetaHandshakes() {
	meta := handshakeCase{
		provider: "meta", name: "subscribe", method: http.MethodGet, settings: map[string]string{"verify_token": "meatyhamhock"},
		url:  "https://hooks.example.com/hook?hub.mode=subscribe&hub.challenge=1158201444%3Cb%3E&hub.verify_token=meatyhamhock",
		want: "1158201444<b>", headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"},
	}
	wrong, unset, empty, mode, twice := meta, meta, meta, meta, meta
	wrong.name, wrong.settings, wrong.err = "another token", map[string]string{"verify_token": "other-token"}, ErrRefused
	unset.name, unset.settings, unset.err = "no token set", nil, ErrRefused
	empty.name, empty.settings, empty.err = "empty token", map[string]string{"verify_token": ""}, ErrRefused
	empty.url = "https://hooks.example.com/hook?hub.mode=subscribe&hub.challenge=1&hub.verify_token="
	mode.name, mode.err = "another mode", ErrRefused
	mode.url = "https://hooks.example.com/hook?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock"
	twice.name, twice.err = "two tokens", ErrRepeated
	twice.url = meta.url + "&hub.verify_token=x"
	addHandshake(meta, wrong, unset, empty, mode, twice)
}

func addLearned() {
	asana := handshakeCase{
		provider: "asana", name: "handover", header: map[string]string{"X-Hook-Secret": "b537207f20cbfa02357cf448134da559"},
		learned: "b537207f20cbfa02357cf448134da559", headers: map[string]string{"X-Hook-Secret": "b537207f20cbfa02357cf448134da559"},
	}
	again, short, alive, dead := asana, asana, asana, asana
	again.name, again.secrets, again.err = "when there is one", []string{secretOne}, ErrRefused
	short.name, short.header, short.err = "one to guess", map[string]string{"X-Hook-Secret": "1"}, ErrMalformed
	alive = handshakeCase{provider: "asana", name: "sign of life", secrets: []string{secretOne}, body: `{"events":[]}`, sign: signBody("X-Hook-Signature", "", hex256)}
	dead = alive
	dead.name, dead.sign, dead.err = "sign of life, not signed", nil, ErrMissing

	notion := handshakeCase{
		provider: "notion", name: "handover", body: `{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}`,
		learned: "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
	}
	notionAgain, notionEvent := notion, notion
	notionAgain.name, notionAgain.secrets, notionAgain.err = "when there is one", []string{secretOne}, ErrRefused
	notionEvent.name, notionEvent.body, notionEvent.none, notionEvent.learned = "event", `{"type":"page.created"}`, true, ""

	smartsheet := handshakeCase{
		provider: "smartsheet", name: "challenge", header: map[string]string{"Smartsheet-Hook-Challenge": "0a0b0c0d"},
		want: `{"smartsheetHookResponse":"0a0b0c0d"}`, headers: map[string]string{"Smartsheet-Hook-Response": "0a0b0c0d", "Content-Type": "application/json"},
	}
	split := smartsheet
	split.name, split.header, split.err = "header splitting", map[string]string{"Smartsheet-Hook-Challenge": "a\r\nSet-Cookie: b"}, ErrMalformed
	addHandshake(asana, again, short, alive, dead, notion, notionAgain, notionEvent, smartsheet, split)
}

// TestAliases holds that an alias is the same provider under the name that was asked for.
func TestAliases(t *testing.T) {
	for _, name := range []string{"facebook", "instagram", "whatsapp", "twitter"} {
		info, ok := Provider(name)
		if !ok || info.Name == name {
			t.Errorf("%s is no alias: %+v", name, info)
		}
	}
}
