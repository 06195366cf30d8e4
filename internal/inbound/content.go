package inbound

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// What a body is.
type form uint8

const (
	formNone  form = iota // there is no body
	formJSON              // strict JSON
	formForm              // a form, made JSON
	formXML               // XML, made JSON when it is asked for
	formOther             // anything else
)

// maxText is how large the text of an uploaded file may be to be part of the event, in bytes.
const maxText = 4 << 10

// content is a body as it is read.
type content struct {
	form form
	body []byte // decompressed
	// data and contentType are the event's, unless its source maps them.
	data        []byte
	contentType string
	// document is the body as JSON, nil when it has none such; that of XML is made by parsed.
	document []byte
	// damaged says that the body is not what its content type says.
	damaged bool
}

// Media types.
const (
	typeOctets = "application/octet-stream"
	typeText   = "text/plain; charset=utf-8"
)

// readContent looks at a body and says what an event of it holds. The error is KindMalformed.
func readContent(header string, body []byte) (*content, error) {
	c := &content{body: body}
	if len(body) == 0 {
		return c, nil
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil || !strings.Contains(media, "/") {
		media = ""
	}
	switch {
	case media == "application/x-www-form-urlencoded":
		if c.looksJSON() { // as curl says of everything
			c.form, c.data, c.document = formJSON, body, body
			return c, nil
		}
		return c, c.readForm()
	case media == "multipart/form-data":
		return c, c.readMultipart(params["boundary"])
	case media != "" && event.IsJSONType(media):
		c.readJSON(media)
	case media == "" || media == "text/plain":
		c.readUnnamed(header, media)
	default:
		c.form, c.data, c.contentType = formOther, body, header
		if media == "application/xml" || media == "text/xml" || strings.HasSuffix(media, "+xml") {
			c.form = formXML
		}
		if !plainASCII(header) {
			c.contentType = media
		}
	}
	return c, nil
}

// readJSON keeps JSON as it came. What says that it is JSON and is not strictly so (RFC 7493: names once, UTF-8), or nests too
// deep, would be unreadable to whoever gets the event: it is kept as text.
func (c *content) readJSON(media string) {
	if strictJSON(c.body) {
		c.form, c.data, c.document = formJSON, c.body, c.body
		if media != "application/json" {
			c.contentType = media
		}
		return
	}
	c.damaged = true
	c.asText()
}

// readUnnamed reads a body whose type is unknown or plain text, which some providers say of JSON.
func (c *content) readUnnamed(header, media string) {
	if c.looksJSON() {
		c.form, c.data, c.document = formJSON, c.body, c.body
		return
	}
	c.asText()
	if media != "" && plainASCII(header) {
		c.contentType = header
	}
}

// looksJSON reports whether the body is a JSON object or array, whatever is said of it.
func (c *content) looksJSON() bool {
	first := bytes.TrimLeft(c.body, " \t\r\n")
	return len(first) > 0 && (first[0] == '{' || first[0] == '[') && strictJSON(c.body)
}

func (c *content) asText() {
	c.form, c.data, c.contentType = formOther, c.body, typeOctets
	if utf8.Valid(c.body) {
		c.contentType = typeText
	}
}

// plainASCII reports whether a header can be an event's content type as it is.
func plainASCII(s string) bool {
	return len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// strictJSON reports whether b is one JSON value as ingest takes them: no name twice, valid UTF-8, at most maxDepth levels.
func strictJSON(b []byte) bool { return jsontext.Value(b).IsValid() && !deep(b) }

// deep reports whether valid JSON nests deeper than maxDepth.
func deep(b []byte) bool {
	if bytes.Count(b, []byte("{"))+bytes.Count(b, []byte("[")) <= maxDepth {
		return false // the common case, decided by two vector scans
	}
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

var errTooManyFields = event.Errorf(event.KindMalformed, "malformed", "the form has more than "+strconv.Itoa(maxMembers)+" fields")

// readForm reads a urlencoded form. What is not encoded well is taken as it is: the sender meant something by it.
func (c *content) readForm() error {
	var m members
	count := 0
	for pair := range strings.SplitSeq(string(c.body), "&") {
		if pair == "" {
			continue
		}
		if count++; count > maxMembers {
			return errTooManyFields
		}
		name, value, _ := strings.Cut(pair, "=")
		m.add(unescape(name), quote(unescape(value)))
	}
	c.setForm(&m)
	if payload, ok := m.only("payload"); ok && len(payload) > 0 && payload[0] == '{' && strictJSON(payload) {
		c.data, c.document = payload, payload // GitHub's and Slack's way to send JSON
	}
	return nil
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

func (c *content) setForm(m *members) {
	c.form = formForm
	c.data = m.json()
	c.document = c.data
}

var errMultipart = event.Errorf(event.KindMalformed, "malformed", "the multipart body cannot be read")

// readMultipart reads the fields of a form; of a file its name, content type and size, and its text when that is short.
func (c *content) readMultipart(boundary string) error {
	if boundary == "" {
		return errMultipart
	}
	var m members
	r := multipart.NewReader(bytes.NewReader(c.body), boundary)
	for count := 0; ; count++ {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			if count == 0 && !bytes.Contains(c.body, []byte("--"+boundary+"--")) {
				return errMultipart // the boundary is another one
			}
			break
		}
		if err != nil {
			return errMultipart
		}
		if count == maxMembers {
			return errTooManyFields
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return errMultipart
		}
		if part.FileName() == "" {
			m.add(part.FormName(), quote(string(value)))
			continue
		}
		m.add(part.FormName(), fileJSON(part, value))
	}
	c.setForm(&m)
	return nil
}

func fileJSON(part *multipart.Part, value []byte) []byte {
	var f members
	f.add("filename", quote(part.FileName()))
	header := part.Header.Get("Content-Type")
	if header != "" {
		f.add("content_type", quote(header))
	}
	f.add("size", strconv.AppendInt(nil, int64(len(value)), 10))
	if media, _, err := mime.ParseMediaType(header); err == nil && strings.HasPrefix(media, "text/") && len(value) <= maxText && utf8.Valid(value) {
		f.add("text", quote(string(value)))
	}
	return f.json()
}

// parsed returns the body as JSON, for expressions and fields: null when there is none or it has no parts. What does not hold to its
// own content type, and XML that is not to be read, is KindMalformed.
func (c *content) parsed() ([]byte, error) {
	switch {
	case c.damaged:
		return nil, event.Errorf(event.KindMalformed, "malformed", "the body is not strict JSON")
	case c.form == formXML && c.document == nil:
		document, err := xmlToJSON(c.body)
		if err != nil {
			return nil, &event.Error{Kind: event.KindMalformed, Code: "malformed", Detail: err.Error()}
		}
		c.document = document
	case c.document == nil:
		return []byte("null"), nil
	}
	return c.document, nil
}
