package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// withTokens adds a token of every kind.
func withTokens(f *fake) {
	all := []event.Permission{event.AllowPublish, event.AllowRead, event.AllowManage}
	f.token("token", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}})
	f.token("whole", event.APIKey{Tenant: 1, Allow: all})
	f.token("abroad", event.APIKey{Tenant: 2, Allow: all})
	f.token("root", event.APIKey{Admin: true})
	f.token("orders", event.APIKey{Tenant: 1, Allow: all, Only: &event.Selection{Types: []string{"order.**"}}})
	f.token("subjects", event.APIKey{Tenant: 1, Allow: all, Only: &event.Selection{Subjects: []string{"s/1", "late/*"}}})
	f.token("both", event.APIKey{Tenant: 1, Allow: all, Only: &event.Selection{Types: []string{"order.**"}, Subjects: []string{"s/2"}}})
	f.token("filtered", event.APIKey{Tenant: 1, Allow: all, Only: &event.Selection{Filter: "true"}})
	f.token("narrowadmin", event.APIKey{Admin: true, Only: &event.Selection{Types: []string{"order.**"}}})
}

// TestTokensComeInThreeWays: as a bearer anywhere; by the query and as a cookie only where somebody listens, and then no
// API keys.
func TestTokensComeInThreeWays(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	withTokens(on.fake)
	listening := map[string]int{"changes": 200, "stream": 200, "socket": 101}
	for _, c := range []struct {
		name, query, key, cookie string
		status                   int // 0: that of success
		detail                   string
	}{
		{"bearer token", "", "token", "", 0, ""},
		{"bearer key", "", "reader", "", 0, ""},
		{"query", "token", "", "", 0, ""},
		{"cookie", "", "", "posthorn_token=token", 0, ""},
		{"another cookie beside", "", "token", "session=1", 0, ""},
		{"nothing", "", "", "", 401, "send an API key or a token"},
		{"key in the query", "reader", "", "", 401, "take tokens only"},
		{"admin key in the query", "admin", "", "", 401, "take tokens only"},
		{"key in the cookie", "", "", "posthorn_token=reader", 401, "take tokens only"},
		{"unknown in the query", "nonsense", "", "", 401, ""},
		{"header and query", "token", "token", "", 400, "once"},
		{"header before cookie", "", "token", "posthorn_token=nonsense", 0, ""},
		{"key in the header before cookie", "", "reader", "posthorn_token=nonsense", 0, ""},
		{"bad header before cookie", "", "nonsense", "posthorn_token=token", 401, ""},
		{"header before cookies", "", "token", "posthorn_token=token; posthorn_token=token", 0, ""},
		{"query before cookie", "token", "", "posthorn_token=nonsense", 0, ""},
		{"bad query before cookie", "nonsense", "", "posthorn_token=token", 401, ""},
		{"header, query and cookie", "token", "token", "posthorn_token=token", 400, "once"},
		{"query twice", "token&access_token=token", "", "", 400, "once"},
		{"cookie twice", "", "", "posthorn_token=token; posthorn_token=token", 400, "once"},
		{"of another tenant", "abroad", "", "", 403, "not for this tenant"},
	} {
		for path, success := range listening {
			q := request{method: http.MethodGet, path: "/v1/tenants/acme/" + path, key: c.key, header: handshake}
			if c.query != "" {
				q.path += "?access_token=" + c.query
			}
			if c.cookie != "" {
				q.header = append([]string{"Cookie", c.cookie}, handshake...)
			}
			w := q.do(t, on.h)
			want := c.status
			if want == 0 {
				want = success
			}
			if w.Code != want || !strings.Contains(w.Body.String(), c.detail) {
				t.Errorf("%s, %s: %d, want %d and %q: %s", c.name, path, w.Code, want, c.detail, w.Body)
			}
		}
	}
	// Elsewhere the query and the cookie are not looked at.
	for _, path := range []string{"/v1/tenants/acme", "/v1/tenants/acme/events", "/v1/tenants/acme/endpoints"} {
		if w := (request{method: http.MethodGet, path: path + "?access_token=whole"}).do(t, on.h); w.Code != 401 {
			t.Errorf("query, %s: %d", path, w.Code)
		}
		if w := (request{method: http.MethodGet, path: path, header: []string{"Cookie", "posthorn_token=whole"}}).do(t, on.h); w.Code != 401 {
			t.Errorf("cookie, %s: %d", path, w.Code)
		}
	}
	for _, q := range []request{
		{method: http.MethodPost, path: "/v1/tenants/acme/events?access_token=whole", body: `{"type":"a"}`},
		{method: http.MethodPost, path: "/v1/tenants/acme/events", body: `{"type":"a"}`, header: []string{"Cookie", "posthorn_token=whole"}},
	} {
		if w := q.do(t, on.h); w.Code != 401 {
			t.Errorf("publish %s: %d", q.path, w.Code)
		}
	}
}

// TestTokenNotPassedOn: neither what is behind nor the log sees a token of the query, whatever the answer is.
func TestTokenNotPassedOn(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, log := newAPI(t, f)
	f.seed(t)
	withTokens(f)
	f.token("t0k3n-text", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}})
	for _, path := range []string{"changes", "changes?start=6&wait=1ms", "stream", "stream?start=1", "socket", "changes?start=x", "stream?nosuch=1", "endpoints", "nosuch"} {
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/" + path + join + "access_token=t0k3n-text", header: handshake}.do(t, api.Handler())
		if strings.Contains(w.Body.String(), "t0k3n") {
			t.Errorf("%s: answer %s", path, w.Body)
		}
	}
	f.fail = event.Errorf(event.KindInternal, "", "broken")
	for _, path := range []string{"changes", "stream", "socket"} {
		_ = request{method: http.MethodGet, path: "/v1/tenants/acme/" + path + "?access_token=t0k3n-text", header: handshake}.do(t, api.Handler())
	}
	if len(f.listening.queries) < 5 {
		t.Errorf("asked %d times", len(f.listening.queries))
	}
	for _, q := range f.listening.queries {
		if strings.Contains(q, "t0k3n") {
			t.Errorf("passed on: %s", q)
		}
	}
	if s := log.String(); strings.Contains(s, "t0k3n") || !strings.Contains(s, "level=ERROR") {
		t.Errorf("log: %s", s)
	}
}

// TestAuthorizationTwice: which of two was meant cannot be told.
func TestAuthorizationTwice(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, path := range []string{"/v1/tenants", "/v1/tenants/acme", changesPath} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header["Authorization"] = []string{"Bearer admin", "Bearer admin"}
		w := httptest.NewRecorder()
		on.h.ServeHTTP(w, r)
		if p := decode[client.Problem](t, w, 400); len(p.Errors) != 1 || p.Errors[0].Field != "Authorization" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tenants/acme/stream", nil)
	r.Header["Authorization"], r.Header["Last-Event-Id"] = []string{"Bearer admin"}, []string{"1", "2"}
	w := httptest.NewRecorder()
	on.h.ServeHTTP(w, r)
	_ = decode[client.Problem](t, w, 400)
}

// TestCookieOrigin: a browser sends the cookie for whichever page asks, so that the page's origin must be trusted.
func TestCookieOrigin(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	withTokens(f)
	named, _ := newAPI(t, f, func(c *rest.Config) { c.AllowOrigins = []string{"https://app.example"} })
	anyone, _ := newAPI(t, f, func(c *rest.Config) { c.AllowOrigins = []string{"*"} })
	for _, c := range []struct {
		api          *rest.API
		header, text string
		want         int
	}{
		{named, "Origin", "https://app.example", 200},
		{named, "Origin", "http://example.com", 200}, // that of httptest's requests
		{named, "Origin", "https://evil.example", 403},
		{named, "Origin", "null", 403},
		{anyone, "Origin", "https://app.example", 403},
		{anyone, "Origin", "http://example.com", 200},
		{named, "Sec-Fetch-Site", "cross-site", 403},
		{named, "Sec-Fetch-Site", "same-origin", 200},
		{named, "Sec-Fetch-Site", "none", 200},
	} {
		header := []string{"Cookie", "posthorn_token=token", c.header, c.text}
		w := request{method: http.MethodGet, path: changesPath, header: header}.do(t, c.api.Handler())
		if w.Code != c.want || c.want == 403 && decode[client.Problem](t, w, 403).Code != "origin_not_allowed" {
			t.Errorf("%s %s: %d, want %d: %s", c.header, c.text, w.Code, c.want, w.Body)
		}
	}
	w := request{method: http.MethodGet, path: changesPath, key: "token", header: []string{"Origin", "https://evil.example"}}.do(t, named.Handler())
	if w.Code != 200 {
		t.Errorf("a token that the page has itself: %d", w.Code)
	}
}

// TestTokenScopes: what tokens may not do, whatever they allow.
func TestTokenScopes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	withTokens(on.fake)
	endpoint := "/v1/tenants/acme/endpoints/" + on.endpoint
	for _, c := range []struct {
		key, method, path, body string
		status                  int
	}{
		{"whole", "GET", "/v1/tenants/acme", "", 200},
		{"whole", "GET", endpoint + "/secret", "", 200},
		{"whole", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 202},
		{"token", "POST", "/v1/tenants/acme/events", `{"type":"a"}`, 403},
		{"token", "POST", endpoint + "/pause", "", 403},
		{"abroad", "GET", "/v1/tenants/acme", "", 403},
		{"whole", "POST", "/v1/tenants", `{"name":"b"}`, 403},
		{"root", "POST", "/v1/tenants", `{"name":"b"}`, 403},
		{"root", "DELETE", "/v1/tenants/acme", "", 403},
		{"root", "GET", "/v1/apikeys", "", 403},
		{"root", "POST", "/v1/apikeys", `{"name":"k","admin":true}`, 403},
		{"root", "POST", "/v1/backup", `{"dir":"/srv/copy"}`, 403},
		{"whole", "POST", "/v1/tenants/acme/tokens", `{"allow":["read"]}`, 403},
		{"root", "POST", "/v1/tenants/acme/tokens", `{"allow":["read"]}`, 403},
		{"whole", "POST", "/v1/tenants/acme/tokens/rotate", "", 403},
		{"orders", "GET", "/v1/tenants/acme", "", 403},
		{"orders", "GET", "/v1/tenants/acme/events", "", 403},
		{"orders", "GET", "/v1/tenants/acme/events/id-1/attempts", "", 403},
		{"orders", "POST", "/v1/tenants/acme/events/id-1/resend", "", 403},
		{"orders", "GET", "/v1/tenants/acme/event-types", "", 403},
		{"orders", "GET", endpoint, "", 403},
		{"narrowadmin", "GET", "/v1/tenants/acme", "", 403},
		{"orders", "GET", "/v1/tenants/acme/stream", "", 200},
		{"orders", "GET", "/v1/tenants/acme/events/id-1", "", 200},
		{"orders", "HEAD", "/v1/tenants/acme/events/id-2", "", 404},
		{"orders", "GET", "/v1/tenants/acme/events/id-2", "", 404},
		{"subjects", "GET", "/v1/tenants/acme/events/id-1", "", 404},
		{"subjects", "GET", "/v1/tenants/acme/events/id-2", "", 200},
		{"both", "GET", "/v1/tenants/acme/events/id-1", "", 404},
		{"both", "GET", "/v1/tenants/acme/events/id-3", "", 200},
		{"both", "GET", "/v1/tenants/acme/events/nosuch", "", 404},
	} {
		if w := (request{method: c.method, path: c.path, key: c.key, body: c.body}).do(t, on.h); w.Code != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.key, c.method, c.path, w.Code, c.status, w.Body)
		}
	}
	same := func(id string) string {
		return request{method: http.MethodGet, path: "/v1/tenants/acme/events/" + id, key: "orders"}.do(t, on.h).Body.String()
	}
	if a, b := same("id-2"), same("nosuch"); a != b {
		t.Errorf("an answer tells that there is an event: %s %s", a, b)
	}
	for key, want := range map[string]int{"orders": 3, "subjects": 1, "both": 1, "whole": 5, "filtered": 5} {
		w := request{method: http.MethodGet, path: changesPath + "?types=*.*,a&start=1&limit=5", key: key}.do(t, on.h)
		if got := decode[client.Changes](t, w, 200); len(got.Changes) != want {
			t.Errorf("changes for %s: %d, want %d", key, len(got.Changes), want)
		}
	}
}

// TestNarrowedPublish: a token that names types or subjects publishes those only, all of a batch or none.
func TestNarrowedPublish(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, _ := newAPI(t, f)
	f.seed(t)
	withTokens(f)
	for _, c := range []struct {
		key, body, field string
	}{
		{"orders", `{"type":"order.paid"}`, ""},
		{"orders", `[{"type":"order.paid"},{"type":"order.sent","subject":"x"}]`, ""},
		{"orders", `{"type":"user.created"}`, "type"},
		{"orders", `[{"type":"order.paid"},{"type":"user.created"}]`, "events[1].type"},
		{"orders", `[{"type":"user.created"}]`, "events[0].type"},
		{"subjects", `{"type":"a","subject":"late/1"}`, ""},
		{"subjects", `{"type":"a","subject":"s/1"}`, ""},
		{"subjects", `{"type":"a","subject":"s/11"}`, "subject"},
		{"subjects", `{"type":"a"}`, "subject"},
		{"both", `{"type":"order.a","subject":"s/2"}`, ""},
		{"both", `{"type":"order.a","subject":"s/3"}`, "subject"},
		{"both", `{"type":"a","subject":"s/2"}`, "type"},
		{"narrowadmin", `{"type":"a"}`, "type"},
		{"whole", `{"type":"a"}`, ""},
	} {
		before := len(f.events)
		res := api.Publish(t.Context(), rest.PublishRequest{Tenant: "acme", Authorization: "Bearer " + c.key, ContentType: "application/json", Body: []byte(c.body)})
		w := httptest.NewRecorder()
		w.WriteHeader(res.Status)
		_, _ = w.Write(res.Body)
		if c.field == "" {
			if res.Status != 202 {
				t.Errorf("%s %s: %d %s", c.key, c.body, res.Status, res.Body)
			}
			continue
		}
		p := decode[client.Problem](t, w, 403)
		if p.Code != "forbidden" || len(p.Errors) != 1 || p.Errors[0].Field != c.field || len(f.events) != before {
			t.Errorf("%s %s: %+v", c.key, c.body, p)
		}
	}
	res := api.Publish(t.Context(), rest.PublishRequest{Tenant: "acme", Authorization: "Bearer filtered", ContentType: "application/json", Body: []byte(`{"type":"a"}`)})
	if res.Status != 403 {
		t.Errorf("narrowed by a filter: %d", res.Status)
	}
}

// TestTokensRepeat: the kept answers of one token are not those of another, nor in its way.
func TestTokensRepeat(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	withTokens(on.fake)
	on.token("whole2", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowManage}})
	make1 := func(key string) *httptest.ResponseRecorder {
		return request{
			method: http.MethodPost, path: "/v1/tenants/acme/event-types", key: key, body: `{"name":"x.y"}`, header: []string{"Idempotency-Key", "k"},
		}.do(t, on.h)
	}
	if w := make1("whole"); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := make1("whole"); w.Code != 201 || w.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %d %v", w.Code, w.Header())
	}
	if w := make1("whole2"); w.Code != 409 || strings.Contains(w.Body.String(), "idempotency") {
		t.Errorf("another token: %d %s", w.Code, w.Body)
	}
}
