package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// Major types and simple values of CBOR (RFC 8949, section 3).
const (
	cborUint   = 0 << 5
	cborNegint = 1 << 5
	cborBytes  = 2 << 5
	cborText   = 3 << 5
	cborArray  = 4 << 5
	cborMap    = 5 << 5
	cborFalse  = 0xf4
	cborTrue   = 0xf5
	cborNull   = 0xf6
	cborDouble = 0xfb
)

// appendCBORHead appends the head of an item in its shortest form (RFC 8949, section 4.2.1).
func appendCBORHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, major|27), n)
	}
}

func appendCBORText(dst []byte, s string) []byte {
	return append(appendCBORHead(dst, cborText, uint64(len(s))), s...)
}

func appendCBORInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendCBORHead(dst, cborNegint, uint64(-(n + 1)))
	}
	return appendCBORHead(dst, cborUint, uint64(n))
}

func appendCBORBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, cborTrue)
	}
	return append(dst, cborFalse)
}

func appendCBORMember(dst []byte, name, value string) []byte {
	return appendCBORText(appendCBORText(dst, name), value)
}

// appendCBOREvent appends an event with the members of its JSON form ([codec.AppendEvent]), in its order; data is always a
// byte string.
func appendCBOREvent(dst []byte, e *event.Event) []byte {
	texts := [...]struct{ name, value string }{
		{"id", e.ID},
		{"source", e.Source},
		{"type", e.Type},
		{"subject", e.Subject},
		{"time", ""},
		{"datacontenttype", e.ContentType},
		{"dataschema", e.Schema},
		{"key", e.Key},
	}
	if !e.Time.IsZero() {
		texts[4].value = e.Time.UTC().Format(time.RFC3339Nano)
	}
	members := uint64(0)
	for _, m := range texts {
		if m.value != "" {
			members++
		}
	}
	for _, there := range []bool{e.Data != nil, e.Version != 0, len(e.Channels) > 0, len(e.Extensions) > 0} {
		if there {
			members++
		}
	}
	dst = appendCBORHead(dst, cborMap, members)
	for _, m := range texts {
		if m.value != "" {
			dst = appendCBORMember(dst, m.name, m.value)
		}
	}
	if e.Data != nil {
		dst = appendCBORHead(appendCBORText(dst, "data"), cborBytes, uint64(len(e.Data)))
		dst = append(dst, e.Data...)
	}
	if e.Version != 0 {
		dst = appendCBORInt(appendCBORText(dst, "version"), e.Version)
	}
	if len(e.Channels) > 0 {
		dst = appendCBORHead(appendCBORText(dst, "channels"), cborArray, uint64(len(e.Channels)))
		for _, c := range e.Channels {
			dst = appendCBORText(dst, c)
		}
	}
	if len(e.Extensions) > 0 {
		dst = appendCBORExtensions(appendCBORText(dst, "extensions"), e)
	}
	return dst
}

func appendCBORExtensions(dst []byte, e *event.Event) []byte {
	dst = appendCBORHead(dst, cborMap, uint64(len(e.Extensions)))
	for i := range e.Extensions {
		dst = appendCBORText(dst, e.Extensions[i].Name)
		switch v := e.Extensions[i].Value.(type) {
		case string:
			dst = appendCBORText(dst, v)
		case bool:
			dst = appendCBORBool(dst, v)
		case int32:
			dst = appendCBORInt(dst, int64(v))
		default:
			dst = append(dst, cborNull) // no other type comes in; null is the same as absent
		}
	}
	return dst
}

// appendCBORFromJSON appends a JSON value, such as a problem document, as CBOR; null when it is not JSON.
func appendCBORFromJSON(dst, value []byte) []byte {
	start := len(dst)
	d := jsontext.NewDecoder(bytes.NewReader(value))
	out, err := transcode(dst, d)
	if err != nil {
		return append(out[:start], cborNull)
	}
	return out
}

// transcode appends the next JSON value of d. Its depth is bounded by the decoder.
func transcode(dst []byte, d *jsontext.Decoder) ([]byte, error) {
	token, err := d.ReadToken()
	if err != nil {
		return dst, err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return append(dst, cborNull), nil
	case jsontext.KindTrue, jsontext.KindFalse:
		return appendCBORBool(dst, token.Kind() == jsontext.KindTrue), nil
	case jsontext.KindString:
		return appendCBORText(dst, token.String()), nil
	case jsontext.KindNumber:
		if n, err := strconv.ParseInt(token.String(), 10, 64); err == nil {
			return appendCBORInt(dst, n), nil
		}
		f, _ := strconv.ParseFloat(token.String(), 64)
		return binary.BigEndian.AppendUint64(append(dst, cborDouble), math.Float64bits(f)), nil
	}
	major, end := byte(cborMap), jsontext.KindEndObject
	if token.Kind() == jsontext.KindBeginArray {
		major, end = cborArray, jsontext.KindEndArray
	}
	var items []byte
	n := uint64(0)
	for d.PeekKind() != end {
		if items, err = transcode(items, d); err != nil {
			return dst, err
		}
		n++
	}
	if _, err = d.ReadToken(); err != nil {
		return dst, err
	}
	if major == cborMap {
		n /= 2 // names and values
	}
	return append(appendCBORHead(dst, major, n), items...), nil
}
