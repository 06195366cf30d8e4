package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// The clients that Webhook.site and smee.io give to their users, as npm installs them.
const (
	webhookSiteCLI = "node_modules/@webhooksite/cli/index.js"
	smeeClient     = "node_modules/smee-client/bin/smee.js"
)

// foreign is a client that was made for another service.
type foreign struct {
	t   testing.TB
	cmd *exec.Cmd
	out *tail
}

func startForeign(t testing.TB, env []string, args ...string) *foreign {
	t.Helper()
	f := &foreign{t: t, cmd: exec.Command("node", args...), out: &tail{}} //nolint:noctx // it is stopped by a signal
	f.cmd.Dir, f.cmd.Env, f.cmd.SysProcAttr = "js", append(clean(), env...), orphanless()
	f.cmd.Stdout, f.cmd.Stderr = f.out, f.out
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill() // may have ended
		_ = f.cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", args[0], f.out)
		}
	})
	return f
}

// says waits for a text in what it writes.
func (f *foreign) says(text string) {
	f.t.Helper()
	eventually(f.t, "the client says "+text, func() (bool, string) {
		all := f.out.String()
		return strings.Contains(all, text), all
	})
}

// teapot is the program on a laptop to which requests are forwarded: it keeps them and answers in its own way.
type teapot struct {
	*httptest.Server
	mu  sync.Mutex
	got []caught
}

type caught struct {
	method, uri string
	header      http.Header
	body        []byte
}

func newTeapot(t testing.TB) *teapot {
	t.Helper()
	l := &teapot{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got = append(l.got, caught{r.Method, r.RequestURI, r.Header, body})
		w.Header().Set("X-Local", "yes")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "local answer to %s\x00\xff", r.Method) // the client may be gone
	}))
	t.Cleanup(l.Close)
	return l
}

// find waits for the first request that is meant.
func (l *teapot) find(t testing.TB, what string, meant func(d *caught) bool) caught {
	t.Helper()
	var found caught
	eventually(t, what+" arrives", func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range l.got {
			if meant(&l.got[i]) {
				found = l.got[i]
				return true, ""
			}
		}
		return false, fmt.Sprint(len(l.got), " requests")
	})
	return found
}

// sendPlain sends a request; headers are names and values in turn.
func sendPlain(t testing.TB, method, url, body string, headers ...string) (status int, header http.Header, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(all)
}

// tokenOf makes a token with a key and returns its ID.
func tokenOf(t testing.TB, s *server, key string) string {
	t.Helper()
	status, _, body := sendPlain(t, "POST", s.url()+"/token", "{}", "Api-Key", key)
	var made struct{ UUID string }
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated {
		t.Fatal(status, body, err)
	}
	return made.UUID
}

// tenantKey makes a key that may manage the tenant.
func tenantKey(t testing.TB, s *server) string {
	t.Helper()
	k, err := s.client.CreateAPIKey(t.Context(), client.APIKey{Name: "faces", Tenant: tenant, Allow: []string{"manage"}})
	if err != nil {
		t.Fatal(err)
	}
	return k.Key
}

// TestWebhookSiteForward runs Webhook.site's own command line against Posthorn: what is sent to a token reaches a local
// program, whose answer goes back to the caller.
func TestWebhookSiteForward(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	key, l := tenantKey(t, s), newTeapot(t)
	id := tokenOf(t, s, key)
	env := []string{"WH_API=" + s.url(), "WH_WS_HOST=" + s.url()}
	f := startForeign(t, env, webhookSiteCLI, "forward", "--token="+id, "--api-key="+key, "--target="+l.URL+"/base", "--listen-timeout=10")
	f.says("Connected to Websocket")
	// It says so before it has subscribed: what is sent in that moment is kept, but not forwarded.
	eventually(t, "the client has subscribed", func() (bool, string) {
		status, _, text := sendPlain(t, "POST", s.url()+"/"+id+"/warm", "x", "Content-Type", "text/plain")
		return status == http.StatusTeapot, text
	})
	body := `{"order": 7, "text": "šílený 😀 \n", "big": 12345678901234567890}`
	status, header, text := sendPlain(t, "PUT", s.url()+"/"+id+"/orders/7?a=1&b=%C3%BC", body, "Content-Type", "application/json", "X-Signature", "sha256=abc")
	if status != http.StatusTeapot || text != "local answer to PUT\x00\xff" || header.Get("X-Local") != "yes" || header.Get("X-Token-Id") != id {
		t.Errorf("the caller gets %d %q %v", status, text, header)
	}
	got := l.find(t, "the request", func(d *caught) bool { return d.method == "PUT" })
	if got.uri != "/base/orders/7?a=1&b=%C3%BC" || string(got.body) != body || got.header.Get("X-Signature") != "sha256=abc" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("forwarded: %+v %s", got, got.body)
	}
	if status, _, text := sendPlain(t, "GET", s.url()+"/"+id+"/page?x=1", ""); status != http.StatusTeapot || !strings.HasPrefix(text, "local answer to GET") {
		t.Errorf("the caller gets %d %q", status, text)
	}
	// At its end the client says that it no longer answers.
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Wait(); err != nil {
		t.Errorf("the client ends with %v", err)
	}
	eventually(t, "nobody listens", func() (bool, string) {
		_, _, text := sendPlain(t, "GET", s.url()+"/token/"+id, "")
		var shown struct{ Listen int }
		err := json.Unmarshal([]byte(text), &shown)
		return err == nil && shown.Listen == 0, text
	})
}

// TestWebhookSiteCommands runs its other commands: what came before is forwarded too, and a command runs for each request.
func TestWebhookSiteCommands(t *testing.T) {
	s := newServer(t, "--anonymous-bins", "on")
	s.start()
	status, _, made := sendPlain(t, "POST", s.url()+"/token", "")
	var token struct{ UUID string }
	if err := json.Unmarshal([]byte(made), &token); err != nil || status != http.StatusCreated {
		t.Fatal(status, made, err)
	}
	for _, name := range []string{"first", "second", "third"} {
		if status, _, text := sendPlain(t, "POST", s.url()+"/"+token.UUID+"/"+name, "about "+name, "Content-Type", "text/plain"); status != http.StatusOK {
			t.Fatal(status, text)
		}
	}
	l, env := newTeapot(t), []string{"WH_API=" + s.url(), "WH_WS_HOST=" + s.url()}
	past := startForeign(t, env, webhookSiteCLI, "forward", "--token="+token.UUID, "--target="+l.URL, `--query=content:"about second" OR content:third`)
	for _, name := range []string{"second", "third"} {
		got := l.find(t, name, func(d *caught) bool { return d.uri == "/"+name })
		if string(got.body) != "about "+name {
			t.Errorf("%s has the body %q", name, got.body)
		}
	}
	past.says(`"url":"` + l.URL + `/third"`)
	l.mu.Lock()
	if len(l.got) != 2 {
		t.Errorf("%d requests are forwarded", len(l.got))
	}
	l.mu.Unlock()

	run := startForeign(t, env, webhookSiteCLI, "exec", "--token="+token.UUID, "--command=echo ran:$request.method$:$request.query.n$")
	run.says("Connected to Websocket")
	eventually(t, "the command runs", func() (bool, string) {
		status, _, text := sendPlain(t, "DELETE", s.url()+"/"+token.UUID+"?n=42", "")
		if status != http.StatusOK {
			t.Fatal(status, text)
		}
		return strings.Contains(run.out.String(), `ran:DELETE:42\n`), run.out.String()
	})
}

// TestSmeeClient runs smee.io's own client against Posthorn, also over a crash of the server: what comes before the client is
// back is forwarded when it is.
func TestSmeeClient(t *testing.T) {
	s := newServer(t, "--anonymous-bins", "on")
	s.start()
	status, header, _ := sendPlain(t, "HEAD", s.url()+"/new", "")
	channel := header.Get("Location")
	if status != http.StatusTemporaryRedirect || !strings.HasPrefix(channel, s.url()+"/") {
		t.Fatal(status, header)
	}
	l := newTeapot(t)
	f := startForeign(t, nil, smeeClient, "--url", channel, "--target", l.URL+"/hook")
	f.says("Connected to " + channel)
	post := func(n int) {
		t.Helper()
		body := fmt.Sprintf(`{"n":%d,"text":"šílený 😀"}`, n)
		if status, _, text := sendPlain(t, "POST", channel+"?q=1", body, "Content-Type", "application/json", "X-GitHub-Event", "push", "X-GitHub-Delivery", fmt.Sprint("d", n)); status != http.StatusOK || text != "" {
			t.Fatal(status, text)
		}
	}
	arrives := func(n int) {
		t.Helper()
		got := l.find(t, fmt.Sprint("message ", n), func(d *caught) bool { return d.header.Get("X-GitHub-Delivery") == fmt.Sprint("d", n) })
		if !sameJSON(t, got.body, []byte(fmt.Sprintf(`{"n":%d,"text":"šílený 😀"}`, n))) || got.uri != "/hook?q=1" || got.header.Get("X-GitHub-Event") != "push" {
			t.Errorf("forwarded: %+v %s", got, got.body)
		}
	}
	for n := range 20 {
		post(n)
	}
	for n := range 20 {
		arrives(n)
	}
	if status, _, text := sendPlain(t, "POST", channel, "payload=%7B%7D&a=1", "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	l.find(t, "a form", func(d *caught) bool { return bytes.Contains(d.body, []byte(`"payload":"{}"`)) })

	s.kill()
	s.start()
	for n := range 5 { // the client tries again after some seconds
		post(100 + n)
	}
	for n := range 5 {
		arrives(100 + n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]int{}
	for _, d := range l.got {
		seen[d.header.Get("X-GitHub-Delivery")]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// What is at the root is no way around the server's own paths, and nothing is made for who has no key.
func TestFacesByKeyOnly(t *testing.T) {
	s := newServer(t)
	s.start()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/token", 401},
		{"GET", "/token", 401},
		{"GET", "/new", 401},
		{"POST", "/some-channel", 404},
		{"GET", "/some-channel", 404},
		{"GET", "/healthz", 200},
		{"GET", "/docs", 200},
		{"GET", "/openapi.json", 200},
		{"GET", "/v1/tenants", 401},
		{"POST", "/token", 401},
	} {
		if status, _, text := sendPlain(t, c.method, s.url()+c.path, "{}"); status != c.status {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, status, text)
		}
	}
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it takes %v to stop", took)
	}
}
