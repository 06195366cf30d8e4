package live

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// Bounds of one connection's publishes that are under way. When they are reached nothing more is read from the client.
const (
	maxPublishes    = 64
	maxPublishBytes = 1 << 20
	publishTimeout  = 30 * time.Second
)

// publishes are the publishes of one connection that are under way. They are stored in the order in which they came: one
// append at a time, which takes all that wait together, so that a client need not wait for each answer.
type publishes struct {
	s *webSocket
	c *conn

	mu      sync.Mutex
	changed sync.Cond
	queue   []publication
	bytes   int
	busy    bool // a goroutine is storing
	over    bool
}

// publication is one publish message.
type publication struct {
	ref            string
	events         []event.Event
	size           int // of the message, in bytes
	idempotencyKey string
	fingerprint    [32]byte
}

// publish takes a publish message; it waits while too many are under way.
func (s *webSocket) publish(c *conn, m *wire.ClientMessage) error {
	if !s.key.Admin && !slices.Contains(s.key.Allow, event.AllowPublish) {
		return event.Errorf(event.KindForbidden, "forbidden", "this key or token may not publish")
	}
	if s.hub.cfg.Socket.Publisher == nil {
		return event.Errorf(event.KindUnavailable, "unavailable", "publishing over WebSockets is not served")
	}
	x := publication{ref: m.Ref, size: len(m.Events), idempotencyKey: m.IdempotencyKey}
	err := guard(func() (err error) {
		if x.events, err = m.DecodeEvents(s.hub.cfg.Limits); err == nil && s.hub.cfg.Socket.MayPublish != nil {
			err = s.hub.cfg.Socket.MayPublish(&s.key, x.events, m.Array)
		}
		return err
	})
	if err != nil {
		return err
	}
	if x.idempotencyKey != "" {
		x.fingerprint = m.Fingerprint()
	}
	p := s.publishes.Load()
	if p == nil {
		p = &publishes{s: s, c: c}
		p.changed.L = &p.mu
		s.publishes.Store(p)
		if s.over.Load() {
			p.close() // the connection ended before it could know of this
		}
	}
	p.add(x)
	return nil
}

// add queues a publish, when there is room, and sees that it is stored.
func (p *publishes) add(x publication) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over && (len(p.queue) >= maxPublishes || len(p.queue) > 0 && p.bytes+x.size > maxPublishBytes) {
		p.changed.Wait()
	}
	if p.over {
		return
	}
	p.queue = append(p.queue, x)
	p.bytes += x.size
	if !p.busy {
		p.busy = true
		p.c.work(p.run)
	}
}

// drain waits until nothing is under way, or the connection has ended.
func (p *publishes) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over && (p.busy || len(p.queue) > 0) {
		p.changed.Wait()
	}
}

// close lets nobody wait any more; what was taken is still stored.
func (p *publishes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.changed.Broadcast()
}

// run stores what is queued until nothing is.
func (p *publishes) run() {
	for {
		p.mu.Lock()
		list := p.next()
		if len(list) == 0 {
			p.busy = false
			p.queue = nil
			p.changed.Broadcast()
			p.mu.Unlock()
			return
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		p.store(list)
	}
}

// next takes from the queue what can be stored in one append: everything up to what has an idempotency key, which
// stands alone, within the limits of a batch. p.mu is held.
func (p *publishes) next() []publication {
	limits := &p.s.hub.cfg.Limits
	n, events, bytes := 0, 0, 0
	for n < len(p.queue) {
		x := &p.queue[n]
		events += len(x.events)
		bytes += x.size
		if n > 0 && (x.idempotencyKey != "" || events > limits.MaxBatch || bytes > limits.MaxBatchBytes) {
			break
		}
		p.bytes -= x.size
		if n++; x.idempotencyKey != "" {
			break
		}
	}
	list := slices.Clone(p.queue[:n])
	clear(p.queue[:n])
	p.queue = p.queue[n:]
	return list
}

// store stores publishes in one append, or each alone when that is refused: the fault of one is not another's.
func (p *publishes) store(list []publication) {
	if len(list) > 1 && p.together(list) {
		return
	}
	for i := range list {
		receipts, err := p.append(list[i].events, list[i].idempotencyKey, list[i].fingerprint)
		p.answer(&list[i], receipts, err)
	}
}

// together stores publishes in one append and answers them. It returns false when they should be tried one by one.
func (p *publishes) together(list []publication) bool {
	var all []event.Event
	for i := range list {
		all = append(all, list[i].events...)
	}
	receipts, err := p.append(all, "", [32]byte{})
	switch event.KindOf(err) {
	case event.KindInternal, event.KindUnavailable, event.KindFull: // it would be the same for each
	default:
		return false
	}
	for i := range list {
		if err != nil {
			p.answer(&list[i], nil, err)
			continue
		}
		n := len(list[i].events)
		p.answer(&list[i], receipts[:n], nil)
		receipts = receipts[n:]
	}
	return true
}

// append stores events. A connection that ends does not end it: others may hear of the events already.
func (p *publishes) append(events []event.Event, idempotencyKey string, fingerprint [32]byte) (receipts []event.Receipt, err error) {
	ctx, cancel := context.WithTimeout(p.s.hub.ctx, publishTimeout)
	defer cancel()
	err = guard(func() (err error) {
		receipts, err = p.s.hub.cfg.Socket.Publisher.Publish(ctx, p.s.tenant, events, idempotencyKey, fingerprint)
		return err
	})
	if err == nil && len(receipts) != len(events) {
		err = errors.New("live: the number of receipts is not that of the events")
	}
	return receipts, err
}

// answer tells the client.
func (p *publishes) answer(x *publication, receipts []event.Receipt, err error) {
	if err != nil {
		p.s.refuse(p.c, x.ref, "", err)
		return
	}
	p.s.say(p.c, func(dst []byte) []byte { return wire.AppendPublished(dst, p.s.form, x.ref, receipts) })
}
