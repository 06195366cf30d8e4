package receiver

import (
	"net/url"
	"time"
)

func init() {
	inQuery := func(m *message, secret string, _ time.Time) { m.url += "?code=" + url.QueryEscape(secret) }
	c := testCase{
		provider: "eventgrid", sign: inQuery, unsigned: true, query: []string{"code"}, header: map[string]string{"Aeg-Event-Type": "Notification"},
		body: `[{"id":"831e1650","eventType":"Microsoft.Storage.BlobCreated","subject":"/blobServices/default/x.txt","eventTime":"2026-03-14T15:09:00.5Z","data":{}}]`,
		want: Delivery{
			Type: "Microsoft.Storage.BlobCreated", ID: "831e1650", Subject: "/blobServices/default/x.txt", Time: time.Date(2026, 3, 14, 15, 9, 0, 500_000_000, time.UTC),
		},
	}
	cloud, binary, header, several := c, c, c, c
	cloud.name = "cloud event"
	cloud.header = map[string]string{"Content-Type": "application/cloudevents+json"}
	cloud.body = `{"specversion":"1.0","id":"9","type":"order.created","source":"/shop","time":"2026-03-14T15:09:00Z"}`
	cloud.want = Delivery{Type: "order.created", ID: "9", Subject: "/shop", Time: time.Date(2026, 3, 14, 15, 9, 0, 0, time.UTC)}
	binary.name = "cloud event, binary"
	binary.header = map[string]string{"Ce-Id": "9", "Ce-Type": "order.created", "Ce-Source": "/shop", "Ce-Specversion": "1.0"}
	binary.body = `{"total":1}`
	binary.want = Delivery{Type: "order.created", ID: "9", Subject: "/shop"}
	header.name, header.query = "key in a header", nil
	header.settings = map[string]string{"header": "X-Key"}
	header.sign = func(m *message, secret string, _ time.Time) { m.header.Set("X-Key", secret) }
	header.proof = []string{"X-Key"}
	several.name = "several"
	several.body = `[{"id":"1","type":"a","source":"s"},{"id":"2","type":"b","source":"s"}]`
	several.want = Delivery{Type: "batch", ID: batchID([]string{"1", "2"}), Subject: "s"}
	named := c
	named.name = "key in another parameter"
	named.settings = map[string]string{"query": "k"}
	named.query = []string{"k"}
	named.sign = func(m *message, secret string, _ time.Time) { m.url += "?code=x&k=" + url.QueryEscape(secret) }
	addCase(c, cloud, binary, header, several, named)

	validation := handshakeCase{
		provider: "eventgrid", name: "validation", secrets: []string{secretOne}, sign: inQuery, header: map[string]string{"Aeg-Event-Type": "SubscriptionValidation"},
		body: `[{"id":"2d17","data":{"validationCode":"512d38b6-<b>"},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent"}]`,
		want: `{"validationResponse":"512d38b6-<b>"}`, headers: map[string]string{"Content-Type": "application/json"},
	}
	wrong, secretless, empty, none := validation, validation, validation, validation
	wrong.name, wrong.err = "wrong key", ErrSignature
	wrong.sign = func(m *message, _ string, at time.Time) { inQuery(m, secretWrong, at) }
	secretless.name, secretless.secrets, secretless.sign, secretless.err = "no key", nil, nil, ErrMissing
	empty.name, empty.body, empty.err = "no code", `[]`, ErrMalformed
	none.name, none.header, none.none = "event", nil, true
	addHandshake(validation, wrong, secretless, empty, none)

	options := handshakeCase{
		provider: "eventgrid", name: "options", method: "OPTIONS", secrets: []string{secretOne}, sign: inQuery,
		header:  map[string]string{"Webhook-Request-Origin": "eventgrid.azure.net", "Webhook-Request-Rate": "120"},
		headers: map[string]string{"Webhook-Allowed-Origin": "eventgrid.azure.net", "Webhook-Allowed-Rate": "*", "Allow": "POST, OPTIONS"},
	}
	script, stranger := options, options
	script.name, script.err = "origin is no host", ErrMalformed
	script.header = map[string]string{"Webhook-Request-Origin": "https://evil.example/<script>"}
	stranger.name, stranger.err = "options, wrong key", ErrSignature
	stranger.sign = wrong.sign
	addHandshake(options, script, stranger)
}
