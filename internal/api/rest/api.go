package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// Config is what the API is made of. All ports but Audit, Sessions, Sources, Bins, Tunnels and Live, and Logger, must be given.
type Config struct {
	Publisher Publisher
	Auth      Authenticator
	Control   Control
	Delivery  Delivery
	Log       Log
	Answers   Answers
	Tokens    Tokens
	Portals   Portals
	// Audit keeps the audit log; nil: there is none.
	Audit Auditor
	// Address is the IP address of a request's caller, "" when it is not known; nil: it never is.
	Address func(r *http.Request) string
	Queues  Queues
	// Sources are where other systems' webhooks arrive; nil: there are none.
	Sources Sources
	// Bins keep requests to be looked at; nil: there are none.
	Bins Bins
	// Tunnels lead to programs on listeners' own machines; nil: there are none.
	Tunnels Tunnels
	// Sessions are those of browsers that are signed in; nil: nobody can sign in.
	Sessions Sessions
	// Holds reports whether who was accepted is still good: asked of those who go on listening to bins. nil: they are until
	// they expire.
	Holds func(ctx context.Context, key *event.APIKey) bool
	// Live serves those who listen; nil: nobody can.
	Live Live
	// Streams are the live connections, to be listed and ended; nil: they are not.
	Streams Streams
	// Overviews show how the server and tenants do; nil: nothing does.
	Overviews Overviews
	// Patterns compiles patterns of event types (package match); an error says which is wrong, and why.
	Patterns func(patterns []string) (func(eventType string) bool, error)

	Limits event.Limits
	// DeliveryTimeout is how long an attempt may take where its endpoint does not say.
	DeliveryTimeout time.Duration
	Logger          *slog.Logger
	// Version is Posthorn's, shown in the OpenAPI document.
	Version string
	// PublicURL is the server's address as callers see it, without a path; empty: relative addresses.
	PublicURL string
	// AllowOrigins lists the web origins, beside the server's own, whose pages may call the API from a browser; "*" is any.
	AllowOrigins []string
	// AsyncAPI is the description of the WebSocket's messages that is served at /asyncapi.yaml; nil: it is not.
	AsyncAPI []byte

	// Health, Ready and Metrics answer GET of /healthz, /readyz and /metrics without a key; Profile answers
	// /debug/pprof/ and Backup POST of /v1/backup for admin keys. Those that are nil are not served.
	Health, Ready, Metrics, Profile, Backup http.Handler
	// Pages are served without a key, by the beginning of their path, such as /client/.
	Pages map[string]http.Handler
}

// API is the HTTP API.
type API struct {
	Config
	log     *slog.Logger
	base    context.Context // of log lines that belong to no request's context
	mux     *http.ServeMux
	huma    huma.API
	spec    []byte
	specTag string
	origins origins
	// crossSite knows requests that a page of another site lets a browser send.
	crossSite *http.CrossOriginProtection
	// mayPublish says which events a key may publish.
	mayPublish func(k *event.APIKey, events []event.Event, array bool) error
	writing    inFlight
	trying     tries
	counting   chan struct{} // a place for each request that counts events
	sampling   chan struct{} // and for each that looks at the newest ones for a preview
	stats      statsCache
}

// New makes the API. It panics when the routes contradict each other, which a test would have found.
func New(c Config) *API {
	setHumaDefaults()
	a := &API{
		Config: c, log: c.Logger, base: context.Background(), mux: http.NewServeMux(), origins: newOrigins(c.AllowOrigins, c.PublicURL),
		crossSite:  newCrossSite(c.PublicURL),
		mayPublish: MayPublish(c.Patterns), counting: make(chan struct{}, countsAtOnce), sampling: make(chan struct{}, recentAtOnce),
	}
	a.huma = huma.NewAPI(a.humaConfig(), &adapter{api: a})
	a.tenantRoutes()
	a.eventRoutes()
	a.listenRoutes()
	a.endpointRoutes()
	a.endpointActionRoutes()
	a.deliveryRoutes()
	a.previewRoutes()
	a.replayRoutes()
	a.histogramRoutes()
	a.eventTypeRoutes()
	a.queueRoutes()
	a.sourceRoutes()
	a.binRoutes()
	a.tunnelRoutes()
	a.keyRoutes()
	a.tokenRoutes()
	a.sessionRoutes()
	a.portalRoutes()
	a.auditRoutes()
	a.overviewRoutes()
	a.streamRoutes()
	a.statsRoutes()
	a.publishRoute()
	a.backupRoute()
	a.finishSpec()
	a.systemRoutes()
	return a
}

// setHumaDefaults sets what huma keeps in package variables: strict names, no null for lists, our problem documents.
var setHumaDefaults = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaError(status, message, errs...)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		return inOperation(ctx, humaError(status, message, errs...))
	}
})

// Handler returns the handler of every path of the API.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serve) }

// OpenAPI returns the OpenAPI 3.1 document that is served at /openapi.json.
func (a *API) OpenAPI() []byte { return a.spec }

// serve is the way in: the browser's questions first, then the publish path, then the router.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if a.crossOrigin(w, r) {
		return
	}
	if tenant, ok := PublishTenant(r.Method, r.URL.EscapedPath()); ok {
		a.servePublish(w, r, tenant)
		return
	}
	start := time.Now()
	id := requestID(r.Header.Get("X-Request-Id"))
	h := w.Header()
	h.Set("X-Request-Id", id)
	guard(h)
	status := &statusWriter{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			a.recovered(status, r, v)
		}
		if a.log.Enabled(r.Context(), slog.LevelDebug) {
			a.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", status.status), slog.Duration("took", time.Since(start)))
		}
	}()
	a.route(status, r)
}

// lifeless lets an answer do nothing in a browser: it holds what others wrote, whatever its media type says.
const lifeless = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard sets what every answer says to browsers; pages say their own instead.
func guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", lifeless)
	h.Set("Cross-Origin-Resource-Policy", "same-origin") // of what a page shows without asking by the rules of CORS
}

// recovered answers for a handler that panicked.
func (a *API) recovered(w *statusWriter, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
		panic(v)
	}
	p := problemOf(fmt.Errorf("panic: %v", v))
	if w.status != 0 {
		a.logCause(p, w.Header().Get("X-Request-Id"), r.Method, r.URL.Path)
		return
	}
	a.writeProblem(w, r, p)
}

// route passes a request to its handler; one without gets a problem document instead of the router's text.
func (a *API) route(w http.ResponseWriter, r *http.Request) {
	handler, pattern := a.mux.Handler(r)
	if pattern != "" && cleanPath(r.URL.EscapedPath()) {
		a.mux.ServeHTTP(w, r)
		return
	}
	if pattern == "" {
		router := &answer{header: http.Header{}}
		handler.ServeHTTP(router, r)
		if allow := router.header.Get("Allow"); allow != "" {
			p := newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path takes "+allow)
			a.writeProblem(w, r, p.with("Allow", allow))
			return
		}
	}
	a.writeProblem(w, r, newProblem(http.StatusNotFound, "not_found", "there is nothing at this path"))
}

// cleanPath reports whether the router would take an escaped path as it is. It redirects others, which would lose a
// body. What is escaped is part of a name: an event's id may hold // or be two dots.
func cleanPath(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// requestID keeps a caller's id that is safe to log, and makes one otherwise.
func requestID(s string) string {
	if s == "" || len(s) > 64 {
		return newRequestID()
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return newRequestID()
		}
	}
	return s
}

func newRequestID() string {
	return strconv.FormatUint(rand.Uint64()|1<<63, 36) //nolint:gosec // names a request in a log, guards nothing
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// systemRoutes adds the routes that are not part of /v1.
func (a *API) systemRoutes() {
	for route, h := range map[string]http.Handler{"/healthz": a.Health, "/readyz": a.Ready, "/metrics": a.Metrics} {
		if h != nil {
			a.mux.Handle("GET "+route, h)
		}
	}
	for prefix, h := range a.Pages {
		a.mux.Handle(prefix, h)
	}
	if a.Profile != nil {
		a.mux.Handle("GET /debug/pprof/", a.adminOnly(a.Profile))
		a.mux.Handle("POST /debug/pprof/symbol", a.adminOnly(a.Profile))
	}
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		a.static(w, r, "application/vnd.oai.openapi+json;version=3.1", a.specTag, a.spec)
	})
	if a.AsyncAPI != nil {
		tag := etag(1, a.AsyncAPI)
		a.mux.HandleFunc("GET "+asyncPath, func(w http.ResponseWriter, r *http.Request) {
			a.static(w, r, "application/vnd.aai.asyncapi+yaml;version=3.0.0", tag, a.AsyncAPI)
		})
	}
	a.docsRoutes()
	if a.Pages[rootPage] == nil {
		a.mux.Handle(rootPage, http.RedirectHandler("/docs", http.StatusFound))
	}
}

// rootPage is the pattern of the page at the root, which leads to the documentation unless [Config] has another one.
const rootPage = "GET /{$}"

// adminOnly lets requests with an admin key through.
func (a *API) adminOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cred, p := a.said(r, false)
		if p == nil {
			_, p = a.authenticate(r.Context(), cred, false)
		}
		if p != nil {
			a.writeProblem(w, r, p)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// static answers with a fixed body, or 304.
func (a *API) static(w http.ResponseWriter, r *http.Request, contentType, tag string, body []byte) {
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if noneMatch(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the client may be gone; nobody is left to tell
}

// humaConfig sets huma up without its own documents and pages.
func (a *API) humaConfig() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Posthorn", Version: a.Version,
				Description: "An event goes in once and reaches every endpoint as a signed webhook: durable, in order where asked, recorded. " +
					"See /docs/problems for the codes of errors.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer":      {Type: "http", Scheme: "bearer", Description: "An API key, or a token"},
					"tokenQuery":  {Type: "apiKey", In: "query", Name: tokenQuery, Description: "A token; for browsers' EventSource and WebSocket"},
					"session":     {Type: "apiKey", In: "cookie", Name: "posthorn_session", Description: "Of a browser that is signed in, from the server's own pages only; __Host-posthorn_session over TLS"},
					"tokenCookie": {Type: "apiKey", In: "cookie", Name: tokenCookie, Description: "A token; for browsers' EventSource and WebSocket"},
				},
			},
			Security: []map[string][]string{{"bearer": {}}, {"session": {}}},
			Servers:  []*huma.Server{{URL: serverURL(a.PublicURL)}},
			Tags: []*huma.Tag{
				{Name: "Publishing", Description: "Events go in"},
				{Name: "Events", Description: "The log: events, changes, attempts"},
				{Name: "Listening", Description: "The log as it grows: change feed, long poll, server-sent events, WebSocket"},
				{Name: "Endpoints", Description: "Where events are pushed to"},
				{Name: "Queues", Description: "Workers share events"},
				{Name: "Sources", Description: "Where other systems' webhooks arrive"},
				{Name: "Bins", Description: "What arrived, to be looked at"},
				{Name: "Tunnels", Description: "Ways to programs on listeners' own machines"},
				{Name: "Event types", Description: "The catalogue"},
				{Name: "Tenants", Description: "Isolated logs"},
				{Name: "API keys", Description: "Who may do what"},
				{Name: "Tokens", Description: "Short-lived keys for browsers"},
				{Name: "Sessions", Description: "Signing in with a browser, and who calls"},
				{Name: "Portal", Description: "Pages for a tenant's own customers"},
				{Name: "Audit", Description: "Who changed what"},
				{Name: "Operation", Description: "The server itself"},
			},
		},
		Formats: map[string]huma.Format{
			typeJSON: {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
			"json":   {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
		},
		DefaultFormat:                typeJSON,
		NoFormatFallback:             true,
		RejectUnknownQueryParameters: true,
	}
}

func serverURL(public string) string {
	if public == "" {
		return "/"
	}
	return public
}

// finishSpec renders the OpenAPI document once all routes are known.
func (a *API) finishSpec() {
	spec, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		panic(errors.Join(errors.New("rest: the OpenAPI document cannot be rendered"), err))
	}
	a.spec = append(spec, '\n')
	a.specTag = etag(1, a.spec)
}
