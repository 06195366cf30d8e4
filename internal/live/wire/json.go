package wire

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader is a pooled decoder: making one costs more than most messages.
type jsonReader struct {
	d       jsontext.Decoder
	buf     bytes.Buffer
	body    []byte
	scratch []byte
}

var jsonReaders = sync.Pool{New: func() any { return new(jsonReader) }}

func (r *jsonReader) reset(body []byte) {
	r.body = body
	r.buf = *bytes.NewBuffer(body)
	r.d.Reset(&r.buf)
}

func notJSON() error { return closing(CloseInvalid, "the message is not one JSON object") }

// decodeJSON reads a message strictly: duplicate and unknown names are refused.
func decodeJSON(payload []byte) (ClientMessage, error) {
	r, _ := jsonReaders.Get().(*jsonReader)
	defer jsonReaders.Put(r)
	r.reset(payload)
	defer r.reset(nil) // let go of the message
	if r.d.PeekKind() != jsontext.KindBeginObject {
		return ClientMessage{}, notJSON()
	}
	if _, err := r.d.ReadToken(); err != nil {
		return ClientMessage{}, notJSON()
	}
	var b builder
	for r.d.PeekKind() != jsontext.KindEndObject {
		raw, err := r.d.ReadValue()
		if err != nil {
			return ClientMessage{}, notJSON()
		}
		name := r.unquote(raw)
		value, err := r.value()
		if err != nil {
			return ClientMessage{}, notJSON()
		}
		if field, ok := b.known(name); ok && value[0] != 'n' {
			b.seen |= field
			r.member(&b, field, name, value)
		}
	}
	if _, err := r.d.ReadToken(); err != nil {
		return ClientMessage{}, notJSON()
	}
	if rest := payload[r.d.InputOffset():]; len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		return ClientMessage{}, notJSON()
	}
	return b.finish()
}

// value reads the next value as a part of the message.
func (r *jsonReader) value() ([]byte, error) {
	v, err := r.d.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(r.d.InputOffset())
	return r.body[end-len(v) : end : end], nil
}

// unquote returns the content of a valid raw JSON string.
func (r *jsonReader) unquote(v []byte) string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], v) // the decoder has checked it
	return string(r.scratch)
}

// member gives the builder one member, whose value is not null.
func (r *jsonReader) member(b *builder, field fields, name string, v []byte) {
	switch field.shape() {
	case shapeText:
		if v[0] == '"' {
			b.text(field, name, r.unquote(v))
			return
		}
	case shapeNumber:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			b.number(field, name, n)
			return
		}
	case shapeList:
		if v[0] == '[' {
			r.list(b, field, name, v)
			return
		}
	case shapeEvent:
		if v[0] == '{' {
			b.m.Events = v
			return
		}
	case shapeEvents:
		if v[0] == '[' {
			b.m.Events, b.m.Array = v, true
			return
		}
	}
	b.wrong(field, name)
}

// list reads a list of strings. It is valid JSON, and short unless the client is at fault.
func (r *jsonReader) list(b *builder, field fields, name string, v []byte) {
	inner, _ := jsonReaders.Get().(*jsonReader)
	defer jsonReaders.Put(inner)
	inner.reset(v)
	defer inner.reset(nil)
	var list []string
	_, _ = inner.d.ReadToken() // the bracket
	for inner.d.PeekKind() != jsontext.KindEndArray {
		item, err := inner.d.ReadValue()
		if err != nil || item[0] != '"' {
			b.invalid(name+"["+strconv.Itoa(len(list))+"]", "must be a string")
			return
		}
		list = append(list, inner.unquote(item))
	}
	b.list(field, name, list)
}
