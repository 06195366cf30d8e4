package front

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxRecorded bounds what is kept of a request's head; net/http refuses longer ones. Its limit counts some slack.
const maxRecorded = maxHeader + 8<<10

// recorder keeps the head of the present request of a connection as it was received, for [Head]: net/http brings names into
// one case and forgets the order. The connection's own goroutine and net/http's read ahead use it.
type recorder struct {
	mu   sync.Mutex
	head []byte
	done bool
	// ahead is what net/http read ahead, one byte, while it waited for the caller to leave: the next request's first.
	ahead []byte
}

// saw takes what was read, a buffer of the given size filled in part or whole.
func (c *recorder) saw(b []byte, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		if size == 1 {
			c.ahead = append(c.ahead[:0], b...)
		}
		return
	}
	from := max(0, len(c.head)-3)
	c.head = append(c.head, b...)
	if ignored(c.head) || len(c.head) > maxRecorded {
		c.head, c.done = nil, true
		return
	}
	if end := headEnd(c.head[from:]); end >= 0 {
		c.head, c.done = c.head[:from+end], true
	}
}

// next begins the next request.
func (c *recorder) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.done = append([]byte(nil), c.ahead...), false
	c.ahead = c.ahead[:0]
}

// of returns the lines of a request, or nil when what was kept is not known to be its own.
func (c *recorder) of(r *http.Request) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done || !matches(c.head, r) {
		return nil
	}
	return crlf(c.head)
}

// ignored reports whether a request is for the API, whose requests nobody asks to see.
func ignored(b []byte) bool {
	_, target, ok := bytes.Cut(b[:min(len(b), 32)], []byte(" "))
	return ok && bytes.HasPrefix(target, []byte("/v1/"))
}

// headEnd returns where the blank line after the header lines begins, or -1. Lines may end with a bare LF (RFC 9112, 2.2).
func headEnd(b []byte) int {
	crlf, lf := bytes.Index(b, []byte("\n\r\n")), bytes.Index(b, []byte("\n\n"))
	if crlf < 0 || lf >= 0 && lf < crlf {
		crlf = lf
	}
	if crlf < 0 {
		return -1
	}
	return crlf + 1
}

type recorderKey struct{}

// withRecorder puts a connection's recorder where its requests find it.
func withRecorder(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*prefixed); ok && p.recorder != nil {
		return context.WithValue(ctx, recorderKey{}, p.recorder)
	}
	return ctx
}

// nextRequest is the server's hook for a connection that waits for a request again.
func nextRequest(c net.Conn, state http.ConnState) {
	if p, ok := c.(*prefixed); ok && state == http.StateIdle && p.recorder != nil {
		p.recorder.next()
	}
}

// Head returns a request's line and header lines as they were received, each ended by CRLF. Of a request of HTTP/2, and where
// what was received is not known, it writes them as HTTP/1.1 would have them, the names in order. To be called before the
// handler returns.
func Head(r *http.Request) []byte {
	if c, ok := r.Context().Value(recorderKey{}).(*recorder); ok {
		if head := c.of(r); head != nil {
			return head
		}
	}
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.RequestURI + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n")
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			b.WriteString(name + ": " + v + "\r\n")
		}
	}
	if len(r.TransferEncoding) > 0 {
		b.WriteString("Transfer-Encoding: " + strings.Join(r.TransferEncoding, ", ") + "\r\n")
	}
	return b.Bytes()
}

// matches reports whether a recorded head is that of the request as net/http read it. Of requests that were sent together the
// later ones were read before they were recorded, and what is recorded then is whatever the caller put where a head would be.
func matches(head []byte, r *http.Request) bool {
	rest, ok := bytes.CutPrefix(head, []byte(r.Method+" "+r.RequestURI+" "+r.Proto))
	first, rest, _ := bytes.Cut(rest, []byte("\n"))
	if !ok || len(bytes.TrimSuffix(first, []byte("\r"))) > 0 {
		return false
	}
	left := 0
	for _, values := range r.Header {
		left += len(values)
	}
	caching := false
	for line := range bytes.Lines(rest) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		key := http.CanonicalHeaderKey(string(name))
		caching = caching || key == "Cache-Control"
		switch {
		case !ok:
			return false
		case takenOut(key, r):
		case slices.Contains(r.Header[key], string(bytes.Trim(value, " \t\r\n"))):
			left--
		default:
			return false
		}
	}
	if !caching && r.Header.Get("Pragma") == "no-cache" {
		left-- // net/http adds a Cache-Control that says the same
	}
	return left == 0
}

// takenOut reports whether net/http takes a header out of the request's.
func takenOut(key string, r *http.Request) bool {
	switch key {
	case "Host":
		return true
	case "Transfer-Encoding":
		return len(r.TransferEncoding) > 0
	case "Content-Length":
		return len(r.TransferEncoding) > 0
	case "Trailer":
		return r.Trailer != nil
	}
	return false
}

// crlf returns a copy of lines in which each ends with CRLF.
func crlf(lines []byte) []byte {
	out := make([]byte, 0, len(lines)+16)
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		out = append(append(out, line...), "\r\n"...)
	}
	return out
}
