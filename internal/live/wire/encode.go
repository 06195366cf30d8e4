package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/internal/event"
)

// AppendSubscribed appends the answer to a subscription that was made: next is the first version that may come, head the
// newest version on the log.
func AppendSubscribed(dst []byte, form Form, id string, next, head int64) []byte {
	if form == CBOR {
		dst = append(dst, cborMap|4)
		dst = appendCBORMember(dst, "type", "subscribed")
		dst = appendCBORMember(dst, "id", id)
		dst = appendCBORInt(appendCBORText(dst, "next"), next)
		return appendCBORInt(appendCBORText(dst, "head"), head)
	}
	dst = appendJSONStart(dst, "subscribed", "id", id)
	dst = strconv.AppendInt(append(dst, `,"next":`...), next, 10)
	dst = strconv.AppendInt(append(dst, `,"head":`...), head, 10)
	return append(dst, '}')
}

// AppendPosition appends how far a subscription has come: all before version next was sent or not selected.
func AppendPosition(dst []byte, form Form, id string, next int64) []byte {
	if form == CBOR {
		dst = append(dst, cborMap|3)
		dst = appendCBORMember(dst, "type", "position")
		dst = appendCBORMember(dst, "id", id)
		return appendCBORInt(appendCBORText(dst, "next"), next)
	}
	dst = appendJSONStart(dst, "position", "id", id)
	dst = strconv.AppendInt(append(dst, `,"next":`...), next, 10)
	return append(dst, '}')
}

// AppendUnsubscribed appends that a subscription has ended: no message of it comes after this one.
func AppendUnsubscribed(dst []byte, form Form, id string) []byte {
	return appendShort(dst, form, "unsubscribed", "id", id)
}

// AppendPong appends the answer to a ping message.
func AppendPong(dst []byte, form Form, ref string) []byte {
	return appendShort(dst, form, "pong", "ref", ref)
}

// AppendPublished appends the receipts of a publish, in its order.
func AppendPublished(dst []byte, form Form, ref string, receipts []event.Receipt) []byte {
	if form == CBOR {
		members := byte(2)
		if ref != "" {
			members = 3
		}
		dst = append(dst, cborMap|members)
		dst = appendCBORMember(dst, "type", "published")
		if ref != "" {
			dst = appendCBORMember(dst, "ref", ref)
		}
		dst = appendCBORHead(appendCBORText(dst, "events"), cborArray, uint64(len(receipts)))
		for i := range receipts {
			dst = append(dst, cborMap|3)
			dst = appendCBORMember(dst, "id", receipts[i].ID)
			dst = appendCBORInt(appendCBORText(dst, "version"), receipts[i].Version)
			dst = appendCBORBool(appendCBORText(dst, "duplicate"), receipts[i].Duplicate)
		}
		return dst
	}
	dst = append(appendJSONStart(dst, "published", "ref", ref), `,"events":[`...)
	for i := range receipts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(append(dst, `{"id":`...), receipts[i].ID)
		dst = strconv.AppendInt(append(dst, `,"version":`...), receipts[i].Version, 10)
		dst = strconv.AppendBool(append(dst, `,"duplicate":`...), receipts[i].Duplicate)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// AppendError appends what went wrong with the message that had a ref, or with the subscription that has an id; each may
// be empty. problem is the problem document of the HTTP API, in JSON; what is not JSON is left out.
func AppendError(dst []byte, form Form, ref, id string, problem []byte) []byte {
	if form == CBOR {
		members := byte(2)
		for _, s := range []string{ref, id} {
			if s != "" {
				members++
			}
		}
		dst = append(dst, cborMap|members)
		dst = appendCBORMember(dst, "type", "error")
		if ref != "" {
			dst = appendCBORMember(dst, "ref", ref)
		}
		if id != "" {
			dst = appendCBORMember(dst, "id", id)
		}
		return appendCBORFromJSON(appendCBORText(dst, "problem"), problem)
	}
	dst = appendJSONStart(dst, "error", "ref", ref)
	if id != "" {
		dst = appendQuoted(append(dst, `,"id":`...), id)
	}
	value := jsontext.Value(problem)
	if !value.IsValid() {
		value = jsontext.Value("null")
	}
	_ = value.Compact() // one line; it is valid
	return append(append(append(dst, `,"problem":`...), value...), '}')
}

// appendShort appends a message with one member besides its type.
func appendShort(dst []byte, form Form, kind, name, value string) []byte {
	if form == CBOR {
		if value == "" {
			return appendCBORMember(append(dst, cborMap|1), "type", kind)
		}
		dst = appendCBORMember(append(dst, cborMap|2), "type", kind)
		return appendCBORMember(dst, name, value)
	}
	return append(appendJSONStart(dst, kind, name, value), '}')
}

// appendJSONStart appends the beginning of a message: its type, and a member that is left out when it is empty.
func appendJSONStart(dst []byte, kind, name, value string) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, '"')
	if value != "" {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = appendQuoted(append(dst, `":`...), value)
	}
	return dst
}

// appendQuoted appends a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // what came in was valid UTF-8, and what is not is replaced
	return dst
}
