package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// got is an answer.
type got struct {
	StatusCode int
	Header     http.Header
}

// call sends a request to the stage's server as it is, and returns the answer with its body.
func (on *stage) call(r *http.Request) (got, string) {
	on.t.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		on.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		on.t.Fatal(err)
	}
	return got{resp.StatusCode, resp.Header}, string(b)
}

func (on *stage) ask(method, target string, body io.Reader) *http.Request {
	on.t.Helper()
	r, err := http.NewRequestWithContext(on.t.Context(), method, on.server.URL+"/", body)
	if err != nil {
		on.t.Fatal(err)
	}
	setTarget(r.URL, target)
	return r
}

func TestProxyByPath(t *testing.T) {
	on := newStage(t)
	made := on.setup(Spec{Name: "web", Kind: KindHTTP})
	if made.URL != "https://hooks.example.com/t/acme/web/" || made.HostURL != "" {
		t.Errorf("%+v", made)
	}
	big := make([]byte, 3<<20)
	_, _ = rand.Read(big)
	var seen *http.Request
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		seen = r
		b, _ := io.ReadAll(r.Body)
		for name, value := range map[string]string{
			"Set-Cookie": "posthorn_token=stolen; Path=/", "Service-Worker-Allowed": "/", "Clear-Site-Data": `"cookies"`, "Strict-Transport-Security": "max-age=1",
			"X-Here": "yes", "Keep-Alive": "timeout=1",
		} {
			w.Header().Set(name, value)
		}
		for _, c := range []string{"mine=1", "posthorn_session=stolen", "__Host-Posthorn_Session=stolen; Secure; Path=/"} {
			w.Header().Add("Set-Cookie", c)
		}
		w.Header().Set("Content-Security-Policy", "sandbox allow-same-origin allow-scripts")
		w.WriteHeader(http.StatusEarlyHints) // which must not take anything from the answer
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(b)
	})
	r := on.ask(http.MethodPost, "/t/acme/web/a%2Fb|c//?x=%zz;1", bytes.NewReader(big))
	for name, value := range map[string]string{
		"Cookie": "a=1; posthorn_token=secret; b=2; __Host-posthorn_session=secret; posthorn_session=secret", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "evil.example", "Posthorn-Tunnel": `{"kind":"bin"}`,
		"Connection": "X-Hop", "X-Hop": "1", "X-Exact": "a  b", "Te": "gzip", "Accept-Encoding": "br",
	} {
		r.Header.Set(name, value)
	}
	r.Host = "hooks.example.com"
	resp, body := on.call(r)
	if resp.StatusCode != http.StatusTeapot || body != string(big) {
		t.Fatalf("%d, %d bytes", resp.StatusCode, len(body))
	}
	if seen.RequestURI != "/a%2Fb|c//?x=%zz;1" || seen.Host != "hooks.example.com" || seen.ContentLength != int64(len(big)) {
		t.Errorf("%s of %s, %d bytes", seen.RequestURI, seen.Host, seen.ContentLength)
	}
	for name, want := range map[string]string{
		"Cookie": "a=1; b=2", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "hooks.example.com", "X-Forwarded-Proto": "https",
		"X-Forwarded-Prefix": "/t/acme/web", "X-Exact": "a  b", "X-Hop": "", "Connection": "", "Te": "", "Accept-Encoding": "br", "User-Agent": "Go-http-client/1.1",
	} {
		if got := strings.Join(seen.Header[name], "|"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var about About
	if list := seen.Header[pipe.HeaderAbout]; len(list) != 1 || json.Unmarshal([]byte(list[0]), &about) != nil {
		t.Fatalf("%q", list)
	}
	if about.Kind != KindHTTP || about.Remote != "192.0.2.7" || !strings.HasPrefix(about.URL, "https://hooks.example.com/t/acme/web/a%2Fb|c") || about.At.IsZero() || about.Kept || about.ID != "" {
		t.Errorf("%+v", about)
	}
	if cookies := resp.Header["Set-Cookie"]; len(cookies) != 1 || cookies[0] != "mine=1" || resp.Header.Get("X-Here") != "yes" {
		t.Errorf("%v", resp.Header)
	}
	if policies := resp.Header["Content-Security-Policy"]; len(policies) != 2 || policies[1] != sandbox {
		t.Errorf("the policies are %q", policies)
	}
	for _, name := range []string{"Service-Worker-Allowed", "Clear-Site-Data", "Strict-Transport-Security", "Keep-Alive"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("%s came through", name)
		}
	}
}

func TestProxyByHost(t *testing.T) {
	on := newStage(t, func(c *Config) { // a server with a public-url
		c.Caller = func(r *http.Request) (string, string) { return "192.0.2.7", "https://hooks.example.com" + r.RequestURI }
	})
	made := on.setup(Spec{Name: "web", Kind: KindHTTP, Host: "jan"})
	if made.HostURL != "https://jan.dev.example.com/" {
		t.Errorf("%+v", made)
	}
	ask := func(host string) (got, string) {
		r := on.ask(http.MethodGet, "/t/acme/web/x?y", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Prefix", "/of/the/caller")
		return on.call(r)
	}
	if resp, _ := ask("jan.dev.example.com"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d", resp.StatusCode)
	}
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		for _, c := range []string{"posthorn_token=stolen; Domain=example.com", " Posthorn_Token =stolen", "=posthorn_token=stolen", "= posthorn_token=stolen; Path=/", "__Host-posthorn_session=stolen"} {
			w.Header().Add("Set-Cookie", c)
		}
		var about About
		if err := json.Unmarshal([]byte(r.Header.Get(pipe.HeaderAbout)), &about); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, r.Host+r.RequestURI+" "+r.Header.Get("X-Forwarded-Prefix")+" "+r.Header.Get("X-Forwarded-Host")+" "+about.URL)
	})
	for host, want := range map[string]string{
		"jan.dev.example.com":      "jan.dev.example.com/t/acme/web/x?y  jan.dev.example.com https://jan.dev.example.com/t/acme/web/x?y",
		"JAN.dev.Example.com:8080": "JAN.dev.Example.com:8080/t/acme/web/x?y  JAN.dev.Example.com:8080 https://JAN.dev.Example.com:8080/t/acme/web/x?y",
	} {
		resp, body := ask(host)
		if resp.StatusCode != http.StatusOK || body != want || resp.Header.Get("Strict-Transport-Security") == "" || resp.Header.Get("Set-Cookie") != "" ||
			strings.Join(resp.Header["Content-Security-Policy"], "|") != "default-src 'self'" {
			t.Errorf("%s: %d %s", host, resp.StatusCode, body)
		}
	}
	for host, owned := range map[string]bool{
		"jan.dev.example.com": true, "other.dev.example.com:80": true, "dev.example.com": false, "a.b.dev.example.com": false, "example.com": false,
		"jan.dev.example.com.": true, "xdev.example.com": false, ".dev.example.com": false, "": false,
	} {
		if got := on.hub.Owns(&http.Request{Host: host}); got != owned {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestProxyRefusals(t *testing.T) {
	places := make(chan struct{}, 10)
	on := newStage(t, func(c *Config) {
		c.Hold = func() (func(), bool) {
			select {
			case places <- struct{}{}:
				return func() { <-places }, true
			default:
				return nil, false
			}
		}
	})
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.setup(Spec{Name: "hooks", Kind: KindSource, Source: "github"})
	on.connect("hooks", func(http.ResponseWriter, *http.Request) { t.Error("a request got through to a tunnel of another kind") })
	for target, want := range map[string]int{
		"/t/acme/web/x": 503, "/t/acme/hooks/x": 503, "/t/acme/none/x": 503, "/t/nobody/web/x": 503, "/t/acme/": 404, "/t/acme": 404, "/x": 404, "/t/ACME/web/": 404,
	} {
		resp, body := on.call(on.ask(http.MethodGet, target, nil))
		if resp.StatusCode != want || body == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %s", target, resp.StatusCode, body)
		}
	}
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.Header().Set(pipe.HeaderError, "connection refused")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "nothing listens on port 3000")
		}
	})
	resp, body := on.call(on.ask(http.MethodGet, "/t/acme/web/refused", nil))
	if resp.StatusCode != http.StatusBadGateway || body != "nothing listens on port 3000" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, _ = on.call(on.ask(http.MethodGet, "/t/acme/web?x=1", nil))
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "/t/acme/web/?x=1" {
		t.Errorf("%d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	for range cap(places) {
		places <- struct{}{} // when those before have given theirs back
	}
	if resp, _ = on.call(on.ask(http.MethodGet, "/t/acme/web/", nil)); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d with too many that wait", resp.StatusCode)
	}
}

// A WebSocket of a caller goes through to the local program, both ways.
func TestProxyWebSocket(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	ended := make(chan struct{})
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, on.server.URL+"/t/acme/web/ws", &websocket.DialOptions{Subprotocols: []string{"chat"}}) //nolint:bodyclose // it has none
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	if c.Subprotocol() != "chat" || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("%q, %d", c.Subprotocol(), resp.StatusCode)
	}
	for _, size := range []int{0, 1, 100_000, 2 << 20} {
		sent := make([]byte, size)
		_, _ = rand.Read(sent)
		if err := c.Write(ctx, websocket.MessageBinary, sent); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d of %d bytes came back: %v", len(got), size, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	<-ended
}

// What the local program has written is with the caller before it writes more, and what the caller has sent is there before
// all of it is.
func TestProxyStreams(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	more := make(chan struct{})
	on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			line, err := bufio.NewReader(r.Body).ReadString('\n')
			if err != nil || line != "first\n" {
				t.Errorf("%q %v", line, err)
			}
			close(more)
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the caller left
		close(more)
	})
	ctx, cancel := context.WithCancel(t.Context())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(on.ask(http.MethodGet, "/t/acme/web/events", nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "data: 1\n" {
		t.Errorf("%q %v", line, err)
	}
	cancel()
	_ = resp.Body.Close()
	<-more

	more = make(chan struct{})
	body, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		resp, err := transport.RoundTrip(on.ask(http.MethodPost, "/t/acme/web/upload", body))
		if err == nil {
			err = resp.Body.Close()
		}
		done <- err
	}()
	if _, err := io.WriteString(writer, "first\n"); err != nil {
		t.Fatal(err)
	}
	<-more
	_ = writer.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// When the connection breaks in the middle of an answer, the caller notices.
func TestProxyLostInTheMiddle(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	var a *agent
	a = on.connect("web", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/before" {
			_ = a.ws.CloseNow()
			return
		}
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(on.ask(http.MethodGet, "/t/acme/web/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_ = a.ws.CloseNow()
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q, and no error", rest)
	}
	on.next("web", false)
	a = on.connect("web", a.http.Handler.ServeHTTP)
	after, body := on.call(on.ask(http.MethodGet, "/t/acme/web/before", nil))
	if after.StatusCode != http.StatusBadGateway || !strings.Contains(body, "lost") {
		t.Errorf("%d %s", after.StatusCode, body)
	}
}

// A caller has a minute for each part, not for the whole.
func TestPatience(t *testing.T) {
	w := &deadlines{}
	p := newPatient(w, &http.Request{ProtoMajor: 1})
	if !w.read.IsZero() || !w.write.IsZero() || w.calls != 2 {
		t.Errorf("%+v", w)
	}
	_, _ = p.Write(nil)
	if d := time.Until(w.write); d < stalled-5*time.Second || d > stalled {
		t.Errorf("%s", d)
	}
	b := &patientBody{io.NopCloser(strings.NewReader("a")), p}
	_, _ = b.Read(make([]byte, 1))
	if d := time.Until(w.read); d < stalled-5*time.Second || d > stalled {
		t.Errorf("%s", d)
	}
	_, _ = b.Read(make([]byte, 1)) // the end
	if !w.read.IsZero() {
		t.Errorf("%s", w.read)
	}
	w = &deadlines{}
	p = newPatient(w, &http.Request{ProtoMajor: 2})
	_, _ = p.Write(nil)
	_, _ = (&patientBody{io.NopCloser(strings.NewReader("a")), p}).Read(make([]byte, 1))
	if w.calls != 2 {
		t.Error("a limit in HTTP/2, which would end what is merely idle")
	}
}

type deadlines struct {
	read, write time.Time
	calls       int
}

func (*deadlines) Header() http.Header         { return http.Header{} }
func (*deadlines) WriteHeader(int)             {}
func (*deadlines) Write(b []byte) (int, error) { return len(b), nil }
func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	d.calls++
	return nil
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	d.calls++
	return nil
}

// What the program does not say of its body nobody guesses: a page could come to be run that it meant as something else.
func TestProxyGuessesNoType(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.connect("web", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html><script>1</script>")
	})
	resp, body := on.call(on.ask(http.MethodGet, "/t/acme/web/", nil))
	if got, there := resp.Header["Content-Type"]; there || body != "<html><script>1</script>" {
		t.Errorf("%q, %q", got, body)
	}
}

// TestProxyMixedReplace: the parts of such an answer have headers of their own, which nobody takes off.
func TestProxyMixedReplace(t *testing.T) {
	on := newStage(t)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.connect("web", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "Multipart/X-Mixed-Replace; boundary=a")
		_, _ = io.WriteString(w, "--a\r\nContent-Type: text/html\r\nSet-Cookie: posthorn_session=x\r\n\r\n<script>1</script>\r\n--a--")
	})
	resp, _ := on.call(on.ask(http.MethodGet, "/t/acme/web/", nil))
	if h := resp.Header; h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", h)
	}
}
