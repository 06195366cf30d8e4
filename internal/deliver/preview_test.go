package deliver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// sink takes requests and passes on the very bytes that arrived.
func sink(t *testing.T) (url string, got <-chan []byte) {
	t.Helper()
	arrived := make(chan []byte, 8)
	url = raw(t, func(c net.Conn, r *bufio.Reader) {
		var whole bytes.Buffer
		copied := bufio.NewReader(io.TeeReader(r, &whole))
		for {
			req, err := http.ReadRequest(copied)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			arrived <- bytes.Clone(whole.Bytes()) // one request comes after the other is answered: nothing was read ahead
			whole.Reset()
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	return url, arrived
}

// written is what a request that is shown looks like on the wire.
func written(o *event.Outgoing) string {
	var b strings.Builder
	_, rest, _ := strings.Cut(o.URL, "://")
	target := rest[strings.IndexByte(rest, '/'):]
	b.WriteString(o.Method + " " + target + " HTTP/1.1\r\n")
	for _, h := range o.Headers {
		b.WriteString(h.Name + ": " + h.Value + "\r\n")
	}
	return b.String() + "\r\n" + string(o.Body)
}

var ofTheMoment = regexp.MustCompile(`(?i)((?:posthorn-)?webhook-(?:timestamp|signature)): [^\r]*`)

func undated(s string) string { return ofTheMoment.ReplaceAllString(s, "$1: -") }

// openedSecrets opens every endpoint's secrets as the same.
type openedSecrets event.Secrets

func (o openedSecrets) Secrets(context.Context, *event.Endpoint) (event.Secrets, error) {
	return event.Secrets(o), nil
}

type shownCase struct {
	name    string
	change  func(*event.Endpoint)
	secrets event.Secrets
	events  []event.Event
}

func shownCases() []shownCase {
	when := time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)
	paid := event.Event{
		ID: "e1", Source: "/shop", Type: "order.paid", Subject: "order/42", Time: when, Data: []byte(`{"total": 5, "note":"ä<b>"}`),
		Channels: []string{"eu"}, Extensions: []event.Extension{{Name: "traceid", Value: "x y"}},
	}
	again := paid
	again.ID, again.Data = "e2", []byte(`{"total":6}`)
	text := paid
	text.ContentType, text.Data = "text/plain; charset=utf-8", []byte("hello \xff")
	bare := event.Event{ID: "e 1", Source: "/s", Type: "order.paid", Time: when}
	change := event.Event{ID: "c1", Source: "/fb", Type: "faktura-vydana.update", Subject: "faktura-vydana/7", Time: when, Data: []byte(`{"kod":"A"}`)}
	came := bare
	came.Origin = &event.Request{
		Head: []byte("PUT /in/acme/shop/x?y=1 HTTP/1.1\r\nHost: posthorn.example\r\nX-Shop-Signature: abc\r\nCONTENT-TYPE: application/x-www-form-urlencoded\r\nwebhook-id: theirs\r\nCookie: a=1; b=2\r\n\r\n"),
		Body: []byte("a=1&b=2"), URL: "https://posthorn.example/in/acme/shop/x?y=1", Path: "/x?y=1",
	}
	empty := came
	origin := *came.Origin
	origin.Head, origin.Body, origin.Path = []byte("GET /in/acme/shop HTTP/1.1\r\nHost: posthorn.example\r\n\r\n"), nil, ""
	empty.Origin = &origin
	envelope := func(e event.Envelope, more ...func(*event.Endpoint)) func(*event.Endpoint) {
		return func(ep *event.Endpoint) {
			ep.Envelope = e
			for _, f := range more {
				f(ep)
			}
		}
	}
	thin := func(ep *event.Endpoint) { ep.Payload = event.PayloadThin }
	pair := func(ep *event.Endpoint) { ep.Batch = event.Batch{Max: 2, Wait: time.Minute} }
	newest := func(ep *event.Endpoint) { pair(ep); ep.Batch.Coalesce = true }
	xml := func(ep *event.Endpoint) { ep.Format = event.FormatXML }
	basic := func(ep *event.Endpoint) { ep.AuthType = "basic" }
	custom := event.Secrets{
		Signing: []event.SigningSecret{{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {Secret: "whsec_AAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}, //nolint:gosec // public
		Headers: []event.Header{{Name: "X-Custom", Value: "a  b"}, {Name: "cookie", Value: "k=v; l=w"}, {Name: "x-LOWER", Value: ""}},
		Auth:    &event.Credentials{Username: "u", Password: "p:w"},
	}
	return []shownCase{
		{"standard", envelope(event.EnvelopeStandard), custom, []event.Event{paid}},
		{"credentials", envelope(event.EnvelopeStandard, basic), custom, []event.Event{paid}},
		{"unsigned", envelope(event.EnvelopeStandard, func(ep *event.Endpoint) { ep.Signing = "none" }), event.Secrets{}, []event.Event{bare}},
		{"thin", envelope(event.EnvelopeStandard, thin), custom, []event.Event{paid}},
		{"batch", envelope(event.EnvelopeStandard, pair), custom, []event.Event{paid, again}},
		{"coalesce", envelope(event.EnvelopeStandard, newest), custom, []event.Event{paid, again}},
		{"cloudevents", envelope(event.EnvelopeCloudEvents), custom, []event.Event{paid}},
		{"cloudevents, not JSON", envelope(event.EnvelopeCloudEvents), custom, []event.Event{text}},
		{"cloudevents batch", envelope(event.EnvelopeCloudEvents, pair), custom, []event.Event{paid, again}},
		{"cloudevents-binary", envelope(event.EnvelopeCloudEventsBinary), custom, []event.Event{paid}},
		{"cloudevents-binary, text", envelope(event.EnvelopeCloudEventsBinary), custom, []event.Event{text}},
		{"cloudevents-binary, thin", envelope(event.EnvelopeCloudEventsBinary, thin), custom, []event.Event{paid}},
		{"raw", envelope(event.EnvelopeRaw), custom, []event.Event{text}},
		{"raw without data", envelope(event.EnvelopeRaw), custom, []event.Event{bare}},
		{"flexibee", envelope(event.EnvelopeFlexiBee), custom, []event.Event{change}},
		{"flexibee, XML, thin", envelope(event.EnvelopeFlexiBee, xml, thin), custom, []event.Event{change}},
		{"original", envelope(event.EnvelopeOriginal, basic), custom, []event.Event{came}},
		{"original without a body", envelope(event.EnvelopeOriginal), custom, []event.Event{empty}},
		{"original of another event", envelope(event.EnvelopeOriginal), custom, []event.Event{paid}},
	}
}

// What a preview shows is, byte for byte, what a lane sends, but for the time and so the signature. What a try shows is what it
// sent, with them.
func TestPreviewIsWhatIsSent(t *testing.T) {
	for _, x := range shownCases() {
		t.Run(x.name, func(t *testing.T) {
			url, got := sink(t)
			ep := endpoint(1, x.change, func(ep *event.Endpoint) { ep.URL = url + "/a%2Fb?q=1%20" })
			s := newFakeStore(ep)
			r := startRun(t, s, nil, func(c *Config) {
				c.Sender, c.Opener = loopbackSender(t, nil), openedSecrets(x.secrets)
				c.EventURL = func(ev *event.Event) string { return "https://posthorn.example/events/" + ev.ID }
			})
			defer r.stop()
			for _, ev := range x.events {
				s.append(ev)
			}
			sent := string(<-got)
			var events []*event.Event
			for i := range x.events {
				events = append(events, &s.log[i])
			}
			shown, err := r.Preview(t.Context(), &ep, &x.secrets, events)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := undated(written(&shown)), undated(sent); a != b {
				t.Errorf("shown\n%q\nsent\n%q", a, b)
			}
			tried, attempt, err := r.Try(t.Context(), &ep, &x.secrets, events)
			if err != nil || attempt.Status != http.StatusNoContent || attempt.Verdict != event.VerdictDelivered || attempt.EventID == "" {
				t.Fatalf("%+v, %v", attempt, err)
			}
			if a, b := written(&tried), string(<-got); a != b {
				t.Errorf("tried\n%q\nsent\n%q", a, b)
			}
			if !strings.HasPrefix(shown.URL, url+"/a%2Fb") {
				t.Errorf("the URL is %s", shown.URL)
			}
		})
	}
}

// A try leaves nothing behind, keeps to the guard, and says what cannot be sent.
func TestTry(t *testing.T) {
	s := newFakeStore()
	r := startRun(t, s, nil, func(c *Config) { c.Sender = loopbackSender(t, nil) })
	ev := anEvent("e1")
	forbidden := endpoint(0, func(ep *event.Endpoint) { ep.URL = "http://192.168.7.7/x" })
	_, a, err := r.Try(t.Context(), &forbidden, &event.Secrets{Signing: []event.SigningSecret{{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}, []*event.Event{&ev}) //nolint:gosec // public
	if err != nil || a.Status != 0 || a.Error != "the address may not be dialled" {
		t.Errorf("%+v, %v", a, err)
	}
	records := endpoint(0, func(ep *event.Endpoint) { ep.Envelope, ep.Signing = event.EnvelopeFlexiBee, "none" })
	if _, err := r.Preview(t.Context(), &records, &event.Secrets{}, []*event.Event{&ev}); event.KindOf(err) != event.KindInvalid {
		t.Errorf("an event that the envelope cannot hold: %v", err)
	}
	if _, _, err := r.Try(t.Context(), &records, &event.Secrets{}, []*event.Event{&ev}); event.KindOf(err) != event.KindInvalid {
		t.Errorf("an event that the envelope cannot hold: %v", err)
	}
	r.stop()
	if len(s.attempts) != 0 || len(s.lanes) != 0 {
		t.Errorf("a try was recorded: %v %v", s.attempts, s.lanes)
	}
}

// Of a tunnel a preview shows what passes through it; a try tells when nobody is connected.
func TestPreviewOfATunnel(t *testing.T) {
	f := &fakeTunnels{online: true}
	r := startRun(t, newFakeStore(), newFakeSender(ok), through(f))
	defer r.stop()
	ep, secrets := laptop(), shownCases()[0].secrets
	for _, x := range shownCases() {
		if x.name != "standard" && x.name != "original" {
			continue
		}
		x.change(&ep)
		ep.AuthType = ""
		out, a, err := r.Try(t.Context(), &ep, &secrets, []*event.Event{&x.events[0]})
		if err != nil || a.Status != 204 {
			t.Fatalf("%s: %+v, %v", x.name, a, err)
		}
		sent := f.sent[len(f.sent)-1]
		if method, _, _ := sent.Line(); method != out.Method || !slices.Equal(sent.Headers(), out.Headers) || !bytes.Equal(sent.Body, out.Body) || out.URL != "tunnel:laptop"+sent.Path {
			t.Errorf("%s: shown %+v, sent %s", x.name, out, sent.Head)
		}
	}
	f.online = false
	ev := anEvent("e1")
	if _, a, err := r.Try(t.Context(), &ep, &secrets, []*event.Event{&ev}); err != nil || a.Status != 0 || a.Error != "the tunnel is not connected" {
		t.Errorf("nobody connected: %+v, %v", a, err)
	}
}
