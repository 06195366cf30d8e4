package queue

import (
	"log/slog"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of one read of the tail, and how long it waits after one that failed.
const (
	tailEvents = 1024
	tailBytes  = 1 << 20
	tailRetry  = time.Second
)

// tail follows the end of the log while leases wait, and tells the queues whose tenant's log has grown. There is one for
// all queues: an append wakes one goroutine, however many leases wait.
type tail struct {
	m *Manager

	mu      sync.Mutex
	queues  map[event.TenantID]map[*queue]struct{}
	count   int
	after   int64 // the Seq up to which the log was seen
	running bool
	ended   chan struct{} // closed by stop
	end     sync.Once
}

func (t *tail) init(m *Manager) {
	t.m = m
	t.queues, t.ended = map[event.TenantID]map[*queue]struct{}{}, make(chan struct{})
}

// add tells a queue from now on of events after a Seq. The queue's lock is held.
func (t *tail) add(q *queue, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.queues[q.name.tenant]
	if list == nil {
		list = map[*queue]struct{}{}
		t.queues[q.name.tenant] = list
	}
	list[q] = struct{}{}
	t.count++
	switch {
	case !t.running:
		t.running, t.after = true, seq
		t.m.work.Go(t.run)
	case seq < t.after: // the log may have grown before the tail heard of the queue
		t.m.work.Go(q.grown)
	}
}

func (t *tail) remove(q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.queues[q.name.tenant]
	if _, ok := list[q]; !ok {
		return
	}
	delete(list, q)
	t.count--
	if len(list) == 0 {
		delete(t.queues, q.name.tenant)
	}
}

func (t *tail) stop() { t.end.Do(func() { close(t.ended) }) }

// run reads the log's end until no queue is left to tell.
func (t *tail) run() {
	partition := t.m.cfg.Lease.Partition
	for {
		hint := t.m.cfg.Store.Appended(partition)
		t.mu.Lock()
		after := t.after
		if t.count == 0 {
			t.running = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		events, err := t.m.cfg.Store.ReadPartition(t.m.ctx, partition, after, tailEvents, tailBytes)
		if err != nil {
			t.m.cfg.Logger.Warn("cannot read the log's end for queues", slog.Any("error", err))
			if !t.pause(nil, tailRetry) {
				return
			}
			continue
		}
		if len(events) == 0 {
			if !t.pause(hint, 0) {
				return
			}
			continue
		}
		grown := map[event.TenantID]struct{}{}
		for i := range events {
			grown[events[i].Tenant] = struct{}{}
		}
		for _, q := range t.tell(grown, events[len(events)-1].Seq) {
			q.grown()
		}
	}
}

// pause waits for a hint or some time, and returns false when the manager ends.
func (t *tail) pause(hint <-chan struct{}, d time.Duration) bool {
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-hint:
		return true
	case <-timeout:
		return true
	case <-t.ended:
		return false
	}
}

// tell moves the tail on and returns the queues of the tenants whose log has grown.
func (t *tail) tell(grown map[event.TenantID]struct{}, seq int64) []*queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = seq
	var list []*queue
	for tenant := range grown {
		for q := range t.queues[tenant] {
			list = append(list, q)
		}
	}
	return list
}
