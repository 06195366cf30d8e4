package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

const changesPath = "/v1/tenants/acme/changes"

func readers(tb testing.TB, h http.Handler, query string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	return request{method: http.MethodGet, path: changesPath + query, key: "reader", header: header}.do(tb, h)
}

// later runs f after d of the bubble's time.
func later(d time.Duration, f func()) { time.AfterFunc(d, f) }

func (s *stage) add(tb testing.TB, typ string) {
	tb.Helper()
	if _, err := s.Publish(tb.Context(), s.tenants["acme"], []event.Event{{Type: typ, Subject: "late/1"}}, "", [32]byte{}); err != nil {
		tb.Error(err)
	}
}

// TestLongPoll: each case says what happens while a request waits, when it is answered and what with.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query string
		happens     func(*testing.T, *stage)
		takes       time.Duration
		status      int
		versions    string
		next, head  int64
	}{
		{"there is something", "?start=5&wait=30", nil, 0, 200, "5", 6, 5},
		{"something comes", "?start=6&wait=30", func(t *testing.T, s *stage) { later(10*time.Second, func() { s.add(t, "a") }) }, 10 * time.Second, 200, "6", 7, 6},
		{"nothing comes", "?start=6&wait=30s", nil, 30 * time.Second, 200, "", 6, 5},
		{"seconds with a fraction", "?start=6&wait=1.5", nil, 1500 * time.Millisecond, 200, "", 6, 5},
		{"a minute", "?start=6&wait=1m", nil, time.Minute, 200, "", 6, 5},
		{"no wait", "?start=6&wait=0", nil, 0, 200, "", 6, 5},
		{"nothing selected comes", "?start=6&wait=30&types=b", func(t *testing.T, s *stage) {
			for i := range 3 {
				later(time.Duration(i)*time.Second, func() { s.add(t, "a") })
			}
		}, 30 * time.Second, 200, "", 9, 8},
		{"something selected comes after others", "?start=6&wait=30&types=b", func(t *testing.T, s *stage) {
			later(time.Second, func() { s.add(t, "a") })
			later(2*time.Second, func() { s.add(t, "b") })
		}, 2 * time.Second, 200, "7", 8, 7},
		{"nothing selected yet, from the beginning", "?wait=30&types=b", func(t *testing.T, s *stage) {
			later(time.Second, func() { s.add(t, "b") })
		}, time.Second, 200, "6", 7, 6},
		{"the server stops", "?start=6&wait=30", func(_ *testing.T, s *stage) { s.listening.stopped = true }, 0, 200, "", 6, 5},
		{"the key ends", "?start=6&wait=30", func(_ *testing.T, s *stage) {
			later(time.Second, func() {
				defer s.lock()()
				delete(s.bearers, "reader")
				s.listening.change()
				s.listening.stopped = true
			})
		}, time.Second, 401, "", 0, 0},
		{"the tenant ends", "?start=6&wait=30", func(_ *testing.T, s *stage) {
			later(time.Second, func() {
				defer s.lock()()
				delete(s.tenants, "acme")
				s.listening.change()
				s.listening.stopped = true
			})
		}, time.Second, 403, "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				on := newStage(t)
				if c.happens != nil {
					c.happens(t, on)
				}
				begin := time.Now()
				w := readers(t, on.h, c.query)
				if took := time.Since(begin); took != c.takes {
					t.Errorf("took %s, want %s", took, c.takes)
				}
				got := decode[client.Changes](t, w, c.status)
				versions := ""
				for _, e := range got.Changes {
					versions += strconv.FormatInt(e.Version, 10)
				}
				if versions != c.versions || got.Next != c.next || got.Head != c.head {
					t.Errorf("versions %s, next %d, head %d: %s", versions, got.Next, got.Head, w.Body)
				}
			})
		})
	}
}

// TestLongPollWithTag: a caller that has the answer already waits for another one, or gets 304.
func TestLongPollWithTag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := newStage(t)
		for _, query := range []string{"?start=4&wait=20", "?start=6&wait=20", "?wait=20", "?types=user.*&wait=20"} {
			tag := readers(t, on.h, strings.Replace(query, "wait=20", "wait=0", 1)).Header().Get("ETag")
			begin := time.Now()
			w := readers(t, on.h, query, "If-None-Match", tag)
			if w.Code != http.StatusNotModified || time.Since(begin) != 20*time.Second {
				t.Errorf("%s: %d after %s", query, w.Code, time.Since(begin))
			}
			if w.Header().Get("ETag") != tag {
				t.Errorf("%s: tag %s, want %s", query, w.Header().Get("ETag"), tag)
			}
		}
		tag := readers(t, on.h, "?start=4").Header().Get("ETag")
		later(5*time.Second, func() { on.add(t, "a") })
		begin := time.Now()
		got := decode[client.Changes](t, readers(t, on.h, "?start=4&wait=20", "If-None-Match", tag), 200)
		if len(got.Changes) != 3 || time.Since(begin) != 5*time.Second {
			t.Errorf("%d events after %s", len(got.Changes), time.Since(begin))
		}
		// A part that is full cannot change: there is nothing to wait for.
		tag = readers(t, on.h, "?start=1&limit=2").Header().Get("ETag")
		begin = time.Now()
		if w := readers(t, on.h, "?start=1&limit=2&wait=20", "If-None-Match", tag); w.Code != http.StatusNotModified || time.Since(begin) != 0 {
			t.Errorf("full: %d after %s", w.Code, time.Since(begin))
		}
	})
}

func TestLongPollEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		api, log := newAPI(t, f)
		f.seed(t)
		f.token("short", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}, Expires: time.Now().Add(7 * time.Second)})
		begin := time.Now()
		w := request{method: http.MethodGet, path: changesPath + "?start=6&wait=30", key: "short"}.do(t, api.Handler())
		if took := time.Since(begin); took != 7*time.Second || w.Code != 200 {
			t.Errorf("with a token that ends: %d after %s", w.Code, took)
		}
		// The caller goes: the request ends at once, and that is no fault of the server.
		ctx, cancel := context.WithCancel(t.Context())
		later(3*time.Second, cancel)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, changesPath+"?start=6&wait=30", nil)
		r.Header.Set("Authorization", "Bearer reader")
		begin = time.Now()
		api.Handler().ServeHTTP(httptest.NewRecorder(), r)
		if took := time.Since(begin); took != 3*time.Second || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("after %s: %s", took, log)
		}
	})
}

// TestLongPollRefused: when too many wait, a request that would have to is refused, and one that need not is not.
func TestLongPollRefused(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	for _, kind := range []event.Kind{event.KindRateLimited, event.KindUnavailable} {
		e := event.Errorf(kind, "too_many_streams", "too many wait")
		e.RetryAfter = 5 * time.Second
		api, _ := newAPI(t, f, func(c *rest.Config) { c.Live = refusing{f, e} })
		w := readers(t, api.Handler(), "?start=6&wait=30")
		if p := decode[client.Problem](t, w, map[event.Kind]int{event.KindRateLimited: 429, event.KindUnavailable: 503}[kind]); p.Code != "too_many_streams" || w.Header().Get("Retry-After") != "5" {
			t.Errorf("%+v %v", p, w.Header())
		}
		if w := readers(t, api.Handler(), "?start=5&wait=30"); w.Code != 200 {
			t.Errorf("with an event: %d", w.Code)
		}
	}
}

// TestBusyIsQuiet: those who are turned away do not fill the log.
func TestBusyIsQuiet(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.seed(t)
	busy := event.Errorf(event.KindUnavailable, "busy", "full")
	api, log := newAPI(t, f, func(c *rest.Config) { c.Live = refusing{f, busy} })
	for _, r := range []request{
		{method: http.MethodGet, path: changesPath + "?start=6&wait=1"},
		{method: http.MethodGet, path: "/v1/tenants/acme/stream"},
		{method: http.MethodGet, path: "/v1/tenants/acme/socket"},
		{method: http.MethodPost, path: workPath + "/lease", body: `{"wait":"5s"}`},
	} {
		if r.method == http.MethodPost {
			f.fail = busy
		}
		r.key = "reader"
		if w := r.do(t, api.Handler()); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", r.path, w.Code, w.Header())
		}
	}
	if strings.Contains(log.String(), "request failed") {
		t.Errorf("log: %s", log)
	}
}

// refusing is a Live that lets nobody in.
type refusing struct {
	*fake
	err error
}

func (l refusing) Wait(context.Context, *http.Request, rest.Listener, int64, time.Duration) error {
	return l.err
}

func (l refusing) Stream(http.ResponseWriter, *http.Request, rest.Listener) error { return l.err }

func (l refusing) Socket(http.ResponseWriter, *http.Request, rest.Listener) error { return l.err }

// TestLongPollOutlastsReading: the time in which a request must arrive does not end one that has arrived and waits.
func TestLongPollOutlastsReading(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	server := httptest.NewUnstartedServer(on.h)
	server.Config.ReadTimeout = time.Second // a busy machine takes its time to read a request
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+changesPath+"?start=6&wait=1500ms", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer reader")
	begin := time.Now()
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got client.Changes
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != 200 || got.Next != 6 {
		t.Errorf("%d %+v %v", res.StatusCode, got, err)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
}

func TestChangesSelect(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for query, want := range map[string]string{
		"":                            "12345",
		"?types=order.*":              "135",
		"?types=order.*,user.created": "12345",
		"?subject=s/1":                "2",
		"?subject=s/1,s/3":            "24",
		"?subject=s*":                 "12345",
		"?subject=t*,s/0":             "1",
		"?filter=data.n+%3E+2":        "45",
		"?types=order.paid&subject=s/2,s/3&filter=data.n%3E0": "3",
		"?start=3&types=order.*&limit=1":                      "3",
		"?types=&subject=&filter=&start=":                     "12345",
	} {
		got := decode[client.Changes](t, readers(t, on.h, query), 200)
		versions := ""
		for _, e := range got.Changes {
			versions += strconv.FormatInt(e.Version, 10)
		}
		if versions != want {
			t.Errorf("%s: %s, want %s", query, versions, want)
		}
	}
	for query, want := range map[string]int{"?subject=s/1,s/3": 2, "?filter=data.n%3E2&types=order.*": 1, "?subject=s/*": 5} {
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/events" + query, key: "reader"}.do(t, on.h)
		if got := decode[client.Page[client.Event]](t, w, 200); len(got.Data) != want {
			t.Errorf("events%s: %d, want %d", query, len(got.Data), want)
		}
	}
}

// TestChangesCache: only what can never change may be kept, and no longer than the token is good.
func TestChangesCache(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.token("hour", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}, Expires: time.Now().Add(90*time.Minute + time.Second)})
	on.token("minute", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}, Expires: time.Now().Add(time.Minute + 500*time.Millisecond)})
	const full, private = "public, max-age=3600, immutable", "private, no-cache"
	for _, c := range []struct {
		query, key string
		header     []string
		status     int
		want       string
	}{
		{"?start=1&limit=5", "reader", nil, 200, full},
		{"?start=2&limit=2", "reader", nil, 200, full},
		{"?start=2&limit=2&types=order.*", "reader", nil, 200, full},
		{"?start=2&limit=2", "hour", nil, 200, full},
		{"?start=2&limit=2", "minute", nil, 200, "public, max-age=60, immutable"},
		{"?start=1&limit=6", "reader", nil, 200, private},
		{"?limit=2", "reader", nil, 200, private},
		{"?start=2&limit=5&types=order.*", "reader", nil, 200, private},
		{"?start=2&limit=2&access_token=hour", "", nil, 200, private},
		{"?start=2&limit=2", "", []string{"Cookie", "posthorn_token=hour"}, 200, full},
		{"?start=0", "reader", nil, 422, private},
	} {
		w := request{method: http.MethodGet, path: changesPath + c.query, key: c.key, header: c.header}.do(t, on.h)
		if got := w.Header().Get("Cache-Control"); w.Code != c.status || got != c.want {
			t.Errorf("%s %s: %d %q, want %q", c.key, c.query, w.Code, got, c.want)
		}
		if vary := w.Header().Get("Vary"); strings.HasPrefix(c.want, "public") != (vary == "Authorization, Cookie") {
			t.Errorf("%s %s: Vary %q", c.key, c.query, vary)
		}
	}
	first := readers(t, on.h, "?start=1&limit=2")
	w := readers(t, on.h, "?start=1&limit=2", "If-None-Match", first.Header().Get("ETag"))
	if w.Code != 304 || w.Header().Get("Cache-Control") != full || w.Header().Get("Vary") == "" || w.Body.Len() > 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	head := request{method: http.MethodHead, path: changesPath + "?start=1&limit=2", key: "reader"}.do(t, on.h)
	if head.Code != 200 || head.Header().Get("ETag") != first.Header().Get("ETag") || head.Header().Get("Content-Length") != strconv.Itoa(first.Body.Len()) {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

// TestChangesScan: a filter that selects nothing makes a request look at a bounded part of the log; next goes on after it.
func TestChangesScan(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	batch := make([]event.Event, 12_000)
	for i := range batch {
		batch[i].Type = "bulk"
	}
	if _, err := on.Publish(t.Context(), on.tenants["acme"], batch, "", [32]byte{}); err != nil {
		t.Fatal(err)
	}
	on.add(t, "needle")
	got := decode[client.Changes](t, readers(t, on.h, "?start=1&limit=1&types=needle&wait=30"), 200)
	if len(got.Changes) != 0 || got.Next != 10_001 || got.Head != 12_006 {
		t.Fatalf("next %d, head %d", got.Next, got.Head)
	}
	got = decode[client.Changes](t, readers(t, on.h, "?start=10001&limit=1&types=needle&wait=30"), 200)
	if len(got.Changes) != 1 || got.Next != 12_007 {
		t.Fatalf("%d, next %d", len(got.Changes), got.Next)
	}
}

func TestGoneSaysOldest(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.oldest = 4
	if p := decode[client.Problem](t, readers(t, on.h, "?start=3&wait=30"), 410); p.Oldest != 4 || p.Code != "gone" {
		t.Errorf("%+v", p)
	}
	if got := decode[client.Changes](t, readers(t, on.h, ""), 200); len(got.Changes) != 2 {
		t.Errorf("%+v", got)
	}
	on.fail = &event.Error{Kind: event.KindGone, Code: "gone", Detail: "it is older", Oldest: 4}
	for _, path := range []string{"stream?start=1", "socket"} {
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/" + path, key: "reader", header: handshake}.do(t, on.h)
		if p := decode[client.Problem](t, w, 410); p.Oldest != 4 || w.Header().Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// TestStreamAsks: what a request says is what Live is asked.
func TestStreamAsks(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for _, c := range []struct {
		query, last string
		want        rest.Listener
	}{
		{"", "", rest.Listener{}},
		{"?start=7&event=type", "", rest.Listener{Start: 7}},
		{"?event=none", "", rest.Listener{Unnamed: true}},
		{"?start=7", "41", rest.Listener{Start: 42}},
		{"", "0", rest.Listener{Start: 1}},
		{"?start=3", "", rest.Listener{Start: 3}},
		{"?types=a.*,b&subject=x/*,y&filter=type%3D%3D%22b%22", "", rest.Listener{Ask: event.Selection{Types: []string{"a.*", "b"}, Subjects: []string{"x/*", "y"}, Filter: `type=="b"`}}},
	} {
		on.reset(t)
		q := request{method: http.MethodGet, path: "/v1/tenants/acme/stream" + c.query, key: "reader", header: []string{"Accept", "text/html;q=0.1, text/*"}}
		if c.last != "" {
			q.header = append(q.header, "Last-Event-ID", c.last)
		}
		w := q.do(t, on.h)
		if w.Code != 200 || len(on.listening.asked) != 1 {
			t.Errorf("%s: %d %s", c.query, w.Code, w.Body)
			continue
		}
		got := on.listening.asked[0]
		if got.Tenant != on.tenants["acme"] || got.Key == nil || got.Key.Name != "reader" {
			t.Errorf("%s: asked for %+v", c.query, got)
		}
		if got.Tenant, got.Key = nil, nil; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: asked %+v, want %+v", c.query, got, c.want)
		}
	}
}

// TestNoLive: without Live the log can be read, and everything else says that it cannot be done.
func TestNoLive(t *testing.T) {
	t.Parallel()
	f := newFake()
	api, _ := newAPI(t, f, func(c *rest.Config) { c.Live, c.AsyncAPI = nil, nil })
	f.seed(t)
	f.token("narrow", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}, Only: &event.Selection{Types: []string{"a"}}})
	for path, want := range map[string]int{
		"changes?start=1": 200, "events": 200, "changes?types=order.*": 503, "changes?start=6&wait=1": 503, "changes?start=5&wait=1": 200,
		"stream": 404, "socket": 404, "events?subject=s/1": 503,
	} {
		if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/" + path, key: "reader"}).do(t, api.Handler()); w.Code != want {
			t.Errorf("%s: %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
	if w := (request{method: http.MethodGet, path: changesPath, key: "narrow"}).do(t, api.Handler()); w.Code != 503 {
		t.Errorf("narrowed: %d", w.Code)
	}
	if w := (request{method: http.MethodGet, path: "/asyncapi.yaml"}).do(t, api.Handler()); w.Code != 404 {
		t.Errorf("asyncapi: %d", w.Code)
	}
}

func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	w := request{method: http.MethodGet, path: "/asyncapi.yaml"}.do(t, on.h)
	if w.Code != 200 || w.Body.String() != "asyncapi: 3.0.0\n" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/vnd.aai.asyncapi+yaml") {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if w := (request{method: http.MethodGet, path: "/asyncapi.yaml", header: []string{"If-None-Match", w.Header().Get("ETag")}}).do(t, on.h); w.Code != 304 {
		t.Errorf("again: %d", w.Code)
	}
}

func TestProblemDocument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want client.Problem
	}{
		{event.Invalid("types[0]", "must not be empty"), client.Problem{Status: 422, Code: "invalid", Detail: "the request is not valid", Errors: []client.FieldError{{Field: "types[0]", Message: "must not be empty"}}}},
		{&event.Error{Kind: event.KindGone, Code: "gone", Detail: "old", Oldest: 9}, client.Problem{Status: 410, Code: "gone", Detail: "old", Oldest: 9}},
		{context.DeadlineExceeded, client.Problem{Status: 500, Code: "internal", Detail: "something went wrong on the server; its log says more under this request's id"}},
	} {
		var got client.Problem
		if err := json.Unmarshal(rest.Problem(c.err), &got); err != nil {
			t.Fatal(err)
		}
		c.want.Type, c.want.Title = "/docs/problems#"+c.want.Code, http.StatusText(c.want.Status)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}
