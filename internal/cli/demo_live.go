package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/sink"
)

// demoLiveCmd compares the ways out, in the terminal and on a page.
type demoLiveCmd struct {
	Rate   float64       `help:"Events a second." default:"1"`
	For    time.Duration `help:"Stop after so long; at Ctrl-C without it." placeholder:"DURATION"`
	Listen string        `help:"The server's address; a free port without it." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

// The types of the demo's events; their subjects begin with ping/ and chat/.
const (
	pingType = "demo.ping"
	chatType = "chat.message"
)

// readyTime is how long the first event waits for each listener.
const readyTime = 3 * time.Second

// liveDemo is one such demo under way: a server, which may be started again, a receiver beside it, and a listener for each
// way in this process, so that all are measured on one clock.
type liveDemo struct {
	c        *console
	key      string
	subject  string // of the events that the terminal measures
	instance string // tells the page that another demo runs
	cfg      config.Config
	base     string
	client   *client.Client
	sink     *sink.Server
	arrivals arrivals
	view     *liveView
	restarts chan struct{}
}

// Run shows the demo until it is interrupted, and leaves nothing behind.
func (x *demoLiveCmd) Run(c *console) (err error) {
	if x.Rate < 0.1 || x.Rate > 100 {
		return usagef("--rate must be from 0.1 to 100")
	}
	dir, err := demoFolder(c)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &liveDemo{
		c: c, key: "demo-" + rand.Text(), subject: "ping/terminal-" + rand.Text(), instance: rand.Text(),
		view: newLiveView(c), restarts: make(chan struct{}, 1),
	}
	if d.cfg, err = config.Load([]string{
		"--listen", x.Listen, "--data", filepath.Join(dir, "data"), "--allow-targets", "127.0.0.0/8,::1",
		"--log-level", "warn", "--log-format", "text", "--shutdown-timeout", "2s", "--stream-keep-alive", "5s", "--retry-schedule", "1s,2s,5s,10s",
	}, nil, os.ReadFile); err != nil {
		return &usageError{err: err, command: "posthorn demo live"}
	}
	d.cfg.RootKey = config.NewSecret(d.key)
	ctx, cancel := context.WithCancel(c.ctx)
	if x.For > 0 {
		ctx, cancel = context.WithTimeout(c.ctx, x.For)
	}
	defer cancel()
	return d.run(ctx, x.Rate)
}

// run starts the receiver, and the server again and again until ctx ends.
func (d *liveDemo) run(ctx context.Context, rate float64) (err error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if d.sink, err = sink.New(sink.Options{Observe: d.received}); err != nil {
		return err
	}
	if err := d.sink.Start(life, "127.0.0.1:0"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopReceiver(life, d.sink)) }()
	server, err := d.startServer(life)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := d.setUp(life); err != nil {
		return err
	}
	d.introduce()
	var side sync.WaitGroup
	working, stopWorking := context.WithCancel(ctx)
	d.work(working, &side, rate)
	defer d.view.end()
	defer side.Wait()
	defer stopWorking()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-server.failed:
			return err
		case <-d.restarts:
		}
		_ = server.stop() // what it could not end in time ends with it; if it could not be stopped, the next start says so
		again, err := d.startServer(life)
		if err != nil {
			return err
		}
		server = again
	}
}

// work starts what listens, publishes and draws, until ctx ends.
func (d *liveDemo) work(ctx context.Context, side *sync.WaitGroup, rate float64) {
	listening := d.listen(ctx, side)
	side.Go(func() {
		for range cap(listening) { // so that the first event is heard by all
			select {
			case <-listening:
			case <-time.After(readyTime):
			case <-ctx.Done():
				return
			}
		}
		d.publish(ctx, rate)
	})
	side.Go(func() { d.view.drawing(ctx) })
}

// startServer starts the server; the first time at the address asked for, then at the one that it got.
func (d *liveDemo) startServer(life context.Context) (*demoServer, error) {
	server, err := startDemoServer(life, d.cfg, map[string]http.Handler{"/demo/": d.pages()})
	if err != nil {
		return nil, err
	}
	if err := d.reached(server.base); err != nil {
		return nil, errors.Join(err, server.stop())
	}
	return server, nil
}

// reached notes the server's address.
func (d *liveDemo) reached(base string) error {
	if d.base != "" {
		return nil
	}
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	d.base, d.cfg.Listen = base, u.Host
	d.client, err = client.New(base, d.key)
	return err
}

// setUp makes the tenant and the endpoint.
func (d *liveDemo) setUp(ctx context.Context) error {
	if _, err := d.client.CreateTenant(ctx, client.Tenant{Name: demoTenant, Description: "one event, four ways"}); err != nil {
		return err
	}
	e, err := d.client.CreateEndpoint(ctx, demoTenant, client.Endpoint{URL: d.sink.URL() + "/hook", Types: []string{pingType}, Description: "the receiver of the demo"})
	if err != nil {
		return err
	}
	secret, err := d.client.Secret(ctx, demoTenant, e.ID)
	if err != nil {
		return err
	}
	v, err := sink.Verifier(secret.Secret)
	if err != nil {
		return err
	}
	d.sink.SetVerifier(v)
	return nil
}

// introduce says what is to be seen and where the page is.
func (d *liveDemo) introduce() {
	c := d.c
	c.printf("%s\n", c.paint(bold, "Posthorn live: one event by webhook, WebSocket, server-sent events and long poll."))
	c.fields([]field{
		{"page", cell{d.base + "/demo/", bold}}, {"docs", text(d.base + "/docs")}, {"key", text(d.key)}, {"tenant", text(demoTenant)},
	})
	c.printf("\n%s\n%s\n\n", c.paint(dim, "Measured here, on one clock: from just before an event is published to when each listener has it."),
		c.paint(dim, "Ctrl-C ends the demo; nothing stays behind."))
}

// publish publishes events at the rate until ctx ends. While the server is being started again they fail, which is no news.
func (d *liveDemo) publish(ctx context.Context, rate float64) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	run := rand.Text()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		id := fmt.Sprintf("%s-%d", run, n)
		data, _ := json.Marshal(map[string]int{"number": n}) //nolint:errchkjson // a number
		d.view.sent(id, n, time.Now())
		if _, err := d.client.Publish(ctx, demoTenant, client.Event{ID: id, Type: pingType, Source: "/demo", Subject: d.subject, Data: data}); err != nil {
			d.view.failed(id)
		}
	}
}

// received is told of every webhook that arrives.
func (d *liveDemo) received(r sink.Request) {
	if r.Invalid != nil {
		return
	}
	d.view.arrived(wayWebhook, r.ID, r.At)
	var body struct {
		Timestamp time.Time `json:"timestamp"`
	}
	if json.Unmarshal(r.Body, &body) == nil {
		d.arrivals.add(r.ID, r.At.Sub(body.Timestamp))
	}
}
