// Package web holds the JavaScript client and the page of the demo, embedded, and serves them as they are: there is no build.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed client demo
var files embed.FS

// file is one that is served.
type file struct {
	contentType string
	tag         string
	body        []byte
}

// contentTypes are those of the names' endings that are served; the rest is for readers of the source.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".ts": "application/typescript; charset=utf-8",
}

// Client serves the JavaScript client under /client/: /client/posthorn.js, what it imports, and /client/posthorn.d.ts. Pages
// of any origin may import it.
func Client() http.Handler {
	all := load("client")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.URL.Path == "/client/posthorn.js" {
			h.Set("X-TypeScript-Types", "./posthorn.d.ts")
		}
		serve(w, r, all)
	})
}

// contentPolicy lets the page load nothing but its own script, style, images and connections.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'"

// Demo serves the demo's page under /demo/. What the page asks for besides, the caller serves.
func Demo() http.Handler {
	all := load("demo")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Referrer-Policy", "no-referrer")
		serve(w, r, all)
	})
}

// load reads the files of a folder by their addresses; index.html is that of the folder.
func load(folder string) map[string]file {
	all := map[string]file{}
	err := fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error {
		contentType := contentTypes[path.Ext(name)]
		if err != nil || d.IsDir() || contentType == "" {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		all["/"+strings.TrimSuffix(name, "index.html")] = file{contentType, `"` + hex.EncodeToString(sum[:12]) + `"`, body}
		return nil
	})
	if err != nil {
		panic(err) // embedded
	}
	return all
}

// serve answers with a file, 304 or 404.
func serve(w http.ResponseWriter, r *http.Request, all map[string]file) {
	f, ok := all[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	_, _ = w.Write(f.body) // the asker may be gone
}
