package receiver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "sendgrid", Title: "SendGrid event webhook",
			Secret: "the verification key (Mail Settings, Signed Event Webhook): a public key as base64 or PEM",
			Event:  "type from event, id from sg_event_id, subject is the recipient; events that come together and differ are of the type batch",
		},
		// SendGrid tries for a day, and does not say whether it signs anew.
		tolerance: 25 * time.Hour,
		verify:    verifySendGrid,
		describe: func(r *request) Delivery {
			events, err := r.list()
			if err != nil {
				return Delivery{}
			}
			return describeBatch(events, at("event"), at("sg_event_id"), at("email"))
		},
	})
}

func verifySendGrid(r *request) error {
	text, err := r.header("X-Twilio-Email-Event-Webhook-Signature")
	if err != nil {
		return err
	}
	stamp, err := r.header("X-Twilio-Email-Event-Webhook-Timestamp")
	if err != nil {
		return err
	}
	signature, err := decodeBase64(text)
	if err != nil {
		return failWith(CodeSignature, "the signature is not base64", err)
	}
	h := sha256.New()
	h.Write([]byte(stamp))
	h.Write(r.body)
	sum := h.Sum(nil)
	if err := r.anyKey(func(key crypto.PublicKey) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && ecdsa.VerifyASN1(k, sum, signature)
	}); err != nil {
		return err
	}
	return r.fresh(stamp, time.Second)
}
