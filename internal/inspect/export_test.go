package inspect

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

var exportTime = time.Date(2026, 11, 22, 4, 5, 6, 789_000_000, time.UTC)

// request makes a capture of a request as it would have come; URL, ID and number are given.
func request(seq int64, line string, headers []string, body string) event.Capture {
	head := line + "\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	c := event.Capture{
		Bin: "3f2b1c1e-0000-4000-8000-000000000001", Seq: seq, ID: "8c1d0e5a-0000-4000-8000-00000000000" + string(rune('0'+seq)), At: exportTime,
		Request: event.Request{Head: []byte(head), Body: []byte(body), Remote: "192.0.2.7"},
	}
	_, target, _ := c.Line()
	c.URL = "http://example.com" + target
	return c
}

// hard are requests that an export could get wrong.
func hard() []event.Capture {
	multi := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"f\"; filename=\"../x.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\x00\r\n--b--\r\n"
	all := []event.Capture{
		request(1, "GET /b/x?a=1&a=2&b=%20+ HTTP/1.1", []string{"Host: example.com", "User-Agent: curl/8", "Accept: */*", "Cookie: k=v; l=w"}, ""),
		request(2, "POST /b/x/[1-3]/{a,b}/../c HTTP/1.1", []string{"Host: other.example", "Content-Type: application/json", "X-Empty:", "X-Twice: 1", "x-twice: 2", "Content-Length: 9"}, `{"q":"'"}`),
		request(3, "PUT /b/x HTTP/1.1", []string{"Host: example.com"}, "\x00\xff$'`\\\r\n%s"),
		request(4, "POST /b/x HTTP/1.1", []string{"Host: example.com", "Content-Type: multipart/form-data; boundary=b"}, multi),
		request(5, "POST /b/x HTTP/1.1", []string{"Host: example.com", "X-Quote: it's $HOME `id`"}, "@/etc/passwd\n$HOME `id` \"\\n' end\n"),
		request(6, "HEAD /b/x HTTP/1.0", []string{"Host: example.com"}, ""),
		request(7, "POST /b/x HTTP/1.1", []string{"Host: example.com", "User-Agent: =cmd|'/c calc'!A1"}, "=1+1"),
		request(8, "POST /b/x HTTP/1.1", []string{"Host: example.com"}, strings.Repeat("long's ", 20_000)),
		request(9, "DELETE /b/x HTTP/1.1", []string{"Host: example.com", "Content-Type: application/x-www-form-urlencoded"}, "a=%C3%BC&a=2&bad=%zz"),
	}
	all[1].Note = "a note\nof two lines"
	all[2].Answer = event.Answer{Status: 302, Headers: []event.Header{{Name: "Location", Value: "/y"}, {Name: "Set-Cookie", Value: "s=1; Path=/"}, {Name: "Content-Type", Value: "text/plain"}}, Body: []byte("\xff")}
	return all
}

func export(t testing.TB, format string, list []event.Capture) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(&b, format, feed(list)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func feed(list []event.Capture) func() (event.Capture, bool, error) {
	return func() (event.Capture, bool, error) {
		if len(list) == 0 {
			return event.Capture{}, false, nil
		}
		c := list[0]
		list = list[1:]
		return c, true, nil
	}
}

func TestExportJSON(t *testing.T) {
	type shown struct {
		ID, URL, Remote string
		Body            *string
		BodyBase64      []byte `json:"body_base64"`
		Headers         []pair
		Query, Form     json.RawMessage
		Files           json.RawMessage
		Answer          struct {
			BodyBase64 string `json:"body_base64"`
		}
	}
	var got []shown
	if err := json.Unmarshal([]byte(export(t, ExportJSON, hard())), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(hard()) {
		t.Fatalf("%d requests", len(got))
	}
	for i, c := range hard() {
		body := string(got[i].BodyBase64)
		if got[i].Body != nil {
			body = *got[i].Body
		}
		if body != string(c.Body) || got[i].ID != c.ID || got[i].URL != c.URL || got[i].Remote != c.Remote || len(got[i].Headers) != len(c.Headers()) {
			t.Errorf("request %d: %+v", i, got[i])
		}
	}
	text := mustJSON(t, []any{got[0].Query, got[3].Form, got[3].Files, got[8].Form, got[2].Answer.BodyBase64})
	want := `[[{"name":"a","value":"1"},{"name":"a","value":"2"},{"name":"b","value":"  "}],[{"name":"a","value":"1"}],` +
		`[{"name":"f","filename":"../x.png","content_type":"image/png","size":5}],[{"name":"a","value":"ü"},{"name":"a","value":"2"},{"name":"bad","value":"%zz"}],"/w=="]`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if empty := export(t, ExportJSON, nil); strings.TrimSpace(empty) != "[]" {
		t.Errorf("nothing is %q", empty)
	}
}

func TestExportCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(export(t, ExportCSV, hard()))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(hard())+1 || !slices.Equal(rows[0], csvColumns) {
		t.Fatalf("%d rows, %v", len(rows), rows[0])
	}
	cell := func(row int, column string) string { return rows[row][slices.Index(csvColumns, column)] }
	for _, check := range []struct {
		row          int
		column, want string
	}{
		{1, "query", `{"a":["1","2"],"b":["  "]}`},
		{1, "created_at", "2026-11-22 04:05:06.789"},
		{1, "hostname", "example.com"},
		{2, "content", `{"q":"'"}`},
		{2, "headers", `{"content-length":["9"],"content-type":["application/json"],"host":["other.example"],"x-empty":[""],"x-twice":["1","2"]}`},
		{2, "note", "a note\nof two lines"},
		{3, "content", ""},
		{3, "content_base64", base64.StdEncoding.EncodeToString(hard()[2].Body)},
		{3, "status", "302"},
		{4, "files", `{"f":["../x.png"]}`},
		{5, "content", "'" + string(hard()[4].Body)},
		{7, "content", "'=1+1"},
		{7, "user_agent", "'=cmd|'/c calc'!A1"},
		{9, "request", `{"a":["ü","2"],"bad":["%zz"]}`},
	} {
		if got := cell(check.row, check.column); got != check.want {
			t.Errorf("row %d, %s: %q, want %q", check.row, check.column, got, check.want)
		}
	}
	for i, row := range rows[1:] {
		for j, field := range row {
			if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
				t.Errorf("row %d, %s may be a formula: %q", i+1, csvColumns[j], field)
			}
		}
	}
}

func TestInert(t *testing.T) {
	for in, want := range map[string]string{"": "", "a=1": "a=1", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "ü": "ü"} {
		if got := inert(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// shape is what the HAR specification says of an object: its members with their types; a "?" ends those that may miss.
type shape map[string]any

var (
	harNamed = []any{shape{"name": "", "value": ""}}
	harShape = shape{"log": shape{
		"version": "", "creator": shape{"name": "", "version": ""},
		"entries": []any{shape{
			"startedDateTime": "", "time": 0.0, "cache": shape{}, "timings": shape{"send": 0.0, "wait": 0.0, "receive": 0.0}, "comment?": "",
			"request": shape{
				"method": "", "url": "", "httpVersion": "", "cookies": harNamed, "headers": harNamed, "queryString": harNamed,
				"headersSize": 0.0, "bodySize": 0.0, "postData?": shape{"mimeType": "", "text": "", "encoding?": ""},
			},
			"response": shape{
				"status": 0.0, "statusText": "", "httpVersion": "", "cookies": harNamed, "headers": harNamed, "redirectURL": "", "headersSize": 0.0,
				"bodySize": 0.0, "content": shape{"size": 0.0, "mimeType": "", "text?": "", "encoding?": ""},
			},
		}},
	}}
)

func conforms(t *testing.T, at string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case shape:
		object, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is no object: %v", at, got)
			return
		}
		for name, inner := range want {
			bare, optional := strings.CutSuffix(name, "?")
			if v, ok := object[bare]; ok {
				conforms(t, at+"."+bare, v, inner)
			} else if !optional {
				t.Errorf("%s has no %s", at, bare)
			}
		}
		for name := range object {
			_, known := want[name]
			_, optional := want[name+"?"]
			if !known && !optional && !strings.HasPrefix(name, "_") {
				t.Errorf("%s has a member %s", at, name)
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok {
			t.Errorf("%s is no array: %v", at, got)
		}
		for _, v := range list {
			conforms(t, at+"[]", v, want[0])
		}
	case string:
		if _, ok := got.(string); !ok {
			t.Errorf("%s is no string: %v", at, got)
		}
	default:
		if _, ok := got.(float64); !ok {
			t.Errorf("%s is no number: %v", at, got)
		}
	}
}

// archive is what is looked at in a HAR, once its form is right.
type archive struct {
	Log struct {
		Entries []struct {
			Request struct {
				URL      string
				Cookies  []pair
				BodySize int
				PostData *harText64
			}
			Response struct {
				Status      int
				RedirectURL string
				Content     harText64
			}
		}
	}
}

type harText64 struct{ Text, Encoding string }

func (h *harText64) body(t *testing.T) string {
	t.Helper()
	if h == nil || h.Encoding != "base64" {
		return cmp.Or(h, &harText64{}).Text
	}
	raw, err := base64.StdEncoding.DecodeString(h.Text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestExportHAR(t *testing.T) {
	for _, list := range [][]event.Capture{nil, hard()} {
		text := []byte(export(t, ExportHAR, list))
		var form any
		var got archive
		if err := errors.Join(json.Unmarshal(text, &form), json.Unmarshal(text, &got)); err != nil {
			t.Fatal(err)
		}
		conforms(t, "", form, harShape)
		entries := got.Log.Entries
		if len(entries) != len(list) {
			t.Fatalf("%d entries of %d", len(entries), len(list))
		}
		for i, c := range list {
			sent := entries[i].Request
			if (sent.PostData != nil) != (len(c.Body) > 0) || sent.PostData.body(t) != string(c.Body) || sent.BodySize != len(c.Body) || sent.URL != c.URL {
				t.Errorf("entry %d: %+v", i, sent)
			}
		}
		if len(list) == 0 {
			continue
		}
		if got := entries[0].Request.Cookies; !slices.Equal(got, []pair{{"k", "v"}, {"l", "w"}}) {
			t.Errorf("cookies %v", got)
		}
		if answer := entries[2].Response; answer.RedirectURL != "/y" || answer.Status != 302 || answer.Content.body(t) != "\xff" {
			t.Errorf("answer %+v", answer)
		}
	}
}

// curlStub stands for curl: it writes its arguments and, when it is told to read a body, its input, each ended by a
// line that none of them holds.
const curlStub = `#!/bin/sh
for a in "$@"; do printf '%s\n=-=-=\n' "$a"; done
case " $* " in *" --data-binary @- "*) cat; printf '\n=-=-=\n';; esac
printf '\n#####\n'
`

// TestExportCurl runs the commands with a shell and looks at what curl would be given.
func TestExportCurl(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(curlStub), 0o700); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(export(t, ExportCurl, hard()))
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME=/must/not/be/expanded")
	var failures bytes.Buffer
	cmd.Stderr = &failures
	out, err := cmd.Output()
	if err != nil || failures.Len() > 0 {
		t.Fatalf("%v: %s", err, &failures)
	}
	runs := strings.Split(strings.TrimSuffix(string(out), "\n#####\n"), "\n#####\n")
	if len(runs) != len(hard()) {
		t.Fatalf("%d commands", len(runs))
	}
	for i, c := range hard() {
		args := strings.Split(strings.TrimSuffix(runs[i], "\n=-=-=\n"), "\n=-=-=\n")
		method, _, _ := c.Line()
		var headers []string
		got := map[string]string{}
		for j := 0; j < len(args); j++ {
			switch args[j] {
			case "--header":
				j++
				headers = append(headers, args[j])
			case "--request", "--url", "--data-raw":
				got[args[j]] = args[j+1]
				j++
			case "--data-binary":
				got[args[j]] = args[j+2] // @-, then the input
				j += 2
			case "--globoff", "--path-as-is", "--head":
				got[args[j]] = "yes"
			default:
				t.Errorf("request %d has the argument %q", i, args[j])
			}
		}
		if got["--url"] != c.URL || got["--globoff"] == "" || got["--path-as-is"] == "" {
			t.Errorf("request %d goes to %q", i, got["--url"])
		}
		if got["--request"] != method && (method != "HEAD" || got["--head"] == "") {
			t.Errorf("request %d has the method %q", i, got["--request"])
		}
		if body := got["--data-raw"] + got["--data-binary"]; body != string(c.Body) {
			t.Errorf("request %d has a body of %d bytes, want %d: %.60q", i, len(body), len(c.Body), body)
		}
		for _, h := range c.Headers() {
			line := h.Name + ": " + h.Value
			if h.Value == "" {
				line = h.Name + ";"
			}
			if line != "Host: example.com" && h.Name != "Content-Length" && !slices.Contains(headers, line) {
				t.Errorf("request %d lacks the header %q: %q", i, line, headers)
			}
		}
	}
}

// What curl would add by itself is not sent when the request did not have it.
func TestCurlAddsNothing(t *testing.T) {
	c := request(1, "POST /b/x HTTP/1.1", []string{"Host: example.com", "Content-Length: 1", "Transfer-Encoding: chunked"}, "x")
	want := `curl --globoff --path-as-is --request 'POST' --url 'http://example.com/b/x' \
  --header 'User-Agent:' \
  --header 'Accept:' \
  --header 'Content-Type:' \
  --header 'Expect:' \
  --data-raw 'x'`
	if got := curlCommand(&c.Request); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExportErrors(t *testing.T) {
	if _, err := Export(io.Discard, "xml", feed(nil)); event.KindOf(err) != event.KindInvalid {
		t.Errorf("an unknown format: %v", err)
	}
	cause := errors.New("disk gone")
	for _, format := range []string{ExportJSON, ExportCSV, ExportHAR, ExportCurl} {
		if _, err := Export(io.Discard, format, func() (event.Capture, bool, error) { return event.Capture{}, false, cause }); !errors.Is(err, cause) {
			t.Errorf("%s: %v", format, err)
		}
		if _, err := Export(shut{}, format, feed(hard())); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s to a closed pipe: %v", format, err)
		}
		contentType, err := Export(io.Discard, format, feed(nil))
		if want, _, _ := ExportType(format); err != nil || contentType != want || want == "" {
			t.Errorf("%s is %q, %v", format, contentType, err)
		}
	}
}

type shut struct{}

func (shut) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
