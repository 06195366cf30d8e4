package codec

import (
	"bytes"
	"mime"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Fixed limits of an event's lists.
const (
	// MaxChannels is the most channels that an event may carry.
	MaxChannels = 10
	// MaxChannel is the length of a channel's name in bytes.
	MaxChannel = 128
	// MaxExtensions is the most CloudEvents extension attributes that an event may carry.
	MaxExtensions = 32
	// MaxExtensionName is the length of an extension's name in bytes. The specification advises 20.
	MaxExtensionName = 64
)

// Extension names that stand for attributes of Posthorn in the CloudEvents forms.
const (
	extKey      = "partitionkey"
	extVersion  = "posthornversion"
	extChannels = "posthornchannels"
)

// CheckChannel reports why s is not the name of a channel, or "". A name is 1 to 128 bytes of UTF-8 without commas,
// control characters, or spaces at its ends.
func CheckChannel(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > MaxChannel:
		return "must be at most " + strconv.Itoa(MaxChannel) + " bytes"
	case strings.IndexByte(s, ',') >= 0:
		return "must not hold a comma"
	case s[0] == ' ' || s[len(s)-1] == ' ':
		return "must not begin or end with a space"
	}
	return checkText(s)
}

// checkText reports why s is not a CloudEvents String (1.0.2, section 3.1): control characters are not allowed.
func checkText(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return "must not hold control characters"
		}
		if c < utf8.RuneSelf {
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 {
			return "must be valid UTF-8"
		}
		if r < 0xa0 || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return "must not hold control characters or noncharacters"
		}
		i += n - 1
	}
	return ""
}

// checkID reports why s is not an event's id. Ids are sent as the webhook-id header and signed with it, so they keep to
// what every HTTP stack passes on unchanged.
func checkID(s string) string {
	if s == "" {
		return "must not be empty"
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "may hold printable ASCII only"
		}
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return "must not begin or end with a space"
	}
	return ""
}

// checkURI reports why s is not a URI-reference (RFC 3986), or not an absolute one where that is wanted.
func checkURI(s string, absolute bool) string {
	plain := !absolute
	for i := range len(s) {
		c := s[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return "must be a URI: it holds a character that must be percent-encoded"
		}
		plain = plain && (c == '/' || c == '.' || c == '-' || c == '_' || isAlnum(c))
	}
	if plain {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "must be a URI"
	case absolute && !u.IsAbs():
		return "must be an absolute URI"
	}
	return ""
}

// checkMediaType reports why s is not a media type (RFC 2046).
func checkMediaType(s string) string {
	if s == mediaJSON {
		return ""
	}
	if t, _, err := mime.ParseMediaType(s); err != nil || !strings.Contains(t, "/") || !isASCII(s) {
		return "must be a media type such as application/json"
	}
	return ""
}

// checkExtensionName reports why s is not the name of an extension attribute (CloudEvents 1.0.2, section 3.1).
func checkExtensionName(s string) string {
	if s == "" || len(s) > MaxExtensionName {
		return "the name of an extension attribute must be 1 to " + strconv.Itoa(MaxExtensionName) + " characters"
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "the name of an extension attribute may hold lower-case letters and digits only"
		}
	}
	if s == "data" {
		return "data is not the name of an extension attribute"
	}
	return ""
}

// parseTime reads an RFC 3339 time strictly and cuts it to µs, UTC.
func parseTime(s []byte) (time.Time, string) {
	var t time.Time
	if err := t.UnmarshalText(s); err != nil || !strictTime(s) {
		return time.Time{}, "must be an RFC 3339 time such as 2026-11-21T08:30:00Z"
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, "must lie in the years 1 to 9999 (UTC)"
	}
	return t, ""
}

// strictTime makes good what package time lets through (https://go.dev/issue/54580): one-digit hours, a comma before the
// fraction, and zones of a day and more.
func strictTime(s []byte) bool {
	if len(s) < len("2006-01-02T15:04:05Z") || s[len("2006-01-02T15")] != ':' || bytes.IndexByte(s, ',') >= 0 {
		return false
	}
	zone := s[len(s)-len("+00:00"):]
	return s[len(s)-1] == 'Z' || string(zone[1:3]) < "24" && string(zone[4:6]) < "60"
}

// validJSON reports whether b is one JSON value without duplicate names or invalid UTF-8.
func (r *reader) validJSON(b []byte) error {
	r.reset(b)
	if _, err := r.d.ReadValue(); err != nil {
		return r.syntax(err)
	}
	return r.end()
}

var openBrace, openBracket = []byte("{"), []byte("[")

// tooDeep reports whether a valid JSON value nests objects and arrays deeper than limit; a scalar has depth 0.
func tooDeep(b []byte, limit int) bool {
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return false
	}
	if bytes.Count(b, openBrace)+bytes.Count(b, openBracket) <= limit {
		return false // fewer brackets than levels: the common case, decided by two vector scans
	}
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
