package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/app"
	"github.com/posthornhq/posthorn/internal/config"
)

const testTenant = "acme"

// startServer runs a server with a tenant until the test ends.
func startServer(t *testing.T, options ...string) (addr, key string) {
	t.Helper()
	key = "root-key-of-the-test"
	args := append([]string{"--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log-level", "warn", "--log-format", "text", "--shutdown-timeout", "3s"}, options...)
	cfg, err := config.Load(args, nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RootKey = config.NewSecret(key)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready := make(chan string, 1)
	log := &lastWords{}
	server, err := app.New(ctx, cfg, app.Options{Log: log, Version: "test", OnReady: func(base, _ string) { ready <- base }})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server: %v\n%s", err, log.String())
		}
	})
	select {
	case base := <-ready:
		addr = strings.TrimPrefix(base, "http://")
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	if _, err := directClient(t, addr, key).CreateTenant(t.Context(), client.Tenant{Name: testTenant}); err != nil {
		t.Fatal(err)
	}
	return addr, key
}

// directClient returns a client that keeps no connections for later.
func directClient(t *testing.T, addr, key string) *client.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New("http://"+addr, key, client.WithHTTPClient(&http.Client{Transport: transport, Timeout: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cutter is a proxy that cuts connections after any number of bytes to the client, until it is told to stop.
type cutter struct {
	listen net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	rand  *rand.Rand
	open  map[net.Conn]bool // nil at the end
	after int               // the most bytes; 0: never cut
	cuts  int
}

func newCutter(t *testing.T, target string, seed uint64, after int) *cutter {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutter{listen: l, target: target, rand: rand.New(rand.NewPCG(seed, 7)), open: map[net.Conn]bool{}, after: after} //nolint:gosec // a test is repeated by it
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.open = nil
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *cutter) carry(in net.Conn) {
	out, err := net.Dial("tcp", p.target) //nolint:noctx // loopback
	if err != nil {
		_ = in.Close()
		return
	}
	limit := int64(1) << 60
	p.mu.Lock()
	ended := p.open == nil
	if !ended {
		p.open[in], p.open[out] = true, true
		if p.after > 0 {
			limit = 1 + p.rand.Int64N(int64(p.after))
		}
	}
	p.mu.Unlock()
	var up sync.WaitGroup
	if !ended {
		up.Go(func() { _, _ = io.Copy(out, in) })
		if n, _ := io.CopyN(in, out, limit); n == limit {
			p.mu.Lock()
			p.cuts++
			p.mu.Unlock()
		}
	}
	_ = in.Close()
	_ = out.Close()
	up.Wait()
	p.mu.Lock()
	delete(p.open, in)
	delete(p.open, out)
	p.mu.Unlock()
}

// relent ends the cuts of connections to come.
func (p *cutter) relent() (cuts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = 0
	return p.cuts
}

// follow listens until version last and checks that each version came once, in order.
func follow(ctx context.Context, s *client.Stream, last int64) error {
	want := int64(1)
	for e, err := range s.Events(ctx) {
		switch {
		case err != nil:
			return fmt.Errorf("before version %d: %w", want, err)
		case e.Version != want:
			return fmt.Errorf("version %d came where %d was due", e.Version, want)
		case e.Version == last:
			return nil
		}
		want++
	}
	return errors.New("the stream has ended")
}

// verifyNone returns what looks for goroutines that were left behind, other than two of fasthttp's that end by and by.
func verifyNone(t *testing.T) func() {
	t.Helper()
	options := []goleak.Option{
		goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	}
	return func() { goleak.VerifyNone(t, options...) }
}

// TestStreamsThroughCuts publishes 10,000 events, to which clients listen whose connections are cut again and again.
func TestStreamsThroughCuts(t *testing.T) {
	defer verifyNone(t)()
	const last = 10_000
	t.Run("run", func(t *testing.T) { // its clean-ups end before leaks are looked for
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		addr, key := startServer(t)
		direct := directClient(t, addr, key)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var listeners sync.WaitGroup
		proxies := map[client.Transport]*cutter{}
		for i, via := range []client.Transport{client.TransportAuto, client.TransportSSE, client.TransportPoll} {
			// A poll's answer must fit at times, or it would never come.
			after := map[client.Transport]int{client.TransportPoll: 200 << 10}[via]
			p := newCutter(t, addr, seed+uint64(i), max(after, 60<<10))
			proxies[via] = p
			s := directClient(t, p.listen.Addr().String(), key).Stream(testTenant, client.Start(1), client.Via(via),
				client.Backoff(5*time.Millisecond, 100*time.Millisecond), client.PageSize(200))
			listeners.Go(func() {
				if err := follow(ctx, s, last); err != nil {
					t.Errorf("%s: %v", via, err)
				}
			})
		}
		for n := 0; n < last; n += 100 {
			events := make([]client.Event, 100)
			for i := range events {
				events[i] = client.Event{Type: "order.paid", Subject: fmt.Sprint("order/", n+i), Data: []byte(`{"text":"` + strings.Repeat("x", i) + `"}`)}
			}
			if _, err := direct.PublishBatch(ctx, testTenant, events); err != nil {
				t.Fatal(err)
			}
		}
		listeners.Wait()
		for via, p := range proxies {
			if cuts := p.relent(); cuts < 10 {
				t.Errorf("%s: %d cuts only", via, cuts)
			}
		}
	})
}

// TestWorkersThroughCuts lets workers share 500 events over connections that are cut, some of which fail at first, and
// one of which always does.
func TestWorkersThroughCuts(t *testing.T) {
	defer verifyNone(t)()
	const last, hopeless = 500, 250
	t.Run("run", func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		addr, key := startServer(t)
		direct := directClient(t, addr, key)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		deliveries := 3
		queue := direct.Queue(testTenant, "jobs")
		if _, err := queue.Put(ctx, client.Queue{Start: 1, MaxDeliveries: &deliveries, Visibility: client.Duration(3 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		handled := map[int64]int{} // and so acknowledged, whether the answer came or not
		working, stop := context.WithCancel(ctx)
		defer stop()
		var workers sync.WaitGroup
		for i := range 3 {
			p := newCutter(t, addr, seed+uint64(i), 40<<10)
			q := directClient(t, p.listen.Addr().String(), key).Queue(testTenant, "jobs")
			workers.Go(func() {
				err := q.Work(working, func(_ context.Context, e client.LeasedEvent) error {
					if v := e.Event.Version; v == hopeless || v%7 == 0 && e.Deliveries == 1 {
						return client.RetryIn(10*time.Millisecond, errors.New("no"))
					}
					mu.Lock()
					defer mu.Unlock()
					handled[e.Event.Version]++
					return nil
				}, client.WorkOptions{Concurrency: 4, Prefetch: 4, Visibility: 3 * time.Second})
				if err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
			})
		}
		for n := 0; n < last; n += 100 {
			events := make([]client.Event, 100)
			for i := range events {
				events[i] = client.Event{Type: "job"}
			}
			if _, err := direct.PublishBatch(ctx, testTenant, events); err != nil {
				t.Fatal(err)
			}
		}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for state := (*client.QueueState)(nil); ; {
			q, err := queue.Get(ctx)
			if err != nil {
				t.Fatalf("%v; last seen: %+v", err, state)
			}
			if state = q.State; state.Depth == 0 {
				break
			}
			<-tick.C
		}
		stop()
		workers.Wait()
		// Leases whose answers were lost count, too, so that others than the hopeless one may be dead.
		dead := map[int64]bool{}
		for d, err := range queue.Dead(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			dead[d.Version] = true
		}
		for v := int64(1); v <= last; v++ {
			if v != hopeless && !dead[v] && handled[v] == 0 || handled[v] > deliveries {
				t.Errorf("version %d: handled %d times", v, handled[v])
			}
		}
		if !dead[hopeless] || len(dead) > 50 {
			t.Errorf("dead are %v", dead)
		}
	})
}

// TestStreamWithShortTokens follows the events of one user by tokens that live for a second.
func TestStreamWithShortTokens(t *testing.T) {
	defer verifyNone(t)()
	const last = 60
	t.Run("run", func(t *testing.T) {
		addr, key := startServer(t)
		direct := directClient(t, addr, key)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tokens := 0
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		ttl := client.Duration(time.Second)
		c, err := client.New("http://"+addr, "", client.WithHTTPClient(&http.Client{Transport: transport}), client.WithToken(func(ctx context.Context) (string, error) {
			tokens++
			made, err := direct.CreateToken(ctx, testTenant, client.TokenRequest{Allow: []string{"read"}, Subjects: []string{"user/7/*"}, TTL: &ttl})
			if err != nil {
				return "", err
			}
			return made.Token, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		var publisher sync.WaitGroup
		publisher.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for n := range last {
				for user := range 8 {
					if _, err := direct.Publish(ctx, testTenant, client.Event{ID: fmt.Sprintf("%d-%d", user, n), Type: "a", Subject: fmt.Sprintf("user/%d/x", user)}); err != nil {
						t.Error(err)
						return
					}
				}
				<-tick.C
			}
		})
		n := 0
		for e, err := range c.Stream(testTenant, client.Start(1), client.Backoff(10*time.Millisecond, 100*time.Millisecond)).Events(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("7-%d", n); e.ID != want {
				t.Fatalf("%s came where %s was due", e.ID, want)
			}
			if n++; n == last {
				break
			}
		}
		publisher.Wait()
		if tokens < 2 {
			t.Error("one token was enough")
		}
	})
}
