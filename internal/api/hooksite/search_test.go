package hooksite

import (
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

var searchNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func searched() *event.Capture {
	return &event.Capture{
		Bin: someID, Seq: 3, ID: "aaaaaaaa-2222-4333-8444-555555555555", At: searchNow.Add(-time.Hour), Note: "look here",
		Request: event.Request{
			Head: []byte("POST /" + someID + "/sub?action=create&tag=a HTTP/1.1\r\nHost: hooks.example:8080\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
				"User-Agent: Paw/3.3.5 (Macintosh; OS X/11.6.2)\r\nX-Event: push\r\n"),
			Body: []byte("name=Foobar&mail=de673d0a-6d7b-4c88"), Remote: "192.0.2.7", URL: "http://hooks.example:8080/" + someID + "/sub?action=create&tag=a",
			Path: "/sub?action=create&tag=a",
		},
	}
}

func TestSearch(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  ": true, "foobar": true, "absent": false, "content:FOOBAR": true, `content:"de673d0a-6d7b-4c88"`: true, "content:foo*": true, "content:f?obar": true,
		"content:f??bar*mail": true, "content:fx*": false, "method:POST": true, "method:post": true, "method:PO": false, "method:P*": true, "method:GET": false,
		`headers.user-agent:"Paw/3.3.5 (Macintosh; OS X/11.6.2)"`: true, "headers.x-event:push": true, "headers.x-event:pull": false, "headers.x-other:push": false,
		"query.action:create": true, "query.action:delete": false, "_exists_:query.action": true, "_exists_:query.other": false, "_exists_:headers.x-event": true,
		"_exists_:note": true, "_exists_:custom_action_errors": false, "note:look": true, "request.name:foobar": true, "request.other:foobar": false,
		"type:web": true, "type:email": false, "type:web AND method:POST": true, "type:web AND method:PUT": false, "method:PUT OR method:POST": true,
		"(method:POST) AND (content:example OR content:foobar) AND NOT (content:absent)": true,
		"(method:PUT) AND (content:example OR content:foobar)":                           false,
		"method:(PUT OR POST)": true, "method:(PUT OR GET)": false, "NOT method:PUT": true, "-method:PUT": true, "!method:POST": false, "+foobar -absent": true, "foobar absent": false,
		`created_at:["2026-01-01 00:00:00" TO "2026-12-31 00:00:00"]`: true, `created_at:["2026-01-01 00:00:00" TO *]`: true, "created_at:[* TO now-14d]": false,
		"created_at:[now-14d TO *]": true, "created_at:[now-2h TO now-30m]": true, "created_at:>now-2h": true, "created_at:<=now-2h": false,
		"created_at:2026-11-22": true, "created_at:2026-11-21": false, "created_at:[2026-11-22 TO 2026-11-22]": true, "created_at:{2026-11-22 TO *}": false,
		"size:[1 TO 100]": true, "size:>1000": false, "size:35": true, "size:{1 TO 35}": false, "ip:192.0.2.7": true, "ip:192.0.2.*": true, "ip:192": false,
		"hostname:hooks.example": true, "url:sub": true, "user_agent:paw": true, "uuid:AAAAAAAA-2222-4333-8444-555555555555": true, "token_id:" + someID: true,
		"_exists_:files.f": false, "content:*": true, "note:*": true, "files.f:*": false, "http://hooks": false, `mail\=de*`: true,
		"method:PUT OR method:POST AND content:absent": false, "method:POST OR method:PUT AND content:absent": true, "method:PUT || method:POST": true, "method:POST && foobar": true,
		"country:CZ": false, "ORANGE": false, "NOTHING OR foobar": true,
	} {
		n, err := parseSearch(text, searchNow)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := n == nil || n.match(searched()); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestSearchRefusals(t *testing.T) {
	for _, text := range []string{
		"(", ")", "(a", "a)", "AND", "a AND", "a OR", "NOT", `"a`, "method:", "created_at:[now TO", "created_at:[now]", "created_at:>nonsense", "size:[a TO b]",
		"ip:[1 TO 2]", "created_at:nonsense", strings.Repeat("(", 50) + "a" + strings.Repeat(")", 50), strings.Repeat("a ", 200), strings.Repeat("-", 100) + "a", strings.Repeat("a", maxSearch+1),
	} {
		if n, err := parseSearch(text, searchNow); err == nil {
			t.Errorf("%.60s is read as %v", text, n)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, text := range []string{"a AND (b OR NOT c)", `created_at:["2026-01-01" TO *]`, "headers.x:a*?", "-+!a", "size:>=1", "0\xbe*0"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if n, err := parseSearch(text, searchNow); err == nil && n != nil {
			n.match(searched())
		}
	})
}
