package inbound

import (
	"bytes"
	"net/http"
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
