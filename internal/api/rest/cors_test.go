package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/api/rest"
)

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow        []string
		public       string
		origin, host string
		want         bool
	}{
		{nil, "", "", "a.example", true},
		{nil, "", "https://a.example", "a.example", true},
		{nil, "", "http://a.example", "a.example", true},
		{nil, "", "https://a.example", "a.example:443", true},
		{nil, "", "http://a.example:80", "A.example", true},
		{nil, "", "http://a.example:8080", "a.example:8080", true},
		{nil, "", "http://a.example:8080", "a.example", false},
		{nil, "", "https://b.example", "a.example", false},
		{nil, "", "https://a.example.b.example", "a.example", false},
		{nil, "", "null", "a.example", false},
		{nil, "", "file://", "a.example", false},
		{nil, "", "https://", "", false},
		{nil, "https://a.example", "https://a.example", "127.0.0.1:8080", true},
		{nil, "https://a.example", "http://a.example", "a.example", false}, // not sent over TLS
		{nil, "https://a.example", "http://b.example", "b.example", true},
		{[]string{"https://b.example"}, "", "https://b.example", "a.example", true},
		{[]string{"https://b.example:443"}, "", "https://B.example", "a.example", true},
		{[]string{"https://b.example"}, "", "http://b.example", "a.example", false},
		{[]string{"https://b.example"}, "", "https://b.example:444", "a.example", false},
		{[]string{"https://b.example"}, "", "https://c.b.example", "a.example", false},
		{[]string{"https://b.example"}, "", "null", "a.example", false},
		{[]string{"*"}, "", "https://c.example", "a.example", true},
		{[]string{"*"}, "", "null", "a.example", true},
	} {
		if got := rest.OriginAllowed(c.allow, c.public)(c.origin, c.host); got != c.want {
			t.Errorf("allow %v, public %q, origin %q, host %q: %t", c.allow, c.public, c.origin, c.host, got)
		}
	}
}

func crossAPI(t *testing.T, allow ...string) *rest.API {
	t.Helper()
	f := newFake()
	f.seed(t)
	api, _ := newAPI(t, f, func(c *rest.Config) { c.AllowOrigins, c.PublicURL = allow, "https://own.example" })
	return api
}

// TestCrossOrigin: what a browser is told about a page of another origin, for answers of every kind.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	none := crossAPI(t)
	named := crossAPI(t, app, "https://b.example")
	anyone := crossAPI(t, "*")
	mixed := crossAPI(t, "*", app)
	requests := []request{
		{method: http.MethodGet, path: "/v1/tenants/acme", key: "reader"},
		{method: http.MethodGet, path: changesPath + "?start=1&limit=2", key: "reader"},
		{method: http.MethodGet, path: "/v1/tenants/acme/stream", key: "reader"},
		{method: http.MethodGet, path: "/asyncapi.yaml"},
		{method: http.MethodGet, path: changesPath},            // 401
		{method: http.MethodGet, path: "/v1/nosuch", key: "x"}, // 404
		{method: http.MethodPost, path: "/v1/tenants/acme/events", key: "publisher", body: `{"type":"a"}`},
		{method: http.MethodPost, path: "/v1/tenants/acme/events", body: `{"type":"a"}`},
	}
	for _, c := range []struct {
		api                 *rest.API
		origin, allow, cred string
		vary                bool
	}{
		{none, app, "", "", false},
		{none, "", "", "", false},
		{none, "https://own.example", "https://own.example", "true", true},
		{named, app, app, "true", true},
		{named, "HTTPS://APP.EXAMPLE", "HTTPS://APP.EXAMPLE", "true", true},
		{named, "https://evil.example", "", "", true},
		{named, "null", "", "", true},
		{named, "", "", "", true},
		{anyone, app, "*", "", true},
		{anyone, "null", "*", "", true},
		{mixed, app, app, "true", true},
		{mixed, "https://evil.example", "*", "", true},
	} {
		for _, q := range requests {
			q.header = nil
			if c.origin != "" {
				q.header = []string{"Origin", c.origin}
			}
			h := q.do(t, c.api.Handler()).Header()
			if h.Get("Access-Control-Allow-Origin") != c.allow || h.Get("Access-Control-Allow-Credentials") != c.cred {
				t.Errorf("%s from %q: %v", q.path, c.origin, h)
			}
			if vary := strings.Join(h.Values("Vary"), ", "); strings.Contains(vary, "Origin") != c.vary {
				t.Errorf("%s from %q: Vary %q", q.path, c.origin, vary)
			}
			exposed := h.Get("Access-Control-Expose-Headers")
			for _, name := range []string{"ETag", "Location", "Retry-After", "X-Request-Id"} {
				if strings.Contains(exposed, name) != (c.allow != "") {
					t.Errorf("%s from %q: exposed %q", q.path, c.origin, exposed)
				}
			}
		}
	}
	w := request{method: http.MethodGet, path: "/metrics", header: []string{"Origin", app}}.do(t, anyone.Handler())
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("what is not the API is open to other pages")
	}
}

// TestPreflight: what a browser asks before it lets a page do more than reading plainly.
func TestPreflight(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	named := crossAPI(t, app)
	anyone := crossAPI(t, "*")
	none := crossAPI(t)
	ask := func(api *rest.API, origin, path string) *httptest.ResponseRecorder {
		return request{method: http.MethodOptions, path: path, header: []string{
			"Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type",
		}}.do(t, api.Handler())
	}
	for _, path := range []string{"/v1/tenants/acme/events", "/v1/tenants", changesPath, "/v1/tenants/acme/endpoints/ep_1/pause"} {
		for _, api := range []*rest.API{named, anyone} {
			w := ask(api, app, path)
			h := w.Header()
			if w.Code != 204 || h.Get("Access-Control-Allow-Origin") == "" || h.Get("Access-Control-Max-Age") == "" || w.Body.Len() > 0 {
				t.Errorf("%s: %d %v", path, w.Code, h)
			}
			if (h.Get("Access-Control-Allow-Credentials") == "true") != (h.Get("Access-Control-Allow-Origin") == app) {
				t.Errorf("%s: credentials %v", path, h)
			}
			for _, name := range []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID"} {
				if !strings.Contains(h.Get("Access-Control-Allow-Headers"), name) {
					t.Errorf("%s: header %s is not allowed", path, name)
				}
			}
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				if !strings.Contains(h.Get("Access-Control-Allow-Methods"), method) {
					t.Errorf("%s: method %s is not allowed", path, method)
				}
			}
			if vary := strings.Join(h.Values("Vary"), ", "); !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Access-Control-Request-Headers") {
				t.Errorf("%s: Vary %q", path, vary)
			}
		}
		for _, api := range []*rest.API{named, none} {
			w := ask(api, "https://evil.example", path)
			if w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" || !strings.Contains(w.Body.String(), "origin_not_allowed") {
				t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
			}
		}
		if w := ask(none, "http://example.com", path); w.Code != 204 {
			t.Errorf("%s, own origin: %d", path, w.Code)
		}
	}
}

// TestPublishCrossOrigin: the core of the publish path names the origin to whichever server answers.
func TestPublishCrossOrigin(t *testing.T) {
	t.Parallel()
	named := crossAPI(t, "https://app.example")
	anyone := crossAPI(t, "*")
	publish := func(api *rest.API, origin, key string) string {
		return api.Publish(t.Context(), rest.PublishRequest{
			Tenant: "acme", Authorization: "Bearer " + key, ContentType: "application/json", Body: []byte(`{"type":"a"}`), Origin: origin,
		}).AllowOrigin
	}
	for _, key := range []string{"publisher", "nobody"} {
		if got := publish(named, "https://app.example", key); got != "https://app.example" {
			t.Errorf("named: %q", got)
		}
		if got := publish(named, "https://evil.example", key) + publish(named, "", key); got != "" {
			t.Errorf("not named: %q", got)
		}
		if got := publish(anyone, "https://evil.example", key); got != "*" {
			t.Errorf("any: %q", got)
		}
	}
	if got := named.TooLarge("acme", "https://app.example").AllowOrigin; got != "https://app.example" {
		t.Errorf("too large: %q", got)
	}
}
