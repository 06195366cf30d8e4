package rest_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

const sourcePath = "/v1/tenants/acme/sources/github"

func TestSourceHidesSecrets(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{method: http.MethodGet, path: sourcePath, key: "reader"}.do(t, on.h)
	s := decode[client.Source](t, w, 200)
	if strings.Contains(w.Body.String(), "some length") || strings.Contains(w.Body.String(), "hush") || s.Secrets != nil {
		t.Errorf("%s", w.Body)
	}
	if len(s.SecretHints) != 2 || s.SecretHints[0].Hint != "a se…" && s.SecretHints[0].Hint != "…" || s.SecretHints[1].Hint != "…" || s.SecretHints[1].Expires == nil {
		t.Errorf("%+v", s.SecretHints)
	}
	if v, ok := s.Settings["verify_token"]; !ok || v != "" || s.Settings["page"] != "12" {
		t.Errorf("%v", s.Settings)
	}
	if s.URL != "https://hooks.example.com/in/acme/github" || s.Inspect != "refused" || s.Bin == "" || s.Sync == nil || s.Sync.Wait != client.Duration(5*time.Second) ||
		s.Map.Type != `"a.b"` || s.Answer.Status != 202 || s.Answer.Headers["X-A"] != "b" || s.Answer.Body != "ok" {
		t.Errorf("%s", w.Body)
	}
	if v := s.State; v == nil || v.Accepted != 7 || v.LastAccepted == nil || v.LastRefused.Code != "bad_signature" {
		t.Errorf("%+v", s.State)
	}
	get := func(key string) *httptest.ResponseRecorder {
		return request{method: http.MethodGet, path: sourcePath + "/secrets", key: key}.do(t, on.h)
	}
	if w := get("reader"); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = get("manager")
	if got := decode[client.SourceSecrets](t, w, 200); got.Secrets[0].Secret != "a secret of some length" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", got, w.Header())
	}
}

// TestSourceRoundTrip: what was read can be written, and changes nothing of what is not shown.
func TestSourceRoundTrip(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	before := on.sources.hidden[1]
	read := request{method: http.MethodGet, path: sourcePath, key: "manager"}.do(t, on.h)
	w := request{method: http.MethodPut, path: sourcePath, key: "manager", body: read.Body.String(), header: []string{"If-Match", read.Header().Get("ETag")}}.do(t, on.h)
	was, is := decode[client.Source](t, read, 200), decode[client.Source](t, w, 200)
	was.Updated, was.State = is.Updated, nil
	if !reflect.DeepEqual(was, is) {
		t.Errorf("\n%+v\n%+v", was, is)
	}
	after := on.sources.hidden[1]
	if len(after.Secrets) != len(before.Secrets) || after.Settings["verify_token"] != "hush" || after.Settings["page"] != "12" {
		t.Errorf("%+v", after)
	}
	if w := (request{method: http.MethodPut, path: sourcePath, key: "manager", body: read.Body.String(), header: []string{"If-Match", read.Header().Get("ETag")}}).do(t, on.h); w.Code != 412 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPatchSource(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	patch := func(body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPatch, path: sourcePath, key: "manager", body: body}.do(t, on.h)
	}
	s := decode[client.Source](t, patch(`{"settings":{"page":null},"map":{"type":null,"subject":"\"x\""},"answer":null,"sync":null,"inspect":"all"}`), 200)
	if on.sources.hidden[1].Settings["verify_token"] != "hush" || len(on.sources.hidden[1].Settings) != 1 {
		t.Errorf("%+v", on.sources.hidden[1])
	}
	if s.Map.Subject != `"x"` || s.Map.Type != "" || s.Answer != nil || s.Sync != nil || s.Inspect != "all" {
		t.Errorf("%+v", s)
	}
	_ = decode[client.Source](t, patch(`{"secrets":["new"],"settings":null}`), 200)
	if h := on.sources.hidden[1]; len(h.Secrets) != 1 || h.Secrets[0].Secret != "new" || len(h.Settings) != 0 {
		t.Errorf("%+v", h)
	}
	_ = decode[client.Source](t, patch(`{"secrets":[]}`), 200)
	if h := on.sources.hidden[1]; len(h.Secrets) != 0 {
		t.Errorf("%+v", h)
	}
	for body, field := range map[string]string{
		`{"name":"other"}`: "name", `{"sync":{"endpoint":"x"}}`: "sync.endpoint", `{"inspect":"some"}`: "inspect", `{"answer":{"status":99}}`: "answer.status",
		`{"map":{"kind":"x"}}`: "map.kind", `{"tolerance":"x"}`: "tolerance",
	} {
		if p := decode[client.Problem](t, patch(body), 422); len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestAddSourceSecret(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	add := func(body string) client.SourceSecrets {
		return decode[client.SourceSecrets](t, request{method: http.MethodPost, path: sourcePath + "/secrets", key: "manager", body: body}.do(t, on.h), 200)
	}
	if got := add(`{"secret":"s2"}`); got.Secrets[0].Secret != "s2" || got.Secrets[0].Expires != nil || !got.Secrets[1].Expires.Equal(start.Add(24*time.Hour)) {
		t.Errorf("%+v", got)
	}
	if got := add(`{"secret":"s3","overlap":"0s"}`); !got.Secrets[1].Expires.Equal(start) {
		t.Errorf("%+v", got)
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, key := range []string{"reader", "manager", "admin", "foreign"} {
		w := request{method: http.MethodGet, path: "/v1/providers", key: key}.do(t, on.h)
		if got := decode[client.Providers](t, w, 200); len(got.Data) != 1 || !got.Data[0].Settings[0].Secret || got.Data[0].Aliases[0] != "facebook" {
			t.Errorf("%s", w.Body)
		}
	}
}

func TestEventOrigin(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.events[0].Origin = &event.Request{
		Head: []byte("POST /in/acme/github?a=1 HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nX-Twice: 2\r\n"), Remote: "192.0.2.1", URL: "https://x/in/acme/github?a=1",
	}
	w := request{method: http.MethodGet, path: "/v1/tenants/acme/events/id-1", key: "reader"}.do(t, on.h)
	e := decode[client.Event](t, w, 200)
	o := e.Origin
	if o == nil || o.Method != "POST" || o.Target != "/in/acme/github?a=1" || len(o.Headers) != 3 || o.Headers[2].Value != "2" || o.Remote != "192.0.2.1" ||
		*o.Body != string(on.events[0].Data) || o.URL != "https://x/in/acme/github?a=1" || o.BodyBase64 != "" {
		t.Errorf("%s", w.Body)
	}
	on.events[0].Data, on.events[0].ContentType = []byte{0xff, 0}, "application/octet-stream"
	w = request{method: http.MethodGet, path: "/v1/tenants/acme/events/id-1", key: "reader"}.do(t, on.h)
	if e = decode[client.Event](t, w, 200); e.Origin.Body != nil || e.Origin.BodyBase64 != "/wA=" {
		t.Errorf("%s", w.Body)
	}
	if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/events", key: "reader"}).do(t, on.h); strings.Contains(w.Body.String(), "origin") {
		t.Errorf("%s", w.Body)
	}
}

func TestNoSources(t *testing.T) {
	t.Parallel()
	api, _ := newAPI(t, newFake(), func(c *rest.Config) { c.Sources = nil })
	if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/sources", key: "admin"}).do(t, api.Handler()); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
