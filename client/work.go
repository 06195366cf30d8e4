package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Defaults and bounds of workers.
const (
	defaultVisibility = 30 * time.Second
	defaultLeaseWait  = 20 * time.Second
	defaultDrain      = 30 * time.Second
	maxNackDelay      = 12 * time.Hour
	maxNackBackoff    = 5 * time.Minute
	maxLease          = 1000
	settleTime        = 10 * time.Second // for the last acks after the drain
)

// ErrLeaseLost is why a handler's context ends when the lease of its event has ended before it, such as while the server
// could not be reached. The event is given to a worker again.
var ErrLeaseLost = errors.New("client: the lease of the event was lost")

// errNotBegun is the end of an event that was leased and not begun.
var (
	errNotBegun = errors.New("client: not begun: the worker stops")
	errAgain    = errors.New("client: to be given again")
)

// WorkFunc handles one event. A nil error is an ack: the event is done. Any other is a nack: the event is given again
// later. Its context ends when the lease is lost, when the time that it may take is over, or when the worker stops and
// has waited long enough; its values are those of the context that [QueueHandle.Work] was called with.
//
// An event may come more than once: handle it so that this does no harm.
type WorkFunc func(ctx context.Context, e LeasedEvent) error

// WorkOptions change [QueueHandle.Work]. The zero value is good.
type WorkOptions struct {
	// Concurrency is how many events are handled at once, 1 to 1,000; 0: one.
	Concurrency int
	// Prefetch is how many events more are leased ahead, so that a handler need not wait for the server: at most 10,000. They
	// are kept from other workers meanwhile.
	Prefetch int
	// Visibility is how long a lease holds without being extended, 3 s to 12 h; 0: 30 s. It is extended as long as the event
	// is held, so that it bounds only how long a crashed worker's events are kept from others.
	Visibility time.Duration
	// Wait is how long one request waits for events, at most 60 s; 0: 20 s.
	Wait time.Duration
	// Consumer is what the worker is called in the list of leases, at most 128 bytes.
	Consumer string
	// Timeout bounds a handler's context; 0: no bound.
	Timeout time.Duration
	// Drain is how long handlers may go on when the worker stops; 0: 30 s.
	Drain time.Duration
	// Backoff says after how long a failed event is given again, from how often it was leased; nil: about 1 s, twice as much
	// each time, at most 5 min. An error made by [RetryIn] says so itself.
	Backoff func(deliveries int) time.Duration
	// OnDone is told of each event when it is settled: nil for an ack, else the handler's error or ErrLeaseLost. It is called
	// by one goroutine at a time.
	OnDone func(e LeasedEvent, err error)
	// OnError is told of requests that failed and are tried again. It may be called by several goroutines at once.
	OnError func(error)
}

// retryError is an error with a delay.
type retryError struct {
	error
	after time.Duration
}

// Unwrap returns the error without the delay.
func (e *retryError) Unwrap() error { return e.error }

// RetryIn returns an error for a [WorkFunc] to return: the event is given again after d, at most 12 h.
func RetryIn(d time.Duration, err error) error { return &retryError{cmp.Or(err, errAgain), max(0, d)} }

// check fills in what is not set.
func (o *WorkOptions) check() error {
	o.Concurrency = cmp.Or(o.Concurrency, 1)
	o.Visibility = cmp.Or(o.Visibility, defaultVisibility)
	o.Wait = cmp.Or(o.Wait, defaultLeaseWait)
	o.Drain = cmp.Or(o.Drain, defaultDrain)
	switch {
	case o.Concurrency < 1 || o.Concurrency > 1000 || o.Prefetch < 0 || o.Prefetch > 10_000:
		return errors.New("client: a worker handles 1 to 1,000 events at once and leases at most 10,000 ahead")
	case o.Visibility < 3*time.Second || o.Visibility > 12*time.Hour:
		return errors.New("client: a worker's leases hold for 3 s to 12 h")
	case o.Wait < 0 || o.Wait > maxPollWait || o.Timeout < 0 || o.Drain < 0:
		return errors.New("client: a worker waits for at most 60 s, and no time is negative")
	}
	if o.Backoff == nil {
		o.Backoff = func(deliveries int) time.Duration {
			return jitter(min(time.Second<<min(max(deliveries, 1)-1, 20), maxNackBackoff))
		}
	}
	if o.OnDone == nil {
		o.OnDone = func(LeasedEvent, error) {}
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return nil
}

// Work leases events and hands them to handle until ctx ends. Then it leases no more, gives back what was not begun,
// waits for the handlers, settles what they did, and returns nil. It returns an error, after the same, when the server
// refuses the key or says that there is no such queue. A server that is not there or is busy is tried until ctx ends.
//
// Leases are extended while their events are held, so that a handler may take as long as it needs.
func (q *QueueHandle) Work(ctx context.Context, handle WorkFunc, o WorkOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	room := o.Concurrency + o.Prefetch
	lasting := context.WithoutCancel(ctx)
	w := &worker{
		q: q, handle: handle, o: o, room: room, held: map[*job]struct{}{}, freed: make(chan struct{}, 1),
		todo: make(chan *job, room), done: make(chan *job, room), stopping: make(chan struct{}),
	}
	var halt, abandon context.CancelFunc
	w.life, halt = context.WithCancel(lasting)
	w.settling, abandon = context.WithCancel(lasting)
	defer halt()
	defer abandon()
	var running, settling, keeping sync.WaitGroup
	for range o.Concurrency {
		running.Go(w.run)
	}
	settling.Go(w.settle)
	keeping.Go(w.keep)

	err := w.lease(ctx)

	close(w.stopping)
	close(w.todo)
	drained := time.AfterFunc(o.Drain, halt)
	given := time.AfterFunc(o.Drain+settleTime, abandon)
	running.Wait()
	close(w.done)
	settling.Wait()
	drained.Stop()
	given.Stop()
	abandon()
	keeping.Wait()
	return err
}

// worker is one run of Work.
type worker struct {
	q      *QueueHandle
	handle WorkFunc
	o      WorkOptions
	room   int // events held at once

	// life is the handlers'; settling is longer: that of the requests about what they did.
	life, settling context.Context //nolint:containedctx // the parts of one call
	stopping       chan struct{}   // closed when no more is begun
	todo, done     chan *job       // have room for all that are held
	freed          chan struct{}   // a job was settled

	mu   sync.Mutex
	held map[*job]struct{}
}

// job is an event that is held.
type job struct {
	LeasedEvent
	ctx    context.Context //nolint:containedctx // the handler's
	cancel context.CancelCauseFunc
	err    error // the handler's

	// Guarded by the worker's lock.
	until time.Time // how long the lease holds, by this machine's clock
	over  bool      // being settled: no longer extended
}

// lease fills the room until ctx ends, or asking again is of no use.
func (w *worker) lease(ctx context.Context) error {
	var failures retries
	for ctx.Err() == nil {
		free := w.free()
		if free == 0 {
			select {
			case <-w.freed:
			case <-ctx.Done():
			}
			continue
		}
		sent := time.Now()
		events, err := w.q.Lease(ctx, LeaseRequest{
			Max: min(free, maxLease), Wait: Duration(w.o.Wait), Visibility: Duration(w.o.Visibility), Consumer: w.o.Consumer,
		})
		if ctx.Err() != nil && err != nil {
			return nil
		}
		if err != nil {
			wait, final := failures.judge(err, w.q.c.token != nil)
			if final {
				return err
			}
			w.o.OnError(err)
			_ = sleep(ctx, wait) // the loop looks at ctx
			continue
		}
		failures.reset()
		w.take(events[:min(len(events), free)]) // what nobody asked for comes again
		if took := time.Since(sent); len(events) == 0 && took < pollPause {
			_ = sleep(ctx, min(pollPause, w.o.Wait)-took)
		}
	}
	return nil
}

func (w *worker) free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room - len(w.held)
}

// take holds what was leased.
func (w *worker) take(events []LeasedEvent) {
	until := time.Now().Add(w.o.Visibility)
	for _, e := range events {
		j := &job{LeasedEvent: e, until: until}
		j.ctx, j.cancel = context.WithCancelCause(w.life)
		w.mu.Lock()
		w.held[j] = struct{}{}
		w.mu.Unlock()
		w.todo <- j
	}
}

// run handles events, one after the other.
func (w *worker) run() {
	for j := range w.todo {
		select {
		case <-w.stopping:
			j.err = RetryIn(0, errNotBegun)
		default:
			j.err = w.one(j)
		}
		j.cancel(nil)
		w.done <- j
	}
}

func (w *worker) one(j *job) error {
	ctx := j.ctx
	if err := context.Cause(ctx); err != nil {
		return err // lost while it waited
	}
	if w.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.o.Timeout)
		defer cancel()
	}
	err := w.handle(ctx, j.LeasedEvent)
	if err != nil && errors.Is(context.Cause(j.ctx), ErrLeaseLost) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}
