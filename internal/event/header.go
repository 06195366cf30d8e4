package event

import "strings"

// ofConnection are the names, in lower case, of header fields that are about one connection (RFC 9110, 7.6.1), with the two that
// proxies use by custom and the one by which HTTP/2 was asked for.
var ofConnection = map[string]bool{
	"connection": true, "proxy-connection": true, "keep-alive": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"proxy-authorization": true, "proxy-authenticate": true, "http2-settings": true,
}

// OfConnection reports whether a header field is about one connection, and never sent on.
func OfConnection(name string) bool { return ofConnection[strings.ToLower(name)] }

// ConnectionOptions returns the names, in lower case, that the Connection fields among headers name: they are not sent on either.
func ConnectionOptions(headers []Header) map[string]bool {
	var named map[string]bool
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "connection") {
			continue
		}
		for name := range strings.SplitSeq(h.Value, ",") {
			if named == nil {
				named = map[string]bool{}
			}
			named[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	return named
}

// maxHeaderName is the longest name of a header field, in bytes.
const maxHeaderName = 256

// IsHeaderName reports whether s may be the name of a header field: a token (RFC 9110, 5.6.2) of at most 256 bytes.
func IsHeaderName(s string) bool {
	if s == "" || len(s) > maxHeaderName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// IsHeaderValue reports whether s may be the value of a header field (RFC 9110, 5.5): it holds no control character but tabs.
func IsHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
