package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// keys is how many ordering keys the published events share.
const keys = 24

// fact is one event as its publisher knows it. Its subject, unique in the test, finds it again.
type fact struct {
	event client.Event
	data  [32]byte
	// acked: the server has promised to keep it, as receipt.
	acked   bool
	receipt client.Receipt
}

// request is one publish: several facts, sent together.
type request struct {
	facts []*fact
	batch bool
	key   string // Idempotency-Key
}

// manner is how a publisher sends.
type manner struct {
	name   string
	batch  int  // 0: single events; else up to so many together
	ids    bool // events carry ids of their own
	keyed  bool // requests carry an Idempotency-Key
	giveUp float64
}

var manners = []manner{
	{name: "single-id", ids: true},
	{name: "single-key", keyed: true},
	{name: "batch-id", batch: 20, ids: true},
	{name: "batch-key", batch: 20, keyed: true},
	{name: "single-once", ids: true, giveUp: 1},
	{name: "batch-once", batch: 10, ids: true, giveUp: 1},
}

// book holds everything that was published, for the comparison at the end.
type book struct {
	mu       sync.Mutex
	requests []*request
	acked    atomic.Int64 // events
	repeats  atomic.Int64 // acknowledged requests that were sent once more
	lost     atomic.Int64 // requests given up without an answer
}

// publisher sends requests in one manner until its context ends, each again and again until it is acknowledged, save
// for those that it gives up.
type publisher struct {
	manner
	t        testing.TB
	client   *client.Client
	payloads []payload
	book     *book
	rand     *rand.Rand
	rest     time.Duration // longest wait between requests
	n        int
}

// run publishes until stop is closed. The request under way then is finished.
func (p *publisher) run(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(p.rand.Int64N(int64(p.rest)))):
		}
		r := p.next()
		p.book.mu.Lock()
		p.book.requests = append(p.book.requests, r)
		p.book.mu.Unlock()
		if !p.deliver(ctx, r) {
			continue
		}
		if p.rand.IntN(10) == 0 { // a publisher that did not hear the answer asks again
			p.book.repeats.Add(1)
			p.deliver(ctx, r)
		}
	}
}

// next makes a request of events that nobody published before.
func (p *publisher) next() *request {
	r := &request{batch: p.batch > 0}
	count := 1
	if p.batch > 0 {
		count += p.rand.IntN(p.batch)
	}
	if p.keyed {
		r.key = fmt.Sprintf("%s-%d", p.name, p.n)
	}
	for range count {
		body := p.payloads[p.rand.IntN(len(p.payloads))]
		f := &fact{data: sha256.Sum256(body.data), event: client.Event{
			Type: body.kind, Source: "https://github.com/octo-org", Subject: fmt.Sprintf("%s/%d", p.name, p.n),
			Key: fmt.Sprintf("repo-%d", p.rand.IntN(keys)), Data: body.data,
		}}
		if p.ids {
			f.event.ID = fmt.Sprintf("%s-%d", p.name, p.n)
		}
		p.n++
		r.facts = append(r.facts, f)
	}
	return r
}

// deliver publishes a request until it is acknowledged, and compares a second answer with the first. It returns false
// when it gives up.
func (p *publisher) deliver(ctx context.Context, r *request) bool {
	for {
		receipts, err := p.send(ctx, r)
		if err == nil {
			p.acknowledge(r, receipts)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status < 500 {
			p.t.Errorf("%s: a good publish was refused: %v", p.name, err)
			return false
		}
		if p.rand.Float64() < p.giveUp {
			p.book.lost.Add(1)
			return false
		}
		if !pause(ctx, 2*poll) {
			return false
		}
	}
}

func (p *publisher) send(ctx context.Context, r *request) ([]client.Receipt, error) {
	var opts []client.CallOption
	if r.key != "" {
		opts = append(opts, client.IdempotencyKey(r.key))
	}
	if !r.batch {
		receipt, err := p.client.Publish(ctx, tenant, r.facts[0].event, opts...)
		return []client.Receipt{receipt}, err
	}
	events := make([]client.Event, len(r.facts))
	for i, f := range r.facts {
		events[i] = f.event
	}
	return p.client.PublishBatch(ctx, tenant, events, opts...)
}

func (p *publisher) acknowledge(r *request, receipts []client.Receipt) {
	if len(receipts) != len(r.facts) {
		p.t.Errorf("%s: %d receipts for %d events", p.name, len(receipts), len(r.facts))
		return
	}
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	for i, f := range r.facts {
		if f.acked {
			if f.receipt != receipts[i] {
				p.t.Errorf("%s: the answer was %v and is now %v", f.event.Subject, f.receipt, receipts[i])
			}
			continue
		}
		if receipts[i].Version < 1 || receipts[i].ID == "" || f.event.ID != "" && f.event.ID != receipts[i].ID {
			p.t.Errorf("%s: a receipt that makes no sense: %v", f.event.Subject, receipts[i])
		}
		f.acked, f.receipt = true, receipts[i]
		p.book.acked.Add(1)
	}
}
