package hooksite

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

const multipartBody = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n" +
	"Content-Disposition: form-data; name=\"f\"; filename=\"../x<y.html\"\r\nContent-Type: text/html\r\n\r\n<script>\x00\xff\r\n--b\r\n" +
	"Content-Disposition: form-data; name=\"f\"; filename=\"z\"\r\n\r\nsecond\r\n--b--\r\n"

// members are the names that Webhook.site's documentation gives a request.
var members = []string{
	"content", "created_at", "custom_action_errors", "custom_action_output", "files", "headers", "hostname", "ip", "method", "note", "query", "request", "size", "sorting",
	"time", "token_id", "type", "updated_at", "url", "user_agent", "uuid",
}

func TestRequestForm(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	s.want(http.StatusOK, "PATCH", "/"+id+"/a%20b/c?x=1&y=2&y=3&z=%C3%BC", `{"q":1}`, "Content-Type", "application/json", "X-Twice", "1", "X-Twice", "2", "User-Agent", "test/1")
	a := s.want(http.StatusOK, "GET", "/token/"+id+"/request/latest", "")
	var got map[string]any
	a.into(t, &got)
	for _, name := range members {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing in %s", name, a.body)
		}
	}
	for name, want := range map[string]string{
		"method": `"PATCH"`, "content": `"{\"q\":1}"`, "query": `{"x":"1","y":["2","3"],"z":"ü"}`, "request": "null", "files": "{}", "type": `"web"`, "ip": `"127.0.0.1"`,
		"hostname": `"127.0.0.1"`, "user_agent": `"test/1"`, "token_id": `"` + id + `"`, "url": `"` + s.url + "/" + id + `/a%20b/c?x=1\u0026y=2\u0026y=3\u0026z=%C3%BC"`,
		"size": "7", "note": "null", "custom_action_errors": "[]",
	} {
		text, err := json.Marshal(got[name])
		if err != nil || string(text) != want {
			t.Errorf("%s is %s, want %s", name, text, want)
		}
	}
	if headers, ok := got["headers"].(map[string]any); !ok || fmt.Sprint(headers["x-twice"], headers["content-type"]) != "[1 2] [application/json]" {
		t.Errorf("headers %v", headers)
	}
	// The same request at the other address looks the same: their client takes the path from the URL.
	s.want(http.StatusOK, "POST", "/b/"+id+"/deep?x=1", "")
	s.want(http.StatusOK, "GET", "/token/"+id+"/requests/latest", "").into(t, &got)
	if got["url"] != s.url+"/"+id+"/deep?x=1" {
		t.Errorf("url %v", got["url"])
	}
}

func TestRequestFiles(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	sent := s.want(http.StatusOK, "POST", "/"+id, multipartBody, "Content-Type", "multipart/form-data; boundary=b")
	var got request
	path := "/token/" + id + "/request/" + sent.header.Get("X-Request-Id")
	s.want(http.StatusOK, "GET", path, "").into(t, &got)
	if got.Content != "" || fmt.Sprint(got.Request) != "map[a:1]" || got.Size != len(multipartBody) {
		t.Errorf("content %q, request %v, size %d", got.Content, got.Request, got.Size)
	}
	if f := got.Files["f"]; f != (file{"1", "../x<y.html", 10, "text/html"}) || got.Files["f.1"].Filename != "z" {
		t.Errorf("files %+v", got.Files)
	}
	a := s.want(http.StatusOK, "GET", path+"/download/1", "")
	if a.body != "<script>\x00\xff" || a.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") ||
		strings.Contains(a.header.Get("Content-Disposition"), "..") || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q %v", a.body, a.header)
	}
	for _, n := range []string{"0", "3", "x", "-1"} {
		s.want(http.StatusNotFound, "GET", path+"/download/"+n, "")
	}
	if a := s.want(http.StatusOK, "GET", path+"/raw", ""); a.body != multipartBody || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("raw %q %v", a.body, a.header)
	}
	s.want(http.StatusOK, "POST", "/"+id, `{"a":1}`, "Content-Type", "text/html")
	if a := s.want(http.StatusOK, "GET", "/token/"+id+"/request/latest/raw", ""); a.header.Get("Content-Type") != "application/json" || a.header.Get("Content-Security-Policy") != "sandbox" {
		t.Errorf("raw %v", a.header)
	}
}

// listed is a page as it is read.
type listed struct {
	page
	Data []request `json:"data"`
}

// contents lists the contents of a page, in order.
func (s *server) contents(path string) (listed, string) {
	s.t.Helper()
	var p listed
	s.want(http.StatusOK, "GET", path, "").into(s.t, &p)
	var list []string
	for _, r := range p.Data {
		list = append(list, r.Content)
	}
	return p, strings.Join(list, " ")
}

// sizes is an answer that notes how large its pieces are.
type sizes struct {
	*httptest.ResponseRecorder
	largest int
}

func (s *sizes) Write(b []byte) (int, error) {
	s.largest = max(s.largest, len(b))
	return len(b), nil
}

// TestLargePage: a page is written request by request, however large it is as a whole.
func TestLargePage(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	const size = 200 << 10
	for range 10 {
		s.want(http.StatusOK, "POST", "/"+id, strings.Repeat("x", size))
	}
	if p, _ := s.contents("/token/" + id + "/requests"); len(p.Data) != 10 || len(p.Data[9].Content) != size || p.Total != 10 {
		t.Errorf("%d of %d", len(p.Data), p.Total)
	}
	w := &sizes{ResponseRecorder: recorder()}
	s.api.Handler().ServeHTTP(w, get(t, "/token/"+id+"/requests"))
	if w.largest < size || w.largest > 2*size {
		t.Errorf("a piece of %d bytes", w.largest)
	}
}

func TestRequestList(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	p, list := s.contents("/token/" + id + "/requests")
	if list != "" || p.Total != 0 || !p.IsLast || p.Data == nil {
		t.Errorf("an empty one: %+v", p)
	}
	for i := range 7 {
		s.want(http.StatusOK, []string{"POST", "PUT"}[i%2], "/"+id, fmt.Sprintf("n%d", i))
	}
	base := "/token/" + id + "/requests"
	for _, c := range []struct {
		query, want           string
		total, page, from, to int
		last                  bool
	}{
		{"", "n0 n1 n2 n3 n4 n5 n6", 7, 1, 1, 7, true},
		{"?sorting=newest", "n6 n5 n4 n3 n2 n1 n0", 7, 1, 1, 7, true},
		{"?sorting=oldest&per_page=3", "n0 n1 n2", 7, 1, 1, 3, false},
		{"?per_page=3&page=2", "n3 n4 n5", 7, 2, 4, 6, false},
		{"?per_page=3&page=3&sorting=newest", "n0", 7, 3, 7, 7, true},
		{"?per_page=3&page=4", "", 7, 4, 10, 9, true},
		{"?query=method:PUT", "n1 n3 n5", 3, 1, 1, 3, true},
		{"?query=method:PUT&per_page=2&sorting=newest", "n5 n3", 3, 1, 1, 2, false},
		{"?query=n3+OR+n5", "n3 n5", 2, 1, 1, 2, true},
		{"?date_from=now-1h", "n0 n1 n2 n3 n4 n5 n6", 7, 1, 1, 7, true},
		{"?date_to=now-1h", "", 0, 1, 1, 0, true},
		{"?date_from=2020-01-01+00:00:00&date_to=2021-01-01", "", 0, 1, 1, 0, true},
		{"?per_page=1000", "n0 n1 n2 n3 n4 n5 n6", 7, 1, 1, 7, true},
	} {
		p, list := s.contents(base + c.query)
		if list != c.want || p.Total != int64(c.total) || p.Current != c.page || p.From != c.from || p.To != c.to || p.IsLast != c.last {
			t.Errorf("%s: %s, %+v", c.query, list, p)
		}
	}
	for _, query := range []string{"?sorting=up", "?query=(", "?date_from=x", "?per_page=x", "?page=-1"} {
		s.want(http.StatusUnprocessableEntity, "GET", base+query, "")
	}
	s.want(http.StatusNotFound, "GET", "/token/"+someID+"/requests", "")
	s.want(http.StatusMethodNotAllowed, "POST", base, "")
}

func TestRequestChanges(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	var sent []string
	for i := range 5 {
		sent = append(sent, s.want(http.StatusOK, "POST", "/"+id, fmt.Sprintf("n%d", i)).header.Get("X-Request-Id"))
	}
	base := "/token/" + id
	var got request
	s.want(http.StatusOK, "PUT", base+"/request/"+sent[0], `{"note":"Hello"}`).into(t, &got)
	if got.Note == nil || *got.Note != "Hello" {
		t.Errorf("note %v", got.Note)
	}
	s.want(http.StatusOK, "GET", base+"/requests/"+sent[0], "").into(t, &got)
	if got.Note == nil || *got.Note != "Hello" {
		t.Errorf("note %v", got.Note)
	}
	if a := s.want(http.StatusOK, "DELETE", base+"/request/"+sent[1], ""); a.body != `{"status":true}` {
		t.Errorf("deleted: %s", a.body)
	}
	s.want(http.StatusNotFound, "DELETE", base+"/request/"+sent[1], "")
	s.want(http.StatusUnprocessableEntity, "DELETE", base+"/request?query=(", "")
	s.want(http.StatusOK, "DELETE", base+"/request?query=n3", "")
	s.want(http.StatusOK, "DELETE", base+"/request?date_to=now-7d", "")
	if _, list := s.contents(base + "/requests"); list != "n0 n2 n4" {
		t.Errorf("left are %s", list)
	}
	s.want(http.StatusOK, "DELETE", base+"/request", "")
	if _, list := s.contents(base + "/requests"); list != "" {
		t.Errorf("left are %s", list)
	}
	s.want(http.StatusNotFound, "GET", base+"/request/latest", "")
	s.want(http.StatusMethodNotAllowed, "POST", base+"/request/latest", "")
}

func TestRequestExport(t *testing.T) {
	s := newServer(t, true)
	id := s.token("")
	for i := range 4 {
		s.want(http.StatusOK, "POST", "/"+id, fmt.Sprintf("=n%d", i))
	}
	for query, want := range map[string][]string{
		"": {"'=n0", "'=n1", "'=n2", "'=n3"}, "?sorting=newest&per_page=2": {"'=n3", "'=n2"}, "?query=n1": {"'=n1"}, "?query=absent": nil,
	} {
		a := s.want(http.StatusOK, "GET", "/token/"+id+"/requests/export"+query, "")
		rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		column := slices.Index(rows[0], "content")
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[column])
		}
		if !slices.Equal(got, want) || a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s: %q %v", query, got, a.header)
		}
	}
	s.want(http.StatusUnprocessableEntity, "GET", "/token/"+id+"/requests/export?per_page=x", "")
	s.want(http.StatusUnprocessableEntity, "GET", "/token/"+id+"/requests/export?query=(", "")
}

// A caller is held until a client answers in its name.
func TestRequestResponse(t *testing.T) {
	s := newServer(t, true)
	id := s.token(`{"listen":10}`)
	stats, err := s.bins.Stats(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan answer, 1)
	go func() { got <- s.do("POST", "/"+id, "question") }()
	list, err := s.bins.Next(t.Context(), id, stats.Last, patience)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	path := "/token/" + id + "/request/" + list[0].ID + "/response"
	s.want(http.StatusUnprocessableEntity, "PUT", path, `{"status":200,"content":"%%%"}`)
	s.want(http.StatusUnprocessableEntity, "PUT", path, `{"status":99,"content":""}`)
	s.want(http.StatusUnprocessableEntity, "PUT", path, `{"status":200,"content":"","headers":[1]}`)
	s.want(http.StatusMethodNotAllowed, "POST", path, "")
	body, err := json.Marshal(map[string]any{
		"status": 418, "content": base64.StdEncoding.EncodeToString([]byte("answer\x00\xff")),
		"headers": map[string]any{"content-type": []string{"text/plain"}, "X-One": "1", "connection": []string{"keep-alive"}, "transfer-encoding": "chunked", "set-cookie": "a=b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.want(http.StatusOK, "PUT", path, string(body)); a.body != `{"status":true}` {
		t.Errorf("set: %s", a.body)
	}
	a := <-got
	if a.status != 418 || a.body != "answer\x00\xff" || a.header.Get("X-One") != "1" || a.header.Get("Content-Type") != "text/plain" || a.header.Get("Set-Cookie") != "" || a.header.Get("X-Request-Id") != list[0].ID {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	s.want(http.StatusConflict, "PUT", path, string(body))
}

// A status in the path is the answer's, and a token that is full answers 410.
func TestCaptureStatusAndQuota(t *testing.T) {
	s := newServer(t, true)
	id := s.token(`{"request_limit":3}`)
	s.want(http.StatusNotFound, "GET", "/"+id+"/404", "")
	s.want(http.StatusServiceUnavailable, "DELETE", "/"+id+"/503?x=1", "")
	s.want(http.StatusOK, "PUT", "/"+id+"/600", "")
	s.want(http.StatusGone, "POST", "/"+id, "one more")
	if p, _ := s.contents("/token/" + id + "/requests"); p.Total != 3 {
		t.Errorf("%d are kept", p.Total)
	}
	keyed := s.token(`{"request_limit":2}`, "Api-Key", keyOfOne) // of one with a key the oldest go
	for i := range 4 {
		s.want(http.StatusOK, "POST", "/"+keyed, fmt.Sprintf("n%d", i))
	}
	if _, list := s.contents("/token/" + keyed + "/requests"); list != "n2 n3" {
		t.Errorf("kept are %s", list)
	}
}

// A page asked of a bin by a browser is kept like anything else, and the answer runs nothing.
func TestCaptureFromBrowser(t *testing.T) {
	s := newServer(t, true)
	id := s.token(`{"default_content":"<script>alert(1)</script>"}`)
	a := s.want(http.StatusOK, "GET", "/"+id, "", "Accept", "text/html")
	if a.header.Get("Content-Type") != "text/html" || a.header.Get("Content-Security-Policy") != "sandbox" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", a.header)
	}
	if p, _ := s.contents("/token/" + id + "/requests"); p.Total != 1 {
		t.Errorf("%d are kept", p.Total)
	}
	s.want(http.StatusRequestEntityTooLarge, "POST", "/"+id, strings.Repeat("x", 1<<20+1))
}

func TestVariables(t *testing.T) {
	c := searched()
	c.Path = "/sub?action=create&tag=a"
	r := requestOf(c)
	got := variables(c, &r)
	for name, want := range map[string]string{
		"request.method": "POST", "request.path": "/sub", "request.query": "action=create&tag=a", "request.query.action": "create", "request.form.name": "Foobar",
		"request.header.x-event": "push", "request.content": string(c.Body), "request.hostname": "hooks.example", "request.ip": "192.0.2.7", "request.date": "2026-11-22 11:00:00",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	empty := variables(&event.Capture{Request: event.Request{Head: []byte("GET / HTTP/1.1\r\n")}}, &request{})
	if empty["request.path"] != "/" {
		t.Errorf("path %q", empty["request.path"])
	}
}
