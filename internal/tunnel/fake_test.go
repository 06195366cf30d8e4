package tunnel

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/tunnel/pipe"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// fakeKeep is where tunnels are kept, in memory.
type fakeKeep struct {
	mu        sync.Mutex
	hub       *Hub
	endpoints []event.Endpoint
	bins      []event.Bin
	writes    int
}

func (k *fakeKeep) Endpoints(_ context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []event.Endpoint
	for _, e := range k.endpoints {
		if e.Tenant == t.ID && e.ID > after && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (k *fakeKeep) CreateEndpoint(_ context.Context, t *event.Tenant, e event.Endpoint, _ event.Secrets) (event.Endpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if strings.Contains(e.Filter, "wrong") {
		return e, event.Invalid("filter", "is wrong")
	}
	k.writes++
	e.ID, e.Tenant, e.Revision = event.EndpointID(1000+k.writes), t.ID, 1
	k.endpoints = append(k.endpoints, e)
	return e, nil
}

func (k *fakeKeep) UpdateEndpoint(_ context.Context, _ *event.Tenant, e event.Endpoint, _ *event.Secrets, revision int64) (event.Endpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.endpoints {
		if old := k.endpoints[i]; old.ID == e.ID && old.Revision == revision {
			if fmt.Sprint(old) != fmt.Sprint(e) {
				k.writes++
				e.Revision++
			}
			k.endpoints[i] = e
			return e, nil
		}
	}
	return e, event.NotFound("endpoint")
}

func (k *fakeKeep) DeleteEndpoint(_ context.Context, t *event.Tenant, id event.EndpointID, _ int64) error {
	k.mu.Lock()
	k.endpoints = slices.DeleteFunc(k.endpoints, func(e event.Endpoint) bool { return e.ID == id })
	k.mu.Unlock()
	k.hub.EndpointDeleted(t.ID, id)
	return nil
}

func (*fakeKeep) Secrets(context.Context, *event.Endpoint) (event.Secrets, error) {
	return event.Secrets{Signing: []event.SigningSecret{{Secret: "whsec_example"}}}, nil
}

func (k *fakeKeep) Bins(_ context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []event.Bin
	for _, b := range k.bins {
		if b.Tenant == tenant && b.ID > after && len(list) < limit {
			list = append(list, b)
		}
	}
	return list, nil
}

func (k *fakeKeep) Create(_ context.Context, tenant event.TenantID, b event.Bin) (event.Bin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes++
	b.ID, b.Tenant, b.Revision = fmt.Sprintf("bin-%04d", k.writes), tenant, 1
	k.bins = append(k.bins, b)
	return b, nil
}

func (k *fakeKeep) Update(_ context.Context, b event.Bin, revision int64) (event.Bin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.bins {
		if k.bins[i].ID == b.ID && k.bins[i].Revision == revision {
			k.writes++
			b.Revision++
			k.bins[i] = b
			return b, nil
		}
	}
	return b, event.NotFound("bin")
}

func (k *fakeKeep) Delete(_ context.Context, id string, _ int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bins = slices.DeleteFunc(k.bins, func(b event.Bin) bool { return b.ID == id })
	return nil
}

func (*fakeKeep) URL(b *event.Bin) string { return "https://hooks.example.com/b/" + b.ID }

// patience is how long a test waits for what should happen at once. It is long because a test must not fail for a slow machine.
const patience = 3 * time.Minute

// stage is a hub behind a real server.
type stage struct {
	t       testing.TB
	hub     *Hub
	keep    *fakeKeep
	tenant  *event.Tenant
	server  *httptest.Server
	changes chan Change
	key     event.APIKey
}

func newStage(t testing.TB, options ...func(*Config)) *stage {
	t.Helper()
	on := &stage{t: t, keep: &fakeKeep{}, tenant: &event.Tenant{ID: 7, Name: "acme"}, changes: make(chan Change, 1000)}
	cfg := Config{
		Endpoints: on.keep, Bins: on.keep, MaxTunnels: 10, PublicURL: "https://hooks.example.com", Hosts: "*.dev.example.com",
		Sources: func(_ context.Context, _ *event.Tenant, name string) (bool, error) {
			return name == "github" || name == "stripe", nil
		},
		Tenant: func(_ context.Context, name string) (*event.Tenant, error) {
			if name != on.tenant.Name {
				return nil, event.NotFound("tenant")
			}
			return on.tenant, nil
		},
		Caller: func(r *http.Request) (string, string) { return "192.0.2.7", "https://" + r.Host + r.RequestURI },
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, o := range options {
		o(&cfg)
	}
	var err error
	if on.hub, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	on.keep.hub = on.hub
	on.hub.OnChange(func(c Change) { on.changes <- c })
	on.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isConnect := strings.CutPrefix(r.URL.Path, "/connect/")
		if !isConnect {
			on.hub.ServeHTTP(w, r)
			return
		}
		if err := on.hub.Connect(w, r, Listener{Tenant: on.tenant, Name: name, Key: on.key}); err != nil {
			http.Error(w, err.Error(), 400+int(event.KindOf(err)))
		}
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := on.hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		on.server.Close()
	})
	return on
}

func (on *stage) setup(s Spec) Tunnel {
	on.t.Helper()
	made, err := on.hub.Setup(on.t.Context(), on.tenant, s)
	if err != nil {
		on.t.Fatal(err)
	}
	return made
}

// agent is a listener: a yamux server whose streams lead to a handler.
type agent struct {
	ws   *websocket.Conn
	mux  *yamux.Session
	http *http.Server
	done chan struct{}
}

func (on *stage) dial(name string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, on.server.URL+"/connect/"+name, &websocket.DialOptions{Subprotocols: []string{pipe.Subprotocol}}) //nolint:bodyclose // of a refusal it is in memory
	if err != nil {
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			err = fmt.Errorf("%w: %s", err, b)
		}
		return nil, err
	}
	return c, nil
}

// connect connects a listener and waits until the hub knows it.
func (on *stage) connect(name string, h http.HandlerFunc) *agent {
	on.t.Helper()
	c, err := on.dial(name)
	if err != nil {
		on.t.Fatal(err)
	}
	cfg := yamux.DefaultConfig()
	cfg.LogOutput = io.Discard
	cfg.MaxStreamWindowSize = streamWindow
	open := &pipe.Streams{}
	mux, err := yamux.Server(pipe.New(context.Background(), c, open), cfg)
	if err != nil {
		on.t.Fatal(err)
	}
	a := &agent{ws: c, mux: mux, http: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, done: make(chan struct{})}
	go func() { defer close(a.done); _ = a.http.Serve(calm{mux, open}) }()
	on.t.Cleanup(a.close)
	on.next(name, true)
	return a
}

// next waits for a change of a tunnel.
func (on *stage) next(name string, online bool) Change {
	on.t.Helper()
	late := time.After(patience)
	for {
		select {
		case c := <-on.changes:
			if c.Name == name && c.Online == online {
				return c
			}
		case <-late:
			on.t.Fatalf("the tunnel %s did not come to be %v", name, online)
		}
	}
}

// calm is a listener whose streams do not spin at the end.
type calm struct {
	*yamux.Session
	open *pipe.Streams
}

func (l calm) Accept() (net.Conn, error) {
	c, err := l.Session.Accept()
	if err != nil {
		return nil, err
	}
	return l.open.Add(c), nil
}

func (a *agent) close() {
	_ = a.ws.CloseNow()
	_ = a.mux.Close()
	_ = a.http.Close()
	<-a.done
}

// idleMux is a yamux session over a pipe, without keep-alives.
func idleMux(t *testing.T) *yamux.Session {
	t.Helper()
	near, far := net.Pipe()
	cfg := yamux.DefaultConfig()
	cfg.LogOutput, cfg.EnableKeepAlive = io.Discard, false
	other, err := yamux.Server(far, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := yamux.Client(near, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return mux
}
