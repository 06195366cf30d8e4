package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of a pump's reads of the log. They grow while the client keeps up, so that a slow one holds little memory.
const (
	minPageEvents = 64
	maxPageEvents = 2048
	minPageBytes  = 32 << 10
	maxPageBytes  = 2 << 20
	logRetries    = 5
	logRetryWait  = 200 * time.Millisecond
)

// pump writes to one connection at its client's pace until nothing is left to give. For sinks that block it goes on
// until the connection ends.
type pump struct {
	c      *conn
	buf    *[]byte
	list   []*entry
	scale  int  // how much the bounds have grown
	broken bool // a write failed, perhaps in the middle of something
}

// buffers are the pumps' buffers while they write.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// pump serves the connection in place of the shard.
func (c *conn) pump() {
	p := pump{c: c, scale: 1, buf: buffers.Get().(*[]byte)} //nolint:errcheck // the pool holds nothing else
	blocking := c.wake != nil
	why := p.run()
	if cap(*p.buf) <= 4*maxPageBytes {
		buffers.Put(p.buf)
	}
	if !blocking {
		c.hub.stats.lagging.Add(-1)
	}
	if why != reasonNone {
		c.finish(why)
	}
}

// run returns reasonNone when the connection is live again, else why it has ended.
func (p *pump) run() reason {
	c := p.c
	for {
		c.mu.Lock()
		rest := [2][]byte{c.pending, c.outbox}
		c.pending, c.outbox = nil, nil
		if c.ended != reasonNone {
			why := c.ended
			c.mu.Unlock()
			p.farewell(why, rest[:])
			return why
		}
		if len(rest[0]) == 0 && len(rest[1]) == 0 {
			m := p.next()
			if m == nil && p.rest() {
				c.mu.Unlock()
				return reasonNone
			}
			c.mu.Unlock()
			if err := p.serve(m); err != nil {
				p.fail(err)
			}
			continue
		}
		c.mu.Unlock()
		for _, b := range rest {
			if err := p.write(b); err != nil {
				p.fail(err)
				break
			}
		}
	}
}

// rest ends the pump's work when all members are at their end: c.mu is held, so that whatever comes from now on finds
// the connection live. A sink that blocks keeps its pump.
func (p *pump) rest() bool {
	if p.c.wake != nil {
		return false
	}
	p.c.state = stateLive
	return true
}

// next returns a member that can be given something, the one after the last that was. c.mu is held.
func (p *pump) next() *member {
	c := p.c
	for range c.members {
		if c.turn++; c.turn >= len(c.members) {
			c.turn = 0
		}
		m := c.members[c.turn]
		if m.open() == 0 {
			continue
		}
		f := m.group.feed
		f.mu.Lock()
		caught := m.cursor >= f.head && m.cursor >= m.group.base
		f.mu.Unlock()
		if !caught || m.behind {
			return m
		}
	}
	return nil
}

// serve gives a member a part of what it lacks; without one it waits.
func (p *pump) serve(m *member) error {
	if m == nil {
		<-p.c.wake
		return nil
	}
	c, f := p.c, m.group.feed
	f.mu.Lock()
	head := f.head
	var ok bool
	p.list, ok = m.group.since(m.cursor, p.list[:0])
	f.mu.Unlock()
	if !ok {
		return p.fromLog(m)
	}
	limit := m.open()
	b := (*p.buf)[:0]
	b = m.form.open(b)
	n, to := 0, max(m.cursor, head)
	for _, e := range p.list {
		if n == limit || n > 0 && len(b)+e.size > minPageBytes*p.scale {
			break
		}
		b = e.appendTo(b, m.form)
		n++
	}
	if n < len(p.list) {
		to = p.list[n-1].ev.Version
	}
	if n == 0 {
		b = b[:0]
	} else {
		b = m.form.shut(b, 0)
	}
	c.mu.Lock()
	if m.gone {
		c.mu.Unlock()
		return nil
	}
	m.cursor = to
	if m.window > 0 {
		for _, e := range p.list[:n] {
			m.unacked = append(m.unacked, e.ev.Version)
		}
	}
	if n > 0 {
		m.told = p.list[n-1].ev.Version
	}
	if n == len(p.list) {
		b = p.arrived(m, b)
	}
	c.mu.Unlock()
	clear(p.list)
	c.shard.sent.Add(int64(n))
	*p.buf = b
	return p.write(b)
}

// arrived appends a member's place when it has come to the end after having been behind.
func (p *pump) arrived(m *member, b []byte) []byte {
	if !m.behind {
		return b
	}
	m.behind = false
	// An SSE client knows its place by the id of the last event, unless others came after that were not selected.
	if m.form.tells() || m.cursor > m.told {
		m.told = m.cursor
		start := len(b)
		b = m.form.place(m.form.open(b), m.cursor+1)
		b = m.form.shut(b, start)
	}
	return b
}

// errGone tells that retention was faster than the client.
var errGone = errors.New("live: deleted before it was sent")

// fromLog gives a member one page of the log.
func (p *pump) fromLog(m *member) error {
	after := m.cursor
	page, err := p.read(after, min(minPageEvents*p.scale, maxPageEvents), min(minPageBytes*p.scale, maxPageBytes))
	if err != nil {
		return err
	}
	first := page.Oldest
	if len(page.Events) > 0 {
		first = page.Events[0].Version
	}
	if first > after+1 && page.Head > after {
		return errGone
	}
	return p.encode(m, page.Events, page.Head)
}

// encode writes those of a page's events that the member selects.
func (p *pump) encode(m *member, events []event.Event, head int64) error {
	c := p.c
	limit, window := math.MaxInt, m.window > 0
	if window {
		limit = m.open()
	}
	b := m.form.open((*p.buf)[:0])
	n, to, last := 0, m.cursor, m.told
	var sent []int64
	for i := range events {
		ev := &events[i]
		if n == limit {
			break
		}
		to = ev.Version
		if m.group.match != nil && !m.group.match(ev) {
			continue
		}
		b = m.form.event(b, ev, nil)
		last = to
		n++
		if window {
			sent = append(sent, ev.Version)
		}
	}
	if len(events) == 0 {
		to = max(to, head)
	}
	if n == 0 {
		b = b[:0]
	} else {
		b = m.form.shut(b, 0)
	}
	c.mu.Lock()
	if m.gone {
		c.mu.Unlock()
		return nil
	}
	m.cursor, m.told, m.behind = to, last, true
	m.unacked = append(m.unacked, sent...)
	c.mu.Unlock()
	c.shard.sent.Add(int64(n))
	*p.buf = b
	return p.write(b)
}

// read reads a page, with patience for a log that cannot be read for a moment.
func (p *pump) read(after int64, limit, size int) (page Page, err error) {
	h := p.c.hub
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	case <-h.ctx.Done():
		return page, h.ctx.Err()
	}
	for try := range logRetries {
		if page, err = h.cfg.Log.ReadTenant(h.ctx, p.c.feed.tenant, after, limit, size); err == nil || h.ctx.Err() != nil {
			return page, err
		}
		select {
		case <-time.After(logRetryWait << try):
		case <-h.ctx.Done():
		}
	}
	return page, fmt.Errorf("%w: %w", errRead, err)
}

// errRead tells that the log could not be read.
var errRead = errors.New("live: cannot read the log")

// write writes all of b, as fast as the client takes it.
func (p *pump) write(b []byte) error {
	c := p.c
	slow := false
	for len(b) > 0 {
		n, waited, err := c.sink.write(b, c.hub.cfg.WriteTimeout)
		c.shard.bytes.Add(int64(n))
		if err != nil {
			return err
		}
		slow = slow || waited > slowWait
		b = b[n:]
	}
	switch {
	case slow:
		p.scale = max(1, p.scale/4)
	case p.scale < maxPageEvents/minPageEvents:
		p.scale *= 2
	}
	c.mu.Lock()
	c.lastSent, c.unheard = c.hub.clock.Load(), 0
	c.mu.Unlock()
	return nil
}

// slowWait is how long a client may keep a write waiting before it is sent less at a time.
const slowWait = 50 * time.Millisecond

// fail ends the connection for an error; run sees it next.
func (p *pump) fail(err error) {
	why := reasonClient
	switch {
	case errors.Is(err, errSlow):
		why = reasonSlow
	case errors.Is(err, errGone):
		why = reasonGone
	case errors.Is(err, context.Canceled):
		why = reasonShutdown
	case errors.Is(err, errRead):
		why = reasonError
	default:
		p.broken = true
	}
	p.broken = p.broken || why == reasonSlow
	p.c.end(why)
}

// farewell finishes what was under way and says the last words, if the client can be reached at all.
func (p *pump) farewell(why reason, rest [][]byte) {
	if p.broken || why <= reasonLost {
		return
	}
	for _, b := range append(rest, p.c.proto.last(nil, why)) {
		for len(b) > 0 {
			n, _, err := p.c.sink.write(b, lastWords)
			if err != nil {
				return
			}
			b = b[n:]
		}
	}
}
