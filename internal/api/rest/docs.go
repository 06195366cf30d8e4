package rest

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed assets
var assets embed.FS

// code is one stable code of problem documents.
type code struct {
	Code   string
	Status int
	Text   string
}

// codes lists the codes of problems for people. Other packages may add more specific ones under the same statuses.
var codes = []code{
	{"malformed", 400, "The request cannot be read: a body that ends early, a query that is not encoded."},
	{"malformed_json", 400, "The body is not JSON, or not strict JSON: a name given twice, invalid UTF-8. The detail says where."},
	{"bad_handshake", 400, "The request cannot become a WebSocket: a header of the handshake is missing or not allowed."},
	{"unknown_subprotocol", 400, "The WebSocket's subprotocols are posthorn.v1.json and posthorn.v1.cbor; others were offered only."},
	{"unauthorized", 401, "There is no API key or token, or it is unknown or has ended, or it is an API key where only tokens are taken."},
	{"session_ended", 401, "The session of the cookie has ended: it has expired, somebody ended it, or its API key or role was taken away. Sign in again."},
	{"forbidden", 403, "The API key or token may not do this, or is for another tenant; errors names what of a publish a token may not."},
	{"origin_not_allowed", 403, "A page of this web origin may not do this: the server's option allow-origins does not name it, or a session is used, which is for the server's own pages."},
	{"not_found", 404, "There is no such thing, or nothing at this path."},
	{"method_not_allowed", 405, "The path takes the methods in the Allow header only."},
	{"not_acceptable", 406, "The Accept header asks for something else than application/json, or, of a stream, than text/event-stream."},
	{"request_timeout", 408, "The request did not arrive in time."},
	{"no_session", 409, "There is no session to end: the request was made with a key or a token."},
	{"tenant_exists", 409, "There is a tenant of this name already."},
	{"event_type_exists", 409, "There is an event type of this name already."},
	{"too_many_endpoints", 409, "The tenant has as many endpoints as it may have."},
	{"already_exists", 409, "There is such a thing already."},
	{"too_many_queues", 409, "The tenant has as many queues as it may have."},
	{"too_many_bins", 409, "There are as many bins of the tenant, or of nobody, as there may be."},
	{"not_held", 409, "No caller waits for the answer to this request: its time is over, or it has its answer."},
	{"too_many_sources", 409, "The tenant has as many sources as it may have."},
	{"too_many_event_types", 409, "The tenant has as many event types as it may have."},
	{"too_many_replays", 409, "The endpoint has as many replays under way as it may have."},
	{"too_many_retries", 409, "As many events wait to be tried again at the endpoint as may; try again later."},
	{"changelog_off", 409, "The endpoint is a hook, and hooks rest while the tenant's changelog is off."},
	{"too_many_keys", 409, "As many keys of the tenant's tokens are valid at once as may be; rotate with overlap 0s, or later."},
	{"root_key_configured", 409, "The root key is set in the server's configuration: it is changed there."},
	{"apikey_expired", 409, "The API key has expired; make another one."},
	{"folder_not_empty", 409, "The folder for the backup is not empty."},
	{"folder_not_writable", 409, "The server may not write into the folder for the backup."},
	{"idempotency_key_reused", 409, "The Idempotency-Key was used for a request with another content."},
	{"idempotency_key_in_use", 409, "The first request with this Idempotency-Key is still being worked on; try again after Retry-After."},
	{"start_beyond_head", 422, "The log is shorter than the start that is asked for: the cursor is of another log, or of one from before a backup was restored. What was given since then must be read anew."},
	{"gone", 410, "What is asked for is older than retention; the member oldest holds the oldest version left."},
	{"bin_expired", 410, "The bin has expired."},
	{"bin_full", 410, "The bin is full, and refuses more."},
	{"not_new", 412, "If-None-Match: * was given, and there is such a thing: take another name, or leave the condition out to replace it."},
	{"revision_mismatch", 412, "The resource was changed since its ETag was read: read it again."},
	{"too_large", 413, "The body is too large."},
	{"event_too_large", 413, "An event is too large."},
	{"batch_too_large", 413, "A publish holds too many events or bytes."},
	{"unsupported_media_type", 415, "The body's Content-Type is not one that is taken here."},
	{"invalid", 422, "The request can be read but something in it is not allowed; errors names the fields."},
	{"schema_violation", 422, "An event's data does not satisfy the schema of its event type."},
	{"upgrade_required", 426, "At this path is a WebSocket; ask for one, version 13, over HTTP/1.1."},
	{"too_many_subscriptions", 409, "The WebSocket has as many subscriptions as it may have; end one, or open another connection."},
	{"subscription_exists", 409, "The WebSocket has a subscription with this id; unsubscribe first, or choose another id."},
	{"host_taken", 409, "Another tunnel is connected at this host name."},
	{"too_many_tunnels", 429, "The tenant has as many tunnels (409) or connections of them (429) as it may have; delete one, or try again after Retry-After."},
	{"too_many_streams", 429, "The tenant, the token or the address has as many live connections as it may have; try again after Retry-After."},
	{"too_many_attempts", 429, "Signing in has failed too often, from this address or in all; try again after Retry-After."},
	{"rate_limited", 429, "The tenant publishes, or tries endpoints, faster than it may; try again after Retry-After."},
	{"headers_too_large", 431, "The request line and the headers are too large."},
	{"internal", 500, "Something went wrong on the server; its log says more under the X-Request-Id."},
	{"token_keys_unavailable", 503, "The keys of a token's issuer cannot be had now; try again after Retry-After."},
	{codeBusy, 503, "The server has as many live connections, waiting polls or callers as it takes, or stops; try again after Retry-After."},
	{"audit_unavailable", 503, "The audit log cannot be written, so nothing was changed; try again after Retry-After."},
	{"no_answer", 503, "The address to which a request was sent again gave no answer."},
	{"shutting_down", 503, "The server is stopping; try again after Retry-After."},
	{"storage_full", 507, "There is no space left to keep what was sent. It is safe to try again later."},
}

var problemsPage = template.Must(template.New("problems").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posthorn API: codes of errors</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body>
<header><h1>Codes of errors</h1><p>Errors are problem documents (RFC 9457) of the media type application/problem+json:
type, title, status, code, detail, and errors, a list of field and message. <a href="/docs">The API</a></p></header>
<section class="codes"><table>
<thead><tr><th scope="col">code</th><th scope="col">status</th><th scope="col">meaning</th></tr></thead>
<tbody>{{range .}}<tr id="{{.Code}}"><td><code>{{.Code}}</code></td><td>{{.Status}}</td><td>{{.Text}}</td></tr>
{{end}}</tbody></table></section>
</body>
</html>
`))

// contentPolicy lets the pages load nothing but their own script, style and document.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsRoutes adds the documentation pages.
func (a *API) docsRoutes() {
	var problems strings.Builder
	if err := problemsPage.Execute(&problems, codes); err != nil {
		panic(err) // a template and a table that are fixed
	}
	serve := func(path, contentType string, body []byte) {
		tag := etag(1, body)
		a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", contentPolicy)
			w.Header().Set("Referrer-Policy", "no-referrer")
			a.static(w, r, contentType, tag, body)
		})
	}
	serve("/docs/problems", "text/html; charset=utf-8", []byte(problems.String()))
	for path, file := range map[string][2]string{
		"/docs": {"docs.html", "text/html"}, "/docs/docs.js": {"docs.js", "text/javascript"}, "/docs/docs.css": {"docs.css", "text/css"},
	} {
		body, err := assets.ReadFile("assets/" + file[0])
		if err != nil {
			panic(err) // embedded
		}
		serve(path, file[1]+"; charset=utf-8", body)
	}
}
