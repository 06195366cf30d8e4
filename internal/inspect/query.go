package inspect

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of a query.
const (
	maxQuery = 2 << 10 // bytes
	maxTerms = 50
)

// Query is what a search asks for: all of its terms must be true.
type Query struct{ terms []term }

// term is one condition.
type term struct {
	not   bool
	field string // "", or one of fields, or "headers."
	name  string // of the header, in lower case
	value string // in lower case
}

// ParseQuery reads a query: words separated by spaces, each of which must occur somewhere in the request, in any case:
// its line, headers, body, address, caller or note. "a b" in quotes is one word (\" and \\ stand for themselves in it).
//
//	method:POST          the method is
//	content:"a b"        the body holds
//	headers.x-event:push the header holds; without a value: is there
//	path:/sub            the path and query hold
//	ip:10.               the caller's address begins with
//	note:                the note holds; without a value: there is one
//
// A minus before any of them asks for what does not match. Any other word with a colon is a word. Error: KindInvalid
// naming "query".
func ParseQuery(text string) (Query, error) {
	if len(text) > maxQuery {
		return Query{}, event.Invalid("query", fmt.Sprintf("must be at most %d bytes", maxQuery))
	}
	if !utf8.ValidString(text) {
		return Query{}, event.Invalid("query", "must be UTF-8")
	}
	var q Query
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			return q, nil
		}
		if len(q.terms) == maxTerms {
			return Query{}, event.Invalid("query", fmt.Sprintf("must have at most %d terms", maxTerms))
		}
		t, rest, err := parseTerm(text)
		if err != nil {
			return Query{}, err
		}
		q.terms = append(q.terms, t)
		text = rest
	}
}

// parseTerm reads the first term of a text that does not begin with a space.
func parseTerm(text string) (t term, rest string, err error) {
	if len(text) > 1 && text[0] == '-' && text[1] != ' ' {
		t.not, text = true, text[1:]
	}
	end := strings.IndexAny(text, " \t\r\n\":")
	if end >= 0 && text[end] == ':' && t.setField(text[:end]) {
		text = text[end+1:]
	}
	value, rest, err := parseWord(text)
	t.value = strings.ToLower(value)
	return t, rest, err
}

// setField takes the part before a colon; false when it is no field.
func (t *term) setField(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "method", "content", "path", "ip", "note":
		t.field = name
		return true
	}
	header, found := strings.CutPrefix(name, "headers.")
	if found && header != "" {
		t.field, t.name = "headers.", header
	}
	return found && header != ""
}

// parseWord reads up to a space that is not within quotes.
func parseWord(text string) (word, rest string, err error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return b.String(), text[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", event.Invalid("query", "a quotation mark is not closed")
	}
	return b.String(), "", nil
}

// IsZero reports whether everything matches.
func (q Query) IsZero() bool { return len(q.terms) == 0 }

// Match reports whether a capture is what is asked for.
func (q Query) Match(c *event.Capture) bool {
	for i := range q.terms {
		if q.terms[i].match(c) == q.terms[i].not {
			return false
		}
	}
	return true
}

func (t *term) match(c *event.Capture) bool {
	switch t.field {
	case "method":
		method, _, _ := c.Line()
		return strings.ToLower(method) == t.value
	case "content":
		return contains(c.Body, t.value)
	case "headers.":
		for _, h := range c.Headers() {
			if strings.ToLower(h.Name) == t.name && contains([]byte(h.Value), t.value) {
				return true
			}
		}
		return false
	case "path":
		return contains([]byte(c.Path), t.value)
	case "ip":
		return strings.HasPrefix(strings.ToLower(c.Remote), t.value)
	case "note":
		return c.Note != "" && contains([]byte(c.Note), t.value)
	}
	return contains(c.Head, t.value) || contains(c.Body, t.value) || contains([]byte(c.URL), t.value) ||
		contains([]byte(c.Remote), t.value) || contains([]byte(c.Note), t.value)
}

// contains reports whether text holds a word that is in lower case, in any case.
func contains(text []byte, word string) bool {
	if word == "" {
		return true
	}
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf {
			return bytes.Contains(bytes.ToLower(text), []byte(word))
		}
	}
	first := []byte{word[0], upper(word[0])}
	for {
		i := bytes.IndexByte(text, first[0])
		if first[1] != first[0] {
			if j := bytes.IndexByte(text[:end(i, len(text))], first[1]); j >= 0 {
				i = j
			}
		}
		if i < 0 || len(text)-i < len(word) {
			return false
		}
		if equalFold(text[i:i+len(word)], word) {
			return true
		}
		text = text[i+1:]
	}
}

// end is where to stop looking for something earlier than i.
func end(i, length int) int {
	if i < 0 {
		return length
	}
	return i
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// equalFold compares with an ASCII word in lower case of the same length.
func equalFold(text []byte, word string) bool {
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
