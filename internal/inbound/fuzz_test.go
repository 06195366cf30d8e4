package inbound_test

import (
	"encoding/json"
	"mime"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

func sameJSON(tb testing.TB, a, b string) bool {
	tb.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		tb.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		tb.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

// FuzzBody sends any body of any type to sources that map it in every way: no panic, an answer that is one, and an event that the
// server could store.
func FuzzBody(f *testing.F) {
	maps := []event.SourceMap{
		{},
		{Fields: map[string]string{"a": "a", "b": "a.b.0", "c": "=c", "d": "root.@x"}},
		{Data: `body`},
		{
			Data: `[body, text, query, headers]`, Subject: `text`, Type: `body.?type.orValue("")`, ID: `body.?id.orValue("")`,
			Time: `body.?time.orValue("")`, Key: `path`, Accept: `method == "POST"`,
		},
	}
	on := newStage(f, event.Source{Name: "s0", Provider: "none", Map: maps[0]}, nil, nil)
	for i, m := range maps[1:] {
		on.make(f, event.Source{Name: "s" + string(rune('1'+i)), Provider: "none", Map: m}, nil, nil)
	}
	for _, contentType := range []string{"application/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", ""} {
		for _, body := range []string{
			`{"a":{"b":[1e999]},"type":"x","id":12345678901234567890,"time":"2026-01-01T00:00:00Z"}`, `<root x="1"><a>&amp;</a></root>`, "a=1&a=%ff&payload=%7B%7D", multi, "\xff\xfe", "",
		} {
			f.Add(contentType, "", body)
		}
	}
	f.Add("application/json", "gzip", "\x1f\x8b")
	f.Add("application/json", "zstd", "\x28\xb5\x2f\xfd")
	f.Fuzz(func(t *testing.T, contentType, encoding, body string) {
		for i := range maps {
			on.events, on.ids = nil, map[string]event.Receipt{}
			w := on.send(t, "POST", "/in/acme/s"+string(rune('0'+i))+"/p?q=1", body, "Content-Type", contentType, "Content-Encoding", encoding)
			switch w.Code {
			case 200, 400, 413, 415, 422:
			default:
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if w.Code != 200 || len(on.events) == 0 {
				continue
			}
			e := on.events[0]
			if message := event.CheckType(e.Type); message != "" || !utf8.ValidString(e.Subject+e.Key+e.ID) || len(e.Subject) > 1<<10 || len(e.Key) > 1<<10 || len(e.ID) > 256 {
				t.Errorf("%+v", e)
			}
			if media, _, err := mime.ParseMediaType(e.ContentType); e.ContentType != "" && (err != nil || !strings.Contains(media, "/")) {
				t.Errorf("%q", e.ContentType)
			}
			if e.IsJSON() && e.Data != nil && !json.Valid(e.Data) {
				t.Errorf("%q", e.Data)
			}
		}
	})
}
