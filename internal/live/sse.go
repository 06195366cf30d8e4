package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// sse is the protocol of server-sent events.
type sse struct {
	form  sseForm
	taken int // bytes that the client sent, which it has no reason to
}

// maxNoise is how much a client may send on a stream that goes one way, in bytes.
const maxNoise = 64 << 10

func (p *sse) received(c *conn, b []byte) {
	if p.taken += len(b); p.taken > maxNoise {
		c.end(reasonProtocol)
	}
}

func (p *sse) keepAlive(dst []byte) ([]byte, bool) {
	start := len(dst)
	dst = append(p.form.open(dst), ": keep-alive\n\n"...)
	return p.form.shut(dst, start), false
}

func (p *sse) last(dst []byte, _ reason) []byte {
	if p.form.chunked {
		return append(dst, "0\r\n\r\n"...)
	}
	return dst
}

func (p *sse) lingers() bool         { return false }
func (p *sse) closed(*conn, reason)  {}
func (p *sse) hello(at int64) []byte { return fmt.Appendf(nil, "retry: 2000\nid: %d\n\n", at) }

// ParseLastEventID returns the version in a Last-Event-ID header, -1 when there is none. Errors are KindInvalid.
func ParseLastEventID(s string) (int64, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || s[0] == '+' {
		return 0, event.Invalid("Last-Event-ID", "must be the id of an event of this stream: a version")
	}
	return int64(n), nil
}

// Stream answers with server-sent events until one side ends it. Last-Event-ID counts before the listener's start. For
// HTTP/1 it returns when the connection has been taken over. An error means that nothing was written: an [event.Error] of
// KindInvalid, KindGone, KindRateLimited or KindUnavailable.
func (h *Hub) Stream(w http.ResponseWriter, r *http.Request, l Listener) error {
	id, err := ParseLastEventID(r.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	if id >= 0 {
		l.Start = min(id, math.MaxInt64-1) + 1
	}
	http1 := r.ProtoMajor == 1
	p := &sse{form: sseForm{named: !l.Unnamed, chunked: http1 && r.ProtoAtLeast(1, 1)}}
	c, err := h.connect(kindSSE, r, &l, p)
	if err != nil {
		return err
	}
	started := false
	defer func() { // after a panic too
		if !started {
			c.abandon()
		}
	}()
	wish, err := h.wish(c.feed, l.Ask, l.Key)
	if err == nil {
		err = c.subscribe(&c.first, subscription{wish: wish, start: l.Start, form: p.form}, nil)
	}
	if errors.Is(err, errOver) { // somebody ended it, or its tenant was deleted, before it began
		err = busy("the connection was ended")
	}
	if err != nil {
		return err
	}
	streamHeaders(w.Header())
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	first := p.hello(c.first.cursor)
	if http1 {
		head := responseHead(w.Header(), r.ProtoAtLeast(1, 1), h.now())
		start := len(head)
		first = p.form.shut(append(p.form.open(head), first...), start)
		s, already, err := takeOver(w)
		if err == nil {
			started = true
			c.start(s, first, already)
			return nil
		}
		first = p.hello(c.first.cursor) // the server in between cannot give the connection away: answer through it
		p.form.chunked = false
		c.mu.Lock()
		c.first.form = p.form
		c.mu.Unlock()
	}
	w.WriteHeader(http.StatusOK)
	stop := context.AfterFunc(r.Context(), func() { c.end(reasonClient) })
	defer stop()
	started = true
	c.start(newStreamSink(w), first, nil)
	return nil
}

// streamHeaders sets the headers of a stream.
func streamHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// responseHead is the head of a streamed answer of HTTP/1, which ends with its connection.
func responseHead(headers http.Header, http11 bool, now int64) []byte {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nDate: ")
	b.WriteString(time.Unix(0, now).UTC().Format(http.TimeFormat))
	b.WriteString("\r\nConnection: close\r\n")
	if http11 {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	line := strings.NewReplacer("\r", " ", "\n", " ")
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch name {
		case "Date", "Connection", "Transfer-Encoding", "Content-Length":
			continue
		}
		for _, value := range headers[name] {
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(line.Replace(value))
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
