package control

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/webhook"
)

func (p *plane) create(t testing.TB, change func(*event.Endpoint, *event.Secrets)) event.Endpoint {
	t.Helper()
	e, s := event.Endpoint{URL: "https://example.com/hook"}, event.Secrets{}
	if change != nil {
		change(&e, &s)
	}
	saved, err := p.CreateEndpoint(t.Context(), p.tenant, e, s)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func (p *plane) secrets(t testing.TB, id event.EndpointID) event.Secrets {
	t.Helper()
	e, err := p.Endpoint(t.Context(), p.tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Secrets(t.Context(), &e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCreateEndpoint(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.store.head = 41
	e := p.create(t, func(_ *event.Endpoint, s *event.Secrets) {
		s.Headers = []event.Header{{Name: "X-Token", Value: "hidden value"}}
		s.Auth = &event.Credentials{Token: "hidden-token"}
	})
	if e.ID == 0 || e.Start != 41 || e.Revision != 1 || !e.Created.Equal(p.clock.now()) || e.Tenant != p.tenant.ID {
		t.Errorf("got %+v", e)
	}
	if e.Kind != "webhook" || e.Order != event.OrderNone || e.Payload != event.PayloadFull || e.Envelope != event.EnvelopeStandard ||
		e.Format != "json" || e.Signing != "standard" || e.AuthType != "bearer" {
		t.Errorf("defaults: %+v", e)
	}
	if bytes.Contains(e.Sealed, []byte("hidden")) {
		t.Error("secrets are not sealed")
	}
	s := p.secrets(t, e.ID)
	if len(s.Signing) != 1 || s.Auth.Token != "hidden-token" || s.Headers[0].Value != "hidden value" {
		t.Errorf("secrets %+v", s)
	}
	if _, err := webhook.ParseKey(s.Signing[0].Secret); err != nil {
		t.Error(err)
	}
	if len(p.heard.changed) != 1 || p.heard.changed[0].ID != e.ID || p.heard.changed[0].Revision != 1 {
		t.Errorf("heard %+v", p.heard.changed)
	}
	moved := e
	moved.ID++
	if _, err := p.Secrets(t.Context(), &moved); err == nil {
		t.Error("secrets were opened in another endpoint's row")
	}
}

func TestEndpointFields(t *testing.T) {
	t.Parallel()
	type change = func(*event.Endpoint, *event.Secrets)
	header := func(name, value string) change {
		return func(_ *event.Endpoint, s *event.Secrets) { s.Headers = []event.Header{{Name: name, Value: value}} }
	}
	auth := func(kind string, a event.Credentials) change {
		return func(e *event.Endpoint, s *event.Secrets) { e.AuthType, s.Auth = kind, &a }
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = "a"
	}
	for _, test := range []struct {
		name   string
		fields string // separated by spaces; empty: accepted
		change change
	}{
		{"plain", "", func(*event.Endpoint, *event.Secrets) {}},
		{"url", "url", func(e *event.Endpoint, _ *event.Secrets) { e.URL = "bad" }},
		{"long url", "url", func(e *event.Endpoint, _ *event.Secrets) { e.URL = "https://x/" + strings.Repeat("a", 2048) }},
		{"everything at once", "url types[0] filter order", func(e *event.Endpoint, _ *event.Secrets) {
			e.URL, e.Types, e.Filter, e.Order = "bad", []string{"bad"}, "bad", "sideways"
		}},
		{"kind", "kind", func(e *event.Endpoint, _ *event.Secrets) { e.Kind = "pigeon" }},
		{"description", "description", func(e *event.Endpoint, _ *event.Secrets) { e.Description = strings.Repeat("x", 1025) }},
		{"control in description", "description", func(e *event.Endpoint, _ *event.Secrets) { e.Description = "\x1b[2J" }},
		{"lines in description", "", func(e *event.Endpoint, _ *event.Secrets) { e.Description = "a\n\tb" }},
		{"pattern", "types[1]", func(e *event.Endpoint, _ *event.Secrets) { e.Types = []string{"order.*", "bad"} }},
		{"long pattern", "types[0]", func(e *event.Endpoint, _ *event.Secrets) { e.Types = []string{strings.Repeat("a", 257)} }},
		{"patterns", "types", func(e *event.Endpoint, _ *event.Secrets) { e.Types = many }},
		{"most patterns", "", func(e *event.Endpoint, _ *event.Secrets) { e.Types = many[:100] }},
		{"channels", "channels", func(e *event.Endpoint, _ *event.Secrets) { e.Channels = many }},
		{"channel", "channels[0] channels[1] channels[2]", func(e *event.Endpoint, _ *event.Secrets) {
			e.Channels = []string{"", strings.Repeat("a", 129), "a,b", "fine"}
		}},
		{"filter", "filter", func(e *event.Endpoint, _ *event.Secrets) { e.Filter = "bad" }},
		{"long filter", "filter", func(e *event.Endpoint, _ *event.Secrets) { e.Filter = strings.Repeat("x", 4097) }},
		{"payload", "payload", func(e *event.Endpoint, _ *event.Secrets) { e.Payload = "fat" }},
		{"envelope", "envelope", func(e *event.Endpoint, _ *event.Secrets) { e.Envelope = "brown" }},
		{"format", "format", func(e *event.Endpoint, _ *event.Secrets) { e.Format = "yaml" }},
		{"signing", "signing", func(e *event.Endpoint, _ *event.Secrets) { e.Signing = "wax" }},
		{"batch", "", func(e *event.Endpoint, _ *event.Secrets) {
			e.Batch = event.Batch{Max: 200, Wait: time.Minute, Coalesce: true}
		}},
		{"batch too large", "batch.max", func(e *event.Endpoint, _ *event.Secrets) { e.Batch.Max = 201 }},
		{"negative batch", "batch.max", func(e *event.Endpoint, _ *event.Secrets) { e.Batch.Max = -1 }},
		{"batch wait", "batch.wait", func(e *event.Endpoint, _ *event.Secrets) { e.Batch = event.Batch{Max: 2, Wait: 61 * time.Second} }},
		{"wait without batch", "batch.wait", func(e *event.Endpoint, _ *event.Secrets) { e.Batch.Wait = time.Second }},
		{"coalesce without batch", "batch.coalesce", func(e *event.Endpoint, _ *event.Secrets) { e.Batch = event.Batch{Max: 1, Coalesce: true} }},
		{"raw batch", "batch", func(e *event.Endpoint, _ *event.Secrets) { e.Batch.Max, e.Envelope = 2, event.EnvelopeRaw }},
		{"binary batch", "batch", func(e *event.Endpoint, _ *event.Secrets) {
			e.Batch.Max, e.Envelope = 2, event.EnvelopeCloudEventsBinary
		}},
		{"raw batch of one", "", func(e *event.Endpoint, _ *event.Secrets) { e.Batch.Max, e.Envelope = 1, event.EnvelopeRaw }},
		{"timeout low", "timeout", func(e *event.Endpoint, _ *event.Secrets) { e.Timeout = 999 * time.Millisecond }},
		{"timeout high", "timeout", func(e *event.Endpoint, _ *event.Secrets) { e.Timeout = 121 * time.Second }},
		{"timeout", "", func(e *event.Endpoint, _ *event.Secrets) { e.Timeout = 120 * time.Second }},
		{"retries", "retries[1] retries[2]", func(e *event.Endpoint, _ *event.Secrets) {
			e.Retries = []time.Duration{time.Second, 0, 8 * 24 * time.Hour}
		}},
		{"too many retries", "retries", func(e *event.Endpoint, _ *event.Secrets) { e.Retries = slices.Repeat([]time.Duration{time.Second}, 51) }},
		{"retries too long", "retries", func(e *event.Endpoint, _ *event.Secrets) {
			e.Retries = slices.Repeat([]time.Duration{7 * 24 * time.Hour}, 5)
		}},
		{"most retries", "", func(e *event.Endpoint, _ *event.Secrets) {
			e.Retries = slices.Repeat([]time.Duration{14 * time.Hour}, 50)
		}},
		{"rate", "rate_limit", func(e *event.Endpoint, _ *event.Secrets) { e.RateLimit = 100_001 }},
		{"negative rate", "rate_limit", func(e *event.Endpoint, _ *event.Secrets) { e.RateLimit = -1 }},
		{"rate that is no number", "rate_limit", func(e *event.Endpoint, _ *event.Secrets) { e.RateLimit = math.NaN() }},
		{"concurrency", "concurrency", func(e *event.Endpoint, _ *event.Secrets) { e.Concurrency = 1001 }},
		{"negative concurrency", "concurrency", func(e *event.Endpoint, _ *event.Secrets) { e.Concurrency = -1 }},
		{"metadata key", "metadata." + strings.Repeat("k", 41), func(e *event.Endpoint, _ *event.Secrets) {
			e.Metadata = map[string]string{strings.Repeat("k", 41): "v"}
		}},
		{"empty metadata key", "metadata", func(e *event.Endpoint, _ *event.Secrets) { e.Metadata = map[string]string{"": "v"} }},
		{"metadata value", "metadata.k", func(e *event.Endpoint, _ *event.Secrets) {
			e.Metadata = map[string]string{"k": strings.Repeat("v", 501)}
		}},
		{"metadata", "metadata", func(e *event.Endpoint, _ *event.Secrets) {
			e.Metadata = map[string]string{}
			for i := range 51 {
				e.Metadata[fmt.Sprint(i)] = ""
			}
		}},

		{"header", "", header("X-Token", "a b\"c")},
		{"header line end", "headers.X-A", header("X-A", "a\r\nx: y")},
		{"header NUL", "headers.X-A", header("X-A", "a\x00")},
		{"header tab", "headers.X-A", header("X-A", "a\tb")},
		{"header non-ASCII", "headers.X-A", header("X-A", "é")},
		{"header space", "headers.X-A", header("X-A", " a")},
		{"header name", "headers.X A", header("X A", "a")},
		{"header name line end", `headers."X\r\nY"`, header("X\r\nY", "a")},
		{"empty header name", "headers.", header("", "a")},
		{"host", "headers.Host", header("Host", "a")},
		{"content-length", "headers.content-length", header("content-length", "1")},
		{"transfer-encoding", "headers.Transfer-Encoding", header("Transfer-Encoding", "chunked")},
		{"connection", "headers.CONNECTION", header("CONNECTION", "close")},
		{"content-type", "headers.Content-Type", header("Content-Type", "a/b")},
		{"user-agent", "headers.User-Agent", header("User-Agent", "x")},
		{"webhook-id", "headers.Webhook-Id", header("Webhook-Id", "x")},
		{"posthorn-version", "headers.posthorn-version", header("posthorn-version", "x")},
		{"ce-id", "headers.CE-Id", header("CE-Id", "x")},
		{"proxy", "headers.Proxy-Authorization", header("Proxy-Authorization", "x")},
		{"pseudo header", "headers.:path", header(":path", "x")},
		{"authorization", "", header("Authorization", "ApiKey x")},
		{"authorization twice", "headers.authorization", func(_ *event.Endpoint, s *event.Secrets) {
			s.Headers, s.Auth = []event.Header{{Name: "authorization", Value: "x"}}, &event.Credentials{Token: "x"}
		}},
		{"header twice", "headers.x-a", func(_ *event.Endpoint, s *event.Secrets) {
			s.Headers = []event.Header{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}
		}},
		{"headers", "headers", func(_ *event.Endpoint, s *event.Secrets) { s.Headers = make([]event.Header, 51) }},
		{"header bytes", "headers", header("X-A", strings.Repeat("x", 8<<10))},

		{"basic", "", auth("basic", event.Credentials{Username: "u", Password: "p:é"})},
		{"basic unnamed", "", auth("", event.Credentials{Username: "u"})},
		{"basic colon", "auth.username", auth("basic", event.Credentials{Username: "u:v"})},
		{"basic line end", "auth.username auth.password", auth("basic", event.Credentials{Username: "u\n", Password: "\r"})},
		{"basic without user", "auth.username", auth("basic", event.Credentials{Password: "p"})},
		{"basic with token", "auth", auth("basic", event.Credentials{Username: "u", Token: "t"})},
		{"bearer", "", auth("bearer", event.Credentials{Token: strings.Repeat("a.-_~+/=", 9)})},
		{"bearer line end", "auth.token", auth("bearer", event.Credentials{Token: "a\r\nb"})},
		{"bearer space", "auth.token", auth("bearer", event.Credentials{Token: "a b"})},
		{"empty bearer", "auth.token", auth("bearer", event.Credentials{})},
		{"bearer with user", "auth", auth("bearer", event.Credentials{Token: "t", Username: "u"})},
		{"auth type", "auth.type", auth("digest", event.Credentials{Token: "t"})},
		{"auth without credentials", "auth", func(e *event.Endpoint, _ *event.Secrets) { e.AuthType = "basic" }},

		{"own secret", "", func(_ *event.Endpoint, s *event.Secrets) {
			s.Signing = []event.SigningSecret{{Secret: webhook.NewSecret().Text()}}
		}},
		{"own key", "", func(e *event.Endpoint, s *event.Secrets) {
			e.Signing, s.Signing = "standard-v1a", []event.SigningSecret{{Secret: webhook.NewPrivateKey().Text()}}
		}},
		{"secret of another scheme", "secret", func(e *event.Endpoint, s *event.Secrets) {
			e.Signing, s.Signing = "standard-v1a", []event.SigningSecret{{Secret: webhook.NewSecret().Text()}}
		}},
		{"key of another scheme", "secret", func(_ *event.Endpoint, s *event.Secrets) {
			s.Signing = []event.SigningSecret{{Secret: webhook.NewPrivateKey().Text()}}
		}},
		{"short secret", "secret", func(_ *event.Endpoint, s *event.Secrets) {
			s.Signing = []event.SigningSecret{{Secret: webhook.PrefixSecret + "aGVsbG8="}}
		}},
		{"two secrets", "secret", func(_ *event.Endpoint, s *event.Secrets) { s.Signing = make([]event.SigningSecret, 2) }},
		{"secret without signing", "secret", func(e *event.Endpoint, s *event.Secrets) {
			e.Signing, s.Signing = "none", []event.SigningSecret{{Secret: webhook.NewSecret().Text()}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlane(t)
			e, s := event.Endpoint{URL: "https://example.com/"}, event.Secrets{}
			test.change(&e, &s)
			_, err := p.CreateEndpoint(t.Context(), p.tenant, e, s)
			var want []string
			if test.fields != "" {
				want = strings.Split(test.fields, " ")
			}
			if strings.Contains(test.fields, "X A") {
				want = []string{test.fields}
			}
			if got := fieldsOf(t, err); !slices.Equal(got, want) {
				t.Errorf("fields %q, want %q (%v)", got, want, err)
			}
			if (err == nil) != (len(p.heard.changed) == 1) {
				t.Errorf("%d changes heard of", len(p.heard.changed))
			}
		})
	}
}

// Whatever a header is, what is accepted can be written into a request without breaking out of its line.
func TestAcceptedHeadersAreSafe(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := event.Header{Name: rapid.StringN(1, 10, -1).Draw(rt, "name"), Value: rapid.StringN(0, 20, -1).Draw(rt, "value")}
		_, err := p.CreateEndpoint(t.Context(), p.tenant, event.Endpoint{URL: "https://x/"}, event.Secrets{Headers: []event.Header{h}})
		if err == nil && (strings.ContainsAny(h.Name, "\r\n\x00: ") || strings.ContainsAny(h.Value, "\r\n\x00")) {
			rt.Fatalf("%q was accepted", h)
		}
	})
}

func TestErrorsDoNotRepeatSecrets(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	const secret = "hunter2"
	_, err := p.CreateEndpoint(t.Context(), p.tenant, event.Endpoint{URL: "https://x/", AuthType: "basic"}, event.Secrets{
		Signing: []event.SigningSecret{{Secret: "whsec_" + secret}},
		Headers: []event.Header{{Name: "X-A", Value: secret + "\n"}},
		Auth:    &event.Credentials{Username: secret + ":", Password: secret + "\n", Token: secret},
	})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

func TestMaxEndpoints(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	limited := *p.tenant
	limited.MaxEndpoints = 1
	p.create(t, nil)
	_, err := p.CreateEndpoint(t.Context(), &limited, event.Endpoint{URL: "https://x/"}, event.Secrets{})
	if problemOf(t, err).Code != "too_many_endpoints" {
		t.Errorf("got %v", err)
	}
}

func TestUpdateEndpoint(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, func(_ *event.Endpoint, s *event.Secrets) {
		s.Headers, s.Auth = []event.Header{{Name: "X-A", Value: "1"}}, &event.Credentials{Username: "u"}
	})
	before := p.secrets(t, made.ID)
	p.clock.add(time.Hour)

	// Without secrets everything sealed stays, and what the caller may not set is kept.
	saved, err := p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://new/", Start: 99, AuthType: "bearer"}, nil, made.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if saved.URL != "https://new/" || saved.Start != made.Start || saved.Revision != 2 || saved.AuthType != "basic" ||
		!saved.Created.Equal(made.Created) || !saved.Updated.Equal(p.clock.now()) || !bytes.Equal(saved.Sealed, made.Sealed) {
		t.Errorf("got %+v", saved)
	}
	// With secrets, headers and credentials are replaced, signing secrets are not.
	given := &event.Secrets{Headers: []event.Header{{Name: "X-B", Value: "2"}}, Signing: []event.SigningSecret{{Secret: "whsec_x"}}}
	saved, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://new/"}, given, 0)
	if err != nil {
		t.Fatal(err)
	}
	after := p.secrets(t, made.ID)
	if saved.AuthType != "" || after.Auth != nil || after.Headers[0].Name != "X-B" || after.Signing[0] != before.Signing[0] {
		t.Errorf("got %+v, %+v", saved, after)
	}
	_, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://x/"}, nil, 1)
	if event.KindOf(err) != event.KindPrecondition {
		t.Errorf("old revision: %v", err)
	}
	_, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "bad"}, nil, 0)
	if got := fieldsOf(t, err); !slices.Equal(got, []string{"url"}) {
		t.Errorf("fields %v", got)
	}
	_, err = p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: 1, URL: "https://x/"}, nil, 0)
	if event.KindOf(err) != event.KindNotFound {
		t.Errorf("unknown endpoint: %v", err)
	}
	if len(p.heard.changed) != 3 {
		t.Errorf("heard %d changes", len(p.heard.changed))
	}
}

func TestUpdateSigning(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	first := p.secrets(t, made.ID).Signing[0].Secret
	update := func(signing string) []event.SigningSecret {
		t.Helper()
		if _, err := p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://x/", Signing: signing}, nil, 0); err != nil {
			t.Fatal(err)
		}
		return p.secrets(t, made.ID).Signing
	}
	got := update("standard-v1a")
	if len(got) != 2 || !fits(got[0].Secret, "standard-v1a") || got[1].Secret != first || !got[1].Expires.Equal(p.clock.now().Add(DefaultOverlap)) {
		t.Errorf("to v1a: %d secrets", len(got))
	}
	key := got[0].Secret
	if got = update("none"); got[0].Secret != key {
		t.Error("turning signing off lost the key")
	}
	if got = update("standard-v1a"); got[0].Secret != key {
		t.Error("turning signing on again changed the key")
	}
	p.clock.add(DefaultOverlap)
	if got = update("standard"); len(got) != 2 || !fits(got[0].Secret, "standard") || got[0].Secret == first || got[1].Secret != key {
		t.Errorf("to v1: %d secrets", len(got))
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	first := p.secrets(t, made.ID).Signing[0].Secret
	own := webhook.NewSecret().Text()
	got, err := p.RotateSecret(t.Context(), p.tenant, made.ID, own, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	now := p.clock.now()
	if len(got.Signing) != 2 || got.Signing[0] != (event.SigningSecret{Secret: own}) || got.Signing[1].Secret != first ||
		!got.Signing[1].Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("got %d secrets", len(got.Signing))
	}
	// A longer overlap later does not lengthen an older secret's life.
	if got, err = p.RotateSecret(t.Context(), p.tenant, made.ID, "", 2*time.Hour); err != nil || !got.Signing[2].Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("second rotation: %v", err)
	}
	p.clock.add(time.Hour)
	if left := p.secrets(t, made.ID).Signing; len(left) != 2 {
		t.Errorf("%d secrets after the first ended", len(left))
	}
	for range 10 {
		if got, err = p.RotateSecret(t.Context(), p.tenant, made.ID, "", DefaultOverlap); err != nil {
			t.Fatal(err)
		}
	}
	if len(got.Signing) != 5 {
		t.Errorf("%d secrets are kept", len(got.Signing))
	}
	if got, err = p.RotateSecret(t.Context(), p.tenant, made.ID, "", 0); err != nil || len(got.Signing) != 1 {
		t.Errorf("overlap 0 leaves %d: %v", len(got.Signing), err)
	}
	if n := len(p.heard.changed); n != 14 {
		t.Errorf("heard %d changes", n)
	}
	for _, bad := range []struct {
		secret, field string
		overlap       time.Duration
	}{{"whsec_x", "secret", 0}, {webhook.NewPrivateKey().Text(), "secret", 0}, {"", "overlap", -1}, {"", "overlap", MaxOverlap + 1}} {
		_, err := p.RotateSecret(t.Context(), p.tenant, made.ID, bad.secret, bad.overlap)
		if got := fieldsOf(t, err); !slices.Equal(got, []string{bad.field}) {
			t.Errorf("fields %v, want %s", got, bad.field)
		}
	}
	unsigned := p.create(t, func(e *event.Endpoint, _ *event.Secrets) { e.Signing = "none" })
	if _, err := p.RotateSecret(t.Context(), p.tenant, unsigned.ID, "", 0); event.KindOf(err) != event.KindConflict {
		t.Errorf("unsigned: %v", err)
	}
}

func TestSetDisabled(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	paused, err := p.SetDisabled(t.Context(), p.tenant, made.ID, true, "")
	if err != nil || !paused.Disabled || paused.DisabledReason != "paused" || paused.Revision != 2 {
		t.Fatalf("got %+v, %v", paused, err)
	}
	again, err := p.SetDisabled(t.Context(), p.tenant, made.ID, true, "paused")
	if err != nil || again.Revision != 2 || len(p.heard.changed) != 2 {
		t.Errorf("pausing again is a change: %+v, %v", again, err)
	}
	on, err := p.SetDisabled(t.Context(), p.tenant, made.ID, false, "")
	if err != nil || on.Disabled || on.DisabledReason != "" || on.Revision != 3 {
		t.Errorf("got %+v, %v", on, err)
	}
	_, err = p.SetDisabled(t.Context(), p.tenant, made.ID, true, "tired")
	if got := fieldsOf(t, err); !slices.Equal(got, []string{"reason"}) {
		t.Errorf("fields %v", got)
	}
	made.Disabled = true
	put, err := p.UpdateEndpoint(t.Context(), p.tenant, made, nil, 0)
	if err != nil || put.DisabledReason != "paused" {
		t.Errorf("got %+v, %v", put, err)
	}
}

func TestDisable(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	failing := p.clock.now()
	p.clock.add(time.Hour)
	changed, err := p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://new/"}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	// What failed was the old configuration; delivery is told of the present one again.
	did, err := p.Disable(t.Context(), p.tenant.ID, made.ID, ReasonGone, failing)
	if err != nil || did {
		t.Fatalf("did %v, %v", did, err)
	}
	if last := p.heard.changed[len(p.heard.changed)-1]; len(p.heard.changed) != 3 || last.Revision != changed.Revision || last.Disabled {
		t.Errorf("heard %d, last %+v", len(p.heard.changed), last)
	}
	// Another node's change in between does not stop it.
	raced := false
	p.store.before = func(call string) error {
		if call == "PutEndpoint" && !raced {
			raced = true
			return stale()
		}
		return nil
	}
	did, err = p.Disable(t.Context(), p.tenant.ID, made.ID, ReasonGone, p.clock.now())
	if err != nil || !did || !raced {
		t.Fatalf("did %v, %v", did, err)
	}
	e, _ := p.Endpoint(t.Context(), p.tenant, made.ID)
	if !e.Disabled || e.DisabledReason != ReasonGone {
		t.Errorf("got %+v", e)
	}
	if did, err = p.Disable(t.Context(), p.tenant.ID, made.ID, ReasonFailing, p.clock.now().Add(time.Hour)); did || err != nil {
		t.Errorf("disabled twice: %v, %v", did, err)
	}
	if _, err = p.Disable(t.Context(), p.tenant.ID, made.ID, ReasonPaused, failing); event.KindOf(err) != event.KindInvalid {
		t.Errorf("reason paused: %v", err)
	}
	if _, err = p.Disable(t.Context(), p.tenant.ID, 5, ReasonGone, failing); event.KindOf(err) != event.KindNotFound {
		t.Errorf("unknown endpoint: %v", err)
	}
}

func TestDeleteEndpoint(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	if err := p.DeleteEndpoint(t.Context(), p.tenant, made.ID, 9); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("wrong revision: %v", err)
	}
	if err := p.DeleteEndpoint(t.Context(), p.tenant, made.ID, 1); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.heard.deleted, []event.EndpointID{made.ID}) {
		t.Errorf("heard %v", p.heard.deleted)
	}
	if err := p.DeleteEndpoint(t.Context(), p.tenant, made.ID, 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("again: %v", err)
	}
}

func TestNothingIsToldWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	broken := errors.New("broken")
	p.store.before = func(call string) error {
		if call == "PutEndpoint" || call == "DeleteEndpoint" || call == "DeleteTenant" {
			return broken
		}
		return nil
	}
	for name, do := range map[string]func() error{
		"create": func() error {
			_, err := p.CreateEndpoint(t.Context(), p.tenant, event.Endpoint{URL: "https://x/"}, event.Secrets{})
			return err
		},
		"update": func() error {
			_, err := p.UpdateEndpoint(t.Context(), p.tenant, event.Endpoint{ID: made.ID, URL: "https://y/"}, nil, 0)
			return err
		},
		"rotate": func() error {
			_, err := p.RotateSecret(t.Context(), p.tenant, made.ID, "", 0)
			return err
		},
		"delete":        func() error { return p.DeleteEndpoint(t.Context(), p.tenant, made.ID, 0) },
		"delete tenant": func() error { return p.DeleteTenant(t.Context(), "acme", 0) },
	} {
		if err := do(); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(p.heard.order) != 1 {
		t.Errorf("heard %v", p.heard.order)
	}
}

// Changes of one endpoint from many sides are heard of in the order of its revisions, and none is lost.
func TestChangesAreHeardInOrder(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	made := p.create(t, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				e := event.Endpoint{ID: made.ID, URL: fmt.Sprintf("https://x/%d/%d", i, j)}
				if _, err := p.UpdateEndpoint(t.Context(), p.tenant, e, nil, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, e := range p.heard.changed {
		if e.Revision != int64(i+1) {
			t.Fatalf("change %d has revision %d", i, e.Revision)
		}
	}
	if len(p.heard.changed) != 161 {
		t.Errorf("heard %d changes", len(p.heard.changed))
	}
}
