package receiver

import "time"

func init() {
	register(provider{
		Info: Info{
			Name: "slack", Title: "Slack",
			Secret:     "the app's signing secret (Basic Information)",
			Event:      "type from event.type, the command, or the interaction's type; id from event_id; subject is the channel or the team",
			Handshakes: []string{"POST"},
		},
		verify:    verifySlack,
		describe:  describeSlack,
		handshake: handshakeSlack,
	})
}

func verifySlack(r *request) error {
	return r.headersHMAC("X-Slack-Signature", "v0=", "X-Slack-Request-Timestamp", time.Second, sha256Hex,
		func(at string) []byte { return []byte("v0:" + at + ":") })
}

// handshakeSlack answers url_verification, which Slack signs like everything else.
func handshakeSlack(r *request) (*Answer, *Learned, error) {
	if r.text("type") != "url_verification" {
		return nil, nil, nil
	}
	if err := verifySlack(r); err != nil {
		return nil, nil, err
	}
	return echo(r.text("challenge"))
}

func describeSlack(r *request) Delivery {
	if !r.isForm() {
		return describe(first(field("event", "type"), field("type")), field("event_id"),
			first(field("event", "channel"), field("event", "item", "channel"), field("team_id")), seconds(field("event_time")))(r)
	}
	if payload := r.form().Get("payload"); payload != "" { // An interaction: a form with JSON in it.
		return describe(field("type"), first(field("trigger_id"), field("action_ts")), first(field("channel", "id"), field("team", "id")), nil)(r.inside(payload))
	}
	return describe(first(formOf("command"), formOf("trigger_word")), formOf("trigger_id"), formOf("channel_id"), nil)(r)
}
