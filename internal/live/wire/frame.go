package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Form is how messages are written: the subprotocol that was agreed on.
type Form uint8

// Forms.
const (
	JSON Form = iota // posthorn.v1.json: text frames
	CBOR             // posthorn.v1.cbor: binary frames
)

// Opcode is the kind of frame that messages of a form are sent in.
func (f Form) Opcode() ws.OpCode {
	if f == CBOR {
		return ws.OpBinary
	}
	return ws.OpText
}

// Close codes that the server sends (RFC 6455, section 7.4.1, and the registry of IANA); docs/live.md says when.
const (
	CloseNormal      = ws.StatusNormalClosure           // 1000
	CloseGoingAway   = ws.StatusGoingAway               // 1001
	CloseProtocol    = ws.StatusProtocolError           // 1002
	CloseUnsupported = ws.StatusUnsupportedData         // 1003
	CloseInvalid     = ws.StatusInvalidFramePayloadData // 1007
	ClosePolicy      = ws.StatusPolicyViolation         // 1008
	CloseTooBig      = ws.StatusMessageTooBig           // 1009
	CloseInternal    = ws.StatusInternalServerError     // 1011
	CloseTryLater    = ws.StatusCode(1013)
)

// closeNoStatus stands for a close frame without a code (RFC 6455, section 7.1.5). It is never sent.
const closeNoStatus = ws.StatusNoStatusRcvd

// CloseError is why a connection must be closed: a code and a reason that are safe to send.
type CloseError struct {
	Code   ws.StatusCode
	Reason string
}

// Error returns the reason.
func (e *CloseError) Error() string { return e.Reason }

func closing(code ws.StatusCode, reason string) error { return &CloseError{Code: code, Reason: reason} }

// bits of a frame's first byte and second byte (RFC 6455, section 5.2).
const (
	bitFin  = 0x80
	bitRsv1 = 0x40
	bitMask = 0x80
)

// appendHeader appends the header of a frame that is a whole message, not masked.
func appendHeader(dst []byte, op ws.OpCode, compressed bool, length int) []byte {
	first := byte(op) | bitFin
	if compressed {
		first |= bitRsv1
	}
	switch {
	case length <= ws.MaxControlFramePayloadSize:
		return append(dst, first, byte(length))
	case length <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(length))
	}
}

// AppendFrame appends a frame that is a whole message or a control frame. The payload of a control frame is cut to 125 bytes.
func AppendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	if op.IsControl() {
		payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	}
	return append(appendHeader(dst, op, false, len(payload)), payload...)
}

// AppendMessageFrame appends the frame of a message in a form.
func AppendMessageFrame(dst []byte, form Form, message []byte) []byte {
	return AppendFrame(dst, form.Opcode(), message)
}

// AppendPingFrame appends a ping with a payload of up to 125 bytes.
func AppendPingFrame(dst, payload []byte) []byte { return AppendFrame(dst, ws.OpPing, payload) }

// AppendPongFrame appends the answer to a ping frame, with its payload.
func AppendPongFrame(dst, payload []byte) []byte { return AppendFrame(dst, ws.OpPong, payload) }

// AppendCloseFrame appends a close frame. A code of 0, or one that must not be sent (1005, 1006, 1015), makes one without a
// payload. The reason is cut to 123 bytes at the end of a character.
func AppendCloseFrame(dst []byte, code ws.StatusCode, reason string) []byte {
	if code == 0 || code.IsProtocolReserved() {
		return appendHeader(dst, ws.OpClose, false, 0)
	}
	if most := ws.MaxControlFramePayloadSize - 2; len(reason) > most {
		for !utf8.RuneStart(reason[most]) {
			most--
		}
		reason = reason[:most]
	}
	dst = appendHeader(dst, ws.OpClose, false, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// parseHeader reads a frame's header from the beginning of b; n is its length, 0 when b does not hold all of it. What can
// be told from the first two bytes is checked with these: RFC 6455, sections 5.1 to 5.5, and RFC 7692, section 6.
func parseHeader(b []byte, deflate bool) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin, h.Rsv, h.OpCode = b[0]&bitFin != 0, b[0]>>4&7, ws.OpCode(b[0]&0x0f)
	h.Masked = b[1]&bitMask != 0
	length := int64(b[1] & 0x7f)
	switch {
	case h.OpCode.IsReserved():
		return h, 0, closing(CloseProtocol, "the opcode is unknown")
	case h.Rsv2() || h.Rsv3(), h.Rsv1() && (!deflate || h.OpCode.IsControl() || h.OpCode == ws.OpContinuation):
		return h, 0, closing(CloseProtocol, "a reserved bit is set")
	case !h.Masked:
		return h, 0, closing(CloseProtocol, "a client's frames must be masked")
	case h.OpCode.IsControl() && (!h.Fin || length > ws.MaxControlFramePayloadSize):
		return h, 0, closing(CloseProtocol, "a control frame must have at most 125 bytes and no fragments")
	}
	n = 2
	switch length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		if length, n = int64(binary.BigEndian.Uint16(b[2:])), 4; length < 126 {
			return h, 0, closing(CloseProtocol, "the length must be written in the shortest way")
		}
	case 127:
		if len(b) < 10 {
			return h, 0, nil
		}
		long := binary.BigEndian.Uint64(b[2:])
		if n = 10; long > math.MaxInt64 || long <= math.MaxUint16 {
			return h, 0, closing(CloseProtocol, "the length must be below 2^63 and written in the shortest way")
		}
		length = int64(long)
	}
	if len(b) < n+4 {
		return h, 0, nil
	}
	h.Length = length
	n += copy(h.Mask[:], b[n:n+4])
	return h, n, nil
}

// parseClose reads the payload of a close frame: nothing, or a code that may be sent and a reason in UTF-8.
func parseClose(payload []byte) (ws.StatusCode, string, error) {
	if len(payload) == 0 {
		return closeNoStatus, "", nil
	}
	if len(payload) == 1 {
		return 0, "", closing(CloseProtocol, "a close frame must have a code of two bytes")
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(payload))
	if !mayClose(code) {
		return 0, "", closing(CloseProtocol, "this close code must not be sent")
	}
	if !utf8.Valid(payload[2:]) {
		return 0, "", closing(CloseInvalid, "the reason of a close frame must be UTF-8")
	}
	return code, string(payload[2:]), nil
}

// mayClose reports whether a code may stand in a close frame: those of RFC 6455, section 7.4.1, those that were
// registered since (1012 to 1014), and the ranges of libraries and applications.
func mayClose(code ws.StatusCode) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
