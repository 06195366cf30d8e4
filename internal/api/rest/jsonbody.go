package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/posthornhq/posthorn/client"
)

// maxDepth bounds the nesting of the bodies of all writes but publishes, which have their own limit.
const maxDepth = 64

// checkJSON refuses a body that is not exactly one JSON value of RFC 8259 in UTF-8 without repeated names, and says
// where it stops being one.
func checkJSON(body []byte) *problem {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	depth := 0
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return badJSON(body, err)
		}
		switch token.Kind() {
		case '{', '[':
			if depth++; depth > maxDepth {
				return newProblem(http.StatusUnprocessableEntity, "invalid", fmt.Sprintf("the JSON is nested deeper than %d levels", maxDepth))
			}
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return onlySpace(body, dec.InputOffset())
		}
	}
}

func onlySpace(body []byte, from int64) *problem {
	rest := bytes.TrimLeft(body[from:], " \t\r\n")
	if len(rest) == 0 {
		return nil
	}
	return jsonProblem(body, int64(len(body)-len(rest)), "there is more after the value", "")
}

func badJSON(body []byte, err error) *problem {
	offset, path, reason := int64(len(body)), "", "the value ends too early"
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, path = e.ByteOffset, fieldPath(e.JSONPointer)
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			reason = "it is not valid JSON"
		}
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			reason = "a name is given twice"
		case !utf8.Valid(body):
			reason = "it is not valid UTF-8"
		}
	}
	return jsonProblem(body, offset, reason, path)
}

func jsonProblem(body []byte, offset int64, reason, path string) *problem {
	offset = min(max(offset, 0), int64(len(body)))
	before := body[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	p := newProblem(http.StatusBadRequest, "malformed_json",
		fmt.Sprintf("the body cannot be read at line %d, column %d (byte %d): %s", line, column, offset, reason))
	if path != "" {
		p.Errors = []client.FieldError{{Field: path, Message: reason}}
	}
	return p
}

// fieldPath renders a JSON pointer (RFC 6901) as fields are named in problems: types[1], batch.max.
func fieldPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}

// unmarshal decodes JSON for huma: names are case-sensitive, and an error names its field.
func unmarshal(data []byte, v any) error {
	err := jsonv2.Unmarshal(data, v)
	if e, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
		message := "has the wrong kind of value"
		if e.Err != nil {
			message = e.Err.Error()
		}
		path := fieldPath(e.JSONPointer)
		if path == "" {
			path = "body"
		}
		return errors.New(path + fieldSeparator + message)
	}
	return err
}

// mergePatch applies a JSON merge patch (RFC 7386) to a decoded document.
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
			continue
		}
		object[name] = mergePatch(object[name], value)
	}
	return object
}
