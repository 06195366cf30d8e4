package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// sessionCookie is the cookie's name for a public URL with https, as tests have.
const sessionCookie = "__Host-posthorn_session"

// browser is a client that keeps a session's cookie.
type browser struct {
	r      *running
	http   *http.Client
	cookie *http.Cookie
}

func (r *running) browser() *browser {
	transport := &http.Transport{}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &browser{r: r, http: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do sends a request and returns its answer, whose body is read unless it is a stream.
func (b *browser) do(method, path, body string, header ...string) (*http.Response, string) {
	b.r.t.Helper()
	req, err := http.NewRequestWithContext(b.r.t.Context(), method, b.r.Addr()+path, strings.NewReader(body))
	if err != nil {
		b.r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.r.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if c.Name == sessionCookie {
			b.cookie = c
		}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		b.r.t.Cleanup(func() { _ = resp.Body.Close() })
		return resp, ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.r.t.Fatal(err)
	}
	return resp, string(text)
}

// want sends a request and checks the status.
func (b *browser) want(status int, method, path, body string, header ...string) string {
	b.r.t.Helper()
	resp, text := b.do(method, path, body, header...) //nolint:bodyclose // closed there
	if resp.StatusCode != status {
		b.r.t.Errorf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, text)
	}
	return text
}

func (b *browser) signIn(key string) {
	b.r.t.Helper()
	b.want(200, "POST", "/v1/session", `{"key":"`+key+`"}`, "Origin", b.r.Addr())
}

// TestSessionOverBothServers: a session publishes by both servers of the port, and no other page lets it.
func TestSessionOverBothServers(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	b := r.browser()
	b.signIn(testRoot)
	const events, body = "/v1/tenants/acme/events", `{"type":"a.b"}`
	b.want(202, "POST", events, body, "Origin", r.Addr(), "Sec-Fetch-Site", "same-origin") // its connection is with net/http by now
	fresh := r.browser()
	fresh.cookie = b.cookie
	fresh.want(202, "POST", events, body, "Origin", r.Addr(), "Sec-Fetch-Site", "same-origin") // the first of its connection
	for _, header := range [][]string{
		{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"},
	} {
		for _, c := range []*browser{b, r.browser()} {
			c.cookie = b.cookie
			if text := c.want(403, "POST", events, body, header...); !strings.Contains(text, "origin_not_allowed") {
				t.Errorf("%v: %s", header, text)
			}
		}
	}
	other := r.browser()
	other.cookie = &http.Cookie{Name: sessionCookie, Value: strings.Repeat("A", 43)}
	other.want(401, "POST", events, body)
	other.cookie = b.cookie
	other.want(401, "POST", events, body, "Authorization", "Bearer nobody")
	b.want(204, "DELETE", "/v1/session", "")
	fresh.want(401, "POST", events, body)
}

// TestSessionStreams: what a session listens to ends with it, and with its key.
func TestSessionStreams(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	k, err := r.client.CreateAPIKey(t.Context(), client.APIKey{Name: "reader", Tenant: "acme", Allow: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	ended := func(b *browser) chan error {
		resp, _ := b.do("GET", "/v1/tenants/acme/stream", "", "Accept", "text/event-stream") //nolint:bodyclose // closed by a clean-up
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		done := make(chan error, 1)
		go func() {
			s := bufio.NewScanner(resp.Body)
			for s.Scan() {
			}
			done <- s.Err()
		}()
		return done
	}
	first, second := r.browser(), r.browser()
	first.signIn(k.Key)
	second.signIn(k.Key)
	a, b := ended(first), ended(second)

	header := http.Header{"Cookie": {first.cookie.Name + "=" + first.cookie.Value}, "Origin": {"https://evil.example"}}
	at := strings.Replace(r.Addr(), "http", "ws", 1) + "/v1/tenants/acme/socket"
	if _, resp, err := websocket.Dial(t.Context(), at, &websocket.DialOptions{HTTPHeader: header}); err == nil || resp.StatusCode != http.StatusForbidden { //nolint:bodyclose // the library closes it
		t.Errorf("a socket for another page: %v", err)
	}
	header.Set("Origin", r.Addr())
	socket, _, err := websocket.Dial(t.Context(), at, &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the library closes it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.CloseNow() }()

	first.want(204, "DELETE", "/v1/session", "")
	wait(t, "the stream of a session that was ended", a)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for err = nil; err == nil; {
		_, _, err = socket.Read(ctx)
	}
	if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the socket of a session that was ended: %v", err)
	}
	select {
	case err := <-b:
		t.Errorf("another session's stream ended, too: %v", err)
	default:
	}
	key := event.APIKey{Session: sessionID(t, second)}
	if !r.holds(t.Context(), &key) {
		t.Error("the session of a key that is good does not hold")
	}
	if err := r.client.DeleteAPIKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if r.holds(t.Context(), &key) { // the hub asks about every 30 s
		t.Error("the session of a deleted key holds")
	}
	second.want(401, "GET", "/v1/me", "")
	r.sessionEnded(key.Session)
	wait(t, "the stream of the other session", b)
}

func wait(t *testing.T, what string, done chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s goes on", what)
	}
}

func sessionID(t *testing.T, b *browser) string {
	t.Helper()
	var list client.Page[client.Session]
	if err := json.Unmarshal([]byte(b.want(200, "GET", "/v1/sessions", "")), &list); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Data, func(s client.Session) bool { return s.Current })
	if i < 0 {
		t.Fatalf("%+v", list)
	}
	return list.Data[i].ID
}

// TestSessionAudit: signing in, and failing to, is on the audit log.
func TestSessionAudit(t *testing.T) {
	t.Parallel()
	r := newRunning(t)
	b := r.browser()
	b.want(401, "POST", "/v1/session", `{"key":"nobody"}`)
	b.signIn(testRoot)
	id := sessionID(t, b)
	b.want(204, "DELETE", "/v1/sessions", "")
	list, _, err := r.audit.Entries(t.Context(), event.AuditQuery{Resource: "session", Limit: 10})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	out, in, refused := list[0], list[1], list[2]
	if refused.Action != "log-in" || refused.Outcome != event.AuditRefused || refused.Code != "unauthorized" || refused.ActorKind != event.ByUnknown || refused.Address != "127.0.0.1" {
		t.Errorf("%+v", refused)
	}
	if in.Action != "log-in" || in.Outcome != event.AuditDone || in.ActorKind != event.ByRoot || in.ResourceID != id || in.RequestID == "" {
		t.Errorf("%+v", in)
	}
	if out.Action != "log-out-everywhere" || out.Outcome != event.AuditDone || out.ActorKind != event.ByRoot {
		t.Errorf("%+v", out)
	}
}

// TestProviderUnreachable: without its provider of identities a server starts, and API keys sign in.
func TestProviderUnreachable(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, "--oidc-issuer", nobody, "--oidc-client-id", "posthorn", "--oidc-roles", "ops=admin,shop=acme:read", "--oidc-name", "Example ID")
	b := r.browser()
	if text := b.want(200, "GET", "/v1/session/options", ""); !strings.Contains(text, `"name":"Example ID"`) {
		t.Error(text)
	}
	for path, want := range map[string]string{"/ui/login/oidc?here=1&return=/ui/acme": "/ui/login?error=oidc_failed&return=%2Fui%2Facme", "/ui/login/oidc/callback?code=x&state=y": "/ui/login?error=oidc_expired"} {
		resp, _ := b.do("GET", path, "") //nolint:bodyclose // closed there
		if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != want || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d to %s", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	b.signIn(testRoot)
	b.want(200, "GET", "/v1/me", "")
}
