// Package ui serves the web UI, which is embedded as the build of web/ui left it: files under /ui/ by their names, and for
// every other address below the one page, which finds its view by itself.
//
// The way of a request: path → file, or page → the headers of its kind, those of a portal with the web origins that may
// embed it → compressed or not → the answer, 304, or a part.
package ui

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Prefix begins the path of everything that is served here.
const Prefix = "/ui/"

// portalPrefix begins the paths of tenants' portals; the tenant's name is the next part.
const portalPrefix = Prefix + "portal/"

// index is the name of the page.
const index = "index.html"

// dist is the build. All of it: a build may name files with a leading underscore.
//
//go:embed all:dist
var dist embed.FS

// Config is what the UI is made of.
type Config struct {
	// Files are what is served, by their names; the embedded build when nil.
	Files fs.FS
	// Embedders returns the web origins whose pages may embed the portal of a tenant, such as https://app.example.com, none
	// for a tenant that there is not. nil: no page may.
	Embedders func(ctx context.Context, tenant string) []string
}

// file is one that is served.
type file struct {
	contentType string
	sum         string // of the content, for its ETag
	body        []byte
	// packed returns the content compressed, nil when that does not make it smaller. It is made at the first use.
	packed func() []byte
}

// UI is the handler of everything under /ui/. It is safe for concurrent use.
type UI struct {
	files     map[string]*file // by path
	page      *file
	embedders func(ctx context.Context, tenant string) []string
}

// New makes the UI. It returns an error when the files hold no index.html.
func New(c Config) (*UI, error) {
	if c.Files == nil {
		built, err := fs.Sub(dist, "dist")
		if err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
		c.Files = built
	}
	files, err := load(c.Files)
	if err != nil {
		return nil, fmt.Errorf("ui: read the build: %w", err)
	}
	page := files[Prefix+index]
	if page == nil {
		return nil, fmt.Errorf("ui: the build has no %s; run npm run build in web/ui", index)
	}
	if c.Embedders == nil {
		c.Embedders = func(context.Context, string) []string { return nil }
	}
	return &UI{files: files, page: page, embedders: c.Embedders}, nil
}

// contentTypes are those of the endings of names.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".txt": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".ico": "image/x-icon", ".woff2": "font/woff2",
}

// packable are the endings of files that are text.
var packable = map[string]bool{".html": true, ".js": true, ".css": true, ".json": true, ".txt": true, ".webmanifest": true, ".svg": true}

// load reads the files by the paths at which they are.
func load(files fs.FS) (map[string]*file, error) {
	all := map[string]*file{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		ending := strings.ToLower(path.Ext(name))
		f := &file{contentType: contentTypes[ending], sum: hex.EncodeToString(sum[:12]), body: body, packed: func() []byte { return nil }}
		if f.contentType == "" {
			f.contentType = "application/octet-stream"
		}
		if packable[ending] {
			f.packed = sync.OnceValue(func() []byte { return pack(body) })
		}
		all[Prefix+name] = f
		return nil
	})
	return all, err
}

// pack compresses a body; nil when that does not make it smaller.
func pack(body []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil || w.Close() != nil || out.Len() >= len(body) {
		return nil
	}
	return out.Bytes()
}

// ServeHTTP serves GET and HEAD of paths under [Prefix].
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, tenant, portal := u.find(r.URL)
	if f == nil {
		http.NotFound(w, r)
		return
	}
	policy := closed
	if portal {
		policy = contentPolicy(u.embedders(r.Context(), tenant))
	}
	setHeaders(w.Header(), policy, portal)
	tag := f.sum
	if f == u.page {
		// A page that a browser keeps goes on with the policy that it came with: another one makes it another page.
		sum := sha256.Sum256([]byte(policy))
		tag += "-" + hex.EncodeToString(sum[:4])
	}
	f.serve(w, r, tag)
}

// find returns the file at a path, nil when there is nothing, and of the pages of a portal the name of its tenant.
func (u *UI) find(at *url.URL) (f *file, tenant string, portal bool) {
	if f = u.files[at.Path]; f != nil && f != u.page {
		return f, "", false
	}
	rest := strings.TrimPrefix(at.Path, Prefix)
	if !strings.Contains(rest, "/") && contentTypes[path.Ext(rest)] != "" && rest != index {
		// A file of another build: a page in its place would be taken for a broken script.
		return nil, "", false
	}
	// As it was sent, so that an escaped slash is part of the name.
	if below, ok := strings.CutPrefix(at.EscapedPath(), portalPrefix); ok {
		name, _, _ := strings.Cut(below, "/")
		if tenant, err := url.PathUnescape(name); err == nil {
			return u.page, tenant, true
		}
	}
	return u.page, "", false
}

// serve answers with a file or a part of it, or 304.
func (f *file) serve(w http.ResponseWriter, r *http.Request, tag string) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	body := f.body
	packed := f.packed()
	if packed != nil {
		h.Set("Vary", "Accept-Encoding")
	}
	// Parts are of what is not compressed, so that every client can put them together.
	if packed != nil && r.Header.Get("Range") == "" && takesGzip(r.Header.Values("Accept-Encoding")) {
		body, tag = packed, tag+"-gz"
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether a client takes gzip (RFC 9110, 12.5.3).
func takesGzip(headers []string) bool {
	named, others := -1.0, -1.0
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			coding, params, _ := strings.Cut(part, ";")
			q := quality(params)
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				named = max(named, q)
			case "*":
				others = max(others, q)
			}
		}
	}
	if named >= 0 {
		return named > 0
	}
	return others > 0
}

// quality reads a weight; what cannot be read is 0.
func quality(params string) float64 {
	name, value, ok := strings.Cut(strings.TrimSpace(params), "=")
	if !ok && name == "" {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !strings.EqualFold(strings.TrimSpace(name), "q") || q != q {
		return 0
	}
	return q
}
