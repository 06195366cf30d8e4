package codec

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// member reads the value of one member of an event's object. name is the raw JSON string, valid until the next read.
func (r *reader) member(e *event.Event, name []byte) error {
	switch string(name) {
	case `"type"`:
		return r.attribute(e, "type")
	case `"subject"`:
		return r.attribute(e, "subject")
	case `"data"`:
		return r.readData(&r.data)
	case `"id"`:
		return r.attribute(e, "id")
	case `"source"`:
		return r.attribute(e, "source")
	case `"time"`:
		return r.attribute(e, "time")
	case `"datacontenttype"`:
		return r.attribute(e, "datacontenttype")
	case `"dataschema"`:
		return r.attribute(e, "dataschema")
	case `"data_base64"`:
		return r.readData(&r.base64)
	}
	plain := string(r.unquote(name))
	if len(plain) != len(name)-2 { // the name was written with escapes
		quoted, _ := jsontext.AppendQuote(nil, plain)
		if len(quoted) == len(plain)+2 && isASCII(plain) {
			return r.member(e, quoted)
		}
	}
	if r.form == formCloud {
		return r.cloudMember(e, plain)
	}
	switch plain {
	case "key":
		return r.attribute(e, plain)
	case "channels":
		return r.channels(e)
	case "extensions":
		return r.extensions(e)
	case "version":
		return r.invalid(plain, "is given by the server")
	case "specversion":
		return r.invalid(plain, "is unknown in application/json; send "+mediaCE)
	}
	return r.invalid(shownName(plain), "is unknown")
}

// cloudMember reads a member that is specversion or an extension attribute.
func (r *reader) cloudMember(e *event.Event, name string) error {
	v, err := r.value()
	if err != nil {
		return err
	}
	switch name {
	case "specversion":
		r.specSeen = true
		if string(v) != `"1.0"` { // the common spelling needs no unquoting
			s, err := r.text(name, v)
			if err != nil {
				return err
			}
			return r.checkSpec(s)
		}
		return nil
	case extVersion:
		if v[0] == '"' || v[0] == 'n' {
			return nil
		}
	}
	return r.extension(e, name, v)
}

func (r *reader) checkSpec(s string) error {
	if s != "1.0" {
		return r.invalid("specversion", `must be "1.0"`)
	}
	return nil
}

// readData keeps a raw value for finish.
func (r *reader) readData(to *[]byte) error {
	v, err := r.value()
	*to = v
	return err
}

// attribute reads the next value as the named attribute.
func (r *reader) attribute(e *event.Event, name string) error {
	v, err := r.value()
	if err != nil {
		return err
	}
	if name == "time" && v[0] == '"' {
		t, reason := parseTime(r.unquote(v))
		if reason != "" {
			return r.invalid(name, reason)
		}
		e.Time = t
		return nil
	}
	s, err := r.text(name, v)
	if err != nil {
		return err
	}
	if s == "" && (v[0] == 'n' || !neverEmpty(name)) {
		return nil
	}
	return r.set(e, name, s)
}

// set checks an attribute and gives it to the event.
func (r *reader) set(e *event.Event, name, s string) error {
	var reason string
	switch name {
	case "type":
		e.Type, reason = s, event.CheckType(s)
	case "id":
		e.ID, reason = s, checkID(s)
	case "source":
		if e.Source = s; s == "" {
			reason = "must not be empty"
		} else {
			reason = checkURI(s, false)
		}
	case "subject":
		e.Subject, reason = s, checkText(s)
	case "key":
		e.Key, reason = s, checkText(s)
	case "time":
		e.Time, reason = parseTime([]byte(s))
	case "datacontenttype":
		if s == mediaJSON {
			s = mediaJSON // the constant: an event's content type is nearly always this one
		}
		e.ContentType, reason = s, checkMediaType(s)
	case "dataschema":
		e.Schema, reason = s, checkURI(s, true)
	}
	if reason != "" {
		return r.invalid(name, reason)
	}
	return nil
}

// channels reads an array of names.
func (r *reader) channels(e *event.Event) error {
	if k := r.d.PeekKind(); k == jsontext.KindNull {
		_, err := r.value()
		return err
	} else if k != jsontext.KindBeginArray && k != jsontext.KindInvalid {
		return r.invalid("channels", "must be an array of strings")
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	for i := 0; r.d.PeekKind() != jsontext.KindEndArray; i++ {
		v, err := r.value()
		if err != nil {
			return err
		}
		field := "channels[" + strconv.Itoa(i) + "]"
		if v[0] != '"' {
			return r.invalid(field, "must be a string")
		}
		if err := r.channel(e, field, string(r.unquote(v))); err != nil {
			return err
		}
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	return nil
}

// channel adds one channel; a repeated one counts once.
func (r *reader) channel(e *event.Event, field, name string) error {
	if reason := CheckChannel(name); reason != "" {
		return r.invalid(field, reason)
	}
	if slices.Contains(e.Channels, name) {
		return nil
	}
	if len(e.Channels) == MaxChannels {
		return r.invalid(field, "an event may have at most "+strconv.Itoa(MaxChannels)+" channels")
	}
	e.Channels = append(e.Channels, name)
	return nil
}

// extensions reads the object of extension attributes in application/json.
func (r *reader) extensions(e *event.Event) error {
	if k := r.d.PeekKind(); k == jsontext.KindNull {
		_, err := r.value()
		return err
	} else if k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		return r.invalid("extensions", "must be an object")
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	for r.d.PeekKind() != jsontext.KindEndObject {
		raw, err := r.d.ReadValue()
		if err != nil {
			return r.syntax(err)
		}
		name := string(r.unquote(raw))
		v, err := r.value()
		if err != nil {
			return err
		}
		if isAttribute(name) {
			return r.invalid("extensions."+name, "is an attribute, not an extension")
		}
		if err := r.extension(e, name, v); err != nil {
			return err
		}
	}
	if _, err := r.d.ReadToken(); err != nil {
		return r.syntax(err)
	}
	return nil
}

// isAttribute reports whether name has a place of its own in every form, so that it cannot be an extension.
func isAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data",
		extKey, extVersion, extChannels:
		return true
	}
	return false
}

// extension reads a raw value as an extension attribute.
func (r *reader) extension(e *event.Event, name string, v []byte) error {
	if reason := checkExtensionName(name); reason != "" {
		return r.invalid(shownName(name), reason)
	}
	var value any
	switch v[0] {
	case 'n':
		return nil
	case 't', 'f':
		value = v[0] == 't'
	case '"':
		s, err := r.text(name, v)
		if err != nil {
			return err
		}
		return r.textExtension(e, name, s)
	default:
		n, err := strconv.ParseInt(string(v), 10, 32)
		if err != nil {
			return r.invalid(name, "an extension attribute must be a string, a boolean or a 32-bit integer")
		}
		value = int32(n)
	}
	if isAttribute(name) {
		return r.invalid(name, "must be a string")
	}
	return r.addExtension(e, name, value)
}

// textExtension takes an extension whose value is a string; some stand for attributes of ours.
func (r *reader) textExtension(e *event.Event, name, s string) error {
	switch name {
	case extKey:
		if s == "" {
			return nil
		}
		e.Key = s
	case extChannels:
		for c := range strings.SplitSeq(s, ",") {
			if c = strings.TrimSpace(c); c == "" {
				continue
			}
			if err := r.channel(e, name, c); err != nil {
				return err
			}
		}
		return nil
	case extVersion:
		return nil
	}
	if reason := checkText(s); reason != "" {
		return r.invalid(name, reason)
	}
	if name == extKey {
		return nil
	}
	return r.addExtension(e, name, s)
}

func (r *reader) addExtension(e *event.Event, name string, value any) error {
	if len(e.Extensions) == MaxExtensions {
		return r.invalid(name, "an event may have at most "+strconv.Itoa(MaxExtensions)+" extension attributes")
	}
	e.Extensions = append(e.Extensions, event.Extension{Name: name, Value: value})
	return nil
}

// finishBase64 gives the event the bytes of data_base64.
func (r *reader) finishBase64(e *event.Event) error {
	if r.base64[0] == 'n' {
		return nil
	}
	if r.base64[0] != '"' {
		return r.invalid("data_base64", "must be a string")
	}
	in := r.unquote(r.base64)
	out := make([]byte, base64.StdEncoding.DecodedLen(len(in)))
	n, err := base64.StdEncoding.Strict().Decode(out, in)
	if err != nil {
		return r.invalid("data_base64", "must be base64 with padding (RFC 4648, section 4)")
	}
	if n == 0 {
		return nil
	}
	return r.bytesData(e, "data_base64", out[:n:n])
}

// bytesData gives the event data that did not arrive as a JSON value; when its type says JSON, it must be.
func (r *reader) bytesData(e *event.Event, field string, data []byte) error {
	if !e.IsJSON() {
		e.Data = data
		return nil
	}
	other, _ := readers.Get().(*reader)
	defer other.release()
	other.limits, other.index = r.limits, r.index
	if err := other.validJSON(data); err != nil {
		if event.KindOf(err) != event.KindMalformed {
			return err
		}
		return &event.Error{
			Kind: event.KindMalformed, Code: codeMalformed, Detail: "the data is not JSON, as its content type says",
			Fields: []event.FieldError{{Field: r.field(field), Message: detailOf(err)}},
		}
	}
	data = trimSpace(data)
	if tooDeep(data, r.limits.MaxJSONDepth) {
		return r.deep()
	}
	e.Data = data
	return nil
}

// neverEmpty reports whether an attribute that is sent as "" is refused; the others count as absent.
func neverEmpty(name string) bool {
	return name == "id" || name == "type" || name == "source" || name == "time"
}
