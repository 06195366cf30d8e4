package receiver

import "net/http"

// The providers that sign the body alone: a header holds its HMAC. Nothing in it says when it was sent.

func init() {
	register(provider{
		Info: Info{
			Name: "bitbucket", Title: "Bitbucket", Secret: "the secret of the webhook",
			Event: "type from X-Event-Key, id from X-Request-UUID, subject is the repository's name",
		},
		verify:   bodyHMAC("X-Hub-Signature", "sha256=", sha256Hex),
		describe: describe(head("X-Event-Key"), head("X-Request-UUID"), field("repository", "full_name"), nil),
	})
	register(provider{
		Info: Info{
			Name: "gitea", Title: "Gitea", Secret: "the secret of the webhook",
			Event: "type from X-Gitea-Event, id from X-Gitea-Delivery, subject is the repository's name",
		},
		verify:   bodyHMAC("X-Gitea-Signature", "", sha256Hex),
		describe: describe(head("X-Gitea-Event"), head("X-Gitea-Delivery"), field("repository", "full_name"), nil),
	})
	register(provider{
		Info: Info{
			Name: "forgejo", Title: "Forgejo", Secret: "the secret of the webhook",
			Event: "type from X-Forgejo-Event, id from X-Forgejo-Delivery, subject is the repository's name",
		},
		verify: func(r *request) error {
			if r.has("X-Forgejo-Signature") {
				return bodyHMAC("X-Forgejo-Signature", "", sha256Hex)(r)
			}
			return bodyHMAC("X-Gitea-Signature", "", sha256Hex)(r) // Versions before 7.
		},
		describe: describe(first(head("X-Forgejo-Event"), head("X-Gitea-Event")), first(head("X-Forgejo-Delivery"), head("X-Gitea-Delivery")),
			field("repository", "full_name"), nil),
	})
	registerPlatforms()
	registerShops()
	registerTools()
}

func registerPlatforms() {
	register(provider{
		Info: Info{
			Name: "intercom", Title: "Intercom", Secret: "the app's client secret", Handshakes: []string{http.MethodHead},
			Event: "type is the topic, id the notification's, subject the id of its item",
		},
		verify:    bodyHMAC("X-Hub-Signature", "sha1=", sha1Hex),
		describe:  describe(field("topic"), field("id"), field("data", "item", "id"), seconds(field("created_at"))),
		handshake: answerTo(http.MethodHead),
	})
	register(provider{
		Info: Info{
			Name: "pusher", Title: "Pusher Channels", Secret: "the app's secret",
			Settings: []SettingInfo{{Name: "key", Doc: "the app's key, which X-Pusher-Key must hold then"}},
			Event:    "type from the first event's name, subject is its channel; one request may hold several events, so there is no id",
		},
		verify:   verifyPusher,
		describe: describe(field("events", "0", "name"), nil, field("events", "0", "channel"), millis(field("time_ms"))),
	})
	register(provider{
		Info: Info{
			Name: "line", Title: "LINE", Secret: "the channel secret", Handshakes: []string{http.MethodPost},
			Event: "type of the first event; id from its webhookEventId when it is the only one; subject is the user, group or room",
		},
		verify: bodyHMAC("X-Line-Signature", "", sha256Base64),
		describe: describe(field("events", "0", "type"), sole("events", field("events", "0", "webhookEventId")),
			first(field("events", "0", "source", "groupId"), field("events", "0", "source", "roomId"), field("events", "0", "source", "userId")),
			millis(field("events", "0", "timestamp"))),
		handshake: answerNoEvents(bodyHMAC("X-Line-Signature", "", sha256Base64)),
	})
	register(provider{
		Info: Info{
			Name: "dropbox", Title: "Dropbox", Secret: "the app secret", Handshakes: []string{http.MethodGet},
			Event: "type is change; the body names only the accounts that have changes",
		},
		verify:   bodyHMAC("X-Dropbox-Signature", "", sha256Hex),
		describe: describe(fixed("change"), nil, field("list_folder", "accounts", "0"), nil),
		handshake: func(r *request) (*Answer, *Learned, error) {
			if r.http.Method != http.MethodGet {
				return nil, nil, nil
			}
			return echo(r.query().Get("challenge"))
		},
	})
}

func registerShops() {
	register(provider{
		Info: Info{
			Name: "shopify", Title: "Shopify", Secret: "the app's client secret, or the secret under Settings, Notifications, Webhooks",
			Event: "type from X-Shopify-Topic, id from X-Shopify-Webhook-Id, subject is the object's id, time from X-Shopify-Triggered-At",
		},
		verify: func(r *request) error {
			if r.has("X-Shopify-Hmac-Sha256") {
				return bodyHMAC("X-Shopify-Hmac-Sha256", "", sha256Base64)(r)
			}
			return bodyHMAC("Shopify-Hmac-Sha256", "", sha256Base64)(r)
		},
		describe: describe(first(head("X-Shopify-Topic"), head("Shopify-Topic")), first(head("X-Shopify-Webhook-Id"), head("Shopify-Webhook-Id")),
			first(field("admin_graphql_api_id"), field("id")), rfc3339(first(head("X-Shopify-Triggered-At"), head("Shopify-Triggered-At")))),
	})
	register(provider{
		Info: Info{
			Name: "woocommerce", Title: "WooCommerce", Secret: "the secret of the webhook", Handshakes: []string{http.MethodPost},
			Event: "type from X-WC-Webhook-Topic, id from X-WC-Webhook-Delivery-ID, subject is the object's id",
		},
		verify:    bodyHMAC("X-Wc-Webhook-Signature", "", sha256Base64),
		describe:  describe(head("X-Wc-Webhook-Topic"), head("X-Wc-Webhook-Delivery-Id"), field("id"), nil),
		handshake: pingWoo,
	})
	register(provider{
		Info: Info{
			Name: "fourthwall", Title: "Fourthwall", Secret: "the secret of the webhook",
			Event: "type, id and createdAt of the event, subject is the id of its object",
		},
		verify:   bodyHMAC("X-Fourthwall-Hmac-Sha256", "", sha256Base64),
		describe: describe(field("type"), field("id"), field("data", "id"), rfc3339(field("createdAt"))),
	})
	register(provider{
		Info: Info{
			Name: "razorpay", Title: "Razorpay", Secret: "the secret of the webhook",
			Event: "type is the event, id from X-Razorpay-Event-Id, subject the id of the payment, order or subscription",
		},
		verify: bodyHMAC("X-Razorpay-Signature", "", sha256Hex),
		describe: describe(field("event"), head("X-Razorpay-Event-Id"),
			first(field("payload", "payment", "entity", "id"), field("payload", "order", "entity", "id"), field("payload", "subscription", "entity", "id")),
			seconds(field("created_at"))),
	})
	register(provider{
		Info: Info{
			Name: "lemonsqueezy", Title: "Lemon Squeezy", Secret: "the signing secret of the webhook",
			Event: "type from meta.event_name, subject is the object's id; there is no delivery id",
		},
		verify:   bodyHMAC("X-Signature", "", sha256Hex),
		describe: describe(first(field("meta", "event_name"), head("X-Event-Name")), nil, field("data", "id"), nil),
	})
}

func registerTools() {
	register(provider{
		Info: Info{
			Name: "vercel", Title: "Vercel", Secret: "the secret of the webhook, or the integration's client secret",
			Event: "type, id and createdAt of the event, subject is the deployment's or project's id",
		},
		verify: bodyHMAC("X-Vercel-Signature", "", sha1Hex),
		describe: describe(field("type"), field("id"), first(field("payload", "deployment", "id"), field("payload", "project", "id")),
			millis(field("createdAt"))),
	})
	register(provider{
		Info: Info{
			Name: "heroku", Title: "Heroku", Secret: "the secret of the webhook",
			Event: "type is resource:action, id the event's, subject the app's name",
		},
		verify: bodyHMAC("Heroku-Webhook-Hmac-Sha256", "", sha256Base64),
		describe: describe(joined(":", field("resource"), field("action")), first(field("webhook_metadata", "event", "id"), field("id")),
			first(field("data", "app", "name"), field("data", "name")), rfc3339(first(field("published_at"), field("created_at")))),
	})
	register(provider{
		Info: Info{
			Name: "calcom", Title: "Cal.com", Secret: "the secret of the webhook",
			Event: "type is triggerEvent, subject the booking's uid; there is no delivery id",
		},
		verify:   bodyHMAC("X-Cal-Signature-256", "", sha256Hex),
		describe: describe(field("triggerEvent"), nil, field("payload", "uid"), rfc3339(field("createdAt"))),
	})
	register(provider{
		Info: Info{
			Name: "sentry", Title: "Sentry", Secret: "the integration's client secret",
			Event: "type from Sentry-Hook-Resource and the action, id from Request-ID, subject the issue's id",
		},
		verify: bodyHMAC("Sentry-Hook-Signature", "", sha256Hex),
		describe: describe(first(joined(".", head("Sentry-Hook-Resource"), field("action")), head("Sentry-Hook-Resource")), head("Request-Id"),
			first(field("data", "issue", "id"), field("data", "event", "issue_id"), field("data", "error", "issue_id")), seconds(head("Sentry-Hook-Timestamp"))),
	})
	register(provider{
		Info: Info{
			Name: "hookdeck", Title: "Hookdeck", Secret: "the project's webhook signing secret",
			Event: "type of the body, if it has one; id from X-Hookdeck-Eventid, subject is the source's name",
		},
		verify: func(r *request) error {
			got, err := r.header("X-Hookdeck-Signature")
			if err != nil {
				return err
			}
			// While a secret is being changed, a second header has the signature with the other one.
			return r.anyOfHMAC(sha256Base64, append([]string{got}, r.http.Header.Values("X-Hookdeck-Signature-2")...), r.body)
		},
		describe: describe(field("type"), head("X-Hookdeck-Eventid"), head("X-Hookdeck-Source-Name"), nil),
	})
}

func verifyPusher(r *request) error {
	if key := r.setting("key"); key != "" {
		got, err := r.header("X-Pusher-Key")
		if err != nil {
			return err
		}
		if !same(got, key) {
			return fail(CodeSignature, "the request is for another app's key")
		}
	}
	return bodyHMAC("X-Pusher-Signature", "", sha256Hex)(r)
}

// pingWoo answers what WooCommerce sends when a webhook is saved: a form without a signature, with nothing but the
// webhook's number.
func pingWoo(r *request) (*Answer, *Learned, error) {
	if r.has("X-Wc-Webhook-Signature") || !r.isForm() || len(r.form()) != 1 {
		return nil, nil, nil
	}
	id, err := r.formField("webhook_id")
	if err != nil || !digits(id) {
		return nil, nil, nil //nolint:nilerr // A request that is no ping goes on to be verified.
	}
	return &Answer{Status: http.StatusOK}, nil, nil
}
