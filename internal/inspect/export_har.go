package inspect

import (
	"bufio"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/event"
)

// harExport writes an HTTP Archive, version 1.2.
// Source: http://www.softwareishard.com/blog/har-12-spec/.
type harExport struct{ list }

func newHARExport(out *bufio.Writer) *harExport {
	return &harExport{list{out: out, head: `{"log":{"version":"1.2","creator":{"name":"Posthorn","version":"1"},"entries":[`, foot: "]}}\n"}}
}

type harEntry struct {
	Started  time.Time   `json:"startedDateTime"`
	Time     int         `json:"time"` // ms
	Request  harRequest  `json:"request"`
	Response harResponse `json:"response"`
	Cache    struct{}    `json:"cache"`
	Timings  harTimings  `json:"timings"`
	Comment  string      `json:"comment,omitempty"`
	ID       string      `json:"_id"`
	Remote   string      `json:"_remoteAddress"`
}

type harTimings struct {
	Send    int `json:"send"`
	Wait    int `json:"wait"`
	Receive int `json:"receive"`
}

type harRequest struct {
	Method      string   `json:"method"`
	URL         string   `json:"url"`
	Version     string   `json:"httpVersion"`
	Cookies     []pair   `json:"cookies"`
	Headers     []pair   `json:"headers"`
	Query       []pair   `json:"queryString"`
	Post        *harPost `json:"postData,omitempty"`
	HeadersSize int      `json:"headersSize"`
	BodySize    int      `json:"bodySize"`
}

// harPost has, for bodies that are no text, the member that contents of answers have: HAR has none for requests.
type harPost struct {
	MimeType string `json:"mimeType"`
	Text     string `json:"text"`
	Encoding string `json:"encoding,omitempty"`
}

type harResponse struct {
	Status      int        `json:"status"`
	StatusText  string     `json:"statusText"`
	Version     string     `json:"httpVersion"`
	Cookies     []pair     `json:"cookies"`
	Headers     []pair     `json:"headers"`
	Content     harContent `json:"content"`
	Redirect    string     `json:"redirectURL"`
	HeadersSize int        `json:"headersSize"`
	BodySize    int        `json:"bodySize"`
}

type harContent struct {
	Size     int    `json:"size"`
	MimeType string `json:"mimeType"`
	Text     string `json:"text,omitempty"`
	Encoding string `json:"encoding,omitempty"`
}

func (e *harExport) add(c *event.Capture) error {
	method, _, proto := c.Line()
	entry := harEntry{
		Started: c.At.UTC(), Comment: c.Note, ID: c.ID, Remote: c.Remote,
		Request: harRequest{
			Method: method, URL: c.URL, Version: proto, Cookies: requestCookies(c.Headers()), Headers: pairs(c.Headers()),
			Query: pairs(Parameters(&c.Request)), HeadersSize: len(c.Head) + len("\r\n"), BodySize: len(c.Body),
		},
		Response: harAnswer(&c.Answer, proto),
	}
	if len(c.Body) > 0 {
		post := &harPost{MimeType: c.Header("Content-Type")}
		post.Text, post.Encoding = harText(c.Body)
		entry.Request.Post = post
	}
	return e.put(entry)
}

// harAnswer is what the caller got; one without an answer has status 0, as browsers write it.
func harAnswer(a *event.Answer, proto string) harResponse {
	r := harResponse{
		Status: a.Status, StatusText: http.StatusText(a.Status), Version: proto, Cookies: []pair{}, Headers: pairs(a.Headers),
		HeadersSize: -1, BodySize: len(a.Body), Content: harContent{Size: len(a.Body), MimeType: "x-unknown"},
	}
	if a.Status == 0 {
		r.BodySize = -1
	}
	for _, h := range a.Headers {
		switch strings.ToLower(h.Name) {
		case "content-type":
			r.Content.MimeType = h.Value
		case "location":
			r.Redirect = h.Value
		case "set-cookie":
			if cookie, err := http.ParseSetCookie(h.Value); err == nil {
				r.Cookies = append(r.Cookies, pair{cookie.Name, cookie.Value})
			}
		}
	}
	r.Content.Text, r.Content.Encoding = harText(a.Body)
	return r
}

func harText(body []byte) (text, encoding string) {
	if utf8.Valid(body) {
		return string(body), ""
	}
	return base64.StdEncoding.EncodeToString(body), "base64"
}

func requestCookies(headers []event.Header) []pair {
	list := []pair{}
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "Cookie") {
			continue
		}
		cookies, err := http.ParseCookie(h.Value)
		if err != nil {
			continue // The header itself is there, as it came.
		}
		for _, c := range cookies {
			list = append(list, pair{c.Name, c.Value})
		}
	}
	return list
}
