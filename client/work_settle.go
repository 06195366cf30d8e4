package client

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"
)

// settleRetry is the wait before an ack is tried again after the client's own tries.
const settleRetry = time.Second

// settle tells the server what became of events: as many at once as are done.
func (w *worker) settle() {
	for j := range w.done {
		done := []*job{j}
		for len(done) < maxReceipts {
			more, ok := w.another()
			if !ok {
				break
			}
			done = append(done, more)
		}
		w.tell(done)
	}
}

// another returns a job that is done, if there is one now.
func (w *worker) another() (*job, bool) {
	select {
	case j, ok := <-w.done:
		return j, ok
	default:
		return nil, false
	}
}

// tell settles events: those that are done together, and those that failed by their delays.
func (w *worker) tell(done []*job) {
	w.mu.Lock()
	for _, j := range done {
		j.over = true
	}
	w.mu.Unlock()
	var acks, lost []*job
	nacks := map[time.Duration][]*job{}
	for _, j := range done {
		switch {
		case j.err == nil:
			acks = append(acks, j)
		case errors.Is(j.err, ErrLeaseLost):
			lost = append(lost, j)
		default:
			d := w.delay(j)
			nacks[d] = append(nacks[d], j)
		}
	}
	if len(acks) > 0 {
		w.send(acks, func(ctx context.Context, receipts []string) (*Settled, error) { return w.q.Ack(ctx, receipts...) })
	}
	for delay, list := range nacks {
		w.send(list, func(ctx context.Context, receipts []string) (*Settled, error) {
			return w.q.Nack(ctx, delay, receipts...)
		})
	}
	for _, j := range lost {
		w.settled(j, j.err)
	}
}

// delay is how long after a failure an event is given again.
func (w *worker) delay(j *job) time.Duration {
	d := time.Duration(0)
	if r, ok := errors.AsType[*retryError](j.err); ok {
		d = r.after
	} else {
		d = w.o.Backoff(j.Deliveries)
	}
	// Whole steps let those that failed together be told together.
	return min(max(d, 0), maxNackDelay).Round(100 * time.Millisecond)
}

// send sends a settlement until the server takes it or the leases have ended.
func (w *worker) send(jobs []*job, request func(context.Context, []string) (*Settled, error)) {
	receipts, until := make([]string, len(jobs)), time.Time{}
	w.mu.Lock()
	for i, j := range jobs {
		receipts[i] = j.Receipt
		if j.until.After(until) {
			until = j.until
		}
	}
	w.mu.Unlock()
	for {
		out, err := request(w.settling, receipts)
		if err == nil {
			w.answered(jobs, out)
			return
		}
		p, isProblem := errors.AsType[*Problem](err)
		if isProblem && permanent(p, true) || w.settling.Err() != nil || time.Now().After(until) {
			w.o.OnError(err)
			for _, j := range jobs {
				w.settled(j, cmp.Or(j.err, ErrLeaseLost))
			}
			return
		}
		w.o.OnError(err)
		_ = sleep(w.settling, settleRetry) // the next try ends at once when this did
	}
}

// answered takes what the server says of each receipt.
func (w *worker) answered(jobs []*job, out *Settled) {
	failed := map[string]bool{}
	for _, e := range out.Errors {
		failed[e.Receipt] = true
	}
	for _, j := range jobs {
		err := j.err
		if failed[j.Receipt] {
			err = cmp.Or(err, ErrLeaseLost)
		}
		w.settled(j, err)
	}
}

// settled lets go of an event.
func (w *worker) settled(j *job, err error) {
	w.o.OnDone(j.LeasedEvent, err)
	w.mu.Lock()
	delete(w.held, j)
	w.mu.Unlock()
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// keep extends the leases of what is held, three times within the time that they hold.
func (w *worker) keep() {
	tick := time.NewTicker(w.o.Visibility / 3)
	defer tick.Stop()
	for {
		select {
		case <-w.settling.Done():
			return
		case <-tick.C:
			w.extend()
		}
	}
}

func (w *worker) extend() {
	now := time.Now()
	byReceipt := map[string]*job{}
	var receipts []string
	w.mu.Lock()
	for j := range w.held {
		switch {
		case j.over:
		case now.After(j.until):
			j.cancel(ErrLeaseLost)
		default:
			byReceipt[j.Receipt] = j
			receipts = append(receipts, j.Receipt)
		}
	}
	w.mu.Unlock()
	if len(receipts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(w.settling, w.o.Visibility/3)
	defer cancel()
	out, err := w.q.Extend(ctx, w.o.Visibility, receipts...)
	if err != nil {
		if w.settling.Err() == nil {
			w.o.OnError(err)
		}
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range out.Errors {
		if j := byReceipt[e.Receipt]; j != nil && !j.over {
			j.cancel(ErrLeaseLost)
			delete(byReceipt, e.Receipt)
		}
	}
	for _, j := range byReceipt {
		j.until = now.Add(w.o.Visibility)
	}
}

// retries counts failures in a row.
type retries struct {
	n, denied int
	ever      bool // one succeeded
}

func (r *retries) reset() { *r = retries{ever: true} }

// judge says how long to wait before the next try, or that there is no use in one.
func (r *retries) judge(err error, tokens bool) (wait time.Duration, final bool) {
	r.n++
	p, isProblem := errors.AsType[*Problem](err)
	if isProblem {
		if p.Status == http.StatusUnauthorized && tokens {
			if r.denied++; r.denied >= maxDenied {
				return 0, true
			}
		} else if permanent(p, r.ever) {
			return 0, true
		}
	}
	return backoff(r.n, time.Second, maxBackoff, p), false
}
