package receiver

import (
	"net/http"
	"time"
)

func init() {
	register(provider{
		Info: Info{
			Name: "twitch", Title: "Twitch EventSub", Secret: "the secret given when the subscription was made", Handshakes: []string{http.MethodPost},
			Event: "type is the subscription's, or revocation; id from Twitch-Eventsub-Message-Id, subject the broadcaster's id",
		},
		tolerance: 10 * time.Minute,
		verify:    verifyTwitch,
		describe: describe(typeOfTwitch, head("Twitch-Eventsub-Message-Id"),
			first(field("event", "broadcaster_user_id"), field("event", "user_id"), field("subscription", "id")), rfc3339(head("Twitch-Eventsub-Message-Timestamp"))),
		handshake: func(r *request) (*Answer, *Learned, error) {
			if r.http.Header.Get("Twitch-Eventsub-Message-Type") != "webhook_callback_verification" {
				return nil, nil, nil
			}
			if err := verifyTwitch(r); err != nil {
				return nil, nil, err
			}
			return echo(r.text("challenge"))
		},
	})
}

// typeOfTwitch reads the body. The headers that say the same are not signed: with them, an event that somebody caught would become a
// revocation, which has no event.
func typeOfTwitch(r *request) string {
	_, event := r.raw("event")
	_, events := r.raw("events")
	if !event && !events && r.http.Header.Get("Twitch-Eventsub-Message-Type") == "revocation" {
		return "revocation"
	}
	return first(field("subscription", "type"), head("Twitch-Eventsub-Subscription-Type"))(r)
}

func verifyTwitch(r *request) error {
	got, err := r.headerCut("Twitch-Eventsub-Message-Signature", "sha256=")
	if err != nil {
		return err
	}
	id, err := r.header("Twitch-Eventsub-Message-Id")
	if err != nil {
		return err
	}
	stamp, err := r.header("Twitch-Eventsub-Message-Timestamp")
	if err != nil {
		return err
	}
	if err := r.anyHMAC(sha256Hex, got, []byte(id+stamp), r.body); err != nil {
		return err
	}
	return r.freshText(stamp)
}
