package receiver

import (
	"net/http"
	"strings"
)

// Older rules of providers that have better ones now, and that senders which were set up for ASP.NET WebHooks still use.

func init() {
	register(provider{
		Info: Info{
			Name: "github-sha1", Title: "GitHub, by the older signature", Handshakes: []string{http.MethodPost},
			Secret: "the secret of the webhook", Event: "as of github; a ping is answered and is no event",
		},
		verify: aspnetRule("", bodyHMAC("X-Hub-Signature", "sha1=", sha1Hex)),
		describe: describe(head("X-Github-Event"), head("X-Github-Delivery"),
			first(field("repository", "full_name"), field("organization", "login")), nil),
		handshake: ping(func(r *request) bool { return r.http.Header.Get("X-Github-Event") == "ping" }, bodyHMAC("X-Hub-Signature", "sha1=", sha1Hex)),
		refused:   refuseAspnet,
	})
	register(provider{
		Info: Info{
			Name: "instagram-sha1", Title: "Instagram, by the older signature", Handshakes: []string{http.MethodGet}, SecretQuery: []string{"hub.verify_token"},
			Secret:   "the client secret",
			Settings: []SettingInfo{{Name: "verify_token", Doc: "the token that the subscription was made with", Secret: true}},
			Event:    "type from object, subject is the object's id; of several, of the first",
		},
		verify:    aspnetRule("", bodyHMAC("X-Hub-Signature", "", sha1Hex)),
		describe:  describe(first(field("0", "object"), field("object")), nil, first(field("0", "object_id"), field("object_id")), seconds(field("0", "time"))),
		handshake: handshakeInstagram,
		refused:   refuseAspnet,
	})
	register(provider{
		Info: Info{
			Name: "slack-token", Title: "Slack outgoing webhooks and commands, by their token",
			Secret: "the token that Slack shows", Event: "type from trigger_word, command or text, id from trigger_id or timestamp, subject is the channel",
		},
		verify: aspnetRule(mediaForm, func(r *request) error {
			token, err := r.formField("token")
			if err != nil {
				return err
			}
			return r.anyToken(token)
		}),
		describe: describe(first(formOf("trigger_word"), formOf("command"), formOf("text")), first(formOf("trigger_id"), formOf("timestamp")),
			formOf("channel_id"), nil),
		refused: refuseAspnet,
	})
	register(provider{
		Info: Info{
			Name: "stripe-untimed", Title: "Stripe, however old", Handshakes: []string{http.MethodPost},
			Secret: "the endpoint's signing secret (whsec_…)", Event: "as of stripe; the dashboard's test event is answered and is no event",
		},
		verify:    aspnetRule("", verifyStripeUntimed),
		describe:  describe(field("type"), field("id"), field("data", "object", "id"), seconds(field("created"))),
		handshake: ping(func(r *request) bool { return r.text("id") == "evt_00000000000000" }, verifyStripeUntimed),
		refused:   refuseAspnet,
	})
	register(provider{
		Info: Info{
			Name: "pusher-keys", Title: "Pusher Channels, several apps",
			Secret: "key_secret of each app, several with semicolons between them: X-Pusher-Key says which of them counts",
			Event:  "type from the first event's name, subject is its channel",
		},
		verify:   aspnetRule("", verifyPusherKeys),
		describe: describe(field("events", "0", "name"), nil, field("events", "0", "channel"), millis(field("time_ms"))),
		refused:  refuseAspnet,
	})
}

// ping is the handshake of requests that are signed like events and mean nothing.
func ping(is func(*request) bool, verify func(*request) error) func(*request) (*Answer, *Learned, error) {
	return func(r *request) (*Answer, *Learned, error) {
		if r.http.Method != http.MethodPost || !is(r) {
			return nil, nil, nil
		}
		if err := verify(r); err != nil {
			return nil, nil, bad(err)
		}
		return &Answer{Status: http.StatusOK}, nil, nil
	}
}

// handshakeInstagram answers hub.challenge, if the verify token is right where one is set.
func handshakeInstagram(r *request) (*Answer, *Learned, error) {
	if r.http.Method != http.MethodGet {
		return nil, nil, nil
	}
	if want := r.setting("verify_token"); want != "" {
		token, err := r.param("hub.verify_token")
		if err != nil {
			return nil, nil, bad(err)
		}
		if !same(token, want) {
			return nil, nil, fail(CodeRefused, "the verify token is another")
		}
	}
	challenge, err := r.param("hub.challenge")
	if err != nil {
		return nil, nil, bad(err)
	}
	return echo(challenge)
}

// verifyStripeUntimed is Stripe's rule without a look at the clock.
var verifyStripeUntimed = timedPairs("Stripe-Signature", ",", "t", "v1", ".", sha256Hex, 0)

// verifyPusherKeys checks the signature with the secret of the key that the request names.
func verifyPusherKeys(r *request) error {
	key, err := r.header("X-Pusher-Key")
	if err != nil {
		return err
	}
	got, err := r.header("X-Pusher-Signature")
	if err != nil {
		return err
	}
	with := *r
	with.secrets = nil
	for _, secret := range r.secrets {
		for entry := range strings.SplitSeq(secret, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(entry), "_")
			if ok && value != "" && same(name, key) {
				with.secrets = append(with.secrets, value)
			}
		}
	}
	if len(with.secrets) == 0 {
		return fail(CodeSignature, "there is no secret for this key")
	}
	return with.anyHMAC(sha256Hex, got, r.body)
}
