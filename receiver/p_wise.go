package receiver

import (
	"crypto"
	"crypto/rsa"
	"slices"
	"strings"
)

func init() {
	register(provider{
		Info: Info{
			Name: "wise", Title: "Wise",
			Secret: "Wise's public key (PEM) of the environment, as its documentation gives it",
			Settings: []SettingInfo{{
				Name: "subscriptions", Doc: "the ids of your subscriptions, with spaces between, whose events are taken: Wise signs for everybody with the same key",
			}},
			Event: "type from event_type, id from X-Delivery-Id, subject is the id of the resource",
		},
		verify: verifyWise,
		describe: describe(field("event_type"), head("X-Delivery-Id"), first(field("data", "resource", "id"), field("data", "transfer_reference")),
			rfc3339(first(field("sent_at"), field("data", "occurred_at")))),
	})
}

func verifyWise(r *request) error {
	text, err := r.header("X-Signature-Sha256")
	if err != nil {
		return err
	}
	signature, err := decodeBase64(text)
	if err != nil {
		return failWith(CodeSignature, "the signature is not base64", err)
	}
	if err := r.anyKey(func(key crypto.PublicKey) bool {
		k, ok := key.(*rsa.PublicKey)
		return ok && verifyRSA256(k, r.body, signature)
	}); err != nil {
		return err
	}
	if own := strings.Fields(r.setting("subscriptions")); len(own) > 0 && !slices.Contains(own, r.text("subscription_id")) {
		return fail(CodeSignature, "the event is another subscription's")
	}
	return nil
}
