package inspect

import (
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	c := event.Capture{
		Note: "Look here", Request: event.Request{
			Head: []byte("POST /b/x/sub/Way?q=1 HTTP/1.1\r\nHost: posthorn.example\r\nX-Event: Push\r\nx-event: tag\r\n"),
			Body: []byte("{\"say\": \"Hello World\", \"ümläut\": \"ÄÖ\"}\x00\xff tail"), Remote: "10.1.2.3",
			URL: "https://posthorn.example/b/x/sub/Way?q=1", Path: "/sub/Way?q=1",
		},
	}
	for query, matches := range map[string]bool{
		"":                             true,
		"  \t ":                        true,
		"hello":                        true,
		"hello world":                  true,
		"WORLD hello":                  true,
		"hello moon":                   false,
		`"hello world"`:                true,
		`"world hello"`:                false,
		"-moon":                        true,
		"-hello":                       false,
		`-"world hello" hello`:         true,
		"method:POST":                  true,
		"method:post":                  true,
		"method:POS":                   false,
		"-method:GET":                  true,
		`content:"hello world"`:        true,
		"content:posthorn":             false,
		"content:\xc3\xa4\xc3\xb6":     true,
		"ümläut":                       true,
		"headers.x-event:push":         true,
		"headers.X-Event:tag":          true,
		"headers.x-event:nope":         false,
		"headers.x-event:":             true,
		"headers.x-other:":             false,
		"-headers.x-other:":            true,
		"headers.:x":                   false,
		"path:/sub":                    true,
		"path:/SUB/way?Q=1":            true,
		"path:/b/x":                    false,
		"ip:10.":                       true,
		"ip:0.1":                       false,
		"note:":                        true,
		"note:look":                    true,
		`note:"look here"`:             true,
		"note:there":                   false,
		"look":                         true,
		"10.1.2.3":                     true,
		"https://posthorn.example/b/x": true,
		`"\"say\": \"Hello"`:           true,
		`"say"`:                        true,
		`tail`:                         true,
		"-":                            true, // alone it is a word
		"unknown:x":                    false,
		`he"llo wor"ld`:                true,
	} {
		q, err := ParseQuery(query)
		if err != nil {
			t.Errorf("%q: %v", query, err)
			continue
		}
		if got := q.Match(&c); got != matches {
			t.Errorf("%q: %v, want %v", query, got, matches)
		}
	}
	for _, query := range []string{`"`, `content:"a`, strings.Repeat("a ", 51), strings.Repeat("a", 2049), "\xff"} {
		if _, err := ParseQuery(query); event.KindOf(err) != event.KindInvalid {
			t.Errorf("%.20q: %v", query, err)
		}
	}
	plain := event.Capture{}
	if q, _ := ParseQuery("note:"); q.Match(&plain) {
		t.Error("note: matches a request without a note")
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", `a -b "c d" method:POST headers.x:y`, `content:"\"`, "-", ":", "--a", "headers.a:\"", `\"`} {
		f.Add(s, "body")
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		q, err := ParseQuery(query)
		if err != nil {
			if event.KindOf(err) != event.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		c := event.Capture{Request: event.Request{Head: []byte("GET " + body), Body: []byte(body)}}
		q.Match(&c)
		word, err := ParseQuery("content:" + `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(query) + `"`)
		if err != nil {
			return // too long
		}
		if c.Body = []byte(body + strings.ToLower(query) + body); !word.Match(&c) {
			t.Errorf("%q is not found in a body that holds it", query)
		}
	})
}

// FuzzForm shows whatever comes as a form.
func FuzzForm(f *testing.F) {
	f.Add("Content-Type: multipart/form-data; boundary=q", []byte("--q\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nx\r\n--q--\r\n"))
	f.Add("Content-Type: application/x-www-form-urlencoded", []byte("a=b&c=%zz&&=&d"))
	f.Add("Content-Type: multipart/x; boundary=\"\"\r\nContent-Encoding: gzip", []byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		r := event.Request{Head: []byte("POST /?" + header + " HTTP/1.1\r\n" + header + "\r\n"), Body: body}
		fields, files := Form(&r)
		if len(fields)+len(files) > maxParts {
			t.Errorf("%d fields and %d files", len(fields), len(files))
		}
		if len(Parameters(&r)) > maxParts {
			t.Error("too many parameters")
		}
		Raw(&r)
		replayOf(&r, "https://example.com/", true)
	})
}
