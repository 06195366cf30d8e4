package receiver

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/webhook"
)

// The providers that follow the Standard Webhooks specification, and Svix, from whose headers it was made.

func init() {
	const whsec = "the endpoint's signing secret (whsec_…)"
	for _, p := range []struct {
		name, title, secret, event string
		raw                        bool
		typ, subject               pick
		at                         when
	}{
		{"standard", "Standard Webhooks", "the secret (whsec_…) or the sender's public key (whpk_…)", "type and timestamp of the body", false, field("type"), first(field("subject"), field("data", "id")), rfc3339(field("timestamp"))},
		{"svix", "Svix", whsec, "type of the body", false, first(field("type"), field("eventType")), field("data", "id"), rfc3339(field("timestamp"))},
		{"clerk", "Clerk", whsec, "type and timestamp of the body, subject the id of its object", false, field("type"), field("data", "id"), millis(field("timestamp"))},
		{"resend", "Resend", whsec, "type and created_at of the body, subject the id of the email, contact or domain", false, field("type"), first(field("data", "email_id"), field("data", "id")), rfc3339(field("created_at"))},
		{"openai", "OpenAI", whsec, "type and created_at of the body, subject the id of its object", false, field("type"), field("data", "id"), seconds(field("created_at"))},
		{"replicate", "Replicate", whsec, "type is the prediction's status, subject its id", false, field("status"), field("id"), rfc3339(first(field("completed_at"), field("started_at"), field("created_at")))},
		{"dodo", "Dodo Payments", whsec, "type and timestamp of the body, subject the id of the payment or subscription", false, field("type"), first(field("data", "payment_id"), field("data", "subscription_id"), field("data", "dispute_id"), field("data", "refund_id")), rfc3339(field("timestamp"))},
		{"polar", "Polar", "the endpoint's secret, as it is shown", "type and timestamp of the body, subject the id of its object", true, field("type"), field("data", "id"), rfc3339(field("timestamp"))},
		{"whop", "Whop", "the webhook's secret, as it is shown (ws_…)", "type of the body, or its action, subject the id of its object", true, first(field("type"), field("action")), field("data", "id"), rfc3339(field("timestamp"))},
	} {
		register(provider{
			Info: Info{
				Name: p.name, Title: p.title, Secret: p.secret,
				Event: p.event + "; id from webhook-id or svix-id",
			},
			verify:   standard(p.raw),
			describe: describe(p.typ, standardID, p.subject, p.at),
		})
	}
	register(provider{
		Info: Info{
			Name: "gitlab", Title: "GitLab", Secret: "the webhook's secret token, or its signing token",
			Event:         "type is object_kind or event_name, id from Idempotency-Key or webhook-id, subject the project's path",
			SecretHeaders: []string{"X-Gitlab-Token"},
		},
		verify: verifyGitLab,
		describe: describe(first(field("object_kind"), field("event_name"), head("X-Gitlab-Event")), gitlabID,
			first(field("project", "path_with_namespace"), field("group", "group_path"), field("path_with_namespace"), field("project_name")), nil),
	})
}

// standardID is the id that is signed. Of the headers of the other family, which nothing covers, somebody could add any.
func standardID(r *request) string {
	return standardHeaders(r.http.Header).Get(webhook.HeaderID)
}

// gitlabID is the same text in both headers; where there is a signature it covers one of them.
func gitlabID(r *request) string {
	if r.has(webhook.HeaderSignature) {
		return standardID(r)
	}
	return head("Idempotency-Key")(r)
}

// verifyGitLab checks the signature if there is one, else the token. A webhook that has a signing token sends a signature always.
func verifyGitLab(r *request) error {
	if r.has(webhook.HeaderSignature) {
		return standard(true)(r)
	}
	return headerToken("X-Gitlab-Token")(r)
}

// standard is the rule of the specification. With raw, secrets are used as they are written, besides those with a prefix.
func standard(raw bool) func(*request) error {
	return func(r *request) error {
		if len(r.secrets) == 0 {
			return fail(CodeNoSecret, "no secret is set")
		}
		keys := r.standardKeys(raw)
		if len(keys) == 0 {
			return fail(CodeWrongSecret, "no secret is in the form whsec_, then base64")
		}
		verifier, err := webhook.NewVerifier(keys...)
		if err != nil {
			return failWith(CodeWrongSecret, "the secrets cannot be used", err)
		}
		verifier.Now = func() time.Time { return r.now }
		verifier.Tolerance = r.tolerance
		return standardError(verifier.Verify(standardHeaders(r.http.Header), r.body))
	}
}

// standardHeaders gives Svix's headers their standard names, unless the standard ones are there.
func standardHeaders(header http.Header) http.Header {
	if len(header.Values(webhook.HeaderSignature)) > 0 {
		return header
	}
	svix := http.Header{}
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		if values := header["Svix-"+name]; len(values) > 0 {
			svix["Webhook-"+name] = values
		}
	}
	return svix
}

// standardKeys reads the secrets, at most webhook.MaxKeys of them.
func (r *request) standardKeys(raw bool) []webhook.Key {
	var keys []webhook.Key
	add := func(text string) {
		if key, err := webhook.ParseKey(text); err == nil && len(keys) < webhook.MaxKeys {
			keys = append(keys, key)
		}
	}
	for _, secret := range r.secrets {
		if strings.HasPrefix(secret, webhook.PrefixPublic) || strings.HasPrefix(secret, webhook.PrefixPrivate) {
			add(secret)
			continue
		}
		text, prefixed := strings.CutPrefix(secret, webhook.PrefixSecret)
		if !raw || prefixed {
			if key, err := decodeBase64(text); err == nil && !allZero(key) {
				add(sized(key))
			}
		}
		if raw && text != "" {
			add(sized([]byte(secret)))
		}
	}
	return keys
}

// sized writes an HMAC key in the standard form, whatever its length. By RFC 2104 a key is padded with zeros to the hash's
// block, and one that is longer than the block is hashed first: so these are the same keys.
func sized(key []byte) string {
	if len(key) > webhook.MaxSecret {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	if missing := webhook.MinSecret - len(key); missing > 0 {
		key = slices.Concat(key, make([]byte, missing))
	}
	return webhook.PrefixSecret + base64.StdEncoding.EncodeToString(key)
}

// standardError gives an error of the webhook package its code.
func standardError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, webhook.ErrMissingHeader):
		return failWith(CodeMissing, "a header webhook-id, webhook-timestamp or webhook-signature is missing", err)
	case errors.Is(err, webhook.ErrDuplicateHeader):
		return failWith(CodeRepeated, "a header is there several times", err)
	case errors.Is(err, webhook.ErrTooOld):
		return failWith(CodeExpired, "the timestamp is too old", err)
	case errors.Is(err, webhook.ErrTooNew):
		return failWith(CodeExpired, "the timestamp is in the future", err)
	case errors.Is(err, webhook.ErrNoMatch):
		return failWith(CodeSignature, "no secret matches", err)
	default:
		return failWith(CodeMalformed, "the headers are not as the specification has them", err)
	}
}
