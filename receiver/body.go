package receiver

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits on reading a body that was already taken in.
const (
	maxInflated = 4 << 20 // bytes of a compressed body, unpacked
	maxDepth    = 32      // levels of a path into JSON
)

// content returns the body unpacked, for reading fields. Signatures are over the body as it arrived.
func (r *request) content() []byte {
	if !strings.EqualFold(r.http.Header.Get("Content-Encoding"), "gzip") {
		return r.body
	}
	z, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		return r.body
	}
	data, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err != nil || len(data) > maxInflated {
		return nil
	}
	return data
}

// isForm reports whether the body is a urlencoded form.
func (r *request) isForm() bool {
	kind, _, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// form returns the fields of a urlencoded body, none if it is something else.
func (r *request) form() url.Values {
	if r.values == nil {
		r.values = url.Values{}
		if r.isForm() {
			if values, err := url.ParseQuery(string(r.content())); err == nil {
				r.values = values
			}
		}
	}
	return r.values
}

// formField returns the one value of a field of a urlencoded body.
func (r *request) formField(name string) (string, error) {
	return only(r.form()[name], "the field "+name)
}

// raw returns the JSON value at a path into the body: names of members, numbers of elements. Of members of the same name the
// last one counts, as in most parsers.
func (r *request) raw(path ...string) (jsontext.Value, bool) {
	if !r.isParsed {
		r.isParsed = true
		r.object, _ = members(r.content())
	}
	if len(path) == 0 || len(path) > maxDepth {
		return nil, false
	}
	value, ok := r.object[path[0]]
	if !ok {
		return nil, false
	}
	return within(value, path[1:])
}

// within goes down a path.
func within(value jsontext.Value, path []string) (jsontext.Value, bool) {
	for _, name := range path {
		var ok bool
		switch value.Kind() {
		case '{':
			object, err := members(value)
			if err != nil {
				return nil, false
			}
			value, ok = object[name]
		case '[':
			value, ok = element(value, name)
		}
		if !ok {
			return nil, false
		}
	}
	return value, true
}

// lenient reads what providers send; what they sign is theirs to answer for.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// members returns the members of an object. An array as a body is an object of its elements, by number.
func members(data []byte) (map[string]jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(data), lenient...)
	open, err := d.ReadToken()
	if err != nil {
		return nil, failWith(CodeMalformed, "the body is not JSON", err)
	}
	array := open.Kind() == '['
	if open.Kind() != '{' && !array {
		return nil, fail(CodeMalformed, "the body is not a JSON object")
	}
	object := map[string]jsontext.Value{}
	for n := 0; ; n++ {
		if kind := d.PeekKind(); kind == '}' || kind == ']' {
			return object, nil
		}
		name := strconv.Itoa(n)
		if !array {
			token, err := d.ReadToken()
			if err != nil {
				return nil, failWith(CodeMalformed, "the body is not JSON", err)
			}
			name = token.String()
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, failWith(CodeMalformed, "the body is not JSON", err)
		}
		object[name] = value.Clone()
	}
}

// element returns one element of an array.
func element(array jsontext.Value, index string) (jsontext.Value, bool) {
	want, err := strconv.Atoi(index)
	if err != nil || want < 0 {
		return nil, false
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(array), lenient...)
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for range want {
		if d.PeekKind() == ']' || d.SkipValue() != nil {
			return nil, false
		}
	}
	if d.PeekKind() == ']' {
		return nil, false
	}
	value, err := d.ReadValue()
	return value.Clone(), err == nil
}

// text returns the string, number or bool at a path as text, "" for anything else.
func (r *request) text(path ...string) string {
	value, ok := r.raw(path...)
	if !ok {
		return ""
	}
	return scalar(value)
}

func scalar(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return ""
		}
		return string(text)
	case '0', 't', 'f':
		return string(value)
	default:
		return ""
	}
}
