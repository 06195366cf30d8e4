package codec

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// ChangeList is a list of changes as FlexiBee's Changes API and its web hooks give it
// (https://www.flexibee.eu/api/dokumentace/ref/changes-api/): changes are added, then the list is made. The zero value is
// an empty list in JSON.
type ChangeList struct {
	// Format is event.FormatXML, or event.FormatJSON, which "" means too.
	Format string
	// Data adds each event's data: in JSON as the member "data", or "data_base64" when it is not JSON; in XML as an element for
	// each member of an object, or one element data.
	Data bool

	body []byte
	n    int
}

// Len is the number of changes added.
func (l *ChangeList) Len() int { return l.n }

// Size is the number of bytes that the changes take.
func (l *ChangeList) Size() int { return len(l.body) }

// ContentType is the media type of the list.
func (l *ChangeList) ContentType() string {
	if l.Format == event.FormatXML {
		return mediaXML
	}
	return mediaJSON
}

const mediaXML = "application/xml"

// XMLDeclaration begins every XML document that this package makes.
const XMLDeclaration = `<?xml version="1.0" encoding="utf-8"?>` + "\n"

// Append appends the whole list. head is the global version, next the version to ask with next, 0 for none.
func (l *ChangeList) Append(dst []byte, head, next int64) []byte {
	if l.Format == event.FormatXML {
		dst = append(dst, XMLDeclaration+`<winstrom version="1.0" globalVersion="`...)
		dst = strconv.AppendInt(dst, head, 10)
		dst = append(dst, `">`...)
		dst = append(dst, l.body...)
		dst = append(dst, "<next>"...)
		dst = appendNext(dst, next)
		return append(dst, "</next></winstrom>"...)
	}
	dst = append(dst, `{"winstrom":{"@globalVersion":"`...)
	dst = strconv.AppendInt(dst, head, 10)
	dst = append(dst, `","changes":[`...)
	dst = append(dst, l.body...)
	dst = append(dst, `],"next":"`...)
	dst = appendNext(dst, next)
	return append(dst, `"}}`...)
}

func appendNext(dst []byte, next int64) []byte {
	if next == 0 {
		return append(dst, "none"...)
	}
	return strconv.AppendInt(dst, next, 10)
}

// Add adds an event's change; an event that is none adds nothing and gives false.
func (l *ChangeList) Add(e *event.Event) bool {
	c, ok := e.RecordChange()
	if !ok {
		return false
	}
	if l.Format == event.FormatXML {
		l.addXML(e, c)
	} else {
		l.addJSON(e, c)
	}
	l.n++
	return true
}

func (l *ChangeList) addJSON(e *event.Event, c event.RecordChange) {
	b := l.body
	if l.n > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"@evidence":`...)
	b = appendString(b, c.Evidence)
	b = append(b, `,"@in-version":"`...)
	b = strconv.AppendInt(b, e.Version, 10)
	b = append(b, `","@operation":"`...)
	b = append(b, c.Operation...)
	if !e.Time.IsZero() {
		b = append(b, `","@timestamp":"`...)
		b = appendTimestamp(b, e.Time)
	}
	b = append(b, `","id":`...)
	b = appendString(b, c.ID)
	b = append(b, `,"external-ids":[`...)
	for i, id := range externalIDs(e) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, id)
	}
	b = append(b, ']')
	if l.Data {
		b = appendData(b, e)
	}
	l.body = append(b, '}')
}

func (l *ChangeList) addXML(e *event.Event, c event.RecordChange) {
	b := append(l.body, '<')
	b = append(b, c.Evidence...)
	b = append(b, ` in-version="`...)
	b = strconv.AppendInt(b, e.Version, 10)
	b = append(b, `" operation="`...)
	b = append(b, c.Operation...)
	if !e.Time.IsZero() {
		b = append(b, `" timestamp="`...)
		b = appendTimestamp(b, e.Time)
	}
	b = append(b, `"><id>`...)
	b = AppendXMLText(b, c.ID)
	b = append(b, "</id>"...)
	for _, id := range externalIDs(e) {
		b = append(b, "<id>"...)
		b = AppendXMLText(b, id)
		b = append(b, "</id>"...)
	}
	if l.Data {
		b = appendXMLData(b, e)
	}
	b = append(b, "</"...)
	b = append(b, c.Evidence...)
	l.body = append(b, '>')
}

// appendTimestamp appends a time as FlexiBee writes it: 2019-01-01 00:00:00.0, with one to six digits after the point. It
// is UTC.
func appendTimestamp(dst []byte, t time.Time) []byte {
	dst = t.UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
	for range 5 {
		if dst[len(dst)-1] != '0' {
			break
		}
		dst = dst[:len(dst)-1]
	}
	return dst
}

// externalIDs returns the strings in the member "external-ids" of an event's data, those that begin with "code:" first.
func externalIDs(e *event.Event) []string {
	if !e.IsJSON() || !bytes.Contains(e.Data, []byte("external-ids")) {
		return nil // an escaped name is not looked for
	}
	var codes, others []string
	keep := func(id string) {
		if strings.HasPrefix(id, "code:") {
			codes = append(codes, id)
		} else {
			others = append(others, id)
		}
	}
	d := decoder(e.Data)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			break
		}
		if name.String() != "external-ids" {
			if d.SkipValue() != nil {
				break
			}
			continue
		}
		readIDs(d, keep)
		break
	}
	return append(codes, others...)
}

// readIDs gives the strings of a value: itself, or those in an array.
func readIDs(d *jsontext.Decoder, keep func(string)) {
	list := d.PeekKind() == '['
	if list {
		if _, err := d.ReadToken(); err != nil {
			return
		}
	}
	for d.PeekKind() != ']' {
		if d.PeekKind() != '"' {
			if d.SkipValue() != nil {
				return
			}
		} else if t, err := d.ReadToken(); err != nil {
			return
		} else {
			keep(t.String())
		}
		if !list {
			return
		}
	}
}

// decoder reads JSON that ingest let in: it is valid, but may have names twice.
func decoder(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// appendXMLData appends an event's data as elements.
func appendXMLData(dst []byte, e *event.Event) []byte {
	switch {
	case e.Data == nil:
		return dst
	case !e.IsJSON():
		dst = append(dst, `<data encoding="base64">`...)
		dst = base64.StdEncoding.AppendEncode(dst, e.Data)
		return append(dst, "</data>"...)
	}
	d := decoder(e.Data)
	if d.PeekKind() != '{' {
		return appendXMLValue(dst, d, "data")
	}
	return appendXMLMembers(dst, d, true)
}

// appendXMLMembers appends an element for each member of an object. top: those that the change has said already are left
// out.
func appendXMLMembers(dst []byte, d *jsontext.Decoder, top bool) []byte {
	if _, err := d.ReadToken(); err != nil {
		return dst
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return dst
		}
		text := name.String()
		if top && (text == "id" || text == "external-ids") {
			if d.SkipValue() != nil {
				return dst
			}
			continue
		}
		dst = appendXMLValue(dst, d, text)
	}
	_, _ = d.ReadToken() // the brace; what ingest let in has one
	return dst
}

// appendXMLValue appends the next value as an element of a name: an array as one element for each item, null as an empty
// element.
func appendXMLValue(dst []byte, d *jsontext.Decoder, name string) []byte {
	switch kind := d.PeekKind(); kind {
	case '[':
		if _, err := d.ReadToken(); err != nil {
			return dst
		}
		for k := d.PeekKind(); k != ']' && k != 0; k = d.PeekKind() {
			if k != '[' {
				dst = appendXMLValue(dst, d, name)
				continue
			}
			dst = appendStartTag(dst, name)
			dst = appendXMLValue(dst, d, name)
			dst = appendEndTag(dst, name)
		}
		_, _ = d.ReadToken()
		return dst
	case '{':
		dst = appendStartTag(dst, name)
		dst = appendXMLMembers(dst, d, false)
		return appendEndTag(dst, name)
	}
	t, err := d.ReadToken()
	if err != nil {
		return dst
	}
	dst = appendStartTag(dst, name)
	if t.Kind() != 'n' {
		dst = AppendXMLText(dst, t.String())
	}
	return appendEndTag(dst, name)
}

// appendStartTag appends <name>, or for a name that no element can have <member name="…">.
func appendStartTag(dst []byte, name string) []byte {
	dst = append(dst, '<')
	if isXMLName(name) {
		dst = append(dst, name...)
		return append(dst, '>')
	}
	dst = append(dst, `member name="`...)
	dst = AppendXMLText(dst, name)
	return append(dst, `">`...)
}

func appendEndTag(dst []byte, name string) []byte {
	dst = append(dst, "</"...)
	if isXMLName(name) {
		dst = append(dst, name...)
	} else {
		dst = append(dst, "member"...)
	}
	return append(dst, '>')
}

// isXMLName reports whether s can name an element: ASCII only, and not of the names that XML keeps for itself (XML 1.0,
// section 2.3).
func isXMLName(s string) bool {
	if s == "" || len(s) >= 3 && strings.EqualFold(s[:3], "xml") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// AppendXMLText appends a string as the content of an element or of an attribute in double quotes. Characters that XML 1.0
// cannot hold become U+FFFD.
func AppendXMLText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&#34;"...)
		case r == '\t' || r == '\n' || r == '\r':
			dst = append(dst, "&#"...)
			dst = strconv.AppendInt(dst, int64(r), 10)
			dst = append(dst, ';')
		case r < ' ' || r == 0xFFFE || r == 0xFFFF:
			dst = append(dst, "\uFFFD"...)
		default:
			dst = append(dst, string(r)...)
		}
	}
	return dst
}
