package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// cookieFor is the header of a session of a key.
func cookieFor(key string, more ...string) []string {
	return append([]string{"Cookie", "other=1; " + sessionCookie + "=" + key}, more...)
}

// TestSessionPages: a session counts for the server's own pages and for nothing that another page lets a browser send,
// whichever way the request goes.
func TestSessionPages(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	api, _ := newAPI(t, f, func(c *rest.Config) {
		c.AllowOrigins, c.PublicURL = []string{"*", "https://app.example"}, "https://own.example"
		f.listening.origins = rest.OriginAllowed(c.AllowOrigins, c.PublicURL)
	})
	h := api.Handler()
	stream := []string{"Accept", "text/event-stream"}
	ways := []request{
		{method: "GET", path: "/v1/tenants/acme"},
		{method: "POST", path: "/v1/tenants/acme/endpoints", body: `{"url":"https://example.com/in"}`},
		{method: "POST", path: "/v1/tenants/acme/events", body: `{"type":"a.b"}`},
		{method: "POST", path: "/v1/tenants/a%63me/events", body: `{"type":"a.b"}`},
		{method: "GET", path: "/v1/tenants/acme/changes"},
		{method: "GET", path: "/v1/tenants/acme/stream", header: stream},
		{method: "GET", path: "/v1/tenants/acme/socket", header: handshake},
		{method: "GET", path: "/v1/me"},
		{method: "POST", path: "/v1/backup", body: `{"dir":"/srv/copy"}`},
		{method: "POST", path: "/v1/session", body: `{"key":"admin"}`},
	}
	for _, page := range []struct {
		name   string
		header []string
		own    bool
	}{
		{"no browser", nil, true},
		{"typed", []string{"Sec-Fetch-Site", "none"}, true},
		{"own", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://own.example"}, true},
		{"own, without TLS in between", []string{"Origin", "https://own.example"}, true},
		{"own host", []string{"Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"}, true}, // the test's requests are for example.com
		{"named origin", []string{"Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"}, false},
		{"named origin of an old browser", []string{"Origin", "https://app.example"}, false},
		{"another origin", []string{"Origin", "https://evil.example"}, false},
		{"same site", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"a sandbox", []string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, false},
		{"a sandbox of an old browser", []string{"Origin", "null"}, false},
		{"own without TLS", []string{"Origin", "http://own.example"}, false},
	} {
		for _, q := range ways {
			q.header = append(slices.Clone(q.header), cookieFor("admin", page.header...)...)
			w := q.do(t, h)
			if page.own != (w.Code < 300) || !page.own && w.Code != http.StatusForbidden {
				t.Errorf("%s: %s %s: status %d: %s", page.name, q.method, q.path, w.Code, w.Body)
			}
			if !page.own && !strings.Contains(w.Body.String(), "origin_not_allowed") {
				t.Errorf("%s: %s %s: %s", page.name, q.method, q.path, w.Body)
			}
		}
	}
}

// TestSessionPrecedence: what a request says by itself counts, and a session comes before the cookie of a token.
func TestSessionPrecedence(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	f.bearer("tok", event.APIKey{Tenant: 1, Token: "t", Allow: []event.Permission{event.AllowRead}})
	api, _ := newAPI(t, f, func(c *rest.Config) { c.AllowOrigins = []string{"https://app.example"} })
	h := api.Handler()
	changes := "/v1/tenants/acme/changes"
	for name, c := range map[string]struct {
		q    request
		want int
	}{
		"a header before a session":           {request{path: "/v1/me", key: "nobody", header: cookieFor("admin")}, 401},
		"an empty header before a session":    {request{path: "/v1/me", header: cookieFor("admin", "Authorization", "")}, 401},
		"a query before a session":            {request{path: changes + "?access_token=nobody", header: cookieFor("admin")}, 401},
		"a session alone":                     {request{path: changes, header: cookieFor("reader")}, 200},
		"a session that ended":                {request{path: changes, header: cookieFor("nobody")}, 401},
		"a session before a token":            {request{path: changes, header: []string{"Cookie", "posthorn_token=nobody; " + sessionCookie + "=reader"}}, 200},
		"a token where the session is no use": {request{path: changes, header: []string{"Cookie", "posthorn_token=tok; " + sessionCookie + "=nobody", "Origin", "https://app.example"}}, 200},
		"two sessions":                        {request{path: "/v1/me", header: []string{"Cookie", sessionCookie + "=admin; " + sessionCookie + "=reader"}}, 400},
		"another's tenant":                    {request{path: changes, header: cookieFor("foreign")}, 403},
		"not beside the API":                  {request{path: "/debug/pprof/", header: cookieFor("admin")}, 404},
	} {
		c.q.method = http.MethodGet
		if w := c.q.do(t, h); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
	profiles, _ := newAPI(t, f, func(c *rest.Config) { c.Profile = http.NotFoundHandler() })
	if w := (request{method: "GET", path: "/debug/pprof/", header: cookieFor("admin")}).do(t, profiles.Handler()); w.Code != http.StatusUnauthorized {
		t.Errorf("profiles for a session: %d", w.Code)
	}
	without, _ := newAPI(t, f, func(c *rest.Config) { c.Sessions = nil })
	if w := (request{method: "GET", path: "/v1/me", header: cookieFor("admin")}).do(t, without.Handler()); w.Code != http.StatusUnauthorized {
		t.Errorf("without sessions: %d", w.Code)
	}
}

// TestSessionAnswers: what a session gets is kept by nobody.
func TestSessionAnswers(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	api, _ := newAPI(t, f)
	h := api.Handler()
	for _, path := range []string{"/v1/tenants/acme", "/v1/tenants/acme/changes", "/v1/me"} {
		w := request{method: "GET", path: path, header: cookieFor("admin")}.do(t, h)
		if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" || !slices.Contains(w.Header().Values("Vary"), "Cookie") {
			t.Errorf("%s: %d, %v", path, w.Code, w.Header())
		}
		w = request{method: "GET", path: path, key: "admin"}.do(t, h)
		if w.Code != 200 || w.Header().Get("Cache-Control") == "no-store" {
			t.Errorf("%s by a key: %d, %v", path, w.Code, w.Header())
		}
	}
	w := request{method: "POST", path: "/v1/session", body: `{"key":"admin"}`}.do(t, h)
	if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Set-Cookie"), sessionCookie+"=admin") ||
		strings.Contains(w.Body.String(), `"key":`) {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
	w = request{method: "DELETE", path: "/v1/session", key: "admin"}.do(t, h)
	if w.Code != 409 || !strings.Contains(w.Body.String(), "no_session") {
		t.Errorf("without a session: %d: %s", w.Code, w.Body)
	}
	w = request{method: "DELETE", path: "/v1/session", header: cookieFor("admin")}.do(t, h)
	if w.Code != 204 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

// TestSessionIdempotency: a session's answers are its own, and a log-in is never answered from what is kept.
func TestSessionIdempotency(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	f.bearer("second", event.APIKey{Admin: true})
	api, _ := newAPI(t, f)
	h := api.Handler()
	create := func(key string) (name string, again bool) {
		t.Helper()
		w := request{
			method: "POST", path: "/v1/apikeys", body: `{"name":"k","admin":true}`, header: cookieFor(key, "Idempotency-Key", "one"),
		}.do(t, h)
		var k client.APIKey
		if err := json.Unmarshal(w.Body.Bytes(), &k); err != nil || w.Code != 201 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		return k.ID, w.Header().Get("Idempotent-Replayed") != ""
	}
	first, _ := create("admin")
	if id, again := create("admin"); id != first || !again {
		t.Error("the write was made twice")
	}
	if id, again := create("second"); id == first || again {
		t.Error("another session got the answer")
	}
	for range 2 {
		w := request{method: "POST", path: "/v1/session", body: `{"key":"admin"}`, header: []string{"Idempotency-Key", "two"}}.do(t, h)
		if w.Code != 200 || w.Header().Get("Idempotent-Replayed") != "" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
	}
	for key := range f.answers {
		if strings.Contains(key, "two") {
			t.Error("the answer to a log-in was kept")
		}
	}
}

// TestIdempotencyOfTenants: the same request in another tenant of a person's is another one.
func TestIdempotencyOfTenants(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	f.bearer("bob", event.APIKey{User: "bob", Grants: []event.Grant{{Tenant: 1, Allow: []event.Permission{event.AllowManage}}, {Tenant: 2, Allow: []event.Permission{event.AllowManage}}}})
	api, _ := newAPI(t, f)
	h := api.Handler()
	create := func(tenant string) *httptest.ResponseRecorder {
		return request{method: "POST", path: "/v1/bins", body: `{}`, header: cookieFor("bob", "Posthorn-Tenant", tenant, "Idempotency-Key", "one")}.do(t, h)
	}
	if w := create("acme"); w.Code != 201 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	if w := create("acme"); w.Code != 201 || w.Header().Get("Idempotent-Replayed") == "" {
		t.Errorf("again: %d: %s", w.Code, w.Body)
	}
	if w := create("other"); w.Code != 409 {
		t.Errorf("in another tenant: %d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

// TestProblemsAreNotKept: what is refused before it is known to be a session's must not be kept by a cache either.
func TestProblemsAreNotKept(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, _ := newAPI(t, f)
	for _, path := range []string{"/v1/tenants/nosuch/endpoints", "/v1/nosuch", "/v1/me?%"} {
		w := request{method: "GET", path: path, header: cookieFor("admin")}.do(t, api.Handler())
		if cache := w.Header().Get("Cache-Control"); w.Code < 400 || cache != "no-store" {
			t.Errorf("%s: %d, Cache-Control %q", path, w.Code, cache)
		}
	}
}

// people are who signed in through a provider.
func people(f *fake) {
	allow := func(list ...event.Permission) []event.Permission { return list }
	f.bearer("ann", event.APIKey{User: "ann", Name: "Ann", Grants: []event.Grant{{Tenant: 1, Allow: allow(event.AllowRead, event.AllowPublish)}}})
	f.bearer("bob", event.APIKey{User: "bob", Grants: []event.Grant{{Tenant: 1, Allow: allow(event.AllowRead)}, {Tenant: 2, Allow: allow(event.AllowManage)}}})
	f.bearer("watch", event.APIKey{User: "watch", Grants: []event.Grant{{Allow: allow(event.AllowRead)}}})
	f.bearer("post", event.APIKey{User: "post", Grants: []event.Grant{{Allow: allow(event.AllowPublish)}}})
	f.bearer("boss", event.APIKey{User: "boss", Name: "Boss", Admin: true})
	f.bearer("none", event.APIKey{User: "none"})
}

// TestGrants: a person may in each tenant what their grants give there.
func TestGrants(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	people(f)
	api, _ := newAPI(t, f)
	h := api.Handler()
	read := func(tenant string) request { return request{method: "GET", path: "/v1/tenants/" + tenant + "/events"} }
	publish := func(tenant string) request {
		return request{method: "POST", path: "/v1/tenants/" + tenant + "/events", body: `{"type":"a.b"}`}
	}
	manage := func(tenant string) request {
		return request{method: "POST", path: "/v1/tenants/" + tenant + "/endpoints", body: `{"url":"https://example.com/in"}`}
	}
	token := func(allow string) request {
		return request{method: "POST", path: "/v1/tenants/other/tokens", body: `{"allow":["` + allow + `"]}`}
	}
	list := request{method: "GET", path: "/v1/tenants"}
	for _, c := range []struct {
		who  string
		q    request
		want int
	}{
		{"ann", read("acme"), 200},
		{"ann", publish("acme"), 202},
		{"ann", manage("acme"), 403},
		{"ann", read("other"), 403},
		{"ann", read("nosuch"), 403},
		{"ann", list, 403},
		{"bob", read("acme"), 200},
		{"bob", publish("acme"), 403},
		{"bob", manage("other"), 201},
		{"bob", read("other"), 200},
		{"bob", manage("acme"), 403},
		{"bob", token("read"), 201},
		{"watch", read("acme"), 200},
		{"watch", read("other"), 200},
		{"watch", publish("acme"), 403},
		{"watch", list, 200},
		{"watch", read("nosuch"), 403},
		{"watch", request{method: "POST", path: "/v1/tenants", body: `{"name":"new"}`}, 403},
		{"watch", request{method: "GET", path: "/v1/apikeys"}, 403},
		{"post", publish("other"), 202},
		{"post", read("other"), 403},
		{"post", list, 403},
		{"boss", manage("other"), 201},
		{"boss", list, 200},
		{"boss", read("nosuch"), 404},
		{"boss", request{method: "GET", path: "/v1/apikeys"}, 200},
		{"none", read("acme"), 403},
		{"none", list, 403},
		{"none", request{method: "GET", path: "/v1/me"}, 200},
		{"reader", list, 403},
	} {
		c.q.header = cookieFor(c.who)
		if w := c.q.do(t, h); w.Code != c.want {
			t.Errorf("%s: %s %s: %d, want %d: %s", c.who, c.q.method, c.q.path, w.Code, c.want, w.Body)
		}
	}
	// A tenant that is not theirs looks as one that is not there.
	foreign, missing := read("other"), read("nosuch")
	foreign.header, missing.header = cookieFor("ann"), cookieFor("ann")
	if a, b := foreign.do(t, h).Body.String(), missing.do(t, h).Body.String(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// TestPosthornTenant: outside tenants' paths, a person with several tenants says which.
func TestPosthornTenant(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	people(f)
	api, _ := newAPI(t, f)
	h := api.Handler()
	for _, c := range []struct {
		who, tenant string
		want        int
	}{
		{"ann", "", 200},
		{"ann", "acme", 200},
		{"ann", "other", 403},
		{"ann", "nosuch", 403},
		{"bob", "", 422},
		{"bob", "acme", 200},
		{"bob", "other", 200},
		{"bob", "nosuch", 403},
		{"watch", "", 422},
		{"watch", "other", 200},
		{"watch", "nosuch", 403},
		{"post", "acme", 403},
		{"boss", "", 200},
		{"boss", "nosuch", 200},
		{"none", "", 422},
		{"none", "acme", 403},
		{"reader", "other", 200}, // a key has its own
	} {
		q := request{method: "GET", path: "/v1/bins", header: cookieFor(c.who, "Posthorn-Tenant", c.tenant)}
		if w := q.do(t, h); w.Code != c.want {
			t.Errorf("%s in %q: %d, want %d: %s", c.who, c.tenant, w.Code, c.want, w.Body)
		}
	}
}

// TestAllSessions: admins see everybody's sessions, page by page.
func TestAllSessions(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, _ := newAPI(t, f)
	h := api.Handler()
	var page client.Page[client.Session]
	w := request{method: "GET", path: "/v1/sessions?all=true&limit=1", key: "admin"}.do(t, h)
	if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &page) != nil || len(page.Data) != 1 || page.Next == "" || page.Data[0].By.ID != "key_1" {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	w = request{method: "GET", path: "/v1/sessions?all=true&cursor=" + page.Next, key: "admin"}.do(t, h)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"data":[]`) {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	for query, want := range map[string]int{"?all=true": 403, "?all=true&cursor=x": 422, "": 200} {
		if w := (request{method: "GET", path: "/v1/sessions" + query, key: "manager"}).do(t, h); w.Code != want {
			t.Errorf("%q: %d, want %d: %s", query, w.Code, want, w.Body)
		}
	}
}

func TestMe(t *testing.T) {
	t.Parallel()
	f := newFake()
	people(f)
	f.bearers["tok"] = event.APIKey{Tenant: 1, Token: "t.1", Allow: []event.Permission{event.AllowRead}, Only: &event.Selection{Types: []string{"a.*"}}}
	f.bearers["root"] = event.APIKey{ID: event.RootKeyID, Name: "root", Admin: true}
	api, _ := newAPI(t, f)
	h := api.Handler()
	for who, want := range map[string]client.Me{
		"root":   {Kind: "root", ID: event.FormatAPIKeyID(1), Name: "root", Admin: true},
		"tok":    {Kind: "token", ID: "t.1", Tenant: "acme", Allow: []string{"read"}},
		"ann":    {Kind: "user", ID: "ann", Name: "ann", Grants: []client.Grant{{Tenant: "acme", Allow: []string{"read", "publish"}}}},
		"watch":  {Kind: "user", ID: "watch", Name: "watch", Grants: []client.Grant{{Tenant: "*", Allow: []string{"read"}}}},
		"boss":   {Kind: "user", ID: "boss", Name: "boss", Admin: true},
		"reader": {Kind: "apikey", Tenant: "acme", Allow: []string{"read"}},
	} {
		for _, session := range []bool{false, true} {
			q := request{method: "GET", path: "/v1/me", key: who}
			if session {
				q.key, q.header = "", cookieFor(who)
			}
			var got client.Me
			if w := q.do(t, h); w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &got) != nil {
				t.Fatalf("%s: %d: %s", who, w.Code, w.Body)
			}
			want.Session, want.Version = session, "1.2.3"
			if who == "reader" {
				want.ID, want.Name = got.ID, got.Name
			}
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			if string(a) != string(b) {
				t.Errorf("%s: %s, want %s", who, a, b)
			}
		}
	}
}
