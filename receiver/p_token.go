package receiver

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// The providers that send the secret itself: in a header, as a password, or in the address. Nothing covers the body.

// queryName is the setting of the providers whose secret is in the address.
var queryName = SettingInfo{Name: "query", Doc: "the parameter of the address that holds the secret, code by default"}

func init() {
	register(provider{
		Info: Info{
			Name: "telegram", Title: "Telegram", Secret: "the secret_token given to setWebhook",
			Event:         "type is the kind of update, id update_id, subject the chat's or sender's id",
			SecretHeaders: []string{"X-Telegram-Bot-Api-Secret-Token"},
		},
		verify:   headerToken("X-Telegram-Bot-Api-Secret-Token"),
		describe: describeTelegram,
	})
	register(provider{
		Info: Info{
			Name: "postmark", Title: "Postmark", Secret: "user:password, as in the webhook's address",
			Event:         "type is RecordType, subject MessageID; there is no delivery id",
			SecretHeaders: []string{"Authorization"},
		},
		verify:   verifyBasic,
		describe: describe(field("RecordType"), nil, field("MessageID"), rfc3339(first(field("DeliveredAt"), field("BouncedAt"), field("ReceivedAt"), field("ChangedAt")))),
	})
	register(provider{
		Info: Info{
			Name: "chargebee", Title: "Chargebee", Secret: "user:password of the webhook's basic authentication",
			Event:         "type and id of the event, subject is the subscription's or customer's id, time occurred_at",
			SecretHeaders: []string{"Authorization"},
		},
		verify: verifyBasic,
		describe: describe(field("event_type"), field("id"), first(field("content", "subscription", "id"), field("content", "customer", "id")),
			seconds(field("occurred_at"))),
	})
	register(provider{
		Info: Info{
			Name: "okta", Title: "Okta event hooks", Secret: "the value of the Authorization header that the hook is set up with",
			Event:         "type of the first event, id eventId, subject the id of its first target",
			SecretHeaders: []string{"Authorization"}, Handshakes: []string{http.MethodGet},
		},
		verify:   headerToken("Authorization"),
		describe: describe(field("data", "events", "0", "eventType"), field("eventId"), field("data", "events", "0", "target", "0", "id"), rfc3339(field("eventTime"))),
		handshake: func(r *request) (*Answer, *Learned, error) {
			if r.http.Method != http.MethodGet {
				return nil, nil, nil
			}
			challenge, err := r.header("X-Okta-Verification-Challenge")
			if err != nil {
				return nil, nil, err
			}
			return replyText("verification", challenge)
		},
	})
	registerAddressTokens()
}

// registerAddressTokens are those whose secret is in the address.
func registerAddressTokens() {
	register(provider{
		Info: Info{
			Name: "mailchimp", Title: "Mailchimp Marketing", Secret: "a secret that you put into the webhook's address, such as …?code=secret",
			Settings: []SettingInfo{queryName}, SecretQuery: []string{"code"}, Handshakes: []string{http.MethodGet},
			Event: "type of the form, subject is the email address or the campaign's id; there is no delivery id",
		},
		verify:    verifyAddress,
		describe:  describe(formOf("type"), nil, first(formOf("data[email]"), formOf("data[new_email]"), formOf("data[id]")), nil),
		handshake: answerVerified(http.MethodGet, verifyAddress),
	})
	register(provider{
		Info: Info{
			Name: "wordpress", Title: "WordPress.com", Secret: "a secret that you put into the webhook's address, such as …?code=secret",
			Settings: []SettingInfo{queryName}, SecretQuery: []string{"code"},
			Event: "type is the form's hook, subject the post's or comment's id; there is no delivery id",
		},
		verify:   verifyAddress,
		describe: describe(formOf("hook"), nil, first(formOf("comment_ID"), formOf("ID")), nil),
	})
	register(provider{
		Info: Info{
			Name: "dreamkas", Title: "Dreamkas", Secret: "a secret that you put into the webhook's address, such as …?code=secret",
			Settings: []SettingInfo{queryName}, SecretQuery: []string{"code"},
			Event: "type is type.action, such as RECEIPT.CREATE, subject is the object's id; there is no delivery id",
		},
		verify:   verifyAddress,
		describe: describe(first(joined(".", field("type"), field("action")), field("type")), nil, first(field("data", "id"), field("data", "deviceId")), nil),
		accepted: func(Delivery) Answer { return Answer{Status: http.StatusAccepted} },
	})
}

// verifyAddress is the rule of a secret in the address.
func verifyAddress(r *request) error {
	got, err := r.param(cmp.Or(r.setting("query"), "code"))
	if err != nil {
		return err
	}
	return r.anyToken(got)
}

// verifyBasic is the rule of HTTP basic authentication (RFC 7617). The secret is user:password.
func verifyBasic(r *request) error {
	// Without a password it is no secret: user names can be guessed.
	if !slices.ContainsFunc(r.secrets, hasPassword) {
		return fail(CodeWrongSecret, "the secret is not user:password")
	}
	got, err := r.header("Authorization")
	if err != nil {
		return err
	}
	method, encoded, _ := strings.Cut(got, " ")
	if !strings.EqualFold(method, "Basic") {
		return fail(CodeMalformed, "the header Authorization is not of basic authentication")
	}
	raw, err := decodeBase64(encoded)
	if err != nil {
		return fail(CodeMalformed, "the header Authorization is not base64")
	}
	return r.anySecret(func(secret string) bool { return hasPassword(secret) && same(string(raw), secret) })
}

func hasPassword(secret string) bool {
	_, password, _ := strings.Cut(secret, ":")
	return !unseen(password)
}

// answerVerified answers 200 to verified requests by a method that is never an event's.
func answerVerified(method string, verify func(*request) error) func(*request) (*Answer, *Learned, error) {
	return func(r *request) (*Answer, *Learned, error) {
		if r.http.Method != method {
			return nil, nil, nil
		}
		if err := verify(r); err != nil {
			return nil, nil, err
		}
		return &Answer{Status: http.StatusOK}, nil, nil
	}
}

// describeTelegram names an update by its only member besides update_id.
func describeTelegram(r *request) Delivery {
	id := r.text("update_id")
	for _, kind := range r.names() {
		if kind == "update_id" {
			continue
		}
		return describe(fixed(kind), fixed(id), first(field(kind, "chat", "id"), field(kind, "message", "chat", "id"), field(kind, "from", "id")), seconds(field(kind, "date")))(r)
	}
	return Delivery{ID: id}
}
