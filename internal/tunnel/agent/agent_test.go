package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// TestBytes sends 3 MiB of noise, labelled as compressed, both ways at the same time.
func TestBytes(t *testing.T) {
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	app := local(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", fmt.Sprint(len(noise)))
		_ = http.NewResponseController(w).EnableFullDuplex()
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	})
	for _, declared := range []bool{true, false} {
		s := newTestServer(t)
		a := startAgent(t, s, app.URL)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/in", bytes.NewReader(noise))
		if !declared {
			req.ContentLength = -1
		}
		req.Header.Set("Content-Encoding", "br")
		if got := do(t, through(t, s.session()), req).body; !bytes.Equal(got, noise) {
			t.Fatalf("got %d bytes that are not those that were sent", len(got))
		}
		e := finished(t, a)
		for name, m := range map[string]Message{"request": e.Request, "answer": e.Answer} {
			if m.Size != 3<<20 || len(m.Body) != MaxBody || !m.Cut || !bytes.Equal(m.Body, noise[:MaxBody]) {
				t.Errorf("the %s was recorded with %d of %d bytes, cut: %t", name, len(m.Body), m.Size, m.Cut)
			}
		}
	}
}

// rawApp is a program that shows the bytes of the request's head and answers with given bytes.
func rawApp(t *testing.T, answer string) (addr string, heads <-chan string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				var head strings.Builder
				s := bufio.NewReader(c)
				for {
					line, err := s.ReadString('\n')
					if err != nil {
						return
					}
					head.WriteString(line)
					if line == "\r\n" {
						break
					}
				}
				if strings.Contains(head.String(), "\r\nContent-Length: 4\r\n") {
					_, _ = io.ReadFull(s, make([]byte, 4))
				}
				seen <- head.String()
				_, _ = io.WriteString(c, answer)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String(), seen
}

// TestHead holds what the target sees, and the caller, to what was sent: names' case, values, repetitions, escapes.
func TestHead(t *testing.T) {
	addr, heads := rawApp(t, "HTTP/1.1 299 Odd But Fine\r\nX-Two: a\r\nX-Two:  b \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	s := newTestServer(t)
	a := startAgent(t, s, "http://"+addr+"/hooks/", func(o *Options) { o.RewriteHost = false })
	c, err := s.session().Open()
	if err != nil {
		t.Fatal(err)
	}
	info := Info{Kind: "bin", ID: "cap-1", Seq: 7, URL: "https://hooks.example.com/b/1/a?b", Remote: "192.0.2.7", Kept: true}
	_, err = io.WriteString(c, "POST /a%2Fb;x/%e4?q=1;2&&%zz HTTP/1.1\r\nHost: Called.Example.com\r\nX-WebHook-ID: Ünï\r\nx-lower: 1\r\nX-Two: one\r\nX-Two: two, three\r\n"+
		"X-Empty:\r\nX-Space:   in  side  \r\nAccept: */*\r\nForwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nPosthorn-Tunnel: "+infoJSON(t, info)+
		"\r\nContent-Length: 4\r\n\r\nbody")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(<-heads, "\r\n\r\n"), "\r\n")
	if got[0] != "POST /hooks/a%2Fb;x/%e4?q=1;2&&%zz HTTP/1.1" {
		t.Errorf("asked for %q", got[0])
	}
	want := map[string]bool{
		"Host: Called.Example.com": true, "Content-Length: 4": true, "X-WebHook-ID: Ünï": true, "x-lower: 1": true, "X-Two: one": true,
		"X-Two: two, three": true, "X-Empty: ": true, "X-Space: in  side": true, "Accept: */*": true, "Forwarded: for=192.0.2.1": true,
		"X-Forwarded-For: 192.0.2.1": true, "X-Forwarded-Host: hooks.example.com": true, "X-Forwarded-Proto: https": true,
	}
	lines := map[string]bool{}
	for _, l := range got[1:] {
		lines[l] = true
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("the header (-want +got):\n%s", diff)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	// net/http has words of its own for the status.
	if want := "HTTP/1.1 299 status code 299\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Two: a\r\nX-Two: b\r\nConnection: close\r\n\r\nok"; string(answer) != want {
		t.Errorf("the answer:\n%q, want\n%q", answer, want)
	}
	e := finished(t, a)
	if !cmp.Equal(e.Info, info) || e.Path != "/hooks/a%2Fb;x/%e4?q=1;2&&%zz" || string(e.Request.Body) != "body" || e.Status != 299 || e.StatusText != "299 Odd But Fine" || string(e.Answer.Body) != "ok" {
		t.Errorf("recorded %+v", e)
	}
	order := []Field{
		{"Host", "Called.Example.com"},
		{"X-WebHook-ID", "Ünï"},
		{"x-lower", "1"},
		{"X-Two", "one"},
		{"X-Two", "two, three"},
		{"X-Empty", ""},
		{"X-Space", "in  side"},
		{"Accept", "*/*"},
		{"Forwarded", "for=192.0.2.1"},
		{"X-Forwarded-For", "192.0.2.1"},
		{"Content-Length", "4"},
		{"X-Forwarded-Host", "hooks.example.com"},
		{"X-Forwarded-Proto", "https"},
	}
	if diff := cmp.Diff(order, e.Request.Header); diff != "" {
		t.Errorf("the recorded header (-want +got):\n%s", diff)
	}
}

func TestHostRewrite(t *testing.T) {
	hosts := make(chan string, 1)
	app := local(t, func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })
	s := newTestServer(t)
	startAgent(t, s, app.URL, func(o *Options) { o.RewriteHost = true })
	do(t, through(t, s.session()), asking(t, "GET", "http://called.example.com/", ""))
	if got := <-hosts; "http://"+got != app.URL {
		t.Errorf("the target was called %s", got)
	}
}

func TestJoinPath(t *testing.T) {
	for _, tt := range []struct{ target, asked, want string }{
		{"http://h", "/", "/"},
		{"http://h", "/a?b", "/a?b"},
		{"http://h/", "//a", "//a"},
		{"http://h/hooks", "/", "/hooks"},
		{"http://h/hooks", "/?a=1", "/hooks?a=1"},
		{"http://h/hooks/", "/", "/hooks/"},
		{"http://h/hooks/", "/a", "/hooks/a"},
		{"http://h/a%2Fb", "/%2e%2e/x", "/a%2Fb/%2e%2e/x"},
		{"http://h/hooks", "http://elsewhere/x?y", "/hooks/x?y"},
		{"http://h", "*", "*"},
	} {
		u, err := url.Parse(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("OPTIONS " + tt.asked + " HTTP/1.1\r\nHost: h\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got := joinPath(u, r); got != tt.want {
			t.Errorf("%s and %s make %q, want %q", tt.target, tt.asked, got, tt.want)
		}
	}
}

// TestUpgrade sends bytes both ways through a connection that was upgraded, and ends it from each side.
func TestUpgrade(t *testing.T) {
	app := local(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			t.Errorf("the target was asked for %v", r.Header)
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	})
	s := newTestServer(t)
	a := startAgent(t, s, app.URL)
	c, err := s.session().Open()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil) //nolint:bodyclose // the body is the connection
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "echo" {
		t.Fatalf("answered %v, %v", res, err)
	}
	for _, text := range []string{"hello", strings.Repeat("x", 100_000)} {
		go func() { _, _ = io.WriteString(c, text) }()
		got := make([]byte, len(text))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
			t.Fatalf("got %d bytes: %v", len(got), err)
		}
	}
	if list := a.Recorder().List(1, nil); list[0].State != Upgraded || !list[0].Upgrade {
		t.Errorf("recorded as %s", list[0].State)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	e := finished(t, a)
	if e.State != Done || e.Request.Size != 100_005 || e.Answer.Size != 100_005 || e.Request.Body != nil || e.Request.Cut {
		t.Errorf("recorded %+v", e)
	}
	if _, err := a.Replay(e.ID, Edit{}); !errors.Is(err, ErrUpgrade) {
		t.Errorf("a replay of it: %v", err)
	}
}

// TestRefused: while nothing listens callers are told; when something does, all goes on.
func TestRefused(t *testing.T) {
	free := httptest.NewServer(nil)
	addr := free.Listener.Addr().String()
	free.Close()
	s := newTestServer(t)
	a := startAgent(t, s, "http://"+addr)
	c := through(t, s.session())
	r := do(t, c, asking(t, "POST", "http://h/x", "body"))
	if text := string(r.body); r.status != http.StatusBadGateway || r.header.Get(pipe.HeaderError) != ErrorRefused || !strings.Contains(text, "Nothing listens") || strings.Contains(text, addr) {
		t.Errorf("answered %d %v %q", r.status, r.header, text)
	}
	if e := finished(t, a); e.State != Failed || e.Error != ErrorRefused || e.Status != 502 || e.RawAnswer() != nil {
		t.Errorf("recorded %+v", e)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	app := &httptest.Server{Listener: l, Config: &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })}}
	app.Start()
	t.Cleanup(app.Close)
	if r := do(t, c, asking(t, "GET", "http://h/x", "")); r.status != http.StatusAccepted {
		t.Errorf("answered %d", r.status)
	}
}

// TestBroken: answers that end before their end are told apart from whole ones.
func TestBroken(t *testing.T) {
	for answer, want := range map[string]string{
		"":              ErrorBroken,
		"SSH-2.0-x\r\n": ErrorBroken,
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf": ErrorBroken,
	} {
		addr, _ := rawApp(t, answer)
		s := newTestServer(t)
		a := startAgent(t, s, "http://"+addr)
		res, err := through(t, s.session()).Do(asking(t, "GET", "http://h/", ""))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if strings.Contains(answer, "200") != (err != nil) {
			t.Errorf("%q: the caller read: %v", answer, err)
		}
		if e := finished(t, a); e.State != Failed || e.Error != want {
			t.Errorf("%q: recorded as %s, %q", answer, e.State, e.Error)
		}
	}
}

// TestCallerGone: a caller that goes away ends the request to the target.
func TestCallerGone(t *testing.T) {
	inside, gone := make(chan struct{}), make(chan struct{})
	app := local(t, func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
		close(gone)
	})
	s := newTestServer(t)
	a := startAgent(t, s, app.URL)
	c := through(t, s.session())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-inside
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://h/", nil)
	if res, err := c.Do(req); err == nil {
		_ = res.Body.Close()
		t.Error("there was an answer")
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the target was not told")
	}
	if e := finished(t, a); e.Error != ErrorCanceled || e.Status != 0 {
		t.Errorf("recorded as %s %d %q", e.State, e.Status, e.Error)
	}
}

// TestStreaming: an answer comes while it is made, and is kept as it comes.
func TestStreaming(t *testing.T) {
	more := make(chan struct{})
	app := local(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "data: 2\n\n")
	})
	s := newTestServer(t)
	a := startAgent(t, s, app.URL)
	res, err := through(t, s.session()).Do(asking(t, "GET", "http://h/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	first := make([]byte, 9)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "data: 1\n\n" {
		t.Fatalf("%q, %v", first, err)
	}
	if e := a.Recorder().List(1, nil)[0]; e.State != Answering || string(e.Answer.Body) != "data: 1\n\n" {
		t.Errorf("recorded %s %q", e.State, e.Answer.Body)
	}
	close(more)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "data: 2\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestReconnect: the server goes, and comes back at the same address.
func TestReconnect(t *testing.T) {
	app := local(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	s := newTestServer(t)
	var mu sync.Mutex
	var seen []Status
	a := startAgent(t, s, app.URL, func(o *Options) {
		o.OnStatus = func(st Status) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, st)
		}
	})
	first := s.session()
	await(t, a, "it is connected", func() bool { return a.Status().Connected })
	s.stop()
	_ = first.Close()
	await(t, a, "it is not connected", func() bool { st := a.Status(); return !st.Connected && st.Err != nil && !st.Retry.IsZero() })
	s.start(s.addr)
	if got := string(do(t, through(t, s.session()), asking(t, "GET", "http://h/", "")).body); got != "here" {
		t.Errorf("answered %q", got)
	}
	if st := a.Status(); !st.Connected || st.Connects != 2 || st.Err != nil {
		t.Errorf("the state is %+v", st)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) < 3 || !seen[0].Connected || seen[1].Connected || !seen[len(seen)-1].Connected {
		t.Errorf("told %+v", seen)
	}
}

// TestFinal: what trying again does not mend ends the agent with the server's words.
func TestFinal(t *testing.T) {
	for _, tt := range []struct {
		status  int
		problem string
		code    string
	}{
		{401, `{"title":"Unauthorized","code":"unauthorized","detail":"the key is not known"}`, "unauthorized"},
		{403, `{"title":"Forbidden","code":"forbidden"}`, "forbidden"},
		{404, `{"title":"Not Found","code":"not_found"}`, "not_found"},
		{404, `<html>`, "http_404"},
		{200, `welcome`, "http_200"},
		{301, ``, "http_301"},
	} {
		s := newTestServer(t)
		s.set(tt.status, tt.problem)
		a, err := New(Options{Connect: "http://" + s.addr, Key: testKey, Target: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		err = a.Run(t.Context())
		p, ok := errors.AsType[*client.Problem](err)
		if !ok || p.Status != tt.status || p.Code != tt.code {
			t.Errorf("%d %s: %v", tt.status, tt.problem, err)
		}
		if st := a.Status(); st.Connected || st.Err == nil || !st.Retry.IsZero() {
			t.Errorf("%d: the state is %+v", tt.status, st)
		}
	}
}

// TestNotForever: what may pass is tried again.
func TestNotForever(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503} {
		s := newTestServer(t)
		s.set(status, `{"title":"Later","code":"later"}`)
		a := startAgent(t, s, "http://127.0.0.1:1")
		await(t, a, "it was refused", func() bool { return a.Status().Err != nil })
		s.set(0, "")
		s.session()
	}
}

// TestStop: a request that is on its way when the agent is stopped gets its answer.
func TestStop(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	app := local(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-goOn
		_, _ = io.WriteString(w, "late")
	})
	s := newTestServer(t)
	u, _ := url.Parse(app.URL)
	a, err := New(Options{Connect: "http://" + s.addr, Key: testKey, Target: u})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c := through(t, s.session())
	answers := make(chan string, 1)
	req := asking(t, "GET", "http://h/", "")
	go func() {
		res, err := c.Do(req)
		if err != nil {
			answers <- err.Error()
			return
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Error(err)
		}
		answers <- string(body)
	}()
	<-inside
	stop()
	close(goOn)
	if got := <-answers; got != "late" {
		t.Errorf("answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestBackoff(t *testing.T) {
	for failed, most := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 4: 16 * time.Second, 5: 30 * time.Second, 500: 30 * time.Second} {
		for range 200 {
			if got := backoff(failed); got > most || got < most/2-1 {
				t.Fatalf("after %d failures: %s, want up to %s", failed, got, most)
			}
		}
	}
}

// TestPatience: without a server the waits grow.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		a, err := New(Options{
			Connect: "http://server.test", Key: testKey, Target: &url.URL{Scheme: "http", Host: "127.0.0.1:1"},
			Transport: tripper(func(*http.Request) (*http.Response, error) {
				tries = append(tries, time.Now())
				return nil, errors.New("no route")
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(tries); n < 12 || n > 30 {
			t.Errorf("%d tries in 5 minutes", n)
		}
		if last := tries[len(tries)-1].Sub(tries[len(tries)-2]); last < 15*time.Second {
			t.Errorf("the last wait was %s", last)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A connection that breaks with much under way ends for all of it at once, and a new one is made.
func TestManyUnderWay(t *testing.T) {
	const many = 250
	here := make(chan struct{})
	var gone sync.WaitGroup
	gone.Add(many)
	app := local(t, func(_ http.ResponseWriter, r *http.Request) {
		here <- struct{}{}
		<-r.Context().Done()
		gone.Done()
	})
	s := newTestServer(t)
	startAgent(t, s, app.URL)
	mux := s.session()
	for range many {
		c, err := mux.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-here
	}
	start := time.Now()
	_ = mux.Close()
	gone.Wait()
	if took := time.Since(start); took > 8*time.Second { // one write to a connection that is lost takes ten
		t.Errorf("it took %s", took)
	}
	s.session()
}
