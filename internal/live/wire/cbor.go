package wire

import (
	"strconv"

	"github.com/fxamacker/cbor/v2"
)

// Limits of what is decoded, whatever the size of the message.
const (
	cborDepth = 8       // levels of nesting; a publish of events with extensions has 5
	cborItems = 100_000 // entries of an array: as many as a batch may be allowed to have
	cborPairs = 64      // entries of a map
)

// cborMode reads strictly: no duplicate names, no tags, text must be UTF-8. Lengths may be indefinite, because common encoders write
// maps so.
var cborMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, TagsMd: cbor.TagsForbidden, MaxNestedLevels: cborDepth,
		MaxArrayElements: cborItems, MaxMapPairs: cborPairs, UTF8: cbor.UTF8RejectInvalid,
		IntDec: cbor.IntDecConvertSignedOrFail, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

func notCBOR() error {
	return closing(CloseInvalid, "the message is not one CBOR map with text as names")
}

// decodeCBOR reads a message strictly: duplicate and unknown names are refused.
func decodeCBOR(payload []byte) (ClientMessage, error) {
	var members map[string]cbor.RawMessage
	if len(payload) == 0 || payload[0]&0xe0 != cborMap || cborMode.Unmarshal(payload, &members) != nil {
		return ClientMessage{}, notCBOR()
	}
	b := builder{m: ClientMessage{form: CBOR}}
	for name, value := range members {
		if field, ok := b.known(name); ok && !isCBORNull(value) {
			b.seen |= field
			if err := cborMember(&b, field, name, value); err != nil {
				return ClientMessage{}, err
			}
		}
	}
	return b.finish()
}

// isCBORNull reports whether a value is null or undefined: the same as an absent one.
func isCBORNull(v []byte) bool { return len(v) == 1 && (v[0] == cborNull || v[0] == cborNull+1) }

// cborMember gives the builder one member, whose value is not null.
func cborMember(b *builder, field fields, name string, v cbor.RawMessage) error {
	major := v[0] & 0xe0
	switch field.shape() {
	case shapeText:
		if major == cborText {
			s, err := cborString(v)
			if err == nil {
				b.text(field, name, s)
			}
			return err
		}
	case shapeNumber:
		var n int64
		if (major == cborUint || major == cborNegint) && cborMode.Unmarshal(v, &n) == nil {
			b.number(field, name, n)
			return nil
		}
	case shapeList:
		if major == cborArray {
			return cborList(b, field, name, v)
		}
	case shapeEvent:
		if major == cborMap {
			b.m.Events = v
			return nil
		}
	case shapeEvents:
		if major == cborArray {
			b.m.Events, b.m.Array = v, true
			return nil
		}
	}
	b.wrong(field, name)
	return nil
}

// cborString reads a text, which must be UTF-8.
func cborString(v cbor.RawMessage) (string, error) {
	var s string
	if err := cborMode.Unmarshal(v, &s); err != nil {
		return "", notCBOR()
	}
	return s, nil
}

// cborList reads a list of texts.
func cborList(b *builder, field fields, name string, v cbor.RawMessage) error {
	var items []cbor.RawMessage
	if err := cborMode.Unmarshal(v, &items); err != nil {
		return notCBOR()
	}
	list := make([]string, 0, min(len(items), 16))
	for i, item := range items {
		if item[0]&0xe0 != cborText {
			b.invalid(name+"["+strconv.Itoa(i)+"]", "must be a string")
			return nil
		}
		s, err := cborString(item)
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	b.list(field, name, list)
	return nil
}
