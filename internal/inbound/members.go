package inbound

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// members are the members of a JSON object in the order in which their names first came.
type members struct {
	names  []string
	values map[string][][]byte // JSON
}

func (m *members) len() int { return len(m.names) }

func (m *members) add(name string, value []byte) {
	if m.values == nil {
		m.values = map[string][][]byte{}
	}
	name = strings.ToValidUTF8(name, "\uFFFD") // or two names could become one only when they are written
	if _, ok := m.values[name]; !ok {
		m.names = append(m.names, name)
	}
	m.values[name] = append(m.values[name], value)
}

// json returns the object; a name that came more than once has a list.
func (m *members) json() []byte {
	dst := []byte{'{'}
	for i, name := range m.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, quote(name)...)
		dst = append(dst, ':')
		values := m.values[name]
		if len(values) == 1 {
			dst = append(dst, values[0]...)
			continue
		}
		dst = append(dst, '[')
		dst = append(dst, bytes.Join(values, []byte(","))...)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// quote returns a JSON string. What is not UTF-8 becomes U+FFFD.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD")) // fails for invalid UTF-8 only
	return b
}

// only returns the text of the one member that there is, when it has this name and came once.
func (m *members) only(name string) ([]byte, bool) {
	if len(m.names) != 1 || m.names[0] != name || len(m.values[name]) != 1 {
		return nil, false
	}
	text, err := jsontext.AppendUnquote(nil, m.values[name][0])
	return text, err == nil
}
