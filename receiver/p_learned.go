package receiver

import (
	"net/http"
)

// The providers that hand over the secret themselves, in the first request. It is taken only while there is none: later
// on, anybody could hand over his own.

func init() {
	register(provider{
		Info: Info{
			Name: "asana", Title: "Asana", Secret: "the X-Hook-Secret of the first request, which is learned", Learns: true,
			Event:         "type is resource.action of the first event, subject the resource's id; one request may hold many events, so there is no id",
			SecretHeaders: []string{"X-Hook-Secret"}, Handshakes: []string{http.MethodPost},
		},
		verify: bodyHMAC("X-Hook-Signature", "", sha256Hex),
		describe: describe(joined(".", field("events", "0", "resource", "resource_type"), field("events", "0", "action")), nil,
			field("events", "0", "resource", "gid"), rfc3339(field("events", "0", "created_at"))),
		handshake: handshakeAsana,
	})
	register(provider{
		Info: Info{
			Name: "notion", Title: "Notion", Secret: "the verification_token of the first request, which is learned", Learns: true,
			Event: "type, id and timestamp of the event, subject is the entity's id", Handshakes: []string{http.MethodPost},
		},
		verify:    bodyHMAC("X-Notion-Signature", "sha256=", sha256Hex),
		describe:  describe(field("type"), field("id"), field("entity", "id"), rfc3339(field("timestamp"))),
		handshake: handshakeNotion,
	})
	register(provider{
		Info: Info{
			Name: "smartsheet", Title: "Smartsheet", Secret: "the webhook's sharedSecret, which the API returned when it was made",
			Event:      "type is objectType.eventType of the first event, subject scopeObjectId; one request may hold many events, so there is no id",
			Handshakes: []string{http.MethodPost},
		},
		verify: bodyHMAC("Smartsheet-Hmac-Sha256", "", sha256Hex),
		describe: describe(first(joined(".", field("events", "0", "objectType"), field("events", "0", "eventType")), joined(".", fixed("status"), field("newWebhookStatus"))), nil,
			field("scopeObjectId"), rfc3339(field("timestamp"))),
		handshake: handshakeSmartsheet,
	})
}

// handshakeAsana takes the secret over and sends it back, as a sign of consent.
func handshakeAsana(r *request) (*Answer, *Learned, error) {
	if !r.has("X-Hook-Secret") {
		return answerNoEvents(bodyHMAC("X-Hook-Signature", "", sha256Hex))(r) // A sign of life.
	}
	secret, err := r.header("X-Hook-Secret")
	if err != nil {
		return nil, nil, err
	}
	if err := r.mayLearn(secret); err != nil {
		return nil, nil, err
	}
	return &Answer{Status: http.StatusOK, Header: http.Header{"X-Hook-Secret": {secret}}}, &Learned{Secret: secret}, nil
}

func handshakeNotion(r *request) (*Answer, *Learned, error) {
	secret := r.text("verification_token")
	if secret == "" || r.has("X-Notion-Signature") && len(r.secrets) > 0 {
		return nil, nil, nil
	}
	if err := r.mayLearn(secret); err != nil {
		return nil, nil, err
	}
	return &Answer{Status: http.StatusOK}, &Learned{Secret: secret}, nil
}

// mayLearn refuses a secret that is handed over when there is one already, and one that can be guessed.
func (r *request) mayLearn(secret string) error {
	if len(r.secrets) > 0 {
		return fail(CodeRefused, "a secret is set already")
	}
	if !printable(secret) || len(secret) < 16 {
		return fail(CodeMalformed, "what was handed over is not a secret")
	}
	return nil
}

// handshakeSmartsheet sends the challenge back, in a header and in the body. Smartsheet asks before it says its secret, and
// again every hundred callbacks.
func handshakeSmartsheet(r *request) (*Answer, *Learned, error) {
	if !r.has("Smartsheet-Hook-Challenge") {
		return nil, nil, nil
	}
	challenge, err := r.header("Smartsheet-Hook-Challenge")
	if err != nil {
		return nil, nil, err
	}
	answer, _, err := replyText("smartsheetHookResponse", challenge)
	if err != nil {
		return nil, nil, err
	}
	answer.Header.Set("Smartsheet-Hook-Response", challenge)
	return answer, nil, nil
}
