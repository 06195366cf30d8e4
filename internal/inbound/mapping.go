package inbound

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/receiver"
)

// Limits of an event's attributes, those of package ingest.
const (
	maxID        = 256
	maxAttribute = 1 << 10
)

// mapping is a source's map, compiled.
type mapping struct {
	typ, id, subject, key, at, data, accept *expression
	fields                                  []field // by name
}

// field makes one member of the data.
type field struct {
	name  string
	path  string // where its value is in the body, unless constant is set
	value []byte // JSON
}

// compileMap compiles a map; the error names every wrong field.
func compileMap(m *event.SourceMap) (*mapping, []event.FieldError) {
	var out mapping
	var bad []event.FieldError
	for _, x := range []struct {
		name, source string
		to           **expression
	}{
		{"type", m.Type, &out.typ},
		{"id", m.ID, &out.id},
		{"subject", m.Subject, &out.subject},
		{"key", m.Key, &out.key},
		{"time", m.Time, &out.at},
		{"data", m.Data, &out.data},
		{"accept", m.Accept, &out.accept},
	} {
		compiled, err := compile(x.name, x.source, x.name == "accept")
		if err != nil {
			bad = append(bad, fieldsOf(err, "map."+x.name)...)
			continue
		}
		*x.to = compiled
	}
	if m.Data != "" && len(m.Fields) > 0 {
		bad = append(bad, event.FieldError{Field: "map.fields", Message: "must be left out when map.data is given"})
	}
	if len(m.Fields) > event.MaxSourceFields {
		bad = append(bad, event.FieldError{Field: "map.fields", Message: "must be at most " + strconv.Itoa(event.MaxSourceFields)})
		return &out, bad
	}
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		from := m.Fields[name]
		message := event.CheckLine(name, maxID)
		if message == "" {
			message = event.CheckText(from, maxAttribute)
		}
		if message == "" && (name == "" || from == "") {
			message = "must have a name and say where its value is"
		}
		if message != "" {
			bad = append(bad, event.FieldError{Field: "map.fields." + event.Printable(name), Message: message})
			continue
		}
		f := field{name: name, path: from}
		if constant, ok := strings.CutPrefix(from, "="); ok {
			f.path, f.value = "", quote(constant)
		}
		out.fields = append(out.fields, f)
	}
	return &out, bad
}

// input is a request as expressions see it. It is used by one goroutine.
type input struct {
	method, path string // path is what follows the source's address, without the query
	header       http.Header
	rawQuery     string
	content      *content
	// err is what was wrong with the body when an expression asked for it.
	err     error
	decoded bool
	body    any
	text    ref.Val
	headers map[string]string
	query   map[string]any
}

// Parent ends the chain of activations.
func (in *input) Parent() interpreter.Activation { return nil }

// ResolveName gives CEL the value of a variable.
func (in *input) ResolveName(name string) (any, bool) {
	switch name {
	case "body":
		if !in.decoded {
			in.decoded = true
			document, err := in.content.parsed()
			if err != nil {
				in.err = err
				return nil, true
			}
			in.body = decodeJSON(document)
		}
		return in.body, true
	case "text":
		if in.text == nil { // made once, however often an expression names it
			in.text = types.String(strings.ToValidUTF8(string(in.content.body), "\uFFFD"))
		}
		return in.text, true
	case "headers":
		if in.headers == nil {
			in.headers = make(map[string]string, len(in.header))
			for name, values := range in.header {
				in.headers[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
			}
		}
		return in.headers, true
	case "query":
		if in.query == nil {
			in.query = queryValues(in.rawQuery)
		}
		return in.query, true
	case "method":
		return in.method, true
	case "path":
		return strings.ToValidUTF8(in.path, "\uFFFD"), true
	}
	return nil, false
}

// queryValues are the parameters of an address: text, or a list where a name is repeated.
func queryValues(raw string) map[string]any {
	values, _ := url.ParseQuery(raw) // what cannot be read is left out
	out := make(map[string]any, len(values))
	for name, list := range values {
		for i := range list {
			list[i] = strings.ToValidUTF8(list[i], "\uFFFD")
		}
		if name = strings.ToValidUTF8(name, "\uFFFD"); len(list) == 1 {
			out[name] = list[0]
		} else {
			out[name] = list
		}
	}
	return out
}

// names are what a source gives its events.
type names struct {
	source string // the source's name
	prefix string // of types
	dedupe string
}

// event makes the event of a verified request. ok is false when the source does not want it. The errors are KindMalformed for a body
// that cannot be read, and KindInvalid for a map that does not fit.
func (m *mapping) event(in *input, n names, d *receiver.Delivery) (e *event.Event, ok bool, err error) {
	if m.accept != nil {
		v, err := m.accept.eval(in)
		if err != nil {
			return nil, false, err
		}
		wanted, isBool := v.Value().(bool)
		if !isBool {
			return nil, false, mapFailed("accept", "must be true or false")
		}
		if !wanted {
			return nil, false, nil
		}
	}
	e = &event.Event{Source: "/sources/" + n.source, Time: validTime(d.Time)}
	if e.Type, err = m.eventType(in, n, d); err != nil {
		return nil, false, err
	}
	if e.ID, err = m.eventID(in, n, d); err != nil {
		return nil, false, err
	}
	if e.Subject, err = m.attribute(m.subject, in, d.Subject); err != nil {
		return nil, false, err
	}
	if e.Key, err = m.attribute(m.key, in, ""); err != nil {
		return nil, false, err
	}
	if m.at != nil {
		if e.Time, err = m.time(in, e.Time); err != nil {
			return nil, false, err
		}
	}
	return e, true, m.setData(in, e)
}

func (m *mapping) eventType(in *input, n names, d *receiver.Delivery) (string, error) {
	if m.typ != nil {
		s, err := m.typ.text(in)
		if err != nil {
			return "", err
		}
		if s != "" {
			if message := event.CheckType(s); message != "" {
				return "", mapFailed("type", message)
			}
			if strings.HasPrefix(s, event.ReservedPrefix) {
				return "", mapFailed("type", "must not begin with "+event.ReservedPrefix)
			}
			return s, nil
		}
	}
	return typeName(n.prefix, d.Type), nil
}

// typeName makes an event's type of a provider's: characters that types do not have become "_".
func typeName(prefix, typ string) string {
	b := []byte(prefix + ".")
	for i := range len(typ) {
		c := typ[i]
		switch {
		case c >= utf8.RuneSelf && !utf8.RuneStart(c):
			continue // the rest of a character that is "_" already
		case c == '.' && b[len(b)-1] == '.':
			continue
		case c == '.', c == '_', c == '-', c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			b = append(b, c)
		default:
			b = append(b, '_')
		}
	}
	s := strings.TrimRight(string(b[:min(len(b), maxID)]), ".")
	if s == prefix {
		return prefix + ".received"
	}
	return s
}

func (m *mapping) eventID(in *input, n names, d *receiver.Delivery) (string, error) {
	id := d.ID
	if m.id != nil {
		s, err := m.id.text(in)
		if err != nil {
			return "", err
		}
		if s != "" {
			id = s
		}
	}
	switch {
	case n.dedupe == event.DedupeNone:
		return "", nil
	case n.dedupe == event.DedupeBody:
		return n.source + ":" + digest(in.content.body), nil
	case id == "":
		return "", nil
	case len(n.source)+1+len(id) > maxID || !plainASCII(id) || id[len(id)-1] == ' ':
		return n.source + ":" + digest([]byte(id)), nil
	}
	return n.source + ":" + id, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (m *mapping) attribute(x *expression, in *input, absent string) (string, error) {
	if x == nil {
		return cleanText(absent), nil
	}
	s, err := x.text(in)
	if err != nil || s == "" {
		return cleanText(absent), err
	}
	return cleanText(s), nil
}

// cleanText makes a text an attribute: without control characters and noncharacters, and no longer than attributes are.
func cleanText(s string) string {
	if len(s) <= maxAttribute && plainASCII(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= maxAttribute {
		return s
	}
	end := maxAttribute
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// validTime returns the zero time for one that events cannot have.
func validTime(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// time reads the event's time: a timestamp, text as in RFC 3339, or a number of seconds, or of milliseconds, since 1970.
func (m *mapping) time(in *input, absent time.Time) (time.Time, error) {
	v, err := m.at.eval(in)
	if err != nil {
		return absent, err
	}
	at, ok := timeOf(v, absent)
	if !ok || !validTime(at).Equal(at) {
		return absent, mapFailed("time", "must be a time, such as 2026-11-21T08:30:00Z or 1795249800")
	}
	return at.UTC(), nil
}

func timeOf(v ref.Val, absent time.Time) (time.Time, bool) {
	switch t := v.(type) {
	case *types.Optional:
		if !t.HasValue() {
			return absent, true
		}
		return timeOf(t.GetValue(), absent)
	case types.Null:
		return absent, true
	case types.Timestamp:
		return t.Time, true
	case types.String:
		if t == "" {
			return absent, true
		}
		if f, err := strconv.ParseFloat(string(t), 64); err == nil {
			return unixTime(f)
		}
		at, err := time.Parse(time.RFC3339Nano, string(t))
		return at, err == nil
	case types.Int:
		return unixTime(float64(t))
	case types.Uint:
		return unixTime(float64(t))
	case types.Double:
		return unixTime(float64(t))
	}
	return absent, false
}

// unixTime takes numbers from 100,000,000,000 on for milliseconds: as seconds they are after the year 5138.
func unixTime(n float64) (time.Time, bool) {
	if n >= 1e11 {
		n /= 1000
	}
	if math.IsNaN(n) || n < 0 || n > 1e11 {
		return time.Time{}, false
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), true // what a float64 holds is exact to about 1 µs
}

// setData gives the event its data: those of an expression, of fields, or the body's own.
func (m *mapping) setData(in *input, e *event.Event) error {
	switch {
	case m.data != nil:
		v, err := m.data.eval(in)
		if err != nil {
			return err
		}
		if e.Data, err = appendValue(nil, v, 0); err != nil {
			return mapFailed("data", "is too large, nests too deep, or holds a value that JSON does not have")
		}
	case len(m.fields) > 0:
		document, err := in.content.parsed()
		if err != nil {
			return err
		}
		var out members
		for _, f := range m.fields {
			if f.path == "" {
				out.add(f.name, f.value)
			} else if v, ok := lookup(document, f.path, in.content.form == formXML); ok {
				out.add(f.name, v)
			}
		}
		e.Data = out.json()
	default:
		e.Data, e.ContentType = in.content.data, in.content.contentType
	}
	return nil
}
