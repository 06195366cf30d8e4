package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// mediaJSON is how [codec.DecodePublish] knows the form of events in messages.
const mediaJSON = "application/json"

// DecodeEvents reads the events of a publish. They hold no part of the message, which may be used again. The rules and the
// errors are those of [codec.DecodePublish]; fields begin with "event." or "events[i].". A *[CloseError] (1007) comes for text
// in CBOR that is not UTF-8.
func (m *ClientMessage) DecodeEvents(limits event.Limits) ([]event.Event, error) {
	var body []byte
	if m.form == CBOR {
		var err error
		if body, err = m.eventsFromCBOR(limits); err != nil {
			return nil, err
		}
		// The text of data is longer than the data: what counts was checked above, and is again by package ingest.
		limits.MaxEvent, limits.MaxBatchBytes = len(body), len(body)
	} else {
		body = bytes.Clone(m.Events)
	}
	events, _, err := codec.DecodePublish(codec.Request{ContentType: mediaJSON, Body: body}, limits)
	if err != nil && !m.Array {
		err = inEvent(err)
	}
	return events, err
}

// Fingerprint tells publishes with the same idempotency key apart.
func (m *ClientMessage) Fingerprint() [32]byte {
	h := sha256.New()
	h.Write([]byte{byte(m.form)})
	h.Write(m.Events)
	return [32]byte(h.Sum(nil))
}

// inEvent puts the names of fields under the member that they are in.
func inEvent(err error) error {
	problem, ok := errors.AsType[*event.Error](err)
	if !ok {
		return err
	}
	named := *problem
	named.Fields = slices.Clone(problem.Fields)
	for i, f := range named.Fields {
		if f.Field != "event" && f.Field != "body" {
			named.Fields[i].Field = "event." + f.Field
		}
	}
	return &named
}

// eventsFromCBOR writes the events in JSON, so that there is one reader of events, with one set of rules.
func (m *ClientMessage) eventsFromCBOR(limits event.Limits) ([]byte, error) {
	t := transcoder{limits: limits, dst: make([]byte, 0, len(m.Events)*4/3+64)}
	if !m.Array {
		t.field = "event"
		if err := t.event(m.Events); err != nil {
			return nil, err
		}
		return t.dst, nil
	}
	var items []cbor.RawMessage
	if err := cborMode.Unmarshal(m.Events, &items); err != nil {
		return nil, notCBOR()
	}
	if len(items) > limits.MaxBatch {
		return nil, &event.Error{
			Kind: event.KindTooLarge, Code: "batch_too_large", Detail: "the request is too large",
			Fields: []event.FieldError{{Field: "events", Message: "must be at most " + strconv.Itoa(limits.MaxBatch) + " events"}},
		}
	}
	t.dst = append(t.dst, '[')
	for i, item := range items {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		t.field = "events[" + strconv.Itoa(i) + "]"
		if err := t.event(item); err != nil {
			return nil, err
		}
	}
	return append(t.dst, ']'), nil
}

// transcoder writes events of CBOR in JSON.
type transcoder struct {
	limits event.Limits
	field  string // the event being written
	dst    []byte
}

// event writes one event. Names that are not of events are written too, with null: the reader of the JSON refuses them.
func (t *transcoder) event(v cbor.RawMessage) error {
	if len(v) > t.limits.MaxEvent {
		limit := strconv.Itoa(t.limits.MaxEvent)
		return &event.Error{
			Kind: event.KindTooLarge, Code: "event_too_large", Detail: "an event may be at most " + limit + " bytes",
			Fields: []event.FieldError{{Field: t.field, Message: "is " + strconv.Itoa(len(v)) + " bytes, the limit is " + limit}},
		}
	}
	if v[0]&0xe0 != cborMap {
		return event.Invalid(t.field, "must be an object")
	}
	var members map[string]cbor.RawMessage
	if err := cborMode.Unmarshal(v, &members); err != nil {
		return notCBOR()
	}
	t.dst = append(t.dst, '{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		if err := t.member(name, members[name]); err != nil {
			return err
		}
	}
	t.dst = append(t.dst, '}')
	return nil
}

func (t *transcoder) member(name string, v cbor.RawMessage) error {
	switch name {
	case "data_base64":
		return event.Invalid(t.field+"."+name, "is unknown in CBOR; send data as a byte string")
	case "data":
		return t.data(v)
	}
	t.dst = append(appendQuoted(t.dst, name), ':')
	switch name {
	case "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "key":
		return t.text(name, v)
	case "channels":
		return t.channels(v)
	case "extensions":
		return t.extensions(v)
	}
	t.dst = append(t.dst, "null"...)
	return nil
}

// text writes a text or null.
func (t *transcoder) text(name string, v cbor.RawMessage) error {
	if isCBORNull(v) {
		t.dst = append(t.dst, "null"...)
		return nil
	}
	if v[0]&0xe0 != cborText {
		return event.Invalid(t.field+"."+name, "must be a string")
	}
	s, err := cborString(v)
	if err != nil {
		return err
	}
	t.dst = appendQuoted(t.dst, s)
	return nil
}

// data writes the bytes as they are, whatever their type: the reader checks those that should be JSON.
func (t *transcoder) data(v cbor.RawMessage) error {
	t.dst = append(t.dst, `"data_base64":`...)
	if isCBORNull(v) {
		t.dst = append(t.dst, "null"...)
		return nil
	}
	var b []byte
	if v[0]&0xe0 != cborBytes {
		return event.Invalid(t.field+".data", "must be a byte string")
	}
	if err := cborMode.Unmarshal(v, &b); err != nil {
		return notCBOR()
	}
	t.dst = base64.StdEncoding.AppendEncode(append(t.dst, '"'), b)
	t.dst = append(t.dst, '"')
	return nil
}

func (t *transcoder) channels(v cbor.RawMessage) error {
	if isCBORNull(v) {
		t.dst = append(t.dst, "null"...)
		return nil
	}
	var items []cbor.RawMessage
	if v[0]&0xe0 != cborArray {
		return event.Invalid(t.field+".channels", "must be an array of strings")
	}
	if err := cborMode.Unmarshal(v, &items); err != nil {
		return notCBOR()
	}
	t.dst = append(t.dst, '[')
	for i, item := range items {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		if err := t.text("channels["+strconv.Itoa(i)+"]", item); err != nil {
			return err
		}
	}
	t.dst = append(t.dst, ']')
	return nil
}

func (t *transcoder) extensions(v cbor.RawMessage) error {
	if isCBORNull(v) {
		t.dst = append(t.dst, "null"...)
		return nil
	}
	var members map[string]cbor.RawMessage
	if v[0]&0xe0 != cborMap {
		return event.Invalid(t.field+".extensions", "must be an object")
	}
	if err := cborMode.Unmarshal(v, &members); err != nil {
		return notCBOR()
	}
	t.dst = append(t.dst, '{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		t.dst = append(appendQuoted(t.dst, name), ':')
		if err := t.extension(name, members[name]); err != nil {
			return err
		}
	}
	t.dst = append(t.dst, '}')
	return nil
}

func (t *transcoder) extension(name string, v cbor.RawMessage) error {
	switch {
	case isCBORNull(v):
		t.dst = append(t.dst, "null"...)
	case v[0] == cborTrue:
		t.dst = append(t.dst, "true"...)
	case v[0] == cborFalse:
		t.dst = append(t.dst, "false"...)
	case v[0]&0xe0 == cborUint || v[0]&0xe0 == cborNegint:
		var n int64
		if err := cborMode.Unmarshal(v, &n); err != nil {
			return event.Invalid(t.field+".extensions."+shown(name), "must be a string, a boolean or a 32-bit integer")
		}
		t.dst = strconv.AppendInt(t.dst, n, 10)
	default:
		return t.text("extensions."+shown(name), v)
	}
	return nil
}
