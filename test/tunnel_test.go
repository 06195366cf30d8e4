package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// laptop is a program on a developer's machine, and the command that brings requests to it.
type laptop struct {
	t      *testing.T
	local  *httptest.Server
	cmd    *exec.Cmd
	log    *tail
	answer func(w http.ResponseWriter, r *http.Request, body []byte)

	mu  sync.Mutex
	got []taken
}

// taken is a request that reached the laptop.
type taken struct {
	method, target, host string
	header               http.Header
	body                 []byte
}

func newLaptop(t *testing.T) *laptop {
	t.Helper()
	l := &laptop{t: t, log: &tail{}}
	l.local = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		l.mu.Lock()
		l.got = append(l.got, taken{r.Method, r.URL.RequestURI(), r.Host, r.Header.Clone(), body})
		l.mu.Unlock()
		if l.answer != nil {
			l.answer(w, r, body)
		}
	}))
	t.Cleanup(func() {
		l.shut()
		l.local.Close()
		if t.Failed() {
			t.Logf("posthorn listen wrote:\n%s", l.log)
		}
	})
	return l
}

// open starts "posthorn listen" and returns when it says that it is connected.
func (l *laptop) open(s *server, args ...string) {
	l.t.Helper()
	before := strings.Count(l.log.String(), "connected")
	args = append([]string{
		"listen", l.local.Listener.Addr().String(), "--server", s.url(), "--key", rootKey, "--tenant", tenant, "--plain", "--inspect", "off", "--name", "laptop",
	}, args...)
	l.cmd = exec.CommandContext(context.Background(), program, args...)
	l.cmd.SysProcAttr, l.cmd.Env, l.cmd.Stdout, l.cmd.Stderr = orphanless(), clean(), l.log, l.log
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	waitUntil(l.t, "the laptop is connected", func() bool { return strings.Count(l.log.String(), "connected") > before })
}

// shut kills the command, as a lid that is closed does.
func (l *laptop) shut() {
	if l.cmd != nil {
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait()
		l.cmd = nil
	}
}

func (l *laptop) requests() []taken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]taken(nil), l.got...)
}

// numbers are the values of the header X-Number in the order in which they came first; twice says how many came again.
func (l *laptop) numbers() (list []string, twice int) {
	seen := map[string]bool{}
	for _, r := range l.requests() {
		n := r.header.Get("X-Number")
		if seen[n] {
			twice++
			continue
		}
		seen[n] = true
		list = append(list, n)
	}
	return list, twice
}

// inOrder waits until the numbers 0 to n-1 have come, in order, each body as it was sent.
func (l *laptop) inOrder(n int, bodies map[string][]byte) {
	l.t.Helper()
	waitUntil(l.t, fmt.Sprintf("%d requests have come", n), func() bool { list, _ := l.numbers(); return len(list) >= n })
	list, twice := l.numbers()
	for i, got := range list {
		if got != strconv.Itoa(i) {
			l.t.Fatalf("the order is %v", list)
		}
	}
	if len(list) != n {
		l.t.Errorf("%d requests came instead of %d", len(list), n)
	}
	if twice > 0 {
		l.t.Logf("%d requests came again", twice)
	}
	for _, r := range l.requests() {
		if want := bodies[r.header.Get("X-Number")]; !bytes.Equal(r.body, want) {
			l.t.Errorf("request %s has %d bytes that are not those that were sent (%d)", r.header.Get("X-Number"), len(r.body), len(want))
		}
	}
}

// hookTo sends a signed push of GitHub.
func hookTo(t *testing.T, url string, n int, body []byte) (int, []byte) {
	t.Helper()
	return call(t, http.MethodPost, url, map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "d" + strconv.Itoa(n), "X-Number": strconv.Itoa(n),
		"X-Hub-Signature-256": "sha256=" + hexHMAC("hub-secret", body),
	}, body)
}

// TestTunnelOfASource: webhooks that came while the laptop was shut, the server was killed, or both, reach it in order when it
// is back, as they were sent: their signatures still hold.
func TestTunnelOfASource(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	s.addSource(object{"name": "github", "provider": "github", "secrets": []string{"hub-secret"}})
	url := s.url() + "/in/" + tenant + "/github/sub?x=%20y"
	l := newLaptop(t)
	l.answer = func(w http.ResponseWriter, r *http.Request, body []byte) {
		want := "sha256=" + hexHMAC("hub-secret", body)
		if !hmac.Equal([]byte(want), []byte(r.Header.Get("X-Hub-Signature-256"))) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Local", "yes")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "seen "+r.Header.Get("X-Number"))
	}
	bodies := map[string][]byte{}
	send := func(n int, want int) []byte {
		t.Helper()
		body := fmt.Appendf(nil, "{\"n\" : %d,\n \"text\":\"žluť \\u0041\"}\n", n)
		bodies[strconv.Itoa(n)] = body
		status, answer := hookTo(t, url, n, body)
		if status != want {
			t.Fatalf("webhook %d is answered %d %s, not %d", n, status, answer, want)
		}
		return answer
	}
	l.open(s, "--source", "github", "--path", "/hooks")
	for n := range 5 {
		if got := send(n, http.StatusCreated); string(got) != "seen "+strconv.Itoa(n) {
			t.Errorf("the caller gets %q", got)
		}
	}
	l.shut()
	for n := 5; n < 15; n++ {
		send(n, http.StatusOK)
	}
	s.kill()
	s.start()
	for n := 15; n < 20; n++ {
		send(n, http.StatusOK)
	}
	l.open(s, "--source", "github", "--path", "/hooks")
	l.inOrder(20, bodies)
	s.kill()
	s.start()
	waitUntil(t, "the laptop is connected again", func() bool { return tunnelConnections(s) == 1 })
	send(20, http.StatusCreated)
	l.inOrder(21, bodies)
	for _, r := range l.requests() {
		if r.method != http.MethodPost || r.target != "/hooks/sub?x=%20y" || r.header.Get("X-GitHub-Event") != "push" {
			t.Errorf("%s %s came with %v", r.method, r.target, r.header)
		}
		if r.header.Get("Posthorn-Tunnel") != "" {
			t.Error("what the server says to the agent reached the local program")
		}
	}
}

// tunnelConnections counts the connections of the laptop's tunnel.
func tunnelConnections(s *server) int {
	var list struct {
		Data []struct{ Connections int }
	}
	if s.api(http.MethodGet, "/v1/tenants/"+tenant+"/tunnels", nil, &list) != http.StatusOK || len(list.Data) == 0 {
		return 0
	}
	return list.Data[0].Connections
}

// TestTunnelOfABin: without any set-up, a public address whose requests reach the laptop byte for byte, with its answer when it
// is there, and later when it is not.
func TestTunnelOfABin(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	l := newLaptop(t)
	l.answer = func(w http.ResponseWriter, _ *http.Request, body []byte) {
		sum := sha256.Sum256(body)
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(body)
	}
	l.open(s)
	var list struct {
		Data []struct{ URL string }
	}
	s.api(http.MethodGet, "/v1/tenants/"+tenant+"/tunnels", nil, &list)
	if len(list.Data) != 1 || !strings.Contains(l.log.String(), list.Data[0].URL) {
		t.Fatalf("the tunnels are %v", list)
	}
	url := list.Data[0].URL
	bodies := map[string][]byte{}
	send := func(n, size, want int) []byte {
		t.Helper()
		body := make([]byte, size)
		_, _ = rand.Read(body)
		bodies[strconv.Itoa(n)] = body
		status, answer := call(t, http.MethodPut, url+"/a%2Fb?q=1&q=2", map[string]string{"X-Number": strconv.Itoa(n), "Content-Type": "application/octet-stream"}, body)
		if status != want {
			t.Fatalf("request %d is answered %d %.100s, not %d", n, status, answer, want)
		}
		return answer
	}
	for n, size := range []int{0, 1, 1000, 800_000} {
		if got := send(n, size, http.StatusTeapot); !bytes.Equal(got, bodies[strconv.Itoa(n)]) {
			t.Errorf("the answer to %d has %d bytes", n, len(got))
		}
	}
	l.shut()
	for n := 4; n < 30; n++ {
		send(n, 100*n, http.StatusOK)
	}
	s.kill()
	s.start()
	l.open(s)
	l.inOrder(30, bodies)
	if r := l.requests()[0]; r.method != http.MethodPut || r.target != "/a%2Fb?q=1&q=2" {
		t.Errorf("the local program gets %s %s", r.method, r.target)
	}
}

// TestTunnelOfEvents: events as signed webhooks on a machine that no server can reach.
func TestTunnelOfEvents(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	l := newLaptop(t)
	l.open(s, "--endpoint", "order.*")
	l.shut()
	for n := range 10 {
		if status := s.api(http.MethodPost, "/v1/tenants/"+tenant+"/events", object{"type": "order.paid", "data": object{"n": n}}, nil); status != http.StatusAccepted {
			t.Fatalf("a publish is answered %d", status)
		}
		s.api(http.MethodPost, "/v1/tenants/"+tenant+"/events", object{"type": "other"}, nil)
	}
	l.open(s, "--endpoint", "order.*")
	waitUntil(t, "all events came", func() bool { return len(l.requests()) >= 10 })
	for i, r := range l.requests() {
		if !strings.Contains(string(r.body), fmt.Sprintf(`"data":{"n":%d}`, i)) || !strings.HasPrefix(r.header.Get("Webhook-Signature"), "v1,") {
			t.Errorf("request %d is %s with %v", i, r.body, r.header)
		}
	}
}

// TestTunnelOfHTTP: a local program under an address of the server: pages, streams as they come, WebSockets; and a clear word when
// it is away.
func TestTunnelOfHTTP(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	l := newLaptop(t)
	release := make(chan struct{})
	l.local.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/socket":
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			defer func() { _ = c.CloseNow() }()
			for {
				kind, message, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, message) != nil {
					return
				}
			}
		case "/stream":
			_, _ = io.WriteString(w, "first\n")
			_ = http.NewResponseController(w).Flush()
			<-release
			_, _ = io.WriteString(w, "second\n")
		default:
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, r.Header.Get("X-Forwarded-Prefix"))
		}
	})
	l.open(s, "--http")
	base := s.url() + "/t/" + tenant + "/laptop"
	if status, body := call(t, http.MethodGet, base+"/a/b?c=d", nil, nil); status != http.StatusOK || string(body) != "GET /a/b?c=d /t/"+tenant+"/laptop" {
		t.Errorf("the page is %d %s", status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	for range 3 {
		if err := c.Write(ctx, websocket.MessageText, []byte("ahoj")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != "ahoj" {
			t.Fatalf("the socket says %q, %v", got, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("first\n"))
	if _, err := io.ReadFull(stream.Body, first); err != nil || string(first) != "first\n" {
		t.Errorf("the stream begins with %q, %v", first, err)
	}
	close(release)
	rest, err := io.ReadAll(stream.Body)
	_ = stream.Body.Close()
	if err != nil || string(rest) != "second\n" {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	l.local.Close()
	if status, _ := call(t, http.MethodGet, base+"/", nil, nil); status != http.StatusBadGateway {
		t.Errorf("without the local program the answer is %d", status)
	}
	l.shut()
	waitUntil(t, "the server knows that the laptop is shut", func() bool {
		status, _ := call(t, http.MethodGet, base+"/", nil, nil)
		return status == http.StatusServiceUnavailable
	})
}
