package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// do sends a request through the tunnel web and returns the answer's status and body.
func (on *stage) do(r *http.Request) (int, string, error) {
	on.t.Helper()
	resp, err := on.hub.Do(on.t.Context(), on.tenant.ID, "web", r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (on *stage) get(path string) *http.Request {
	r := httptest.NewRequestWithContext(on.t.Context(), http.MethodGet, "http://caller.example.com"+path, http.NoBody)
	r.RequestURI = ""
	return r
}

func TestDoBytes(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	big := make([]byte, 3<<20)
	_, _ = rand.Read(big)
	var seen *http.Request
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		seen = r
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(b)
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://tunnel/", bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	setTarget(r.URL, "/a|b/%2f/../é?x=%zz&;y=1")
	r.Host = "acme.example.com:8443"
	r.Header["X-Exact"] = []string{"a  b\t\xff", "second"}
	status, body, err := on.do(r)
	if err != nil || status != http.StatusAccepted || body != string(big) {
		t.Fatalf("%d, %d bytes, %v", status, len(body), err)
	}
	if seen.Host != "acme.example.com:8443" || seen.RequestURI != "/a|b/%2f/../é?x=%zz&;y=1" || seen.Method != http.MethodPatch {
		t.Errorf("%s %s of %s", seen.Method, seen.RequestURI, seen.Host)
	}
	if got := seen.Header["X-Exact"]; len(got) != 2 || got[0] != "a  b\t\xff" || got[1] != "second" {
		t.Errorf("%q", got)
	}
	if len(seen.Header) != 2 || seen.ContentLength != int64(len(big)) {
		t.Errorf("%v", seen.Header) // X-Exact and Content-Length
	}
}

func TestTargets(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.connect("web", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	for _, target := range []string{"", "/", "?", "?a=b", "/x", "/x?", "/x?y", "//x//y", "//x?a", "/%2e%2e/%00", "/a b"[:2], "/*", "/x%20y"} {
		r := on.get("/")
		setTarget(r.URL, target)
		want := target
		if !strings.HasPrefix(want, "/") {
			want = "/" + want
		}
		if _, got, err := on.do(r); err != nil || got != want {
			t.Errorf("%q came as %q, %v", target, got, err)
		}
	}
}

func TestOffline(t *testing.T) {
	on := newStage(t)
	if _, _, err := on.do(on.get("/")); !errors.Is(err, ErrOffline) {
		t.Errorf("%v", err)
	}
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	if _, _, err := on.do(on.get("/")); !errors.Is(err, ErrOffline) {
		t.Errorf("%v", err)
	}
	a := on.connect("web", func(http.ResponseWriter, *http.Request) {})
	if !on.hub.Online(on.tenant.ID, "web") || on.hub.Online(on.tenant.ID+1, "web") {
		t.Error("online where it is not, or not where it is")
	}
	if status, _, err := on.do(on.get("/")); err != nil || status != 200 {
		t.Errorf("%d %v", status, err)
	}
	a.close()
	on.next("web", false)
	if _, _, err := on.do(on.get("/")); !errors.Is(err, ErrOffline) {
		t.Errorf("%v", err)
	}
}

func TestLostWhileUnderWay(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	here, rest := make(chan struct{}), make(chan struct{})
	a := on.connect("web", func(_ http.ResponseWriter, r *http.Request) {
		close(here)
		select {
		case <-rest:
		case <-r.Context().Done():
		}
	})
	defer close(rest)
	failed := make(chan error, 1)
	go func() { _, _, err := on.do(on.get("/")); failed <- err }()
	<-here
	_ = a.mux.Close()
	select {
	case err := <-failed:
		if !errors.Is(err, ErrLost) || errors.Is(err, ErrOffline) {
			t.Errorf("%v", err)
		}
	case <-time.After(patience):
		t.Fatal("the caller still waits")
	}
	on.next("web", false)
}

func TestSessionsShare(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	names := make(chan string, 100)
	hold := make(chan struct{})
	handler := func(name string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			names <- name
			if r.URL.Path == "/hold" {
				<-hold
			}
		}
	}
	on.connect("web", handler("one"))
	two := on.connect("web", handler("two"))
	// Four that are held go to each in turn, because each has as few as the other.
	done := make(chan error, 4)
	count := map[string]int{}
	for range 4 {
		go func() { _, _, err := on.do(on.get("/hold")); done <- err }()
		count[<-names]++
	}
	if count["one"] != 2 || count["two"] != 2 {
		t.Errorf("%v", count)
	}
	close(hold)
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// What one cannot take the other does.
	two.close()
	for {
		if c := on.next("web", true); c.Connections == 1 {
			break
		}
	}
	for range 4 {
		if _, _, err := on.do(on.get("/")); err != nil {
			t.Error(err)
		}
		if got := <-names; got != "one" {
			t.Error(got)
		}
	}
}

func TestBusy(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	here, rest := make(chan struct{}), make(chan struct{})
	on.connect("web", func(http.ResponseWriter, *http.Request) { here <- struct{}{}; <-rest })
	done := make(chan error, maxStreams)
	for range maxStreams {
		go func() { _, _, err := on.do(on.get("/")); done <- err }()
		<-here
	}
	if _, _, err := on.do(on.get("/")); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	close(rest)
	for range maxStreams {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { <-here }()
	if _, _, err := on.do(on.get("/")); err != nil {
		t.Errorf("after the others: %v", err)
	}
}

func TestCanceledCallerFreesItsPlace(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	here, gone := make(chan struct{}), make(chan struct{})
	on.connect("web", func(_ http.ResponseWriter, r *http.Request) { close(here); <-r.Context().Done(); close(gone) })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		resp, err := on.hub.Do(ctx, on.tenant.ID, "web", on.get("/"))
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-here
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-gone // the local program is told
	if n := on.hub.show(on.tenant, Spec{Name: "web", Kind: KindHTTP}).Requests; n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

// A body of which a try read nothing goes with the next one; one that was begun does not.
func TestSource(t *testing.T) {
	body := &closes{Reader: strings.NewReader("abc")}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	b := newSource(r)
	if err := b.Close(); err != nil || body.closed != 0 {
		t.Errorf("%v, closed %d times before anybody read", err, body.closed)
	}
	if got, err := io.ReadAll(b); err != nil || string(got) != "abc" {
		t.Errorf("%q %v", got, err)
	}
	_, _ = b.Close(), b.Close()
	b.giveUp()
	if body.closed != 1 {
		t.Errorf("closed %d times", body.closed)
	}
	if newSource(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)) != nil {
		t.Error("no body is one")
	}
	var none *source
	none.giveUp()
}

type closes struct {
	io.Reader
	closed int
}

func (c *closes) Close() error { c.closed++; return nil }

func TestConnectRefusals(t *testing.T) {
	on := newStage(t, func(c *Config) { c.MaxTunnels = 1 })
	if _, err := on.dial("none"); err == nil || !strings.Contains(err.Error(), "no such tunnel") {
		t.Errorf("%v", err)
	}
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	for _, header := range []http.Header{
		{},
		{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}},
		{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {pipe.Subprotocol}},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header = header
		refused, ok := errors.AsType[noHandshake](on.hub.Connect(w, r, Listener{Tenant: on.tenant, Name: "web"}))
		if status, code, _, _ := refused.HTTP(); !ok || status != 426 || code == "" || w.Body.Len() > 0 {
			t.Errorf("%v: %v", header, refused)
		}
	}
	on.connect("web", func(http.ResponseWriter, *http.Request) {})
	if _, err := on.dial("web"); err == nil || !strings.Contains(err.Error(), "as many connections") {
		t.Errorf("%v", err)
	}
}

func TestKeyEndsTheConnection(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.key.Expires = time.Now().Add(50 * time.Millisecond)
	a := on.connect("web", func(http.ResponseWriter, *http.Request) {})
	on.next("web", false)
	<-a.mux.CloseChan()
}

// A key that is revoked is noticed at the next look.
func TestRevokedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		h := &Hub{cfg: Config{now: time.Now, Holds: func(context.Context, *event.APIKey) bool { looks++; return looks < 3 }}}
		s := &session{mux: idleMux(t), ended: make(chan struct{})}
		start := time.Now()
		h.watch(t.Context(), s, &event.APIKey{})
		if got := time.Since(start); got != 3*keysEvery || looks != 3 {
			t.Errorf("after %s and %d looks", got, looks)
		}
		_ = s.mux.Close()
	})
}

func TestDeletedTunnelEndsItsConnections(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "hooks", Kind: KindSource, Source: "github"})
	a := on.connect("hooks", func(http.ResponseWriter, *http.Request) {})
	if err := on.hub.Delete(t.Context(), on.tenant, "hooks"); err != nil {
		t.Fatal(err)
	}
	on.next("hooks", false)
	<-a.mux.CloseChan()
	if _, err := on.dial("hooks"); err == nil {
		t.Error("connected to what was deleted")
	}
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	b := on.connect("web", func(http.ResponseWriter, *http.Request) {})
	on.hub.TenantDeleted(on.tenant.ID)
	<-b.mux.CloseChan()
}

// A connection that breaks with as much under way as there may be ends at once for all of it.
func TestManyLost(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	here := make(chan struct{})
	a := on.connect("web", func(_ http.ResponseWriter, r *http.Request) { here <- struct{}{}; <-r.Context().Done() })
	failed := make(chan error, maxStreams)
	for range maxStreams {
		go func() { _, _, err := on.do(on.get("/")); failed <- err }()
		<-here
	}
	start := time.Now()
	_ = a.ws.CloseNow()
	for range maxStreams {
		if err := <-failed; !errors.Is(err, ErrLost) {
			t.Errorf("%v", err)
		}
	}
	on.next("web", false)
	if took := time.Since(start); took > 8*time.Second { // one write to a connection that is lost takes ten
		t.Errorf("it took %s", took)
	}
}

// Streams that a listener opens are refused: nobody would read what it sends in them, and it would be kept.
func TestListenerOpensNoStreams(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	c, err := on.dial("web")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	ws := websocket.NetConn(t.Context(), c, websocket.MessageBinary)
	if err := ws.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// A window update with SYN of stream 2: the form of yamux's frames is in package pipe.
	if _, err := ws.Write([]byte{0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	for {
		var frame [12]byte
		if _, err := io.ReadFull(ws, frame[:]); err != nil {
			t.Fatal(err)
		}
		if frame[1] == 1 && frame[7] == 2 {
			if flags := frame[3]; flags&8 == 0 {
				t.Errorf("it was not reset: flags %x", flags)
			}
			return
		}
	}
}

// The time for an answer begins when the request has been taken, and again with each piece of it.
func TestDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fired := 0
		d := newDeadline(firstByte, func() { fired++ })
		body := &movingBody{io.NopCloser(strings.NewReader("abc")), d}
		for range 3 {
			<-time.After(firstByte - time.Second)
			_, _ = body.Read(make([]byte, 1))
		}
		if synctest.Wait(); fired != 0 {
			t.Fatal("it passed, though something moved")
		}
		d.stop()
		_, _ = body.Read(make([]byte, 1))
		<-time.After(2 * firstByte)
		if synctest.Wait(); fired != 0 {
			t.Fatal("it passed after it was stopped")
		}
		late := newDeadline(firstByte, func() { fired++ })
		defer late.stop()
		<-time.After(firstByte)
		if synctest.Wait(); fired != 1 {
			t.Fatal("it did not pass")
		}
	})
}
