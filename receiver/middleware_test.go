package receiver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// push is a signed request of GitHub's.
func push(id, body string) *http.Request {
	m := message{method: http.MethodPost, url: "https://hooks.example.com/github", header: http.Header{}, body: []byte(body)}
	m.header.Set("X-GitHub-Event", "push")
	m.header.Set("X-GitHub-Delivery", id)
	signBody("X-Hub-Signature-256", "sha256=", hex256)(&m, secretOne, now)
	return m.request()
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	var got []Event
	h := Middleware("github", []string{secretOne}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, ok := FromContext(r.Context())
		if !ok {
			t.Fatal("no event in the context")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, e.Body) || e.Request != r {
			t.Errorf("the body is %q, the event's %q: %v", body, e.Body, err)
		}
		got = append(got, e)
		w.Header().Set("X-Mine", "1")
		w.WriteHeader(http.StatusAccepted)
	}))
	if w := serve(h, push("1", `{"a":1}`)); w.Code != http.StatusAccepted || w.Header().Get("X-Mine") != "1" {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
	if len(got) != 1 || got[0].Type != "push" || got[0].ID != "1" || got[0].Provider != "github" || string(got[0].Body) != `{"a":1}` {
		t.Fatalf("events %+v", got)
	}
	// The same delivery again is accepted, but not handled; another is.
	if w := serve(h, push("1", `{"a":1}`)); w.Code != http.StatusOK || len(got) != 1 {
		t.Errorf("repeated: answer %d, %d events", w.Code, len(got))
	}
	if w := serve(h, push("2", `{"a":1}`)); w.Code != http.StatusAccepted || len(got) != 2 {
		t.Errorf("another: answer %d, %d events", w.Code, len(got))
	}
	// What is not verified does not get through.
	forged := push("3", `{"a":1}`)
	forged.Body = io.NopCloser(strings.NewReader(`{"a":2}`))
	if w := serve(h, forged); w.Code != http.StatusUnauthorized || len(got) != 2 || strings.Contains(w.Body.String(), secretOne) {
		t.Errorf("forged: answer %d %s, %d events", w.Code, w.Body, len(got))
	}
	if w := serve(h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)); w.Code != http.StatusUnauthorized {
		t.Errorf("a browser: answer %d", w.Code)
	}
}

func TestHandlerErrorIsNotRemembered(t *testing.T) {
	fails := true
	h := Middleware("github", []string{secretOne}, Handler(func(_ context.Context, e Event) error {
		if fails {
			return errors.New("the database is away: " + e.ID)
		}
		return nil
	}))
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "database") {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	fails = false
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusOK {
		t.Errorf("sent again: answer %d", w.Code)
	}
	fails = true
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusOK {
		t.Errorf("sent a third time: answer %d: the delivery was not remembered", w.Code)
	}
}

func TestHandlerAlone(t *testing.T) {
	if w := serve(Handler(func(context.Context, Event) error { return nil }), push("1", `{}`)); w.Code != http.StatusInternalServerError {
		t.Errorf("a handler without the middleware answers %d", w.Code)
	}
}

func TestProviderAnswers(t *testing.T) {
	h := Middleware("twilio", []string{secretOne}, Handler(func(context.Context, Event) error { return nil }))
	m := message{method: http.MethodPost, url: "https://hooks.example.com/sms", header: http.Header{"Content-Type": {formType}}, body: []byte("SmsSid=1")}
	signForm("X-Twilio-Signature")(&m, secretOne, now)
	if w := serve(h, m.request()); w.Body.String() != "<Response/>" || w.Header().Get("Content-Type") != "text/xml" {
		t.Errorf("answer %q %v", w.Body, w.Header())
	}
}

// counting is a body that counts what is read of it.
type counting struct{ n int }

func (c *counting) Read(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}
func (*counting) Close() error { return nil }

func TestMaxBody(t *testing.T) {
	h := Middleware("github", []string{secretOne}, Handler(func(context.Context, Event) error { return nil }), MaxBody(1000))
	for _, length := range []int64{-1, 1001, 1 << 50} {
		endless := &counting{}
		r := push("1", `{}`)
		r.Body, r.ContentLength = endless, length
		if w := serve(h, r); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("length %d: answer %d", length, w.Code)
		}
		if endless.n > 4096 || length > 0 && endless.n > 0 {
			t.Errorf("length %d: %d bytes were read", length, endless.n)
		}
	}
	if w := serve(h, push("1", strings.Repeat("x", 1000))); w.Code != http.StatusOK {
		t.Errorf("a body of the limit: answer %d", w.Code)
	}
	cut := push("2", `{}`)
	cut.Body = io.NopCloser(iotest.ErrReader(errors.New("cut off")))
	if w := serve(h, cut); w.Code != http.StatusBadRequest {
		t.Errorf("a body that breaks off: answer %d", w.Code)
	}
}

// TestMaxBodyOnTheWire holds that a server ends the connection rather than reading a large body.
func TestMaxBodyOnTheWire(t *testing.T) {
	srv := httptest.NewServer(Middleware("github", []string{secretOne}, Handler(func(context.Context, Event) error { return nil }), MaxBody(1000)))
	defer srv.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") || !strings.Contains(string(answer), "Connection: close") {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestOneAtATime(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	h := Middleware("github", []string{secretOne}, Handler(func(context.Context, Event) error {
		close(started)
		<-finish
		return nil
	}))
	var wg sync.WaitGroup
	wg.Go(func() {
		if w := serve(h, push("1", `{}`)); w.Code != http.StatusOK {
			t.Errorf("the first: answer %d", w.Code)
		}
	})
	<-started
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the same while it is being handled: answer %d", w.Code)
	}
	close(finish)
	wg.Wait()
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusOK {
		t.Errorf("the same when it was handled: answer %d", w.Code)
	}
}

func TestPanicFreesTheDelivery(t *testing.T) {
	panics := true
	h := Middleware("github", []string{secretOne}, Handler(func(context.Context, Event) error {
		if panics {
			panic(http.ErrAbortHandler)
		}
		return nil
	}))
	func() {
		defer func() { _ = recover() }()
		serve(h, push("1", `{}`))
	}()
	panics = false
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusOK {
		t.Errorf("after a panic: answer %d", w.Code)
	}
}

func TestDedupeThatIsAway(t *testing.T) {
	called := 0
	h := Middleware("github", []string{secretOne}, Handler(func(context.Context, Event) error { called++; return nil }), Dedupe(lost{}))
	if w := serve(h, push("1", `{}`)); w.Code != http.StatusServiceUnavailable || called != 0 {
		t.Errorf("answer %d, called %d times", w.Code, called)
	}
	if w := serve(h, push("", `{}`)); w.Code != http.StatusOK || called != 1 {
		t.Errorf("without an id: answer %d, called %d times", w.Code, called)
	}
}

func TestLearn(t *testing.T) {
	handover := func(secret string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com/", strings.NewReader(`{}`))
		r.Header.Set("X-Hook-Secret", secret)
		return r
	}
	handler := Handler(func(context.Context, Event) error { return nil })
	if w := serve(Middleware("asana", nil, handler), handover(secretOne)); w.Code != http.StatusForbidden || w.Header().Get("X-Hook-Secret") != "" {
		t.Errorf("without Learn: answer %d", w.Code)
	}

	var kept []string
	var fail error
	h := Middleware("asana", nil, handler, Learn(func(_ context.Context, l Learned) error {
		if fail == nil {
			kept = append(kept, l.Secret)
		}
		return fail
	}))
	fail = errors.New("the disk is full")
	if w := serve(h, handover(secretOne)); w.Code != http.StatusServiceUnavailable || w.Header().Get("X-Hook-Secret") != "" {
		t.Errorf("when it cannot be kept: answer %d", w.Code)
	}
	fail = nil
	if w := serve(h, handover(secretOne)); w.Code != http.StatusOK || w.Header().Get("X-Hook-Secret") != secretOne {
		t.Errorf("the first: answer %d", w.Code)
	}
	if w := serve(h, handover(secretTwo)); w.Code != http.StatusForbidden || len(kept) != 1 {
		t.Errorf("the second: answer %d, kept %d", w.Code, len(kept))
	}
	m := message{method: http.MethodPost, url: "https://hooks.example.com/", header: http.Header{}, body: []byte(`{"events":[{}]}`)}
	signBody("X-Hook-Signature", "", hex256)(&m, secretOne, now)
	if w := serve(h, m.request()); w.Code != http.StatusOK {
		t.Errorf("an event after that: answer %d", w.Code)
	}
}

// TestLearnOnce holds that of many who hand over a secret at once one only is believed.
func TestLearnOnce(t *testing.T) {
	kept := 0
	h := Middleware("asana", nil, Handler(func(context.Context, Event) error { return nil }), Learn(func(context.Context, Learned) error { kept++; return nil }))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com/", http.NoBody)
			r.Header.Set("X-Hook-Secret", secretOne)
			serve(h, r)
		})
	}
	wg.Wait()
	if kept != 1 {
		t.Errorf("%d secrets were kept", kept)
	}
}

func TestUnknownProviderPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Middleware("nobody", nil, http.NotFoundHandler())
}

func TestMemory(t *testing.T) {
	m := NewMemory(4)
	ctx := t.Context()
	remember := func(keys string) {
		for key := range strings.SplitSeq(keys, "") {
			if err := m.Remember(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := func(keys string) string {
		got := ""
		for key := range strings.SplitSeq(keys, "") {
			if ok, err := m.Seen(ctx, key); err != nil {
				t.Fatal(err)
			} else if ok {
				got += key
			}
		}
		return got
	}
	remember("abc")
	if got := seen("abcd"); got != "abc" {
		t.Errorf("remembered %q", got)
	}
	remember("de")
	if got := seen("abcde"); got != "cde" {
		t.Errorf("remembered %q, want the latest", got)
	}
}
