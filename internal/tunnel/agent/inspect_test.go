package agent

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

// evil is text that is a script wherever it is taken for HTML.
const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

// inspected is an agent, without a server, whose target echoes, and its inspector.
func inspected(t *testing.T, target http.HandlerFunc) (*Agent, http.Handler) {
	t.Helper()
	app := local(t, target)
	u, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Connect: "http://127.0.0.1:1", Target: u, Name: "laptop", Kind: "bin", PublicURL: "https://hooks.example.com/b/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.die(); a.replays.shut() })
	return a, a.Inspector()
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Seen", r.Header.Get("X-Mine"))
	_, _ = w.Write(body)
}

// call sends a request as if it came through the tunnel and returns its exchange.
func call(t *testing.T, a *Agent, method, path, body string, header ...string) Exchange {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	a.local.ServeHTTP(httptest.NewRecorder(), r)
	return a.Recorder().List(1, nil)[0]
}

// get asks the inspector.
func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:4040"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func TestPage(t *testing.T) {
	_, h := inspected(t, echo)
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/inspect.js": "text/javascript; charset=utf-8", "/pretty.js": "text/javascript; charset=utf-8",
		"/body.js": "text/javascript; charset=utf-8", "/dom.js": "text/javascript; charset=utf-8", "/inspect.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		w := ask(t, h, "GET", path, "")
		csp := w.Header().Get("Content-Security-Policy")
		if w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, w.Header())
		}
		if text := w.Body.String(); strings.HasSuffix(path, ".js") && (strings.Contains(text, "innerHTML") || strings.Contains(text, "insertAdjacentHTML") || strings.Contains(text, "eval(")) {
			t.Errorf("%s makes HTML of text", path)
		}
	}
	for _, path := range []string{"/nothing", "/index.html", "/api/nothing"} {
		if w := ask(t, h, "GET", path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestHosts: a name that leads to this computer does not open the inspector to the pages of that name.
func TestHosts(t *testing.T) {
	a, h := inspected(t, echo)
	for host, want := range map[string]int{
		"127.0.0.1:4040": 200, "localhost:4040": 200, "localhost": 200, "[::1]:4040": 200, "192.168.1.7:4040": 200, "posthorn.localhost:4040": 200,
		"evil.example.com:4040": 403, "evil.example.com": 403, "localhost.evil.com": 403, "127.0.0.1.evil.com": 403, "": 403, "evillocalhost": 403,
	} {
		for _, path := range []string{"/", "/api/tunnels", "/api/requests/http"} {
			if w := ask(t, h, "GET", path, "", "Host", host); w.Code != want {
				t.Errorf("%s at %q: %d, want %d", path, host, w.Code, want)
			}
		}
	}
	e := call(t, a, "POST", "/", "x")
	for _, tt := range []struct {
		header []string
		want   int
	}{
		{[]string{"Origin", "https://evil.example.com"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Origin", "http://127.0.0.1:4041"}, 403},
		{[]string{"Origin", "http://127.0.0.1:4040"}, 204},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 204},
		{nil, 204}, // not a browser
	} {
		if w := ask(t, h, "POST", "/api/requests/http", `{"id":"`+e.ID+`"}`, tt.header...); w.Code != tt.want {
			t.Errorf("a replay with %v: %d, want %d", tt.header, w.Code, tt.want)
		}
		for _, path := range []string{"/api/requests/http", "/api/search?q=x", "/api/exchanges/" + e.ID} {
			if len(tt.header) == 2 && tt.header[0] == "Sec-Fetch-Site" {
				if w := ask(t, h, "GET", path, "", tt.header...); (w.Code == 403) != (tt.want == 403) {
					t.Errorf("%s with %v: %d", path, tt.header, w.Code)
				}
			}
		}
		if w := ask(t, h, "DELETE", "/api/requests/http?of=nothing", "", tt.header...); tt.want == 403 && w.Code != 403 {
			t.Errorf("a clearing with %v: %d", tt.header, w.Code)
		}
		if tt.want != 403 { // it was cleared
			e = call(t, a, "POST", "/", "x")
		}
	}
}

// TestAPI is what ngrok's clients ask for.
func TestAPI(t *testing.T) {
	a, h := inspected(t, echo)
	e := call(t, a, "POST", "/orders?q="+url.QueryEscape(evil), evil, "X-Mine", evil, "Content-Type", "text/html",
		pipe.HeaderAbout, infoJSON(t, Info{Kind: "bin", ID: "cap", Remote: "192.0.2.1", Kept: true}))
	call(t, a, "GET", "/second", "")
	for _, path := range []string{"/api/requests/http", "/api/requests/http/" + e.ID, "/api/exchanges/" + e.ID, "/api/search?q=alert", "/api/tunnels", "/api/tunnels/laptop"} {
		w := ask(t, h, "GET", path, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: %d %v\n%s", path, w.Code, w.Header(), w.Body)
		}
	}
	tunnels := decode[struct {
		Tunnels []struct {
			Name, Proto string
			PublicURL   string `json:"public_url"`
		}
	}](t, ask(t, h, "GET", "/api/tunnels", ""))
	if len(tunnels.Tunnels) != 1 || tunnels.Tunnels[0].Name != "laptop" || tunnels.Tunnels[0].PublicURL != "https://hooks.example.com/b/1" || tunnels.Tunnels[0].Proto != "https" {
		t.Errorf("tunnels: %+v", tunnels)
	}
	list := decode[struct{ Requests []captured }](t, ask(t, h, "GET", "/api/requests/http?limit=10", "")).Requests
	if len(list) != 2 || list[0].Request.URI != "/second" || list[1].ID != e.ID {
		t.Fatalf("the list: %+v", list)
	}
	one := decode[captured](t, ask(t, h, "GET", list[1].URI, ""))
	if one.Request.Method != "POST" || one.Request.Headers["X-Mine"][0] != evil || !strings.HasSuffix(string(one.Request.Raw), "\r\n\r\n"+evil) ||
		!strings.HasPrefix(string(one.Request.Raw), "POST /orders?q=") || one.Remote != "192.0.2.1" || one.Response.Code != 200 || one.Response.Status != "200 OK" ||
		!strings.HasPrefix(string(one.Response.Raw), "HTTP/1.1 200 OK\r\n") || one.Duration <= 0 {
		t.Errorf("one: %+v\n%s", one, one.Request.Raw)
	}
	for query, want := range map[string]int{
		"limit=1": 1, "tunnel_name=laptop": 2, "tunnel_name=other": 0, "method=post": 1, "status=2xx": 2, "status=200": 2, "status=5": 0, "kind=bin": 1, "q=second": 1, "q=nowhere": 0,
	} {
		if got := decode[struct{ Requests []captured }](t, ask(t, h, "GET", "/api/requests/http?"+query, "")).Requests; len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
	}
	body := ask(t, h, "GET", "/api/requests/http/"+e.ID+"/request", "")
	if body.Body.String() != evil || body.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(body.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the body: %v", body.Header())
	}
	for _, bad := range []string{"/api/requests/http?limit=0", "/api/requests/http?limit=x"} {
		if w := ask(t, h, "GET", bad, ""); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	for _, gone := range []string{"/api/requests/http/x", "/api/exchanges/" + a.rec.run + "-99", "/api/requests/http/00000000-1", "/api/tunnels/x"} {
		if w := ask(t, h, "GET", gone, ""); w.Code != 404 {
			t.Errorf("%s: %d", gone, w.Code)
		}
	}
	if w := ask(t, h, "DELETE", "/api/requests/http", ""); w.Code != 204 {
		t.Errorf("clear: %d", w.Code)
	}
	if w := ask(t, h, "GET", "/api/requests/http", ""); !strings.Contains(w.Body.String(), `"requests":[]`) {
		t.Errorf("cleared: %s", w.Body)
	}
}

// TestReplay repeats requests as they came and with changes.
func TestReplay(t *testing.T) {
	a, h := inspected(t, echo)
	e := call(t, a, "POST", "/orders%2F1?x=1", "one", "X-Mine", "first", "X-lower", "kept")
	replayed := func(change string) Exchange {
		t.Helper()
		w := ask(t, h, "POST", "/api/requests/http", `{"id":"`+e.ID+`","tunnel_name":"laptop"`+change+`}`)
		if w.Code != 204 {
			t.Fatalf("%s: %d %s", change, w.Code, w.Body)
		}
		id := w.Header().Get("Location")[len("/api/requests/http/"):]
		var got Exchange
		await(t, a, "the replay is over", func() bool { got, _ = a.Recorder().Get(id); return got.Finished() })
		return got
	}
	same := replayed("")
	if same.Path != e.Path || string(same.Answer.Body) != "one" || same.ReplayOf != e.ID || same.Status != 200 {
		t.Errorf("the same again: %+v", same)
	}
	if diff := cmp.Diff(e.Request.Header, same.Request.Header); diff != "" {
		t.Errorf("the header (-first +again):\n%s", diff)
	}
	changed := replayed(`,"method":"PUT","path":"/other","headers":[{"name":"X-Mine","value":"second"},{"name":"Host","value":"h.test"}],"body":"two and more"`)
	if changed.Method != "PUT" || changed.Path != "/other" || string(changed.Answer.Body) != "two and more" {
		t.Errorf("changed: %+v", changed)
	}
	want := []Field{{"X-Mine", "second"}, {"Host", "h.test"}, {"Content-Length", "12"}}
	if diff := cmp.Diff(want, changed.Request.Header); diff != "" {
		t.Errorf("the changed header (-want +got):\n%s", diff)
	}
	if binary := replayed(`,"body_base64":"` + base64.StdEncoding.EncodeToString([]byte{0, 255}) + `"`); string(binary.Answer.Body) != "\x00\xff" {
		t.Errorf("binary: %q", binary.Answer.Body)
	}
	if none := replayed(`,"body":""`); none.Answer.Size != 0 || none.Status != 200 {
		t.Errorf("without a body: %+v", none)
	}
	for change, want := range map[string]int{
		`,"path":"http://elsewhere/"`: 400, `,"path":"/a b"`: 400, `,"path":"/\r\nX: y"`: 400, `,"method":"GET /x HTTP/1.1\r\n"`: 400, `,"body_base64":"*"`: 400,
		`,"headers":[{"name":"X","value":"a\r\nY: b"}]`: 400, `,"headers":[{"name":"X Y","value":"a"}]`: 400, `,"headers":[{"name":"","value":""}]`: 400,
		`,"id":"none"`: 404, `,`: 400, `,"headers":7`: 400,
	} {
		if w := ask(t, h, "POST", "/api/requests/http", `{"id":"`+e.ID+`"`+change+`}`); w.Code != want {
			t.Errorf("%s: %d, want %d: %s", change, w.Code, want, w.Body)
		}
	}
	long := call(t, a, "POST", "/", strings.Repeat("x", MaxBody+1))
	if w := ask(t, h, "POST", "/api/requests/http", `{"id":"`+long.ID+`"}`); w.Code != 409 {
		t.Errorf("a body that was cut: %d", w.Code)
	}
}

// TestReplayEnds: a replay that hangs ends with the agent.
func TestReplayEnds(t *testing.T) {
	inside := make(chan struct{}, 2)
	first := true
	a, _ := inspected(t, func(_ http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		if !first {
			<-r.Context().Done()
		}
		first = false
	})
	e := call(t, a, "GET", "/", "")
	<-inside
	id, err := a.Replay(e.ID, Edit{})
	if err != nil {
		t.Fatal(err)
	}
	<-inside
	a.die()
	a.replays.shut()
	if got, _ := a.Recorder().Get(id); got.Error != ErrorCanceled {
		t.Errorf("recorded as %+v", got)
	}
	if _, err := a.Replay(e.ID, Edit{}); err == nil {
		t.Error("replayed after the end")
	}
}

// TestWatch: the page is told of all there is, then of what changes.
func TestWatch(t *testing.T) {
	a, _ := inspected(t, echo)
	first := call(t, a, "GET", "/first", "")
	ctx, stop := context.WithCancel(t.Context())
	l, err := ListenInspector(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.ServeInspector(ctx, l) }()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/api/events", l.Addr()), nil)
	res, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	type news struct {
		Status    status
		Oldest    int64
		Exchanges []summary
	}
	next := func() (n news) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &n); err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatal("the stream ended")
		return n
	}
	if n := next(); len(n.Exchanges) != 1 || n.Exchanges[0].ID != first.ID || n.Status.Name != "laptop" || n.Status.Connected {
		t.Errorf("at first %+v", n)
	}
	second := call(t, a, "GET", "/second", "")
	for n := next(); ; n = next() {
		if len(n.Exchanges) > 0 && n.Exchanges[len(n.Exchanges)-1].ID == second.ID && n.Exchanges[len(n.Exchanges)-1].State == Done {
			break
		}
	}
	a.Recorder().Clear()
	for n := next(); n.Oldest != 3; n = next() {
		if n.Oldest > 3 {
			t.Fatalf("cleared: %+v", n)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if lines.Scan() && lines.Text() != "" {
		t.Errorf("the stream goes on: %s", lines.Text())
	}
}

func TestListenInspector(t *testing.T) {
	first, err := ListenInspector(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	second, err := ListenInspector(t.Context(), first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if first.Addr().String() == second.Addr().String() {
		t.Error("two listen at one address")
	}
	for _, bad := range []string{"", "4040", "127.0.0.1:http", "127.0.0.1:70000", "nowhere.invalid:4040"} {
		if l, err := ListenInspector(t.Context(), bad); err == nil {
			_ = l.Close()
			t.Errorf("listens at %q", bad)
		}
	}
}

// TestSetup: a server that has forgotten the tunnel is told of it again.
func TestSetup(t *testing.T) {
	s := newTestServer(t)
	s.set(404, `{"title":"Not Found","code":"not_found"}`)
	calls := 0
	a := startAgent(t, s, "http://127.0.0.1:1", func(o *Options) {
		o.Setup = func(context.Context) (string, error) {
			calls++
			s.set(0, "")
			return "https://elsewhere.example.com/b/2", nil
		}
	})
	s.session()
	await(t, a, "it is connected", func() bool { return a.Status().Connected })
	if calls != 1 || a.PublicURL() != "https://elsewhere.example.com/b/2" {
		t.Errorf("set up %d times, now at %s", calls, a.PublicURL())
	}
}
