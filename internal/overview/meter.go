package overview

import (
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// The last fifteen minutes are kept in slots of five seconds.
const (
	slotTime = 5 * time.Second
	slots    = 180
	window   = slots * slotTime
	// rateTime is over how many seconds rates are taken.
	rateTime = 10
)

// The verdicts, as indexes.
const (
	delivered = iota
	retry
	failed
	gone
	verdicts
)

func verdictIndex(v event.Verdict) int {
	switch v {
	case event.VerdictDelivered:
		return delivered
	case event.VerdictRetry:
		return retry
	case event.VerdictGone:
		return gone
	}
	return failed
}

// meter counts for the whole server or for one tenant. The counters only ascend, and are all that the event's way touches;
// everything else is guarded by the lock of [Counters].
type meter struct {
	events atomic.Uint64
	sent   [verdicts]atomic.Uint64
	took   [tookBucket]atomic.Uint32 // one for each request
	age    [ageBucket]atomic.Uint32  // one for each that was delivered

	since   time.Time
	last    totals // at the end of the last slot
	ring    [slots]*slot
	active  int64          // the number of the last slot with anything in it
	rates   [rateTime]rate // by second
	watched int
	second  *totals // at the end of the last second, while somebody watches
	tick    event.Figures
}

// totals are a meter's counters at a time.
type totals struct {
	events uint64
	sent   [verdicts]uint64
	took   [tookBucket]uint32
	age    [ageBucket]uint32
}

// rate is what had been counted at a second.
type rate struct {
	at                int64 // Unix seconds, 0: nothing
	events, delivered uint64
}

// slot is what was counted in a time: never changed once it is on a ring.
type slot struct {
	number    int64 // Unix seconds by slotTime
	events    uint64
	sent      [verdicts]uint64
	took, age []count
}

func (s *slot) empty() bool { return s.events == 0 && len(s.took) == 0 }

// published and attempted are the event's way.
func (m *meter) published(n int) { m.events.Add(uint64(n)) }

func (m *meter) attempted(verdict, events, took, age int) {
	m.sent[verdict].Add(uint64(events))
	m.took[took].Add(1)
	if verdict == delivered {
		m.age[age].Add(1)
	}
}

// news returns what was counted since the totals, and brings them up to date.
func (m *meter) news(was *totals) slot {
	s := slot{events: m.events.Load() - was.events}
	was.events += s.events
	for i := range m.sent {
		s.sent[i] = m.sent[i].Load() - was.sent[i]
		was.sent[i] += s.sent[i]
	}
	s.took, s.age = newCounts(m.took[:], was.took[:]), newCounts(m.age[:], was.age[:])
	return s
}

// adder adds slots up to figures.
type adder struct {
	f         event.Figures
	took, age sums
}

func newAdder() *adder {
	return &adder{took: sums{n: make([]uint64, tookBucket)}, age: sums{n: make([]uint64, ageBucket)}}
}

func (a *adder) add(s *slot) {
	a.f.Events += int64(s.events)
	a.f.Delivered += int64(s.sent[delivered])
	a.f.Retry += int64(s.sent[retry])
	a.f.Failed += int64(s.sent[failed])
	a.f.Gone += int64(s.sent[gone])
	a.took.add(s.took)
	a.age.add(s.age)
}

// figures returns what was added up.
func (a *adder) figures() event.Figures {
	f := a.f
	f.Attempts, f.Succeeded = int64(a.took.each), int64(a.age.each)
	f.Took, f.Age = a.took.percentiles(), a.age.percentiles()
	return f
}
