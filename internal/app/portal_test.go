package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// send sends a request with a JSON body to everything that the server serves.
func send(t *testing.T, a *App, key, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// TestPortal sets a portal up, enters it by a link, and ends the link.
func TestPortal(t *testing.T) {
	a, _ := newApp(t)
	if _, err := a.control.CreateTenant(t.Context(), event.Tenant{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	ancestors := func(path string) string {
		_, list, _ := strings.Cut(ask(t, a, "GET", path).Header().Get("Content-Security-Policy"), "frame-ancestors ")
		return list
	}
	before := ask(t, a, "GET", "/ui/portal/acme").Header().Get("ETag")
	if w := send(t, a, testRoot, "PUT", "/v1/tenants/acme/portal", `{"origins":["https://app.example.com","https://Two.example.com"]}`); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]string{
		"/ui/portal/acme": "https://app.example.com https://two.example.com", "/ui/portal/acme/endpoints/x": "https://app.example.com https://two.example.com",
		"/ui/portal/other": "'none'", "/ui/portal/nobody": "'none'", "/ui/portal/": "'none'", "/ui/t/acme": "'none'", "/ui/portal/acme%2F..": "'none'",
	} {
		if got := ancestors(path); got != want {
			t.Errorf("%s may be embedded by %q, want %q", path, got, want)
		}
	}
	if w := ask(t, a, "GET", "/ui/portal/acme", "If-None-Match", before); w.Code != http.StatusOK {
		t.Errorf("a page from before the settings is still good: %d", w.Code)
	}

	w := send(t, a, testRoot, "POST", "/v1/tenants/acme/portal/links", `{"ttl":"168h"}`)
	var link client.PortalLink
	if err := json.Unmarshal(w.Body.Bytes(), &link); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	u, err := url.Parse(link.URL)
	if err != nil || u.Host != "push.example.com" || u.Path != "/ui/portal/acme" || u.RawQuery != "" || u.Fragment != "token="+link.Token {
		t.Errorf("%s: %v", link.URL, err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/tenants/acme/portal", "", 200},
		{"POST", "/v1/tenants/acme/endpoints", `{"url":"https://hooks.example.com/"}`, 201},
		{"GET", "/v1/tenants/acme/events", "", 200},
		{"GET", "/v1/tenants/acme/changes?start=1", "", 200},
		{"GET", "/v1/tenants/other/events", "", 403},
		{"GET", "/v1/tenants/acme", "", 403},
		{"GET", "/v1/tenants/acme/queues", "", 403},
		{"POST", "/v1/tenants/acme/events", `{"type":"a"}`, 403},
		{"POST", "/v1/tenants/acme/tokens", `{"allow":["read"]}`, 403},
		{"POST", "/v1/tenants/acme/portal/links", "", 403},
		{"PUT", "/v1/tenants/acme/portal", "{}", 403},
		{"GET", "/v1/tenants", "", 403},
		{"GET", "/v1/apikeys", "", 403},
		{"GET", "/v1/bins", "", 403},
		{"POST", "/v1/backup", "{}", 403},
		{"GET", "/debug/pprof/", "", 403},
		{"GET", "/token/5673367d-2503-4b01-b2cd-28e61067e793", "", 401},
		{"POST", "/token", "", 401},
		{"GET", "/c/acme/hooks", "", 401},
	} {
		if w := send(t, a, link.Token, c.method, c.path, c.body); w.Code != c.status {
			t.Errorf("%s %s with a link: %d %s, want %d", c.method, c.path, w.Code, w.Body, c.status)
		}
	}
	if w := send(t, a, testRoot, "POST", "/v1/tenants/acme/tokens/rotate", ""); w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := send(t, a, link.Token, "GET", "/v1/tenants/acme/portal", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a link after a rotation: %d %s", w.Code, w.Body)
	}
	if err := a.control.DeleteTenant(t.Context(), "acme", 0); err != nil {
		t.Fatal(err)
	}
	if got := ancestors("/ui/portal/acme"); got != "'none'" {
		t.Errorf("the portal of a deleted tenant may be embedded by %q", got)
	}
}
