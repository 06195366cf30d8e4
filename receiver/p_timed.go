package receiver

import (
	"cmp"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The providers that sign a timestamp with the body. The timestamp has to be within the tolerance.

func init() {
	register(provider{
		Info: Info{
			Name: "workos", Title: "WorkOS", Secret: "the endpoint's signing secret",
			Event: "type is the event, id and created_at the event's, subject the id of its object",
		},
		tolerance: 3 * time.Minute,
		verify:    timedPairs("WorkOS-Signature", ",", "t", "v1", ".", sha256Hex, time.Millisecond),
		describe:  describe(field("event"), field("id"), field("data", "id"), rfc3339(field("created_at"))),
	})
	register(provider{
		Info: Info{
			Name: "sanity", Title: "Sanity", Secret: "the secret of the webhook",
			Event: "type from the header sanity-operation (create, update or delete), id from idempotency-key, subject is the document's id",
		},
		// Sanity's own library sets no limit, and a delivery is tried again for half an hour.
		tolerance: time.Hour,
		verify:    timedPairs("Sanity-Webhook-Signature", ",", "t", "v1", ".", sha256Base64URL, time.Millisecond),
		describe: describe(head("Sanity-Operation"), head("Idempotency-Key"), first(head("Sanity-Document-Id"), field("_id")),
			rfc3339(field("_updatedAt"))),
	})
	register(provider{
		Info: Info{
			Name: "elevenlabs", Title: "ElevenLabs", Secret: "the secret of the webhook",
			Event: "type and event_timestamp of the event, subject is the conversation's id; there is no delivery id",
		},
		tolerance: 30 * time.Minute,
		verify:    timedPairs("ElevenLabs-Signature", ",", "t", "v0", ".", sha256Hex, time.Second),
		describe:  describe(field("type"), nil, first(field("data", "conversation_id"), field("data", "request_id")), seconds(field("event_timestamp"))),
	})
	register(provider{
		Info: Info{
			Name: "paddle", Title: "Paddle", Secret: "the notification destination's secret key (pdl_ntfset_…)",
			Event: "type, id and time are event_type, event_id and occurred_at, subject is the id of its object",
		},
		tolerance: 5 * time.Second,
		verify:    timedPairs("Paddle-Signature", ";", "ts", "h1", ":", sha256Hex, time.Second),
		describe:  describe(field("event_type"), field("event_id"), field("data", "id"), rfc3339(field("occurred_at"))),
	})
	registerTimedHeaders()
}

// registerTimedHeaders are those whose rule is not that of Stripe.
func registerTimedHeaders() {
	register(provider{
		Info: Info{
			Name: "webflow", Title: "Webflow", Secret: "the webhook's secret key, or the app's client secret",
			Event: "type is triggerType, subject the id of its object; there is no delivery id",
		},
		verify: func(r *request) error {
			return r.headersHMAC("X-Webflow-Signature", "", "X-Webflow-Timestamp", time.Millisecond, sha256Hex, beforeBody(":"))
		},
		describe: describe(field("triggerType"), nil, first(field("payload", "id"), field("payload", "formId"), field("payload", "siteId")),
			millis(head("X-Webflow-Timestamp"))),
	})
	register(provider{
		Info: Info{
			Name: "zendesk", Title: "Zendesk", Secret: "the webhook's signing secret",
			Event: "type, subject and time of the event; id from X-Zendesk-Webhook-Invocation-Id",
		},
		verify:   verifyZendesk,
		describe: describe(field("type"), head("X-Zendesk-Webhook-Invocation-Id"), first(field("subject"), field("detail", "id")), rfc3339(field("time"))),
	})
	register(provider{
		Info: Info{
			Name: "linear", Title: "Linear", Secret: "the webhook's signing secret",
			Event: "type is type and action of the body, id Linear-Delivery, subject the object's id",
		},
		tolerance: time.Minute,
		verify:    verifyLinear,
		describe: describe(first(joined(".", field("type"), field("action")), field("type"), head("Linear-Event")),
			head("Linear-Delivery"), field("data", "id"), millis(field("webhookTimestamp"))),
	})
	register(provider{
		Info: Info{
			Name: "grafana", Title: "Grafana", Secret: "the contact point's HMAC secret",
			Settings: []SettingInfo{
				{Name: "header", Doc: "the contact point's Header, X-Grafana-Alerting-Signature by default"},
				{Name: "timestamp_header", Doc: "the contact point's Timestamp Header; without one nothing says when it was sent"},
			},
			Event: "type is the status (firing or resolved), subject the group's key; there is no delivery id",
		},
		verify:   verifyGrafana,
		describe: describe(field("status"), nil, field("groupKey"), nil),
	})
	register(provider{
		Info: Info{
			Name: "hygraph", Title: "Hygraph", Secret: "the secret key of the webhook",
			Event: "type is the operation, subject the id of the entry; there is no delivery id",
		},
		verify:   verifyHygraph,
		describe: describe(field("operation"), nil, field("data", "id"), nil),
	})
}

// beforeBody is what is signed before the body: the timestamp and a joint.
func beforeBody(joint string) func(at string) []byte {
	return func(at string) []byte { return []byte(at + joint) }
}

// sha256Base64URL is HMAC-SHA256 in the base64 of addresses, without padding.
var sha256Base64URL = scheme{sha256Base64.hash, func(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errNewline
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}}

// verifyZendesk is the rule of a timestamp in ISO 8601. The body may be empty.
func verifyZendesk(r *request) error {
	got, err := r.header("X-Zendesk-Webhook-Signature")
	if err != nil {
		return err
	}
	stamp, err := r.header("X-Zendesk-Webhook-Signature-Timestamp")
	if err != nil {
		return err
	}
	if err := r.anyHMAC(sha256Base64, got, []byte(stamp), r.body); err != nil {
		return err
	}
	return r.freshText(stamp)
}

// freshText is fresh for a time in RFC 3339.
func (r *request) freshText(text string) error {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fail(CodeMalformed, "the timestamp is not in RFC 3339")
	}
	return r.recent(at)
}

// verifyLinear takes the timestamp from the body, which is signed; the header of the same purpose is not.
func verifyLinear(r *request) error {
	if err := bodyHMAC("Linear-Signature", "", sha256Hex)(r); err != nil {
		return err
	}
	stamp := r.text("webhookTimestamp")
	if stamp == "" {
		return fail(CodeMissing, "the body has no webhookTimestamp")
	}
	return r.fresh(stamp, time.Millisecond)
}

func verifyGrafana(r *request) error {
	header := cmp.Or(r.setting("header"), "X-Grafana-Alerting-Signature")
	if stamp := r.setting("timestamp_header"); stamp != "" {
		return r.headersHMAC(header, "", stamp, time.Second, sha256Hex, beforeBody(":"))
	}
	return bodyHMAC(header, "", sha256Hex)(r)
}

// verifyHygraph signs a JSON object that holds the body as a string, as JavaScript writes it.
func verifyHygraph(r *request) error {
	text, err := r.header("Gcms-Signature")
	if err != nil {
		return err
	}
	found := pairs(text, ",")
	sign, err := one(found, "gcms-signature", "sign")
	if err != nil {
		return err
	}
	env, err := one(found, "gcms-signature", "env")
	if err != nil {
		return err
	}
	stamp, err := one(found, "gcms-signature", "t")
	if err != nil {
		return err
	}
	if _, err := parseUnix(stamp, time.Millisecond); err != nil {
		return err
	}
	signed, err := jsontext.AppendQuote([]byte(`{"Body":`), r.body)
	if err == nil {
		signed, err = jsontext.AppendQuote(append(signed, `,"EnvironmentName":`...), env)
	}
	if err != nil {
		return fail(CodeMalformed, "the body is not UTF-8")
	}
	signed = append(signed, `,"TimeStamp":`+stamp+`}`...)
	if err := r.anyHMAC(sha256Base64, sign, signed); err != nil {
		return err
	}
	return r.fresh(stamp, time.Millisecond)
}
