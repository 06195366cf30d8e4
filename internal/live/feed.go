package live

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// Bounds of a feed's ring and of all rings together.
const (
	ringEvents = 1024
	ringBytes  = 4 << 20
	ringsBytes = 64 << 20
	// ringAge is how long the ring keeps what every member has been given, in ns.
	ringAge = int64(10e9)
	// lingerAge is how long an unused feed or group is kept for those who come back, in ns.
	lingerAge = int64(15e9)
	// maxUnused is how many groups of a feed may linger: matching events for nobody costs, and each may hold a program.
	maxUnused = 64
	// backfill is the most entries that are matched again for a member that begins a little in the past.
	backfill = 256
)

// entry is an event on a ring. groups is guarded by the feed's lock; the rest never changes.
type entry struct {
	ev     event.Event
	size   int
	at     int64 // when it was put on the ring, in ns
	groups []*group

	body *wire.EventBody // what is encoded once for all
}

// appendTo appends the event in a form.
func (e *entry) appendTo(dst []byte, f form) []byte { return f.event(dst, &e.ev, e.body) }

// feed is one tenant's live events. It exists while somebody listens, and a little longer.
type feed struct {
	hub    *Hub
	tenant event.TenantID

	loading chan struct{} // holds one token: the right to load
	loaded  atomic.Bool

	mu sync.Mutex
	// Every event in (floor, head] is on the ring. known is false until both are.
	known       bool
	floor, head int64
	ring        []*entry
	bytes       int
	groups      map[string]*group
	bySubject   map[string][]*group // groups that select some subjects only, by each of them
	scan        []*group            // the others
	unused      int                 // groups without members and waiters
	refs        int                 // members and waiters
	idle        int64               // since when refs is 0, in ns
	over        bool                // the tenant was deleted, or the feed dropped
}

func newFeed(h *Hub, tenant event.TenantID) *feed {
	f := &feed{
		hub: h, tenant: tenant, groups: map[string]*group{}, bySubject: map[string][]*group{},
		loading: make(chan struct{}, 1), idle: h.now(),
	}
	f.loading <- struct{}{}
	return f
}

// load finds out where the log ends. It must be called when the tail hands the feed every event from then on: what was
// appended up to the end that it reads may come by the tail or not, everything after it will.
func (f *feed) load(ctx context.Context) error {
	if f.loaded.Load() {
		return nil
	}
	select {
	case <-f.loading:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { f.loading <- struct{}{} }()
	if f.loaded.Load() {
		return nil
	}
	_, head, err := f.hub.cfg.Log.Bounds(ctx, f.tenant)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		f.known, f.floor, f.head = true, head, head
	}
	f.loaded.Store(true)
	return nil
}

// dispatch puts events of the tenant, in version order, on the ring and on the lists of the groups that select them, wakes
// waiters and marks what the shards have to send.
func (f *feed) dispatch(events []event.Event, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	for i := range events {
		ev := &events[i]
		switch {
		case !f.known:
			f.known, f.floor, f.head = true, ev.Version-1, ev.Version-1
		case ev.Version <= f.head:
			continue // on the log already when the feed was loaded
		case ev.Version > f.head+1:
			// Versions between were deleted before the tail came to them. Members that lack them will find out in the log.
			f.drop(len(f.ring))
			f.floor, f.head = ev.Version-1, ev.Version-1
			for _, g := range f.groups {
				g.base = f.head
				g.mark()
			}
		}
		e := &entry{ev: *ev, size: ev.Size(), at: now}
		e.body = wire.NewEventBody(&e.ev)
		f.ring = append(f.ring, e)
		f.bytes += e.size
		f.hub.ringBytes.Add(int64(e.size))
		f.head = ev.Version
		for _, g := range f.bySubject[ev.Subject] {
			g.offer(e)
		}
		for _, g := range f.scan {
			g.offer(e)
		}
	}
	n := 0
	bytes := f.bytes
	for n < len(f.ring)-1 && (len(f.ring)-n > f.hub.cfg.ringEvents || bytes > ringBytes || f.hub.ringBytes.Load()-int64(f.bytes-bytes) > ringsBytes) &&
		f.ring[n].ev.Version < events[0].Version {
		bytes -= f.ring[n].size
		n++
	}
	f.drop(n)
}

// drop forgets the oldest n entries.
func (f *feed) drop(n int) {
	if n == 0 {
		return
	}
	for _, e := range f.ring[:n] {
		f.bytes -= e.size
		f.hub.ringBytes.Add(-int64(e.size))
		f.floor = e.ev.Version
		for _, g := range e.groups {
			if len(g.list) > 0 && g.list[0] == e {
				g.base = e.ev.Version
				g.list[0] = nil
				g.list = g.list[1:]
			}
		}
	}
	clear(f.ring[:n])
	if f.ring = f.ring[n:]; len(f.ring) == 0 {
		f.ring = nil
	}
}

// tidy drops what is old and groups that nobody uses, and reports whether the feed itself is of no more use.
func (f *feed) tidy(now int64) (unused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.ring) && now-f.ring[n].at > ringAge {
		n++
	}
	f.drop(n)
	for _, g := range f.groups {
		if g.refs == 0 && now-g.idle > lingerAge {
			f.removeGroup(g)
		}
	}
	if f.refs == 0 && now-f.idle > lingerAge {
		f.over = true
		f.drop(len(f.ring))
	}
	return f.over
}

// close ends the use of a feed; members are ended by the caller.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.drop(len(f.ring))
	for _, g := range f.groups {
		g.wake(endOfLog)
	}
}

// ended reports whether the tenant was deleted.
func (f *feed) ended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// group is the listeners of a feed that share a selection.
type group struct {
	feed     *feed
	key      string                  // of the selection
	match    func(*event.Event) bool // nil: every event
	subjects []string                // by which it is found, nil: it is asked about every event
	shown    event.Selection

	// Guarded by the feed's lock. list has every selected event in (base, head]; base stays behind the ring's floor while
	// nothing that is selected leaves the ring.
	base    int64
	list    []*entry
	refs    int
	idle    int64
	waiters []*waiter

	// shards hold the members; each belongs to its shard.
	shards []groupShard
}

// groupShard is the part of a group that one shard serves. members belongs to the shard's goroutine, dirty to its lock.
type groupShard struct {
	members []*member
	dirty   bool
	used    atomic.Int32 // members, and those on their way in
}

// offer adds an entry to the group's list if the group selects it.
func (g *group) offer(e *entry) {
	if g.match != nil && !g.match(&e.ev) {
		return
	}
	g.list = append(g.list, e)
	e.groups = append(e.groups, g)
	g.mark()
	g.wake(e.ev.Version)
}

// mark has the shards look at the group's members.
func (g *group) mark() {
	for i := range g.shards {
		if g.shards[i].used.Load() > 0 {
			g.feed.hub.shards[i].mark(g)
		}
	}
}

// endOfLog is after every version.
const endOfLog = math.MaxInt64

// wake tells waiters that a version came.
func (g *group) wake(version int64) {
	for _, w := range g.waiters {
		if version <= w.after {
			continue
		}
		select {
		case w.ch <- struct{}{}:
		default:
		}
	}
}

// since copies the first n entries after a version into dst, and reports whether there are more. ok is false when the list
// does not reach back to it.
func (g *group) since(cursor int64, dst []*entry, n int) (list []*entry, more, ok bool) {
	if cursor < g.base {
		return dst, false, false
	}
	rest := g.list[after(g.list, cursor):]
	return append(dst, rest[:min(n, len(rest))]...), len(rest) > n, true
}

// group returns the feed's group of a selection, making it when there is none, with a use counted. Its caller holds the
// feed's lock.
func (f *feed) group(w *wish) *group {
	g := f.groups[w.key]
	if g == nil {
		g = &group{feed: f, key: w.key, shown: cloneSelection(w.shown), match: w.match, subjects: w.subjects, base: f.head, shards: make([]groupShard, len(f.hub.shards))}
		f.groups[w.key] = g
		if g.subjects == nil {
			f.scan = append(f.scan, g)
		}
		for _, s := range g.subjects {
			f.bySubject[s] = append(f.bySubject[s], g)
		}
	} else if g.refs == 0 {
		f.unused--
	}
	g.refs++
	f.refs++
	return g
}

// leave takes back a use.
func (f *feed) leave(g *group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.hub.now()
	if g.refs--; g.refs == 0 {
		g.idle = now
		if f.unused++; f.unused > maxUnused {
			f.removeGroup(g)
		}
	}
	if f.refs--; f.refs == 0 {
		f.idle = now
	}
}

// hold counts a use of the feed itself; release takes it back.
func (f *feed) hold() {
	f.mu.Lock()
	f.refs++
	f.mu.Unlock()
}

func (f *feed) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs--; f.refs == 0 {
		f.idle = f.hub.now()
	}
}

// removeGroup forgets a group that nobody uses.
func (f *feed) removeGroup(g *group) {
	f.unused--
	delete(f.groups, g.key)
	remove := func(list []*group) []*group {
		return slices.DeleteFunc(list, func(x *group) bool { return x == g })
	}
	if g.subjects == nil {
		f.scan = remove(f.scan)
	}
	for _, s := range g.subjects {
		if f.bySubject[s] = remove(f.bySubject[s]); len(f.bySubject[s]) == 0 {
			delete(f.bySubject, s)
		}
	}
	g.list = nil
}

// reach extends the group's list back to a cursor from what is on the ring, when that is little work.
func (g *group) reach(cursor int64) {
	f := g.feed
	if cursor >= g.base || cursor < f.floor || g.base-cursor > backfill {
		return
	}
	var more []*entry
	for _, e := range f.ring {
		if v := e.ev.Version; v > cursor && v <= g.base && (g.match == nil || g.match(&e.ev)) {
			more = append(more, e)
			e.groups = append(e.groups, g)
		}
	}
	g.base = cursor
	g.list = append(more, g.list...)
}
