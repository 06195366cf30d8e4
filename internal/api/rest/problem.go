package rest

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
	typePatch   = "application/merge-patch+json"
)

// problem is an error on its way to a client. It is what huma writes, too.
type problem struct {
	client.Problem
	header http.Header
	cause  error // for the log only; nil when the client is at fault
}

// GetStatus is for huma.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders is for huma.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType is for huma.
func (p *problem) ContentType(string) string { return typeProblem }

func newProblem(status int, code, detail string, fields ...client.FieldError) *problem {
	return &problem{Problem: client.Problem{
		Type: "/docs/problems#" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Errors: fields,
	}}
}

func (p *problem) with(header, value string) *problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(header, value)
	return p
}

// refusal is an error that says by itself what its answer must be, such as that to a WebSocket's handshake.
type refusal interface {
	error
	HTTP() (status int, code, detail string, header http.Header)
}

// problemOf turns any error into a problem. What is neither an [event.Error] nor a refusal is hidden behind a 500.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if r, ok := errors.AsType[refusal](err); ok {
		status, code, detail, header := r.HTTP()
		p := newProblem(status, code, detail)
		p.header = header
		return p
	}
	e, ok := errors.AsType[*event.Error](err)
	if !ok || e.Kind == event.KindInternal {
		p := newProblem(http.StatusInternalServerError, "internal", "something went wrong on the server; its log says more under this request's id")
		p.cause = err
		return p
	}
	p := newProblem(e.Kind.HTTPStatus(), e.Code, e.Detail)
	if p.Code == "" {
		p.Code = "error"
	}
	p.Oldest = e.Oldest
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, client.FieldError{Field: f.Field, Message: f.Message})
	}
	if e.RetryAfter > 0 || e.Kind == event.KindRateLimited || e.Kind == event.KindUnavailable {
		p = p.with("Retry-After", retryAfter(e.RetryAfter))
	}
	if e.Kind == event.KindUnauthorized {
		p = p.with("WWW-Authenticate", `Bearer realm="posthorn"`)
	}
	if p.Status >= http.StatusInternalServerError && p.Code != codeBusy {
		p.cause = err
	}
	return p
}

// codeBusy is of those who are turned away because too many are there. They are told everything: a crowd must not fill the
// log.
const codeBusy = "busy"

// Problem returns the problem document of any error as JSON, for interfaces that have no HTTP answer to put it in. What
// the API hides from clients is hidden here, too.
func Problem(err error) []byte {
	body, err := json.Marshal(problemOf(err).Problem)
	if err != nil { // strings and numbers only
		return []byte("{}")
	}
	return body
}

// retryAfter renders a wait in whole seconds, rounded up, at least 1.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

func invalid(field, message string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "invalid", "the request is not valid", client.FieldError{Field: field, Message: message})
}

// logCause logs what a problem hides from the client.
func (a *API) logCause(p *problem, id, method, path string) {
	if p.cause == nil {
		return
	}
	level := slog.LevelError
	if p.Status != http.StatusInternalServerError {
		level = slog.LevelWarn // overloaded or full: the caller was told why
	}
	a.log.LogAttrs(a.base, level, "request failed", slog.String("request_id", id), slog.String("method", method),
		slog.String("path", path), slog.Int("status", p.Status), slog.Any("error", p.cause))
}

// writeProblem answers with a problem document.
func (a *API) writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	if r.Context().Err() == nil { // else the caller is gone, and that is the cause
		a.logCause(p, w.Header().Get("X-Request-Id"), r.Method, r.URL.Path)
	}
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", typeProblem)
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store") // a 404 may be kept otherwise (RFC 9111, 4.2.2), and be another's with other credentials
	}
	body, err := json.Marshal(p.Problem)
	if err != nil { // strings and numbers only
		body = nil
	}
	body = append(body, '\n')
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone; nobody is left to tell
}

// fieldSeparator joins a field and a message in the text of an error that passes through huma, which keeps only text.
const fieldSeparator = "\x1f"

// humaError makes a problem of an error that huma found: a body or parameter that does not fit its schema.
func humaError(status int, message string, errs ...error) *problem {
	if status == http.StatusNotModified {
		return newProblem(status, "not_modified", "")
	}
	p := newProblem(status, codeOf(status), message)
	if status == http.StatusInternalServerError {
		p.Detail = "something went wrong on the server; its log says more under this request's id"
		p.cause = errors.Join(errs...)
		return p
	}
	if status == http.StatusUnprocessableEntity {
		p.Detail = "the request is not valid"
	}
	for _, err := range errs {
		d, ok := errors.AsType[*huma.ErrorDetail](err)
		if !ok {
			continue
		}
		p.Errors = append(p.Errors, fieldError(d.Location, d.Message))
	}
	slices.SortStableFunc(p.Errors, func(x, y client.FieldError) int { return strings.Compare(x.Field, y.Field) }) // huma walks maps
	return p
}

// inOperation names the fields of an operation's inner member as if it were the body.
func inOperation(ctx huma.Context, p *problem) *problem {
	o, ok := ctx.Operation().Metadata["operation"].(*operation)
	if !ok || o.inner == "" {
		return p
	}
	for i := range p.Errors {
		p.Errors[i].Field = strings.TrimPrefix(p.Errors[i].Field, o.inner)
	}
	return p
}

// fieldError names a field as callers know it, and words the most common messages of huma.
func fieldError(location, message string) client.FieldError {
	field := location
	for _, in := range []string{"body.", "query.", "path.", "header."} {
		field = strings.TrimPrefix(field, in)
	}
	if field == "body" {
		field = ""
	}
	if inner, text, ok := strings.Cut(message, fieldSeparator); ok {
		return client.FieldError{Field: inner, Message: text}
	}
	if name, ok := strings.CutPrefix(message, "expected required property "); ok {
		name = strings.TrimSuffix(name, " to be present")
		if field != "" {
			name = field + "." + name
		}
		return client.FieldError{Field: name, Message: "must be given"}
	}
	if field == "" {
		field = "body"
	}
	return client.FieldError{Field: field, Message: worded(message)}
}

// bounds are huma's words for a bound and ours.
var bounds = [][2]string{
	{"number >= ", "must be at least "},
	{"number > ", "must be more than "},
	{"number <= ", "must be at most "},
	{"number < ", "must be less than "},
	{"length >= ", "must have a length of at least "},
	{"length <= ", "must have a length of at most "},
	{"array length >= ", "must have at least this many entries: "},
	{"array length <= ", "must have at most this many entries: "},
	{"string to be ", "must be "},
	{"value to be ", "must be "},
}

// worded says in our words what huma found wrong with a value.
func worded(message string) string {
	switch {
	case message == "unexpected property":
		return "is not a known field"
	case message == "unknown query parameter":
		return "is not a known query parameter"
	case message == "invalid integer":
		return "must be a whole number"
	case message == "invalid boolean":
		return "must be true or false"
	case strings.HasPrefix(message, "invalid date/time"):
		return "must be an RFC 3339 time such as 2026-11-21T08:30:00Z"
	}
	wanted, ok := strings.CutPrefix(message, "expected ")
	if !ok {
		return message
	}
	if list, ok := strings.CutPrefix(wanted, `value to be one of "`); ok {
		choices := strings.Split(strings.TrimSuffix(list, `"`), ", ")
		last := choices[len(choices)-1]
		if len(choices) == 1 {
			return "must be " + last
		}
		return "must be " + strings.Join(choices[:len(choices)-1], ", ") + " or " + last
	}
	for _, b := range bounds {
		if value, ok := strings.CutPrefix(wanted, b[0]); ok {
			return b[1] + value
		}
	}
	switch wanted {
	case "array", "integer", "object":
		return "must be an " + wanted
	case "boolean", "number", "string":
		return "must be a " + wanted
	}
	return "must be of this kind: " + wanted
}

// codeOf gives a status that huma or the router chose its code.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "malformed"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusNotAcceptable:
		return "not_acceptable"
	case http.StatusRequestTimeout:
		return "request_timeout"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type"
	case http.StatusUnprocessableEntity:
		return "invalid"
	default:
		return "internal"
	}
}
