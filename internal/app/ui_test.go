package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// ask sends a request to everything that the server serves, as its port does.
func ask(t *testing.T, a *App, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

func TestUI(t *testing.T) {
	a, _ := newApp(t)
	for _, c := range []struct {
		method, target, accept string
		status                 int
		location               string
	}{
		{"GET", "/ui/", "text/html", 200, ""},
		{"HEAD", "/ui/", "", 200, ""},
		{"GET", "/ui/t/acme/endpoints", "", 200, ""},
		{"GET", "/ui/..%2f..%2fv1", "", 200, ""},
		{"GET", "/ui/../v1", "", 404, ""},
		{"GET", "/ui/none.js", "", 404, ""},
		{"POST", "/ui/", "", 405, ""},
		{"GET", "/ui", "", 301, "/ui/"},
		{"GET", "/", "text/html,application/xhtml+xml,*/*;q=0.8", 302, "/ui/"},
		{"GET", "/", "", 302, "/docs"},
		{"GET", "/", "application/json", 302, "/docs"},
	} {
		w := ask(t, a, c.method, c.target, "Accept", c.accept)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s: %d, %s", c.method, c.target, w.Code, w.Header().Get("Location"))
		}
		if page := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"); page && c.status == http.StatusOK && !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %v", c.target, w.Header())
		}
	}
	off, _ := newApp(t, "--ui", "off")
	for target, status := range map[string]int{"/ui/": 404, "/ui": 404, "/ui/portal/acme": 404} {
		if w := ask(t, off, "GET", target); w.Code != status {
			t.Errorf("%s without the UI: %d", target, w.Code)
		}
	}
	if w := ask(t, off, "GET", "/", "Accept", "text/html"); w.Header().Get("Location") != "/docs" {
		t.Errorf("%v", w.Header())
	}
}

// TestSandbox asks at every door of the server's own host for what a stranger wrote: no browser may show it as a page of the
// server's origin, whatever the stranger says of it.
func TestSandbox(t *testing.T) {
	a, tenant := newApp(t)
	evil := event.Answer{
		Status: 200, Body: []byte("<script>fetch('/v1/me')</script>"),
		Headers: []event.Header{{Name: "Content-Type", Value: "text/html"}, {Name: "Content-Security-Policy", Value: "sandbox allow-same-origin allow-scripts"}},
	}
	bin, err := a.bins.Create(t.Context(), tenant.ID, event.Bin{Alias: "box", Answer: evil})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/b/box", "/b/box/page", "/b/none", "/in/acme/none", "/token/" + bin.ID, "/" + bin.ID, "/c/acme/changes.xml", "/c/nobody/hooks"} {
		w := ask(t, a, "GET", path)
		ours := 0
		for _, policy := range w.Header().Values("Content-Security-Policy") {
			if strings.Contains(policy, "sandbox") && !strings.Contains(policy, "allow-same-origin") {
				ours++
			}
		}
		if ours == 0 || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}

// TestNoScriptsOfStrangers: the policies of the server's own pages allow scripts of its origin, and bins are on that origin.
func TestNoScriptsOfStrangers(t *testing.T) {
	a, tenant := newApp(t)
	bin, err := a.bins.Create(t.Context(), tenant.ID, event.Bin{Alias: "box", Answer: event.Answer{
		Status: 200, Body: []byte("alert(1)"), Headers: []event.Header{{Name: "Content-Type", Value: "text/javascript"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/b/box/x.js", "/" + bin.ID + "/x.js"} {
		for _, c := range []struct {
			site, dest string
			status     int
		}{
			{"same-origin", "script", 403},
			{"same-origin", "serviceworker", 403},
			{"same-origin", "style", 403},
			{"same-origin", "empty", 200},
			{"same-origin", "document", 200},
			{"cross-site", "script", 200}, // of a page of theirs
			{"", "", 200},
		} {
			if w := ask(t, a, "GET", path, "Sec-Fetch-Site", c.site, "Sec-Fetch-Dest", c.dest); w.Code != c.status {
				t.Errorf("%s for a %s of %s: %d", path, c.dest, c.site, w.Code)
			}
		}
	}
	if w := ask(t, a, "GET", "/ui/index.js", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "script"); w.Code != 200 {
		t.Errorf("the UI's own script: %d", w.Code)
	}
}
