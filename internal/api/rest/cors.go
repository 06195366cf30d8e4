package rest

import (
	"net/http"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// What pages of other origins may send and see (Fetch standard, "CORS protocol").
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Cache-Control, X-Request-Id, " +
		"ce-specversion, ce-id, ce-source, ce-type, ce-subject, ce-time, ce-dataschema"
	corsExposed = "ETag, Location, Retry-After, X-Request-Id, Idempotent-Replayed, WWW-Authenticate, Allow"
	corsMaxAge  = "7200" // seconds; the longest that browsers keep to
)

// origins says which web origins' pages may call the API. An origin is a scheme, a host, and a port unless it is the
// scheme's own.
type origins struct {
	named map[string]bool
	any   bool
	own   string // of the public URL, or empty
}

func newOrigins(list []string, publicURL string) origins {
	o := origins{named: map[string]bool{}, own: normalOrigin(publicURL)}
	for _, s := range list {
		if s == "*" {
			o.any = true
		} else {
			o.named[normalOrigin(s)] = true
		}
	}
	delete(o.named, "")
	return o
}

// normalOrigin writes an origin in lower case without a scheme's own port; "" when it is none, such as "null".
func normalOrigin(s string) string {
	scheme, host, ok := strings.Cut(strings.ToLower(s), "://")
	if !ok || host == "" {
		return ""
	}
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}

// isOwn reports whether an origin is the server's: that of the public URL, or, behind proxies, that of the host which
// the request names. The scheme is that of the public URL if this has the same host, so that a page which was not sent
// over TLS is not taken for one that was.
func (o *origins) isOwn(origin, host string) bool {
	origin = normalOrigin(origin)
	if origin == "" {
		return false
	}
	if origin == o.own {
		return true
	}
	scheme, name, _ := strings.Cut(origin, "://")
	_, ownName, _ := strings.Cut(o.own, "://")
	return name != ownName && origin == normalOrigin(scheme+"://"+host)
}

// trusts reports whether a page may act with what its browser keeps for the server: the server's own pages and those of
// origins that are named. That any origin is allowed does not suffice.
func (o *origins) trusts(origin, host string) bool {
	return o.named[normalOrigin(origin)] || o.isOwn(origin, host)
}

// allow is the Access-Control-Allow-Origin for an origin, or "". Pages of the server's own host need none.
func (o *origins) allow(origin string) string {
	if normal := normalOrigin(origin); o.named[normal] || normal != "" && normal == o.own {
		return origin
	}
	if o.any {
		return "*"
	}
	return ""
}

// mayUseCookies reports whether a request with a cookie comes from a page that is trusted, or from no page.
func (o *origins) mayUseCookies(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		return o.trusts(origin, r.Host)
	}
	return r.Header.Get("Sec-Fetch-Site") != "cross-site"
}

// OriginAllowed returns the rule for the origin of a page that opens a WebSocket (RFC 6455, 10.2): the server's own, by
// the public URL or by the host that the request names, and those of allow, in which "*" is any. An empty origin, which
// no browser sends, is allowed.
func OriginAllowed(allow []string, publicURL string) func(origin, host string) bool {
	o := newOrigins(allow, publicURL)
	return func(origin, host string) bool {
		return origin == "" || o.any || o.trusts(origin, host)
	}
}

// CrossOriginHeaders are those of an answer to a page of another origin, each with its name and value, when allowOrigin is
// its Access-Control-Allow-Origin; none when that is empty. Cookies and other credentials of the browser are for origins
// that are named, never for any.
func CrossOriginHeaders(allowOrigin string) [][2]string {
	switch allowOrigin {
	case "":
		return nil
	case "*":
		return [][2]string{{"Access-Control-Allow-Origin", "*"}, {"Access-Control-Expose-Headers", corsExposed}, {"Vary", "Origin"}}
	}
	return [][2]string{
		{"Access-Control-Allow-Origin", allowOrigin},
		{"Access-Control-Allow-Credentials", "true"},
		{"Access-Control-Expose-Headers", corsExposed},
		{"Vary", "Origin"},
	}
}

// isShared reports whether pages of other origins may use a path: the API and its descriptions.
func isShared(path string) bool {
	return strings.HasPrefix(path, "/v1/") || path == "/openapi.json" || path == asyncPath
}

// crossOrigin does what browsers ask for when a page of another origin calls the API. It reports whether the request was
// such a question only (a preflight) and is answered.
func (a *API) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	asks := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != ""
	if !isShared(r.URL.Path) || origin == "" && len(a.AllowOrigins) == 0 {
		return false
	}
	h := w.Header()
	allow := a.origins.allow(origin)
	if allow == "" && len(a.AllowOrigins) > 0 {
		h.Add("Vary", "Origin")
	}
	for _, f := range CrossOriginHeaders(allow) {
		h.Add(f[0], f[1])
	}
	if !asks {
		return false
	}
	h.Del("Access-Control-Expose-Headers")
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	if allow == "" && !a.origins.isOwn(origin, r.Host) {
		a.writeProblem(w, r, newProblem(http.StatusForbidden, "origin_not_allowed", "pages of this origin may not call the server",
			client.FieldError{Field: "Origin", Message: "must be the server's own or one of allow-origins"}))
		return true
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
