package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read returns the blocks of a stream in a form for comparison, and the last retry in ms (-1: none).
func read(r io.Reader, size int) (blocks []string, retry time.Duration, err error) {
	s := newSSEReader(r, size)
	for {
		b, err := s.next()
		if err != nil {
			return blocks, s.retry, err
		}
		blocks = append(blocks, shown(b.id, b.hasID, b.name, string(b.data), b.hasData))
	}
}

func shown(id string, hasID bool, name, data string, hasData bool) string {
	var s string
	if hasID {
		s += fmt.Sprintf("id=%q ", id)
	}
	if hasData {
		s += fmt.Sprintf("event=%q data=%q ", name, data)
	}
	return strings.TrimSuffix(s, " ")
}

func TestSSE(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []string
		retry    time.Duration
	}{
		{"the contract's example", "retry: 2000\nid: 6\n\nid: 7\nevent: order.paid\ndata: {\"a\":1}\n\n: keep-alive\n\n", []string{`id="6"`, `id="7" event="order.paid" data="{\"a\":1}"`}, 2 * time.Second},
		{"CR LF", "id: 1\r\ndata: x\r\n\r\n", []string{`id="1" event="" data="x"`}, -1},
		{"CR", "id: 1\rdata: x\r\rdata: y\r\r", []string{`id="1" event="" data="x"`, `event="" data="y"`}, -1},
		{"mixed ends", "data: a\r\ndata: b\rdata: c\n\r\n", []string{`event="" data="a\nb\nc"`}, -1},
		{"a byte order mark", "\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n", []string{`event="" data="x"`}, -1},
		{"one space", "data:  x\ndata:y\n\n", []string{`event="" data=" x\ny"`}, -1},
		{"no colon", "data\ndata\n\nid\n\n", []string{`event="" data="\n"`, `id=""`}, -1},
		{"empty data", "data:\n\n", []string{`event="" data=""`}, -1},
		{"a name alone", "event: x\n\ndata: y\n\n", []string{`event="" data="y"`}, -1},
		{"an id with NUL", "id: 1\x002\ndata: x\n\n", []string{`event="" data="x"`}, -1},
		{"a retry that is none", "retry: 1.5\nretry: -1\nretry:\nretry: 2s\n\n", nil, -1},
		{"a long retry", "retry: 99999999999999999999999\n", nil, time.Hour},
		{"no retry of Unicode's digits", "retry: ٣\n\n", nil, -1},
		{"cut off", "data: x\n\ndata: y\n", []string{`event="" data="x"`}, -1},
		{"unknown fields and comments", ":\n:x\nDATA: x\nfoo: y\n\n", nil, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for what, r := range map[string]io.Reader{
				"whole": strings.NewReader(c.in), "by bytes": iotest.OneByteReader(strings.NewReader(c.in)), "with EOF": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				got, retry, err := read(r, 1<<16)
				if diff := cmp.Diff(c.want, got); diff != "" || retry != c.retry || !errors.Is(err, io.EOF) {
					t.Errorf("%s: retry %v, %v\n%s", what, retry, err, diff)
				}
			}
		})
	}
}

func TestSSELimits(t *testing.T) {
	t.Parallel()
	const size = 1 << 14
	for name, in := range map[string]string{
		"a line": "data: " + strings.Repeat("x", size), "many lines": strings.Repeat("data: xxxxxxxxxxxx\n", size/10),
		"a comment": ":" + strings.Repeat("x", size),
	} {
		if _, _, err := read(strings.NewReader(in), size); !errors.Is(err, errBlockSize) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := strings.Repeat("data: "+strings.Repeat("x", size/2)+"\n\n", 20)
	if got, _, err := read(strings.NewReader(in), size); len(got) != 20 || !errors.Is(err, io.EOF) {
		t.Errorf("%d events, %v", len(got), err)
	}
	if _, _, err := read(idle{}, size); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// A CR ends a line, and a block, at once: the LF may come much later.
func TestSSEDoesNotWaitForLF(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	s := newSSEReader(r, 1<<16)
	go func() {
		_, _ = w.Write([]byte("data: x\r\n\r"))
		_, _ = w.Write([]byte("\ndata: y\r\r"))
	}()
	for _, want := range []string{"x", "y"} {
		if b, err := s.next(); err != nil || string(b.data) != want {
			t.Fatalf("%q, %v, want %q", b.data, err, want)
		}
	}
}

// reference is the standard's text, line by line, over the whole stream.
func reference(in string) (blocks []string, retry time.Duration) {
	in = strings.TrimPrefix(in, "\xef\xbb\xbf")
	in = strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(in, "\n")
	var id, name, data string
	var hasID, hasData bool
	retry = -1
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if hasID || hasData {
				blocks = append(blocks, shown(id, hasID, name, strings.TrimSuffix(data, "\n"), hasData))
			}
			id, name, data, hasID, hasData = "", "", "", false, false
			continue
		}
		if line[0] == ':' {
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data, hasData = data+value+"\n", true
		case "id":
			if !strings.Contains(value, "\x00") {
				id, hasID = value, true
			}
		case "retry":
			if d, ok := milliseconds(value); ok {
				retry = d
			}
		}
	}
	return blocks, retry
}

func FuzzSSE(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbfretry: 2000\nid: 6\n\nid: 7\r\nevent: a\rdata: b\n\n"), uint8(3))
	f.Add([]byte("data\n\n:x\r\r\n\nid\x00: 1\n"), uint8(0))
	f.Add([]byte("id: 1\x00\ndata: \xff\r\r"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		want, wantRetry := reference(string(in))
		got, retry, err := read(&steps{bytes.NewReader(in), int(step) + 1}, 1<<20)
		if diff := cmp.Diff(want, got); diff != "" || retry != wantRetry || !errors.Is(err, io.EOF) {
			t.Errorf("retry %v, want %v; %v\n%s", retry, wantRetry, err, diff)
		}
	})
}

// steps reads a few bytes at a time.
type steps struct {
	r io.Reader
	n int
}

func (s *steps) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

func BenchmarkSSE(b *testing.B) {
	block := []byte("id: 123456\nevent: order.paid\ndata: " + strings.Repeat("x", 700) + "\n\n")
	in := bytes.Repeat(block, 1000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		s := newSSEReader(bytes.NewReader(in), maxBlock)
		for {
			if _, err := s.next(); err != nil {
				break
			}
		}
	}
}
