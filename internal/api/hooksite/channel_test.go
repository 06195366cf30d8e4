package hooksite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// reader reads a stream.
type reader struct {
	t      testing.TB
	cancel context.CancelFunc
	lines  *bufio.Scanner
	close  func() error
}

// piece is one event.
type piece struct{ id, event, data string }

func (s *server) listen(path string, headers ...string) *reader {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r) //nolint:bodyclose // closed by the reader
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		cancel()
		s.t.Fatalf("%s: %d %v", path, resp.StatusCode, resp.Header)
	}
	l := &reader{t: s.t, cancel: cancel, lines: bufio.NewScanner(resp.Body), close: resp.Body.Close}
	l.lines.Buffer(nil, 1<<22)
	s.t.Cleanup(l.stop)
	return l
}

func (l *reader) stop() {
	l.cancel()
	_ = l.close() // cut off on purpose
}

// next is the next event but pings.
func (l *reader) next() piece {
	l.t.Helper()
	var m piece
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			return m
		default:
			l.t.Fatalf("line %q", l.lines.Text())
		}
	}
	l.t.Fatalf("the stream ended: %v", l.lines.Err())
	return m
}

func TestNewChannel(t *testing.T) {
	s := newServer(t, true)
	for _, method := range []string{"GET", "HEAD"} {
		a := s.want(http.StatusTemporaryRedirect, method, "/new", "")
		name, ok := strings.CutPrefix(a.header.Get("Location"), s.url+"/")
		if !ok || len(name) != 16 || !channelName(name) {
			t.Errorf("%s leads to %s", method, a.header.Get("Location"))
		}
		if b, err := s.bins.Bin(t.Context(), 0, name); err != nil || !isChannel(&b) || b.Expires.IsZero() {
			t.Errorf("%+v, %v", b, err)
		}
		page := s.want(http.StatusOK, method, "/"+name, "", "Accept", "text/html")
		if page.header.Get("Content-Type") != "text/plain; charset=utf-8" || method == "GET" && !strings.Contains(page.body, name) {
			t.Errorf("page %q %v", page.body, page.header)
		}
	}
	s.want(http.StatusMethodNotAllowed, "POST", "/new", "")
}

func TestChannelMessages(t *testing.T) {
	s := newServer(t, true)
	l := s.listen("/some_channel-1")
	if m := l.next(); m != (piece{"0", "ready", "{}"}) {
		t.Errorf("first came %+v", m)
	}
	type sent struct{ kind, body, want string }
	for i, c := range []sent{
		{"application/json", "{\"b\": [1,\n 2],\"big\":12345678901234567890}", `{"b":[1,2],"big":12345678901234567890}`},
		{"application/x-www-form-urlencoded", "a=1&b=2&b=3", `{"a":"1","b":["2","3"]}`},
		{"application/x-www-form-urlencoded", "payload=%7B%22a%22%3A1%7D", `{"payload":"{\"a\":1}"}`},
		{"text/plain", "line\r\nbreak\n\ndata: x", `"line\r\nbreak\n\ndata: x"`},
		{"text/plain", "7", `"7"`},
		{"application/json", "{broken", `"{broken"`},
		{"", "", "{}"},
	} {
		a := s.want(http.StatusOK, "POST", "/some_channel-1?q=1&r=2&r=3", c.body, "Content-Type", c.kind, "X-GitHub-Event", "push")
		if a.body != "" {
			t.Errorf("answer %q", a.body)
		}
		m := l.next()
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(m.data), &got); err != nil {
			t.Fatal(err, m)
		}
		if m.id != fmt.Sprint(i+1) || m.event != "" || string(got["body"]) != c.want || string(got["x-github-event"]) != `"push"` || string(got["query"]) != `{"q":"1","r":["2","3"]}` {
			t.Errorf("%+v: %+v", c, m)
		}
		if ms := string(got["timestamp"]); len(ms) != 13 || strings.Trim(ms, "0123456789") != "" {
			t.Errorf("timestamp %s", ms)
		}
	}
}

// A header cannot pass for the body.
func TestChannelHeadersAreNoBody(t *testing.T) {
	c := &event.Capture{At: time.UnixMilli(1), Request: event.Request{Head: []byte("POST /x HTTP/1.1\r\nBody: 1\r\nTimestamp: 2\r\nQuery: 3\r\nA: 1\r\na: 2\r\n"), Body: []byte("4")}}
	if got := string(message(c)); got != `{"a":"1, 2","body":4,"query":{},"timestamp":1}` {
		t.Errorf("got %s", got)
	}
}

// Who comes back gets what came meanwhile.
func TestChannelResumes(t *testing.T) {
	s := newServer(t, true)
	l := s.listen("/resumed")
	first := l.next()
	l.stop()
	for i := range 3 {
		s.want(http.StatusOK, "POST", "/resumed", fmt.Sprint(i))
	}
	l = s.listen("/resumed", "Last-Event-ID", first.id)
	l.next()
	for i := range 3 {
		if m := l.next(); m.id != fmt.Sprint(i+1) || !strings.Contains(m.data, fmt.Sprintf(`"body":%d`, i)) {
			t.Errorf("the %dth: %+v", i, m)
		}
	}
	l.stop()
	l = s.listen("/resumed", "Last-Event-ID", "99")
	if m := l.next(); m.id != "3" {
		t.Errorf("ready %+v", m)
	}
	s.want(http.StatusOK, "POST", "/resumed", "3")
	if m := l.next(); m.id != "4" {
		t.Errorf("got %+v", m)
	}
}

func TestRedeliver(t *testing.T) {
	s := newServer(t, true)
	one, two := s.listen("/again-1"), s.listen("/again-1")
	one.next()
	two.next()
	s.want(http.StatusOK, "POST", "/again-1/redeliver", `{"x-event": "push",`+"\n"+`"body":{"a":1}}`)
	for _, l := range []*reader{one, two} {
		if m := l.next(); m != (piece{data: `{"x-event":"push","body":{"a":1}}`}) {
			t.Errorf("got %+v", m)
		}
	}
	for _, body := range []string{"", "[]", "7", "{", "{\"a\":\"\xff\"}"} {
		if a := s.want(http.StatusBadRequest, "POST", "/again-1/redeliver", body); a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%q: %v", body, a.header)
		}
	}
	b, err := s.bins.Bin(t.Context(), 0, "again-1")
	if err != nil {
		t.Fatal(err)
	}
	if stats, err := s.bins.Stats(t.Context(), b.ID); err != nil || stats.Requests != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// Only channels are read by their name; a bin's alias is for sending, its ID for reading too.
func TestAliasReadsNothing(t *testing.T) {
	s := newServer(t, true)
	id := s.token(`{"alias":"secretive"}`)
	a := s.want(http.StatusOK, "GET", "/secretive", "", "Accept", "text/event-stream")
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("%v", a.header)
	}
	if p, _ := s.contents("/token/" + id + "/requests"); p.Total != 1 {
		t.Errorf("%d are kept", p.Total)
	}
	l := s.listen("/" + id)
	if m := l.next(); m.event != "ready" || m.id != "1" {
		t.Errorf("%+v", m)
	}
}

// Without anonymous-bins a channel is made with a key only.
func TestChannelsByKey(t *testing.T) {
	s := newServer(t, false)
	a := s.want(http.StatusUnauthorized, "GET", "/new", "")
	if !strings.Contains(a.body, "API key") || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q %v", a.body, a.header)
	}
	for _, method := range []string{"GET", "POST", "HEAD", "PUT"} {
		s.want(http.StatusNotFound, method, "/unknown", "", "Accept", "text/event-stream")
		s.want(http.StatusNotFound, method, "/"+someID, "")
	}
	made := s.want(http.StatusTemporaryRedirect, "GET", "/new", "", "Authorization", "Bearer "+keyOfOne)
	path := strings.TrimPrefix(made.header.Get("Location"), s.url)
	l := s.listen(path)
	l.next()
	s.want(http.StatusOK, "POST", path, "1")
	if m := l.next(); !strings.Contains(m.data, `"body":1`) {
		t.Errorf("%+v", m)
	}
	b, err := s.bins.Bin(t.Context(), 1, path[1:])
	if err != nil || b.Tenant != 1 || !b.Expires.IsZero() {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestFirstUse(t *testing.T) {
	s := newServer(t, true, func(c *inspect.Config) { c.MaxBins = 2 })
	for _, name := range []string{"ab", someID, strings.ToUpper(someID)} {
		s.want(http.StatusNotFound, "POST", "/"+name, "{}")
	}
	s.want(http.StatusNotFound, "POST", "/unknown/sub", "{}")
	s.want(http.StatusNotFound, "PUT", "/unknown", "{}")
	if a := s.want(http.StatusOK, "GET", "/unknown", "", "Accept", "text/html"); !strings.Contains(a.body, "/unknown") {
		t.Errorf("page %q", a.body)
	}
	s.want(http.StatusOK, "POST", "/posted", "1")
	b, err := s.bins.Bin(t.Context(), 0, "posted")
	if err != nil || time.Until(b.Expires) > postedLife {
		t.Errorf("%+v, %v", b, err)
	}
	s.listen("/posted").next()
	if b, err = s.bins.Bin(t.Context(), 0, "posted"); err != nil || time.Until(b.Expires) < channelLife-time.Hour {
		t.Errorf("one that is read lives until %v, %v", b.Expires, err)
	}
	s.listen("/read-first").next()
	a := s.want(http.StatusServiceUnavailable, "POST", "/one-too-many", "1")
	if a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
}

// tape is a connection that keeps what is written.
type tape struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	text strings.Builder
}

func (w *tape) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}
func (w *tape) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *tape) so() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// Every half minute something is sent, and the end of the bin, or of the server, ends the stream.
func TestChannelPings(t *testing.T) {
	for _, end := range []string{"bin", "server"} {
		synctest.Test(t, func(t *testing.T) {
			bins := inspect.New(inspect.Config{Store: storetest.NewModel()})
			defer bins.Close()
			b, err := bins.Create(t.Context(), 0, event.Bin{Alias: "pinged", Metadata: map[string]string{faceName: faceChannel}})
			if err != nil {
				t.Fatal(err)
			}
			a := New(Config{Bins: bins, Remote: remote})
			defer a.Close()
			w := &tape{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/pinged", nil)
			r.Header.Set("Accept", "text/event-stream")
			done := make(chan struct{})
			go func() {
				defer close(done)
				a.Handler().ServeHTTP(w, r)
			}()
			<-time.After(95 * time.Second)
			synctest.Wait()
			if got, want := w.so(), "id: 0\nevent: ready\ndata: {}\n\n"+strings.Repeat("event: ping\ndata: {}\n\n", 3); got != want {
				t.Errorf("after 95 s there is %q", got)
			}
			if end == "bin" {
				if err := bins.Delete(t.Context(), b.ID, 0); err != nil {
					t.Fatal(err)
				}
			} else {
				bins.Drain()
			}
			<-done
		})
	}
}

// A reader that is slow keeps nobody else waiting, and memory is bounded by what it has not read.
func TestFeeds(t *testing.T) {
	var f feeds
	f.init()
	slow, leaveSlow := f.join("a")
	quick, leaveQuick := f.join("a")
	other, leaveOther := f.join("b")
	var got []string
	for i := range 20 {
		f.give("a", []byte(fmt.Sprint(i)))
		got = append(got, string((<-quick).text))
	}
	if len(slow) != cap(slow) || len(other) != 0 || !slices.IsSortedFunc(got, func(a, b string) int { return len(a) - len(b) }) || len(got) != 20 {
		t.Errorf("slow %d, other %d, quick %v", len(slow), len(other), got)
	}
	leaveSlow()
	leaveQuick()
	leaveOther()
	if len(f.bins) != 0 {
		t.Errorf("left are %v", f.bins)
	}
}

// TestFeedsAreBounded: messages that nobody reads yet are counted, once each, until they are written or their readers leave.
func TestFeedsAreBounded(t *testing.T) {
	t.Parallel()
	var f feeds
	f.init()
	a, leaveA := f.join("x")
	_, leaveB := f.join("x")
	half := make([]byte, maxPassed/2)
	if first, second := f.give("x", half), f.give("x", half); !first || !second || f.give("x", half[:1]) || f.give("y", half[:1]) {
		t.Error("the bound is another one")
	}
	f.done(<-a)
	if f.give("x", half[:1]) {
		t.Error("one reader has it still")
	}
	leaveB()
	if !f.give("y", half) || !f.give("x", half) || f.give("x", half[:1]) {
		t.Error("what was written, and what went to nobody, is not counted any more")
	}
	leaveA()
	if f.size != 0 || len(f.bins) != 0 {
		t.Errorf("%d bytes, %d bins are left", f.size, len(f.bins))
	}
}
