package receiver

import (
	"crypto"
	"encoding/json"
	"net/url"
)

func init() {
	register(provider{
		Info: Info{
			Name: "mailchannels", Title: "MailChannels", Optional: true,
			Secret:   "nothing, or the public key (base64 or PEM): without it the key is fetched from MailChannels",
			Settings: []SettingInfo{{Name: "customer_handle", Doc: "your account's handle: MailChannels signs for everybody with the same key"}},
			Event:    "type from event, id from request_id and event, subject is the recipient; events that come together and differ are of the type batch",
		},
		verify: verifyMailChannels,
		describe: func(r *request) Delivery {
			events, err := r.list()
			if err != nil {
				return Delivery{}
			}
			d := describeBatch(events, at("event"), at("request_id"), firstOf(at("recipients", "0"), at("email")))
			if len(events) == 1 && d.ID != "" {
				d.ID += "-" + d.Type
			}
			return d
		},
	})
}

var mailChannelsHosts = onlyHosts("api.mailchannels.net")

// verifyMailChannels checks an HTTP message signature (RFC 9421) that covers the body's digest (RFC 9530).
func verifyMailChannels(r *request) error {
	s, base, err := r.messageSignature([]string{"content-digest"})
	if err != nil {
		return err
	}
	if s.alg != "" && s.alg != algEd25519 {
		return fail(CodeSignature, "the algorithm is not ed25519")
	}
	with := r
	if len(r.secrets) == 0 {
		key, err := mailChannelsKey(r, s.keyID)
		if err != nil {
			return err
		}
		with = r.withKeys(key)
	}
	if err := with.anyKey(func(key crypto.PublicKey) bool { return s.verify(key, base) }); err != nil {
		return err
	}
	if err := r.signatureRecent(s); err != nil {
		return err
	}
	return mailChannelsCustomer(r)
}

// mailChannelsKey fetches the key that a signature names.
func mailChannelsKey(r *request, id string) (string, error) {
	if id == "" || len(id) > 64 {
		return "", fail(CodeSignature, "the signature names no key")
	}
	address := "https://api.mailchannels.net/tx/v1/webhook/public-key?id=" + url.QueryEscape(id)
	text, err := fetchFrom(r.http.Context(), r.fetcher, address, mailChannelsHosts)
	if err != nil {
		return "", err
	}
	var found struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return "", failWith(CodeFetch, "the provider's key cannot be read", err)
	}
	if _, err := parsePublicKey(found.Key); err != nil {
		return "", failWith(CodeFetch, "the provider's key cannot be read", err)
	}
	return found.Key, nil
}

func mailChannelsCustomer(r *request) error {
	want := r.setting("customer_handle")
	if want == "" {
		return nil
	}
	events, err := r.list()
	if err != nil {
		return err
	}
	for _, e := range events {
		if !same(textIn(e, "customer_handle"), want) {
			return fail(CodeSignature, "an event is another customer's")
		}
	}
	return nil
}
