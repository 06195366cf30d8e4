package receiver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The providers that sign the address that they call. It has to be the one that was given to them: see URL and Origin.

func init() {
	register(provider{
		Info: Info{
			Name: "twilio", Title: "Twilio", Secret: "the account's auth token",
			Event: "type is EventType or the status of the message or call, id from I-Twilio-Idempotency-Token, subject its SID",
		},
		verify: verifyTwilio,
		describe: describe(
			first(formOf("EventType"), formOf("MessageStatus"), formOf("SmsStatus"), formOf("CallStatus"), field("EventType"), field("type"), queryOf("CallStatus")),
			head("I-Twilio-Idempotency-Token"),
			first(formOf("MessageSid"), formOf("SmsSid"), formOf("CallSid"), formOf("ConversationSid"), formOf("VerificationSid"), field("MessageSid"), queryOf("CallSid")),
			nil),
		accepted: func(Delivery) Answer {
			// What is answered is carried out: an empty TwiML document does nothing, and no answer is logged as an error.
			return Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}}, Body: []byte("<Response/>")}
		},
	})
	register(provider{
		Info: Info{
			Name: "trello", Title: "Trello", Secret: "the app's secret", Handshakes: []string{http.MethodHead},
			Event: "type and id of the action, subject is the model's id",
		},
		verify: func(r *request) error {
			got, err := r.header("X-Trello-Webhook")
			if err != nil {
				return err
			}
			return r.anyHMAC(sha1Base64, got, r.body, []byte(r.url()))
		},
		describe:  describe(field("action", "type"), field("action", "id"), field("model", "id"), rfc3339(field("action", "date"))),
		handshake: answerTo(http.MethodHead),
	})
	register(provider{
		Info: Info{
			Name: "mandrill", Title: "Mailchimp Transactional (Mandrill)", Secret: "the webhook's key", Handshakes: []string{http.MethodHead, http.MethodPost},
			Event: "type of the first event of mandrill_events, subject is its message's id; one request may hold many events, so there is no id",
		},
		verify:    verifyMandrill,
		describe:  describeMandrill,
		handshake: handshakeMandrill,
	})
	register(provider{
		Info: Info{
			Name: "square", Title: "Square", Secret: "the webhook subscription's signature key",
			Event: "type is the event's, id event_id, subject the id of its object, time created_at",
		},
		verify: func(r *request) error {
			got, err := r.header("X-Square-HmacSha256-Signature")
			if err != nil {
				return err
			}
			return r.anyHMAC(sha256Base64, got, []byte(r.url()), r.body)
		},
		describe: describe(field("type"), field("event_id"), field("data", "id"), rfc3339(field("created_at"))),
	})
	register(provider{
		Info: Info{
			Name: "hubspot", Title: "HubSpot", Secret: "the app's client secret",
			Settings: []SettingInfo{{
				Name: "older", Doc: "v1, v2 or both with a space between: older signatures to be taken from requests that have no newer one. They say nothing of the time: a request that was caught can be sent again",
			}},
			Event: "type and object id of the first event; one request may hold up to 100 events whose ids are not unique, so there is no id",
		},
		verify: verifyHubSpot,
		describe: describe(first(field("0", "subscriptionType"), field("subscriptionType")), nil,
			first(field("0", "objectId"), field("objectId")), millis(first(field("0", "occurredAt"), field("occurredAt")))),
	})
}

// verifyTwilio is over the address and the sorted fields of a form. Another body is covered by its hash, which is a part of the
// address.
func verifyTwilio(r *request) error {
	got, err := r.header("X-Twilio-Signature")
	if err != nil {
		return err
	}
	var fields []byte
	switch {
	// First: called a form, a body with no fields in it would need no signature.
	case r.query().Has("bodySHA256"):
		want, err := r.param("bodySHA256")
		if err != nil {
			return err
		}
		sum, err := hex.DecodeString(want)
		if is := sha256.Sum256(r.body); err != nil || !hmac.Equal(sum, is[:]) {
			return fail(CodeSignature, "the body is not the one that bodySHA256 is about")
		}
	case r.isForm():
		form, err := url.ParseQuery(string(r.body))
		if err != nil {
			return failWith(CodeMalformed, "the form cannot be read", err)
		}
		fields = sortedFields(form)
	case len(r.body) > 0:
		return fail(CodeMissing, "the parameter bodySHA256 is missing")
	}
	for _, address := range withAndWithoutPort(r.url()) {
		if err = r.anyHMAC(sha1Base64, got, []byte(address), fields); err == nil {
			return nil
		}
	}
	return err
}

// sortedFields joins names and values of a form: names in order, the values of one name in order and each once.
func sortedFields(form url.Values) []byte {
	var b bytes.Buffer
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	return b.Bytes()
}

// withAndWithoutPort returns an address as it is, and with its usual port left out or put in: senders and proxies disagree.
func withAndWithoutPort(address string) []string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return []string{address}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	u := url.URL{Host: host}
	if port := u.Port(); port != "" {
		return []string{address, scheme + "://" + strings.TrimSuffix(host, ":"+port) + path}
	}
	if scheme == "https" {
		return []string{address, scheme + "://" + host + ":443" + path}
	}
	return []string{address, scheme + "://" + host + ":80" + path}
}

func verifyMandrill(r *request) error {
	got, err := r.header("X-Mandrill-Signature")
	if err != nil {
		return err
	}
	if !r.isForm() {
		return fail(CodeMalformed, "the body is not a form")
	}
	return r.anyHMAC(sha1Base64, got, []byte(r.url()), sortedFields(r.form()))
}

// handshakeMandrill answers what is sent when a webhook is made: a HEAD, then a form with no events, whose signature is
// made with a key that everybody knows, because the webhook has none yet. It causes nothing, so it is not verified.
func handshakeMandrill(r *request) (*Answer, *Learned, error) {
	if r.http.Method == http.MethodHead {
		return &Answer{Status: http.StatusOK}, nil, nil
	}
	if len(r.form()) == 1 && strings.TrimSpace(r.form().Get("mandrill_events")) == "[]" {
		return &Answer{Status: http.StatusOK}, nil, nil
	}
	return nil, nil, nil
}

func describeMandrill(r *request) Delivery {
	inner := r.inside(r.form().Get("mandrill_events"))
	return describe(first(field("0", "event"), field("0", "type")), nil, first(field("0", "_id"), field("0", "id")), seconds(field("0", "ts")))(inner)
}

// inside returns the same request with a JSON text that it holds as the body to read fields from.
func (r *request) inside(text string) *request {
	inner := *r
	inner.object, _ = members([]byte(text))
	inner.isParsed = true
	return &inner
}

// verifyHubSpot takes the third version of the signature. HubSpot sends the older ones, which nobody can tell the age of, with the
// same requests: to take them wherever the newest is missing would let everybody leave it out.
func verifyHubSpot(r *request) error {
	older := strings.Fields(r.setting("older"))
	for _, version := range older {
		if version != "v1" && version != "v2" {
			return fail(CodeWrongSetting, "the setting older is not v1, v2 or both")
		}
	}
	if len(older) > 0 && !r.has("X-HubSpot-Signature-v3") {
		return r.olderHubSpot(older)
	}
	got, err := r.header("X-HubSpot-Signature-v3")
	if err != nil {
		return err
	}
	stamp, err := r.header("X-HubSpot-Request-Timestamp")
	if err != nil {
		return err
	}
	for _, address := range []string{r.url(), hubSpotDecode.Replace(r.url())} {
		if err = r.anyHMAC(sha256Base64, got, []byte(r.http.Method), []byte(address), r.body, []byte(stamp)); err == nil {
			return r.fresh(stamp, time.Millisecond)
		}
	}
	return err
}

// olderHubSpot is the rule of the first and the second version.
func (r *request) olderHubSpot(taken []string) error {
	got, err := r.header("X-HubSpot-Signature")
	if err != nil {
		return err
	}
	version, err := r.header("X-HubSpot-Signature-Version")
	if err != nil {
		return err
	}
	if !slices.Contains(taken, version) {
		return fail(CodeMalformed, "X-HubSpot-Signature-Version is not one that the setting older names")
	}
	// These are hashes that begin with a secret: from one, that of a longer text can be made, whose added part begins with bytes that no
	// text has.
	if !utf8.Valid(r.body) {
		return fail(CodeMalformed, "the body is not UTF-8")
	}
	if version == "v2" {
		return r.anyHash(got, r.http.Method+r.url(), r.body)
	}
	return r.anyHash(got, "", r.body)
}

// anyHash checks a plain SHA-256, in hex, that begins with the secret: HubSpot's old rules.
func (r *request) anyHash(got, before string, body []byte) error {
	sum, err := hex.DecodeString(got)
	if err != nil {
		return fail(CodeSignature, "the signature is not hex")
	}
	return r.anySecret(func(secret string) bool {
		h := sha256.New()
		h.Write([]byte(secret + before))
		h.Write(body)
		return hmac.Equal(sum, h.Sum(nil))
	})
}

// hubSpotDecode decodes what HubSpot signs decoded; all else stays as it is written.
var hubSpotDecode = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$",
	"%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
)
