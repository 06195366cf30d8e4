package receiver

import "time"

func signSlack(m *message, secret string, at time.Time) {
	m.header.Set("X-Slack-Request-Timestamp", unix(at))
	m.header.Set("X-Slack-Signature", "v0="+hex256(secret, "v0:", unix(at), ":", string(m.body)))
}

func init() {
	slack := testCase{
		provider:  "slack",
		body:      `{"type":"event_callback","team_id":"T1","event_id":"Ev08","event_time":1773500966,"event":{"type":"reaction_added","item":{"channel":"C7"}}}`,
		sign:      signSlack,
		want:      Delivery{Type: "reaction_added", ID: "Ev08", Subject: "C7", Time: time.Unix(1773500966, 0).UTC()},
		proof:     []string{"X-Slack-Signature", "X-Slack-Request-Timestamp"},
		tolerance: 5 * time.Minute,
	}
	command, interaction := slack, slack
	command.name = "command"
	command.header = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	command.body = "token=x&channel_id=C7&command=%2Fweather&text=94070&trigger_id=13345224609.738474920"
	command.want = Delivery{Type: "/weather", ID: "13345224609.738474920", Subject: "C7"}
	interaction.name = "interaction"
	interaction.header = command.header
	interaction.body = "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%221.2%22%2C%22channel%22%3A%7B%22id%22%3A%22C9%22%7D%7D"
	interaction.want = Delivery{Type: "block_actions", ID: "1.2", Subject: "C9"}
	addCase(slack, command, interaction)

	challenge := handshakeCase{
		provider: "slack", name: "url_verification", secrets: []string{secretOne},
		body: `{"token":"x","challenge":"<script>alert(1)</script>","type":"url_verification"}`,
		sign: signSlack, want: "<script>alert(1)</script>",
		headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
	}
	unsigned, none, secretless := challenge, challenge, challenge
	unsigned.name, unsigned.sign, unsigned.err = "unsigned", nil, ErrMissing
	none.name, none.body, none.none = "event", slack.body, true
	secretless.name, secretless.secrets, secretless.err = "no secret", nil, ErrSecret
	secretless.sign = nil
	secretless.header = map[string]string{"X-Slack-Signature": "v0=00", "X-Slack-Request-Timestamp": unix(now)}
	addHandshake(challenge, unsigned, none, secretless)
}
