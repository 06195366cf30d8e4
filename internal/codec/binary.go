package codec

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// binary reads a request in CloudEvents binary mode (HTTP protocol binding 1.0.2, section 3.1): the attributes are
// ce-* headers, the body is the data. Values of extension attributes are strings, since headers have no types.
func (r *reader) binary(req Request) ([]event.Event, error) {
	events := make([]event.Event, 1)
	e := &events[0]
	size := len(req.Body)
	if req.Headers != nil {
		for header, value := range req.Headers {
			if len(header) < 4 || !strings.EqualFold(header[:3], "ce-") {
				continue
			}
			size += len(header) + len(value)
			if err := r.header(e, strings.ToLower(header[3:]), value); err != nil {
				return nil, err
			}
		}
	}
	if err := r.checkSize(size); err != nil {
		return nil, err
	}
	if err := r.checkSpec(req.SpecVersion); err != nil {
		return nil, err
	}
	e.ContentType = req.ContentType
	if e.ContentType == "" && len(req.Body) > 0 {
		e.ContentType = mediaBinary // RFC 9110, section 8.3
	}
	if e.ContentType != "" {
		if reason := checkMediaType(e.ContentType); reason != "" || len(e.ContentType) > r.limits.MaxAttribute {
			return nil, event.Invalid("content-type", "must be a media type")
		}
	}
	r.form, r.specSeen, r.data, r.base64 = formCloud, true, nil, nil
	if err := r.finish(e); err != nil {
		return nil, err
	}
	if len(req.Body) == 0 {
		return events, nil
	}
	return events, r.bytesData(e, "body", req.Body)
}

// header takes one ce-* header.
func (r *reader) header(e *event.Event, name, value string) error {
	s, ok := decodeHeader(value)
	switch {
	case !ok:
		return r.invalid("ce-"+shownName(name), "must be percent-encoded UTF-8")
	case len(s) > r.limits.MaxAttribute:
		return r.invalid("ce-"+shownName(name), "must be at most "+strconv.Itoa(r.limits.MaxAttribute)+" bytes")
	}
	switch name {
	case "specversion":
		return nil
	case "datacontenttype":
		return r.invalid("ce-datacontenttype", "is the Content-Type header in binary mode")
	case "id", "type", "source":
		if e.ID != "" && name == "id" || e.Type != "" && name == "type" || e.Source != "" && name == "source" {
			return r.invalid("ce-"+name, "must not be repeated")
		}
		return r.set(e, name, s)
	case "subject", "time", "dataschema":
		if s == "" {
			return nil
		}
		if e.Subject != "" && name == "subject" || !e.Time.IsZero() && name == "time" || e.Schema != "" && name == "dataschema" {
			return r.invalid("ce-"+name, "must not be repeated")
		}
		return r.set(e, name, s)
	}
	if reason := checkExtensionName(name); reason != "" {
		return r.invalid("ce-"+shownName(name), reason)
	}
	for _, x := range e.Extensions {
		if x.Name == name {
			return r.invalid("ce-"+name, "must not be repeated")
		}
	}
	return r.textExtension(e, name, s)
}

// decodeHeader undoes quoting and percent-encoding (HTTP protocol binding 1.0.2, section 3.1.3.2).
func decodeHeader(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unescapeQuoted(s[1 : len(s)-1])
	}
	if strings.IndexByte(s, '%') < 0 {
		return s, utf8.ValidString(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := unhex(s[i+1]), unhex(s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b = append(b, byte(high<<4|low))
		i += 2
	}
	return string(b), utf8.Valid(b)
}

func unescapeQuoted(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// encodeHeader percent-encodes a value for a ce-* header: space, '"', '%' and everything outside U+0021 to U+007E.
func encodeHeader(s string) string {
	n := 0
	for i := range len(s) {
		if mustEncode(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; mustEncode(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func mustEncode(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }

func detailOf(err error) string {
	if e, ok := errors.AsType[*event.Error](err); ok {
		return e.Detail
	}
	return ""
}

func trimSpace(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }
