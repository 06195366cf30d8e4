package codec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestForwarded(t *testing.T) {
	r := &event.Request{Head: []byte(strings.Join([]string{
		"POST /in/acme/x HTTP/1.1", "HOST: h", "X-b: 2", "X-B:  3 ", "x-a: é", "Connection: close, X-Hop", "connection: Another", "X-Hop: 1", "another: 1",
		"Keep-Alive: 1", "Proxy-Connection: 1", "TE: x", "Trailer: x", "Transfer-Encoding: chunked", "Upgrade: h2c", "Proxy-Authorization: x", "HTTP2-Settings: x",
		"Content-Length: 1", "Expect: 100-continue", "Accept-Encoding: gzip", "Posthorn-Tunnel: x", "posthorn-attempt: 1", "Cookie: Posthorn_Token=x", "cookie: a=1",
		"webhook-id: 1", "Content-Encoding: gzip", "Content-Type: text/plain", "X-Empty:", "",
	}, "\r\n"))}
	want := []event.Header{
		{Name: "X-b", Value: "2"},
		{Name: "X-B", Value: "3"},
		{Name: "x-a", Value: "é"},
		{Name: "cookie", Value: "a=1"},
		{Name: "webhook-id", Value: "1"},
		{Name: "Content-Encoding", Value: "gzip"},
		{Name: "Content-Type", Value: "text/plain"},
		{Name: "X-Empty", Value: ""},
	}
	if got := Forwarded(r); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func TestWithoutOwnCookies(t *testing.T) {
	for value, want := range map[string]string{
		"":                                   "",
		"a=1;b=2;  c":                        "a=1;b=2;  c", // as it was
		"posthorn_token=x":                   "",
		"a=1; posthorn_token=x; b=2":         "a=1; b=2",
		"posthorn_token = x;a=1":             "a=1",
		"POSTHORN_TOKEN=x; a=posthorn_token": "a=posthorn_token",
		"posthorn_token=x; posthorn_token=y": "",
		"posthorn_session=1; xposthorn_token=2; __Host-posthorn_session=3; __SECURE-posthorn_x=4": "xposthorn_token=2",
	} {
		if got := WithoutOwnCookies(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestEncodeOriginal(t *testing.T) {
	came := &event.Event{ID: "1", Data: []byte("data"), Origin: &event.Request{Head: []byte("PUT / HTTP/1.1\r\nContent-Type: text/x\r\n"), Body: []byte{0, 1}}}
	same := &event.Event{ID: "2", Data: []byte("data"), Origin: &event.Request{Head: []byte("PUT / HTTP/1.1\r\n")}}
	plain := &event.Event{ID: "3", Data: []byte(`{"a":1}`), ContentType: "application/x+json"}
	for _, c := range []struct {
		e           *event.Event
		contentType string
		headers     int
		body        string
	}{{came, "", 1, "\x00\x01"}, {same, "", 0, "data"}, {plain, "application/x+json", 0, `{"a":1}`}} {
		for _, payload := range []event.Payload{event.PayloadFull, event.PayloadThin} { // a request is whole or it is not that request
			contentType, headers, body, err := Encode([]byte("kept"), Options{Envelope: event.EnvelopeOriginal, Payload: payload}, []*event.Event{c.e})
			if err != nil || contentType != c.contentType || len(headers) != c.headers || string(body) != "kept"+c.body {
				t.Errorf("%s: %q %v %q %v", c.e.ID, contentType, headers, body, err)
			}
		}
	}
	if _, _, _, err := Encode(nil, Options{Envelope: event.EnvelopeOriginal, Batch: true}, []*event.Event{came, same}); event.KindOf(err) != event.KindInvalid {
		t.Errorf("%v", err)
	}
}
