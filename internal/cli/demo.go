package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/sink"
)

// demoTenant is the demo's tenant.
const demoTenant = "demo"

// demoCmd shows the server at work.
type demoCmd struct {
	Orders demoOrdersCmd `cmd:"" default:"withargs" help:"Orders of a small shop, pushed to three endpoints: what demo does when it is not told more."`
	Live   demoLiveCmd   `cmd:"" help:"One event by webhook, WebSocket, server-sent events and long poll: how long each takes, here and on a page."`
}

// demoOrdersCmd pushes the orders of a shop to three endpoints.
type demoOrdersCmd struct {
	Rate   float64       `help:"Events a second." default:"2"`
	For    time.Duration `help:"Stop after so long; at Ctrl-C without it." placeholder:"DURATION"`
	Listen string        `help:"The server's address; a free port without it." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

// demo is one demo under way.
type demo struct {
	c      *console
	client *client.Client
	sink   *sink.Server
	view   *demoView
	shop   *shop
	base   string
	key    string
	// publishing is held until a publish is shown, so that its deliveries show after it.
	publishing sync.Mutex
	// ids are the endpoints in the order of the view.
	ids []string
	// failedTries is the last attempt shown of each endpoint.
	failedTries []string
}

// demoFolder makes the folder that a demo has its data in; who asked for JSON gets no demo.
func demoFolder(c *console) (string, error) {
	if c.json {
		return "", usagef("--json has no effect here: the demo is for people to watch")
	}
	dir, err := os.MkdirTemp("", "posthorn-demo-")
	if err != nil {
		return "", fmt.Errorf("make a temporary folder: %w", err)
	}
	return dir, nil
}

// Run shows the demo until it is interrupted, and leaves nothing behind.
func (x *demoOrdersCmd) Run(c *console) (err error) {
	if x.Rate < 0.1 || x.Rate > 1000 {
		return usagef("--rate must be from 0.1 to 1000")
	}
	dir, err := demoFolder(c)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &demo{c: c, key: "demo-" + rand.Text(), shop: newShop(mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64())))} //nolint:gosec // made-up orders
	stop, err := d.start(x.Listen, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := d.setUp(); err != nil {
		return err
	}
	ctx := c.ctx
	if x.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.For)
		defer cancel()
	}
	d.introduce()
	if err := d.show(ctx, x.Rate); err != nil {
		return err
	}
	d.view.end()
	return nil
}

// start starts the receiver and the server; stop ends both. They outlive the command's interrupt, so that the demo can
// end in order.
func (d *demo) start(listen, dir string) (stop func() error, err error) {
	cfg, err := config.Load([]string{
		"--listen", listen, "--data", filepath.Join(dir, "data"), "--allow-targets", "127.0.0.0/8,::1",
		"--log-level", "warn", "--log-format", "text", "--shutdown-timeout", "3s", "--retry-schedule", "2s,5s,15s,1m,5m",
	}, nil, os.ReadFile)
	if err != nil {
		return nil, &usageError{err: err, command: "posthorn demo"}
	}
	cfg.RootKey = config.NewSecret(d.key)
	d.sink, err = sink.New(sink.Options{
		Paths:   map[string]sink.Behaviour{"/flaky": {FailFirst: 1, FailOf: 4, FailStatus: 503}},
		Observe: d.received,
	})
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(d.c.ctx))
	if err := d.sink.Start(life, "127.0.0.1:0"); err != nil {
		end()
		return nil, err
	}
	server, err := startDemoServer(life, cfg, nil)
	if err != nil {
		end()
		return nil, errors.Join(err, stopReceiver(life, d.sink))
	}
	stop = func() error {
		err := server.stop()
		end()
		return errors.Join(err, stopReceiver(life, d.sink))
	}
	d.base = server.base
	if d.client, err = client.New(d.base, d.key); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// setUp makes the tenant and the three endpoints.
func (d *demo) setUp() error {
	ctx := d.c.ctx
	if _, err := d.client.CreateTenant(ctx, client.Tenant{Name: demoTenant, Description: "a small web shop"}); err != nil {
		return err
	}
	d.view = &demoView{c: d.c, started: time.Now(), api: d.base}
	var keys []string
	for _, e := range []struct{ name, about, url string }{
		{"healthy", "answers at once", d.sink.URL() + "/healthy"},
		{"flaky", "one of four requests is answered 503", d.sink.URL() + "/flaky"},
		{"dead", "nothing listens there", "http://127.0.0.1:1/dead"},
	} {
		made, err := d.client.CreateEndpoint(ctx, demoTenant, client.Endpoint{URL: e.url, Types: []string{"order.*"}, Description: e.name})
		if err != nil {
			return err
		}
		secret, err := d.client.Secret(ctx, demoTenant, made.ID)
		if err != nil {
			return err
		}
		keys = append(keys, secret.Secret)
		d.ids = append(d.ids, made.ID)
		d.failedTries = append(d.failedTries, "")
		d.view.endpoints = append(d.view.endpoints, &endpointFigures{name: e.name, about: e.about, lane: cell{"live", green}})
	}
	v, err := sink.Verifier(keys...)
	if err != nil {
		return err
	}
	d.sink.SetVerifier(v)
	return nil
}

// introduce says what is to be seen and how to take part.
func (d *demo) introduce() {
	c := d.c
	c.printf("%s\n", c.paint(bold, "Posthorn demo: orders of a small shop, pushed to three endpoints as signed webhooks."))
	c.fields([]field{
		{"address", cell{d.base, bold}}, {"ui", text(d.base + "/ui/")}, {"key", text(d.key)}, {"tenant", text(demoTenant)},
	})
	for _, e := range d.view.endpoints {
		c.printf("  %-8s %s\n", e.name, c.paint(dim, e.about))
	}
	c.printf("\nTake part from another terminal:\n  curl %s/v1/tenants/%s/events -H 'Authorization: Bearer %s' \\\n    -H 'Content-Type: application/json' -d '{\"type\":\"order.paid\",\"subject\":\"order/1\",\"data\":{\"total\":\"10.00\"}}'\n\n",
		d.base, demoTenant, d.key)
	c.printf("%s\n\n", c.paint(dim, "Ctrl-C ends the demo; nothing stays behind."))
}

// show publishes, watches and draws until ctx ends, and then lets what is under way arrive.
func (d *demo) show(ctx context.Context, rate float64) error {
	var side sync.WaitGroup
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	side.Go(func() { d.watch(watching) })
	side.Go(func() { d.drawing(watching) })
	err := d.publish(ctx, rate)
	d.arrive()
	stopWatching()
	side.Wait()
	d.states(context.WithoutCancel(ctx))
	return err
}

// publish sends events at the rate until ctx ends.
func (d *demo) publish(ctx context.Context, rate float64) error {
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := d.publishOne(ctx); err != nil {
			return err
		}
	}
}

func (d *demo) publishOne(ctx context.Context) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	e := d.shop.event(time.Now())
	// Under the interrupt one event may be half-way; it is finished, so that the totals are right.
	r, err := d.client.Publish(context.WithoutCancel(ctx), demoTenant, e)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	d.view.update(func() { d.view.published++ })
	d.view.line(cyan, "→", "%-16s %-12s %s", e.Type, e.Subject, d.c.paint(dim, fmt.Sprintf("version %d, durable", r.Version)))
	return nil
}

// arrivalTime is how long the end waits for the healthy endpoint.
const arrivalTime = 2 * time.Second

// arrive waits until the healthy endpoint has everything.
func (d *demo) arrive() {
	deadline := time.NewTimer(arrivalTime)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done := false
		d.view.update(func() { done = d.view.endpoints[0].delivered >= d.view.published })
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

// received is told of every webhook that arrives.
func (d *demo) received(r sink.Request) {
	index := 0
	if strings.HasPrefix(r.Path, "/flaky") {
		index = 1
	}
	attempt, _ := strconv.Atoi(r.Attempt)
	d.publishing.Lock()
	d.publishing.Unlock() //nolint:staticcheck // only to come after a publish under way
	var name string
	d.view.update(func() {
		e := d.view.endpoints[index]
		name = e.name
		switch {
		case r.Failed:
			e.failed++
		case attempt > 1:
			e.delivered++
			e.retried++
		default:
			e.delivered++
		}
	})
	signed := d.c.paint(dim, "signature verified")
	if r.Invalid != nil {
		signed = d.c.paint(red, "signature wrong: "+r.Invalid.Error())
	}
	switch {
	case r.Failed:
		d.view.line(red, "✗", "%-16s version %-4s answered %d: to be retried", name, r.Version, r.Status)
	case attempt > 1:
		d.view.line(green, "✓", "%-16s version %-4s delivered at try %d, %s", name, r.Version, attempt, signed)
	default:
		d.view.line(green, "✓", "%-16s version %-4s delivered, %s", name, r.Version, signed)
	}
}

// watch follows the states of the endpoints and the tries that never reached the receiver.
func (d *demo) watch(ctx context.Context) {
	every(ctx, 500*time.Millisecond, func() { d.states(ctx) })
}

// deadIndex is the endpoint whose tries the receiver cannot see.
const deadIndex = 2

// states reads the endpoints once. An error shows as an unknown state: the demo goes on.
func (d *demo) states(ctx context.Context) {
	for i, id := range d.ids {
		e, err := d.client.Endpoint(ctx, demoTenant, id)
		if err != nil || e.State == nil {
			continue
		}
		lane, _, _ := laneOf(e)
		if s := e.State; s.PenaltyUntil != nil && s.Penalty > 0 {
			left := max(time.Until(*s.PenaltyUntil), 0).Round(time.Second)
			lane = cell{fmt.Sprintf("penalty %s, %s left", s.Penalty, left), red}
		}
		d.view.update(func() {
			d.view.endpoints[i].backlog = e.State.Backlog
			d.view.endpoints[i].lane = lane
		})
	}
	d.deadTries(ctx)
}

// deadTries shows the new attempts at the dead endpoint.
func (d *demo) deadTries(ctx context.Context) {
	list, _, err := collect(limited{20}, d.client.EndpointAttempts(ctx, demoTenant, d.ids[deadIndex], client.PageSize(20)))
	if err != nil {
		return
	}
	last := d.failedTries[deadIndex]
	for _, a := range slices.Backward(list) {
		if a.ID <= last {
			continue
		}
		d.failedTries[deadIndex] = a.ID
		lane := ""
		d.view.update(func() {
			d.view.endpoints[deadIndex].failed++
			lane = d.view.endpoints[deadIndex].lane.text
		})
		d.view.line(red, "✗", "%-16s version %-4d %s: %s", d.view.endpoints[deadIndex].name, a.Version, clean(a.Error), lane)
	}
}

// drawing keeps the terminal up to date.
func (d *demo) drawing(ctx context.Context) {
	every(ctx, 200*time.Millisecond, d.view.draw)
}
