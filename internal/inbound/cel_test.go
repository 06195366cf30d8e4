package inbound

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestExpressionTime ends expressions that are slow and, by CEL's own count, cheap.
func TestExpressionTime(t *testing.T) {
	t.Parallel()
	body := append([]byte(`{"l":[1`), bytes.Repeat([]byte(",1"), 120_000)...)
	body = append(body, "]}"...)
	for _, source := range []string{`string(body.l.filter(x, size(text) == x).size())`, `body.l.exists(x, text == "") ? "a" : "b"`} {
		x, err := compile("type", source, false)
		if err != nil {
			t.Fatal(err)
		}
		c, err := readContent("application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = x.text(&input{header: http.Header{}, content: c})
		if kind := event.KindOf(err); err == nil || kind != event.KindUnavailable && kind != event.KindInvalid {
			t.Errorf("%s: %v", source, err)
		}
		if took := time.Since(began); took > 5*maxTime {
			t.Errorf("%s took %s", source, took)
		}
	}
}

// TestMaskTargetWithSpaces hides the parameters of a target that has spaces, as HTTP/2 lets it.
func TestMaskTargetWithSpaces(t *testing.T) {
	t.Parallel()
	never := func(string) bool { return false }
	hide := func(name string) bool { return name == "x" }
	for head, want := range map[string]string{
		"GET /in/a/b c?x=hush HTTP/2.0\r\nA: b\r\n": "GET /in/a/b c?x=*** HTTP/2.0\r\nA: b\r\n",
		"GET /in/a/b?x=hush HTTP/1.1\r\n":           "GET /in/a/b?x=*** HTTP/1.1\r\n",
	} {
		if got := string(maskHead([]byte(head), never, hide)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := string(maskHead([]byte("GET"), never, hide)); strings.TrimSpace(got) != "GET" {
		t.Errorf("%q", got)
	}
}
