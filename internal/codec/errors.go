package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// Codes of the errors that this package makes besides "invalid".
const (
	codeMalformed  = "malformed_json"
	codeEventLarge = "event_too_large"
	codeBatchLarge = "batch_too_large"
	codeMediaType  = "unsupported_media_type"
)

// accepted is the text that lists what can be published.
const accepted = "accepted are application/json, application/cloudevents+json, application/cloudevents-batch+json, and any " +
	"media type with ce-* headers (CloudEvents binary mode)"

// syntax turns an error of the JSON decoder into one that says where and what was expected, without any of the body.
func (r *reader) syntax(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return event.Errorf(event.KindMalformed, codeMalformed, "the body is empty; expected JSON")
	}
	offset := int64(len(r.body))
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset = min(s.ByteOffset, offset)
		err = s.Err
	}
	what := expected(err)
	if what == "" {
		return r.deep()
	}
	before := r.body[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return event.Errorf(event.KindMalformed, codeMalformed,
		fmt.Sprintf("invalid JSON at line %d, column %d (byte %d): %s", line, column, offset, what))
}

// expected says what the decoder wanted, from the fixed parts of its texts only; "" when the value is nested too deeply
// for the decoder itself.
func expected(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "unexpected end, the value is not complete"
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "a member name is repeated within its object"
	}
	if errors.Is(err, jsontext.ErrNonStringName) {
		return "expected a string as the member name"
	}
	if err == nil {
		return "unreadable"
	}
	text := err.Error()
	if i := strings.LastIndex(text, "(expecting "); i >= 0 {
		return "expected " + strings.TrimSuffix(text[i+len("(expecting "):], ")")
	}
	switch {
	case strings.Contains(text, "max depth"):
		return ""
	case strings.HasSuffix(text, "after top-level value"):
		return "expected nothing more after the value"
	case strings.Contains(text, "UTF-8"):
		return "invalid UTF-8"
	case strings.Contains(text, "escape sequence"):
		return "invalid escape sequence in a string"
	}
	return "expected a value"
}

// field is the JSON path of an attribute of the event being read.
func (r *reader) field(name string) string {
	if r.index < 0 {
		return name
	}
	return "events[" + strconv.Itoa(r.index) + "]." + name
}

func (r *reader) invalid(name, message string) error { return event.Invalid(r.field(name), message) }

// self is the JSON path of the event being read.
func (r *reader) self() string {
	if r.index < 0 {
		return "event"
	}
	return "events[" + strconv.Itoa(r.index) + "]"
}

func (r *reader) deep() error {
	return r.invalid("data", "must be nested at most "+strconv.Itoa(r.limits.MaxJSONDepth)+" levels deep")
}

func (r *reader) checkSize(n int) error {
	if n <= r.limits.MaxEvent {
		return nil
	}
	limit := strconv.Itoa(r.limits.MaxEvent)
	return &event.Error{
		Kind: event.KindTooLarge, Code: codeEventLarge, Detail: "an event may be at most " + limit + " bytes",
		Fields: []event.FieldError{{Field: r.self(), Message: "is " + strconv.Itoa(n) + " bytes, the limit is " + limit}},
	}
}

func batchTooLarge(field, message string) error {
	return &event.Error{
		Kind: event.KindTooLarge, Code: codeBatchLarge, Detail: "the request is too large",
		Fields: []event.FieldError{{Field: field, Message: message}},
	}
}

func mediaTypeError(what string) error {
	return event.Errorf(event.KindMediaType, codeMediaType, what+"; "+accepted)
}

// shownName cuts a member name that a caller sent to what may stand in an error.
func shownName(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
