package receiver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBatch is how many events one request may hold.
const maxBatch = 10_000

// batchType is the type of a request with events of several types.
const batchType = "batch"

// elements returns the elements of a JSON array.
func elements(array jsontext.Value) ([]jsontext.Value, error) {
	if array.Kind() != '[' {
		return nil, fail(CodeMalformed, "the body has no list of events")
	}
	var list []jsontext.Value
	if err := walk(array, func(_ int, _ []byte, value jsontext.Value) bool {
		list = append(list, value)
		return len(list) <= maxBatch
	}); err != nil {
		return nil, err
	}
	if len(list) > maxBatch {
		return nil, fail(CodeMalformed, "the body has too many events")
	}
	return list, nil
}

// list returns the events of a body that is an array, or an object with an array at a path. An object without a path is one event.
func (r *request) list(path ...string) ([]jsontext.Value, error) {
	if len(path) > 0 {
		value, ok := r.raw(path...)
		if !ok {
			return nil, fail(CodeMissing, "the field "+strings.Join(path, ".")+" is missing")
		}
		return elements(value)
	}
	body := jsontext.Value(bytes.TrimSpace(r.content()))
	if body.Kind() == '{' {
		return []jsontext.Value{body}, nil
	}
	return elements(body)
}

// textIn returns the string, number or bool at a path into a value as text, "" for anything else.
func textIn(value jsontext.Value, path ...string) string {
	value, ok := within(value, path)
	if !ok {
		return ""
	}
	return scalar(value)
}

// describeBatch puts the delivery of several events together: what they have in common, and an id made of all of theirs.
func describeBatch(events []jsontext.Value, typ, id, subject func(jsontext.Value) string) Delivery {
	var d Delivery
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = clean(id(e))
		if t := clean(typ(e)); i == 0 {
			d.Type = t
		} else if t != d.Type {
			d.Type = batchType
		}
		if s := clean(subject(e)); i == 0 {
			d.Subject = s
		} else if s != d.Subject {
			d.Subject = ""
		}
	}
	d.ID = batchID(ids)
	return d
}

// batchID makes one id of several: the only one as it is, and of more their hash. Without one of them there is none.
func batchID(ids []string) string {
	switch {
	case len(ids) == 0 || slices.Contains(ids, ""):
		return ""
	case len(ids) == 1:
		return ids[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return batchType + "-" + hex.EncodeToString(sum[:16])
}

// at returns a function that reads a text at a path.
func at(path ...string) func(jsontext.Value) string {
	return func(v jsontext.Value) string { return textIn(v, path...) }
}

// firstOf returns a function that reads the first text that is there.
func firstOf(reads ...func(jsontext.Value) string) func(jsontext.Value) string {
	return func(v jsontext.Value) string {
		for _, read := range reads {
			if text := read(v); text != "" {
				return text
			}
		}
		return ""
	}
}
