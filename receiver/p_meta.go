package receiver

import (
	"net/http"
)

func init() {
	register(provider{
		Info: Info{
			Name: "meta", Title: "Meta (Facebook, WhatsApp, Instagram)", Aliases: []string{"facebook", "whatsapp", "instagram"},
			Secret:     "the app's secret",
			Settings:   []SettingInfo{{Name: "verify_token", Doc: "the verify token that you chose when you set up the webhook", Secret: true}},
			Event:      "type is object.field, such as whatsapp_business_account.messages, subject the entry's id; one request may hold many changes, so there is no id",
			Handshakes: []string{http.MethodGet}, SecretQuery: []string{"hub.verify_token"},
		},
		verify: bodyHMAC("X-Hub-Signature-256", "sha256=", sha256Hex),
		describe: describe(first(joined(".", field("object"), field("entry", "0", "changes", "0", "field")), field("object")), nil,
			field("entry", "0", "id"), nil),
		handshake: handshakeMeta,
	})
}

// handshakeMeta answers the check of a subscription, which proves itself by the verify token.
func handshakeMeta(r *request) (*Answer, *Learned, error) {
	if r.http.Method != http.MethodGet {
		return nil, nil, nil
	}
	want := r.setting("verify_token")
	if want == "" {
		return nil, nil, fail(CodeRefused, "the setting verify_token is not set")
	}
	mode, err := r.param("hub.mode")
	if err != nil {
		return nil, nil, err
	}
	got, err := r.param("hub.verify_token")
	if err != nil {
		return nil, nil, err
	}
	if mode != "subscribe" || !same(got, want) {
		return nil, nil, fail(CodeRefused, "the verify token is another one")
	}
	return echo(r.query().Get("hub.challenge"))
}
