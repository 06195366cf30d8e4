package live

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// reason says why a connection ended; it is a label of a metric.
type reason uint8

// Reasons. Those up to reasonLost end a connection without last words: there is nobody to hear them.
const (
	reasonNone     reason = iota
	reasonClient          // the client went
	reasonSlow            // nothing was taken for the write timeout
	reasonLost            // nothing came back to three keep-alives
	reasonDone            // the protocol ended in order
	reasonShutdown        // the server stops
	reasonExpired         // the token or key expired
	reasonRevoked         // the token or key was revoked
	reasonTenant          // the tenant was deleted
	reasonGone            // retention deleted what the client had still to get
	reasonProtocol        // the client broke the protocol
	reasonError           // the log could not be read
	reasonEnded           // somebody ended it
	reasonCount
)

var reasonNames = [reasonCount]string{
	"none", "client", "slow", "silent", "done", "shutdown", "expired", "revoked", "tenant_deleted", "gone", "protocol", "error", "ended",
}

func (r reason) String() string { return reasonNames[r] }

// protocol is what a kind of connection does.
type protocol interface {
	// received takes bytes from the client; they are the callee's during the call only. Calls come one at a time.
	received(c *conn, b []byte)
	// keepAlive appends what is sent after a time of silence. counts says that the client answers to it, so that silence
	// after three ends the connection.
	keepAlive(dst []byte) (out []byte, counts bool)
	// last appends the last words for a reason.
	last(dst []byte, why reason) []byte
	// lingers reports whether the client should be heard out after the last words, because it may be sending, and what
	// it sent would make its kernel throw them away.
	lingers() bool
	// closed is called once when everything has ended.
	closed(c *conn, why reason)
}

// Bounds of a connection.
const (
	// maxOutbox is how much of a protocol's own messages may wait for a client that does not read, in bytes.
	maxOutbox = 64 << 10
	// patience is how many keep-alives a client may leave without an answer.
	patience = 3
	// lastWords is how long the last words may take, and how long a client is heard out.
	lastWords = 2 * time.Second
)

// Where a connection is.
const (
	stateNew     = iota // not started: nothing is sent
	stateLive           // a shard writes to it
	statePumping        // its pump writes to it
	stateOver           // ended
)

// conn is one client.
type conn struct {
	hub    *Hub
	shard  *shard
	feed   *feed
	proto  protocol
	sink   sink
	ticket *ticket
	handle watchHandle
	place  int // among the shard's connections, from 1; belongs to the shard

	mu       sync.Mutex
	state    uint8
	ended    reason
	unheard  uint8     // keep-alives since the client was last heard
	members  []*member // in the order of their making
	turn     int       // the member that the pump serves next
	pending  []byte    // the rest of a write, shared with others
	outbox   []byte    // messages of the protocol
	lastSent int64     // when something was sent last, in ns
	sent     int64     // events
	wake     chan struct{}
	first    member // for protocols with one subscription: beside the connection in memory
}

// member is one subscription of a connection. All but the fields of the shard is guarded by the connection's lock.
type member struct {
	conn  *conn
	group *group
	form  form
	place int // among the members of the group's shard, from 1; belongs to the shard

	cursor int64 // every version up to it was sent or not selected
	told   int64 // the last version that the client was told of
	gone   bool  // unsubscribed

	behind  bool // has read from the log since it was last at its end
	window  int
	unacked []int64 // versions sent and not acknowledged, with a window only
	id      string
}

// open returns how many events may be sent.
func (m *member) open() int {
	if m.window == 0 {
		return sweepEvents
	}
	return min(sweepEvents, max(0, m.window-len(m.unacked)))
}

// subscription is what [conn.subscribe] makes a member of.
type subscription struct {
	id   string
	wish *wish // from [Hub.wish]
	// start is the first version wanted, 0: those to come.
	start  int64
	form   form
	window int
}

// errOver is returned for a connection that has ended.
var errOver = errors.New("live: the connection is over")

// connect admits a listener and makes its connection, which must be started or abandoned. An error is the answer.
func (h *Hub) connect(k kind, r *http.Request, l *Listener, p protocol) (*conn, error) {
	t, err := h.admit(k, r, l)
	if err != nil {
		return nil, err
	}
	f, err := h.feedOf(r.Context(), l.Tenant.ID)
	if err != nil {
		t.release()
		return nil, err
	}
	return h.newConn(t, f, p), nil
}

// newConn makes the connection of a ticket; nothing is sent before start. It must be started or abandoned.
func (h *Hub) newConn(t *ticket, f *feed, p protocol) *conn {
	c := &conn{hub: h, feed: f, proto: p, ticket: t, shard: h.nextShard(), lastSent: h.clock.Load()}
	if t.connected(c) {
		c.ended = reasonEnded
	}
	return c
}

// abandon lets go of a connection that was not started.
func (c *conn) abandon() { c.finish(reasonClient) }

// start sends the first bytes, which are kept, and begins to serve and to read the connection; what was read already is
// received first. For sinks that block it returns when the connection has ended, else at once.
func (c *conn) start(s sink, first, already []byte) {
	s.tune(c.hub.cfg.WriteTimeout)
	c.mu.Lock()
	c.sink = s
	c.outbox = append(first, c.outbox...)
	if s.blocking() {
		c.wake = make(chan struct{}, 1)
		c.state = statePumping
	} else {
		c.state = stateLive
	}
	ended := c.ended
	if ended != reasonNone {
		c.state = stateOver
	} else {
		c.shard.post(op{kind: opAddConn, conn: c}) // under the lock, before anything can fail: its removal comes after
		if c.state == stateLive {
			c.flush()
		}
	}
	c.mu.Unlock()
	if ended != reasonNone {
		c.finishLive(ended)
		return
	}
	if len(already) > 0 {
		c.proto.received(c, already)
	}
	c.mu.Lock()
	if c.ended == reasonNone {
		c.hub.watch(c) // under the lock: who ends the connection later finds it watched
	}
	c.mu.Unlock()
	if s.blocking() {
		c.pump()
	}
}

// subscribe adds a member. hello makes what is sent before its first event, given the first version that may come and
// the log's head; it may be nil. Errors are [event.Error] of KindGone, errOver, and those of the log.
func (c *conn) subscribe(m *member, s subscription, hello func(dst []byte, next, head int64) []byte) error {
	cursor, head, err := c.feed.begin(c.hub.ctx, s.start)
	if err != nil {
		return err
	}
	f := c.feed
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return errOver
	}
	g := f.group(s.wish)
	g.reach(cursor)
	f.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != reasonNone {
		f.leave(g)
		return errOver
	}
	*m = member{conn: c, group: g, form: s.form, cursor: cursor, told: cursor, behind: cursor < head, window: s.window, id: s.id}
	if hello != nil {
		c.outbox = hello(c.outbox, cursor+1, head)
	}
	c.members = append(c.members, m)
	g.shards[c.shard.index].used.Add(1)
	c.shard.post(op{kind: opAddMember, member: m})
	if c.state == stateLive {
		c.flush()
	}
	c.poke()
	return nil
}

// unsubscribe ends a member; what is being sent to it may still come before bye, which is sent after. The member may not
// be used again.
func (c *conn) unsubscribe(m *member, bye []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.gone {
		return
	}
	c.removeMember(m)
	c.queue(bye)
}

func (c *conn) removeMember(m *member) {
	m.gone = true
	for i, x := range c.members {
		if x == m {
			c.members = append(c.members[:i], c.members[i+1:]...)
			break
		}
	}
	c.shard.post(op{kind: opRemoveMember, member: m})
	m.group.feed.leave(m.group)
}

// ack tells that a member's events up to a version have been handled.
func (c *conn) ack(m *member, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(m.unacked) && m.unacked[n] <= version {
		n++
	}
	if n == 0 {
		return
	}
	m.unacked = m.unacked[n:]
	c.shard.post(op{kind: opVisit, conn: c})
	c.poke()
}

// queue sends bytes, or keeps a copy of what must wait; c.mu is held.
func (c *conn) queue(b []byte) {
	if len(b) == 0 {
		return
	}
	if c.state == stateLive && len(c.outbox) == 0 {
		if !c.write(b) {
			c.pending = slices.Clone(c.pending)
		}
		return
	}
	c.outbox = append(c.outbox, b...)
	c.poke()
}

// poke wakes a pump that waits; c.mu need not be held.
func (c *conn) poke() {
	if c.wake == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// flush writes the outbox of a live connection; c.mu is held.
func (c *conn) flush() {
	if len(c.outbox) > 0 {
		b := c.outbox
		c.outbox = nil
		c.write(b)
	}
}

// write writes to a live connection at once, and leaves what does not fit to the pump, which may keep b. It reports
// whether all of it went. c.mu is held.
func (c *conn) write(b []byte) bool {
	n, err := c.sink.try(b)
	if err != nil {
		c.fail(reasonClient)
		return false
	}
	c.shard.bytes.Add(int64(n))
	c.lastSent = c.hub.clock.Load()
	if n == len(b) {
		return true
	}
	c.pending = b[n:]
	c.startPump()
	return false
}

// startPump gives a live connection its pump; c.mu is held.
func (c *conn) startPump() {
	if c.state != stateLive {
		return
	}
	c.state = statePumping
	c.hub.stats.lagging.Add(1)
	c.hub.work.Go(c.pump)
}

// fail ends a live connection on whose sink nothing works; c.mu is held.
func (c *conn) fail(why reason) {
	if c.ended == reasonNone {
		c.ended, c.state = why, stateOver
		c.hub.work.Go(func() { c.finishLive(why) })
	}
}

// end ends the connection: the last words are sent unless the client is gone. It does not wait. Only the first call
// counts.
func (c *conn) end(why reason) {
	c.mu.Lock()
	if c.ended != reasonNone {
		c.mu.Unlock()
		return
	}
	c.ended = why
	state := c.state
	if state == stateLive {
		c.state = stateOver
	}
	if state == statePumping {
		if why <= reasonLost {
			c.sink.abort()
		} else {
			c.sink.hurry(lastWords)
		}
		c.poke()
	}
	c.mu.Unlock()
	if state == stateLive {
		c.finishLive(why)
	}
}

// finishLive sends the last words of a connection without a pump, and lets go of it.
func (c *conn) finishLive(why reason) {
	if why > reasonLost {
		_, _ = c.sink.try(c.proto.last(nil, why)) // what does not fit is of no more use
	}
	c.finish(why)
}

// finish lets go of everything. It is called once, by whoever writes last.
func (c *conn) finish(why reason) {
	c.mu.Lock()
	c.state = stateOver
	for len(c.members) > 0 {
		c.removeMember(c.members[len(c.members)-1])
	}
	c.pending, c.outbox = nil, nil
	c.mu.Unlock()
	c.hub.stats.closed[why].Add(1)
	c.shard.post(op{kind: opRemoveConn, conn: c})
	c.hub.unwatch(c, why > reasonLost && c.proto.lingers())
	c.proto.closed(c, why)
	c.feed.release()
	c.ticket.release()
}

// heard notes that the client is there.
func (c *conn) heard() {
	c.mu.Lock()
	c.unheard = 0
	c.mu.Unlock()
}

// work runs f on a goroutine of its own, which Shutdown waits for.
func (c *conn) work(f func()) { c.hub.work.Go(f) }

// begin resolves the start of a subscription: the cursor and the log's head.
func (f *feed) begin(ctx context.Context, start int64) (cursor, head int64, err error) {
	if err := f.load(ctx); err != nil {
		return 0, 0, err
	}
	f.mu.Lock()
	floor, head := f.floor, f.head
	f.mu.Unlock()
	if start <= 0 {
		return head, head, nil
	}
	if start > floor && start <= head+1 {
		return start - 1, head, nil
	}
	oldest, last, err := f.hub.cfg.Log.Bounds(ctx, f.tenant) // the tail may not have come to the log's end
	switch {
	case err != nil:
		return 0, 0, err
	case start < oldest:
		return 0, 0, event.Gone("start", oldest)
	case start > last+1:
		return 0, 0, event.Beyond("start", last)
	}
	return start - 1, max(head, last), nil
}
