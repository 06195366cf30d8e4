package event

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind classifies an error. Interfaces over HTTP answer [Kind.HTTPStatus]; those that have other codes map it in one place.
type Kind uint8

// Kinds of error, with their HTTP status.
const (
	KindInternal     Kind = iota // 500, detail hidden
	KindMalformed                // 400: bytes that cannot be read as what they claim to be
	KindUnauthorized             // 401
	KindForbidden                // 403
	KindNotFound                 // 404
	KindConflict                 // 409
	KindGone                     // 410: older than retention
	KindPrecondition             // 412
	KindTooLarge                 // 413
	KindMediaType                // 415
	KindInvalid                  // 422: readable but not allowed
	KindRateLimited              // 429
	KindUnavailable              // 503
	KindFull                     // 507: no space left to keep what was sent
)

var httpStatuses = [...]int{
	KindInternal: http.StatusInternalServerError, KindMalformed: http.StatusBadRequest, KindUnauthorized: http.StatusUnauthorized,
	KindForbidden: http.StatusForbidden, KindNotFound: http.StatusNotFound, KindConflict: http.StatusConflict, KindGone: http.StatusGone,
	KindPrecondition: http.StatusPreconditionFailed, KindTooLarge: http.StatusRequestEntityTooLarge,
	KindMediaType: http.StatusUnsupportedMediaType, KindInvalid: http.StatusUnprocessableEntity, KindRateLimited: http.StatusTooManyRequests,
	KindUnavailable: http.StatusServiceUnavailable, KindFull: http.StatusInsufficientStorage,
}

// HTTPStatus is the status of an answer that says no more than the kind; of an unknown one 500.
func (k Kind) HTTPStatus() int {
	if int(k) < len(httpStatuses) {
		return httpStatuses[k]
	}
	return http.StatusInternalServerError
}

// FieldError names a field (a JSON path such as "types[1]", or a header) and what is wrong with it.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is an error whose text is safe to show to the caller: it holds no secret, payload, path or SQL.
type Error struct {
	Kind Kind
	// Code is a stable identifier such as "event_too_large".
	Code string
	// Detail is one sentence for people.
	Detail string
	Fields []FieldError
	// RetryAfter is how long to wait before trying again, for KindRateLimited and KindUnavailable.
	RetryAfter time.Duration
	// Oldest is the oldest version that is kept, for KindGone.
	Oldest int64
	// Err is the cause, for logs only.
	Err error
}

// Error returns the safe detail and fields, and the cause if there is one.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Detail)
	for _, f := range e.Fields {
		b.WriteString("; ")
		b.WriteString(f.Field)
		b.WriteString(": ")
		b.WriteString(f.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind with a code and a detail.
func Errorf(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// Invalid makes a KindInvalid error that names one field.
func Invalid(field, message string) *Error {
	return &Error{Kind: KindInvalid, Code: "invalid", Detail: "the request is not valid", Fields: []FieldError{{field, message}}}
}

// NotFound makes a KindNotFound error for a thing such as "endpoint".
func NotFound(what string) *Error {
	return &Error{Kind: KindNotFound, Code: "not_found", Detail: "there is no such " + what}
}

// Gone makes a KindGone error: the version that a field names is older than the oldest that is kept.
func Gone(field string, oldest int64) *Error {
	return &Error{
		Kind: KindGone, Code: "gone", Detail: fmt.Sprintf("it is older than what is kept; the oldest version is %d", oldest), Oldest: oldest,
		Fields: []FieldError{{field, fmt.Sprintf("must be at least %d", oldest)}},
	}
}

// KindOf returns the kind of err, KindInternal for errors that are not an [*Error].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Beyond makes the KindInvalid error of a version after the one that comes next: whoever asks with it has seen a log that
// was longer, such as before a backup was restored, and would miss the versions that are given again.
func Beyond(field string, head int64) *Error {
	return &Error{
		Kind: KindInvalid, Code: "start_beyond_head",
		Detail: fmt.Sprintf("the log ends at version %d, before what is asked for; a cursor of another log, or of one from before a backup was restored, cannot go on here", head),
		Fields: []FieldError{{field, fmt.Sprintf("must be at most %d", head+1)}},
	}
}
