package match

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is the type of a value in a filter.
type kind uint8

const (
	kindBad     kind = iota // its parent is not there, or is an array
	kindMissing             // its parent is there, but has no such member or is a scalar: has() is false, all else fails
	kindNull
	kindBool
	kindInt
	kindDouble
	kindString
	kindOther // an object or array
)

// value is an attribute of an event, a member of its data, or a literal of a filter.
type value struct {
	kind kind
	i    int64   // kindInt; 1 for true with kindBool
	f    float64 // kindDouble
	s    string  // kindString, unless b is set
	b    []byte  // kindString: the content as a part of the event's data
}

// equal follows CEL: numbers are equal across their types, values of other different types are not.
func (v *value) equal(w *value) bool {
	switch v.kind {
	case kindNull:
		return w.kind == kindNull
	case kindBool:
		return w.kind == kindBool && v.i == w.i
	case kindString:
		return w.kind == kindString && v.compareString(w) == 0
	case kindInt, kindDouble:
		return w.isNumber() && v.compareNumber(w) == 0
	}
	return false
}

func (v *value) isNumber() bool { return v.kind == kindInt || v.kind == kindDouble }

// compareString compares two strings by bytes, w being a literal.
func (v *value) compareString(w *value) int {
	if v.b == nil {
		return strings.Compare(v.s, w.s)
	}
	switch {
	case string(v.b) == w.s:
		return 0
	case string(v.b) < w.s:
		return -1
	}
	return 1
}

// compareNumber follows cel-go: an int meets a double as the nearest double, unless the double is out of an int's range.
func (v *value) compareNumber(w *value) int {
	switch {
	case v.kind == kindInt && w.kind == kindInt:
		return order(v.i, w.i)
	case v.kind == kindDouble && w.kind == kindDouble:
		return order(v.f, w.f)
	case v.kind == kindDouble:
		return -w.compareNumber(v)
	case w.f < math.MinInt64:
		return 1
	case w.f > math.MaxInt64:
		return -1
	}
	return order(float64(v.i), w.f)
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// parseNumber reads a JSON number: whole ones that fit are int, others double (infinite when too large).
func parseNumber(b []byte) value {
	if !bytes.ContainsAny(b, ".eE") {
		if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			return value{kind: kindInt, i: n}
		}
	}
	f, _ := strconv.ParseFloat(string(b), 64) // out of range gives ±Inf
	return value{kind: kindDouble, f: f}
}

// find looks a member up in JSON by its path. It trusts the JSON to be valid, which ingest saw to, but never reads out
// of bounds when it is not.
func find(data []byte, path []string) value {
	i := skipSpace(data, 0)
	for n, name := range path {
		if i < len(data) && data[i] == '[' {
			return value{kind: kindBad}
		}
		at, ok := 0, false
		if i < len(data) && data[i] == '{' {
			at, ok = findMember(data, i+1, name)
		}
		if !ok {
			return unreachable(len(path) - n)
		}
		i = at
	}
	return valueAt(data, i)
}

// unreachable is the value of a path whose last left steps cannot be gone.
func unreachable(left int) value {
	if left == 1 {
		return value{kind: kindMissing}
	}
	return value{kind: kindBad}
}

// findMember returns where the value of an object's member begins. i is just after the opening brace.
func findMember(data []byte, i int, name string) (int, bool) {
	for {
		i = skipSpace(data, i)
		if i >= len(data) || data[i] != '"' {
			return 0, false
		}
		end := skipString(data, i)
		same := sameString(data[i:end], name)
		i = skipSpace(data, end)
		if i >= len(data) || data[i] != ':' {
			return 0, false
		}
		i = skipSpace(data, i+1)
		if same {
			return i, true
		}
		i = skipSpace(data, skipValue(data, i))
		if i >= len(data) || data[i] != ',' {
			return 0, false
		}
		i++
	}
}

// sameString reports whether a raw JSON string holds s.
func sameString(raw []byte, s string) bool {
	if len(raw) < 2 {
		return false
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == s
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return err == nil && string(b) == s
}

// valueAt reads the value that begins at i.
func valueAt(data []byte, i int) value {
	if i >= len(data) {
		return value{kind: kindBad}
	}
	switch c := data[i]; c {
	case '{', '[':
		return value{kind: kindOther}
	case '"':
		raw := data[i:skipString(data, i)]
		if len(raw) < 2 {
			return value{kind: kindBad}
		}
		inner := raw[1 : len(raw)-1]
		if bytes.IndexByte(inner, '\\') < 0 {
			return value{kind: kindString, b: inner}
		}
		b, err := jsontext.AppendUnquote([]byte{}, raw)
		if err != nil {
			return value{kind: kindBad}
		}
		return value{kind: kindString, b: b}
	case 't':
		return value{kind: kindBool, i: 1}
	case 'f':
		return value{kind: kindBool}
	case 'n':
		return value{kind: kindNull}
	}
	if c := data[i]; c != '-' && !isDigit(c) {
		return value{kind: kindBad}
	}
	return parseNumber(data[i:skipValue(data, i)])
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// skipValue returns the index after the value that begins at i.
func skipValue(data []byte, i int) int {
	if i < len(data) && data[i] == '"' {
		return skipString(data, i)
	}
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = skipString(data, i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

// maxDecodeDepth bounds the recursion of decode; ingest admits far less.
const maxDecodeDepth = 500

// decode reads the value that begins at i as CEL takes it: map[string]any, []any, string, int64, float64, bool or nil.
// It returns the index after the value; ok is false when the JSON is damaged.
func decode(data []byte, i, depth int) (v any, next int, ok bool) {
	if i = skipSpace(data, i); i >= len(data) || depth > maxDecodeDepth {
		return nil, i, false
	}
	switch data[i] {
	case '{':
		return decodeObject(data, i+1, depth+1)
	case '[':
		return decodeArray(data, i+1, depth+1)
	}
	next = skipValue(data, i)
	switch got := valueAt(data, i); got.kind {
	case kindString:
		return string(got.b), next, true
	case kindInt:
		return got.i, next, true
	case kindDouble:
		return got.f, next, true
	case kindBool:
		return got.i == 1, next, true
	case kindNull:
		return nil, next, true
	}
	return nil, next, false
}

func decodeArray(data []byte, i, depth int) (any, int, bool) {
	list := []any{}
	for i = skipSpace(data, i); i < len(data) && data[i] != ']'; i = skipComma(data, i) {
		v, next, ok := decode(data, i, depth)
		if !ok {
			return nil, next, false
		}
		list = append(list, v)
		i = next
	}
	return list, i + 1, i < len(data)
}

func decodeObject(data []byte, i, depth int) (any, int, bool) {
	object := map[string]any{}
	for i = skipSpace(data, i); i < len(data) && data[i] != '}'; i = skipComma(data, i) {
		name := valueAt(data, i)
		colon := skipSpace(data, skipValue(data, i))
		if name.kind != kindString || colon >= len(data) || data[colon] != ':' {
			return nil, i, false
		}
		v, next, ok := decode(data, colon+1, depth)
		if !ok {
			return nil, next, false
		}
		object[string(name.b)] = v
		i = next
	}
	return object, i + 1, i < len(data)
}

// skipComma returns the index of the next element, or of the bracket that ends the list.
func skipComma(data []byte, i int) int {
	if i = skipSpace(data, i); i < len(data) && data[i] == ',' {
		i = skipSpace(data, i+1)
	}
	return i
}
