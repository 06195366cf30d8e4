package web

import (
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, address, tag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		handler         http.Handler
		address, holds  string
		contentType     string
		header, content string
	}{
		{Client(), "/client/posthorn.js", "export { Posthorn }", "text/javascript", "Access-Control-Allow-Origin", "*"},
		{Client(), "/client/posthorn.js", "export { Posthorn }", "text/javascript", "X-Typescript-Types", "./posthorn.d.ts"},
		{Client(), "/client/posthorn.d.ts", "export class Posthorn", "application/typescript", "Access-Control-Allow-Origin", "*"},
		{Client(), "/client/lib/ways.js", "class Ways", "text/javascript", "Cross-Origin-Resource-Policy", "cross-origin"},
		{Demo(), "/demo/", "<!doctype html>", "text/html", "Content-Security-Policy", contentPolicy},
		{Demo(), "/demo/demo.js", "", "text/javascript", "X-Content-Type-Options", "nosniff"},
	} {
		w := get(t, tt.handler, tt.address, "")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), tt.holds) || !strings.HasPrefix(w.Header().Get("Content-Type"), tt.contentType) {
			t.Errorf("%s: %d %s", tt.address, w.Code, w.Header().Get("Content-Type"))
		}
		if got := w.Header().Get(tt.header); got != tt.content {
			t.Errorf("%s: %s: %q", tt.address, tt.header, got)
		}
		if again := get(t, tt.handler, tt.address, w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s: %d for what is known already", tt.address, again.Code)
		}
	}
	for _, address := range []string{"/client/", "/client/package.json", "/client/README.md", "/client/../web.go", "/demo/other"} {
		if w := get(t, Client(), address, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", address, w.Code)
		}
	}
}

var imported = regexp.MustCompile(`(?m)^(?:import|export) .* from "([^"]+)";$`)

// TestImports: what a module imports is there, and nothing is from elsewhere.
func TestImports(t *testing.T) {
	for address, f := range load("client") {
		if !strings.HasSuffix(address, ".js") {
			continue
		}
		for _, m := range imported.FindAllStringSubmatch(string(f.body), -1) {
			at := path.Join(path.Dir(address), m[1])
			if w := get(t, Client(), at, ""); w.Code != http.StatusOK {
				t.Errorf("%s imports %s: %d", address, m[1], w.Code)
			}
		}
	}
}
