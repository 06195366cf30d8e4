package codec

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestAppendEventFrom(t *testing.T) {
	t.Parallel()
	e := event.Event{ID: "a", Source: "/sources/x", Type: "x.y", Time: time.Unix(0, 0), Version: 7, Data: []byte(`{"n":1}`)}
	plain := string(AppendEvent(nil, &e))
	if got := string(AppendEventFrom(nil, &e, nil)); got != plain {
		t.Errorf("without an origin it is %s", got)
	}
	request := event.Request{
		Head:   []byte("POST /in/a/x?q=%22 HTTP/1.1\r\nX-B:  2 \r\nx-a: \"1\"\r\nX-B: \xff\r\nno header\r\n"),
		Remote: "192.0.2.1", URL: "https://example.com/in/a/x?q=%22", Path: "?q=%22",
	}
	head := plain[:len(plain)-1] + `,"origin":{"method":"POST","target":"/in/a/x?q=%22","url":"https://example.com/in/a/x?q=%22","remote":"192.0.2.1",` +
		`"headers":[{"name":"X-B","value":"2"},{"name":"x-a","value":"\"1\""},{"name":"X-B","value":"` + "\ufffd" + `"}],`
	for body, want := range map[string]string{
		"":                    `"body":""}}`,
		"{\"a\":\r\n\"ä\"}":   `"body":"{\"a\":\r\n\"ä\"}"}}`,
		"\x00\xff":            `"body_base64":"AP8="}}`,
		"<script>\u2028 \x7f": `"body":"<script>` + "\u2028 \x7f" + `"}}`,
	} {
		request.Body = []byte(body)
		got := AppendEventFrom([]byte("x"), &e, &request)[1:]
		if string(got) != head+want {
			t.Errorf("of %q it is\n%s\nwant\n%s", body, got, head+want)
		}
		var back struct {
			Origin struct {
				Body   string `json:"body"`
				Base64 []byte `json:"body_base64"`
			} `json:"origin"`
		}
		if err := json.Unmarshal(got, &back); err != nil || back.Origin.Body+string(back.Origin.Base64) != body {
			t.Errorf("of %q comes back %+v, %v", body, back, err)
		}
	}
	empty := AppendOrigin(nil, &event.Request{})
	if string(empty) != `{"method":"","target":"","url":"","remote":"","headers":[],"body":""}` {
		t.Errorf("an empty one is %s", empty)
	}
}
