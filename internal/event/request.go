package event

import (
	"bytes"
	"strings"
)

// Request is an HTTP request as it arrived. It is immutable.
type Request struct {
	// Head is the request line and the header lines as received, each ended by CRLF, without the blank line after them. Of
	// HTTP/2, which has neither, they are written as HTTP/1.1 would have them.
	Head []byte
	// Body is the body as received, after a chunked one was put together; still compressed when it was sent so. In an event's
	// Origin it is nil when the event's Data are the same bytes.
	Body []byte
	// Remote is the IP address of the caller, of its proxy's word where that is trusted.
	Remote string
	// URL is the address that was called, as the caller sees it: scheme, host, path and query.
	URL string
	// Path is what of the path and query follows the address of the source, bin or tunnel: "" or begins with "/" or "?".
	Path string
}

// Line returns the parts of the request line: the method, the target as sent (path and query), and the protocol's version.
func (r *Request) Line() (method, target, proto string) {
	line, _, _ := bytes.Cut(r.Head, []byte("\r\n"))
	method, rest, _ := strings.Cut(string(line), " ")
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		return method, rest[:i], rest[i+1:]
	}
	return method, rest, ""
}

// Headers returns the header fields as they came: order, case and repetitions kept, space around values removed.
func (r *Request) Headers() []Header {
	_, rest, _ := bytes.Cut(r.Head, []byte("\r\n"))
	var list []Header
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			list = append(list, Header{Name: string(name), Value: string(bytes.TrimSpace(value))})
		}
	}
	return list
}

// Header returns the first value of a header field, in any case, or "".
func (r *Request) Header(name string) string {
	for _, h := range r.Headers() {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Size is the number of bytes that the request holds.
func (r *Request) Size() int {
	if r == nil {
		return 0
	}
	return len(r.Head) + len(r.Body) + len(r.Remote) + len(r.URL) + len(r.Path)
}

// Answer is an HTTP answer, of an endpoint or for a caller.
type Answer struct {
	// Status is 0 when there was no answer; Reason says why in a few safe words.
	Status  int
	Reason  string
	Headers []Header
	Body    []byte
}
