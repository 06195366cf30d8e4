package wire

import (
	"strconv"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// Kinds of client messages: what "type" may be.
const (
	Subscribe   = "subscribe"
	Unsubscribe = "unsubscribe"
	Ack         = "ack"
	Publish     = "publish"
	Ping        = "ping"
)

// Limits of what clients choose.
const (
	// MaxName is the length of an id or a ref, in characters.
	MaxName = 64
	// MaxWindow is the largest window.
	MaxWindow = 10_000
)

// ClientMessage is a message of a client. Only the members that its Type knows are set; what was absent or null is zero.
type ClientMessage struct {
	Type string
	// ID names the subscription of subscribe, unsubscribe and ack; never empty there.
	ID string
	// Ref is given back in the answer to publish and ping; it may be empty.
	Ref string

	// Start, Selection and Window are of subscribe. Start is 0 for what comes, Window 0 for no flow control.
	Start     int64
	Selection event.Selection
	Window    int

	// Version is of ack, at least 0.
	Version int64

	// Events is what publish holds, for [ClientMessage.DecodeEvents]: one event, or with Array set those of events. It is a
	// part of the message.
	Events         []byte
	Array          bool
	IdempotencyKey string

	form Form
}

// fields are the members of messages, as bits.
type fields uint16

const (
	hasType fields = 1 << iota
	hasID
	hasRef
	hasStart
	hasTypes
	hasSubjects
	hasFilter
	hasWindow
	hasVersion
	hasEvent
	hasEvents
	hasIdempotencyKey
)

var fieldNames = map[string]fields{
	"type": hasType, "id": hasID, "ref": hasRef, "start": hasStart, "types": hasTypes, "subjects": hasSubjects, "filter": hasFilter,
	"window": hasWindow, "version": hasVersion, "event": hasEvent, "events": hasEvents, "idempotency_key": hasIdempotencyKey,
}

// schema says which members a message may have, and which it must have.
type schema struct{ may, must fields }

var schemas = map[string]schema{
	Subscribe:   {may: hasID | hasStart | hasTypes | hasSubjects | hasFilter | hasWindow, must: hasID},
	Unsubscribe: {may: hasID, must: hasID},
	Ack:         {may: hasID | hasVersion, must: hasID | hasVersion},
	Publish:     {may: hasRef | hasEvent | hasEvents | hasIdempotencyKey},
	Ping:        {may: hasRef},
}

// builder collects a message's members. It keeps the first fault and goes on, so that the answer can name the message's ref
// or id.
type builder struct {
	m     ClientMessage
	seen  fields
	fault error
}

func (b *builder) invalid(field, message string) {
	if b.fault == nil {
		b.fault = event.Invalid(field, message)
	}
}

// text gives a member whose value is a string.
func (b *builder) text(field fields, name, s string) {
	switch field {
	case hasType:
		b.m.Type = s
	case hasID, hasRef:
		if s == "" || utf8.RuneCountInString(s) > MaxName {
			b.invalid(name, "must be 1 to "+strconv.Itoa(MaxName)+" characters")
			return
		}
		if field == hasID {
			b.m.ID = s
		} else {
			b.m.Ref = s
		}
	case hasFilter:
		b.m.Selection.Filter = s
	case hasIdempotencyKey:
		b.m.IdempotencyKey = s
	}
}

// number gives a member whose value is a whole number.
func (b *builder) number(field fields, name string, n int64) {
	switch field {
	case hasStart:
		if n < 1 {
			b.invalid(name, "must be at least 1")
		}
		b.m.Start = n
	case hasVersion:
		if n < 0 {
			b.invalid(name, "must be at least 0")
		}
		b.m.Version = n
	case hasWindow:
		if n < 1 || n > MaxWindow {
			b.invalid(name, "must be 1 to "+strconv.Itoa(MaxWindow))
			return
		}
		b.m.Window = int(n)
	}
}

// list gives a member whose value is a list of strings.
func (b *builder) list(field fields, name string, list []string) {
	limit, to := event.MaxSelectionTypes, &b.m.Selection.Types
	if field == hasSubjects {
		limit, to = event.MaxSelectionSubjects, &b.m.Selection.Subjects
	}
	if len(list) > limit {
		b.invalid(name, "must be at most "+strconv.Itoa(limit))
		return
	}
	*to = list
}

// shape is what kind of value a member has.
type shape uint8

const (
	shapeText shape = iota
	shapeNumber
	shapeList
	shapeEvent
	shapeEvents
)

func (f fields) shape() shape {
	switch f {
	case hasStart, hasVersion, hasWindow:
		return shapeNumber
	case hasTypes, hasSubjects:
		return shapeList
	case hasEvent:
		return shapeEvent
	case hasEvents:
		return shapeEvents
	}
	return shapeText
}

// wrong notes that a member's value is not of its kind.
func (b *builder) wrong(field fields, name string) {
	switch field.shape() {
	case shapeText:
		b.invalid(name, "must be a string")
	case shapeNumber:
		b.invalid(name, "must be a whole number")
	case shapeList:
		b.invalid(name, "must be a list of strings")
	case shapeEvent:
		b.invalid(name, "must be an object")
	case shapeEvents:
		b.invalid(name, "must be a list of events")
	}
}

// known looks a member's name up.
func (b *builder) known(name string) (fields, bool) {
	f, ok := fieldNames[name]
	if !ok {
		b.invalid(shown(name), "is unknown")
	}
	return f, ok
}

// finish holds the message to the schema of its type.
func (b *builder) finish() (ClientMessage, error) {
	s, ok := schemas[b.m.Type]
	switch {
	case b.seen&hasType == 0:
		b.invalid("type", "is required")
	case !ok:
		b.invalid("type", "must be subscribe, unsubscribe, ack, publish or ping")
	default:
		b.check(s)
	}
	return b.m, b.fault
}

func (b *builder) check(s schema) {
	for _, name := range fieldOrder {
		f := fieldNames[name]
		switch {
		case b.seen&f != 0 && f != hasType && s.may&f == 0:
			b.invalid(name, "does not belong into "+b.m.Type)
		case b.seen&f == 0 && s.must&f != 0:
			b.invalid(name, "is required")
		}
	}
	if b.m.Type != Publish {
		return
	}
	switch b.seen & (hasEvent | hasEvents) {
	case 0:
		b.invalid("event", "is required, or events")
	case hasEvent | hasEvents:
		b.invalid("events", "must not be sent together with event")
	}
}

// fieldOrder is the order in which faults are told.
var fieldOrder = [...]string{
	"type", "id", "ref", "start", "types", "subjects", "filter", "window", "version", "event", "events", "idempotency_key",
}

// shown cuts a name that a client sent to what may stand in an error.
func shown(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// DecodeClient reads a message of a client. An error is a [*CloseError] when it is not of the form at all (1007); or an
// [event.Error] of KindInvalid that names the member, and then the message's Type, ID and Ref are set as far as they could be
// read, to be answered. Parts of payload stay in the message.
func DecodeClient(form Form, payload []byte) (ClientMessage, error) {
	if form == CBOR {
		return decodeCBOR(payload)
	}
	return decodeJSON(payload)
}
