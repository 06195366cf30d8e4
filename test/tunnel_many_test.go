package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestTunnelsOfOneSource: two laptops of one name share a source's webhooks, each going to one of them; a third one, with a name of
// its own, gets all; what the third missed while it was shut comes later.
func TestTunnelsOfOneSource(t *testing.T) {
	s := newServer(t)
	s.start()
	s.makeTenant()
	s.addSource(object{"name": "github", "provider": "github", "secrets": []string{"hub-secret"}})
	url := s.url() + "/in/" + tenant + "/github"
	first, second, other := newLaptop(t), newLaptop(t), newLaptop(t)
	meet := make(chan struct{}) // closed when both of a name have a request at once
	arrived := make(chan string, 64)
	hold := func(name string) func(http.ResponseWriter, *http.Request, []byte) {
		return func(_ http.ResponseWriter, r *http.Request, _ []byte) {
			select {
			case arrived <- name:
			default:
			}
			select {
			case <-meet:
			case <-r.Context().Done():
			}
		}
	}
	first.answer, second.answer = hold("first"), hold("second")
	args := []string{"--source", "github", "--order", "none"}
	first.open(s, args...)
	second.open(s, args...)
	other.open(s, append(args, "--name", "other")...)
	body := []byte(`{"zen":"ok"}`)
	const n = 20
	callers := make(chan int, n)
	for i := range n {
		go func() {
			status, _ := hookTo(t, url, i, body)
			callers <- status
		}()
	}
	seen := map[string]bool{}
	for len(seen) < 2 { // the second gets one although the first has not answered
		seen[<-arrived] = true
	}
	close(meet)
	for range n {
		if status := <-callers; status != http.StatusOK {
			t.Errorf("a caller is answered %d", status)
		}
	}
	waitUntil(t, "all have come to who is alone", func() bool { list, _ := other.numbers(); return len(list) == n })
	waitUntil(t, "all have come to the two", func() bool { return len(first.requests())+len(second.requests()) >= n })
	all := map[string]int{}
	for _, r := range slices.Concat(first.requests(), second.requests()) {
		all[r.header.Get("X-Number")]++
	}
	for i := range n {
		if all[strconv.Itoa(i)] != 1 {
			t.Errorf("webhook %d came %d times to the two that share", i, all[strconv.Itoa(i)])
		}
	}
	other.shut()
	for i := n; i < n+5; i++ {
		if status, _ := hookTo(t, url, i, body); status != http.StatusOK {
			t.Errorf("a caller is answered %d", status)
		}
	}
	other.open(s, append(args, "--name", "other")...)
	waitUntil(t, "what was missed comes", func() bool { list, _ := other.numbers(); return len(list) == n+5 })
	if _, twice := other.numbers(); twice > 0 { // those whose answers were under way when it was killed
		t.Logf("%d requests came again", twice)
	}
	waitUntil(t, "all have come to the two again", func() bool { return len(first.requests())+len(second.requests()) >= n+5 })
	if got := len(first.requests()) + len(second.requests()); got != n+5 {
		t.Errorf("%d came to the two that share, not %d", got, n+5)
	}
}

// TestTunnelsByHost: programs under host names of the server's: what is called is where it goes, whatever the path, and one name
// belongs to one tunnel at a time.
func TestTunnelsByHost(t *testing.T) {
	s := newServer(t, "--tunnel-hosts", "*.dev.example.com")
	s.start()
	s.makeTenant()
	laptops := map[string]*laptop{}
	for _, name := range []string{"jan", "eva"} {
		l := newLaptop(t)
		l.local.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/socket" {
				c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
				if err != nil {
					return
				}
				_ = c.Write(r.Context(), websocket.MessageText, []byte("socket of "+name))
				_ = c.Close(websocket.StatusNormalClosure, "")
				return
			}
			_, _ = fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.Host, r.RequestURI)
		})
		l.open(s, "--http", "--name", name, "--host", name)
		laptops[name] = l
	}
	at := func(host, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := plain.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(answer)
	}
	for _, c := range []struct {
		host, path string
		status     int
		answer     string // how it begins
	}{
		{"jan.dev.example.com", "/a%2Fb?x=1", 200, "jan GET jan.dev.example.com /a%2Fb?x=1"},
		{"EVA.dev.example.com:443", "/", 200, "eva GET "},
		{"jan.dev.example.com", "/v1/tenants", 200, "jan GET "},
		{"jan.dev.example.com", "/healthz", 200, "jan GET "},
		{"nobody.dev.example.com", "/", 503, "no tunnel"},
		{"dev.example.com", "/healthz", 200, "ok"},
	} {
		if status, answer := at(c.host, c.path); status != c.status || !strings.HasPrefix(answer, c.answer) {
			t.Errorf("%s%s: %d %.200s", c.host, c.path, status, answer)
		}
	}
	c, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url(), "http")+"/socket", &websocket.DialOptions{Host: "eva.dev.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != "socket of eva" {
		t.Errorf("the socket says %q, %v", got, err)
	}
	_ = c.CloseNow()
	taken := object{"name": "other", "kind": "http", "host": "jan"}
	if status := s.api(http.MethodPost, "/v1/tenants/"+tenant+"/tunnels", taken, nil); status != http.StatusConflict {
		t.Errorf("a name that is in use is answered %d", status)
	}
	if status, answer := at("jan.dev.example.com", "/"); status != http.StatusOK || !strings.HasPrefix(answer, "jan ") {
		t.Errorf("then the first one's is answered %d %s", status, answer)
	}
	laptops["jan"].shut()
	waitUntil(t, "the host name is free", func() bool {
		status, _ := at("jan.dev.example.com", "/")
		return status == http.StatusServiceUnavailable
	})
}
