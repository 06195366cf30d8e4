package codec

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// Media types.
const (
	mediaJSON     = "application/json"
	mediaCE       = "application/cloudevents+json"
	mediaCEBatch  = "application/cloudevents-batch+json"
	mediaBinary   = "application/octet-stream"
	prefixCE      = "application/cloudevents"
	minArrayEvent = 512 // bytes of body for each event that an array's slice is first made for
)

// Request is a publish as it arrived, whichever server read it.
type Request struct {
	// ContentType is the Content-Type header.
	ContentType string
	// SpecVersion is the ce-specversion header. When it is not empty, and ContentType does not begin with
	// application/cloudevents, the request is in CloudEvents binary mode.
	SpecVersion string
	// Headers yields every header as sent; only those with names beginning with "ce-" (in any case) are looked at, and
	// only in binary mode. It may be nil otherwise.
	Headers iter.Seq2[string, string]
	// Body is the whole body. Decoded events keep parts of it: it must not be changed afterwards.
	Body []byte
}

// DecodePublish reads the events of a publish: one, or with array set those of a JSON array. Nothing is filled in:
// ID, Source and Time are empty where they were not sent (package ingest gives them), and Version is 0.
//
// Accepted are application/json (the attributes of an event, or an array of such objects), application/cloudevents+json,
// application/cloudevents-batch+json, and CloudEvents binary mode. JSON is read strictly: duplicate names, invalid UTF-8
// and, in application/json, unknown fields are refused. Null is the same as an absent attribute, except in data.
//
// Errors are [event.Error]s that name the field ("events[2].type"): KindMediaType, KindMalformed with the place in the
// JSON, KindTooLarge over MaxEvent, MaxBatch or MaxBatchBytes, KindInvalid for everything else. They hold none of the
// body but names of members.
func DecodePublish(req Request, limits event.Limits) (events []event.Event, array bool, err error) {
	if len(req.Body) > max(limits.MaxBatchBytes, limits.MaxEvent) {
		return nil, false, batchTooLarge("body", "is "+strconv.Itoa(len(req.Body))+" bytes, the limit is "+
			strconv.Itoa(limits.MaxBatchBytes))
	}
	r, _ := readers.Get().(*reader)
	defer r.release()
	r.limits, r.index = limits, -1
	r.reset(req.Body)

	media := req.ContentType
	if media != mediaJSON {
		if media, err = baseType(media, req.SpecVersion != ""); err != nil {
			return nil, false, err
		}
	}
	if req.SpecVersion != "" && !strings.HasPrefix(media, prefixCE) {
		events, err = r.binary(req)
		return events, false, err
	}
	switch media {
	case mediaJSON:
		return r.json(formPlain, r.d.PeekKind() == jsontext.KindBeginArray)
	case mediaCE:
		return r.json(formCloud, false)
	case mediaCEBatch:
		return r.json(formCloud, true)
	case "":
		return nil, false, mediaTypeError("there is no Content-Type")
	}
	return nil, false, mediaTypeError("this media type cannot be read as events")
}

// baseType returns the media type without parameters, in lower case. JSON is UTF-8: another charset is refused, except
// in binary mode, where the content type is the data's own.
func baseType(s string, binary bool) (string, error) {
	base, params, _ := strings.Cut(s, ";")
	base = strings.ToLower(strings.TrimSpace(base))
	if binary && !strings.HasPrefix(base, prefixCE) {
		return base, nil
	}
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(p, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if strings.EqualFold(strings.TrimSpace(name), "charset") && !strings.EqualFold(value, "utf-8") {
			return "", mediaTypeError("JSON must be encoded in UTF-8")
		}
	}
	return base, nil
}

// form says which names an object may have.
type form uint8

const (
	formPlain form = iota // application/json: the names of design §5.2, nothing else
	formCloud             // CloudEvents: unknown names are extension attributes
)

// reader decodes one request. It is pooled: a JSON decoder is costly to make.
type reader struct {
	d      jsontext.Decoder
	buf    bytes.Buffer
	body   []byte
	limits event.Limits
	form   form
	index  int // of the event in its array, -1 for a single one

	// Of the event being read.
	data     []byte // the raw JSON value of data, within body
	base64   []byte // the raw JSON string of data_base64
	specSeen bool
	scratch  []byte
}

var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) reset(body []byte) {
	r.body = body
	r.buf = *bytes.NewBuffer(body)
	r.d.Reset(&r.buf)
}

func (r *reader) release() {
	r.reset(nil) // let go of the body
	r.data, r.base64 = nil, nil
	if cap(r.scratch) > 64<<10 {
		r.scratch = nil
	}
	readers.Put(r)
}

// json reads a body in one of the JSON forms.
func (r *reader) json(f form, array bool) ([]event.Event, bool, error) {
	r.form = f
	if !array {
		events := make([]event.Event, 1)
		if err := r.event(&events[0]); err != nil {
			return nil, false, err
		}
		return events, false, r.end()
	}
	events, err := r.array()
	if err != nil {
		return nil, true, err
	}
	return events, true, r.end()
}

func (r *reader) array() ([]event.Event, error) {
	if k := r.d.PeekKind(); k != jsontext.KindBeginArray && k != jsontext.KindInvalid {
		return nil, event.Invalid("events", "must be an array")
	}
	if _, err := r.d.ReadToken(); err != nil {
		return nil, r.syntax(err)
	}
	events := make([]event.Event, 0, min(len(r.body)/minArrayEvent+1, r.limits.MaxBatch))
	for r.d.PeekKind() != jsontext.KindEndArray {
		if len(events) == r.limits.MaxBatch {
			return nil, batchTooLarge("events", "holds more than "+strconv.Itoa(r.limits.MaxBatch)+" events, the limit of a request")
		}
		r.index = len(events)
		events = append(events, event.Event{})
		if err := r.event(&events[r.index]); err != nil {
			return nil, err
		}
	}
	if _, err := r.d.ReadToken(); err != nil {
		return nil, r.syntax(err)
	}
	if len(events) == 0 {
		return nil, event.Invalid("events", "must hold at least one event")
	}
	return events, nil
}

// end checks that nothing but white space follows the value.
func (r *reader) end() error {
	rest := bytes.TrimLeft(r.body[r.d.InputOffset():], " \t\r\n")
	if len(rest) == 0 {
		return nil
	}
	return r.syntax(&jsontext.SyntacticError{ByteOffset: int64(len(r.body) - len(rest)), Err: errTrailing})
}

var errTrailing = errors.New("invalid character after top-level value")

// event reads one object.
func (r *reader) event(e *event.Event) error {
	if k := r.d.PeekKind(); k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		return event.Invalid(r.self(), "must be an object")
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	start := r.d.InputOffset() - 1
	r.data, r.base64, r.specSeen = nil, nil, false
	for r.d.PeekKind() != jsontext.KindEndObject {
		name, err := r.d.ReadValue()
		if err != nil {
			return r.syntax(err)
		}
		if err := r.member(e, name); err != nil {
			return err
		}
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	if err := r.checkSize(int(r.d.InputOffset() - start)); err != nil {
		return err
	}
	return r.finish(e)
}

// value reads the next JSON value as a part of the body.
func (r *reader) value() ([]byte, error) {
	v, err := r.d.ReadValue()
	if err != nil {
		return nil, r.syntax(err)
	}
	end := int(r.d.InputOffset())
	return r.body[end-len(v) : end : end], nil
}

// text returns the content of a raw JSON string, limited as an attribute; "" for null.
func (r *reader) text(name string, v []byte) (string, error) {
	if v[0] != '"' {
		if v[0] == 'n' {
			return "", nil
		}
		return "", r.invalid(name, "must be a string")
	}
	b := r.unquote(v)
	if len(b) > r.limits.MaxAttribute {
		return "", r.invalid(name, "must be at most "+strconv.Itoa(r.limits.MaxAttribute)+" bytes")
	}
	return string(b), nil
}

// unquote returns the content of a valid raw JSON string, valid until the next call.
func (r *reader) unquote(v []byte) []byte {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], v) // v was checked by the decoder
	return r.scratch
}

// finish checks what can only be known at the end of an object and gives the event its data.
func (r *reader) finish(e *event.Event) error {
	if e.Type == "" {
		return r.invalid("type", "is required")
	}
	if r.form == formCloud {
		switch {
		case !r.specSeen:
			return r.invalid("specversion", "is required")
		case e.ID == "":
			return r.invalid("id", "is required")
		case e.Source == "":
			return r.invalid("source", "is required")
		}
	}
	sortExtensions(e)
	switch {
	case r.base64 != nil && r.data != nil:
		return r.invalid("data_base64", "must not be sent together with data")
	case r.base64 != nil:
		return r.finishBase64(e)
	case r.data == nil:
		return nil
	case e.IsJSON():
		if tooDeep(r.data, r.limits.MaxJSONDepth) {
			return r.deep()
		}
		e.Data = r.data
	case r.data[0] == 'n':
	case r.data[0] != '"':
		return r.invalid("data", "must be a string when datacontenttype is not JSON; send bytes in data_base64")
	default:
		if b := r.unquote(r.data); len(b) > 0 {
			e.Data = bytes.Clone(b)
		}
	}
	return nil
}

func sortExtensions(e *event.Event) {
	if len(e.Extensions) > 1 {
		slices.SortFunc(e.Extensions, func(a, b event.Extension) int { return strings.Compare(a.Name, b.Name) })
	}
}
