package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// PublishRequest is a publish as it arrived, whichever HTTP server read it.
type PublishRequest struct {
	Tenant         string
	Authorization  string // the header
	Accept         string // the header
	ContentType    string // the header
	IdempotencyKey string // the header
	SpecVersion    string // the ce-specversion header, of CloudEvents binary mode
	// ContentEncoding is the header. A body that is encoded is refused: its bytes would be stored as if they were the data.
	ContentEncoding string
	// Repeated names one of [SingleHeaders] that was given more than once, or is empty. Which of its values was meant
	// cannot be told, so that the publish is refused.
	Repeated string
	Query    string // must be empty
	// Origin is the header that a browser adds for a page of another origin; the answer's AllowOrigin follows from it. It
	// is empty where the answer gets its headers for that elsewhere.
	Origin string
	// Browser is what a browser adds by itself, when there is no Authorization header: the publish may be by a session.
	Browser BrowserHeaders
	// Headers yields all headers, for CloudEvents binary mode.
	Headers iter.Seq2[string, string]
	// Body is the whole body. Events keep parts of it, so that it must not be used again before [API.Publish] returns.
	Body []byte
}

// BrowserHeaders are the headers that tell what page lets a browser send a request with its cookies.
type BrowserHeaders struct{ Cookie, Host, Origin, FetchSite string }

// SingleHeaders are the headers that a publish may have once only.
var SingleHeaders = [...]string{"Authorization", "Content-Type", "Idempotency-Key"}

// PublishResponse is the answer to a publish.
type PublishResponse struct {
	Status      int
	ContentType string
	Body        []byte
	// RetryAfter and Challenge are the Retry-After and WWW-Authenticate headers, or empty.
	RetryAfter, Challenge string
	// RequestID is the X-Request-Id header of answers to failures: the log names it.
	RequestID string
	// AllowOrigin is the Access-Control-Allow-Origin header for the page that asked, or empty; see [CrossOriginHeaders].
	AllowOrigin string
}

// publishing is what authorize needs to know of a publish.
var publishing = operation{scope: scopePublish, narrowed: true}

// Publish decodes, authorizes and stores what was published, and returns once it is durable. It is the core of
// POST /v1/tenants/{tenant}/events without any HTTP server; it never panics. The caller caps the body beforehand, at
// Limits.MaxBatchBytes.
func (a *API) Publish(ctx context.Context, req PublishRequest) (res PublishResponse) {
	defer func() {
		if v := recover(); v != nil {
			res = a.publishFailed(&req, fmt.Errorf("panic: %v", v))
		}
		if req.Origin != "" {
			res.AllowOrigin = a.origins.allow(req.Origin)
		}
	}()
	if req.Repeated != "" {
		return a.publishFailed(&req, repeatedHeader(req.Repeated))
	}
	cred := credential{text: bearer(req.Authorization)}
	if req.Authorization == "" && req.Browser.Cookie != "" {
		var p *problem
		if cred, p = a.browserCredential(&req); p != nil {
			return a.publishFailed(&req, p)
		}
	}
	key, tenant, err := a.authorize(ctx, cred, req.Tenant, &publishing)
	if err == nil {
		err = checkPublish(&req)
	}
	if err != nil {
		return a.publishFailed(&req, err)
	}
	events, array, err := codec.DecodePublish(codec.Request{
		ContentType: req.ContentType, SpecVersion: req.SpecVersion, Headers: req.Headers, Body: req.Body,
	}, a.Limits)
	if err == nil {
		err = a.mayPublish(&key, events, array)
	}
	if err != nil {
		return a.publishFailed(&req, err)
	}
	var fingerprint [32]byte
	if req.IdempotencyKey != "" {
		fingerprint = publishFingerprint(&req)
	}
	receipts, err := a.Publisher.Publish(ctx, tenant, events, req.IdempotencyKey, fingerprint)
	if err != nil {
		return a.publishFailed(&req, err)
	}
	return published(receipts, array)
}

// checkPublish refuses what the decoder does not look at. It returns an untyped nil for the hot path.
func checkPublish(req *PublishRequest) error {
	if req.Query != "" {
		name, _, _ := strings.Cut(req.Query, "=")
		return invalid(name, "is not a known query parameter")
	}
	if p := acceptable(req.Accept); p != nil {
		return p
	}
	if p := checkIdempotencyKey(req.IdempotencyKey); p != nil {
		return p
	}
	if p := plain(req.ContentEncoding); p != nil {
		return p
	}
	return nil
}

// publishFingerprint tells publishes with the same Idempotency-Key apart: the body, its type, and in binary mode the
// attributes, in any order.
func publishFingerprint(req *PublishRequest) [32]byte {
	sum := sha256.Sum256(req.Body)
	parts := [][]byte{[]byte(req.ContentType), sum[:]}
	var attributes [32]byte
	if req.SpecVersion != "" && req.Headers != nil {
		for name, value := range req.Headers {
			if len(name) < 4 || !strings.EqualFold(name[:3], "ce-") {
				continue
			}
			one := sha256.Sum256([]byte(strings.ToLower(name) + "\n" + value))
			for i := range attributes {
				attributes[i] ^= one[i]
			}
		}
	}
	return [32]byte(hash(nil, append(parts, attributes[:])...))
}

// published renders receipts: 202, or 200 when nothing new was stored.
func published(receipts []event.Receipt, array bool) PublishResponse {
	status := http.StatusOK
	b := make([]byte, 0, 64*len(receipts)+16)
	if array {
		b = append(b, `{"events":[`...)
	}
	for i := range receipts {
		r := &receipts[i]
		if !r.Duplicate {
			status = http.StatusAccepted
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = appendString(b, r.ID)
		b = append(b, `,"version":`...)
		b = strconv.AppendInt(b, r.Version, 10)
		b = append(b, '}')
	}
	if array {
		b = append(b, `]}`...)
	}
	b = append(b, '\n')
	return PublishResponse{Status: status, ContentType: typeJSON, Body: b}
}

// appendString quotes an id: nearly always plain characters, which need no more than quotes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, _ = jsontext.AppendQuote(b, s) // an id is valid UTF-8, and what is not is replaced
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// publishFailed renders a problem.
func (a *API) publishFailed(req *PublishRequest, err error) PublishResponse {
	p := problemOf(err)
	id := newRequestID()
	if p.cause != nil {
		a.logCause(p, id, http.MethodPost, "/v1/tenants/"+req.Tenant+"/events")
	}
	body, err := json.Marshal(p.Problem)
	if err != nil { // strings and numbers only
		body = nil
	}
	body = append(body, '\n')
	return PublishResponse{
		Status: p.Status, ContentType: typeProblem, Body: body,
		RetryAfter: p.header.Get("Retry-After"), Challenge: p.header.Get("WWW-Authenticate"), RequestID: id,
	}
}

// PublishTenant recognises a publish by its method and path, without the router, and returns the tenant's name. Escaped
// paths go the long way.
func PublishTenant(method, path string) (string, bool) {
	const prefix, suffix = "/v1/tenants/", "/events"
	if method != http.MethodPost || len(path) <= len(prefix)+len(suffix) || path[:len(prefix)] != prefix ||
		path[len(path)-len(suffix):] != suffix {
		return "", false
	}
	name := path[len(prefix) : len(path)-len(suffix)]
	return name, strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, '%') < 0
}

// pooledBody is the most that a body's buffer may have grown to go back to the pool, in bytes.
const pooledBody = 64 << 10

var bodies = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}

// servePublish is the net/http side of [API.Publish].
func (a *API) servePublish(w http.ResponseWriter, r *http.Request, tenant string) {
	start := time.Now()
	res := a.readPublish(w, r, tenant)
	h := w.Header()
	h["Content-Type"] = contentTypes[res.ContentType]
	if res.RetryAfter != "" {
		h.Set("Retry-After", res.RetryAfter)
	}
	if res.Challenge != "" {
		h.Set("WWW-Authenticate", res.Challenge)
	}
	if res.RequestID != "" {
		h.Set("X-Request-Id", res.RequestID)
		h.Set("X-Content-Type-Options", "nosniff")
	}
	w.WriteHeader(res.Status)
	_, _ = w.Write(res.Body) // the client may be gone; nobody is left to tell
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		a.log.LogAttrs(r.Context(), slog.LevelDebug, "publish", slog.String("request_id", res.RequestID), slog.String("tenant", tenant),
			slog.Int("status", res.Status), slog.Duration("took", time.Since(start)))
	}
}

// readPublish reads the body and calls [API.Publish].
func (a *API) readPublish(w http.ResponseWriter, r *http.Request, tenant string) PublishResponse {
	limit := int64(a.Limits.MaxBatchBytes)
	if r.ContentLength > limit {
		return a.TooLarge(tenant, "")
	}
	buf, _ := bodies.Get().(*bytes.Buffer)
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return a.TooLarge(tenant, "")
		}
		return a.publishFailed(&PublishRequest{Tenant: tenant}, bodyProblem(err))
	}
	h := r.Header
	req := PublishRequest{
		Tenant: tenant, Query: r.URL.RawQuery, Body: buf.Bytes(),
		Authorization: first(h["Authorization"]), Accept: first(h["Accept"]), ContentType: first(h["Content-Type"]),
		IdempotencyKey: first(h["Idempotency-Key"]), SpecVersion: first(h["Ce-Specversion"]), ContentEncoding: first(h["Content-Encoding"]),
	}
	if len(h["Authorization"]) == 0 {
		req.Browser = BrowserHeaders{Cookie: strings.Join(h["Cookie"], "; "), Host: r.Host, Origin: r.Header.Get("Origin"), FetchSite: r.Header.Get("Sec-Fetch-Site")}
	}
	for _, name := range SingleHeaders {
		if len(h[name]) > 1 {
			req.Repeated = name
			break
		}
	}
	if req.SpecVersion != "" {
		req.Headers = eachHeader(h)
	}
	res := a.Publish(r.Context(), req)
	// After an early end the store's writer may still be reading the events, which are parts of the body.
	if res.Status < http.StatusInternalServerError && r.Context().Err() == nil && buf.Cap() <= pooledBody {
		buf.Reset()
		bodies.Put(buf)
	}
	return res
}

// TooLarge is the answer to a publish whose body is over Limits.MaxBatchBytes. The origin is as in [PublishRequest].
func (a *API) TooLarge(tenant, origin string) PublishResponse {
	res := a.publishFailed(&PublishRequest{Tenant: tenant}, newProblem(http.StatusRequestEntityTooLarge, "batch_too_large",
		fmt.Sprintf("the body may have at most %d bytes", a.Limits.MaxBatchBytes), bodyOver(a.Limits.MaxBatchBytes)))
	if origin != "" {
		res.AllowOrigin = a.origins.allow(origin)
	}
	return res
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func eachHeader(h http.Header) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, values := range h {
			for _, v := range values {
				if !yield(name, v) {
					return
				}
			}
		}
	}
}

// contentTypes saves an allocation a publish.
var contentTypes = map[string][]string{typeJSON: {typeJSON}, typeProblem: {typeProblem}}
