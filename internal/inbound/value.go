package inbound

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"
)

// decodeJSON reads strict JSON as CEL takes it: map[string]any, []any, string, int64, uint64, float64, bool or nil. Whole numbers
// beyond 64 bits and fractions become the nearest float64.
func decodeJSON(b []byte) any {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	v, err := decodeValue(d)
	if err != nil {
		return nil // it was checked before
	}
	return v
}

func decodeValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		object := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if object[key], err = decodeValue(d); err != nil {
				return nil, err
			}
		}
		_, err = d.ReadToken()
		return object, err
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.ReadToken()
		return list, err
	case '"':
		return token.String(), nil
	case '0':
		return decodeNumber(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

func decodeNumber(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			return n
		}
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range gives ±Inf, which no JSON can be made of
	return f
}

var errNoJSON = errors.New("is a value that JSON does not have")

// appendValue appends the JSON of a CEL value. Bytes become base 64, times RFC 3339, durations seconds such as "1.5s"; members of
// objects are in the order of their names.
func appendValue(dst []byte, v ref.Val, depth int) ([]byte, error) {
	switch t := v.(type) {
	case types.Null:
		return append(dst, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(dst, bool(t)), nil
	case types.Int:
		return strconv.AppendInt(dst, int64(t), 10), nil
	case types.Uint:
		return strconv.AppendUint(dst, uint64(t), 10), nil
	case types.Double:
		f := float64(t)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, errNoJSON
		}
		return append(dst, jsontext.Float(f).String()...), nil
	case types.String:
		return append(dst, quote(string(t))...), nil
	case types.Bytes:
		return append(dst, quote(base64.StdEncoding.EncodeToString(t))...), nil
	case types.Timestamp:
		return append(dst, quote(t.UTC().Format(time.RFC3339Nano))...), nil
	case types.Duration:
		return append(dst, quote(strconv.FormatFloat(t.Seconds(), 'f', -1, 64)+"s")...), nil
	case *types.Optional:
		if !t.HasValue() {
			return append(dst, "null"...), nil
		}
		return appendValue(dst, t.GetValue(), depth)
	case traits.Mapper:
		return appendMap(dst, t, depth+1)
	case traits.Lister:
		return appendList(dst, t, depth+1)
	}
	return nil, errNoJSON
}

func appendList(dst []byte, list traits.Lister, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errNoJSON
	}
	dst = append(dst, '[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, it.Next(), depth); err != nil || len(dst) > maxBuilt {
			return nil, errNoJSON
		}
	}
	return append(dst, ']'), nil
}

func appendMap(dst []byte, m traits.Mapper, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errNoJSON
	}
	type member struct {
		name  string
		value ref.Val
	}
	var list []member
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		var name string
		switch k := key.(type) {
		case types.String:
			name = strings.ToValidUTF8(string(k), "\uFFFD")
		case types.Int, types.Uint, types.Bool:
			b, err := appendValue(nil, key, depth)
			if err != nil {
				return nil, err
			}
			name = string(b)
		default:
			return nil, errNoJSON
		}
		list = append(list, member{name, m.Get(key)})
	}
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, x := range list {
		if i > 0 {
			if list[i-1].name == x.name {
				return nil, errNoJSON // {1: …, "1": …}
			}
			dst = append(dst, ',')
		}
		dst = append(append(dst, quote(x.name)...), ':')
		var err error
		if dst, err = appendValue(dst, x.value, depth); err != nil || len(dst) > maxBuilt {
			return nil, errNoJSON
		}
	}
	return append(dst, '}'), nil
}

// lookup finds a value in JSON by a path of names and places in lists, joined by dots. A name that holds dots itself is found first,
// as whole as it is given. In a document made of XML an element with attributes stands for its text.
func lookup(document jsontext.Value, path string, xml bool) (jsontext.Value, bool) {
	for {
		next, rest, ok := step(document, path)
		if !ok {
			return nil, false
		}
		document = next
		if rest == "" {
			break
		}
		path = rest
	}
	if xml && document.Kind() == '{' {
		if text, _, ok := step(document, "#text"); ok {
			return text, true
		}
	}
	return document, true
}

// step goes one step of a path.
func step(document jsontext.Value, path string) (value jsontext.Value, rest string, ok bool) {
	first, more, _ := strings.Cut(path, ".")
	switch document.Kind() {
	case '{':
		whole, part := find(document, path, first)
		if whole != nil {
			return whole, "", true
		}
		return part, more, part != nil
	case '[':
		n, err := strconv.Atoi(first)
		if err != nil || n < 0 {
			return nil, "", false
		}
		d := jsontext.NewDecoder(bytes.NewReader(document))
		if _, err := d.ReadToken(); err != nil {
			return nil, "", false
		}
		for i := 0; d.PeekKind() != ']'; i++ {
			v, err := d.ReadValue()
			if err != nil {
				return nil, "", false
			}
			if i == n {
				return v.Clone(), more, true
			}
		}
	}
	return nil, "", false
}

// find returns the members of an object with two names, nil for what is not there.
func find(object jsontext.Value, first, second string) (one, two jsontext.Value) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return nil, nil
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return one, two
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return one, two
		}
		if key == first {
			return value.Clone(), nil
		}
		if key == second {
			two = value.Clone()
		}
	}
	return one, two
}
