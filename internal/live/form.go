package live

import (
	"strconv"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// form encodes what a subscription is sent. Its dynamic type must be comparable: equal forms give equal bytes, which
// are then made once for all their members. Methods append to dst and may be called by many goroutines at once.
type form interface {
	// open and shut wrap what goes out in one write; start is where open began in dst. Nothing is wrapped when what
	// was appended between them is empty.
	open(dst []byte) []byte
	shut(dst []byte, start int) []byte
	// event appends one event. body has what is encoded once for all who get it; nil when it is for this one only.
	event(dst []byte, ev *event.Event, body *wire.EventBody) []byte
	// place appends that everything before next was sent or not selected; nothing for forms that do not tell.
	place(dst []byte, next int64) []byte
	// tells reports whether the place is told whenever a member has caught up, and not only when it moved in silence.
	tells() bool
}

// sseForm is server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type sseForm struct {
	// named adds the event's type as the event field.
	named bool
	// chunked frames each write as one chunk of HTTP/1.1 (RFC 9112, 7.1).
	chunked bool
}

// chunkHead is the room for a chunk's size: eight digits and the line break. Leading zeros are allowed.
const chunkHead = "00000000\r\n"

func (f sseForm) open(dst []byte) []byte {
	if f.chunked {
		return append(dst, chunkHead...)
	}
	return dst
}

func (f sseForm) shut(dst []byte, start int) []byte {
	if !f.chunked {
		return dst
	}
	const digits = "0123456789abcdef"
	n := len(dst) - start - len(chunkHead)
	for i := start + len(chunkHead) - 3; n > 0; i-- {
		dst[i] = digits[n&15]
		n >>= 4
	}
	return append(dst, "\r\n"...)
}

func (f sseForm) event(dst []byte, ev *event.Event, body *wire.EventBody) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendInt(dst, ev.Version, 10)
	if f.named {
		dst = append(dst, "\nevent: "...)
		dst = append(dst, ev.Type...)
	}
	dst = append(dst, "\ndata: "...)
	if body != nil {
		dst = append(dst, body.JSON()...)
	} else {
		dst = codec.AppendEvent(dst, ev)
	}
	return append(dst, "\n\n"...)
}

func (f sseForm) tells() bool { return false }

func (f sseForm) place(dst []byte, next int64) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendInt(dst, next-1, 10)
	return append(dst, "\n\n"...)
}
