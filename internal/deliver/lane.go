package deliver

import (
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/time/rate"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of one lane's memory.
const (
	// queueLimit is how many events may wait in a lane's queue.
	queueLimit = 256
	// entryLimit is how many events a lane's window spans, settled ones between unsettled ones included.
	entryLimit = 1024
	// defaultConcurrency is how many requests a lane has under way at once when its endpoint does not say.
	defaultConcurrency = 16
	// downAfter is how many failures in a row make an endpoint as a whole count as failing.
	downAfter = 5
)

// lane is the delivery state machine of one endpoint, or of one replay to it. It is data: every method runs under the
// manager's lock and does no I/O.
//
// A live lane is fed by the follower. Any other reads the log by itself from its saved cursor. entries is the part of the
// log that the lane has taken in and not yet settled without a gap.
type lane struct {
	event.LaneKey
	ep     *event.Endpoint
	target atomic.Pointer[target] // prepared by the first worker; nil again after a change

	live     bool
	liveFrom int64 // the follower's events up to this Seq were read by the lane itself
	scanned  int64 // every event up to this version was taken in or is not for the lane
	entries  []entry
	queued   int  // entries in state queued
	tracked  int  // entries that hold the follower's position
	feeding  bool // a read of the log is under way
	atEnd    bool // the last read reached the head, and nothing was offered since
	replay   *event.ReplayRange
	// restored are versions that were settled before the start, or had a retry row then.
	restored map[int64]struct{}
	// doubtful: the lane was live in this run, so a former run may have delivered what it now reads by itself. Up to the
	// version doubtTo that may be so because it was doubtful when an earlier run ended.
	doubtful bool
	doubtTo  int64

	retries []*retry       // by first version
	blocked map[uint64]int // keys of retry rows (order key)
	busy    map[uint64]int // keys under way (order key)

	inFlight     int
	allowed      int // requests at once, ramping up after a penalty
	penalty      time.Duration
	penaltyUntil time.Time
	penalisedAt  time.Time
	holdUntil    time.Time // asked for by Retry-After
	failures     int
	failingSince time.Time
	proven       bool // the last answer was good: see slots
	limiter      *rate.Limiter

	timer   *time.Timer
	wake    time.Time
	inReady bool // in line for a slot
	forMem  bool // in line for feed memory
	saved   bool // has a row in the store
	removed bool
	oldest  time.Time // when the oldest unsettled event was received, as far as known
	used    time.Time
	places  [setCount]int // in the sets of lanes
}

type entryState uint8

const (
	entryQueued entryState = iota
	entryInFlight
	entrySettled
)

// entry is one event in a lane's window.
type entry struct {
	version int64
	seq     int64
	ev      *event.Event // nil once settled
	unit    *unit        // while in flight
	key     uint64       // 0: unordered
	at      int64        // when it was queued, Unix ns, for the wait of batches
	state   entryState
	tracked bool
	fed     bool // counted in the manager's feedMem
}

// retry is a saved exception with what is known of it in memory.
type retry struct {
	event.Retry
	inFlight bool
}

// unit is one delivery on its way: an event or a batch, for the first time or again.
type unit struct {
	lane     *lane
	ep       *event.Endpoint
	events   []*event.Event // nil for a retry, until read
	one      [1]*event.Event
	versions []int64
	oneV     [1]int64
	keys     []uint64
	retry    *retry
	number   int
	first    time.Time
	started  time.Time
	pool     *slots
}

// hashKey hashes an ordering key; 0 stands for no key. Two keys that collide only wait for each other.
func hashKey(s string) uint64 {
	if s == "" {
		return 0
	}
	return xxhash.Sum64String(s) | 1
}

func (l *lane) batchMax() int { return max(1, l.ep.Batch.Max) }

// limit is how many requests the lane may have under way now.
func (l *lane) limit() int {
	if l.ep.Order == event.OrderStrict {
		return 1
	}
	n := l.ep.Concurrency
	if n == 0 {
		n = defaultConcurrency
	}
	if l.allowed > 0 {
		n = min(n, l.allowed)
	}
	return n
}

// rowsLeft reports whether one more delivery may fail without a retry row too many.
func (l *lane) rowsLeft() bool { return len(l.retries)+l.inFlight < event.MaxRetryRows }

// until is when the lane may send again: the end of a penalty or of a wait that the receiver asked for.
func (l *lane) until() time.Time {
	if l.holdUntil.After(l.penaltyUntil) {
		return l.holdUntil
	}
	return l.penaltyUntil
}

// open reports whether the lane takes events from the follower.
func (l *lane) open(now time.Time) bool {
	return !l.ep.Disabled && l.queued < queueLimit && len(l.entries) < entryLimit && len(l.retries) < event.MaxRetryRows && !now.Before(l.until())
}

// push takes an event in. The lane must be open, or read by itself.
func (l *lane) push(ev *event.Event, tracked bool, now time.Time) {
	e := entry{version: ev.Version, seq: ev.Seq, ev: ev, tracked: tracked, at: now.UnixNano()}
	if l.ep.Order == event.OrderKey {
		e.key = hashKey(ev.OrderingKey())
	}
	l.entries = append(l.entries, e)
	l.queued++
	if tracked {
		l.tracked++
	}
	l.scanned = ev.Version
	if l.oldest.IsZero() {
		l.oldest = ev.Received
	}
}

// pass notes an event that was settled in a former run, so that the lane never reads it again by itself.
func (l *lane) pass(ev *event.Event) {
	if len(l.entries) > 0 {
		l.entries = append(l.entries, entry{version: ev.Version, seq: ev.Seq, state: entrySettled})
	}
	l.scanned = ev.Version
}

// find returns the entry of a version, or nil.
func (l *lane) find(version int64) *entry {
	i := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].version >= version })
	if i == len(l.entries) || l.entries[i].version != version {
		return nil
	}
	return &l.entries[i]
}

// prune drops settled entries from the front.
func (l *lane) prune() {
	n := 0
	for n < len(l.entries) && l.entries[n].state == entrySettled {
		n++
	}
	if n > 0 {
		l.entries = l.entries[n:]
	}
	switch {
	case len(l.entries) == 0 && (l.live || l.atEnd): // else what is still to be read is hardly younger
		l.oldest = time.Time{}
	case len(l.entries) == 0:
	case l.entries[0].ev != nil:
		l.oldest = l.entries[0].ev.Received
	}
}

// cursor is the version up to which everything is settled or has a retry row.
func (l *lane) cursor() int64 {
	if len(l.entries) > 0 {
		return l.entries[0].version - 1
	}
	return l.scanned
}

// needsRow reports whether the lane has anything that must survive.
func (l *lane) needsRow() bool {
	return !l.removed && (!l.live || l.penalty > 0 || !l.failingSince.IsZero() || l.replay != nil)
}

// state returns what is saved of the lane.
func (l *lane) state() event.LaneState {
	s := event.LaneState{
		LaneKey: l.LaneKey, Tenant: l.ep.Tenant, Backlog: !l.live, Penalty: l.penalty, PenaltyUntil: l.penaltyUntil,
		Failures: l.failures, FailingSince: l.failingSince,
	}
	if !l.live {
		s.Cursor = l.cursor()
		for i := range l.entries {
			if l.entries[i].state == entrySettled {
				s.Done = append(s.Done, l.entries[i].version)
			}
		}
		for v := range l.restored { // not read again yet
			if v > s.Cursor {
				s.Done = append(s.Done, v)
			}
		}
		slices.Sort(s.Done)
		s.Done = slices.Compact(s.Done)
	}
	if l.replay != nil {
		s.Range = *l.replay
	}
	return s
}

// addRetry puts a retry row in its place.
func (l *lane) addRetry(r *retry) {
	i := sort.Search(len(l.retries), func(i int) bool { return l.retries[i].Versions[0] >= r.Versions[0] })
	l.retries = slices.Insert(l.retries, i, r)
	if len(r.Keys) > 0 && l.blocked == nil {
		l.blocked = map[uint64]int{}
	}
	for _, k := range r.Keys {
		l.blocked[k]++
	}
}

// removeRetry takes a retry row out.
func (l *lane) removeRetry(r *retry) {
	i := slices.Index(l.retries, r)
	if i < 0 {
		return
	}
	l.retries = slices.Delete(l.retries, i, i+1)
	release(l.blocked, r.Keys)
	if len(l.retries) == 0 {
		l.retries, l.blocked = nil, nil
	}
}

// retryAt returns the retry row that begins with a version, or nil.
func (l *lane) retryAt(version int64) *retry {
	i := sort.Search(len(l.retries), func(i int) bool { return l.retries[i].Versions[0] >= version })
	if i < len(l.retries) && l.retries[i].Versions[0] == version {
		return l.retries[i]
	}
	return nil
}

// covers reports whether a retry row holds the version.
func (l *lane) covers(version int64) bool {
	return slices.ContainsFunc(l.retries, func(r *retry) bool { return slices.Contains(r.Versions, version) })
}

func release(m map[uint64]int, keys []uint64) {
	for _, k := range keys {
		if m[k]--; m[k] <= 0 {
			delete(m, k)
		}
	}
}

// occupy marks keys as under way.
func (l *lane) occupy(keys []uint64) {
	if len(keys) > 0 && l.busy == nil {
		l.busy = map[uint64]int{}
	}
	for _, k := range keys {
		l.busy[k]++
	}
}

// dueRetry returns the retry row to send next, or nil, and when the next one is due (zero when none waits for time).
// In order key a row waits for every earlier row of its keys, and in order strict only the first one goes.
func (l *lane) dueRetry(now time.Time) (due *retry, next time.Time) {
	var seen map[uint64]bool
	for _, r := range l.retries {
		behind := false
		for _, k := range r.Keys {
			behind = behind || seen[k] || l.busy[k] > 0
		}
		if len(r.Keys) > 0 && seen == nil {
			seen = map[uint64]bool{}
		}
		for _, k := range r.Keys {
			seen[k] = true
		}
		if behind || r.inFlight {
			if l.ep.Order == event.OrderStrict {
				return nil, next
			}
			continue
		}
		if !r.Due.After(now) {
			return r, time.Time{}
		}
		if next.IsZero() || r.Due.Before(next) {
			next = r.Due
		}
		if l.ep.Order == event.OrderStrict {
			return nil, next
		}
	}
	return nil, next
}
