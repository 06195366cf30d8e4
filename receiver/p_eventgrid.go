package receiver

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func init() {
	register(provider{
		Info: Info{
			Name: "eventgrid", Title: "Azure Event Grid", Aliases: []string{"azure-event-grid"},
			Secret: "a key of your own, in the address that you register (?code=…) or in a header (delivery properties)",
			Settings: []SettingInfo{
				{Name: "query", Doc: "the parameter of the address with the key, code if it is empty"},
				{Name: "header", Doc: "the header with the key, instead of the parameter"},
			},
			Event:       "type from eventType or type, id, subject and time of the event; several that differ are of the type batch",
			SecretQuery: []string{"code"},
			Handshakes:  []string{"POST", "OPTIONS"},
		},
		verify:    verifyEventGrid,
		describe:  describeEventGrid,
		handshake: handshakeEventGrid,
	})
}

func verifyEventGrid(r *request) error {
	if name := r.setting("header"); name != "" {
		return headerToken(name)(r)
	}
	return verifyAddress(r)
}

func describeEventGrid(r *request) Delivery {
	if r.has("Ce-Type") { // CloudEvents in binary mode: the body is the data.
		return describe(head("Ce-Type"), head("Ce-Id"), first(head("Ce-Subject"), head("Ce-Source")), rfc3339(head("Ce-Time")))(r)
	}
	events, err := r.list()
	if err != nil {
		return Delivery{}
	}
	d := describeBatch(events, firstOf(at("eventType"), at("type")), at("id"), firstOf(at("subject"), at("topic"), at("source")))
	if len(events) == 1 {
		d.Time = rfc3339(func(*request) string { return firstOf(at("eventTime"), at("time"))(events[0]) })(r)
	}
	return d
}

// handshakeEventGrid answers the validation of a subscription in both of its schemas. Only an address with the key is Event Grid's
// to use.
func handshakeEventGrid(r *request) (*Answer, *Learned, error) {
	switch {
	case r.http.Method == http.MethodOptions && r.has("Webhook-Request-Origin"):
		return r.allowOrigin()
	case r.http.Method == http.MethodPost && strings.EqualFold(r.http.Header.Get("Aeg-Event-Type"), "SubscriptionValidation"):
		if err := verifyEventGrid(r); err != nil {
			return nil, nil, err
		}
		events, err := r.list()
		if err != nil {
			return nil, nil, err
		}
		var event jsontext.Value
		if len(events) > 0 {
			event = events[0]
		}
		code := textIn(event, "data", "validationCode")
		if code == "" || len(code) > maxChallenge {
			return nil, nil, fail(CodeMalformed, "the validation code is missing or too long")
		}
		return reply(map[string]any{"validationResponse": code})
	}
	return nil, nil, nil
}

// allowOrigin answers the validation of CloudEvents' HTTP web hooks, section 4.
func (r *request) allowOrigin() (*Answer, *Learned, error) {
	if err := verifyEventGrid(r); err != nil {
		return nil, nil, err
	}
	origin, err := r.header("Webhook-Request-Origin")
	if err != nil {
		return nil, nil, err
	}
	if u, err := url.Parse("//" + origin); err != nil || u.Host != origin || len(origin) > 255 {
		return nil, nil, fail(CodeMalformed, "the origin is not a host")
	}
	header := http.Header{"Allow": {"POST, OPTIONS"}, "Webhook-Allowed-Origin": {origin}}
	if r.has("Webhook-Request-Rate") {
		header.Set("Webhook-Allowed-Rate", "*")
	}
	return &Answer{Status: http.StatusOK, Header: header}, nil, nil
}
