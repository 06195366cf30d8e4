package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// syncTail is how a flushed DEFLATE stream ends, which permessage-deflate leaves out (RFC 7692, section 7.2.1), and a
// last empty block, so that the reader ends (section 7.2.2).
const (
	syncTail = "\x00\x00\xff\xff"
	lastTail = syncTail + "\x01\x00\x00\xff\xff"
)

// inflater reads one compressed message at a time: nothing of a message is needed for the next one.
type inflater struct {
	in   bytes.Reader
	tail bytes.Reader
	r    io.ReadCloser
}

// Read gives the message and then the tail.
func (f *inflater) Read(p []byte) (int, error) {
	if f.in.Len() > 0 {
		return f.in.Read(p)
	}
	return f.tail.Read(p)
}

// ReadByte saves the decompressor a buffer of its own.
func (f *inflater) ReadByte() (byte, error) {
	if f.in.Len() > 0 {
		return f.in.ReadByte()
	}
	return f.tail.ReadByte()
}

var inflaters = sync.Pool{New: func() any {
	f := &inflater{}
	f.r = flate.NewReader(f)
	return f
}}

var tail = []byte(lastTail)

// inflate gives a compressed message as it was, at most limit bytes of it.
func inflate(payload []byte, limit int) ([]byte, error) {
	f, _ := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.in.Reset(payload)
	f.tail.Reset(tail)
	defer f.in.Reset(nil)
	if err := f.r.(flate.Resetter).Reset(f, nil); err != nil { //nolint:errcheck,forcetypeassert // every reader of the package is one
		return nil, closing(CloseInternal, "the message could not be read")
	}
	out := make([]byte, 0, min(limit, max(512, 4*len(payload)))+1)
	for {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(limit+1, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
		n, err := f.r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, tooBig()
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, closing(CloseInvalid, "the message is not compressed as it says")
		}
	}
}

// minDeflate is the size in bytes from which an event is compressed. Measured with documented webhooks (BenchmarkDeflate):
// compressing costs 5–7 µs up to 550 bytes, 10 µs at 1,100, 23 µs at 8,700, once an event; it leaves 77 % of 235 bytes, 58 % of
// 390, 48 % of 540, 39 % of 1,100 and 21 % of 8,700. But every reader must inflate (about as much again), and below 512 bytes
// the saving is less than the 300 bytes that make no packet fewer.
const minDeflate = 512

// storedHead is the head of a DEFLATE block that is not compressed (RFC 1951, section 3.2.4), in bytes.
const storedHead = 5

type deflater struct {
	out bytes.Buffer
	w   *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.w, _ = flate.NewWriter(&d.out, deflateLevel) // the level is valid
	return d
}}

// deflateLevel is where more work stops paying: at 1,100 bytes level 1 leaves 40 %, level 3 39 %, level 6 38.5 % for 1.5
// times the work.
const deflateLevel = 3

// deflateBlocks compresses b as DEFLATE blocks that refer to nothing before them, up to a byte boundary, so that they can stand
// behind any other blocks. It returns nil when that saves too little to be worth the work of the reader.
func deflateBlocks(b []byte) []byte {
	if len(b) < minDeflate {
		return nil
	}
	d, _ := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	if _, err := d.w.Write(b); err != nil { // memory does not fail
		return nil
	}
	if err := d.w.Flush(); err != nil {
		return nil
	}
	out := bytes.TrimSuffix(d.out.Bytes(), []byte(syncTail))
	if len(out)+storedHead > len(b)-len(b)/8 {
		return nil
	}
	return bytes.Clone(out)
}

// appendStored appends b, of at most 65,535 bytes, as a block that is not compressed.
func appendStored(dst, b []byte) []byte {
	n := uint16(len(b))
	dst = append(dst, 0)
	dst = binary.LittleEndian.AppendUint16(dst, n)
	dst = binary.LittleEndian.AppendUint16(dst, ^n)
	return append(dst, b...)
}
