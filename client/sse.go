package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxBlock bounds what is kept of one block of server-sent events, and one line of it, in bytes. The server's events are
// far smaller.
const maxBlock = 16 << 20

var (
	errBlockSize = fmt.Errorf("client: an event of the stream is larger than %d bytes", maxBlock)
	byteOrder    = []byte("\xef\xbb\xbf") // the mark that may begin a stream
)

// sseBlock is what stands between two blank lines and means something: an event, or an id alone.
type sseBlock struct {
	id      string // meaningful with hasID; "" resets the place
	name    string // of the event, "" without one
	data    []byte // valid until the next block is read
	hasID   bool
	hasData bool // an event, also with empty data
}

// sseReader reads server-sent events as the HTML standard says (9.2.6, "Interpreting an event stream"). It leaves bytes
// that are not UTF-8 as they are.
type sseReader struct {
	src  io.Reader
	max  int // bytes of a block
	buf  []byte
	r, w int  // buf[r:w] is read and not parsed
	cr   bool // the line before ended with CR: a LF that follows is a part of its end
	line int  // lines so far, 0 until the byte order mark was looked for
	data []byte

	retry time.Duration // the newest that the server asked for; -1 before
}

func newSSEReader(src io.Reader, size int) *sseReader {
	return &sseReader{src: src, max: size, buf: make([]byte, 4<<10), retry: -1}
}

// fill reads more. It moves what is there: slices of the buffer are no longer valid.
func (s *sseReader) fill() error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		if s.w >= s.max {
			return errBlockSize
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.w:])
		s.w += n
		switch {
		case n > 0:
			return nil // an error comes again
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// next returns the next block. What the stream ends within is not a block; the error is then io.EOF.
func (s *sseReader) next() (sseBlock, error) {
	var b sseBlock
	s.data = s.data[:0]
	for {
		line, err := s.readLine()
		if err != nil {
			return sseBlock{}, err
		}
		if len(line) == 0 {
			if b.hasID || b.hasData {
				b.data = bytes.TrimSuffix(s.data, []byte("\n"))
				return b, nil
			}
			b.name = "" // a name without data is for nothing
			continue
		}
		if err := s.field(&b, line); err != nil {
			return sseBlock{}, err
		}
	}
}

// field takes one line that is not blank. A comment is a field with an empty name, which means nothing.
func (s *sseReader) field(b *sseBlock, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if len(s.data)+len(value) >= s.max {
			return errBlockSize
		}
		s.data = append(append(s.data, value...), '\n')
		b.hasData = true
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			b.id, b.hasID = string(value), true
		}
	case "event":
		b.name = string(value)
	case "retry":
		if d, ok := milliseconds(string(value)); ok {
			s.retry = d
		}
	}
	return nil
}

// milliseconds reads a retry: ASCII digits only, at most an hour.
func milliseconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) || n > uint64(time.Hour/time.Millisecond) {
		return time.Hour, true
	}
	return time.Duration(n) * time.Millisecond, true
}

// readLine returns a line without its end: LF, CR LF or CR. It does not wait for a LF after a CR.
func (s *sseReader) readLine() ([]byte, error) {
	seen := 0 // bytes of the line that hold no end
	for {
		if s.cr && s.w > s.r {
			s.cr = false
			if s.buf[s.r] == '\n' {
				s.r++
			}
		}
		if part := s.buf[s.r+seen : s.w]; len(part) > 0 && !s.cr {
			if n := lineEnd(part); n >= 0 {
				line := s.buf[s.r : s.r+seen+n]
				s.cr = part[n] == '\r'
				s.r += seen + n + 1
				if s.line++; s.line == 1 {
					line = bytes.TrimPrefix(line, byteOrder)
				}
				return line, nil
			}
			seen += len(part)
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// lineEnd finds the first CR or LF.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}
