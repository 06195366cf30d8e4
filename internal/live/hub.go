package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// Page is a part of one tenant's log, in version order.
type Page struct {
	Events []event.Event
	// Oldest and Head are the first and last version on the log: 1 and 0 when it never had events, Head+1 and Head when all
	// were deleted.
	Oldest, Head int64
	// Through is the partition's last Seq when Events reaches Head.
	Through int64
}

// Log is what is read of the log. See package store for the contract of each method.
type Log interface {
	ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (Page, error)
	ReadPartition(ctx context.Context, partition int, after int64, limit, maxBytes int) ([]event.Event, error)
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
	Appended(partition int) <-chan struct{}
}

// Config is what a [Hub] is made of. Log and Logger are needed, and the limits must be above 0.
type Config struct {
	Log       Log
	Partition int
	Limits    event.Limits
	Logger    *slog.Logger

	// MaxStreams, MaxPerTenant, MaxPerToken and MaxPerAddress bound live connections, MaxPolls waits.
	MaxStreams, MaxPerTenant, MaxPerToken, MaxPerAddress, MaxPolls int
	// MaxOpen bounds live connections and waits together; 0: no bound.
	MaxOpen int
	// TrustedProxies are believed about the addresses of clients.
	TrustedProxies []netip.Prefix
	// KeepAlive is how long a connection may be silent; WriteTimeout how long a client may take nothing.
	KeepAlive, WriteTimeout time.Duration
	// Holds reports whether a key or token is still good; it is asked about each that has connections, about every 30 s.
	// nil: they are good until they expire.
	Holds func(ctx context.Context, key *event.APIKey) bool
	// Socket is what WebSockets need besides.
	Socket SocketConfig

	ringEvents int  // 0: the usual
	goroutines bool // a goroutine reads each connection, also where the system can do without
}

// Times of the hub's upkeep.
const (
	tickEvery  = time.Second
	keysEvery  = 30 * time.Second
	tailEvery  = 5 * time.Second
	retryWait  = 500 * time.Millisecond
	tailEvents = 512
	tailBytes  = 2 << 20
)

// Hub serves live connections and waits. Make one with New, let it work with Run, end it with Shutdown.
type Hub struct {
	cfg     Config
	log     *slog.Logger
	shards  []*shard
	watcher watcher

	ctx    context.Context //nolint:containedctx // the hub's life, for reads of connections that have no request any more
	cancel context.CancelFunc

	clock     atomic.Int64 // about now, in ns
	ringBytes atomic.Int64
	turn      atomic.Uint32
	closing   atomic.Bool
	reading   chan struct{} // bounds the pumps' reads at once
	pages     atomic.Int64  // bytes that pumps hold beyond a smallest page each
	work      sync.WaitGroup
	running   sync.WaitGroup
	shut      chan struct{} // closed at Shutdown: waits end

	mu    sync.RWMutex
	feeds map[event.TenantID]*feed
	fresh chan struct{} // tells a tail that sleeps of a feed
	awake chan struct{} // closed while the tail follows the log
	seq   int64         // the tail's position, while it is awake

	limits limits
	stats  stats
	rules  *wire.Rules // of what WebSockets receive
}

// New makes a hub. It fails when the system refuses what is needed to watch connections.
func New(c Config) (*Hub, error) {
	h := &Hub{
		cfg: c, log: c.Logger, feeds: map[event.TenantID]*feed{}, fresh: make(chan struct{}, 1), awake: make(chan struct{}),
		reading: make(chan struct{}, pumpsReading), shut: make(chan struct{}),
	}
	h.cfg.Socket.complete()
	h.rules = h.cfg.Socket.rules()
	h.cfg.ringEvents = cmp.Or(c.ringEvents, ringEvents)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.limits.init()
	h.clock.Store(h.now())
	for i := range runtime.GOMAXPROCS(0) {
		h.shards = append(h.shards, newShard(h, i))
	}
	if h.watcher = (readers{h}); !c.goroutines {
		var err error
		if h.watcher, err = newWatcher(h); err != nil {
			return nil, fmt.Errorf("cannot watch connections: %w", err)
		}
	}
	for _, s := range h.shards {
		h.running.Go(s.run)
	}
	h.running.Go(h.follow)
	h.running.Go(h.upkeep)
	return h, nil
}

func (h *Hub) now() int64 { return time.Now().UnixNano() }

func (h *Hub) nextShard() *shard {
	return h.shards[int(h.turn.Add(1))%len(h.shards)]
}

// errClosing is the answer while the server stops.
func errClosing() error {
	e := event.Errorf(event.KindUnavailable, "busy", "the server is stopping")
	e.RetryAfter = 2 * time.Second
	return e
}

// feedOf returns the feed of a tenant, loaded, with a use counted that the caller must release.
func (h *Hub) feedOf(ctx context.Context, tenant event.TenantID) (*feed, error) {
	h.mu.Lock()
	f := h.feeds[tenant]
	if f == nil {
		f = newFeed(h, tenant)
		h.feeds[tenant] = f
		select {
		case h.fresh <- struct{}{}:
		default:
		}
	}
	f.hold()
	awake := h.awake
	h.mu.Unlock()
	// The tail must follow before the feed looks where the log ends: events in between would be in neither.
	select {
	case <-awake:
	case <-ctx.Done():
		f.release()
		return nil, ctx.Err()
	case <-h.shut:
		f.release()
		return nil, errClosing()
	}
	if err := f.load(ctx); err != nil {
		f.release()
		return nil, err
	}
	return f, nil
}

// follow is the tail.
func (h *Hub) follow() {
	timer := time.NewTimer(tailEvery)
	defer timer.Stop()
	for h.ctx.Err() == nil {
		if !h.sleep() {
			return
		}
		// The hint must be taken before the read: an append between the two then wakes the next wait.
		appended := h.cfg.Log.Appended(h.cfg.Partition)
		events, err := h.cfg.Log.ReadPartition(h.ctx, h.cfg.Partition, h.seq, tailEvents, tailBytes)
		switch {
		case err != nil && h.ctx.Err() == nil:
			h.log.WarnContext(h.ctx, "cannot follow the log for live connections", slog.Any("error", err))
			h.pause(nil, time.After(retryWait))
		case len(events) > 0:
			h.dispatch(events)
		default:
			timer.Reset(tailEvery)
			h.pause(appended, timer.C)
		}
	}
}

func (h *Hub) pause(hint <-chan struct{}, at <-chan time.Time) {
	select {
	case <-hint:
	case <-at:
	case <-h.ctx.Done():
	}
}

// sleep waits while there is no feed, and places the tail at the log's end when there is one again. It returns false when the hub
// ends.
func (h *Hub) sleep() bool {
	h.mu.Lock()
	select {
	case <-h.awake:
		if len(h.feeds) > 0 {
			h.mu.Unlock()
			return true
		}
		h.awake = make(chan struct{})
	default:
	}
	h.mu.Unlock()
	for {
		h.mu.RLock()
		n := len(h.feeds)
		h.mu.RUnlock()
		if n == 0 {
			h.pause(h.fresh, nil)
			if h.ctx.Err() != nil {
				return false
			}
			continue
		}
		// No tenant has the number 0: this reads the end of the partition only.
		page, err := h.cfg.Log.ReadTenant(h.ctx, 0, 0, 1, 1)
		if err == nil {
			h.seq = page.Through
			h.mu.Lock()
			close(h.awake)
			h.mu.Unlock()
			return true
		}
		if h.ctx.Err() != nil {
			return false
		}
		h.log.WarnContext(h.ctx, "cannot read the log for live connections", slog.Any("error", err))
		h.pause(nil, time.After(retryWait))
	}
}

// dispatch hands events to the feeds, in turn by runs of one tenant, and waits until the shards have written them: so
// several events share a write when the shards are slower than the log, and nobody falls behind the ring for that.
func (h *Hub) dispatch(events []event.Event) {
	now := h.now()
	h.clock.Store(now)
	for len(events) > 0 {
		n := 1
		for n < len(events) && n < tailEvents && events[n].Tenant == events[0].Tenant {
			n++
		}
		h.mu.RLock()
		f := h.feeds[events[0].Tenant]
		h.mu.RUnlock()
		if f != nil {
			f.dispatch(events[:n], now)
		}
		h.seq = events[n-1].Seq
		events = events[n:]
	}
	for _, s := range h.shards {
		s.kickDirty()
	}
	for _, s := range h.shards {
		s.settle()
	}
}

// upkeep drops feeds that nobody uses, asks about keys, and keeps the clock.
func (h *Hub) upkeep() {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	asked := h.now()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		now := h.now()
		h.clock.Store(now)
		h.mu.Lock()
		for tenant, f := range h.feeds {
			if f.tidy(now) {
				delete(h.feeds, tenant)
			}
		}
		h.mu.Unlock()
		if now-asked >= int64(keysEvery) {
			asked = now
			h.askKeys()
		}
	}
}

// TenantDeleted ends the connections and waits of a tenant.
func (h *Hub) TenantDeleted(id event.TenantID) {
	h.mu.Lock()
	f := h.feeds[id]
	delete(h.feeds, id)
	h.mu.Unlock()
	if f == nil {
		return
	}
	f.close()
	for _, s := range h.shards {
		s.post(op{kind: opEndTenant, feed: f, why: reasonTenant})
	}
}

// errShut is returned by a second Shutdown.
var errShut = errors.New("live: shut down already")

// Shutdown refuses new connections and waits, ends those there are in order, and waits for them until ctx ends; then it
// cuts them off. It returns the context's error in that case. The hub is of no more use.
func (h *Hub) Shutdown(ctx context.Context) error {
	if !h.limits.shut(&h.closing) {
		return errShut
	}
	close(h.shut)
	for _, s := range h.shards {
		s.post(op{kind: opEndAll, why: reasonShutdown})
	}
	done := make(chan struct{})
	go func() {
		h.work.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		h.cancel() // a log that does not answer keeps nobody
		for _, s := range h.shards {
			s.post(op{kind: opCut})
		}
		<-done
	}
	h.cancel()
	for _, s := range h.shards {
		s.stop()
	}
	h.watcher.close()
	h.running.Wait()
	return err
}
