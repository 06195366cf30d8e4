package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// decoded sends a request and decodes the answer, which must have the status.
func decoded[T any](tb testing.TB, h http.Handler, q request, status int) (out T) {
	tb.Helper()
	w := q.do(tb, h)
	if w.Code != status {
		tb.Fatalf("%s %s: %d, want %d: %s", q.method, q.path, w.Code, status, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// TestBinTenants lets keys make and see what is their tenant's, and admin keys everything.
func TestBinTenants(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	list := func(key, query string) string {
		page := decoded[client.Page[client.Bin]](t, on.h, request{method: "GET", path: "/v1/bins" + query, key: key}, 200)
		var names []string
		for _, b := range page.Data {
			names = append(names, b.Tenant+"/"+b.Alias)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	mine := decoded[client.Bin](t, on.h, request{method: "POST", path: "/v1/bins", key: "manager", body: `{"alias":"made"}`}, 201)
	if mine.Tenant != "acme" || mine.URL != "https://posthorn.example/b/"+mine.ID || mine.Expires == nil || mine.Keep != 500 {
		t.Errorf("made: %+v", mine)
	}
	for _, tt := range []struct{ key, query, names string }{
		{"admin", "", "/nobodys acme/box acme/made"},
		{"admin", "?tenant=acme", "acme/box acme/made"},
		{"admin", "?tenant=other", ""},
		{"reader", "", "acme/box acme/made"},
		{"manager", "?tenant=acme", "acme/box acme/made"},
		{"foreign", "", ""},
	} {
		if got := list(tt.key, tt.query); got != tt.names {
			t.Errorf("%s%s: %q, want %q", tt.key, tt.query, got, tt.names)
		}
	}
	for _, tt := range []struct {
		method, path, key, body string
		status                  int
	}{
		{"POST", "/v1/bins", "reader", `{}`, 403},
		{"POST", "/v1/bins", "publisher", `{}`, 403},
		{"POST", "/v1/bins", "manager", `{"tenant":"other"}`, 403},
		{"POST", "/v1/bins", "manager", `{"tenant":"nosuch"}`, 403},
		{"POST", "/v1/bins", "manager", `{"tenant":"acme"}`, 201},
		{"POST", "/v1/bins", "admin", `{"tenant":"nosuch"}`, 422},
		{"POST", "/v1/bins", "admin", `{}`, 201},
		{"GET", "/v1/bins?tenant=other", "manager", "", 403},
		{"GET", "/v1/bins/box", "publisher", "", 403},
		{"GET", "/v1/bins/box", "foreign", "", 404},
		{"GET", "/v1/bins/nobodys", "manager", "", 404},
		{"GET", "/v1/bins/nobodys", "admin", "", 200},
		{"GET", "/v1/bins/box/requests", "foreign", "", 404},
		{"GET", "/v1/bins/box/requests/1/raw", "foreign", "", 404},
		{"GET", "/v1/bins/box/stream", "foreign", "", 404},
		{"GET", "/v1/bins/box/export", "foreign", "", 404},
		{"GET", "/v1/bins/box/requests/1/raw", "publisher", "", 403},
		{"PATCH", "/v1/bins/box", "reader", `{}`, 403},
		{"PATCH", "/v1/bins/box", "manager", `{"tenant":"other"}`, 422},
		{"DELETE", "/v1/bins/box", "reader", "", 403},
		{"DELETE", "/v1/bins/box", "manager", "", 204},
	} {
		if w := (request{method: tt.method, path: tt.path, key: tt.key, body: tt.body}).do(t, on.h); w.Code != tt.status {
			t.Errorf("%s %s by %s: %d, want %d: %s", tt.method, tt.path, tt.key, w.Code, tt.status, w.Body)
		}
	}
}

// TestBinLife says when bins go: default, asked for, never; a patch of something else leaves it.
func TestBinLife(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	create := func(body string) client.Bin {
		return decoded[client.Bin](t, on.h, request{method: "POST", path: "/v1/bins", key: "admin", body: body}, 201)
	}
	about := func(b client.Bin, want time.Duration) bool {
		return b.Expires != nil && b.TTL == nil && time.Until(*b.Expires) > want-time.Minute && time.Until(*b.Expires) <= want
	}
	if b := create(`{}`); !about(b, event.DefaultBinAge) {
		t.Errorf("default: %v", b.Expires)
	}
	if b := create(`{"ttl":"1d12h"}`); !about(b, 36*time.Hour) {
		t.Errorf("36 hours: %v", b.Expires)
	}
	forever := create(`{"ttl":"0s","alias":"forever"}`)
	if forever.Expires != nil || forever.TTL == nil || *forever.TTL != 0 {
		t.Errorf("never: %+v", forever)
	}
	patch := func(body string) client.Bin {
		return decoded[client.Bin](t, on.h, request{method: "PATCH", path: "/v1/bins/forever", key: "admin", body: body}, 200)
	}
	if b := patch(`{"cors":true}`); b.Expires != nil || !b.CORS {
		t.Errorf("patched: %+v", b)
	}
	if b := patch(`{"ttl":"2h"}`); !about(b, 2*time.Hour) {
		t.Errorf("2 hours: %+v", b)
	}
	if b := patch(`{"ttl":"3h"}`); !about(b, 3*time.Hour) {
		t.Errorf("3 hours: %+v", b)
	}
	if b := patch(`{"ttl":"0s"}`); b.Expires != nil {
		t.Errorf("never again: %+v", b)
	}
	at := time.Now().Add(5 * time.Hour).UTC().Truncate(time.Second)
	if b := patch(`{"expires":"` + at.Format(time.RFC3339) + `"}`); !b.Expires.Equal(at) {
		t.Errorf("at a time, of one that stays: %+v", b)
	}
	for _, body := range []string{`{"ttl":"1d","expires":"2999-01-01T00:00:00Z"}`, `{"expires":"2001-01-01T00:00:00Z"}`, `{"ttl":"366d"}`, `{"ttl":"x"}`, `{"answer":{"body":"a","body_base64":"YQ=="}}`, `{"answer":{"body_base64":"!"}}`, `{"answer":{"status":600}}`, `{"answer":{"status":100}}`, `{"answer":{"headers":{"Set-Cookie":"a=b"}}}`, `{"alias":"a"}`, `{"keep":0.5}`, `{"tunnel":"laptop"}`} {
		if w := (request{method: "POST", path: "/v1/bins", key: "admin", body: body}).do(t, on.h); w.Code != 422 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestCapturedRequest shows a request with all that is in it, and gives out what strangers sent as files only.
func TestCapturedRequest(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	r := decoded[client.BinRequest](t, on.h, request{method: "GET", path: "/v1/bins/box/requests/1", key: "reader"}, 200)
	if r.Method != "POST" || r.Target != "/b/box/x?b=1&a=%20" || r.Proto != "HTTP/1.1" || r.Path != "/x?b=1&a=%20" || r.Remote != "192.0.2.7" || r.Body != nil ||
		r.Size == 0 || r.Seq != 1 || r.Bin != on.bins.box.ID {
		t.Errorf("request: %+v", r)
	}
	if !slices.Equal(r.Query, []client.NameValue{{Name: "b", Value: "1"}, {Name: "a", Value: " "}}) || !slices.Equal(r.Form, []client.NameValue{{Name: "n", Value: "v"}}) ||
		!slices.Equal(r.Files, []client.BinFile{{Name: "f", Filename: "a.html", ContentType: "text/html", Size: 4}}) || r.Headers[1].Name != "content-type" {
		t.Errorf("parts: %+v %+v %+v", r.Query, r.Form, r.Files)
	}
	body, err := r.Content()
	if err != nil || !strings.HasPrefix(string(body), "--q\r\n") {
		t.Errorf("body: %q %v", body, err)
	}
	for path, want := range map[string]string{"/raw": "POST /b/box/x?b=1&a=%20 HTTP/1.1\r\n", "/body": "--q\r\n", "/files/0": "<b>\xff"} {
		w := request{method: "GET", path: "/v1/bins/box/requests/" + r.ID + path, key: "reader", header: []string{"Accept", "text/html"}}.do(t, on.h)
		h := w.Header()
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), want) || h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
		kind := h.Get("Content-Type")
		if kind != "message/http" && kind != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, path := range []string{"/files/1", "/files/-1", "/files/x", "/nosuch"} {
		if w := (request{method: "GET", path: "/v1/bins/box/requests/1" + path, key: "reader"}).do(t, on.h); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := (request{method: "GET", path: "/v1/bins/box/requests/1/raw?x=1", key: "reader"}).do(t, on.h); w.Code != 422 {
		t.Errorf("a query: %d", w.Code)
	}
}

func TestBinRequests(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	list := func(query string) (string, string) {
		page := decoded[client.Page[client.BinRequest]](t, on.h, request{method: "GET", path: "/v1/bins/box/requests" + query, key: "reader"}, 200)
		var out []string
		for _, r := range page.Data {
			out = append(out, strconv.FormatInt(r.Seq, 10))
		}
		return strings.Join(out, " "), page.Next
	}
	for query, want := range map[string]string{
		"": "2 1", "?order=oldest": "1 2", "?method=get": "2", "?query=headers.x-event:push": "1", "?query=-method:GET": "1", "?query=a.html+POST": "1",
		"?since=2001-01-01T00:00:00Z": "2 1", "?until=2001-01-01T00:00:00Z": "",
	} {
		if got, next := list(query); got != want || next != "" {
			t.Errorf("%s: %q %q, want %q", query, got, next, want)
		}
	}
	first, next := list("?limit=1")
	second, end := list("?limit=1&cursor=" + next)
	if first != "2" || second != "1" || end != "" {
		t.Errorf("pages: %q %q %q", first, second, end)
	}
	for _, query := range []string{"?cursor=x", "?order=oldest&cursor=" + next, "?query=%22", "?method=a%20b", "?limit=0", "?since=x", "?nosuch=1"} {
		if w := (request{method: "GET", path: "/v1/bins/box/requests" + query, key: "reader"}).do(t, on.h); w.Code != 422 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	noted := decoded[client.BinRequest](t, on.h, request{method: "PATCH", path: "/v1/bins/box/requests/1", key: "manager", body: `{"note":"mine"}`}, 200)
	if got, _ := list("?query=note:mine"); noted.Note != "mine" || got != "1" {
		t.Errorf("note: %q, found %q", noted.Note, got)
	}
	replayed := decoded[client.BinReplayed](t, on.h, request{method: "POST", path: "/v1/bins/box/requests/1/replay", key: "manager", body: `{"url":"https://example.com/in","keep_path":true}`}, 200)
	if replayed.Status != 418 || replayed.BodyBase64 != "/w==" || len(replayed.Headers) != 2 || !strings.HasPrefix(on.bins.replayed[0], "POST /in/x?b=1&a=%20 https://example.com/in/x?b=1&a=%20 --q") {
		t.Errorf("replay: %+v %q", replayed, on.bins.replayed)
	}
	for body, status := range map[string]int{`{"url":"http://10.0.0.1/"}`: 422, `{"url":"file:///etc/passwd"}`: 422, `{}`: 422} {
		if w := (request{method: "POST", path: "/v1/bins/box/requests/1/replay", key: "manager", body: body}).do(t, on.h); w.Code != status || !strings.Contains(w.Body.String(), "url") {
			t.Errorf("replay %s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := (request{method: "POST", path: "/v1/bins/box/requests/1/answer", key: "manager", body: `{}`}).do(t, on.h); w.Code != 409 || !strings.Contains(w.Body.String(), "not_held") {
		t.Errorf("an answer to nobody: %d %s", w.Code, w.Body)
	}
	if w := (request{method: "POST", path: "/v1/bins/box/requests/1/answer", key: "manager", body: `{"status":700}`}).do(t, on.h); w.Code != 422 {
		t.Errorf("a bad answer: %d %s", w.Code, w.Body)
	}
	for format, kind := range map[string]string{"": "application/json", "json": "application/json", "csv": "text/csv; charset=utf-8", "har": "application/json", "curl": "text/plain; charset=utf-8"} {
		w := request{method: "GET", path: "/v1/bins/box/export?format=" + format + "&method=POST", key: "reader"}.do(t, on.h)
		if w.Code != 200 || w.Header().Get("Content-Type") != kind || !strings.Contains(w.Body.String(), "push") || strings.Contains(w.Body.String(), "192.0.2.8") {
			t.Errorf("%s: %d %v %s", format, w.Code, w.Header(), w.Body)
		}
	}
	for _, query := range []string{"?format=xml", "?query=%22", "?since=x", "?nosuch=1"} {
		if w := (request{method: "GET", path: "/v1/bins/box/export" + query, key: "reader"}).do(t, on.h); w.Code != 422 {
			t.Errorf("export%s: %d %s", query, w.Code, w.Body)
		}
	}
	if out := decoded[client.BinDeleted](t, on.h, request{method: "DELETE", path: "/v1/bins/box/requests?query=push", key: "manager"}, 200); out.Deleted != 1 {
		t.Errorf("deleted: %+v", out)
	}
	if got, _ := list(""); got != "2" {
		t.Errorf("left: %q", got)
	}
}

// bins is an API with real bins on a real server.
type bins struct {
	*inspect.Service
	http *http.Client
	url  string
	box  event.Bin
	// revoked: no key holds any more.
	revoked atomic.Bool
}

func newBins(t *testing.T) *bins {
	t.Helper()
	b := &bins{Service: inspect.New(inspect.Config{
		Store: storetest.NewModel(), Logger: slog.New(slog.DiscardHandler),
		Arrived: func(r *http.Request, _ string) event.Request {
			return event.Request{Head: []byte(r.Method + " " + r.URL.RequestURI() + " HTTP/1.1\r\n")}
		},
	})}
	api, _ := newAPI(t, newFake(), func(c *rest.Config) {
		c.Bins, c.Holds = b.Service, func(context.Context, *event.APIKey) bool { return !b.revoked.Load() }
	})
	server := httptest.NewServer(api.Handler())
	t.Cleanup(func() { b.Close(); server.Close() }) // streams end first
	b.url, b.http = server.URL, server.Client()
	var err error
	if b.box, err = b.Create(t.Context(), 1, event.Bin{Alias: "box", Hold: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return b
}

// client is the Go client of one who may manage.
func (b *bins) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(b.url, "manager")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bins) keep(t *testing.T, line string) {
	t.Helper()
	if _, err := b.Keep(t.Context(), b.box.ID, event.Request{Head: []byte(line + " HTTP/1.1\r\n"), Body: []byte("line 1\nline 2\r\n")}, "", event.Answer{}); err != nil {
		t.Fatal(err)
	}
}

// TestBinStream gives what comes, and, after Last-Event-ID, what came.
func TestBinStream(t *testing.T) {
	t.Parallel()
	b := newBins(t)
	b.keep(t, "GET /1")
	open := func(header ...string) (lines *bufio.Scanner, status int, kind string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/bins/box/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer reader")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return bufio.NewScanner(resp.Body), resp.StatusCode, resp.Header.Get("Content-Type")
	}
	next := func(s *bufio.Scanner) client.BinRequest {
		t.Helper()
		var id string
		for s.Scan() {
			if v, ok := strings.CutPrefix(s.Text(), "id: "); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(s.Text(), "data: "); ok {
				var r client.BinRequest
				if err := json.Unmarshal([]byte(v), &r); err != nil || id != strconv.FormatInt(r.Seq, 10) {
					t.Fatalf("%v: id %s, %s", err, id, v)
				}
				return r
			}
		}
		t.Fatal(s.Err())
		return client.BinRequest{}
	}
	live, status, kind := open()
	if status != 200 || kind != "text/event-stream" || !live.Scan() {
		t.Fatal(status, kind)
	}
	b.keep(t, "GET /2")
	b.keep(t, "GET /3")
	for _, want := range []string{"/2", "/3"} {
		if r := next(live); r.Target != want || *r.Body != "line 1\nline 2\r\n" {
			t.Errorf("got %s %q, want %s", r.Target, *r.Body, want)
		}
	}
	again, _, _ := open("Last-Event-ID", "0")
	for _, want := range []string{"/1", "/2", "/3"} {
		if r := next(again); r.Target != want {
			t.Errorf("got %s, want %s", r.Target, want)
		}
	}
	if _, status, _ := open("Last-Event-ID", "x"); status != 422 {
		t.Errorf("a bad id: %d", status)
	}
	if _, status, _ := open("Accept", "text/html"); status != 406 {
		t.Errorf("another type: %d", status)
	}
	if err := b.Delete(t.Context(), b.box.ID, 0); err != nil {
		t.Fatal(err)
	}
	for live.Scan() { // the stream ends with the bin
	}
}

// TestBinFollow shows a listener what another one does to the requests of a bin, without large bodies where that is asked for.
func TestBinFollow(t *testing.T) {
	t.Parallel()
	b := newBins(t)
	c := b.client(t)
	box := c.Bin("box")
	b.keep(t, "GET /1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []string
	for n, err := range box.Follow(ctx, -1, client.MaxBody(3)) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n.Request != nil && n.Request.Seq == 1:
			if _, err := n.Request.Content(); !n.Request.BodyOmitted || n.Request.Body != nil || n.Request.Size != 15 || err == nil {
				t.Errorf("left out: %+v %v", n.Request, err)
			}
			if _, err := box.Note(ctx, "1", "look"); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, "request")
		case n.Change != nil && n.Change.Note != nil:
			seen = append(seen, "note "+*n.Change.Note)
			if err := box.DeleteRequest(ctx, "1"); err != nil {
				t.Fatal(err)
			}
		case n.Change != nil && n.Change.Deleted:
			seen = append(seen, "deleted "+strconv.FormatInt(n.Change.Seqs[0], 10))
			cancel()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if got := strings.Join(seen, ", "); got != "request, note look, deleted 1" {
		t.Errorf("seen: %s", got)
	}
	b.keep(t, "GET /2")
	for n, omitted := range map[int]bool{0: true, 14: true, 15: false, -1: false} {
		for r, err := range box.Requests(t.Context(), client.MaxBody(n)) {
			if err != nil || r.BodyOmitted != omitted || (r.Body == nil) != omitted {
				t.Errorf("at most %d: %+v %v", n, r, err)
			}
		}
	}
	for _, path := range []string{"requests", "stream"} {
		ctx, cancel := context.WithCancel(t.Context())
		q := request{method: "GET", path: "/v1/bins/box/" + path + "?max_body=9000000000", key: "reader"}
		resp, err := b.http.Do(q.real(t, b.url).WithContext(ctx))
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v %v", path, resp, err)
		}
		cancel()
		_ = resp.Body.Close()
	}
	for _, query := range []string{"stream?max_body=-2", "stream?max_body=x", "requests?max_body=-2"} {
		q := request{method: "GET", path: "/v1/bins/box/" + query, key: "reader"}
		resp, err := b.http.Do(q.real(t, b.url))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 422 {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
	for bin, err := range c.Bins(t.Context()) {
		if err != nil || bin.Stats == nil || bin.Stats.Requests != 1 || bin.Stats.Last != 2 || bin.Stats.Newest == nil || bin.Stats.Bytes == 0 {
			t.Errorf("in the list: %+v %v", bin.Stats, err)
		}
	}
}

// TestBinStreamEnds: who has signed out, or whose key was revoked, hears of nothing that comes after it.
func TestBinStreamEnds(t *testing.T) {
	t.Parallel()
	b := newBins(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/bins/box/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer reader")
	resp, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	live := bufio.NewScanner(resp.Body)
	if !live.Scan() || live.Text() != ": connected" {
		t.Fatal(live.Text())
	}
	b.revoked.Store(true)
	b.keep(t, "GET /secret")
	for live.Scan() {
		if strings.Contains(live.Text(), "data:") {
			t.Fatalf("heard %s", live.Text())
		}
	}
	if err := live.Err(); err != nil {
		t.Errorf("the stream ends in order: %v", err)
	}
}

// TestBinWait waits for a request that comes, and answers its caller.
func TestBinWait(t *testing.T) {
	t.Parallel()
	b := newBins(t)
	box := b.client(t).Bin("box")
	if r, err := box.Next(t.Context(), 0, 10*time.Millisecond); err != nil || r != nil {
		t.Errorf("nothing came: %v %v", r, err)
	}
	b.keep(t, "GET /1")
	if r, err := box.Next(t.Context(), 0, 10*time.Millisecond); err != nil || r != nil {
		t.Errorf("nothing came after the call: %v %v", r, err)
	}
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "/b/box", strings.NewReader("x")))
		answered <- w
	}()
	r, err := box.Next(t.Context(), 1, time.Minute)
	if err != nil || r.Seq != 2 || !r.Held {
		t.Fatalf("%+v %v", r, err)
	}
	if err := box.Answer(t.Context(), r.ID, client.BinAnswer{Status: 299, Body: "from afar"}); err != nil {
		t.Fatal(err)
	}
	if w := <-answered; w.Code != 299 || w.Body.String() != "from afar" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, query := range []string{"1?wait=1s", "latest?wait=61s", "latest?wait=x", "latest?wait=1s&after=-1", "1?after=1"} {
		w := request{method: "GET", path: "/v1/bins/box/requests/" + query, key: "reader"}
		resp, err := b.http.Do(w.real(t, b.url))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 422 {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
}

// real makes the request for a server at a URL.
func (q request) real(t *testing.T, base string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+q.key)
	return r
}
