package wire

import (
	"sync"

	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// EventBody is an event on its way to many subscriptions: it is written once for each form, and compressed once, when
// the first needs it; each frame is then a short head, with the subscription's id, and a copy. It is safe for concurrent use.
type EventBody struct {
	event *event.Event
	forms [2]struct {
		plain, small      sync.Once
		bytes, compressed []byte
	}
}

// NewEventBody makes the body of an event, which must not change.
func NewEventBody(e *event.Event) *EventBody { return &EventBody{event: e} }

// Event is the event.
func (b *EventBody) Event() *event.Event { return b.event }

// JSON is the event as in the change feed ([codec.AppendEvent]). It is shared.
func (b *EventBody) JSON() []byte {
	part := b.part(JSON)
	return part[: len(part)-1 : len(part)-1]
}

// part is what follows the head of an event message.
func (b *EventBody) part(form Form) []byte {
	f := &b.forms[form]
	f.plain.Do(func() { f.bytes = appendEventPart(make([]byte, 0, b.event.Size()+128), form, b.event) })
	return f.bytes
}

// AppendFrame appends the frame of the event message for a subscription; with deflate it is compressed, where that pays.
func (b *EventBody) AppendFrame(dst []byte, form Form, deflate bool, id string) []byte {
	f := &b.forms[form]
	part := b.part(form)
	if deflate {
		f.small.Do(func() { f.compressed = deflateBlocks(part) })
	}
	var room [96]byte
	head := appendEventHead(room[:0], form, id)
	if deflate && f.compressed != nil {
		dst = appendHeader(dst, form.Opcode(), true, storedHead+len(head)+len(f.compressed))
		return append(appendStored(dst, head), f.compressed...)
	}
	dst = appendHeader(dst, form.Opcode(), false, len(head)+len(part))
	return append(append(dst, head...), part...)
}

// appendEventHead appends an event message up to the event.
func appendEventHead(dst []byte, form Form, id string) []byte {
	if form == CBOR {
		dst = append(dst, cborMap|3)
		dst = appendCBORMember(dst, "type", "event")
		dst = appendCBORMember(dst, "id", id)
		return appendCBORText(dst, "event")
	}
	dst = append(dst, `{"type":"event","id":`...)
	dst = appendQuoted(dst, id)
	return append(dst, `,"event":`...)
}

// appendEventPart appends what an event message has in common for all subscriptions: the event, and the end.
func appendEventPart(dst []byte, form Form, e *event.Event) []byte {
	if form == CBOR {
		return appendCBOREvent(dst, e)
	}
	return append(codec.AppendEvent(dst, e), '}')
}
