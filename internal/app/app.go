// Package app wires Posthorn together, and starts and stops it in order. It is the only package that knows every other:
// store → control, ingest → registry, lanes → follower → HTTP. Stopping goes the other way: no new requests, no new
// deliveries, what is under way finished or saved, files closed.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posthornhq/posthorn/internal/api/front"
	"github.com/posthornhq/posthorn/internal/api/hooksite"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/audit"
	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/deliver"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/fanout"
	"github.com/posthornhq/posthorn/internal/guard"
	"github.com/posthornhq/posthorn/internal/inbound"
	"github.com/posthornhq/posthorn/internal/ingest"
	"github.com/posthornhq/posthorn/internal/inspect"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/live/wire"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/overview"
	"github.com/posthornhq/posthorn/internal/queue"
	"github.com/posthornhq/posthorn/internal/session"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/sqlite"
	"github.com/posthornhq/posthorn/internal/token"
	"github.com/posthornhq/posthorn/internal/tunnel"
	"github.com/posthornhq/posthorn/internal/ui"
)

// Options are what the command line adds to the configuration.
type Options struct {
	// Log is where log lines go; os.Stderr when nil.
	Log io.Writer
	// Version is shown by the API and sent in User-Agent.
	Version string
	// OnReady is called once when the server takes requests, with its base URL and the API key that was made at the first
	// start, empty otherwise.
	OnReady func(baseURL, rootKey string)
	// Pages are served beside the API without a key, by the beginning of their path, such as /demo/.
	Pages map[string]http.Handler
}

// App is a server. Make one with New, run it once with Run.
type App struct {
	cfg      config.Config
	options  Options
	arrivals arrivals
	log      *slog.Logger
	metrics  *metrics
	counters *overview.Counters
	overview *overview.Service
	store    *sqlite.Store
	control  *control.Control
	audit    *audit.Log
	tokens   *token.Service
	sessions *session.Service
	ingest   *ingest.Service
	registry *fanout.Registry
	sender   *deliver.HTTPSender
	manager  *deliver.Manager
	follower *fanout.Follower
	hub      *live.Hub
	queues   *queue.Manager
	bins     *inspect.Service
	sources  *inbound.Service
	tunnels  *tunnel.Hub
	faces    *hooksite.API
	ui       *ui.UI
	hold     func() (release func(), ok bool)
	listener net.Listener
	handler  http.Handler // of everything but publishes
	server   *front.Server
	base     context.Context //nolint:containedctx // of publishes, whose HTTP server knows no contexts
	cancel   context.CancelFunc
	rootKey  string
	started  time.Time
}

// node is this node's name in leases; the embedded store has only one.
const node = "local"

// leaseTime is for how long shards are taken; the embedded store grants them for good.
const leaseTime = time.Minute

// New opens the data folder and the port and puts everything together; nothing runs yet. Errors name what is wrong: the
// folder, the file, the port or the option.
func New(ctx context.Context, cfg config.Config, o Options) (_ *App, err error) {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	a := &App{cfg: cfg, options: o, log: newLogger(cfg, o.Log), metrics: newMetrics(o.Version), counters: overview.NewCounters(time.Now()), started: time.Now()}
	a.base, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", cfg.Listen, cause(err))
	}
	a.hold = holding(cfg.MaxHeld)
	a.arrivals = arrivals{public: cfg.PublicURL, trusted: cfg.TrustedProxies}
	if a.cfg.PublicURL == "" {
		a.cfg.PublicURL = config.PublicURLFor(a.listener.Addr().String())
	}
	if a.store, err = sqlite.Open(cfg.Data, sqlite.Options{LogDelay: noneBelow(cfg.CommitDelay), StateDelay: -1}); err != nil {
		return nil, fmt.Errorf("cannot open the data folder %s: %w", cfg.Data, err)
	}
	a.store.Observe(a.metrics.committed)
	if err = keyPresent(ctx, a.store, cfg); err != nil {
		return nil, err
	}
	keys, err := keyring.Open(keyring.Source{Path: cfg.EncryptionKeyFile, Text: cfg.EncryptionKey.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("cannot use the encryption key: %w", err)
	}
	if err = checkKey(ctx, a.store, keys); err != nil {
		return nil, err
	}
	if err = a.wire(ctx, keys); err != nil {
		return nil, err
	}
	return a, nil
}

// noneBelow turns a delay of nothing into the store's word for it; its zero means the default.
func noneBelow(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// cause leaves out the address, which the caller's message names already.
func cause(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// wire makes the parts, each from those before it.
func (a *App) wire(ctx context.Context, keys *keyring.Keyring) (err error) {
	a.audit = audit.New(a.store, a.log)
	limits := a.limits()
	checks := guard.New(a.cfg.AllowTargets, a.cfg.DenyTargets)
	if a.control, err = control.New(control.Options{
		Store: a.store, Sealer: keys, Limits: limits,
		CheckURL:     func(url string) error { return checkTarget(checks, url, limits.MaxURL) },
		CheckPattern: checkPattern,
		CheckFilter:  func(filter string) error { return checkFilter(filter, limits) },
	}); err != nil {
		return err
	}
	if a.rootKey, err = a.control.EnsureRootKey(ctx, a.cfg.RootKey.Reveal()); err != nil {
		return fmt.Errorf("cannot keep the root key: %w", err)
	}
	if a.tokens, err = a.newTokens(keys, limits); err != nil {
		return err
	}
	if a.sessions, err = a.newSessions(keys); err != nil {
		return err
	}
	if a.ingest, err = ingest.New(ingest.Options{
		Store: a.store, Catalog: a.control, Limits: limits, Rate: float64(a.cfg.PublishRate), Burst: a.cfg.PublishBurst, Observer: a.observer(),
	}); err != nil {
		return err
	}
	match.SetFilterCost(limits.FilterCost)
	a.registry = fanout.NewRegistry(a.store)
	a.sender = deliver.NewHTTPSender(checks, nil)
	leases, err := a.store.Acquire(ctx, node, time.Now(), leaseTime)
	if err != nil {
		return fmt.Errorf("cannot take the shards: %w", err)
	}
	a.manager = a.newManager(leases[0])
	a.metrics.manager.Store(a.manager)
	if a.hub, err = a.newHub(leases[0].Partition, limits); err != nil {
		return err
	}
	a.metrics.hub.Store(a.hub)
	a.overview = a.newOverview()
	a.queues = a.newQueues(leases[0], limits)
	a.bins = a.newBins(checks)
	a.faces = a.newFaces()
	if a.tunnels, err = a.newTunnels(); err != nil {
		return err
	}
	if a.sources, err = a.newSources(keys, limits); err != nil {
		return err
	}
	if err = a.newUI(); err != nil {
		return err
	}
	a.control.Listen(changes{a})
	a.follower = &fanout.Follower{
		Partition: leases[0].Partition, Position: leases[0].Position, Log: a.store, Registry: a.registry, Lanes: a.manager, Logger: a.log,
	}
	api := rest.New(rest.Config{
		Publisher: a.ingest, Auth: authenticator{a.control, a.tokens}, Tokens: tokens{a.tokens}, Sessions: sessions{a.sessions}, Holds: a.holds, Portals: a.control, Audit: a.audit, Address: a.address, Control: a.control, Live: listeners{a.hub}, Streams: a.hub, Overviews: a.overview,
		Delivery: delivery{a.manager, a.registry}, Log: history{a.store},
		Queues: leasing{a.queues, a.hub}, Sources: a.sources, Bins: binKeeper{a.bins, a.tunnels.BinDeleted}, Tunnels: tunnels{a.tunnels}, Answers: answers{a.store}, Patterns: typeFilter, Limits: limits, DeliveryTimeout: a.cfg.DeliveryTimeout, Logger: a.log, Version: a.options.Version, PublicURL: a.cfg.PublicURL,
		AllowOrigins: a.cfg.AllowOrigins, AsyncAPI: wire.AsyncAPI,
		Health: http.HandlerFunc(healthy), Ready: http.HandlerFunc(a.ready), Metrics: a.metrics.handler(), Profile: profiles(),
		Backup: http.HandlerFunc(a.backup), Pages: a.pages(),
	})
	a.handler = a.withDoors(api.Handler())
	a.server = front.New(a.base, api, a.handler, limits.MaxBatchBytes, a.log)
	return nil
}

func (a *App) limits() event.Limits {
	return event.Limits{
		MaxEvent: a.cfg.MaxEventSize, MaxBatch: a.cfg.MaxBatchEvents, MaxBatchBytes: a.cfg.MaxBatchSize,
		MaxAttribute: a.cfg.MaxAttributeSize, MaxJSONDepth: a.cfg.MaxJSONDepth, MaxURL: a.cfg.MaxURLSize,
		MaxHeaders: a.cfg.MaxHeaders, MaxFilter: a.cfg.MaxFilterSize, FilterCost: uint64(max(0, a.cfg.FilterCostLimit)),
		MaxEndpoints: a.cfg.MaxEndpoints,
	}
}

func (a *App) newManager(lease store.Lease) *deliver.Manager {
	return deliver.New(deliver.Config{
		Lease: lease, Log: a.store, State: a.store, Sender: a.sender, Tunnels: carrier{a}, Owner: owner{a}, Opener: a.control, Observer: a.observer(),
		Follow: a.registry.Follow, Matches: match.Matches, Logger: a.log, EventURL: a.eventURL, UserAgent: "Posthorn/" + a.options.Version,
		Timeout: a.cfg.DeliveryTimeout, Retries: a.cfg.RetrySchedule, DisableAfter: a.cfg.DisableAfter,
		MaxInFlight: a.cfg.MaxInFlight, MaxProbes: a.cfg.MaxProbes, RecordDelay: a.cfg.RecordDelay,
	})
}

// Addr is the server's base URL.
func (a *App) Addr() string { return config.PublicURLFor(a.listener.Addr().String()) }

// RootKey is the API key made at the first start, empty when there was one already.
func (a *App) RootKey() string { return a.rootKey }

// Run serves until ctx ends, then stops in order within the configured time. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	if err := a.manager.Start(ctx); err != nil {
		return fmt.Errorf("cannot load the lanes: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return a.follower.Run(background) })
	g.Go(func() error { return a.keepHouse(background) })
	g.Go(func() error { return a.tokens.Run(background) })
	g.Go(func() error { return a.overview.Run(background) })
	failed := make(chan error, 1)
	go func() {
		if err := a.server.Serve(a.listener); err != nil {
			failed <- fmt.Errorf("cannot serve: %w", err)
		}
	}()
	a.log.InfoContext(ctx, "ready", slog.String("address", a.Addr()), slog.Duration("took", time.Since(a.started)))
	if a.options.OnReady != nil {
		a.options.OnReady(a.Addr(), a.rootKey)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-a.manager.Failed():
		err = fmt.Errorf("delivery stopped: %w", err)
	}
	return errors.Join(err, a.stop(ctx, stop, &g))
}

// stop ends the parts in the reverse order of the event's way.
func (a *App) stop(ctx context.Context, background context.CancelFunc, g *errgroup.Group) error {
	a.log.InfoContext(ctx, "stopping")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownTimeout)
	defer cancel()
	a.queues.Drain()
	a.bins.Drain()
	a.overview.Close()
	if e := a.tunnels.Shutdown(ctx); e != nil {
		a.log.WarnContext(ctx, "tunnels were cut off", slog.Any("error", e))
	}
	a.faces.Close()
	a.endLive(ctx) // before the server, which waits for polls
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", err)
	}
	a.cancel()
	background()
	err = errors.Join(err, g.Wait())
	if e := a.manager.Stop(ctx); e != nil {
		a.log.WarnContext(ctx, "deliveries under way were left for the next start", slog.Any("error", e))
	}
	a.audit.Close(ctx)
	a.log.InfoContext(ctx, "stopped")
	return err
}

// close releases what New opened.
func (a *App) close() {
	a.cancel()
	if a.hub != nil {
		_ = a.hub.Shutdown(a.base) // done already, in a run
	}
	if a.faces != nil {
		a.faces.Close()
	}
	if a.tunnels != nil {
		_ = a.tunnels.Shutdown(a.base) // done already, in a run
	}
	if a.bins != nil {
		a.bins.Close()
	}
	if a.queues != nil {
		a.queues.Close()
	}
	if a.sender != nil {
		a.sender.Close()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.log.Error("cannot close the data folder", slog.Any("error", err))
		}
	}
	if a.listener != nil {
		_ = a.listener.Close() // closed by the server already, in a run
	}
}
