package receiver

import "github.com/golang-jwt/jwt/v5"

func init() {
	register(provider{
		Info: Info{
			Name: "pubsub", Title: "Google Cloud Pub/Sub push", Aliases: []string{"google-pubsub"},
			Secret: "the audience of the subscription's tokens",
			Settings: []SettingInfo{{
				Name: "email", Doc: "the service account of the subscription: everybody can have tokens made for your audience, with an account of their own", Required: true,
			}},
			Event:         "type from the message's attribute eventType, or message; id from messageId; subject is the subscription; time from publishTime",
			SecretHeaders: []string{"Authorization"},
		},
		verify: verifyPubSub,
		// An unwrapped message is the body, and the rest is in headers.
		describe: describe(
			first(field("message", "attributes", "eventType"), field("message", "attributes", "ce-type"), head("Ce-Type"), fixed("message")),
			first(head("X-Goog-Pubsub-Message-Id"), field("message", "messageId"), field("message", "message_id")),
			first(head("X-Goog-Pubsub-Subscription-Name"), field("subscription")),
			rfc3339(first(head("X-Goog-Pubsub-Publish-Time"), field("message", "publishTime"), field("message", "publish_time")))),
	})
}

// googleKeys are those of Google's accounts.
var googleKeys = keySetAt{url: "https://www.googleapis.com/oauth2/v3/certs", own: onlyHosts("www.googleapis.com")}

func verifyPubSub(r *request) error {
	text, err := r.header("Authorization")
	if err != nil {
		return err
	}
	token := bearer(text)
	if token == "" {
		return fail(CodeMalformed, "the header Authorization has no token")
	}
	if len(r.secrets) == 0 {
		return fail(CodeNoSecret, "no secret is set")
	}
	claims, err := r.jwt(token, jwtRule{
		methods: []string{"RS256"}, audiences: r.secrets, expires: true,
		issuers: []string{"https://accounts.google.com", "accounts.google.com"},
		key: func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			return googleKeys.find(r.http.Context(), r.fetcher, kid)
		},
	})
	if err != nil {
		return err
	}
	if verified, _ := claims["email_verified"].(bool); !verified || !claimIs(claims, "email", r.setting("email")) {
		return fail(CodeSignature, "the token is another account's")
	}
	return nil
}
