package wire

import (
	"sync/atomic"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Budget bounds the memory that unfinished messages of many connections hold together. It is safe for concurrent use.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{max: bytes} }

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used.Load() }

// take asks for n bytes more, or gives some back when n is negative.
func (b *Budget) take(n int) bool {
	if b == nil {
		return true
	}
	if b.used.Add(int64(n)) > b.max && n > 0 {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

// Rules are what the decoders of one server have in common.
type Rules struct {
	// MaxMessage is the largest message in bytes, before and after inflation; a larger one is refused with 1009.
	MaxMessage int
	// Budget bounds what unfinished messages of all connections hold; nil: nothing does. Over it is refused with 1013.
	Budget *Budget
}

// Message is a whole message, or a control frame, from a client.
type Message struct {
	// Opcode is OpText or OpBinary, by the form; or OpPing, OpPong or OpClose.
	Opcode ws.OpCode
	// Payload is the message, or what a ping or pong holds. It is valid until the next call only.
	Payload []byte
	// Code and Reason are those of a close frame; Code is 1005 when it had none.
	Code   ws.StatusCode
	Reason string
}

// Decoder makes messages of the bytes that one client sends. While no frame or message is incomplete it holds no memory
// beyond itself. It is not safe for concurrent use.
type Decoder struct {
	rules   *Rules
	part    *part
	form    Form
	deflate bool
}

// NewDecoder makes a decoder for messages of a form; deflate says whether compressed ones may come.
func NewDecoder(rules *Rules, form Form, deflate bool) Decoder {
	return Decoder{rules: rules, form: form, deflate: deflate}
}

// part is what is kept while a frame or a message is incomplete.
type part struct {
	head  [ws.MaxHeaderSize]byte // of the frame to come, while only a part of it is there
	nhead int

	frame   ws.Header // the frame whose payload is being read
	inside  bool
	offset  int64  // bytes of the payload that were read
	control []byte // of a control frame

	open       bool // a message has begun
	compressed bool
	message    []byte
	checked    int // how much of the message is known to be UTF-8
}

// Next reads from p, which it changes (frames are unmasked in place), and returns what is left. ok says that m is a whole
// message or control frame; call again with the rest. Without ok all of p was taken. An error is a [*CloseError], after
// which the decoder must be closed.
func (d *Decoder) Next(p []byte) (m Message, rest []byte, ok bool, err error) {
	for len(p) > 0 && !ok && err == nil {
		if d.part != nil && d.part.inside {
			n := min(int64(len(p)), d.part.frame.Length-d.part.offset)
			m, ok, err = d.chunk(p[:n])
			p = p[n:]
			continue
		}
		h, used, complete, failed := d.header(p)
		if failed != nil || !complete {
			return Message{}, nil, false, failed
		}
		p = p[used:]
		if int64(len(p)) < h.Length {
			d.begin(h)
			continue
		}
		m, ok, err = d.whole(h, p[:h.Length])
		p = p[h.Length:]
	}
	return m, p, ok, err
}

// Close gives back what an incomplete message holds.
func (d *Decoder) Close() {
	if d.part != nil {
		d.rules.Budget.take(-cap(d.part.message))
		d.part = nil
	}
}

// Idle reports whether no frame and no message is incomplete.
func (d *Decoder) Idle() bool { return d.part == nil }

// header reads the next frame's header, a part of which may have come before. used is how much of p it took.
func (d *Decoder) header(p []byte) (h ws.Header, used int, complete bool, err error) {
	if d.part == nil || d.part.nhead == 0 {
		h, used, err = parseHeader(p, d.deflate)
		if err == nil && used == 0 {
			d.keep().nhead = copy(d.part.head[:], p)
			return h, len(p), false, nil
		}
	} else {
		before := d.part.nhead
		n := copy(d.part.head[before:], p)
		h, used, err = parseHeader(d.part.head[:before+n], d.deflate)
		if err == nil && used == 0 {
			d.part.nhead += n
			return h, n, false, nil
		}
		d.part.nhead = 0
		used -= before
	}
	if err == nil {
		err = d.admit(h)
	}
	return h, used, err == nil, err
}

func (d *Decoder) keep() *part {
	if d.part == nil {
		d.part = &part{}
	}
	return d.part
}

// settle lets go of the part when nothing is incomplete any more.
func (d *Decoder) settle() {
	if d.part != nil && !d.part.open && !d.part.inside && d.part.nhead == 0 {
		d.Close()
	}
}

// admit holds a frame to the message that it belongs to, and that to its limit, before any of it is read.
func (d *Decoder) admit(h ws.Header) error {
	if h.OpCode.IsControl() {
		return nil
	}
	open, held := false, 0
	if d.part != nil {
		open, held = d.part.open, len(d.part.message)
	}
	switch {
	case h.OpCode == ws.OpContinuation && !open:
		return closing(CloseProtocol, "there is no message to be continued")
	case h.OpCode != ws.OpContinuation && open:
		return closing(CloseProtocol, "a new message began before the last one was complete")
	case h.Length > int64(d.rules.MaxMessage-held):
		return tooBig()
	case h.OpCode != ws.OpContinuation && h.OpCode != d.form.Opcode():
		if d.form == CBOR {
			return closing(CloseUnsupported, "messages in CBOR are sent in binary frames")
		}
		return closing(CloseUnsupported, "messages in JSON are sent in text frames")
	}
	return nil
}

func tooBig() error { return closing(CloseTooBig, "the message is too large") }

// begin makes ready for a payload that comes in pieces.
func (d *Decoder) begin(h ws.Header) {
	p := d.keep()
	p.frame, p.inside, p.offset = h, true, 0
	if !h.OpCode.IsControl() {
		p.start(h)
	}
}

// start notes that a message has begun, or goes on.
func (p *part) start(h ws.Header) {
	p.open = true
	if h.OpCode != ws.OpContinuation {
		p.compressed = h.Rsv1()
	}
}

// whole takes a frame that is all there.
func (d *Decoder) whole(h ws.Header, payload []byte) (Message, bool, error) {
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		d.settle()
		return control(h.OpCode, payload)
	}
	if h.Fin && h.OpCode != ws.OpContinuation {
		d.settle()
		return d.message(payload, h.Rsv1(), 0)
	}
	d.keep().start(h)
	if err := d.extend(payload); err != nil {
		return Message{}, false, err
	}
	if !h.Fin {
		return Message{}, false, nil
	}
	return d.finish()
}

// chunk takes a piece of the payload of the frame being read.
func (d *Decoder) chunk(b []byte) (Message, bool, error) {
	p := d.part
	ws.Cipher(b, p.frame.Mask, int(p.offset))
	p.offset += int64(len(b))
	done := p.offset == p.frame.Length
	p.inside = !done
	if p.frame.OpCode.IsControl() {
		p.control = append(p.control, b...)
		if !done {
			return Message{}, false, nil
		}
		payload := p.control
		p.control = nil
		d.settle()
		return control(p.frame.OpCode, payload)
	}
	if err := d.extend(b); err != nil {
		return Message{}, false, err
	}
	if !done || !p.frame.Fin {
		return Message{}, false, nil
	}
	return d.finish()
}

// extend adds to the incomplete message. Its memory grows with what has come, not with what was announced.
func (d *Decoder) extend(b []byte) error {
	p := d.part
	if need := len(p.message) + len(b); need > cap(p.message) {
		const least = 512
		size := min(max(need, 2*cap(p.message), least), max(d.rules.MaxMessage, need))
		if !d.rules.Budget.take(size - cap(p.message)) {
			return closing(CloseTryLater, "too many messages are incomplete on this server")
		}
		grown := make([]byte, len(p.message), size)
		copy(grown, p.message)
		p.message = grown
	}
	p.message = append(p.message, b...)
	if d.form == JSON && !p.compressed {
		return p.checkText()
	}
	return nil
}

// checkText fails as soon as what has come of a text cannot be UTF-8 any more.
func (p *part) checkText() error {
	b := p.message[p.checked:]
	end := len(b)
	for i := max(0, end-utf8.UTFMax+1); i < len(b); i++ {
		if utf8.RuneStart(b[i]) && !utf8.FullRune(b[i:]) {
			end = i
			break
		}
	}
	if !utf8.Valid(b[:end]) {
		return notText()
	}
	p.checked += end
	return nil
}

func notText() error { return closing(CloseInvalid, "a text message must be UTF-8") }

// finish gives the message whose last frame has come.
func (d *Decoder) finish() (Message, bool, error) {
	payload, compressed, checked := d.part.message, d.part.compressed, d.part.checked
	d.Close()
	return d.message(payload, compressed, checked)
}

// message gives a whole message, of which the first checked bytes are known to be UTF-8.
func (d *Decoder) message(payload []byte, compressed bool, checked int) (Message, bool, error) {
	if compressed {
		var err error
		if payload, err = inflate(payload, d.rules.MaxMessage); err != nil {
			return Message{}, false, err
		}
	}
	if d.form == JSON && !utf8.Valid(payload[checked:]) {
		return Message{}, false, notText()
	}
	return Message{Opcode: d.form.Opcode(), Payload: payload}, true, nil
}

// control gives a control frame.
func control(op ws.OpCode, payload []byte) (Message, bool, error) {
	m := Message{Opcode: op, Payload: payload}
	if op != ws.OpClose {
		return m, true, nil
	}
	var err error
	m.Code, m.Reason, err = parseClose(payload)
	return m, err == nil, err
}
