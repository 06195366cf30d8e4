package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// frame makes a client's frame; b0 is its first byte.
func frame(b0 byte, payload string) []byte {
	out := []byte{b0}
	switch n := len(payload); {
	case n < 126:
		out = append(out, 0x80|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	out = append(out, mask[:]...)
	masked := []byte(payload)
	ws.Cipher(masked, mask, 0)
	return append(out, masked...)
}

func join(frames ...[]byte) []byte { return slices.Concat(frames...) }

// got is a message in a form that can be compared.
type got struct {
	Op      ws.OpCode
	Payload string
	Code    ws.StatusCode
}

// feed gives a decoder the stream in pieces and returns what came of it.
func feed(d *Decoder, stream []byte, size func() int) (out []got, err error) {
	defer d.Close()
	stream = bytes.Clone(stream)
	for len(stream) > 0 {
		p := stream[:min(len(stream), size())]
		stream = stream[len(p):]
		for {
			var m Message
			var ok bool
			if m, p, ok, err = d.Next(p); err != nil {
				return out, err
			}
			if !ok {
				break
			}
			out = append(out, got{m.Opcode, string(m.Payload), m.Code})
		}
		if len(p) > 0 {
			return out, errors.New("a part of the stream was left")
		}
	}
	return out, nil
}

func all() int { return 1 << 30 }
func one() int { return 1 }

func TestDecoder(t *testing.T) {
	long := strings.Repeat("aé", 30_000)
	for name, tt := range map[string]struct {
		form    Form
		deflate bool
		stream  []byte
		want    []got
		code    ws.StatusCode
		held    bool // something is incomplete in the end
	}{
		// RFC 6455, section 5.7.
		"hello":        {stream: []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, want: []got{{ws.OpText, "Hello", 0}}},
		"ping":         {stream: frame(0x89, "Hello"), want: []got{{ws.OpPing, "Hello", 0}}},
		"unsolicited":  {stream: frame(0x8a, ""), want: []got{{ws.OpPong, "", 0}}},
		"empty":        {stream: frame(0x81, ""), want: []got{{ws.OpText, "", 0}}},
		"binary":       {form: CBOR, stream: frame(0x82, "\xff\x00"), want: []got{{ws.OpBinary, "\xff\x00", 0}}},
		"16-bit":       {stream: frame(0x81, strings.Repeat("x", 126)), want: []got{{ws.OpText, strings.Repeat("x", 126), 0}}},
		"64-bit":       {stream: frame(0x81, long), want: []got{{ws.OpText, long, 0}}},
		"two":          {stream: join(frame(0x81, "a"), frame(0x81, "b")), want: []got{{ws.OpText, "a", 0}, {ws.OpText, "b", 0}}},
		"fragments":    {stream: join(frame(0x01, "Hel"), frame(0x00, ""), frame(0x80, "lo")), want: []got{{ws.OpText, "Hello", 0}}},
		"ping within":  {stream: join(frame(0x01, "Hel"), frame(0x89, "!"), frame(0x80, "lo")), want: []got{{ws.OpPing, "!", 0}, {ws.OpText, "Hello", 0}}},
		"split rune":   {stream: join(frame(0x01, "\xe2\x82"), frame(0x80, "\xac")), want: []got{{ws.OpText, "€", 0}}},
		"close":        {stream: frame(0x88, "\x03\xe8bye"), want: []got{{ws.OpClose, "\x03\xe8bye", 1000}}},
		"close empty":  {stream: frame(0x88, ""), want: []got{{ws.OpClose, "", 1005}}},
		"close custom": {stream: frame(0x88, "\x0f\xa0"), want: []got{{ws.OpClose, "\x0f\xa0", 4000}}},
		// RFC 7692, section 7.2.3.
		"deflate":            {deflate: true, stream: frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), want: []got{{ws.OpText, "Hello", 0}}},
		"deflate fragments":  {deflate: true, stream: join(frame(0x41, "\xf2\x48\xcd"), frame(0x80, "\xc9\xc9\x07\x00")), want: []got{{ws.OpText, "Hello", 0}}},
		"deflate stored":     {deflate: true, stream: frame(0xc1, "\x00\x05\x00\xfa\xffHello\x00"), want: []got{{ws.OpText, "Hello", 0}}},
		"deflate final":      {deflate: true, stream: frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), want: []got{{ws.OpText, "Hello", 0}}},
		"deflate two blocks": {deflate: true, stream: frame(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), want: []got{{ws.OpText, "Hello", 0}}},
		"deflate, not used":  {deflate: true, stream: frame(0x81, "Hello"), want: []got{{ws.OpText, "Hello", 0}}},

		"half a header":   {stream: frame(0x81, "Hello")[:1], held: true},
		"half a message":  {stream: frame(0x01, "Hello"), held: true},
		"half a payload":  {stream: frame(0x81, "Hello")[:8], held: true},
		"announced large": {stream: frame(0x81, long)[:14], held: true},

		"not masked":         {stream: []byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'}, code: 1002},
		"rsv1":               {stream: frame(0xc1, "x"), code: 1002},
		"rsv2":               {stream: frame(0xa1, "x"), deflate: true, code: 1002},
		"rsv3":               {stream: frame(0x91, "x"), code: 1002},
		"rsv1 on ping":       {stream: frame(0xc9, "x"), deflate: true, code: 1002},
		"rsv1 on fragment":   {stream: join(frame(0x41, "\xf2"), frame(0xc0, "\x48")), deflate: true, code: 1002},
		"opcode 3":           {stream: frame(0x83, "x"), code: 1002},
		"opcode 15":          {stream: frame(0x8f, "x"), code: 1002},
		"long ping":          {stream: frame(0x89, strings.Repeat("x", 126)), code: 1002},
		"fragmented ping":    {stream: frame(0x09, "x"), code: 1002},
		"fragmented close":   {stream: frame(0x08, "\x03\xe8"), code: 1002},
		"continues nothing":  {stream: frame(0x80, "x"), code: 1002},
		"begins twice":       {stream: join(frame(0x01, "x"), frame(0x81, "x")), code: 1002},
		"long length":        {stream: []byte{0x81, 0xfe, 0, 5, 0, 0, 0, 0}, code: 1002},
		"longer length":      {stream: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0}, code: 1002},
		"negative length":    {stream: []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, code: 1002},
		"binary in JSON":     {stream: frame(0x82, "x"), code: 1003},
		"text in CBOR":       {form: CBOR, stream: frame(0x81, "x"), code: 1003},
		"not UTF-8":          {stream: frame(0x81, "\xff"), code: 1007},
		"half a rune":        {stream: frame(0x81, "\xe2\x82"), code: 1007},
		"surrogate":          {stream: frame(0x81, "\xed\xa0\x80"), code: 1007},
		"not UTF-8 early":    {stream: join(frame(0x01, "a\xff"), frame(0x00, "b")), code: 1007},
		"half runes":         {stream: join(frame(0x01, "\xe2\x82"), frame(0x80, "a")), code: 1007},
		"not UTF-8 inflated": {deflate: true, stream: frame(0xc1, "\x00\x01\x00\xfe\xff\xff\x00"), code: 1007},
		"not deflated":       {deflate: true, stream: frame(0xc1, "\xff\xff\xff"), code: 1007},
		"cut deflate":        {deflate: true, stream: frame(0xc1, "\xf2\x48"), code: 1007},
		"too large":          {stream: frame(0x81, strings.Repeat("x", 100_001)), code: 1009},
		"announced only":     {stream: frame(0x81, strings.Repeat("x", 100_001))[:14], code: 1009},
		"too many fragments": {stream: join(frame(0x01, strings.Repeat("x", 60_000)), frame(0x80, strings.Repeat("x", 60_000))[:14]), code: 1009},
		"bomb":               {deflate: true, stream: frame(0xc1, string(squeeze(t, make([]byte, 50<<20)))), code: 1009},
		"close of one byte":  {stream: frame(0x88, "\x03"), code: 1002},
		"close 999":          {stream: frame(0x88, "\x03\xe7"), code: 1002},
		"close 1004":         {stream: frame(0x88, "\x03\xec"), code: 1002},
		"close 1005":         {stream: frame(0x88, "\x03\xed"), code: 1002},
		"close 1006":         {stream: frame(0x88, "\x03\xee"), code: 1002},
		"close 1015":         {stream: frame(0x88, "\x03\xf7"), code: 1002},
		"close 2999":         {stream: frame(0x88, "\x0b\xb7"), code: 1002},
		"close 5000":         {stream: frame(0x88, "\x13\x88"), code: 1002},
		"close not UTF-8":    {stream: frame(0x88, "\x03\xe8\xff"), code: 1007},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's dice
			for how, size := range map[string]func() int{"whole": all, "bytes": one, "pieces": func() int { return 1 + random.IntN(9) }} {
				budget := NewBudget(1 << 20)
				d := NewDecoder(&Rules{MaxMessage: 100_000, Budget: budget}, tt.form, tt.deflate)
				messages, err := feed(&d, tt.stream, size)
				if tt.code == 0 && err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if tt.code != 0 {
					closing, ok := errors.AsType[*CloseError](err)
					if !ok || closing.Code != tt.code {
						t.Fatalf("%s: %v, want code %d", how, err, tt.code)
					}
				}
				if diff := cmp.Diff(tt.want, messages); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", how, diff)
				}
				if budget.Used() != 0 {
					t.Errorf("%s: %d bytes are still held", how, budget.Used())
				}
			}
			d := NewDecoder(&Rules{MaxMessage: 100_000}, tt.form, tt.deflate)
			for p := bytes.Clone(tt.stream); tt.code == 0; {
				var ok bool
				if _, p, ok, _ = d.Next(p); !ok {
					break
				}
			}
			if d.Idle() == tt.held {
				t.Errorf("idle is %t", d.Idle())
			}
		})
	}
}

// squeeze compresses in the usual way.
func squeeze(t testing.TB, b []byte) []byte {
	t.Helper()
	out := deflateBlocks(b)
	if out == nil {
		t.Fatal("it does not compress")
	}
	return out
}

// TestDecoderMemory shows that memory follows what came, not what was announced, and is bounded for all together.
func TestDecoderMemory(t *testing.T) {
	budget := NewBudget(4 << 10)
	rules := &Rules{MaxMessage: 1 << 20, Budget: budget}
	stream := frame(0x82, strings.Repeat("x", 1<<20))
	a, b := NewDecoder(rules, CBOR, false), NewDecoder(rules, CBOR, false)
	if _, _, _, err := a.Next(bytes.Clone(stream[:600])); err != nil {
		t.Fatal(err)
	}
	if used := budget.Used(); used < 500 || used > 2048 {
		t.Errorf("%d bytes are held for 600", used)
	}
	_, _, _, err := b.Next(bytes.Clone(stream[:4000]))
	if closing, ok := errors.AsType[*CloseError](err); !ok || closing.Code != CloseTryLater {
		t.Errorf("over the budget: %v", err)
	}
	b.Close()
	a.Close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are held in the end", budget.Used())
	}
}

func TestDecoderAllocates(t *testing.T) {
	d := NewDecoder(&Rules{MaxMessage: 1 << 20}, JSON, false)
	stream := join(frame(0x81, `{"type":"ping"}`), frame(0x89, "x"))
	buf := make([]byte, len(stream))
	if n := testing.AllocsPerRun(100, func() {
		p := buf[:copy(buf, stream)]
		for ok := true; ok; {
			_, p, ok, _ = d.Next(p)
		}
	}); n != 0 {
		t.Errorf("%v allocations for whole frames", n)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(frame(0x81, "Hello"), uint8(1), false, false)
	f.Add(join(frame(0x01, "Hel"), frame(0x89, "!"), frame(0x80, "lo")), uint8(3), false, true)
	f.Add(frame(0xc2, "\xf2\x48\xcd\xc9\xc9\x07\x00"), uint8(2), true, true)
	f.Add(frame(0x88, "\x03\xe8bye"), uint8(7), false, false)
	f.Fuzz(func(t *testing.T, stream []byte, size uint8, binary, deflate bool) {
		form := JSON
		if binary {
			form = CBOR
		}
		budget := NewBudget(1 << 20)
		rules := &Rules{MaxMessage: 1000, Budget: budget}
		a, b := NewDecoder(rules, form, deflate), NewDecoder(rules, form, deflate)
		whole, err1 := feed(&a, stream, all)
		pieces, err2 := feed(&b, stream, func() int { return int(size)%20 + 1 })
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatalf("the pieces matter: %s", diff)
		}
		if (err1 == nil) != (err2 == nil) || err1 != nil && *asClose(t, err1) != *asClose(t, err2) {
			t.Fatalf("the pieces matter: %v, %v", err1, err2)
		}
		for _, m := range whole {
			if len(m.Payload) > 1000 {
				t.Fatalf("a message of %d bytes", len(m.Payload))
			}
		}
		if budget.Used() != 0 {
			t.Fatalf("%d bytes are held", budget.Used())
		}
	})
}

func asClose(t *testing.T, err error) *CloseError {
	t.Helper()
	closing, ok := errors.AsType[*CloseError](err)
	if !ok {
		t.Fatalf("%v is not a CloseError", err)
	}
	return closing
}

func TestCloseFrame(t *testing.T) {
	for _, tt := range []struct {
		code   ws.StatusCode
		reason string
		want   string
	}{
		{1000, "done", "\x88\x06\x03\xe8done"},
		{0, "x", "\x88\x00"},
		{1005, "x", "\x88\x00"},
		{1013, "", "\x88\x02\x03\xf5"},
	} {
		if out := string(AppendCloseFrame(nil, tt.code, tt.reason)); out != tt.want {
			t.Errorf("%d %s: %x", tt.code, tt.reason, out)
		}
	}
	long := AppendCloseFrame(nil, 1000, strings.Repeat("€", 100))
	if code, reason, err := parseClose(long[2:]); err != nil || code != 1000 || reason != strings.Repeat("€", 41) {
		t.Errorf("%d %q %v", code, reason, err)
	}
}

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65_535, 65_536} {
		out := AppendMessageFrame(nil, CBOR, make([]byte, n))
		f, err := ws.ReadFrame(bytes.NewReader(out)) //nolint:staticcheck // a test reads what it wrote
		if err != nil || f.Header.OpCode != ws.OpBinary || len(f.Payload) != n || !f.Header.Fin || f.Header.Masked {
			t.Errorf("%d: %+v %v", n, f.Header, err)
		}
	}
	if out := AppendPingFrame(nil, make([]byte, 200)); len(out) != 127 {
		t.Errorf("a ping of %d bytes", len(out))
	}
	if out := string(AppendPongFrame(nil, []byte("x"))); out != "\x8a\x01x" {
		t.Errorf("%x", out)
	}
}
