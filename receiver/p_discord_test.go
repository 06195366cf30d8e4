package receiver

import (
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"time"
)

var discordSigners = map[string]ed25519.PrivateKey{}

func discordKey(seed byte) string {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize)))
	public, _ := key.Public().(ed25519.PublicKey)
	text := hex.EncodeToString(public)
	discordSigners[text] = key
	return text
}

func signDiscord(m *message, secret string, at time.Time) {
	m.header.Set("X-Signature-Timestamp", unix(at))
	m.header.Set("X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(discordSigners[secret], append([]byte(unix(at)), m.body...))))
}

func init() {
	c := testCase{
		provider: "discord", secret: discordKey(1), second: discordKey(2), wrong: discordKey(3), sign: signDiscord, tolerance: 15 * time.Minute,
		body:  `{"id":"8462","application_id":"77","type":2,"guild_id":"290","data":{"name":"cardsearch"}}`,
		want:  Delivery{Type: "application_command", ID: "8462", Subject: "290"},
		proof: []string{"X-Signature-Ed25519", "X-Signature-Timestamp"},
	}
	event := c
	event.name = "event"
	event.body = `{"version":1,"application_id":"77","type":1,"event":{"type":"APPLICATION_AUTHORIZED","timestamp":"2026-03-14T15:09:00Z","data":{"user":{"id":"53"}}}}`
	event.want = Delivery{Type: "APPLICATION_AUTHORIZED", Subject: "53", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)}
	addCase(c, event)

	ping := handshakeCase{
		provider: "discord", name: "ping", secrets: []string{c.secret}, sign: signDiscord, body: `{"id":"1","type":1}`,
		want: `{"type":1}`, headers: map[string]string{"Content-Type": "application/json"},
	}
	events, unsigned, none, wrong := ping, ping, ping, ping
	events.name, events.body, events.want, events.status = "ping of events", `{"version":1,"type":0}`, "", 204
	events.headers = nil
	unsigned.name, unsigned.sign, unsigned.err = "unsigned", nil, ErrMissing
	none.name, none.body, none.none = "event", event.body, true
	wrong.name, wrong.secrets, wrong.sign, wrong.err = "wrong", []string{c.second}, func(m *message, _ string, at time.Time) { signDiscord(m, c.wrong, at) }, ErrSignature
	addHandshake(ping, events, unsigned, none, wrong)
}
