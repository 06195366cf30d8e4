package ingest

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of an event's attributes beside those of [event.Limits]; package codec keeps to the same.
const (
	maxID            = 256 // bytes
	maxChannels      = 10
	maxChannel       = 128 // bytes
	maxExtensions    = 32
	maxExtensionName = 64
)

func isReserved(typ string) bool { return strings.HasPrefix(typ, event.ReservedPrefix) }

// checkEvent checks a client's event and returns its size: data and attributes in bytes.
func checkEvent(e *event.Event, limits *event.Limits) (int, error) {
	if isReserved(e.Type) {
		return 0, event.Invalid("type", "must not begin with "+event.ReservedPrefix+", which is Posthorn's own")
	}
	return checkAttributes(e, limits)
}

// checkAttributes checks every attribute, whichever door the event came by. It allocates only to refuse.
func checkAttributes(e *event.Event, limits *event.Limits) (int, error) {
	if message := event.CheckType(e.Type); message != "" {
		return 0, event.Invalid("type", message)
	}
	if message := checkID(e.ID); message != "" {
		return 0, event.Invalid("id", message)
	}
	if message := checkURI(e.Source, limits.MaxAttribute, false); message != "" {
		return 0, event.Invalid("source", message)
	}
	if message := checkText(e.Subject, limits.MaxAttribute); message != "" {
		return 0, event.Invalid("subject", message)
	}
	if message := checkText(e.Key, limits.MaxAttribute); message != "" {
		return 0, event.Invalid("key", message)
	}
	if message := checkContentType(e.ContentType, limits.MaxAttribute); message != "" {
		return 0, event.Invalid("datacontenttype", message)
	}
	if e.Schema != "" {
		if message := checkURI(e.Schema, limits.MaxAttribute, true); message != "" {
			return 0, event.Invalid("dataschema", message)
		}
	}
	if year := e.Time.Year(); year < 1 || year > 9999 {
		return 0, event.Invalid("time", "must lie in the years 1 to 9999 (UTC)")
	}
	size := len(e.Data) + len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.Schema) + len(e.Key) + len(e.ContentType)
	n, err := checkChannels(e.Channels)
	if err != nil {
		return 0, err
	}
	size += n
	if n, err = checkExtensions(e.Extensions, limits.MaxAttribute); err != nil {
		return 0, err
	}
	if size += n; size > limits.MaxEvent {
		return 0, &event.Error{
			Kind: event.KindTooLarge, Code: "event_too_large", Detail: fmt.Sprintf("an event may be at most %d bytes", limits.MaxEvent),
			Fields: []event.FieldError{{Field: "data", Message: fmt.Sprintf("makes the event %d bytes, the limit is %d", size, limits.MaxEvent)}},
		}
	}
	return size, nil
}

// checkID reports why s is not an event's id, or "". Every CloudEvents id of up to 256 bytes is one; what goes into the
// webhook-id header is [event.WebhookID].
func checkID(s string) string {
	if s == "" {
		return "must not be empty"
	}
	return checkText(s, maxID)
}

// checkText reports why s is not a CloudEvents String (1.0.2, section 3.1) of at most limit bytes, or "".
func checkText(s string, limit int) string {
	if len(s) > limit {
		return fmt.Sprintf("must be at most %d bytes", limit)
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return checkUnicode(s[i:])
		}
	}
	return ""
}

func checkUnicode(s string) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			return "must be valid UTF-8"
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return "must not hold control characters"
		case r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef:
			return "must not hold noncharacters"
		}
		i += n
	}
	return ""
}

// checkURI reports why s is not a URI-reference (RFC 3986), or not an absolute URI where that is wanted. It checks the
// characters and the scheme, which is what makes a URI safe to pass on.
func checkURI(s string, limit int, absolute bool) string {
	if s == "" {
		return "must not be empty"
	}
	if len(s) > limit {
		return fmt.Sprintf("must be at most %d bytes", limit)
	}
	for i := range len(s) {
		if !isURIByte(s[i]) {
			return "must be a URI: it holds a character that must be percent-encoded"
		}
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return "must be a URI: a percent sign must be followed by two hexadecimal digits"
		}
	}
	if absolute && !hasScheme(s) {
		return "must be an absolute URI"
	}
	return ""
}

func isURIByte(c byte) bool {
	switch {
	case c <= ' ', c >= 0x7f:
		return false
	case c == '"', c == '<', c == '>', c == '\\', c == '^', c == '`', c == '{', c == '|', c == '}':
		return false
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// hasScheme reports whether s begins with a scheme and a colon (RFC 3986, section 3.1).
func hasScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case c == ':':
			return i > 0 && i+1 < len(s)
		case !letter && (i == 0 || c != '+' && c != '-' && c != '.' && (c < '0' || c > '9')):
			return false
		}
	}
	return false
}

// checkContentType reports why s is not a media type (RFC 2046) fit for a header, or "".
func checkContentType(s string, limit int) string {
	if s == "" || s == "application/json" {
		return ""
	}
	if len(s) > limit {
		return fmt.Sprintf("must be at most %d bytes", limit)
	}
	if t, _, err := mime.ParseMediaType(s); err != nil || !strings.Contains(t, "/") || !isPrintableASCII(s) {
		return "must be a media type such as application/json"
	}
	return ""
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func checkChannels(channels []string) (int, error) {
	if len(channels) > maxChannels {
		return 0, event.Invalid("channels", fmt.Sprintf("must be at most %d channels", maxChannels))
	}
	size := 0
	for i, c := range channels {
		message := checkText(c, maxChannel)
		if c == "" {
			message = "must not be empty"
		} else if strings.IndexByte(c, ',') >= 0 {
			message = "must not hold a comma"
		}
		if message != "" {
			return 0, event.Invalid(fmt.Sprintf("channels[%d]", i), message)
		}
		size += len(c)
	}
	return size, nil
}

func checkExtensions(extensions []event.Extension, limit int) (int, error) {
	if len(extensions) > maxExtensions {
		return 0, event.Invalid("extensions", fmt.Sprintf("must be at most %d extension attributes", maxExtensions))
	}
	size := 0
	for i := range extensions {
		x := &extensions[i]
		if !isExtensionName(x.Name) {
			return 0, event.Invalid("extensions", fmt.Sprintf("a name must be 1 to %d of a-z and 0-9 and not that of an attribute", maxExtensionName))
		}
		if i > 0 && extensions[i-1].Name >= x.Name {
			return 0, event.Invalid(x.Name, "is there twice or out of order")
		}
		size += len(x.Name)
		switch v := x.Value.(type) {
		case bool, int32:
			size += 4
		case string:
			if message := checkText(v, limit); message != "" {
				return 0, event.Invalid(x.Name, message)
			}
			size += len(v)
		default:
			return 0, event.Invalid(x.Name, "must be a string, a boolean or a 32-bit integer")
		}
	}
	return size, nil
}

func isExtensionName(s string) bool {
	if s == "" || len(s) > maxExtensionName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	switch s {
	case "id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema", "data":
		return false
	}
	return true
}
