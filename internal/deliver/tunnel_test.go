package deliver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// fakeTunnels is one tunnel, named laptop.
type fakeTunnels struct {
	mu       sync.Mutex
	online   bool
	answer   func(n int) (event.Answer, error) // nil: 204
	sent     []event.Request
	ids      []string
	deadline time.Duration
}

func (f *fakeTunnels) Online(_ event.TenantID, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.online && name == "laptop"
}

func (f *fakeTunnels) Send(ctx context.Context, _ *event.Endpoint, ev *event.Event, r *event.Request, _ int) (event.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	copied := *r
	copied.Body = slices.Clone(r.Body)
	f.sent = append(f.sent, copied)
	f.ids = append(f.ids, ev.ID)
	if at, ok := ctx.Deadline(); ok {
		f.deadline = time.Until(at)
	}
	if f.answer != nil {
		return f.answer(len(f.sent))
	}
	return event.Answer{Status: 204}, nil
}

// set makes the tunnel online or not, and tells the manager, as the hub does.
func (f *fakeTunnels) set(r *run, id event.EndpointID, online bool) {
	f.mu.Lock()
	f.online = online
	f.mu.Unlock()
	r.TunnelChanged(id, online)
}

func (f *fakeTunnels) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ids)
}

func laptop() event.Endpoint {
	ep := endpoint(1, order(event.OrderStrict))
	ep.URL, ep.Kind, ep.Forever = "tunnel:laptop", event.KindTunnel, true
	return ep
}

func through(f *fakeTunnels) func(*Config) { return func(c *Config) { c.Tunnels = f } }

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("e%d", i)
	}
	return ids
}

// While nobody is connected nothing is tried or recorded, whatever piles up, and nobody else is held up. Then all of it comes
// at once and in order, also after restarts.
func TestTunnelKeepsWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep, healthy := laptop(), endpoint(2)
		s, sender, tunnels := newFakeStore(ep, healthy), newFakeSender(ok), &fakeTunnels{online: true}
		r := startRun(t, s, sender, through(tunnels))
		s.append(anEvent("e0"))
		advance(time.Second)
		tunnels.set(r, ep.ID, false)
		const n = 5000
		for i := 1; i < n; i++ {
			s.append(anEvent(fmt.Sprintf("e%d", i)))
			if i == n/2 {
				advance(time.Hour)
				r.stop()
				r = startRun(t, s, sender, through(tunnels))
			}
		}
		advance(time.Hour)
		if got := tunnels.seen(); len(got) != 1 {
			t.Errorf("%d were sent while nobody was there", len(got)-1)
		}
		if got := len(sender.seen(healthy.URL)); got != n {
			t.Errorf("the other endpoint got %d", got)
		}
		s.mu.Lock()
		if s.position != n || len(s.lanes) != 1 || len(s.retries) != 0 {
			t.Errorf("position %d, %d lanes, %d retries", s.position, len(s.lanes), len(s.retries))
		}
		s.mu.Unlock()
		if v, err := r.View(t.Context(), &ep); err != nil || v.State != "waiting" || v.Waiting != "offline" || v.Backlog != n-1 || r.State(&ep) != v.State {
			t.Errorf("%+v %v", v, err)
		}
		tunnels.set(r, ep.ID, true)
		synctest.Wait()
		if got := tunnels.seen(); !slices.Equal(got, numbered(n)) {
			t.Errorf("%d came, or not in order", len(got))
		}
		if v, err := r.View(t.Context(), &ep); err != nil || v.State == "waiting" || r.State(&ep) != v.State {
			t.Errorf("%+v %v", v, err)
		}
		r.stop()
	})
}

// A connection that breaks costs the try that was under way; one that is found gone before anything is sent costs none.
func TestTunnelBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		s, tunnels := newFakeStore(ep), &fakeTunnels{online: true}
		tunnels.answer = func(n int) (event.Answer, error) {
			switch n {
			case 3:
				return event.Answer{}, &event.Error{Kind: event.KindInternal, Code: "tunnel_lost", Detail: "the tunnel was lost before the answer"}
			case 5:
				return event.Answer{}, event.Errorf(event.KindUnavailable, "tunnel_offline", "the tunnel is not connected")
			}
			return event.Answer{Status: 200}, nil
		}
		r := startRun(t, s, newFakeSender(ok), through(tunnels))
		for _, id := range numbered(6) {
			s.append(anEvent(id))
		}
		synctest.Wait() // the third is lost
		tunnels.set(r, ep.ID, false)
		advance(time.Hour)
		if got := tunnels.seen(); len(got) != 3 {
			t.Errorf("%v", got)
		}
		tunnels.set(r, ep.ID, true)
		synctest.Wait() // the fifth request finds nobody, and is sent again a little later
		advance(2 * time.Second)
		r.stop()
		if got, want := tunnels.seen(), []string{"e0", "e1", "e2", "e2", "e3", "e3", "e4", "e5"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if len(s.attempts) != 7 || len(s.retries)+len(s.dead) != 0 {
			t.Errorf("%d attempts, %d retries, %d dead", len(s.attempts), len(s.retries), len(s.dead))
		}
		if a := s.attempts[2]; a.Status != 0 || a.Error != "the tunnel was lost before the answer" || a.Verdict != event.VerdictRetry {
			t.Errorf("%+v", a)
		}
		if a := s.attempts[5]; a.Number != 1 {
			t.Errorf("what was not sent counts as a try: %+v", a)
		}
	})
}

// What the local program refuses is tried again soon and without end; order is kept.
func TestTunnelNeverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		ep.Retries = []time.Duration{time.Second, 30 * time.Second}
		s, tunnels := newFakeStore(ep), &fakeTunnels{online: true}
		var last time.Time
		var longest time.Duration
		start := time.Now()
		tunnels.answer = func(n int) (event.Answer, error) {
			if n > 1 {
				longest = max(longest, time.Since(last))
			}
			last = time.Now()
			if time.Since(start) < 10*24*time.Hour {
				return event.Answer{Status: []int{500, 410, 404, 503}[n%4]}, nil
			}
			return event.Answer{Status: 200}, nil
		}
		r := startRun(t, s, newFakeSender(ok), through(tunnels))
		for _, id := range numbered(3) {
			s.append(anEvent(id))
		}
		advance(10*24*time.Hour + time.Hour)
		r.stop()
		got := tunnels.seen()
		if !slices.Equal(slices.Compact(got), numbered(3)) || len(r.owner.disabled) > 0 || longest > 40*time.Second {
			t.Errorf("%v, disabled: %v, a wait of %s", slices.Compact(got), r.owner.disabled, longest)
		}
	})
}

// What goes to a tunnel is a request with Posthorn's headers, or the one that came in.
func TestTunnelRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		s, tunnels := newFakeStore(ep), &fakeTunnels{online: true}
		r := startRun(t, s, newFakeSender(ok), through(tunnels))
		s.append(anEvent("e0"))
		advance(time.Second)
		next := ep
		next.Envelope, next.Signing, next.Timeout, next.Revision = event.EnvelopeOriginal, "none", 7*time.Second, 2
		r.EndpointChanged(&next)
		ev := anEvent("e1")
		ev.Origin = &event.Request{
			Head: []byte("PUT /in/acme/x/sub?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nwebhook-id: theirs\r\nX-A: 2\r\nCookie: posthorn_token=x\r\nContent-Length: 3\r\n"),
			Body: []byte{0, 255, 10}, URL: "https://h/in/acme/x/sub?q", Path: "/sub?q",
		}
		s.append(ev)
		advance(time.Second)
		r.stop()
		if len(tunnels.sent) != 2 {
			t.Fatalf("%d", len(tunnels.sent))
		}
		plain, came := &tunnels.sent[0], &tunnels.sent[1]
		if method, target, _ := plain.Line(); method != "POST" || target != "/" || plain.Path != "" || plain.URL != "" || len(plain.Body) == 0 {
			t.Errorf("%s %+v", plain.Head, plain)
		}
		for _, name := range []string{"Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature", "posthorn-version", "posthorn-attempt"} {
			if plain.Header(name) == "" {
				t.Errorf("no %s in %s", name, plain.Head)
			}
		}
		want := "PUT / HTTP/1.1\r\nX-A: 1\r\nwebhook-id: theirs\r\nX-A: 2\r\nposthorn-webhook-id: e1\r\nposthorn-webhook-timestamp: " +
			came.Header("posthorn-webhook-timestamp") + "\r\nposthorn-version: 2\r\nposthorn-attempt: 1\r\n"
		if string(came.Head) != want || came.Path != "/sub?q" || came.URL != ev.Origin.URL || string(came.Body) != "\x00\xff\n" {
			t.Errorf("%q\nwant %q; %+v", came.Head, want, came)
		}
		if tunnels.deadline != 7*time.Second {
			t.Errorf("%s", tunnels.deadline)
		}
	})
}

func TestWithoutTunnelsTheyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := laptop()
		s := newFakeStore(ep)
		r := startRun(t, s, newFakeSender(ok))
		s.append(anEvent("e0"))
		advance(time.Minute)
		a, err := r.Test(t.Context(), &ep, &event.Event{ID: "t"})
		if err != nil || a.Status != 0 || a.Error != "the tunnel is not connected" || len(s.attempts) > 0 {
			t.Errorf("%+v %v, %d attempts", a, err, len(s.attempts))
		}
		r.stop()
	})
}

// A request that came in is sent on byte for byte: its method, path, headers in their order and case, and body.
func TestOriginalIsSentAsItCame(t *testing.T) {
	type arrived struct {
		head, body string
	}
	requests := make(chan arrived, 10)
	url := raw(t, func(c net.Conn, r *bufio.Reader) {
		var head strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		body := make([]byte, strings.Count(head.String(), "Content-Length: 5"))
		if len(body) > 0 {
			body = make([]byte, 5)
			_, _ = io.ReadFull(r, body)
		}
		requests <- arrived{head.String(), string(body)}
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/hook")
	ep := endpoint(1)
	ep.URL, ep.Envelope, ep.AuthType = url+"?key=1", event.EnvelopeOriginal, "bearer"
	m := New(Config{
		Sender: loopbackSender(t, nil), Timeout: 10 * time.Second, UserAgent: "Posthorn/test",
		Opener: secretsOf(event.Secrets{
			Signing: []event.SigningSecret{{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}, //nolint:gosec // public
			Headers: []event.Header{{Name: "X-Hub-Signature-256", Value: "mine"}, {Name: "X-Mine", Value: "1"}}, Auth: &event.Credentials{Token: "t"},
		}),
	})
	send := func(ev *event.Event) arrived {
		t.Helper()
		a, err := m.Test(t.Context(), &ep, ev)
		if err != nil || a.Status != 204 {
			t.Fatalf("%+v %v", a, err)
		}
		return <-requests
	}
	got := send(&event.Event{ID: "e1", Version: 7, Data: []byte("{ \"a\"}"[:5]), Origin: &event.Request{
		Head: []byte("DELETE /in/acme/github/x%2Fy?b=%zz HTTP/1.1\r\nhOST: h\r\nUser-Agent: GitHub\r\nX-B: 2\r\ncookie: a=1; posthorn_token=t; b=2\r\n" +
			"X-Hub-Signature-256: sha256=theirs\r\nAuthorization: Basic theirs\r\nX-a: 1\r\nContent-Type: text/x; charset=odd\r\nX-B: 3\r\nConnection: keep-alive, X-Gone\r\n" +
			"X-Gone: 1\r\nContent-Length: 5\r\nExpect: 100-continue\r\nTE: trailers\r\nAccept-Encoding: br\r\nAccept: */*\r\nposthorn-version: 99\r\n"),
		Path: "/x%2Fy?b=%zz",
	}})
	lines := strings.Split(strings.TrimSuffix(got.head, "\r\n\r\n"), "\r\n")
	for i, line := range lines {
		for _, variable := range []string{"webhook-timestamp: ", "webhook-signature: "} {
			if strings.HasPrefix(line, variable) && len(line) > len(variable) {
				lines[i] = variable
			}
		}
	}
	want := []string{
		"DELETE /hook/x%2Fy?key=1&b=%zz HTTP/1.1", "Host: " + host, "User-Agent: GitHub", "X-B: 2", "cookie: a=1; b=2", "X-Hub-Signature-256: sha256=theirs", "X-a: 1",
		"Content-Type: text/x; charset=odd", "X-B: 3", "Accept: */*", "X-Mine: 1", "authorization: Bearer t", "webhook-id: e1", "webhook-timestamp: ",
		"webhook-signature: ", "posthorn-version: 7", "posthorn-attempt: 1", "Content-Length: 5",
	}
	if !slices.Equal(lines, want) || got.body != `{ "a"` {
		t.Errorf("%s\nwant %s; body %q", strings.Join(lines, "\n"), strings.Join(want, "\n"), got.body)
	}
	// Without a body, and with nothing after the address.
	got = send(&event.Event{ID: "e2", Origin: &event.Request{Head: []byte("GET /in/acme/github HTTP/1.1\r\nHost: h\r\n")}})
	if !strings.HasPrefix(got.head, "GET /hook?key=1 HTTP/1.1\r\nHost: "+host+"\r\nX-Hub-Signature-256: mine\r\n") || strings.Contains(got.head, "Content-Length") {
		t.Errorf("%s", got.head)
	}
	// What came in by another way is raw.
	got = send(&event.Event{ID: "e3", Data: []byte(`[1,2]`)})
	if !strings.HasPrefix(got.head, "POST /hook?key=1 HTTP/1.1\r\n") || got.body != "[1,2]" || !strings.Contains(got.head, "application/json") {
		t.Errorf("%s %s", got.head, got.body)
	}
}

type secretsOf event.Secrets

func (s secretsOf) Secrets(context.Context, *event.Endpoint) (event.Secrets, error) {
	return event.Secrets(s), nil
}

func TestOriginalURL(t *testing.T) {
	for _, c := range []struct{ url, path, want string }{
		{"https://x/hooks", "", "https://x/hooks"},
		{"https://x/hooks", "/a/b", "https://x/hooks/a/b"},
		{"https://x/hooks/", "/a/b", "https://x/hooks/a/b"},
		{"https://x", "/a", "https://x/a"},
		{"https://x/h?k=1", "/a?b=2", "https://x/h/a?k=1&b=2"},
		{"https://x/h?k=1", "?b=2", "https://x/h?k=1&b=2"},
		{"https://x/h?k=1", "/a", "https://x/h/a?k=1"},
		{"https://x/h#f", "/a", "https://x/h/a"},
		{"https://x/h", "/a#b?c#d", "https://x/h/a%23b?c%23d"},
		{"https://x/h", "/a/../../admin?q", "https://x/h?q"},
		{"https://x/h", "/%2E%2e/admin", "https://x/h"},
		{"https://x/h", "/..%2Fadmin", "https://x/h"},
		{"https://x/h", `/..\admin`, "https://x/h"},
		{"https://x/h", "/..;a/admin", "https://x/h"},
		{"https://x/h", "/..a/.b/c..", "https://x/h/..a/.b/c.."},
	} {
		if got := originalURL(c.url, c.path); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.url, c.path, got, c.want)
		}
	}
}

func TestWholeAnswer(t *testing.T) {
	size := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, strings.Repeat("y", size))
	}))
	defer server.Close()
	sender := loopbackSender(t, nil)
	for _, size = range []int{0, 10, event.MaxAnswerKept + 1, event.MaxAnswer} {
		r := request(server.URL, 10*time.Second)
		r.Whole = true
		a := sender.Send(r)
		if a.whole == nil || a.whole.Status != http.StatusTeapot || len(a.whole.Body) != size || len(a.Body) != min(size, event.MaxAnswerKept) ||
			!slices.Contains(a.whole.Headers, event.Header{Name: "Set-Cookie", Value: "a=1"}) {
			t.Errorf("%d: %+v", size, a.whole)
		}
	}
	size = event.MaxAnswer + 1
	r := request(server.URL, 10*time.Second)
	r.Whole = true
	if a := sender.Send(r); a.whole == nil || a.whole.Status != 0 || a.whole.Reason == "" || a.Status != http.StatusTeapot {
		t.Errorf("%+v", a.whole)
	}
}
