package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

const testKey = "the-key"

// patience is how long a test waits for what should happen at once.
const patience = 3 * time.Minute

// testServer is the server's end of a tunnel, no more than the contract asks for.
type testServer struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	http     *http.Server
	sessions chan *yamux.Session // each connection
	done     sync.WaitGroup
	// refuse is answered instead of a connection, unless 0.
	refuse  int
	problem string
	asked   int
}

// newTestServer starts a server that the test's end stops.
func newTestServer(t *testing.T) *testServer {
	t.Helper()
	s := &testServer{t: t, sessions: make(chan *yamux.Session, 16)}
	s.start("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) start(addr string) {
	s.t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(s.t.Context(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: http.HandlerFunc(s.connect), ReadHeaderTimeout: patience}
	s.done.Go(func() { _ = s.http.Serve(l) })
}

// stop breaks every connection.
func (s *testServer) stop() {
	_ = s.http.Close()
	s.mu.Lock()
	for len(s.sessions) > 0 {
		_ = (<-s.sessions).Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *testServer) set(status int, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.problem = status, problem
}

func (s *testServer) connect(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	refuse, problem := s.refuse, s.problem
	s.mu.Unlock()
	if refuse == 0 && r.Header.Get("Authorization") != "Bearer "+testKey {
		refuse, problem = http.StatusUnauthorized, `{"title":"Unauthorized","status":401,"code":"unauthorized","detail":"the key is not known"}`
	}
	if refuse != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(refuse)
		_, _ = io.WriteString(w, problem)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{pipe.Subprotocol}})
	if err != nil {
		return
	}
	config := yamux.DefaultConfig()
	config.LogOutput, config.MaxStreamWindowSize = io.Discard, window
	mux, err := yamux.Client(websocket.NetConn(context.Background(), ws, websocket.MessageBinary), config)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.sessions <- mux
}

// session waits for the agent's next connection.
func (s *testServer) session() *yamux.Session {
	s.t.Helper()
	select {
	case mux := <-s.sessions:
		s.t.Cleanup(func() { _ = mux.Close() })
		return mux
	case <-time.After(patience):
		s.t.Fatal("the agent does not connect")
		return nil
	}
}

// through is a client whose connections are streams of a session.
func through(t *testing.T, mux *yamux.Session) *http.Client {
	t.Helper()
	tr := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return mux.Open() },
		DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// start runs an agent for a target until the test ends.
func startAgent(t *testing.T, s *testServer, target string, change ...func(*Options)) *Agent {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Connect: "ws://" + s.addr + "/v1/tenants/acme/tunnels/laptop/connect", Key: testKey, Target: u, Name: "laptop", Kind: "bin", PublicURL: "https://hooks.example.com/b/1", UserAgent: "posthorn-test"}
	for _, c := range change {
		c(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil && !strings.Contains(err.Error(), "connect") {
				t.Errorf("the agent: %v", err)
			}
		case <-time.After(patience):
			t.Error("the agent does not end")
		}
	})
	return a
}

// local serves a handler as the program on the laptop.
func local(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// await waits until a condition of the recorder holds.
func await(t *testing.T, a *Agent, what string, holds func() bool) {
	t.Helper()
	overdue := time.After(patience)
	for {
		_, changed := a.Recorder().Changes(0)
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-overdue:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// finished waits until the first exchange is over and returns it.
func finished(t *testing.T, a *Agent) Exchange {
	t.Helper()
	var e Exchange
	await(t, a, "the exchange is over", func() bool {
		c, _ := a.Recorder().Changes(0)
		if len(c.Exchanges) > 0 {
			e, _ = a.Recorder().Get(c.Exchanges[0].ID)
		}
		return e.Finished()
	})
	return e
}

func infoJSON(t *testing.T, i Info) string {
	t.Helper()
	b, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and reads the answer.
func do(t *testing.T, c *http.Client, req *http.Request) reply {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, body}
}

// asking makes a request.
func asking(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}
