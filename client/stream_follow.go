package client

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	steady    = 5 * time.Minute  // a connection that lives so long works
	brief     = 10 * time.Second // one that lives for less and gives nothing may not
	maxFaults = 4                // answers in a row that break the contract
	maxDenied = 3                // tokens in a row that are refused
)

var (
	errStopped = errors.New("client: the caller stopped")
	errEnded   = errors.New("client: the connection has ended")
)

// follower is one run of a stream's loop.
type follower struct {
	s     *Stream
	ctx   context.Context //nolint:containedctx // the life of the loop
	yield func(Event, error) bool

	mode  Transport     // TransportSSE or TransportPoll
	retry time.Duration // what the server asked for; -1: nothing
	ever  bool          // it was connected
	up    Transport     // how it is connected; "" when it is not

	// Failures in a row, without an event or a place reached between them.
	fails, faults, silent, denied int
	// short counts connections of server-sent events that ended soon and gave nothing.
	short int

	conn  *sseConn // opened by a probe, to be used next
	probe *probe
	again time.Time // when to try server-sent events
	pause time.Duration
}

// run listens until something ends it.
func (f *follower) run() error {
	for {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		err := f.step()
		if err == nil {
			continue
		}
		if errors.Is(err, errStopped) {
			return err // nothing more may be yielded
		}
		if err := f.ctx.Err(); err != nil {
			return err
		}
		wait, end := f.judge(err)
		if end != nil {
			return end
		}
		f.up = ""
		f.tell(StreamStatus{Transport: f.mode, Err: err, Wait: wait})
		if err := f.sleep(wait); err != nil {
			return err
		}
	}
}

// step is one connection of server-sent events, or one poll.
func (f *follower) step() error {
	if f.mode == TransportPoll {
		return f.poll()
	}
	conn := f.conn
	f.conn = nil
	if conn == nil {
		var err error
		if conn, err = f.s.open(f.ctx, f.s.next.Load()); err != nil {
			return err
		}
	}
	return f.listen(conn)
}

// give hands an event to the caller, unless it has had it: a probe begins before the last poll ends.
func (f *follower) give(t *track, e Event) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if err := t.event(e.Version); err != nil {
		return err
	}
	if e.Version < f.s.next.Load() {
		return nil
	}
	f.moved(e.Version + 1)
	if !f.yield(e, nil) {
		return errStopped
	}
	return nil
}

// place takes a place that was reached.
func (f *follower) place(t *track, at int64) error {
	if err := t.place(at); err != nil {
		return err
	}
	if at+1 > f.s.next.Load() {
		f.moved(at + 1)
	}
	return nil
}

func (f *follower) moved(next int64) {
	f.s.next.Store(next)
	f.fails, f.faults, f.silent, f.short = 0, 0, 0, 0
}

// judge decides what follows from a failure: a wait, in which mode may have changed, or the end.
func (f *follower) judge(err error) (wait time.Duration, end error) {
	f.fails++
	p, isProblem := errors.AsType[*Problem](err)
	if isProblem && p.Status == http.StatusGone && p.Oldest > 0 {
		return 0, f.gone(p)
	}
	_, isSequence := errors.AsType[*SequenceError](err)
	if _, isFault := errors.AsType[*faultError](err); isFault || isSequence {
		if f.faults++; f.faults >= maxFaults {
			return 0, err
		}
	}
	if errors.Is(err, errSilent) {
		f.silent++
	}
	if isProblem && foreign(p) {
		f.short++
	}
	if f.unsuited(err) {
		f.mode, f.short, f.silent = TransportPoll, 0, 0
		f.postpone(time.Now())
		return 0, nil
	}
	if isProblem && f.final(p) {
		return 0, err
	}
	return f.backoff(p), nil
}

// gone skips what is no longer kept, where the caller wants that.
func (f *follower) gone(p *Problem) error {
	e := &GoneError{Start: f.s.next.Load(), Oldest: p.Oldest, Problem: p}
	switch first := f.s.cfg.fromOldest && e.Start == f.s.cfg.start && !f.ever; {
	case e.Oldest <= e.Start:
		return p // not a place to go on with
	case !first && !f.s.cfg.skip:
		return e
	case !first && f.s.cfg.skipped != nil:
		f.s.cfg.skipped(e)
	}
	f.s.next.Store(e.Oldest)
	return nil
}

// final reports whether it is of no use to try again.
func (f *follower) final(p *Problem) bool {
	if p.Status == http.StatusUnauthorized && f.s.c.token != nil {
		f.denied++ // it may have ended on the way, or be too new for a clock that is slow
		return f.denied >= maxDenied
	}
	return permanent(p, f.ever)
}

// permanent reports whether an answer is likely to stay the same. ever says that there was a better one before.
func permanent(p *Problem, ever bool) bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	// What stands before the server may answer so while the server is away; but not from the beginning.
	return p.Status < 500 && (!foreign(p) || !ever)
}

// backoff is how long to wait before the next try.
func (f *follower) backoff(p *Problem) time.Duration {
	least := f.s.cfg.backoff[0]
	if least == 0 {
		least = defaultRetry
		if f.retry >= 0 {
			least = min(max(f.retry, 100*time.Millisecond), time.Minute)
		}
	}
	return backoff(f.fails, least, cmp.Or(f.s.cfg.backoff[1], maxBackoff), p)
}

// backoff is the wait after the nth failure in a row: longer after each, and not the same for all clients.
func backoff(n int, least, most time.Duration, p *Problem) time.Duration {
	wait := least
	for ; n > 1 && wait < most; n-- {
		wait *= 2
	}
	wait = jitter(min(wait, max(least, most)))
	if p != nil && p.RetryAfter > 0 {
		after := min(p.RetryAfter, maxRetryAfter)
		wait = max(wait, after+rand.N(after/10+1)) //nolint:gosec // spreading load needs no secret randomness
	}
	return wait
}

// jitter returns from a half of d to all of it.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreading load needs no secret randomness
}

func (f *follower) connected(via Transport) {
	f.ever, f.denied = true, 0
	if f.up != via {
		f.up = via
		f.tell(StreamStatus{Transport: via, Connected: true})
	}
}

func (f *follower) tell(s StreamStatus) {
	if f.s.cfg.status != nil {
		s.Next = f.s.next.Load()
		f.s.cfg.status(s)
	}
}

// sleep waits, at most until the loop's end.
func (f *follower) sleep(d time.Duration) error { return sleep(f.ctx, d) }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
