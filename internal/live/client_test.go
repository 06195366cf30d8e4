package live

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patienceOfTests is how long a test waits for what must come. It is long because a test must not fail for a slow machine.
const patienceOfTests = 3 * time.Minute

// reader is a client of a stream.
type reader struct {
	conn net.Conn
	head *http.Response
	in   *bufio.Reader
	last int64   // the last id
	seen []int64 // versions of events
	name string  // the last event's field event
	data string
}

// dialStream asks for a stream. rcv bounds the client's buffer when not 0.
func dialStream(tb testing.TB, addr, query, headers string, rcv int) (*reader, error) {
	tb.Helper()
	c, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	if rcv > 0 {
		_ = c.(*net.TCPConn).SetReadBuffer(rcv) //nolint:errcheck // it is
	}
	_ = c.SetDeadline(time.Now().Add(patienceOfTests))
	if _, err := fmt.Fprintf(c, "GET /?%s HTTP/1.1\r\nHost: x\r\n%s\r\n", query, headers); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(c, 512)
	res, err := http.ReadResponse(in, nil) //nolint:bodyclose // the connection is closed
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return &reader{conn: c, head: res, in: bufio.NewReaderSize(res.Body, 512)}, nil
}

// openStream is dialStream that must succeed, closed at the end of the test.
func openStream(tb testing.TB, addr, query, headers string) *reader {
	tb.Helper()
	r, err := dialStream(tb, addr, query, headers, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.conn.Close() })
	if r.head.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(r.in)
		tb.Fatalf("status %d: %s", r.head.StatusCode, b)
	}
	return r
}

// next reads one block and returns its lines.
func (r *reader) next() (block string, err error) {
	var b strings.Builder
	event, id := false, int64(-1)
	r.name, r.data = "", ""
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		if line == "\n" {
			break
		}
		b.WriteString(line)
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "id":
			if id, err = strconv.ParseInt(value, 10, 64); err != nil {
				return b.String(), err
			}
		case "event":
			r.name = value
		case "data":
			event, r.data = true, value
		}
	}
	if id >= 0 {
		r.last = id
		if event {
			r.seen = append(r.seen, id)
		}
	}
	return b.String(), nil
}

// until reads until a version's event has come, or an id that shows that it is passed.
func (r *reader) until(version int64) error {
	for r.last < version {
		if _, err := r.next(); err != nil {
			return fmt.Errorf("after %d: %w", r.last, err)
		}
	}
	return nil
}

// rest reads to the end and reports whether it was an orderly one.
func (r *reader) rest() error {
	for {
		if _, err := r.next(); err == io.EOF { //nolint:errorlint // the end of a whole answer
			return nil
		} else if err != nil {
			return err
		}
	}
}

func wantVersions(tb testing.TB, who string, got, want []int64) {
	tb.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			tb.Fatalf("%s: %d events, of %d; the first that is missing is %d", who, len(got), len(want), want[i])
		case i >= len(want) || got[i] != want[i]:
			tb.Fatalf("%s: event number %d is version %d; %d of %d came", who, i, got[i], len(got), len(want))
		}
	}
}

// smallBuffer is the least that TCP works well with on loopback, whose packets are large, in bytes.
const smallBuffer = 32 << 10

// narrow is a listener whose connections hold little on the server's side, so that a client that does not read is felt.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(smallBuffer)
	}
	return c, err
}

func padded(b []byte) []byte {
	return fmt.Appendf(nil, `{"pad":"%s"}`, bytes.Repeat([]byte("x"), len(b)))
}
