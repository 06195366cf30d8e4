package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/posthornhq/posthorn/client"
)

// maxBody bounds the bodies of all writes but publishes, in bytes.
const maxBody = 1 << 20

// operation describes one route: what is documented and what the pipeline does for it.
type operation struct {
	id, method, path, tag string
	summary, doc          string
	scope                 scope
	status                int // of success; 0: 200, or 204 without a body
	tagged                bool
	secret                bool                   // answers may hold secrets: never cached
	errors                []int                  // besides those of every route of its kind
	answer                reflect.Type           // of answers whose bytes the handler makes
	patch                 reflect.Type           // of the resource that a merge patch is for
	creates               reflect.Type           // of the resource that a PUT makes when there is none
	listens               bool                   // takes tokens from the query and the cookie, too
	narrowed              bool                   // takes tokens that name types or subjects, too: the handler keeps to [API.selector]
	keysOnly              bool                   // takes no tokens
	public                bool                   // needs no credential
	anyone                bool                   // outside any tenant's path, for every key, token and session
	overall               bool                   // an admin's, also for people who may read every tenant
	portal                bool                   // takes the tokens of portals, those that may only look when its scope is read
	empty                 bool                   // may answer with 204 instead of its answer
	own                   bool                   // outside any tenant's path: keys of a tenant see what is its own, admin keys everything
	waits                 bool                   // may take as long as a request may last, before it answers
	unaudited             string                 // of what is no GET: why it leaves no entry on the audit log
	named                 bool                   // makes a thing that its body's name names: on the audit log before it is made
	idle                  func(body []byte) bool // of what leaves one: whether with this body it changes nothing and leaves none
	inner                 string                 // of a body's member whose fields errors name as if it were the body: "endpoint."
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call) // set for every operation by handle
	return c
}

// adapter connects huma to the router through the pipeline.
type adapter struct{ api *API }

// Handle is for huma.
func (a *adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	spec, _ := op.Metadata["operation"].(*operation) // set by register
	a.api.mux.HandleFunc(op.Method+" "+op.Path, a.api.handle(op, spec, handler))
}

// ServeHTTP is for huma.
func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.api.serve(w, r) }

// humaContext hides the Accept header from huma, which knows no wildcards; the pipeline has looked at it.
type humaContext struct{ innerContext }

type innerContext huma.Context

// Header is for huma.
func (c humaContext) Header(name string) string {
	if name == "Accept" {
		return typeJSON
	}
	return c.innerContext.Header(name)
}

// register adds an operation.
func register[I, O any](a *API, o operation, h func(context.Context, *call, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary,
		Description: describe(&o), DefaultStatus: o.status, MaxBodyBytes: maxBody + 2,
		Metadata: map[string]any{"operation": &o},
	}
	_, hasBody := reflect.TypeFor[I]().FieldByName("Body")
	op.Errors = o.statuses(hasBody)
	if o.public {
		op.Security = []map[string][]string{{}} // none
	}
	a.documentSpecial(&op, &o)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		c := callOf(ctx)
		out, err := h(ctx, c, in)
		if err != nil {
			p := problemOf(err)
			if ctx.Err() == nil { // else the caller is gone
				a.logCause(p, c.id, o.method, o.path)
			}
			return nil, p
		}
		return out, nil
	})
}

// describe says who may use an operation.
func describe(o *operation) string {
	who := map[scope]string{
		scopeAdmin: "Needs an admin key.", scopePublish: "Needs a key that may publish.",
		scopeRead: "Needs a key that may read or manage.", scopeManage: "Needs a key that may manage.",
	}[o.scope]
	if o.listens {
		who += " A token is also taken as " + tokenQuery + " in the query or, when neither that nor the header is there, as the cookie " + tokenCookie + "."
	}
	if o.own {
		who += " A person with roles in several tenants names one in the header " + tenantHeader + "."
	}
	if o.overall {
		who += " People who may read every tenant may, too."
	}
	if o.portal {
		who += " A portal's token is also taken."
	}
	return strings.TrimSpace(o.doc + " " + who)
}

// statuses lists the statuses of errors of an operation.
func (o *operation) statuses(hasBody bool) []int {
	list := slices.Clone(o.errors)
	if o.public && o.method == http.MethodGet {
		return append(list, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusUnprocessableEntity)
	}
	list = append(list, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotAcceptable,
		http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable)
	if strings.Contains(o.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	if o.public {
		list = append(list, http.StatusInsufficientStorage)
	} else if o.method != http.MethodGet {
		list = append(list, http.StatusConflict, http.StatusInsufficientStorage)
	}
	if hasBody {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if o.tagged && o.method != http.MethodGet && o.method != http.MethodPost {
		list = append(list, http.StatusPreconditionFailed)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// handle is the pipeline of every operation but publish: who, what kind, the body, once only, huma, not modified.
func (a *API) handle(op *huma.Operation, spec *operation, next func(huma.Context)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, p := a.admit(r, spec)
		if p == nil {
			p = acceptable(r.Header.Get("Accept"))
		}
		if p == nil {
			p = readable(r)
		}
		var body []byte
		if p == nil && op.RequestBody != nil {
			body, p = readBody(w, r, op.RequestBody)
		} else if p == nil {
			p = noBody(w, r)
		}
		c.id = w.Header().Get("X-Request-Id")
		if p != nil {
			a.noteRefused(r, c, spec, p)
			a.writeProblem(w, r, p)
			return
		}
		if spec.waits {
			unhurried(w)
		}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		run := func() *answer {
			out := &answer{header: http.Header{}}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next(humaContext{humago.NewContext(op, r, out)})
			return out
		}
		if change := run; a.audits(spec) && (spec.idle == nil || !spec.idle(body)) {
			run = func() *answer { return a.audited(r, c, spec, body, change) }
		}
		out, p := a.once(r, c, body, run)
		if p != nil {
			a.noteRefused(r, c, spec, p)
			a.writeProblem(w, r, p)
			return
		}
		cacheControl := "private, no-cache"
		if spec.secret || c.session {
			cacheControl = "no-store"
		}
		if c.session {
			w.Header().Add("Vary", "Cookie")
		}
		w.Header().Set("Cache-Control", cacheControl)
		out.send(w, r)
	}
}

// unhurried lifts the limit on the time in which a request must arrive once all of it is here: the server goes on reading,
// to notice that the caller is gone, and would take the limit's end for that.
func unhurried(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not supported: then there is no such limit
}

// answer is a response held back until it is complete: it may become a 304, be kept for a repetition, or, when
// something panics on the way, be dropped for a 500.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is for [http.ResponseWriter].
func (w *answer) Header() http.Header { return w.header }

// WriteHeader is for [http.ResponseWriter].
func (w *answer) WriteHeader(status int) { w.status = status }

// Write is for [http.ResponseWriter].
func (w *answer) Write(b []byte) (int, error) { return w.body.Write(b) }

// send writes the answer out.
func (w *answer) send(to http.ResponseWriter, r *http.Request) {
	h := to.Header()
	maps.Copy(h, w.header)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if get && w.status == http.StatusOK && noneMatch(r.Header.Get("If-None-Match"), h.Get("ETag")) {
		h.Del("Content-Type")
		to.WriteHeader(http.StatusNotModified)
		return
	}
	if w.body.Len() > 0 {
		h.Set("Content-Length", strconv.Itoa(w.body.Len()))
	}
	to.WriteHeader(w.status)
	_, _ = to.Write(w.body.Bytes()) // the client may be gone; nobody is left to tell
}

// acceptable reports whether an Accept header can be met with JSON.
func acceptable(accept string) *problem { return accepts(accept, typeJSON) }

// accepts reports whether an Accept header can be met with a media type (RFC 9110, 12.5.1).
func accepts(accept, media string) *problem {
	if accept == "" || accept == "*/*" || accept == media {
		return nil
	}
	kind, _, _ := strings.Cut(media, "/")
	ranges := []string{"*/*", kind + "/*", media}
	best, quality := -1, 0.0 // the most specific range that fits says
	for part := range strings.SplitSeq(accept, ",") {
		given, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := slices.Index(ranges, given)
		if rank < 0 || rank < best {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				q = 0
			}
		}
		best, quality = rank, q
	}
	if quality > 0 {
		return nil
	}
	return newProblem(http.StatusNotAcceptable, "not_acceptable", "answers are "+media)
}

// readable refuses a query that cannot be parsed or that gives a parameter twice: package url would drop what it does
// not understand, and huma all but the first.
func readable(r *http.Request) *problem {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return newProblem(http.StatusBadRequest, "malformed", "the query string cannot be read; is something not percent-encoded?")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(query[name]) > 1 {
			return invalid(name, "is given more than once; several values are separated by commas")
		}
	}
	return nil
}

// readBody reads a body of one of the media types that an operation takes, as strict JSON.
func readBody(w http.ResponseWriter, r *http.Request, want *huma.RequestBody) ([]byte, *problem) {
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, bodyProblem(err)
	}
	if p := plain(r.Header.Get("Content-Encoding")); p != nil {
		return nil, p
	}
	contentType := r.Header.Get("Content-Type")
	if len(body) == 0 && (contentType == "" || !want.Required) {
		if want.Required {
			return nil, newProblem(http.StatusBadRequest, "malformed", "there must be a body, as "+typeJSON)
		}
		return nil, nil
	}
	if contentType != "" {
		media, params, err := mime.ParseMediaType(contentType)
		charset, given := params["charset"]
		if err != nil || want.Content[media] == nil || given && !strings.EqualFold(charset, "utf-8") {
			types := slices.Sorted(maps.Keys(want.Content))
			p := newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send the body as "+strings.Join(types, " or "))
			return nil, p.with("Accept", strings.Join(types, ", "))
		}
	}
	if len(body) == 0 {
		return nil, newProblem(http.StatusBadRequest, "malformed", "there must be a body, as "+typeJSON)
	}
	return body, checkJSON(body)
}

// noBody refuses what is sent to an operation that takes no body: it would be ignored. An empty object is harmless.
func noBody(w http.ResponseWriter, r *http.Request) *problem {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return bodyProblem(err)
	}
	if body = bytes.TrimSpace(body); len(body) > 0 && string(body) != "{}" {
		return invalid("body", "must be empty: nothing is taken here")
	}
	return nil
}

// plain refuses a body that is compressed or encoded in another way (RFC 9110, 8.4 and 15.5.16).
func plain(contentEncoding string) *problem {
	if contentEncoding == "" || strings.EqualFold(contentEncoding, "identity") {
		return nil
	}
	p := newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send the body as it is, without Content-Encoding",
		client.FieldError{Field: "Content-Encoding", Message: "must not be given"})
	return p.with("Accept-Encoding", "identity")
}

// bodyProblem is the answer when a body cannot be read.
func bodyProblem(err error) *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	return newProblem(http.StatusBadRequest, "malformed", "the body ended before it was complete")
}

func tooLarge() *problem {
	return newProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body may have at most %d bytes", maxBody), bodyOver(maxBody))
}

// bodyOver names the body and its limit.
func bodyOver(limit int) client.FieldError {
	return client.FieldError{Field: "body", Message: fmt.Sprintf("must be at most %d bytes", limit)}
}

// typeOf is short for tables of routes.
func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }
