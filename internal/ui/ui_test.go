package ui

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var script = strings.Repeat("console.log('a line that is there many times');\n", 200)

func newUI(t *testing.T) *UI {
	t.Helper()
	u, err := New(Config{
		Files: fstest.MapFS{
			"index.html": {Data: []byte("<!doctype html><title>the page</title>")}, "app.js": {Data: []byte(script)}, "app.css": {Data: []byte("a{}")},
			"icon.svg": {Data: []byte("<svg/>")}, "font.woff2": {Data: []byte(script)}, "fonts/other.woff2": {Data: []byte("x")}, "LICENSE": {Data: []byte(script)},
		},
		Embedders: func(_ context.Context, tenant string) []string {
			return map[string][]string{
				"acme": {"https://app.example.com", "http://127.0.0.1:3000"}, "a b/c": {"https://odd.example.com"},
				"bad": {"https://x.example.com; script-src *", "*", "javascript:alert(1)", "'self'", "https://a,b", "http\n://x"},
			}[tenant]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// get asks for a path; header are names and values.
func get(t *testing.T, u http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://posthorn.example.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	return w
}

const wholePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html; frame-ancestors "

func TestHeaders(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	for _, c := range []struct {
		path, contentType, ancestors string
		status                       int
	}{
		{"/ui/", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/index.html", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/t/acme/events", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/t/acme/events/app.js", "text/html; charset=utf-8", "'none'", 200}, // the id of an event
		{"/ui/t/acme/event-types/order.paid", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/order.paid", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/app.js", "text/javascript; charset=utf-8", "'none'", 200},
		{"/ui/app%2Ejs", "text/javascript; charset=utf-8", "'none'", 200},
		{"/ui/app.css", "text/css; charset=utf-8", "'none'", 200},
		{"/ui/icon.svg", "image/svg+xml", "'none'", 200},
		{"/ui/font.woff2", "font/woff2", "'none'", 200},
		{"/ui/fonts/other.woff2", "font/woff2", "'none'", 200},
		{"/ui/LICENSE", "application/octet-stream", "'none'", 200},
		{"/ui/portal", "text/html; charset=utf-8", "'none'", 200},
		{"/ui/portal/", "text/html; charset=utf-8", "portal 'none'", 200},
		{"/ui/portal/acme", "text/html; charset=utf-8", "portal https://app.example.com http://127.0.0.1:3000", 200},
		{"/ui/portal/acme/", "text/html; charset=utf-8", "portal https://app.example.com http://127.0.0.1:3000", 200},
		{"/ui/portal/acme/endpoints/ep_1", "text/html; charset=utf-8", "portal https://app.example.com http://127.0.0.1:3000", 200},
		{"/ui/portal/a%20b%2Fc/x", "text/html; charset=utf-8", "portal https://odd.example.com", 200},
		{"/ui/portal/acme%2F..%2F..", "text/html; charset=utf-8", "portal 'none'", 200},
		{"/ui/portal/nobody", "text/html; charset=utf-8", "portal 'none'", 200},
		{"/ui/portal/bad", "text/html; charset=utf-8", "portal 'none'", 200},
		{"/ui/old-chunk.js", "", "", 404},
		{"/ui/theme.css", "", "", 404},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := get(t, u, method, c.path)
			h := w.Header()
			if w.Code != c.status {
				t.Errorf("%s %s: %d", method, c.path, w.Code)
				continue
			}
			if c.status != 200 {
				if strings.Contains(w.Body.String(), "doctype") {
					t.Errorf("%s: the page stands for a script", c.path)
				}
				continue
			}
			ancestors, portal := strings.CutPrefix(c.ancestors, "portal ")
			want := map[string]string{
				"Content-Type": c.contentType, "Content-Security-Policy": wholePolicy + ancestors, "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cache-Control": "no-cache", "X-Frame-Options": "DENY",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": permissions,
			}
			if portal {
				want["X-Frame-Options"], want["Cross-Origin-Opener-Policy"], want["Cross-Origin-Resource-Policy"] = "", "", "cross-origin"
			}
			for name, value := range want {
				if h.Get(name) != value || len(h.Values(name)) > 1 {
					t.Errorf("%s %s: %s: %q, want %q", method, c.path, name, h.Values(name), value)
				}
			}
			if h.Get("Content-Length") == "" || h.Get("ETag") == "" || (w.Body.Len() == 0) != (method == "HEAD") {
				t.Errorf("%s %s: length %q, ETag %q, %d bytes", method, c.path, h.Get("Content-Length"), h.Get("ETag"), w.Body.Len())
			}
		}
	}
}

// TestNothingElse tries to get what is not part of the build.
func TestNothingElse(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	for _, path := range []string{
		"/ui/..%2f..%2fetc%2fpasswd", "/ui/..%2Fui.go", "/ui/%2e%2e/ui.go", "/ui/../ui.go", "/ui/..%5cui.go", "/ui//etc/passwd", "/ui/%00", "/ui/dist/index.html",
		"/ui/./app.js", "/ui/fonts/../app.js", "/ui/fonts", "/ui/fonts/", "/ui/portal/..%2f..%2fetc", "/ui/portal/../../v1", "/ui/APP.JS", "/", "", "/v1",
	} {
		w := get(t, u, "GET", path)
		if page := strings.Contains(w.Body.String(), "the page"); !page && w.Code != 404 {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	tag := func(path string, header ...string) string {
		return get(t, u, "GET", path, header...).Header().Get("ETag")
	}
	plain, packed := tag("/ui/app.js"), tag("/ui/app.js", "Accept-Encoding", "gzip")
	if plain == packed || plain == "" {
		t.Errorf("%s, %s", plain, packed)
	}
	for _, c := range []struct {
		path, match, encoding string
		status                int
	}{
		{"/ui/app.js", plain, "", 304},
		{"/ui/app.js", `"x", ` + plain, "", 304},
		{"/ui/app.js", "W/" + plain, "", 304},
		{"/ui/app.js", "*", "", 304},
		{"/ui/app.js", packed, "gzip", 304},
		{"/ui/app.js", plain, "gzip", 200},
		{"/ui/app.js", packed, "", 200},
		{"/ui/app.js", `"x"`, "", 200},
		{"/ui/", tag("/ui/"), "", 304},
		{"/ui/t/acme", tag("/ui/"), "", 304},
		{"/ui/portal/acme", tag("/ui/portal/acme"), "", 304},
		{"/ui/portal/acme", tag("/ui/"), "", 200},              // the kept page has a policy that nobody may embed
		{"/ui/portal/nobody", tag("/ui/portal/acme"), "", 200}, // and this one's somebody
	} {
		w := get(t, u, "GET", c.path, "If-None-Match", c.match, "Accept-Encoding", c.encoding)
		if w.Code != c.status || c.status == 304 && (w.Body.Len() > 0 || w.Header().Get("ETag") == "" || w.Header().Get("Content-Security-Policy") == "") {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	w := get(t, u, "GET", "/ui/app.js", "Range", "bytes=8-10", "Accept-Encoding", "gzip")
	if w.Code != 206 || w.Body.String() != script[8:11] || w.Header().Get("Content-Encoding") != "" || w.Header().Get("Content-Length") != "3" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w := get(t, u, "GET", "/ui/app.js", "Range", "bytes=99999999-"); w.Code != 416 {
		t.Errorf("%d", w.Code)
	}
	if w := get(t, u, "GET", "/ui/app.js", "Range", "bytes=0-2", "If-Range", `"x"`); w.Code != 200 || w.Body.String() != script {
		t.Errorf("a part of another build: %d", w.Code)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	u := newUI(t)
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "br, gzip": true, "gzip;q=0": false, "gzip; q=0": false, "gzip;q=0.000": false, "gzip;q=0.1": true,
		"*": true, "*;q=0": false, "*, gzip;q=0": false, "gzip, *;q=0": true, "identity": false, "br": false, "gzip;q=x": false, "gzip;q=NaN": false, "gzipx": false,
		"gzip ;q=1": true, "gzip;Q=1": true, "br;q=1.0, gzip;q=0.8, *;q=0.1": true,
	} {
		w := get(t, u, "GET", "/ui/app.js", "Accept-Encoding", header)
		got := w.Header().Get("Content-Encoding") == "gzip"
		if got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", header, w.Header())
		}
		body := w.Body.Bytes()
		if want {
			if len(body) > len(script)/4 {
				t.Errorf("%d bytes of %d", len(body), len(script))
			}
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if string(body) != script {
			t.Errorf("%q: another body", header)
		}
	}
	if w := get(t, u, "GET", "/ui/app.js", "Accept-Encoding", "br", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "gzip" {
		t.Error("the second header is not seen")
	}
	for _, path := range []string{"/ui/font.woff2", "/ui/app.css", "/ui/LICENSE"} { // packed already, too small, not known to be text
		if w := get(t, u, "GET", path, "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Header().Get("Vary") != "" {
			t.Errorf("%s is packed", path)
		}
	}
}

func TestNoBuild(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Files: fstest.MapFS{"app.js": {}}}); err == nil || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("%v", err)
	}
}

// TestBuild looks at the build that is embedded: no source maps, nothing inline that the policy would stop, no address of
// another host in the page. Its size is for the build itself to check (web/ui/scripts/size.mjs).
func TestBuild(t *testing.T) {
	t.Parallel()
	u, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for path := range u.files {
		if name := strings.TrimPrefix(path, Prefix); contentTypes[filepath.Ext(name)] == "" {
			t.Errorf("%s should not be there", path)
		}
	}
	page := string(u.page.body)
	for _, bad := range []string{"<style", " style=", "onload=", "onclick=", "http://", "https://", "src=\"//", "href=\"//"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, m := range regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(m[1], " src=") || m[2] != "" {
			t.Errorf("an inline script: %.60q", m[0])
		}
	}
}
