package hooksite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bins is what the interfaces need of bins (package inspect; see there for errors).
type Bins interface {
	Create(ctx context.Context, tenant event.TenantID, b event.Bin) (event.Bin, error)
	Bin(ctx context.Context, tenant event.TenantID, name string) (event.Bin, error)
	Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error)
	Expired(b *event.Bin) bool
	Stats(ctx context.Context, id string) (event.BinStats, error)
	Update(ctx context.Context, b event.Bin, revision int64) (event.Bin, error)
	Delete(ctx context.Context, id string, revision int64) error

	Search(ctx context.Context, q event.CaptureQuery, text string) (list []event.Capture, next int64, err error)
	Capture(ctx context.Context, bin, ref string) (event.Capture, error)
	Note(ctx context.Context, bin string, seq int64, note string) error
	DeleteCapture(ctx context.Context, bin string, seq int64) error
	Answer(bin string, seq int64, a event.Answer) error
	Join(bin string) (leave func(), err error)
	Next(ctx context.Context, bin string, after int64, wait time.Duration) ([]event.Capture, error)

	// Serve captures a request and answers its caller.
	Serve(w http.ResponseWriter, r *http.Request, name, prefix string)
}

// Authenticator turns an API key into what it may do (package control).
type Authenticator interface {
	// Authenticate returns the key's record, or KindUnauthorized.
	Authenticate(ctx context.Context, bearer string) (event.APIKey, error)
}

// Config is what the interfaces are made of; every field must be given but Anonymous and Clock.
type Config struct {
	Bins Bins
	Auth Authenticator
	// Anonymous lets anyone make bins, which belong to nobody.
	Anonymous bool
	// Remote is the IP address of a request's caller.
	Remote func(r *http.Request) string
	// PublicURL is the server's address as callers see it, without a path.
	PublicURL string
	Logger    *slog.Logger
	// Clock gives the time; nil: [time.Now].
	Clock func() time.Time
}

// API is both interfaces. Make one with [New] and end it with [API.Close].
type API struct {
	Config
	limits  limiter
	callers callers
	scans   chan struct{} // one for each read of a search
	heavy   chan struct{} // one for each reader that is given much
	feeds   feeds
	sockets sockets
	ctx     context.Context //nolint:containedctx // of the sessions of sockets, which outlive the request that begins them
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// maxScans is how many searches read bins at once.
const maxScans = 8

// New makes the interfaces.
func New(c Config) *API {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	a := &API{Config: c, scans: make(chan struct{}, maxScans), heavy: make(chan struct{}, heavyPlaces)}
	a.limits.init()
	a.callers.init()
	a.feeds.init()
	a.sockets.init()
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// Close ends the sessions of sockets and waits for them. Streams end with the bins' service.
func (a *API) Close() {
	a.sockets.close()
	a.cancel()
	a.work.Wait()
}

// reserved are the first elements of paths of the server itself, or that it may come to have. No bin is at the root under
// such a name.
var reserved = map[string]bool{
	"v1": true, "v2": true, "api": true, "in": true, "b": true, "t": true, "c": true, "ui": true, "docs": true, "client": true, "healthz": true,
	"readyz": true, "livez": true, "metrics": true, "debug": true, "demo": true, "token": true, "new": true, "soap": true,
	"graphql": true, "grpc": true, "login": true, "logout": true, "oauth": true, "static": true, "assets": true,
}

// Owns reports whether a request is for one of the interfaces: its path is /token or below, /new, /socket.io/, or begins with
// what may name a bin or channel. It is meant for requests that nothing else of the server takes.
func (a *API) Owns(r *http.Request) bool {
	path := r.URL.EscapedPath()
	if path == "/token" || strings.HasPrefix(path, "/token/") || path == "/new" || path == "/socket.io" || path == "/socket.io/" {
		return true
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.HasPrefix(path, "/") && channelName(name) && !reserved[strings.ToLower(name)]
}

// Handler serves both interfaces.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serve) }

func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(v)
			}
			a.fail(w, r, fmt.Errorf("panic: %v", v))
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	path := r.URL.EscapedPath()
	var err error
	switch {
	case path == "/token" || strings.HasPrefix(path, "/token/"):
		err = a.serveToken(w, r, strings.Split(strings.Trim(path, "/"), "/")[1:])
	case path == "/socket.io" || path == "/socket.io/":
		a.serveSocket(w, r)
	case path == "/new":
		err = a.newChannel(w, r)
	default:
		err = a.serveBin(w, r, path)
	}
	if err != nil {
		a.fail(w, r, err)
	}
}

// problem is an error as Webhook.site writes it; of fields that are not valid, also as its framework does.
type problem struct {
	Success bool `json:"success"`
	Error   struct {
		Message string  `json:"message"`
		ID      *string `json:"id"`
	} `json:"error"`
	Message string              `json:"message"`
	Errors  map[string][]string `json:"errors,omitempty"`
}

// fail answers with an error. What is not an [event.Error] is hidden behind a 500.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	p.Message = "An internal error occurred"
	status := http.StatusInternalServerError
	if e, ok := errors.AsType[*event.Error](err); ok && e.Kind != event.KindInternal {
		status, p.Message = e.Kind.HTTPStatus(), e.Detail
		for _, f := range e.Fields {
			if p.Errors == nil {
				p.Errors = map[string][]string{}
			}
			p.Errors[f.Field] = append(p.Errors[f.Field], f.Message)
		}
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(e.RetryAfter/time.Second))))
		}
	} else if r.Context().Err() == nil { // else the caller is gone, or has ended its side: no answer would be a 200
		a.Logger.LogAttrs(r.Context(), slog.LevelError, "request of a bin failed", slog.String("method", r.Method), slog.Any("error", err))
	}
	p.Error.Message = p.Message
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if _, ok := errors.AsType[plain](err); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, p.Message+"\n") // the caller may be gone; nobody is left to tell
		return
	}
	writeJSON(w, status, p)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"success":false}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the caller may be gone; nobody is left to tell
}

// methods answers with the methods that a path takes.
func methods(w http.ResponseWriter, list ...string) {
	w.Header().Set("Allow", strings.Join(list, ", "))
	var p problem
	p.Message = "this path takes " + strings.Join(list, ", ")
	p.Error.Message = p.Message
	writeJSON(w, http.StatusMethodNotAllowed, p)
}

// errorCode is the stable code of an error, or "".
func errorCode(err error) string {
	if e, ok := errors.AsType[*event.Error](err); ok {
		return e.Code
	}
	return ""
}
