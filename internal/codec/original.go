package codec

import (
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
)

// OwnCookie is the cookie in which browsers send Posthorn's own tokens.
const OwnCookie = "posthorn_token"

// ownCookies begins the names of all of Posthorn's own cookies, those of sessions too.
const ownCookies = "posthorn_"

// IsOwnCookie reports whether a cookie is one of Posthorn's own by its name, in any case, also behind __Host- and __Secure-;
// nobody else gets to see those, and nobody else sets them.
func IsOwnCookie(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, guard := range []string{"__host-", "__secure-"} {
		name = strings.TrimPrefix(name, guard)
	}
	return strings.HasPrefix(name, ownCookies)
}

// dropped are the headers of a request that are not sent on besides those of its connection: those that the next one sets
// itself, and what its sender can read.
var dropped = []string{"host", "content-length", "expect", "accept-encoding"}

// ownPrefix begins the names of headers that only Posthorn sets.
const ownPrefix = "posthorn-"

// Forwarded returns the headers with which a request that came in is sent on, in their order and case: all but those that
// belong to its connection, those that only Posthorn sets (posthorn-*), and Posthorn's own cookie.
func Forwarded(r *event.Request) []event.Header {
	all := r.Headers()
	named := event.ConnectionOptions(all)
	kept := make([]event.Header, 0, len(all))
	for _, h := range all {
		lower := strings.ToLower(h.Name)
		switch {
		case event.OfConnection(lower), named[lower], slices.Contains(dropped, lower), strings.HasPrefix(lower, ownPrefix):
			continue
		case lower == "cookie":
			if h.Value = WithoutOwnCookies(h.Value); h.Value == "" {
				continue
			}
		}
		kept = append(kept, h)
	}
	return kept
}

// WithoutOwnCookies returns the value of a Cookie header without Posthorn's own ([IsOwnCookie]); one without them stays as it is.
func WithoutOwnCookies(value string) string {
	if !strings.Contains(strings.ToLower(value), ownCookies) {
		return value
	}
	var kept []string
	for part := range strings.SplitSeq(value, ";") {
		name, _, _ := strings.Cut(part, "=")
		if part = strings.TrimSpace(part); part != "" && !IsOwnCookie(name) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "; ")
}

// original appends the request by which an event came in, of others the data.
func (o *Options) original(dst []byte, e *event.Event) (contentType string, headers []event.Header, body []byte) {
	if e.Origin == nil {
		plain := *o
		plain.Payload = event.PayloadFull
		contentType, body = plain.raw(dst, e)
		return contentType, nil, body
	}
	body = e.Origin.Body
	if body == nil {
		body = e.Data
	}
	return "", Forwarded(e.Origin), append(dst, body...)
}
