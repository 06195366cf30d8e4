package receiver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// signPairs signs as Stripe does, with other names.
func signPairs(header, format string, stamp func(time.Time) string, joint string, sum func(string, ...string) string) func(*message, string, time.Time) {
	return func(m *message, secret string, at time.Time) {
		m.header.Set(header, strings.NewReplacer("T", stamp(at), "S", sum(secret, stamp(at), joint, string(m.body))).Replace(format))
	}
}

// base256URL writes in the base64 of addresses, without padding.
func base256URL(key string, parts ...string) string {
	return strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(base256(key, parts...)), "=")
}

func init() {
	addCase(
		testCase{
			provider: "workos", body: `{"id":"wh_1","event":"dsync.activated","created_at":"2026-03-14T15:09:00Z","data":{"id":"directory_1"}}`,
			sign: signPairs("WorkOS-Signature", "t=T, v1=S", unixMilli, ".", hex256), proof: []string{"WorkOS-Signature"}, tolerance: 3 * time.Minute,
			want: Delivery{Type: "dsync.activated", ID: "wh_1", Subject: "directory_1", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "sanity", header: map[string]string{"sanity-operation": "update", "idempotency-key": "k1"}, body: `{"_id":"doc1","_type":"post"}`,
			sign: signPairs("sanity-webhook-signature", "t=T,v1=S", unixMilli, ".", base256URL), proof: []string{"Sanity-Webhook-Signature"}, tolerance: time.Hour,
			want: Delivery{Type: "update", ID: "k1", Subject: "doc1"},
		},
		testCase{
			provider: "elevenlabs", body: `{"type":"post_call_transcription","event_timestamp":1773500960,"data":{"conversation_id":"c1"}}`,
			sign: signPairs("ElevenLabs-Signature", "t=T,v0=S", unix, ".", hex256), proof: []string{"ElevenLabs-Signature"}, tolerance: 30 * time.Minute,
			want: Delivery{Type: "post_call_transcription", Subject: "c1", Time: time.Unix(1773500960, 0).UTC()},
		},
		testCase{
			provider: "paddle", body: `{"event_id":"evt_1","event_type":"transaction.completed","occurred_at":"2026-03-14T15:09:00.5Z","data":{"id":"txn_1"}}`,
			sign: signPairs("Paddle-Signature", "ts=T;h1=S", unix, ":", hex256), proof: []string{"Paddle-Signature"}, tolerance: 5 * time.Second,
			want: Delivery{Type: "transaction.completed", ID: "evt_1", Subject: "txn_1", Time: time.Date(2026, 3, 14, 15, 9, 0, 5e8, time.UTC)},
		},
		testCase{
			provider: "webflow", body: `{"triggerType":"form_submission","payload":{"formId":"f1"}}`,
			sign: func(m *message, secret string, at time.Time) {
				m.header.Set("x-webflow-timestamp", unixMilli(at))
				m.header.Set("x-webflow-signature", hex256(secret, unixMilli(at), ":", string(m.body)))
			},
			proof: []string{"X-Webflow-Signature", "X-Webflow-Timestamp"}, tolerance: 5 * time.Minute,
			want: Delivery{Type: "form_submission", Subject: "f1", Time: now},
		},
		testCase{
			provider: "zendesk", header: map[string]string{"X-Zendesk-Webhook-Invocation-Id": "inv1"},
			body: `{"type":"zen:event-type:user.created","subject":"zen:user:7","time":"2026-03-14T15:09:00Z"}`,
			sign: signZendesk, proof: []string{"X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"}, tolerance: 5 * time.Minute,
			want: Delivery{Type: "zen:event-type:user.created", ID: "inv1", Subject: "zen:user:7", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)},
		},
		testCase{
			provider: "zendesk", name: "no body", header: map[string]string{"X-Zendesk-Webhook-Invocation-Id": "inv2"}, sign: signZendesk,
			proof: []string{"X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"}, tolerance: 5 * time.Minute,
			want: Delivery{ID: "inv2"},
		},
		testCase{
			provider: "linear", header: map[string]string{"Linear-Event": "Issue", "Linear-Delivery": "234d"}, body: `{"action":"create","type":"Issue","data":{"id":"i1"},"webhookTimestamp":AT}`,
			sign: func(m *message, secret string, at time.Time) {
				m.body = []byte(strings.Replace(string(m.body), "AT", unixMilli(at), 1))
				m.header.Set("linear-signature", hex256(secret, string(m.body)))
			},
			proof: []string{"Linear-Signature"}, tolerance: time.Minute,
			want: Delivery{Type: "Issue.create", ID: "234d", Subject: "i1", Time: now},
		},
		testCase{
			provider: "grafana", body: `{"status":"firing","groupKey":"{}:{alertname=\"TestAlert\"}","alerts":[]}`,
			sign: signBody("X-Grafana-Alerting-Signature", "", hex256), proof: []string{"X-Grafana-Alerting-Signature"},
			want: Delivery{Type: "firing", Subject: `{}:{alertname="TestAlert"}`},
		},
		testCase{
			provider: "grafana", name: "timestamp", body: `{"status":"resolved"}`,
			settings: map[string]string{"header": "X-Sig", "timestamp_header": "X-Sig-Time"},
			sign: func(m *message, secret string, at time.Time) {
				m.header.Set("X-Sig-Time", unix(at))
				m.header.Set("X-Sig", hex256(secret, unix(at), ":", string(m.body)))
			},
			proof: []string{"X-Sig", "X-Sig-Time"}, tolerance: 5 * time.Minute,
			want: Delivery{Type: "resolved"},
		},
		testCase{
			provider: "hygraph", body: "{\"operation\":\"publish\",\"data\":{\"id\":\"e1\",\"text\":\"<a & b> \\\"č\u2028\\u0001/\"}}\t",
			sign: signHygraph, proof: []string{"gcms-signature"}, tolerance: 5 * time.Minute,
			want: Delivery{Type: "publish", Subject: "e1"},
		},
	)
}

func signZendesk(m *message, secret string, at time.Time) {
	stamp := at.Format(time.RFC3339)
	m.header.Set("X-Zendesk-Webhook-Signature-Timestamp", stamp)
	m.header.Set("X-Zendesk-Webhook-Signature", base256(secret, stamp, string(m.body)))
}

// signHygraph writes the JSON that is signed with the standard library, which escapes more than JavaScript does.
func signHygraph(m *message, secret string, at time.Time) {
	raw, err := json.Marshal(string(m.body))
	if err != nil {
		panic(err)
	}
	text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\u2028`, "\u2028").Replace(string(raw))
	signed := `{"Body":` + text + `,"EnvironmentName":"master","TimeStamp":` + unixMilli(at) + `}`
	m.header.Set("gcms-signature", "sign="+base256(secret, signed)+", env=master, t="+unixMilli(at))
}

// TestLinearWithoutTimestamp refuses a signed body that does not say when it was sent.
func TestLinearWithoutTimestamp(t *testing.T) {
	c := testCase{provider: "linear", body: `{"action":"create"}`, sign: signBody("Linear-Signature", "", hex256)}
	c.refused(t, c.message(secretOne, now), []string{secretOne}, now, ErrMissing)
}
