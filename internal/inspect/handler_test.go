package inspect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

func TestCapture(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Alias: "box"})
	binary := "\x00\xff\x1f\x8b"
	for i, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"} {
		name, told := b.ID, b.ID
		if i%2 == 1 {
			name, told = "box", ""
		}
		w := send(t.Context(), s, method, "/b/"+name+"/a%2Fb/?x=1&x=2", binary, "Content-Encoding", "gzip")
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("X-Token-Id") != told {
			t.Errorf("%s: %d %s %v", method, w.Code, w.Body, w.Header())
		}
		c, err := s.Capture(t.Context(), b.ID, w.Header().Get("X-Request-Id"))
		if err != nil {
			t.Fatal(err)
		}
		got, target, _ := c.Line()
		if got != method || target != "/b/"+name+"/a%2Fb/?x=1&x=2" || c.Path != "/a%2Fb/?x=1&x=2" || string(c.Body) != binary || c.Seq != int64(i+1) || c.Answer.Status != 200 {
			t.Errorf("%s: %+v", method, c)
		}
	}
	if w := send(t.Context(), s, "GET", "/b/"+strings.ToUpper(b.ID), ""); w.Code != 200 {
		t.Errorf("an id in capitals: %d", w.Code)
	}
	for path, status := range map[string]int{"/b/nosuch": 404, "/b/": 404, "/b/" + newUUID() + "/x": 404, "/c/box": 404, "/b/BOX": 404} {
		w := send(t.Context(), s, "POST", path, "x")
		if w.Code != status || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := send(t.Context(), s, http.MethodConnect, "/b/box", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("CONNECT: %d", w.Code)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	page := event.Answer{Status: 201, Headers: []event.Header{{Name: "content-type", Value: "text/html"}, {Name: "Content-Security-Policy", Value: "img-src *"}}, Body: []byte("<script>")}
	for name, tt := range map[string]struct {
		answer event.Answer
		path   string
		status int
		body   string
	}{
		"nothing set":       {status: 200},
		"by path":           {path: "/404", status: 404},
		"by path, query":    {path: "/503?x=/200", status: 503},
		"no status":         {path: "/100", status: 200},
		"too large":         {path: "/600", status: 200},
		"further down":      {path: "/a/404", status: 200},
		"sign":              {path: "/+44", status: 200},
		"set":               {answer: page, path: "/404", status: 201, body: "<script>"},
		"set, status only":  {answer: event.Answer{Status: 429}, path: "/404", status: 429},
		"set, body only":    {answer: event.Answer{Body: []byte("x")}, path: "/404", status: 200, body: "x"},
		"no content":        {answer: event.Answer{Status: 204, Body: []byte("x")}, status: 204},
		"not modified":      {answer: event.Answer{Status: 304, Body: []byte("x")}, status: 304},
		"redirect":          {answer: event.Answer{Status: 302, Headers: []event.Header{{Name: "Location", Value: "/x"}}}, status: 302},
		"explicit plain ok": {answer: event.Answer{Status: 200}, path: "/404", status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := makeBin(t, s, event.Bin{Answer: tt.answer})
			w := send(t.Context(), s, "POST", "/b/"+b.ID+tt.path, "x")
			h := w.Header()
			if w.Code != tt.status || w.Body.String() != tt.body || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" {
				t.Errorf("%d %q %v", w.Code, w.Body, h)
			}
			if policies := h.Values("Content-Security-Policy"); policies[len(policies)-1] != "sandbox" {
				t.Errorf("policies: %v", policies)
			}
			c := all(t, s, b.ID)[0]
			if c.Answer.Status != tt.status {
				t.Errorf("recorded %d", c.Answer.Status)
			}
		})
	}
}

func TestRecordedAnswerIsCut(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Answer: event.Answer{Body: bytes.Repeat([]byte("x"), 10_000)}})
	if w := send(t.Context(), s, "GET", "/b/"+b.ID, ""); w.Body.Len() != 10_000 {
		t.Errorf("%d bytes", w.Body.Len())
	}
	if c := all(t, s, b.ID)[0]; len(c.Answer.Body) != event.MaxAnswerKept {
		t.Errorf("%d bytes are kept", len(c.Answer.Body))
	}
}

// unread fails a test that reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{})
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/b/"+b.ID, unread{t})
	r.ContentLength = 1001
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 413 || w.Header().Get("Connection") != "close" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for size, status := range map[int]int{1000: 200, 1001: 413} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/b/"+b.ID, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))})
		r.ContentLength = -1 // chunked
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%d bytes: %d", size, w.Code)
		}
	}
	r = httptest.NewRequestWithContext(t.Context(), "POST", "/b/"+b.ID, io.MultiReader(strings.NewReader("x"), brokenReader{}))
	w = httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("a body that ends early: %d", w.Code)
	}
	if n := len(all(t, s, b.ID)); n != 1 {
		t.Errorf("%d are kept, want 1", n)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestFullAndExpired(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newService(t, func(c *Config) { c.Clock = func() time.Time { return now } })
	full := makeBin(t, s, event.Bin{Keep: 2, Refuse: true, Expires: now.Add(time.Hour)})
	rolling := makeBin(t, s, event.Bin{Keep: 2})
	for i := range 3 {
		status := 200
		if i == 2 {
			status = 410
		}
		if w := send(t.Context(), s, "POST", "/b/"+full.ID, ""); w.Code != status {
			t.Errorf("%d: %d", i, w.Code)
		}
		if w := send(t.Context(), s, "POST", "/b/"+rolling.ID, ""); w.Code != 200 {
			t.Errorf("rolling: %d", w.Code)
		}
	}
	if list := all(t, s, rolling.ID); len(list) != 2 || list[0].Seq != 2 {
		t.Errorf("rolling: %v", list)
	}
	now = now.Add(time.Hour)
	if w := send(t.Context(), s, "POST", "/b/"+full.ID, ""); w.Code != 410 || !strings.Contains(w.Body.String(), "expired") {
		t.Errorf("expired: %d %s", w.Code, w.Body)
	}
	if _, err := s.Keep(t.Context(), full.ID, event.Request{}, "", event.Answer{}); event.KindOf(err) != event.KindGone {
		t.Errorf("expired: %v", err)
	}
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	faulty := storetest.NewFaulty(storetest.NewModel(), nil)
	s := newService(t, func(c *Config) { c.Store = faulty })
	b := makeBin(t, s, event.Bin{})
	for _, tt := range []struct {
		err    error
		status int
	}{{store.ErrFull, 507}, {store.ErrClosed, 503}, {errors.New("hush"), 500}} {
		faulty.SetRule(func(c storetest.Call) storetest.Fault {
			if c.Method == "AddCapture" {
				return storetest.Fault{Before: tt.err}
			}
			return storetest.Fault{}
		})
		w := send(t.Context(), s, "POST", "/b/"+b.ID, "")
		if w.Code != tt.status || strings.Contains(w.Body.String(), "hush") {
			t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
		}
		if (tt.status == 503 || tt.status == 507) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", tt.err, w.Header().Get("Retry-After"))
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := newService(t)
	open := makeBin(t, s, event.Bin{CORS: true})
	shut := makeBin(t, s, event.Bin{})
	question := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-a"}
	w := send(t.Context(), s, "OPTIONS", "/b/"+open.ID, "", question...)
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "PUT" || h.Get("Access-Control-Allow-Headers") != "x-a" {
		t.Errorf("%d %v", w.Code, h)
	}
	if w := send(t.Context(), s, "POST", "/b/"+open.ID, "", "Origin", "https://a.example"); w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v", w.Header())
	}
	if w := send(t.Context(), s, "OPTIONS", "/b/"+shut.ID, "", question...); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if n, m := len(all(t, s, open.ID)), len(all(t, s, shut.ID)); n != 1 || m != 1 {
		t.Errorf("%d and %d are kept, want 1 and 1", n, m)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		b := makeBin(t, s, event.Bin{Delay: 2 * time.Second, Answer: event.Answer{Status: 202}})
		began := time.Now()
		if w := send(t.Context(), s, "POST", "/b/"+b.ID, ""); w.Code != 202 || time.Since(began) != 2*time.Second {
			t.Errorf("%d after %s", w.Code, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		send(ctx, s, "POST", "/b/"+b.ID, "")
		list := all(t, s, b.ID)
		if list[0].Answer.Status != 202 || list[1].Answer.Status != 0 || list[1].Answer.Reason == "" {
			t.Errorf("recorded: %+v", list)
		}
	})
}

func TestHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		b := makeBin(t, s, event.Bin{Hold: 10 * time.Second, Answer: event.Answer{Status: 299}})
		answered := make(chan string, 1)
		hold := func(ctx context.Context) {
			go func() {
				w := send(ctx, s, "POST", "/b/"+b.ID, "")
				answered <- fmt.Sprint(w.Code, " ", w.Body, " ", w.Header().Get("X-A"))
			}()
			synctest.Wait()
		}
		hold(t.Context())
		if !s.Held(b.ID, 1) {
			t.Error("1 is not held")
		}
		bad := event.Answer{Status: 99}
		if err := s.Answer(b.ID, 1, bad); event.KindOf(err) != event.KindInvalid {
			t.Errorf("a bad answer: %v", err)
		}
		good := event.Answer{Headers: []event.Header{{Name: "X-A", Value: "b"}}, Body: []byte("given")}
		if err := s.Answer(b.ID, 1, good); err != nil {
			t.Error(err)
		}
		want(t, "given", <-answered, "200 given b")
		synctest.Wait()
		if err := s.Answer(b.ID, 1, good); event.KindOf(err) != event.KindConflict {
			t.Errorf("a second answer: %v", err)
		}
		if c, _ := s.Capture(t.Context(), b.ID, "1"); string(c.Answer.Body) != "given" || s.Held(b.ID, 1) {
			t.Errorf("recorded: %+v", c.Answer)
		}

		began := time.Now()
		hold(t.Context())
		want(t, "nobody answers", <-answered, "299  ")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("after %s", took)
		}

		ctx, cancel := context.WithCancel(t.Context())
		hold(ctx)
		cancel()
		<-answered
		synctest.Wait()
		if err := s.Answer(b.ID, 3, good); event.KindOf(err) != event.KindConflict {
			t.Errorf("an answer to nobody: %v", err)
		}

		hold(t.Context())
		s.Drain()
		want(t, "the server stops", <-answered, "299  ")
	})
}

func TestMaxHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		places := semaphore.NewWeighted(2)
		s := newService(t, func(c *Config) {
			c.Hold = func() (func(), bool) { return func() { places.Release(1) }, places.TryAcquire(1) }
		})
		b := makeBin(t, s, event.Bin{Delay: time.Second})
		results := make(chan int, 3)
		for range 3 {
			go func() { results <- send(t.Context(), s, "POST", "/b/"+b.ID, "").Code }()
			synctest.Wait()
		}
		if first := <-results; first != 503 {
			t.Errorf("the third: %d", first)
		}
		<-results
		<-results
		if n := len(all(t, s, b.ID)); n != 2 {
			t.Errorf("%d are kept", n)
		}
		if w := send(t.Context(), s, "POST", "/b/"+b.ID, ""); w.Code != 200 {
			t.Errorf("later: %d", w.Code)
		}
	})
}

// TestOverNetwork holds a real connection: HEAD has no body, a keep-alive connection goes on.
func TestOverNetwork(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Answer: event.Answer{Body: []byte("hello")}, Delay: time.Millisecond})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	var d netDialer
	conn := d.dial(t, server.Listener.Addr().String())
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for _, method := range []string{"HEAD", "POST", "GET"} {
		_, err := fmt.Fprintf(conn, "%s /b/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", method, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		text := "hello"
		if method == "HEAD" {
			text = ""
		}
		if resp.StatusCode != 200 || string(body) != text || resp.ContentLength != 5 {
			t.Errorf("%s: %d %q %d", method, resp.StatusCode, body, resp.ContentLength)
		}
	}
}

// TestBodiesInMemory bounds what of large bodies is in memory at once, by what came of them, and counts none that is kept.
func TestBodiesInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c *Config) { c.MaxBody = 10 << 20 })
		b := makeBin(t, s, event.Bin{Hold: time.Second})
		large := strings.Repeat("x", 5<<20)
		if !s.bodies.TryAcquire(maxBodies - 6<<20) {
			t.Fatal("in use")
		}
		pr, pw := io.Pipe()
		results := make(chan int, 2)
		go func() { // promises 10 MiB, and sends none of them yet
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/b/"+b.ID, pr)
			r.ContentLength = 10 << 20
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			results <- w.Code
		}()
		go func() { results <- send(t.Context(), s, "POST", "/b/"+b.ID, large).Code }()
		synctest.Wait()
		if n := len(all(t, s, b.ID)); n != 1 || !s.bodies.TryAcquire(6<<20) {
			t.Fatalf("%d are kept, or their bodies are held while their callers are", n)
		}
		w := send(t.Context(), s, "POST", "/b/"+b.ID, large)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Connection") != "close" {
			t.Errorf("too many: %d %v", w.Code, w.Header())
		}
		s.bodies.Release(maxBodies)
		if _, err := io.WriteString(pw, large); err != nil {
			t.Error(err)
		}
		_ = pw.CloseWithError(io.ErrUnexpectedEOF)
		for range 2 {
			if code := <-results; code != 200 && code != 400 {
				t.Error(code)
			}
		}
		if !s.bodies.TryAcquire(maxBodies) {
			t.Error("places were not given back")
		}
	})
}

// TestMixedReplace: parts with headers of their own set no cookies.
func TestMixedReplace(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := makeBin(t, s, event.Bin{Answer: event.Answer{
		Headers: []event.Header{{Name: "content-type", Value: "multipart/x-mixed-replace;boundary=b"}}, Body: []byte("--b\r\nSet-Cookie: a=b\r\n\r\n"),
	}})
	if w := send(t.Context(), s, "GET", "/b/"+b.ID, ""); w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v", w.Header())
	}
}
