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

// Bounds of what a pump takes at once. They grow while the client keeps up, so that a slow one holds little memory.
const (
	minPageEvents = 16
	maxPageEvents = 2048
	minPageBytes  = 8 << 10
	maxPageBytes  = 2 << 20
	firstScale    = 4 // by how much the bounds have grown when a pump begins
	logRetries    = 5
	logRetryWait  = 200 * time.Millisecond
	// pagesBytes bounds what all pumps together hold beyond a smallest page each: clients that take nothing after they were
	// fast hold no more.
	pagesBytes = 64 << 20
	// pumpsReading is how many pumps read the log and encode what they read at once: what was read and waits for a
	// processor would be memory, and others read the log too.
	pumpsReading = 2
)

// pump writes to one connection at its client's pace until nothing is left to give. For sinks that block it goes on
// until the connection ends.
type pump struct {
	c      *conn
	list   []*entry
	scale  int  // how much the bounds have grown
	broken bool // a write failed, perhaps in the middle of something

	buf  []byte // between pages
	held int64  // of the hub's pages, for the one under way
}

// buffers are small ones, for pumps that begin.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// take returns a buffer for a page and by how much the page's bounds may have grown: as much as suits the client while all
// pumps together hold little. What is put into the buffer goes to [pump.write] and then to [pump.drop].
func (p *pump) take() (buf []byte, scale int) {
	n, pages := int64(min(minPageBytes*p.scale, maxPageBytes)), &p.c.hub.pages
	switch {
	case p.scale == 1:
	case pages.Add(n) <= pagesBytes:
		p.held = n
	default:
		pages.Add(-n)
		n = minPageBytes
	}
	if int64(cap(p.buf)) > 4*n {
		p.buf = nil // it is larger than what is counted
	}
	if p.held == 0 {
		return p.buf[:0], 1
	}
	return p.buf[:0], p.scale
}

// drop takes the buffer of a page back, which may have grown.
func (p *pump) drop(buf []byte) {
	p.c.hub.pages.Add(-p.held)
	p.held, p.buf = 0, buf
}

// pump serves the connection in place of the shard.
func (c *conn) pump() {
	small := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	p := pump{c: c, scale: firstScale, buf: *small}
	blocking := c.wake != nil
	why := p.run()
	if cap(p.buf) <= 4*firstScale*minPageBytes {
		*small = p.buf
		buffers.Put(small)
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
		p.buf, p.list = nil, nil // it may be long
		<-p.c.wake
		return nil
	}
	buf, scale := p.take()
	f := m.group.feed
	f.mu.Lock()
	head := f.head
	var more, ok bool
	p.list, more, ok = m.group.since(m.cursor, p.list[:0], minPageEvents*scale)
	f.mu.Unlock()
	var err error
	if ok {
		buf = p.fromRing(m, head, more, buf, scale)
	} else {
		buf, err = p.fromLog(m, buf, scale)
	}
	if err == nil {
		err = p.write(buf)
	}
	p.drop(buf)
	return err
}

// fromRing appends of the list, after which more follows or the member is at head, what a page holds, and takes it as sent.
func (p *pump) fromRing(m *member, head int64, more bool, b []byte, scale int) []byte {
	c := p.c
	limit := p.open(m)
	b = m.form.open(b)
	n, to := 0, max(m.cursor, head)
	for _, e := range p.list {
		if n == limit || n > 0 && len(b)+e.size > minPageBytes*scale {
			break
		}
		b = e.appendTo(b, m.form)
		n++
	}
	if more = more || n < len(p.list); more {
		to = p.list[n-1].ev.Version
	}
	if n == 0 {
		b = b[:0]
	} else {
		b = m.form.shut(b, 0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer clear(p.list)
	if m.gone {
		return b[:0]
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
	if !more {
		b = p.arrived(m, b)
	}
	c.sent += int64(n)
	c.shard.sent.Add(int64(n))
	return b
}

// open is [member.open] without the connection's lock.
func (p *pump) open(m *member) int {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return m.open()
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

// fromLog appends what a member selects of the next page of the log, and takes it as sent. It has patience with a log that
// cannot be read for a moment; a connection that ends meanwhile gets nothing.
func (p *pump) fromLog(m *member, b []byte, scale int) ([]byte, error) {
	h := p.c.hub
	for try := 0; ; try++ {
		select {
		case h.reading <- struct{}{}:
		case <-h.shut:
			return b, context.Canceled
		}
		if p.over(m) {
			<-h.reading
			return b, nil
		}
		out, err := p.page(m, b, scale)
		<-h.reading
		switch {
		case err == nil || errors.Is(err, errGone) && !p.over(m):
			return out, err
		case errors.Is(err, errGone): // it is of no interest any more
			return b, nil
		case h.ctx.Err() != nil:
			return b, context.Canceled
		case try == logRetries-1:
			return b, fmt.Errorf("%w: %w", errRead, err)
		}
		select { // without a place among the readers: others may fare better
		case <-time.After(logRetryWait << try):
		case <-h.shut:
			return b, context.Canceled
		}
	}
}

// over reports whether nobody waits for a page any more.
func (p *pump) over(m *member) bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.c.ended != reasonNone || m.gone
}

// page appends what a member selects of a page of the log.
func (p *pump) page(m *member, b []byte, scale int) ([]byte, error) {
	h := p.c.hub
	after := m.cursor
	page, err := h.cfg.Log.ReadTenant(h.ctx, p.c.feed.tenant, after, min(minPageEvents*scale, maxPageEvents), min(minPageBytes*scale, maxPageBytes))
	if err != nil {
		return b, err
	}
	first := page.Oldest
	if len(page.Events) > 0 {
		first = page.Events[0].Version
	}
	if first > after+1 && page.Head > after {
		return b, errGone
	}
	return p.encode(m, page.Events, page.Head, b), nil
}

// encode appends those of a page's events that the member selects, and takes them as sent.
func (p *pump) encode(m *member, events []event.Event, head int64, b []byte) []byte {
	c := p.c
	limit, window := math.MaxInt, m.window > 0
	if window {
		limit = p.open(m)
	}
	b = m.form.open(b)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 && c.hub.clock.Load()-c.lastSent >= int64(c.hub.cfg.KeepAlive) {
		b = m.form.place(b, to+1) // a sign of life, and what has been looked at need not be again
		last = to
	} else if n == 0 {
		b = b[:0]
	}
	if len(b) > 0 {
		b = m.form.shut(b, 0)
	}
	if m.gone {
		return b[:0]
	}
	m.cursor, m.told, m.behind = to, last, true
	m.unacked = append(m.unacked, sent...)
	c.sent += int64(n)
	c.shard.sent.Add(int64(n))
	return b
}

// errRead tells that the log could not be read.
var errRead = errors.New("live: cannot read the log")

// write writes all of b, as fast as the client takes it.
func (p *pump) write(b []byte) error {
	c := p.c
	slow, sent := false, len(b)
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
	if sent > 0 {
		c.mu.Lock()
		c.lastSent, c.unheard = c.hub.clock.Load(), 0
		c.mu.Unlock()
	}
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
