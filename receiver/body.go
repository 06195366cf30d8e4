package receiver

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits on reading a body that was already taken in.
const (
	maxInflated = 4 << 20 // bytes of a compressed body, unpacked
	maxDepth    = 32      // levels of a path into JSON
	maxParts    = 1000    // parts of a multipart body
	maxMembers  = 10_000  // members of an object, elements of an array: many small ones take far more memory than the body
)

// content returns the body unpacked, for reading fields. Signatures are over the body as it arrived.
func (r *request) content() []byte {
	if !strings.EqualFold(r.http.Header.Get("Content-Encoding"), "gzip") {
		return r.body
	}
	if !r.isUnpacked {
		r.unpacked, r.isUnpacked = unpack(r.body), true
	}
	return r.unpacked
}

// unpack returns what gzip packed, nothing if it is too long, and what is no gzip as it is.
func unpack(body []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
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

// form returns the fields of a urlencoded or multipart body, without its files; none if it is something else.
func (r *request) form() url.Values {
	if r.values != nil {
		return r.values
	}
	r.values = url.Values{}
	kind, params, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	switch {
	case err != nil:
	case kind == "application/x-www-form-urlencoded":
		if values, err := url.ParseQuery(string(r.content())); err == nil {
			r.values = values
		}
	case kind == "multipart/form-data":
		readParts(multipart.NewReader(bytes.NewReader(r.content()), params["boundary"]), r.values)
	}
	return r.values
}

// readParts reads the fields of a multipart body as far as they can be read.
func readParts(parts *multipart.Reader, into url.Values) {
	for range maxParts {
		part, err := parts.NextPart()
		if err != nil {
			return
		}
		if part.FormName() == "" || part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, maxInflated))
		if err != nil {
			return
		}
		into.Add(part.FormName(), string(value))
	}
}

// formField returns the one value of a field of a form.
func (r *request) formField(name string) (string, error) {
	return only(r.form()[name], "the field "+name)
}

// raw returns the JSON value at a path into the body: names of members, numbers of elements. Of members of the same name the
// last one counts, as in most parsers. A body that is not JSON has no values.
func (r *request) raw(path ...string) (jsontext.Value, bool) {
	if !r.isParsed {
		r.isParsed = true
		r.object, _ = members(r.content())
	}
	if len(path) == 0 || len(path) > maxDepth {
		return nil, false
	}
	for _, m := range slices.Backward(r.object) {
		if string(m.name) == path[0] {
			return within(m.value, path[1:])
		}
	}
	return nil, false
}

// names returns the names of the body's members, in order, each once.
func (r *request) names() []string {
	r.raw("") // Reads the body.
	names := make([]string, 0, len(r.object))
	for _, m := range r.object {
		names = append(names, string(m.name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// within goes down a path.
func within(value jsontext.Value, path []string) (jsontext.Value, bool) {
	for _, name := range path {
		var found jsontext.Value
		err := walk(value, func(n int, is []byte, v jsontext.Value) bool {
			if is == nil && name == strconv.Itoa(n) || is != nil && string(is) == name {
				found = v
			}
			return is != nil || found == nil
		})
		if err != nil || found == nil {
			return nil, false
		}
		value = found
	}
	return value, len(value) > 0
}

// member is one member of an object, or one element of an array with its number as the name. It is a part of the text that
// it was read from.
type member struct {
	name  []byte
	value jsontext.Value
}

// members returns the members of an object, or the elements of an array, at most maxMembers of them.
func members(data []byte) ([]member, error) {
	list := make([]member, 0, 16)
	err := walk(data, func(n int, name []byte, value jsontext.Value) bool {
		if name == nil {
			name = strconv.AppendInt(nil, int64(n), 10)
		}
		list = append(list, member{name, value})
		return len(list) <= maxMembers
	})
	if err != nil {
		return nil, err
	}
	if len(list) > maxMembers {
		return nil, fail(CodeMalformed, "the body has too many members")
	}
	return list, nil
}

// distinct refuses an object with a name that is there twice, however its letters are written. Rules whose proof is a part of the body need
// it: the next reader could take the other one, which nobody signed.
func distinct(object []byte) error {
	list, err := members(object)
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(list))
	for _, m := range list {
		names[strings.ToLower(string(m.name))] = true
	}
	if len(names) != len(list) {
		return fail(CodeRepeated, "a name is in the body several times")
	}
	return nil
}

// hasElement reports whether an array has an element of a number.
func hasElement(array jsontext.Value, index string) bool {
	if array.Kind() != '[' {
		return false
	}
	_, ok := within(array, []string{index})
	return ok
}

// lenient reads what providers send; what they sign is theirs to answer for.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// decoders are used again, because making one costs as much as reading a short body.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// walk calls visit with every member of an object, or with every element of an array, whose name is nil, until it returns
// false. What it gets are parts of data.
func walk(data []byte, visit func(n int, name []byte, value jsontext.Value) bool) error {
	d, ok := decoders.Get().(*jsontext.Decoder)
	if !ok {
		d = new(jsontext.Decoder)
	}
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(data), lenient...)
	open, err := d.ReadToken()
	if err != nil {
		return failWith(CodeMalformed, "the body is not JSON", err)
	}
	object := open.Kind() == '{'
	if !object && open.Kind() != '[' {
		return fail(CodeMalformed, "the body is not a JSON object")
	}
	next := func() (jsontext.Value, error) {
		value, err := d.ReadValue()
		end := int(d.InputOffset())
		if err != nil {
			return nil, failWith(CodeMalformed, "the body is not JSON", err)
		}
		return data[end-len(value) : end : end], nil
	}
	for n := 0; ; n++ {
		if kind := d.PeekKind(); kind == '}' || kind == ']' {
			if _, err := d.ReadToken(); err != nil { // An array that ends like an object.
				return failWith(CodeMalformed, "the body is not JSON", err)
			}
			return nil
		}
		var name jsontext.Value
		if object {
			if name, err = next(); err != nil {
				return err
			}
			name = unquoted(name)
		}
		value, err := next()
		if err != nil {
			return err
		}
		if !visit(n, name, value) {
			return nil
		}
	}
}

// unquoted returns what a JSON string stands for: never nil.
func unquoted(quoted jsontext.Value) []byte {
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, err := jsontext.AppendUnquote([]byte{}, quoted)
	if err != nil {
		return []byte{}
	}
	return text
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
