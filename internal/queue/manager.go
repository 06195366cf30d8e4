package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Store is what queues need of a store; see package store for the contract of each method.
type Store interface {
	store.Queues
	Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error)
	ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (store.Page, error)
	ReadPartition(ctx context.Context, partition int, after int64, limit, maxBytes int) ([]event.Event, error)
	Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error)
	Appended(partition int) <-chan struct{}
}

// Config is what a [Manager] is made of; all of it is needed, but for MaxQueues.
type Config struct {
	// Lease is this node's hold on the shard of the queues.
	Lease  store.Lease
	Store  Store
	Logger *slog.Logger
	Limits event.Limits
	// MaxQueues bounds the queues of one tenant; 0: no bound.
	MaxQueues int
}

// Admit counts a lease that begins to wait, or says why it may not. The release is called once, when the wait is over.
type Admit func() (release func(), err error)

// Manager is all queues of a node. Make one with [New]; it is safe for concurrent use. A queue is loaded at its first
// use and dropped from memory when it has not been used for a while.
type Manager struct {
	cfg    Config
	ctx    context.Context //nolint:containedctx // of saves and reads, which outlive the call that began them
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	queues  map[name]*queue
	closing bool

	draining atomic.Bool
	buffered atomic.Int64 // bytes of events read ahead
	tail     tail
}

// name is a queue's place among all tenants'.
type name struct {
	tenant event.TenantID
	queue  string
}

// Times and bounds of the queues in memory.
const (
	idleAfter   = 2 * time.Minute  // without use, a queue is dropped from memory
	pageAfter   = 15 * time.Second // without use, what it read ahead is dropped
	readEvents  = 256              // of one read
	readBytes   = 512 << 10        // of one read, about
	readAhead   = 64 << 20         // bytes of events that all queues together may keep for the next lease
	leaseBytes  = 4 << 20          // of the events of one lease, about
	maxScan     = 10_000           // versions that a lease without wait looks at
	cursorEvery = 1000             // versions after which a cursor that only moved is saved
	reopenings  = 10               // of a queue that is dropped from memory while a call begins
)

// errMoved: the queue was dropped from memory; the call begins again.
var errMoved = errors.New("queue: dropped from memory")

// New makes a manager. [Manager.Close] must be called at the end.
func New(cfg Config) *Manager {
	m := &Manager{cfg: cfg, queues: map[name]*queue{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.tail.init(m)
	return m
}

// Drain answers the leases that wait, with nothing, and lets no more wait: the first step of stopping.
func (m *Manager) Drain() {
	m.draining.Store(true)
	for _, q := range m.all() {
		q.mu.Lock()
		q.dismiss(func(*waiter) bool { return true })
		q.mu.Unlock()
	}
}

// Close waits for the calls under way and saves how far queues have looked. Later calls fail with KindUnavailable;
// one of Close only waits.
func (m *Manager) Close() {
	m.Drain()
	m.mu.Lock()
	m.closing = true
	m.mu.Unlock()
	for _, q := range m.all() {
		q.mu.Lock()
		q.saveCursor()
		q.mu.Unlock()
	}
	m.tail.stop()
	m.work.Wait()
	m.cancel()
}

// all returns the queues in memory.
func (m *Manager) all() []*queue {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*queue, 0, len(m.queues))
	for _, q := range m.queues {
		if q.isLoaded() {
			list = append(list, q)
		}
	}
	return list
}

// Sweep saves how far queues have looked and drops from memory what was not used for a while. It is called now and then.
func (m *Manager) Sweep() {
	now := clock()
	for _, q := range m.all() {
		q.mu.Lock()
		idle := now.Sub(q.used)
		switch {
		case q.gone != nil:
		case q.cursor != q.savedCursor:
			q.saveCursor()
		case q.waiters.Len() > 0 || q.reading || q.saving || q.pending != nil:
		case idle >= idleAfter:
			q.drop(errMoved)
		case idle >= pageAfter:
			q.setPage(page{})
		}
		q.mu.Unlock()
	}
}

// begin counts a call; end must be called when err is nil.
func (m *Manager) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return stopping()
	}
	m.work.Add(1)
	return nil
}

func (m *Manager) end() { m.work.Done() }

func stopping() error {
	return &event.Error{Kind: event.KindUnavailable, Code: "shutting_down", Detail: "the server is stopping", RetryAfter: time.Second}
}

// open returns a queue, loaded.
func (m *Manager) open(ctx context.Context, tenant event.TenantID, queueName string) (*queue, error) {
	n := name{tenant, queueName}
	m.mu.Lock()
	q := m.queues[n]
	if q == nil {
		q = newQueue(m, n)
		m.queues[n] = q
		m.work.Go(func() { m.load(q) })
	}
	m.mu.Unlock()
	select {
	case <-q.loaded:
		return q, q.loadErr
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// use runs a call on a queue under its lock. It begins again when the queue was dropped from memory meanwhile.
func (m *Manager) use(ctx context.Context, tenant event.TenantID, queueName string, f func(q *queue, now time.Time)) (*queue, error) {
	for range reopenings {
		q, err := m.open(ctx, tenant, queueName)
		if err != nil {
			return nil, err
		}
		if err = q.do(f); !errors.Is(err, errMoved) {
			return q, err
		}
	}
	return nil, errMoved
}

// do runs a call on the queue under its lock. Error: why it is used no more.
func (q *queue) do(f func(q *queue, now time.Time)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone != nil {
		return q.gone
	}
	now := clock()
	q.used = now
	f(q, now)
	return nil
}

// load reads a queue and its state from the store.
func (m *Manager) load(q *queue) {
	err := q.load(m.ctx)
	if err != nil {
		q.loadErr = mapError(err)
		m.forget(q)
	}
	close(q.loaded)
}

// forget takes a queue out of memory.
func (m *Manager) forget(q *queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queues[q.name] == q {
		delete(m.queues, q.name)
	}
}

// find returns a queue that is in memory, loaded, or nil.
func (m *Manager) find(ctx context.Context, n name) *queue {
	m.mu.Lock()
	q := m.queues[n]
	m.mu.Unlock()
	if q == nil {
		return nil
	}
	select {
	case <-q.loaded:
	case <-ctx.Done():
		return nil
	}
	if q.loadErr != nil {
		return nil
	}
	return q
}

// TenantDeleted ends the queues of a tenant.
func (m *Manager) TenantDeleted(id event.TenantID) {
	m.mu.Lock()
	var list []*queue
	for n, q := range m.queues {
		if n.tenant == id {
			list = append(list, q)
		}
	}
	m.mu.Unlock()
	for _, q := range list {
		<-q.loaded
		q.mu.Lock()
		q.drop(event.NotFound("queue"))
		q.mu.Unlock()
	}
}

// clock is the time as it is saved.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// mapError gives the store's own errors a kind that callers can show.
func mapError(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return &event.Error{
			Kind: event.KindFull, Code: "storage_full", Detail: "there is no space left to keep how far the queue is; it goes on by itself once there is",
			RetryAfter: 5 * time.Second, Err: err,
		}
	case errors.Is(err, store.ErrClosed):
		return stopping()
	}
	return err
}
