package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
)

// TestBadInput: every bad input has its status, its code, and names its field.
func TestBadInput(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	const (
		tenants   = "/v1/tenants"
		events    = "/v1/tenants/acme/events"
		changes   = "/v1/tenants/acme/changes"
		stream    = "/v1/tenants/acme/stream"
		socket    = "/v1/tenants/acme/socket"
		endpoints = "/v1/tenants/acme/endpoints"
		types     = "/v1/tenants/acme/event-types"
		keys      = "/v1/apikeys"
	)
	endpoint := endpoints + "/" + on.endpoint
	cases := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code, field              string
	}{
		{"no JSON", "POST", tenants, `{"name":`, nil, 400, "malformed_json", ""},
		{"two values", "POST", tenants, `{"name":"a"} {}`, nil, 400, "malformed_json", ""},
		{"name twice", "POST", tenants, `{"name":"a","name":"b"}`, nil, 400, "malformed_json", "name"},
		{"nested name twice", "POST", endpoints, `{"url":"http://a","batch":{"max":1,"max":2}}`, nil, 400, "malformed_json", "batch.max"},
		{"no UTF-8", "POST", tenants, "{\"name\":\"\xff\"}", nil, 400, "malformed_json", "name"},
		{"too deep", "POST", tenants, strings.Repeat("[", 70) + strings.Repeat("]", 70), nil, 422, "invalid", ""},
		{"no body", "POST", tenants, "", []string{"Content-Type", "application/json"}, 400, "malformed", ""},
		{"no body, no type", "POST", tenants, "", nil, 400, "malformed", ""},
		{"no object", "POST", tenants, `[]`, nil, 422, "invalid", "body"},
		{"form", "POST", tenants, "name=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"charset", "POST", tenants, `{"name":"a"}`, []string{"Content-Type", "application/json; charset=latin1"}, 415, "unsupported_media_type", ""},
		{"media type", "POST", tenants, `{"name":"a"}`, []string{"Content-Type", "a b c"}, 415, "unsupported_media_type", ""},
		{"unknown field", "POST", tenants, `{"name":"a","nosuch":1}`, nil, 422, "invalid", "nosuch"},
		{"field in another case", "POST", tenants, `{"Name":"a"}`, nil, 422, "invalid", "Name"},
		{"missing field", "POST", tenants, `{}`, nil, 422, "invalid", "name"},
		{"tenant's name", "POST", tenants, `{"name":"-a"}`, nil, 422, "invalid", "name"},
		{"wrong kind", "POST", tenants, `{"name":1}`, nil, 422, "invalid", "name"},
		{"negative rate", "POST", tenants, `{"name":"a","publish_rate":-1}`, nil, 422, "invalid", "publish_rate"},
		{"taken name", "POST", tenants, `{"name":"acme"}`, nil, 409, "conflict", ""},
		{"other name", "PUT", tenants + "/acme", `{"name":"b"}`, nil, 422, "invalid", "name"},
		{"unknown query", "GET", tenants + "?x=1", "", nil, 422, "invalid", "x"},
		{"compressed body", "POST", tenants, `{"name":"a"}`, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type", "Content-Encoding"},
		{"compressed publish", "POST", events, `{"type":"a"}`, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type", "Content-Encoding"},
		{"backup to no folder", "POST", "/v1/backup", `{}`, nil, 422, "invalid", "dir"},
		{"backup to a relative folder", "POST", "/v1/backup", `{"dir":"copy"}`, nil, 422, "invalid", "dir"},
		{"backup with more", "POST", "/v1/backup", `{"dir":"/copy","path":"x"}`, nil, 422, "invalid", "path"},
		{"body for nothing", "POST", endpoint + "/pause", `{"why":"x"}`, nil, 422, "invalid", "body"},
		{"query twice", "GET", endpoint + "/attempts?verdict=gone&verdict=failed", "", nil, 422, "invalid", "verdict"},
		{"limit 0", "GET", tenants + "?limit=0", "", nil, 422, "invalid", "limit"},
		{"limit 1001", "GET", tenants + "?limit=1001", "", nil, 422, "invalid", "limit"},
		{"limit x", "GET", tenants + "?limit=x", "", nil, 422, "invalid", "limit"},
		{"cursor", "GET", tenants + "?cursor=zzz", "", nil, 422, "invalid", "cursor"},
		{"cursor of another list", "GET", tenants + "?cursor=MWVh", "", nil, 422, "invalid", "cursor"},
		{"cursor no number", "GET", endpoints + "?cursor=MWUh", "", nil, 422, "invalid", "cursor"},
		{"long cursor", "GET", tenants + "?cursor=" + strings.Repeat("A", 700), "", nil, 422, "invalid", "cursor"},
		{"query", "GET", tenants + "?a=%zz", "", nil, 400, "malformed", ""},
		{"accept", "GET", tenants, "", []string{"Accept", "text/html"}, 406, "not_acceptable", ""},
		{"accept q=0", "GET", tenants, "", []string{"Accept", "application/json;q=0, */*"}, 406, "not_acceptable", ""},
		{"idempotency key", "POST", tenants, `{"name":"a"}`, []string{"Idempotency-Key", "a b"}, 422, "invalid", "Idempotency-Key"},
		{"long idempotency key", "POST", tenants, `{"name":"a"}`, []string{"Idempotency-Key", strings.Repeat("a", 256)}, 422, "invalid", "Idempotency-Key"},
		{"if-match", "PUT", tenants + "/acme", `{"name":"acme"}`, []string{"If-Match", `"4"`}, 412, "revision_mismatch", ""},
		{"weak if-match", "PUT", tenants + "/acme", `{"name":"acme"}`, []string{"If-Match", `W/"3"`}, 412, "revision_mismatch", ""},
		{"nonsense if-match", "PATCH", tenants + "/acme", `{}`, []string{"If-Match", `x`}, 412, "revision_mismatch", ""},

		{"endpoint without URL", "POST", endpoints, `{}`, nil, 422, "invalid", "url"},
		{"endpoint's URL", "POST", endpoints, `{"url":"x"}`, nil, 422, "invalid", "url"},
		{"order", "POST", endpoints, `{"url":"http://a","order":"any"}`, nil, 422, "invalid", "order"},
		{"types", "POST", endpoints, `{"url":"http://a","types":["a",1]}`, nil, 422, "invalid", "types[1]"},
		{"timeout", "POST", endpoints, `{"url":"http://a","timeout":"30"}`, nil, 422, "invalid", "timeout"},
		{"timeout a number", "POST", endpoints, `{"url":"http://a","timeout":30}`, nil, 422, "invalid", "timeout"},
		{"retries", "POST", endpoints, `{"url":"http://a","retries":["5s","-1s"]}`, nil, 422, "invalid", "retries[1]"},
		{"retries overflow", "POST", endpoints, `{"url":"http://a","retries":["5s","9999999999h"]}`, nil, 422, "invalid", "retries[1]"},
		{"batch", "POST", endpoints, `{"url":"http://a","batch":{"max":201}}`, nil, 422, "invalid", "batch.max"},
		{"batch field", "POST", endpoints, `{"url":"http://a","batch":{"size":2}}`, nil, 422, "invalid", "batch.size"},
		{"header's value", "POST", endpoints, `{"url":"http://a","headers":{"a":1}}`, nil, 422, "invalid", "headers.a"},
		{"auth type", "POST", endpoints, `{"url":"http://a","auth":{"type":"digest"}}`, nil, 422, "invalid", "auth.type"},
		{"basic without password", "POST", endpoints, `{"url":"http://a","auth":{"type":"basic","username":"u"}}`, nil, 422, "invalid", "auth.password"},
		{"basic with token", "POST", endpoints, `{"url":"http://a","auth":{"type":"basic","username":"u","password":"p","token":"t"}}`, nil, 422, "invalid", "auth.token"},
		{"bearer without token", "POST", endpoints, `{"url":"http://a","auth":{"type":"bearer"}}`, nil, 422, "invalid", "auth.token"},
		{"concurrency", "POST", endpoints, `{"url":"http://a","concurrency":1.5}`, nil, 422, "invalid", "concurrency"},
		{"too large", "POST", endpoints, `{"url":"` + strings.Repeat("a", 1<<20) + `"}`, nil, 413, "too_large", ""},
		{"patch no object", "PATCH", endpoint, `[]`, nil, 422, "invalid", "body"},
		{"patch removes URL", "PATCH", endpoint, `{"url":null}`, nil, 422, "invalid", "url"},
		{"patch unknown", "PATCH", endpoint, `{"nosuch":1}`, nil, 422, "invalid", "nosuch"},
		{"patch sets back what is not there", "PATCH", endpoint, `{"filtr":null}`, nil, 422, "invalid", "filtr"},
		{"patch nested", "PATCH", endpoint, `{"batch":{"max":"x"}}`, nil, 422, "invalid", "batch.max"},
		{"patch duration", "PATCH", endpoint, `{"retries":["9999999999h"]}`, nil, 422, "invalid", "retries[0]"},
		{"patch to another host", "PATCH", endpoint, `{"url":"https://evil.example/in"}`, nil, 422, "invalid", "auth.password"},
		{"no endpoint id", "GET", endpoints + "/ep_x", "", nil, 404, "not_found", ""},
		{"unknown endpoint", "GET", endpoints + "/ep_0000000000001", "", nil, 404, "not_found", ""},
		{"verdict", "GET", endpoint + "/attempts?verdict=ok", "", nil, 422, "invalid", "verdict[0]"},
		{"window", "GET", endpoint + "/stats?window=1d", "", nil, 422, "invalid", "window"},
		{"window 0s", "GET", endpoint + "/stats?window=0s", "", nil, 422, "invalid", "window"},
		{"long window", "GET", endpoint + "/stats?window=9999h", "", nil, 422, "invalid", "window"},
		{"test's type", "POST", endpoint + "/test", `{"type":"a..b"}`, nil, 422, "invalid", "type"},
		{"test's reserved type", "POST", endpoint + "/test", `{"type":"posthorn.endpoint"}`, nil, 422, "invalid", "type"},
		{"test's data", "POST", endpoint + "/test", `{"data":"` + strings.Repeat("a", 300<<10) + `"}`, nil, 413, "event_too_large", "data"},
		{"replay of nothing", "POST", endpoint + "/replay", `{}`, nil, 422, "invalid", "from_version"},
		{"replay both", "POST", endpoint + "/replay", `{"from_version":1,"since":"2026-01-01T00:00:00Z"}`, nil, 422, "invalid", "since"},
		{"replay backwards", "POST", endpoint + "/replay", `{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}`, nil, 422, "invalid", "until"},
		{"replay the future", "POST", endpoint + "/replay", `{"from_version":6}`, nil, 422, "invalid", "from_version"},
		{"replay time", "POST", endpoint + "/replay", `{"since":"yesterday"}`, nil, 422, "invalid", "since"},
		{"replay only", "POST", endpoint + "/replay", `{"from_version":1,"only":"some"}`, nil, 422, "invalid", "only"},
		{"overlap", "POST", endpoint + "/secret/rotate", `{"overlap":"721h"}`, nil, 422, "invalid", "overlap"},
		{"resend to nobody", "POST", events + "/id-1/resend", `{"endpoint":"ep_0000000000001"}`, nil, 422, "invalid", "endpoint"},
		{"resend nothing", "POST", events + "/nosuch/resend", "", nil, 404, "not_found", ""},

		{"start 0", "GET", changes + "?start=-1", "", nil, 422, "invalid", "start"},
		{"start x", "GET", changes + "?start=x", "", nil, 422, "invalid", "start"},
		{"long start", "GET", changes + "?start=9999999999999999999", "", nil, 422, "invalid", "start"},
		{"wait", "GET", changes + "?wait=soon", "", nil, 422, "invalid", "wait"},
		{"long wait", "GET", changes + "?wait=61", "", nil, 422, "invalid", "wait"},
		{"long wait in hours", "GET", changes + "?wait=1h", "", nil, 422, "invalid", "wait"},
		{"very long wait", "GET", changes + "?wait=999999999h", "", nil, 422, "invalid", "wait"},
		{"negative wait", "GET", changes + "?wait=-1", "", nil, 422, "invalid", "wait"},
		{"wait with a unit of its own", "GET", changes + "?wait=1d", "", nil, 422, "invalid", "wait"},
		{"pattern", "GET", changes + "?types=a,b*", "", nil, 422, "invalid", "types[1]"},
		{"empty pattern", "GET", changes + "?types=a,,b", "", nil, 422, "invalid", "types[1]"},
		{"long subject", "GET", changes + "?subject=" + strings.Repeat("a", 2000), "", nil, 422, "invalid", "subject[0]"},
		{"many subjects", "GET", changes + "?subject=" + strings.Repeat("a,", 200), "", nil, 422, "invalid", "subject"},
		{"filter", "GET", changes + "?filter=type+%3D", "", nil, 422, "invalid", "filter"},
		{"limit of changes", "GET", changes + "?limit=1001", "", nil, 422, "invalid", "limit"},
		{"unknown parameter of changes", "GET", changes + "?form=x", "", nil, 422, "invalid", "form"},
		{"body of changes", "GET", changes, `{"a":1}`, nil, 422, "invalid", "body"},
		{"changes twice", "GET", changes + "?start=1&start=2", "", nil, 422, "invalid", "start"},
		{"pattern of events", "GET", events + "?types=a!", "", nil, 422, "invalid", "types[0]"},
		{"filter of events", "GET", events + "?filter=)", "", nil, 422, "invalid", "filter"},
		{"stream of what", "GET", stream + "?event=names", "", nil, 422, "invalid", "event"},
		{"stream with a limit", "GET", stream + "?limit=1", "", nil, 422, "invalid", "limit"},
		{"stream's start", "GET", stream + "?start=0", "", nil, 422, "invalid", "start"},
		{"stream's pattern", "GET", stream + "?types=a!", "", nil, 422, "invalid", "types[0]"},
		{"stream's subject", "GET", stream + "?subject=a,", "", nil, 422, "invalid", "subject[1]"},
		{"stream's media type", "GET", stream, "", []string{"Accept", "application/json"}, 406, "not_acceptable", ""},
		{"last event", "GET", stream, "", []string{"Last-Event-ID", "abc"}, 422, "invalid", "Last-Event-ID"},
		{"last event with a sign", "GET", stream, "", []string{"Last-Event-ID", "+1"}, 422, "invalid", "Last-Event-ID"},
		{"last event of no log", "GET", stream, "", []string{"Last-Event-ID", "9223372036854775807"}, 422, "invalid", "Last-Event-ID"},
		{"long last event", "GET", stream, "", []string{"Last-Event-ID", strings.Repeat("1", 4000)}, 422, "invalid", "Last-Event-ID"},
		{"socket with a start", "GET", socket + "?start=1", "", nil, 422, "invalid", "start"},
		{"socket with anything", "GET", socket + "?x=1", "", nil, 422, "invalid", "x"},
		{"no upgrade", "GET", socket, "", nil, 426, "upgrade_required", ""},
		{"upgrade to something else", "GET", socket, "", []string{"Connection", "Upgrade", "Upgrade", "h2c"}, 426, "upgrade_required", ""},
		{"head of a socket", "HEAD", socket, "", nil, 405, "method_not_allowed", ""},
		{"no key of the handshake", "GET", socket, "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13"}, 400, "bad_handshake", ""},
		{"socket for another page", "GET", socket, "", append([]string{"Origin", "https://evil.example"}, handshake...), 403, "origin_not_allowed", ""},
		{"socket in another form", "GET", socket, "", append([]string{"Sec-WebSocket-Protocol", "mqtt"}, handshake...), 400, "unknown_subprotocol", ""},
		{"post to a stream", "POST", stream, "", nil, 405, "method_not_allowed", ""},
		{"since", "GET", events + "?since=today", "", nil, 422, "invalid", "since"},

		{"type without name", "POST", types, `{}`, nil, 422, "invalid", "name"},
		{"type's other name", "PUT", types + "/a.b", `{"name":"c"}`, nil, 422, "invalid", "name"},
		{"taken type", "POST", types, `{"name":"a.b"}`, nil, 409, "conflict", ""},
		{"no type", "PUT", types + "/nosuch", `{"name":"nosuch"}`, nil, 404, "not_found", ""},
		{"key without name", "POST", keys, `{"admin":true}`, nil, 422, "invalid", "name"},
		{"key's empty name", "POST", keys, `{"name":"","admin":true}`, nil, 422, "invalid", "name"},
		{"key for nothing", "POST", keys, `{"name":"k"}`, nil, 422, "invalid", "tenant"},
		{"key without allow", "POST", keys, `{"name":"k","tenant":"acme"}`, nil, 422, "invalid", "allow"},
		{"key for no tenant", "POST", keys, `{"name":"k","tenant":"nosuch","allow":["read"]}`, nil, 422, "invalid", "tenant"},
		{"key's permission", "POST", keys, `{"name":"k","tenant":"acme","allow":["write"]}`, nil, 422, "invalid", "allow[0]"},
		{"admin with tenant", "POST", keys, `{"name":"k","tenant":"acme","admin":true}`, nil, 422, "invalid", "tenant"},
		{"past key", "POST", keys, `{"name":"k","admin":true,"expires":"2020-01-01T00:00:00Z"}`, nil, 422, "invalid", "expires"},
		{"no key id", "DELETE", keys + "/key_x", "", nil, 404, "not_found", ""},

		{"publish no JSON", "POST", events, `{"type":"a",}`, nil, 400, "malformed_json", ""},
		{"publish no type", "POST", events, `{}`, nil, 422, "invalid", "type"},
		{"publish unknown field", "POST", events, `{"type":"a","x":1}`, nil, 422, "invalid", "x"},
		{"publish in a batch", "POST", events, `[{"type":"a"},{"type":""}]`, nil, 422, "invalid", "events[1].type"},
		{"publish a form", "POST", events, `a=b`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"publish with a query", "POST", events + "?x=1", `{"type":"a"}`, nil, 422, "invalid", "x"},
		{"publish accept", "POST", events, `{"type":"a"}`, []string{"Accept", "image/png"}, 406, "not_acceptable", ""},
		{"publish key", "POST", events, `{"type":"a"}`, []string{"Idempotency-Key", "\u00e9"}, 422, "invalid", "Idempotency-Key"},
		{"publish large event", "POST", events, `{"type":"a","data":"` + strings.Repeat("a", 256<<10) + `"}`, nil, 413, "event_too_large", ""},
		{"publish large batch", "POST", events, strings.Repeat(" ", 4<<20) + `{"type":"a"}`, nil, 413, "batch_too_large", ""},
		{"publish many", "POST", events, "[" + strings.Repeat(`{"type":"a"},`, 1000) + `{"type":"a"}]`, nil, 413, "batch_too_large", "events"},
		{"publish to nobody", "POST", "/v1/tenants/nosuch/events", `{"type":"a"}`, nil, 404, "not_found", ""},

		{"no path", "GET", "/v1/nosuch", "", nil, 404, "not_found", ""},
		{"unclean path", "GET", "/v1//tenants", "", nil, 404, "not_found", ""},
		{"dots", "GET", "/v1/tenants/../tenants", "", nil, 404, "not_found", ""},
		{"slash at the end", "GET", "/v1/tenants/", "", nil, 404, "not_found", ""},
		{"method", "PUT", tenants, `{}`, nil, 405, "method_not_allowed", ""},
	}
	codes := request{method: http.MethodGet, path: "/docs/problems"}.do(t, on.h).Body.String()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.code != "" && c.code != "conflict" && !strings.Contains(codes, `id="`+c.code+`"`) {
				t.Errorf("the code %s is not among those for people", c.code)
			}
			on.reset(t)
			w := request{c.method, c.path, "admin", c.body, c.header}.do(t, on.h)
			var p client.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			if w.Code != c.status || p.Status != c.status || c.code != "" && p.Code != c.code {
				t.Errorf("got %d %s, want %d %s: %s", w.Code, p.Code, c.status, c.code, w.Body)
			}
			if w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("media type %s", w.Header().Get("Content-Type"))
			}
			if c.field == "" {
				return
			}
			for _, f := range p.Errors {
				if f.Field == c.field && f.Message != "" {
					return
				}
			}
			t.Errorf("no error names %s: %s", c.field, w.Body)
		})
	}
}

// TestPublishHeadersOnce: of a header that was given twice, neither is taken, even when they are the same.
func TestPublishHeadersOnce(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, name := range rest.SingleHeaders {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/tenants/acme/events", strings.NewReader(`{"type":"a"}`))
		r.Header.Set("Authorization", "Bearer admin")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "k")
		r.Header.Add(name, r.Header.Get(name))
		w := httptest.NewRecorder()
		on.h.ServeHTTP(w, r)
		if p := decode[client.Problem](t, w, http.StatusBadRequest); p.Code != "malformed" || len(p.Errors) != 1 || p.Errors[0].Field != name {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

// TestInvalidJSONSaysWhere checks the line and column of what cannot be read.
func TestInvalidJSONSaysWhere(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for body, want := range map[string]string{
		"{\n  \"name\": \"é\",\n  \"x\" 1\n}": "line 3, column 7 ",
		`{"name":"a"`:                         "line 1, column 12 (byte 11): the value ends too early",
		`{"name":"a"}x`:                       "line 1, column 13 ",
		"{\"name\":\"a\",\n\"name\":\"b\"}":   "line 2, column 1 ",
	} {
		w := request{method: http.MethodPost, path: "/v1/tenants", key: "admin", body: body}.do(t, on.h)
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s, want %q", body, w.Code, w.Body, want)
		}
	}
}

// TestAcceptable: what browsers, curl and libraries send by default is met.
func TestAcceptable(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, accept := range []string{
		"", "*/*", "application/*", "application/json", "application/json, text/plain, */*", "text/html,application/xhtml+xml,*/*;q=0.8",
		"application/json; charset=utf-8", "application/problem+json, application/json;q=0.5", "text/html;q=0, */*;q=0.1",
	} {
		w := request{method: http.MethodGet, path: "/v1/tenants/acme", key: "admin", header: []string{"Accept", accept}}.do(t, on.h)
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%q: %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// TestWording: what huma finds wrong is said in our words.
func TestWording(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/v1/tenants/acme/endpoints", `{"url":"http://a","batch":{"max":201}}`, "must be at most 200"},
		{"POST", "/v1/tenants/acme/endpoints", `{"url":"http://a","order":"any"}`, "must be none, key or strict"},
		{"POST", "/v1/tenants/acme/endpoints", `{"url":"http://a","kind":"sms"}`, "must be webhook, flexibee or tunnel"},
		{"POST", "/v1/tenants", `[]`, "must be an object"},
		{"POST", "/v1/tenants", `{"name":5}`, "must be a string"},
		{"POST", "/v1/tenants", `{}`, "must be given"},
		{"POST", "/v1/tenants", `{"name":"a","publish_rate":-1}`, "must be at least 0"},
		{"GET", "/v1/tenants?limit=x", "", "must be a whole number"},
		{"GET", "/v1/tenants?limit=1001", "", "must be at most 1000"},
		{"GET", "/v1/tenants/acme/endpoints?state=maybe", "", "must be true or false"},
		{"GET", "/v1/tenants/acme/events?since=today", "", "must be an RFC 3339 time such as 2026-11-21T08:30:00Z"},
		{"POST", "/v1/tenants", `{"name":"a","description":"` + strings.Repeat("a", 1<<20) + `"}`, "must be at most 1048576 bytes"},
	} {
		w := request{method: c.method, path: c.path, key: "admin", body: c.body}.do(t, on.h)
		var p client.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || len(p.Errors) != 1 || p.Errors[0].Message != c.want {
			t.Errorf("%s %s: %v %+v, want %q", c.method, c.path, err, p.Errors, c.want)
		}
	}
}

// TestPatchMediaTypes: the refusal of a patch names both media types that it may have.
func TestPatchMediaTypes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{
		method: "PATCH", path: "/v1/tenants/acme", key: "admin", body: "[]", header: []string{"Content-Type", "application/json-patch+json"},
	}.do(t, on.h)
	const want = "application/json, application/merge-patch+json"
	if w.Code != 415 || w.Header().Get("Accept") != want {
		t.Errorf("%d, Accept %q, want %q: %s", w.Code, w.Header().Get("Accept"), want, w.Body)
	}
}

// TestEmptyObjectForNothing: an empty object is taken where nothing is expected, as many HTTP libraries send one.
func TestEmptyObjectForNothing(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{method: "POST", path: "/v1/tenants/acme/endpoints/" + on.endpoint + "/pause", key: "admin", body: "{}\n"}.do(t, on.h)
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestMediaTypeOnce: the refusal of a publish names each media type that is accepted, once.
func TestMediaTypeOnce(t *testing.T) {
	t.Parallel()
	api, _ := newAPI(t, newFake())
	w := request{
		method: "POST", path: "/v1/tenants/acme/events", key: "publisher", body: "hello", header: []string{"Content-Type", "text/plain"},
	}.do(t, api.Handler())
	p := decode[client.Problem](t, w, 415)
	for _, name := range []string{"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"} {
		if n := strings.Count(p.Detail, name); n != 1 {
			t.Errorf("%s stands %d times in %q", name, n, p.Detail)
		}
	}
}
