package tunnel

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// maxHead bounds the head of an answer, in bytes.
const maxHead = 256 << 10

// message is a request that is written byte for byte: net/http would put its headers into an order and a case of its own.
type message struct {
	method     string
	head, body []byte
}

// newMessage writes a request: its method, target, and headers in their order and case, about, and the body. What cannot stand
// in a head is left out of it.
func newMessage(r *event.Request, host string, headers []event.Header, about About, body []byte) (*message, error) {
	method, _, _ := r.Line()
	if !event.IsHeaderName(method) {
		return nil, fmt.Errorf("tunnel: a method of %d bytes is none", len(method))
	}
	m := &message{method: method, head: make([]byte, 0, 1024+len(r.Head)), body: body}
	m.head = append(m.head, method+" "+requestTarget(r.Path)+" HTTP/1.1\r\n"...)
	m.add("Host", host)
	for _, f := range headers {
		m.add(f.Name, f.Value)
	}
	told, err := json.Marshal(about)
	if err != nil { // a time beyond the year 9999
		told = []byte("{}")
	}
	m.add(pipe.HeaderAbout, string(told))
	if len(body) > 0 || method != http.MethodGet && method != http.MethodHead && method != http.MethodDelete && method != http.MethodOptions {
		m.add("Content-Length", strconv.Itoa(len(body)))
	}
	m.head = append(m.head, "\r\n"...)
	return m, nil
}

// add writes a header line, unless it is none.
func (m *message) add(name, value string) {
	if event.IsHeaderName(name) && event.IsHeaderValue(value) {
		m.head = append(append(append(append(m.head, name...), ": "...), value...), "\r\n"...)
	}
}

// requestTarget is what follows an address, as the target of a request: "/" and what else can stand in a request line.
func requestTarget(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return escaped(path)
		}
	}
	return path
}

func escaped(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// exchange sends a message through a tunnel and reads the answer, at most limit bytes of its body.
func (h *Hub) exchange(ctx context.Context, tenant event.TenantID, name string, m *message, limit int) (a event.Answer, err error) {
	err = h.try(ctx, tenant, name, func(s *session) error {
		defer s.release()
		a, err = s.exchange(ctx, m, limit)
		return err
	})
	return a, err
}

// exchange opens a stream, writes the message and reads the answer, which may come before all is written.
func (s *session) exchange(ctx context.Context, m *message, limit int) (event.Answer, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return event.Answer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(pipe.Past) })
	written := make(chan struct{})
	go func() {
		defer close(written)
		if _, err := c.Write(m.head); err == nil {
			_ = writeChunks(c, m.body) // what is wrong shows in the answer
		}
	}()
	defer func() {
		stop()
		_ = c.SetDeadline(pipe.Past) // the rest, when the answer came before it was written
		_ = c.Close()
		<-written
	}()
	in := &capped{r: c, left: maxHead}
	r := bufio.NewReader(in)
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: m.method}) //nolint:bodyclose // that would read all the rest; the stream is closed
		if err != nil {
			return event.Answer{}, err
		}
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			in.left = math.MaxInt64
			return read(resp, limit)
		} // else it is an answer before the answer (RFC 9110, 15.2)
	}
}

// writeChunks writes in pieces: yamux sends what is written at once in one frame, as far as the window goes. On a slow line
// nothing else would get through until it is there, no answer to a keep-alive either.
func writeChunks(w io.Writer, b []byte) error {
	for piece := range slices.Chunk(b, chunk) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// capped reads no more than is left.
type capped struct {
	r    io.Reader
	left int64
}

// Read implements [io.Reader].
func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("tunnel: the head of the answer has over %d bytes", maxHead)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
