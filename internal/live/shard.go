package live

import (
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of one write of a sweep.
const (
	sweepEvents = ringEvents
	sweepBytes  = 64 << 10
)

// shard writes to its part of the connections, on one goroutine, which alone changes conns and the members of groups'
// shards. It never waits for a client.
type shard struct {
	hub   *Hub
	index int
	bytes atomic.Int64 // sent by writes that did not wait
	sent  atomic.Int64 // events

	conns []*conn

	mu       sync.Mutex
	swept    sync.Cond // of asked and done
	ops      []op
	dirty    []*group
	asked    uint64 // counts marks
	done     uint64 // the marks that have been worked off
	stopping bool
	wake     chan struct{}

	// Of the sweep under way.
	list  []*entry
	buf   []byte
	built []built
	held  bool // somebody keeps a part of buf
}

type opKind uint8

const (
	opAddConn opKind = iota
	opRemoveConn
	opAddMember
	opRemoveMember
	opVisit
	opEndTenant
	opEndAll
	opCut
)

// op asks the shard's goroutine for a change.
type op struct {
	kind   opKind
	conn   *conn
	member *member
	feed   *feed
	why    reason
}

func newShard(h *Hub, index int) *shard {
	s := &shard{hub: h, index: index, wake: make(chan struct{}, 1)}
	s.swept.L = &s.mu
	return s
}

// kick wakes the goroutine.
func (s *shard) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// post asks for a change; operations are done in order.
func (s *shard) post(o op) {
	s.mu.Lock()
	s.ops = append(s.ops, o)
	s.mu.Unlock()
	s.kick()
}

// mark notes that members of a group have something to get. The caller kicks the shard when it has marked all.
func (s *shard) mark(g *group) {
	s.mu.Lock()
	if part := &g.shards[s.index]; !part.dirty {
		part.dirty = true
		s.dirty = append(s.dirty, g)
	}
	s.asked++
	s.mu.Unlock()
}

// kickDirty wakes the goroutine if something was marked.
func (s *shard) kickDirty() {
	s.mu.Lock()
	dirty := len(s.dirty) > 0
	s.mu.Unlock()
	if dirty {
		s.kick()
	}
}

// settle waits until everything marked so far has been worked off.
func (s *shard) settle() {
	s.mu.Lock()
	for want := s.asked; s.done < want && !s.stopping; {
		s.swept.Wait()
	}
	s.mu.Unlock()
}

// run works until stop.
func (s *shard) run() {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var ops []op
	var dirty []*group
	for {
		due := false
		select {
		case <-s.wake:
		case <-tick.C:
			due = true
		}
		s.mu.Lock()
		ops, s.ops = s.ops, ops[:0]
		dirty, s.dirty = s.dirty, dirty[:0]
		for _, g := range dirty {
			g.shards[s.index].dirty = false
		}
		asked, stopping := s.asked, s.stopping
		s.mu.Unlock()
		for i := range ops {
			s.do(&ops[i])
		}
		for _, g := range dirty {
			s.sweep(g)
		}
		clear(ops)
		clear(dirty)
		if cap(ops) > 4096 {
			ops = nil
		}
		if due {
			s.look()
		}
		s.mu.Lock()
		s.done = asked
		s.swept.Broadcast()
		s.mu.Unlock()
		if stopping {
			return
		}
	}
}

// stop ends run. Connections must have ended before.
func (s *shard) stop() {
	s.mu.Lock()
	s.stopping = true
	s.swept.Broadcast()
	s.mu.Unlock()
	s.kick()
}

// do carries an operation out.
func (s *shard) do(o *op) {
	switch o.kind {
	case opAddConn:
		s.conns = append(s.conns, o.conn)
		o.conn.place = len(s.conns)
		switch { // who ended the others did not see this one yet
		case s.hub.closing.Load():
			o.conn.end(reasonShutdown)
		case o.conn.feed.ended():
			o.conn.end(reasonTenant)
		default:
			s.visit(o.conn)
		}
	case opRemoveConn:
		s.removeConn(o.conn)
	case opAddMember:
		part := &o.member.group.shards[s.index]
		part.members = append(part.members, o.member)
		o.member.place = len(part.members)
		s.visit(o.member.conn)
	case opRemoveMember:
		s.removeMember(o.member)
	case opVisit:
		s.visit(o.conn)
	case opCut:
		for _, c := range s.conns {
			c.sink.abort()
			c.poke()
		}
	case opEndTenant, opEndAll:
		for _, c := range s.conns {
			if o.kind == opEndAll || c.feed == o.feed {
				c.end(o.why)
			}
		}
	}
}

func (s *shard) removeConn(c *conn) {
	if c.place == 0 {
		return
	}
	last := len(s.conns) - 1
	s.conns[c.place-1] = s.conns[last]
	s.conns[c.place-1].place = c.place
	s.conns[last] = nil
	s.conns = s.conns[:last]
	c.place = 0
	if cap(s.conns) > 1024 && last < cap(s.conns)/4 {
		s.conns = append(make([]*conn, 0, 2*last), s.conns...)
	}
}

func (s *shard) removeMember(m *member) {
	part := &m.group.shards[s.index]
	part.used.Add(-1)
	if m.place == 0 {
		return
	}
	last := len(part.members) - 1
	part.members[m.place-1] = part.members[last]
	part.members[m.place-1].place = m.place
	part.members[last] = nil
	part.members = part.members[:last]
	if last == 0 {
		part.members = nil
	}
	m.place = 0
}

// built is bytes that were made in this sweep: what members of a form get who are at cursor.
type built struct {
	form   form
	cursor int64
	limit  int

	bytes  []byte
	to     int64 // the cursor afterwards
	last   int64 // the last event's version
	events int
	more   bool // there is more after to
}

// load takes the group's list for a sweep.
func (s *shard) load(g *group) (head, floor int64) {
	f := g.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.list = append(s.list[:0], g.list...)
	s.built = s.built[:0]
	return f.head, g.base
}

// unload forgets what the sweep held, and the buffer when somebody keeps a part of it.
func (s *shard) unload() {
	clear(s.list)
	clear(s.built)
	s.reuse()
}

// reuse empties the buffer, which nobody may look at any more, or leaves it to those who do.
func (s *shard) reuse() {
	if s.held || cap(s.buf) > 16*sweepBytes {
		s.buf = nil
	}
	s.buf, s.held = s.buf[:0], false
}

// build returns the bytes for members of a form at a cursor, made once in a sweep.
func (s *shard) build(f form, cursor int64, limit int, head int64) *built {
	for i := len(s.built) - 1; i >= 0 && i >= len(s.built)-16; i-- {
		if b := &s.built[i]; b.cursor == cursor && b.limit == limit && b.form == f {
			return b
		}
	}
	if len(s.buf) >= sweepBytes {
		// Members that share little must not come to one buffer for all, which the slowest of them would hold.
		s.built = s.built[:0]
		s.reuse()
	}
	b := built{form: f, cursor: cursor, limit: limit, to: max(cursor, head)}
	start := len(s.buf)
	s.buf = f.open(s.buf)
	for _, e := range s.list[after(s.list, cursor):] {
		if b.events == limit || b.events > 0 && len(s.buf)-start+e.size > sweepBytes {
			b.more = true
			break
		}
		s.buf = e.appendTo(s.buf, f)
		b.to, b.last = e.ev.Version, e.ev.Version
		b.events++
	}
	if b.events == 0 {
		s.buf = s.buf[:start]
	} else {
		s.buf = f.shut(s.buf, start)
	}
	if !b.more {
		b.to = max(cursor, head)
	}
	b.bytes = s.buf[start:len(s.buf):len(s.buf)]
	s.built = append(s.built, b)
	return &s.built[len(s.built)-1]
}

// after returns the place of the first entry with a version above one.
func after(list []*entry, version int64) int {
	low, high := 0, len(list)
	for low < high {
		if mid := int(uint(low+high) >> 1); list[mid].ev.Version <= version {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// sweep gives the members of a group what has come.
func (s *shard) sweep(g *group) {
	head, floor := s.load(g)
	defer s.unload()
	members := g.shards[s.index].members
	for again := true; again; {
		again = false
		for _, m := range members {
			c := m.conn
			c.mu.Lock()
			if c.state == stateLive {
				again = s.give(m, head, floor) || again
			}
			c.poke()
			c.mu.Unlock()
		}
	}
}

// visit gives the members of one connection what they lack.
func (s *shard) visit(c *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.poke()
	for i := 0; i < len(c.members) && c.state == stateLive; i++ {
		m := c.members[i]
		head, floor := s.load(m.group)
		for c.state == stateLive && s.give(m, head, floor) { //nolint:revive // give does the work
		}
		s.unload()
	}
}

// give writes to one member what it lacks, once, and reports whether there is more for it. c.mu is held and the
// connection is live; it may be no more afterwards.
func (s *shard) give(m *member, head, floor int64) bool {
	c := m.conn
	if m.gone || m.cursor >= head && !m.behind {
		return false
	}
	limit := m.open()
	if limit == 0 {
		return false
	}
	if m.cursor < floor || m.behind {
		c.startPump()
		return false
	}
	b := s.build(m.form, m.cursor, limit, head)
	from := m.cursor
	m.cursor = b.to
	if b.events == 0 {
		return false
	}
	m.told = b.last
	if m.window > 0 {
		for _, e := range s.list[after(s.list, from):after(s.list, b.to)] {
			m.unacked = append(m.unacked, e.ev.Version)
		}
	}
	c.sent += int64(b.events)
	s.sent.Add(int64(b.events))
	if !c.write(b.bytes) {
		s.held = true
		return false
	}
	return b.more
}
