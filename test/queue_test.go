package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// workbook is what the workers of a queue know: what was acknowledged, surely or perhaps, and who holds what until when.
type workbook struct {
	mu          sync.Mutex
	t           *testing.T
	sure, maybe map[int64]bool
	until       map[int64]time.Time // by version: while a lease holds
	keys        map[string]int64    // by key: the last version acknowledged for sure
	leases      int
}

// take notes a lease. The server must not give what it has acknowledged, nor what a lease holds. A lease that has ended before its
// worker came to look says nothing: others may have had the event since.
func (b *workbook) take(e *client.LeasedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := e.Event.Version
	b.leases++
	if !time.Now().Before(e.Expires) {
		return
	}
	if b.sure[v] {
		b.t.Errorf("version %d was leased again after its ack", v)
	}
	if until := b.until[v]; time.Now().Before(until) {
		b.t.Errorf("version %d was leased to two workers: the other lease holds until %v", v, until)
	}
	if b.keys[e.Event.Subject] > v {
		b.t.Errorf("version %d was leased after version %d of its key was done", v, b.keys[e.Event.Subject])
	}
	b.until[v] = e.Expires
}

// settle notes what an ack did, err being why its answer is not known.
func (b *workbook) settle(e *client.LeasedEvent, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := e.Event.Version
	if err != nil {
		b.maybe[v] = true
		return
	}
	b.sure[v] = true
	delete(b.until, v)
	b.keys[e.Event.Subject] = max(b.keys[e.Event.Subject], v)
}

func (b *workbook) done() (n, leases int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = len(b.sure)
	for v := range b.maybe {
		if !b.sure[v] {
			n++
		}
	}
	return n, b.leases
}

// TestQueueThroughKills has workers share a queue, in the order of keys, while events come in and the server is killed: no
// event is lost, none is given again after its ack, and none to two workers at a time.
func TestQueueThroughKills(t *testing.T) {
	t.Parallel()
	const events, workers, kills, visibility = 600, 12, 4, 3 * time.Second
	s := newServer(t)
	s.start()
	s.makeTenant()
	q := s.client.Queue(tenant, "work")
	many := 1000
	if _, err := q.Put(t.Context(), client.Queue{Order: "key", Visibility: client.Duration(visibility), MaxDeliveries: &many, Start: 1}); err != nil {
		t.Fatal(err)
	}
	b := &workbook{t: t, sure: map[int64]bool{}, maybe: map[int64]bool{}, until: map[int64]time.Time{}, keys: map[string]int64{}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { publishThrough(ctx, t, s.client, events) })
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if n, _ := b.done(); n >= events {
					return
				}
				b.work(ctx, q)
			}
		})
	}
	for i := range kills {
		eventually(t, "work goes on", func() (bool, string) {
			n, leases := b.done()
			return n >= (i+1)*events/(kills+1), fmt.Sprintf("%d done, %d leases", n, leases)
		})
		s.kill()
		s.start()
	}
	wg.Wait()
	if n, leases := b.done(); n != events {
		t.Fatalf("%d of %d events are done after %d leases", n, events, leases)
	}
	eventually(t, "the queue is empty", func() (bool, string) {
		got, err := q.Get(t.Context())
		if err != nil {
			return false, err.Error()
		}
		// What was acknowledged perhaps only is given again, and so done for sure.
		list, err := q.Lease(t.Context(), client.LeaseRequest{Max: 100})
		for i := range list {
			b.take(&list[i])
			_, err := q.Ack(t.Context(), list[i].Receipt)
			b.settle(&list[i], err)
		}
		return err == nil && got.State.Depth == 0 && got.State.Dead == 0, fmt.Sprintf("%+v %v", *got.State, err)
	})
}

// work leases, and acknowledges some at once and some together.
func (b *workbook) work(ctx context.Context, q *client.QueueHandle) {
	list, err := q.Lease(ctx, client.LeaseRequest{Max: 1 + rand.IntN(5), Wait: client.Duration(time.Second)}) //nolint:gosec // any will do
	if err != nil {
		pause(ctx, 5*poll)
		return
	}
	for i := range list {
		b.take(&list[i])
	}
	for i := range list {
		out, err := q.Ack(ctx, list[i].Receipt)
		if err == nil && out.Done == 0 { // the client may have sent it twice, or the lease has ended
			err = fmt.Errorf("not done: %v", out.Errors)
		}
		b.settle(&list[i], err)
	}
}

// publishThrough publishes events one after the other, each until it is acknowledged.
func publishThrough(ctx context.Context, t *testing.T, c *client.Client, events int) {
	for i := range events {
		e := client.Event{ID: fmt.Sprint("e", i), Type: "order.paid", Subject: fmt.Sprint("order/", i%40), Data: []byte(`{"text":"` + strings.Repeat("x", 300) + `"}`)}
		for {
			_, err := c.Publish(ctx, tenant, e)
			if err == nil {
				break
			}
			if !pause(ctx, 5*poll) {
				t.Errorf("event %d was not published: %v", i, err)
				return
			}
		}
	}
}
