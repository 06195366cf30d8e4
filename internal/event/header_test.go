package event

import (
	"slices"
	"strings"
	"testing"
)

func TestHeaders(t *testing.T) {
	for name, want := range map[string]bool{
		"X-A": true, "a!#$%&'*+-.^_`|~9": true, "": false, "a b": false, "a:": false, "é": false, "a\r": false,
		strings.Repeat("a", 256): true, strings.Repeat("a", 257): false,
	} {
		if IsHeaderName(name) != want {
			t.Errorf("name %q: %v", name, !want)
		}
	}
	for value, want := range map[string]bool{"": true, "a b\tc": true, "žluť": true, "a\r\nb": false, "a\x00": false, "\x7f": false} {
		if IsHeaderValue(value) != want {
			t.Errorf("value %q: %v", value, !want)
		}
	}
	if !OfConnection("Transfer-Encoding") || !OfConnection("te") || OfConnection("Content-Type") {
		t.Error("what is of the connection")
	}
	named := ConnectionOptions([]Header{{"Connection", "close, X-Hop"}, {"a", "b"}, {"connection", "upgrade"}})
	if len(named) != 3 || !named["x-hop"] || !named["upgrade"] || ConnectionOptions(nil)["x"] {
		t.Errorf("named %v", named)
	}
	r := Request{Head: []byte("POST /a b?c HTTP/1.1\r\nHost: x\r\nA:  1 \r\na: 2\r\nbroken\r\n")}
	if method, target, proto := r.Line(); method != "POST" || target != "/a b?c" || proto != "HTTP/1.1" {
		t.Errorf("line %q %q %q", method, target, proto)
	}
	if got := r.Headers(); !slices.Equal(got, []Header{{"Host", "x"}, {"A", "1"}, {"a", "2"}}) || r.Header("a") != "1" || r.Header("b") != "" {
		t.Errorf("headers %v", got)
	}
}
