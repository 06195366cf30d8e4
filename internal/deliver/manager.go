package deliver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Log is what the lanes read of the log.
type Log interface {
	Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error)
	ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (store.Page, error)
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
}

// State is where the lanes save, and what they read again at the start.
type State interface {
	SaveRecord(ctx context.Context, r store.Record) error
	LoadLanes(ctx context.Context, l store.Lease) ([]event.LaneState, []event.Retry, error)
	Attempted(ctx context.Context, tenant event.TenantID, version int64) ([]event.EndpointID, error)
	EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error)
	DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error)
}

// Owner is told what the lanes decide about an endpoint (the control plane).
type Owner interface {
	// Disable stops an endpoint for a reason ("gone" or "failing") and tells its owner. It is called again until it succeeds.
	Disable(ctx context.Context, e *event.Endpoint, reason string, since time.Time) error
}

// Opener opens an endpoint's sealed secrets.
type Opener interface {
	Secrets(ctx context.Context, e *event.Endpoint) (event.Secrets, error)
}

// Sender sends one request and returns the answer, within the request's timeout.
type Sender interface {
	Send(r *Request) Answer
}

// Observer hears of every attempt, for metrics. Calls are concurrent and must be quick.
type Observer interface {
	// Attempted: to an endpoint of a tenant. events is how many the request carried, took its duration, age the time from
	// append to the end of the attempt for the oldest of them.
	Attempted(tenant event.TenantID, v event.Verdict, events int, took, age time.Duration)
	// Expired: events that a lane had still to deliver were deleted by retention.
	Expired(events int64)
}

// Config is what a manager is made of. All fields are needed unless they say otherwise.
type Config struct {
	Lease  store.Lease
	Log    Log
	State  State
	Sender Sender
	// Tunnels sends to endpoints of the kind tunnel; nil: they wait.
	Tunnels  Tunnels
	Owner    Owner
	Opener   Opener
	Observer Observer
	// Follow tells the follower whether to match events for an endpoint: not while its lane reads the log by itself. It is
	// called under the manager's lock.
	Follow func(ep *event.Endpoint, follow bool)
	// Matches tells whether an event is for an endpoint.
	Matches func(*event.Endpoint, *event.Event) bool
	Logger  *slog.Logger
	// EventURL is where the API shows an event, for thin payloads.
	EventURL func(*event.Event) string
	// UserAgent is sent with every request.
	UserAgent string
	// Timeout, Retries and DisableAfter are the defaults of endpoints that do not say.
	Timeout      time.Duration
	Retries      []time.Duration
	DisableAfter time.Duration
	// MaxInFlight bounds requests to endpoints whose last answer was good; MaxProbes those to all others, so that failing
	// endpoints never hold up healthy ones.
	MaxInFlight, MaxProbes int
	// RecordDelay is how long results are gathered before they are saved; after a crash at most what was delivered in that
	// time is delivered again.
	RecordDelay time.Duration
	Profile     Profile
}

// Manager runs the lanes of one shard.
type Manager struct {
	cfg      Config
	schedule schedule

	mu        sync.Mutex
	lanes     map[event.LaneKey]*lane
	byEP      map[event.EndpointID][]*lane
	byTenant  map[event.TenantID]*laneSet
	all       laneSet
	deleted   map[event.EndpointID]time.Time // lately
	changed   map[event.EndpointID]change    // lately, without a lane
	ended     []endedReplay                  // lately, the oldest first
	window    window
	trusted   slots // proven endpoints
	probes    slots // the others
	rec       pending
	announced int64   // Seq up to which the follower has matched, or is matching
	feedMem   int     // bytes of events that feeds hold
	feedFor   []*lane // lanes that wait for feed memory
	began     time.Time
	recheck   int   // events of the follower still to be checked against recorded attempts
	rechecked int64 // Seq of the last one that was
	closing   bool
	unsaved   *store.Record   // what the recorder could not save before it ended
	saving    []event.Attempt // those of the record that is being saved
	telling   []chan<- error  // who waits for it

	awaiting atomic.Int64 // how many wait for answers
	awaitMu  sync.Mutex
	awaits   map[awaited][]waiter

	ctx    context.Context //nolint:containedctx // the manager's life: Start to Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup // recorder, feeds, disables
	work   sync.WaitGroup // workers
	idle   int            // workers that wait on jobs
	jobs   chan *unit     // closed at Stop
	kick   chan struct{}  // results are to be saved
	moved  chan struct{}  // only the position is
	many   chan struct{}  // so many results that waiting longer gains nothing
	failed chan error
	done   chan struct{} // closed at the end of Stop
}

// slots bounds how many requests of a class are under way; lanes that find none free wait in line.
type slots struct {
	used, max int
	ready     []*lane
}

// idleWorkers is how many workers may wait for work.
const idleWorkers = 256

// ErrStopped is returned by calls after Stop.
var ErrStopped = errors.New("deliver: stopped")

// windowEvents and windowBytes bound what the follower may be ahead of the saved position.
const (
	windowEvents = 8192
	windowBytes  = 64 << 20
)

// New makes a manager; Start begins its work.
func New(cfg Config) *Manager {
	if cfg.Profile == (Profile{}) {
		cfg.Profile = DefaultProfile()
	}
	m := &Manager{
		cfg: cfg, schedule: cfg.Retries, lanes: map[event.LaneKey]*lane{}, byEP: map[event.EndpointID][]*lane{},
		byTenant: map[event.TenantID]*laneSet{}, all: laneSet{by: setAll},
		deleted: map[event.EndpointID]time.Time{}, changed: map[event.EndpointID]change{},
		kick: make(chan struct{}, 1), moved: make(chan struct{}, 1), many: make(chan struct{}, 1), failed: make(chan error, 1), done: make(chan struct{}), jobs: make(chan *unit, idleWorkers),
	}
	m.trusted.max, m.probes.max = cfg.MaxInFlight, cfg.MaxProbes
	m.window.last, m.announced = cfg.Lease.Position, cfg.Lease.Position
	m.rec.saved = cfg.Lease.Position
	m.recheck, m.began = windowEvents, time.Now()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Failed delivers the error that ended the manager's work by itself: the lease was lost.
func (m *Manager) Failed() <-chan error { return m.failed }

// Position is the Seq up to which everything is settled, saved or about to be.
func (m *Manager) Position() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.window.position()
}

// Announce tells that the follower is about to match events up to a Seq. A lane that reads the log by itself becomes live
// again only when it has read as far as that.
func (m *Manager) Announce(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announced = seq
}

// Offer gives an event to the lanes of its targets. The follower calls it once for each event, in Seq order. It never
// waits: a lane that cannot take the event goes on by itself from the log.
func (m *Manager) Offer(ctx context.Context, ev *event.Event, targets []*event.Endpoint) error {
	var tried []event.EndpointID
	if m.recheck > 0 && len(targets) > 0 && !ev.Received.After(m.began) {
		var err error
		if tried, err = m.cfg.State.Attempted(ctx, ev.Tenant, ev.Version); err != nil {
			return err
		}
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return ErrStopped
	}
	if m.recheck > 0 {
		m.recheck--
		m.rechecked = ev.Seq
	}
	if len(m.window.slots) >= windowEvents || m.window.bytes >= windowBytes {
		m.relieve()
	}
	m.window.begin(ev.Seq, len(targets), ev.Size())
	for _, ep := range targets {
		_, deleted := m.deleted[ep.ID] // after it was matched
		if deleted || !m.offer(m.lane(ep, now), ev, slices.Contains(tried, ep.ID), now) {
			m.window.done(ev.Seq)
		}
	}
	m.excuse(ev, targets)
	hint(m.moved)
	return nil
}

// offer gives one event to one lane and reports whether the lane now holds the position. tried: an attempt at it is on
// record.
func (m *Manager) offer(l *lane, ev *event.Event, tried bool, now time.Time) bool {
	l.used = now
	if !l.live || ev.Seq <= l.liveFrom {
		return false
	}
	if _, settled := l.restored[ev.Version]; settled || tried || m.recheck > 0 && l.covers(ev.Version) {
		l.pass(ev)
		return false
	}
	if away := m.away(l.ep); away || !l.open(now) {
		if len(l.entries) == 0 {
			l.scanned = ev.Version - 1
			l.oldest = ev.Received
		}
		m.demote(l, away || l.ep.Disabled || now.Before(l.until()))
		m.pump(l, now)
		return false
	}
	l.push(ev, true, now)
	m.pump(l, now)
	return true
}

// lane returns an endpoint's main lane, made when it has none.
func (m *Manager) lane(ep *event.Endpoint, now time.Time) *lane {
	key := event.LaneKey{Endpoint: ep.ID}
	if l := m.lanes[key]; l != nil {
		return l
	}
	l := m.addLane(key, m.newest(ep))
	delete(m.changed, ep.ID)
	l.live, l.used = true, now
	return l
}

func (m *Manager) addLane(key event.LaneKey, ep *event.Endpoint) *lane {
	l := &lane{LaneKey: key, ep: ep}
	l.setLimiter()
	m.lanes[key] = l
	m.byEP[key.Endpoint] = append(m.byEP[key.Endpoint], l)
	m.enlist(l)
	return l
}

func (l *lane) setLimiter() {
	l.limiter = nil
	if l.ep.RateLimit > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(l.ep.RateLimit), max(1, int(l.ep.RateLimit)))
	}
}

// demote makes a live lane read the log by itself: it no longer holds the follower's position, because its own cursor is
// saved with the next record. drop gives up the memory of what is queued, to be read again later.
func (m *Manager) demote(l *lane, drop bool) {
	if l.live {
		l.live, l.atEnd = false, false
		l.doubtful = true
		m.untrack(l)
		m.cfg.Follow(l.ep, false)
	}
	if drop {
		n := len(l.entries)
		for n > 0 && l.entries[n-1].state == entryQueued {
			n--
		}
		if n < len(l.entries) {
			l.scanned = l.entries[n].version - 1
			for i := n; i < len(l.entries); i++ {
				m.free(&l.entries[i])
			}
			l.queued -= len(l.entries) - n
			l.entries = l.entries[:n:n]
			l.atEnd = false
		}
	}
	m.markDirty(l)
}

// untrack releases the follower's position.
func (m *Manager) untrack(l *lane) {
	for i := range l.entries {
		if l.entries[i].tracked {
			l.entries[i].tracked = false
			m.window.done(l.entries[i].seq)
		}
	}
	l.tracked = 0
}

// relieve frees half of the follower's window by letting the lanes that hold it go on by themselves.
func (m *Manager) relieve() {
	limit := m.window.middle()
	for _, l := range m.lanes {
		if l.tracked > 0 && l.entries[0].seq <= limit {
			m.demote(l, true)
		}
	}
}

// free gives back the memory that a feed took for an entry.
func (m *Manager) free(e *entry) {
	if e.fed {
		m.feedMem -= e.ev.Size()
		e.fed = false
	}
	e.ev = nil
}

func (m *Manager) markDirty(l *lane) {
	m.rec.dirty(l)
	m.wakeRecorder()
}
