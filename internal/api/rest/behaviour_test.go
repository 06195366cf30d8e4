package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// decode reads an answer of an expected status.
func decode[T any](tb testing.TB, w *httptest.ResponseRecorder, status int) T {
	tb.Helper()
	var v T
	if w.Code != status {
		tb.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		tb.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func TestScopes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	endpoint := "/v1/tenants/acme/endpoints/" + on.endpoint
	for _, c := range []struct {
		key, method, path, body string
		status                  int
	}{
		{"reader", "GET", "/v1/tenants/acme", "", 200},
		{"manager", "GET", "/v1/tenants/acme", "", 200}, // manage includes read
		{"publisher", "GET", "/v1/tenants/acme", "", 403},
		{"reader", "GET", "/v1/tenants", "", 403},
		{"manager", "GET", "/v1/apikeys", "", 403},
		{"manager", "DELETE", "/v1/tenants/acme", "", 403},
		{"foreign", "GET", "/v1/tenants/acme", "", 403},
		{"foreign", "GET", "/v1/tenants/nosuch", "", 403},
		{"admin", "GET", "/v1/tenants/nosuch", "", 404},
		{"reader", "GET", endpoint, "", 200},
		{"reader", "GET", endpoint + "/secret", "", 403},
		{"reader", "POST", endpoint + "/pause", "", 403},
		{"manager", "GET", endpoint + "/secret", "", 200},
		{"reader", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 403},
		{"manager", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 403},
		{"publisher", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 202},
		{"foreign", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 403},
		{"foreign", "POST", "/v1/tenants/nosuch/events", `{"type":"a"}`, 403},
		{"", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 401},
		{"", "GET", "/v1/tenants/acme", "", 401},
	} {
		if w := (request{method: c.method, path: c.path, key: c.key, body: c.body}).do(t, on.h); w.Code != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.key, c.method, c.path, w.Code, c.status, w.Body)
		}
	}
	same := func(path string) string {
		return request{method: http.MethodGet, path: path, key: "foreign"}.do(t, on.h).Body.String()
	}
	if a, b := same("/v1/tenants/acme"), same("/v1/tenants/nosuch"); a != b {
		t.Errorf("an answer tells whether the tenant exists: %s %s", a, b)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, log := newAPI(t, f)
	h := api.Handler()
	path := "/v1/tenants/acme/endpoints/" + f.seed(t)
	get := func(key, path string) *httptest.ResponseRecorder {
		return request{method: http.MethodGet, path: path, key: key}.do(t, h)
	}
	read, manage := get("reader", path), get("manager", path)
	if s := read.Body.String(); strings.Contains(s, "hush") || strings.Contains(s, "pass-word") || strings.Contains(s, "X-Secret") {
		t.Errorf("a key that may read sees secrets: %s", s)
	}
	if s := manage.Body.String(); !strings.Contains(s, `"X-Secret":"hush"`) || strings.Contains(s, "pass-word") {
		t.Errorf("a key that may manage: %s", s)
	}
	if w := get("manager", path+"/secret"); w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
	}
	made := request{method: http.MethodPost, path: "/v1/apikeys", key: "admin", body: `{"name":"k","admin":true}`}.do(t, h)
	key := decode[client.APIKey](t, made, 201)
	if key.Key == "" || made.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("key %+v", key)
	}
	if again := decode[client.APIKey](t, get("admin", "/v1/apikeys/"+key.ID), 200); again.Key != "" {
		t.Error("the key is shown twice")
	}
	_ = request{method: http.MethodPost, path: "/v1/tenants/acme/events", key: "publisher", body: `{"type":"a","data":"payload-text"}`}.do(t, h)
	for _, secret := range []string{"hush", "pass-word", key.Key, "payload-text", "Bearer", "publisher"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestCredentialsAreKept(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	path := "/v1/tenants/acme/endpoints/" + on.endpoint
	id, _ := event.ParseEndpointID(on.endpoint)
	do := func(method, body string) *httptest.ResponseRecorder {
		return request{method: method, path: path, key: "manager", body: body}.do(t, on.h)
	}
	// What was read can be written back.
	read := do(http.MethodGet, "")
	if w := do(http.MethodPut, read.Body.String()); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if s := on.secrets[id]; s.Auth == nil || s.Auth.Password != "pass-word" || len(s.Headers) != 1 {
		t.Errorf("after a round trip: %+v", s)
	}
	_ = decode[client.Endpoint](t, do(http.MethodPatch, `{"url":"https://example.com/other","headers":{"X-B":"2"}}`), 200)
	if s := on.secrets[id]; s.Auth.Password != "pass-word" || len(s.Headers) != 2 {
		t.Errorf("after a patch: %+v", s)
	}
	_ = decode[client.Endpoint](t, do(http.MethodPatch, `{"auth":{"password":"new"}}`), 200)
	if s := on.secrets[id]; s.Auth.Password != "new" || s.Auth.Username != "u" {
		t.Errorf("after a new password: %+v", s.Auth)
	}
	if w := do(http.MethodPatch, `{"auth":{"username":"v"}}`); w.Code != 422 {
		t.Errorf("a new username takes the old password: %d", w.Code)
	}
	if w := do(http.MethodPut, `{"url":"https://evil.example/","auth":{"type":"basic","username":"u"}}`); w.Code != 422 {
		t.Errorf("another host gets the old password: %d", w.Code)
	}
	_ = decode[client.Endpoint](t, do(http.MethodPatch, `{"auth":null,"headers":null}`), 200)
	if s := on.secrets[id]; s.Auth != nil || len(s.Headers) != 0 || on.endpoints[id].AuthType != "" {
		t.Errorf("after a removal: %+v", s)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	const path = "/v1/tenants/acme"
	get := func(header ...string) *httptest.ResponseRecorder {
		return request{method: http.MethodGet, path: path, key: "admin", header: header}.do(t, on.h)
	}
	tag := get().Header().Get("ETag")
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if w := get("If-None-Match", match); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q", match, w.Code, w.Header().Get("ETag"))
		}
	}
	if w := get("If-None-Match", `"x"`); w.Code != 200 {
		t.Errorf("another tag: %d", w.Code)
	}
	put := func(match string) *httptest.ResponseRecorder {
		return request{method: http.MethodPut, path: path, key: "admin", body: `{"name":"acme"}`, header: []string{"If-Match", match}}.do(t, on.h)
	}
	if w := put(`"99", ` + tag); w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("one of two: %d %s", w.Code, w.Header().Get("ETag"))
	}
	if w := put(tag); w.Code != 412 {
		t.Errorf("an old tag: %d", w.Code)
	}
	if w := put("*"); w.Code != 200 {
		t.Errorf("any: %d", w.Code)
	}
	// An endpoint's ETag sees its state, too; If-Match does not.
	endpoint := "/v1/tenants/acme/endpoints/" + on.endpoint
	first := request{method: http.MethodGet, path: endpoint, key: "admin"}.do(t, on.h).Header().Get("ETag")
	on.view.Backlog++
	w := request{method: http.MethodGet, path: endpoint, key: "admin", header: []string{"If-None-Match", first}}.do(t, on.h)
	if w.Code != 200 || w.Header().Get("ETag") == first {
		t.Errorf("the state changed: %d", w.Code)
	}
	w = request{method: http.MethodPatch, path: endpoint, key: "admin", body: `{"description":"x"}`, header: []string{"If-Match", first}}.do(t, on.h)
	if w.Code != 200 {
		t.Errorf("If-Match with an old state: %d %s", w.Code, w.Body)
	}
}

func TestPatchAppliesAgain(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	patch := func(header ...string) int {
		on.conflicts = 2
		return request{method: http.MethodPatch, path: "/v1/tenants/acme", key: "admin", body: `{"description":"x"}`, header: header}.do(t, on.h).Code
	}
	if code := patch(); code != 200 {
		t.Errorf("without a condition: %d", code)
	}
	if code := patch("If-Match", `"4"`); code != 412 {
		t.Errorf("with a condition: %d", code)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	do := func(key, idempotency, body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: "/v1/apikeys", key: key, body: body, header: []string{"Idempotency-Key", idempotency}}.do(t, on.h)
	}
	const body = `{"name":"k","admin":true}`
	first := do("admin", "one", body)
	second := do("admin", "one", body)
	if first.Code != 201 || second.Code != 201 || first.Body.String() != second.Body.String() || second.Header().Get("Idempotent-Replayed") != "true" ||
		second.Header().Get("Location") != first.Header().Get("Location") {
		t.Errorf("%d %s; %d %s", first.Code, first.Body, second.Code, second.Body)
	}
	key := decode[client.APIKey](t, first, 201)
	for name, a := range on.answers {
		if strings.Contains(string(a.Body), key.Key) || strings.Contains(name, "admin") {
			t.Error("a saved answer holds a secret in clear")
		}
	}
	if p := decode[client.Problem](t, do("admin", "one", `{"name":"l","admin":true}`), 409); p.Code != "idempotency_key_reused" {
		t.Errorf("another body: %s", p.Code)
	}
	if other := decode[client.APIKey](t, do("admin", "two", body), 201); other.Key == key.Key {
		t.Error("another Idempotency-Key got the same answer")
	}
	// A failure is not kept.
	if w := do("admin", "three", `{"name":"k"}`); w.Code != 422 {
		t.Errorf("%d", w.Code)
	}
	if w := do("admin", "three", body); w.Code != 201 {
		t.Errorf("after a failure: %d %s", w.Code, w.Body)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, _ := newAPI(t, f)
	h := api.Handler()
	do := func(body string, header ...string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: "/v1/tenants/acme/events", key: "publisher", body: body, header: header}.do(t, h)
	}
	for _, c := range []struct {
		name, body, want string
		status           int
		header           []string
	}{
		{"one", `{"type":"a","id":"x"}`, `{"id":"x","version":1}`, 202, nil},
		{"again", `{"type":"a","id":"x"}`, `{"id":"x","version":1}`, 200, nil},
		{"array", `[{"type":"a","id":"x"},{"type":"b","id":"\"e"}]`, `{"events":[{"id":"x","version":1},{"id":"\"e","version":2}]}`, 202, nil},
		{"array again", `[{"type":"a","id":"x"}]`, `{"events":[{"id":"x","version":1}]}`, 200, nil},
		{"cloudevents", `{"specversion":"1.0","type":"a","id":"c","source":"/s"}`, `{"id":"c","version":3}`, 202, []string{"Content-Type", "application/cloudevents+json"}},
		{"cloudevents batch", `[{"specversion":"1.0","type":"a","id":"d","source":"/s"}]`, `{"events":[{"id":"d","version":4}]}`, 202, []string{"Content-Type", "application/cloudevents-batch+json"}},
		{"binary mode", `hello`, `{"id":"e","version":5}`, 202, []string{"Content-Type", "text/plain", "ce-specversion", "1.0", "ce-id", "e", "ce-type", "a", "ce-source", "/s"}},
		{"idempotency key", `{"type":"k"}`, `{"id":"id-6","version":6}`, 202, []string{"Idempotency-Key", "K"}},
		{"idempotency key again", `{"type":"k"}`, `{"id":"id-6","version":6}`, 200, []string{"Idempotency-Key", "K"}},
	} {
		w := do(c.body, c.header...)
		if w.Code != c.status || w.Body.String() != c.want+"\n" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.status, c.want)
		}
	}
	if e := f.events[4]; string(e.Data) != "hello" || e.ContentType != "text/plain" {
		t.Errorf("binary mode: %+v", e)
	}
	escaped := request{method: http.MethodPost, path: "/v1/tenants/%61cme/events", key: "publisher", body: `{"type":"a"}`}.do(t, h)
	if escaped.Code != 202 {
		t.Errorf("an escaped path: %d %s", escaped.Code, escaped.Body)
	}
}

// TestAnyEventID: an event can be read whatever its id is made of, once that is escaped.
func TestAnyEventID(t *testing.T) {
	t.Parallel()
	api, _ := newAPI(t, newFake())
	h := api.Handler()
	for id, escaped := range map[string]string{
		"a/b": "a%2Fb", "a//b": "a%2F%2Fb", "a/../b": "a%2F..%2Fb", "..": "%2E%2E", "a%2Fb": "a%252Fb", "x?y#z": "x%3Fy%23z", "q/attempts": "q%2Fattempts",
	} {
		body := `{"type":"a","id":"` + id + `"}`
		if w := (request{method: http.MethodPost, path: "/v1/tenants/acme/events", key: "publisher", body: body}).do(t, h); w.Code != 202 {
			t.Fatalf("%s: %d %s", id, w.Code, w.Body)
		}
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/events/" + escaped, key: "reader"}.do(t, h)
		if e := decode[client.Event](t, w, 200); e.ID != id {
			t.Errorf("%s: got %s", escaped, e.ID)
		}
	}
}

// TestPublishFails: what the server hides, it logs under the id that it answers; and nothing panics out.
func TestPublishFails(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, log := newAPI(t, f)
	do := func() *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: "/v1/tenants/acme/events", key: "publisher", body: `{"type":"a"}`}.do(t, api.Handler())
	}
	f.fail = errors.New("the disk said: secret detail")
	w := do()
	if w.Code != 500 || strings.Contains(w.Body.String(), "disk") || !strings.Contains(log.String(), "secret detail") ||
		!strings.Contains(log.String(), w.Header().Get("X-Request-Id")) || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d %s; log: %s", w.Code, w.Body, log)
	}
	f.fail = &event.Error{Kind: event.KindRateLimited, Code: "rate_limited", RetryAfter: 1200 * time.Millisecond}
	if w = do(); w.Code != 429 || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	f.fail, f.publish = nil, func(context.Context, []event.Event) error { panic("oops") }
	if w = do(); w.Code != 500 || strings.Contains(w.Body.String(), "oops") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestHiddenFailure is the same for the other routes.
func TestHiddenFailure(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, log := newAPI(t, f)
	f.fail = errors.New("the disk said: secret detail")
	w := request{method: http.MethodGet, path: "/v1/tenants", key: "admin", header: []string{"X-Request-Id", "mine-1"}}.do(t, api.Handler())
	if w.Code != 500 || strings.Contains(w.Body.String(), "disk") || !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "request_id=mine-1") {
		t.Errorf("%d %s; log: %s", w.Code, w.Body, log)
	}
	w = request{method: http.MethodGet, path: "/v1/tenants", key: "admin", header: []string{"X-Request-Id", "bad id\n"}}.do(t, api.Handler())
	if id := w.Header().Get("X-Request-Id"); id == "" || strings.Contains(id, "bad") {
		t.Errorf("request id %q", id)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	get := func(query string, header ...string) *httptest.ResponseRecorder {
		return request{method: http.MethodGet, path: "/v1/tenants/acme/changes" + query, key: "reader", header: header}.do(t, on.h)
	}
	if p := decode[client.Problem](t, get("?start=7"), 422); p.Code != "start_beyond_head" || len(p.Errors) != 1 || p.Errors[0].Field != "start" {
		t.Errorf("a start beyond the head: %+v", p)
	}
	for _, c := range []struct {
		query      string
		versions   string
		next, head int64
	}{
		{"", "1 2 3 4 5", 6, 5},
		{"?start=1&limit=2", "1 2", 3, 5},
		{"?start=3", "3 4 5", 6, 5},
		{"?start=6", "", 6, 5},
		{"?types=order.**", "1 3 5", 6, 5},
		{"?types=order.**&limit=2", "1 3", 4, 5},
		{"?types=user.created,nosuch", "2 4", 6, 5},
		{"?types=nosuch&limit=1", "", 6, 5},
		{"?subject=s/3", "4", 6, 5},
	} {
		got := decode[client.Changes](t, get(c.query), 200)
		var versions []string
		for _, e := range got.Changes {
			versions = append(versions, strconv.FormatInt(e.Version, 10))
		}
		if strings.Join(versions, " ") != c.versions || got.Next != c.next || got.Head != c.head {
			t.Errorf("%q: %v next %d head %d", c.query, versions, got.Next, got.Head)
		}
	}
	w := get("?start=6")
	if again := get("?start=6", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 {
		t.Errorf("nothing new: %d", again.Code)
	}
	if !strings.Contains(get("?limit=1").Body.String(), `{"n": 0}`) {
		t.Error("data is not as it was published")
	}
	on.oldest = 4
	p := decode[client.Problem](t, get("?start=3"), 410)
	if p.Oldest != 4 || p.Code != "gone" {
		t.Errorf("%+v", p)
	}
	if got := decode[client.Changes](t, get(""), 200); len(got.Changes) != 2 || got.Changes[0].Version != 4 {
		t.Errorf("from the oldest: %+v", got)
	}
}

func TestEventList(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for query, want := range map[string]string{
		"": "5 4 3 2 1", "limit=2": "5 4 3 2 1", "types=order.**": "5 3 1", "types=order.**&limit=1": "5 3 1", "subject=s/1": "2",
		"since=2026-01-02T03:04:08Z": "5 4", "until=2026-01-02T03:04:08Z": "3 2 1", "until=2020-01-01T00:00:00Z": "",
		"since=2026-01-02T03:04:07Z&until=2026-01-02T03:04:08Z": "3",
	} {
		var versions []string
		for cursor, pages := "", 0; pages < 20; pages++ {
			w := request{method: http.MethodGet, path: "/v1/tenants/acme/events?" + query + "&cursor=" + cursor, key: "reader"}.do(t, on.h)
			page := decode[client.Page[client.Event]](t, w, 200)
			for _, e := range page.Data {
				versions = append(versions, strconv.FormatInt(e.Version, 10))
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if got := strings.Join(versions, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestReplayRange(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	path := "/v1/tenants/acme/endpoints/" + on.endpoint + "/replay"
	for body, want := range map[string]event.ReplayRange{
		`{"from_version":2}`:                                {From: 2, To: 5},
		`{"from_version":2,"only":"failed"}`:                {From: 2, To: 5, OnlyFailed: true, Matching: 1},
		`{"since":"2026-01-02T03:04:08Z"}`:                  {From: 4, To: 5},
		`{"from_version":1,"until":"2026-01-02T03:04:08Z"}`: {From: 1, To: 3},
	} {
		on.replays = nil
		w := request{method: http.MethodPost, path: path, key: "manager", body: body}.do(t, on.h)
		if w.Code != 202 || len(on.replays) != 1 || on.replays[0] != want {
			t.Errorf("%s: %d %s %+v", body, w.Code, w.Body, on.replays)
		}
	}
	on.oldest = 3
	p := decode[client.Problem](t, request{method: http.MethodPost, path: path, key: "manager", body: `{"from_version":2}`}.do(t, on.h), 410)
	if p.Oldest != 3 {
		t.Errorf("%+v", p)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	id, _ := event.ParseEndpointID(on.endpoint)
	path := "/v1/tenants/acme/endpoints/" + on.endpoint + "/stats"
	get := func(query string) client.Stats {
		return decode[client.Stats](t, request{method: http.MethodGet, path: path + query, key: "reader"}.do(t, on.h), 200)
	}
	s := get("")
	if s.Attempts != 3 || s.Delivered != 1 || s.Retry != 2 || !s.Complete || s.Latency.P50 != 20 || s.Latency.P99 != 30 || s.Window.String() != "24h" {
		t.Errorf("%+v", s)
	}
	if s = get("?window=90s"); s.Attempts != 1 || s.SuccessRate != 1 {
		t.Errorf("a short window: %+v", s)
	}
	on.attempts = nil
	for i := range 10_500 {
		on.attempts = append(on.attempts, event.Attempt{ID: int64(i + 1), Endpoint: id, Versions: []int64{1}, At: time.Now(), Verdict: event.VerdictFailed})
	}
	if s = get(""); s.Attempts != 10_000 || s.Complete || s.Failed != 10_000 || s.Latency.P50 != 0 || s.LastAttempt == nil {
		t.Errorf("many: %+v", s)
	}
	on.attempts = nil
	if s = get(""); s.Attempts != 0 || !s.Complete || s.LastAttempt != nil {
		t.Errorf("none: %+v", s)
	}
}

func TestResendAndTest(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{method: http.MethodPost, path: "/v1/tenants/acme/events/id-2/resend", key: "manager", body: `{"endpoint":"` + on.endpoint + `"}`}.do(t, on.h)
	if got := decode[client.Resent](t, w, 202); len(got.Endpoints) != 1 || got.Version != 2 || len(on.resent) != 1 || on.resent[0] != on.endpoint+" 2" {
		t.Errorf("%+v %v", got, on.resent)
	}
	w = request{method: http.MethodPost, path: "/v1/tenants/acme/endpoints/" + on.endpoint + "/test", key: "manager"}.do(t, on.h)
	got := decode[client.TestResult](t, w, 200)
	if got.Status != 500 || got.Verdict != "retry" || got.DurationMS != 12.345 || got.Headers["X-A"] != "1, 2" || got.Body != "no \uFFFD" || got.Cause != "" {
		t.Errorf("%+v", got)
	}
	w = request{method: http.MethodPost, path: "/v1/tenants/acme/endpoints/" + on.endpoint + "/test", key: "manager", body: `{"type":"nobody.answers"}`}.do(t, on.h)
	if got := decode[client.TestResult](t, w, 200); got.Status != 0 || got.Cause != "refused" || got.Error != "connection refused" {
		t.Errorf("%+v", got)
	}
	if on.tested[0].Type != "posthorn.test" || !json.Valid(on.tested[0].Data) {
		t.Errorf("%+v", on.tested[0])
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for i := range 1100 {
		if _, err := on.CreateTenant(t.Context(), event.Tenant{Name: "t" + strconv.Itoa(10_000+i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []string{"1000", "999", "7"} {
		seen, cursor := 0, ""
		for {
			w := request{method: http.MethodGet, path: "/v1/tenants?limit=" + limit + "&cursor=" + cursor, key: "admin"}.do(t, on.h)
			page := decode[client.Page[client.Tenant]](t, w, 200)
			seen += len(page.Data)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if seen != 1102 {
			t.Errorf("limit %s: %d tenants", limit, seen)
		}
	}
}

func TestSystemRoutes(t *testing.T) {
	t.Parallel()
	f := newFake()
	said := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) })
	}
	api, _ := newAPI(t, f, func(c *rest.Config) {
		c.Health, c.Ready, c.Metrics, c.Profile = said("health"), said("ready"), said("metrics"), said("profile")
	})
	h := api.Handler()
	for _, c := range []struct {
		path, key string
		status    int
	}{
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/metrics", "", 200},
		{"/docs", "", 200},
		{"/docs/docs.js", "", 200},
		{"/docs/docs.css", "", 200},
		{"/docs/problems", "", 200},
		{"/openapi.json", "", 200},
		{"/debug/pprof/", "", 401},
		{"/debug/pprof/heap", "manager", 403},
		{"/debug/pprof/heap", "admin", 200},
	} {
		w := request{method: http.MethodGet, path: c.path, key: c.key}.do(t, h)
		if w.Code != c.status || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s as %q: %d", c.path, c.key, w.Code)
		}
		if strings.HasPrefix(c.path, "/docs") && !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'") {
			t.Errorf("%s: policy %q", c.path, w.Header().Get("Content-Security-Policy"))
		}
		if tag := w.Header().Get("ETag"); tag != "" {
			if again := (request{method: http.MethodGet, path: c.path, header: []string{"If-None-Match", tag}}).do(t, h); again.Code != 304 {
				t.Errorf("%s again: %d", c.path, again.Code)
			}
		}
	}
	if w := (request{method: http.MethodGet, path: "/"}).do(t, h); w.Code != http.StatusFound || w.Header().Get("Location") != "/docs" {
		t.Errorf("/: %d to %q", w.Code, w.Header().Get("Location"))
	}
	page := request{method: http.MethodGet, path: "/docs"}.do(t, h).Body.String()
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "style=") || strings.Contains(page, "onclick") {
		t.Error("the page needs something that its policy refuses")
	}
	if p := decode[client.Problem](t, request{method: http.MethodPost, path: "/healthz"}.do(t, h), 405); p.Code != "method_not_allowed" {
		t.Errorf("%+v", p)
	}
}
