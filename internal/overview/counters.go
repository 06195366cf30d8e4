package overview

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxTenants is how many tenants have figures of their own at once. Those that are looked at come first, then those that
// were active lately: a meter whose tenant was quiet for quietSlots is given away when another one needs it.
const (
	maxTenants = 512
	quietSlots = 12
)

// Counters hear of every publish and attempt. Telling them never waits; BenchmarkEvent says what it costs. They are safe for
// concurrent use.
type Counters struct {
	all     meter
	tenants atomic.Pointer[map[event.TenantID]*meter] // replaced as a whole
	full    atomic.Bool                               // no tenant is added until the next slot

	mu   sync.Mutex
	slot int64     // the number of the slot under way
	last time.Time // of the last sample
}

// NewCounters makes counters that begin at a time.
func NewCounters(now time.Time) *Counters {
	c := &Counters{slot: slotOf(now), last: now}
	c.tenants.Store(&map[event.TenantID]*meter{})
	c.all.since = now
	return c
}

func slotOf(t time.Time) int64 { return t.Unix() / int64(slotTime/time.Second) }

// Published counts events of a tenant that were stored.
func (c *Counters) Published(tenant event.TenantID, events int) {
	if events == 0 {
		return
	}
	c.all.published(events)
	if m := c.of(tenant); m != nil {
		m.published(events)
	}
}

// Attempted counts a request to an endpoint of a tenant, which carried so many events, took so long, and ended age after the
// append of the oldest of them.
func (c *Counters) Attempted(tenant event.TenantID, v event.Verdict, events int, took, age time.Duration) {
	verdict, tookAt, ageAt := verdictIndex(v), bucketOf(took, tookBucket), bucketOf(age, ageBucket)
	c.all.attempted(verdict, events, tookAt, ageAt)
	if m := c.of(tenant); m != nil {
		m.attempted(verdict, events, tookAt, ageAt)
	}
}

// of returns a tenant's meter, nil when it has none.
func (c *Counters) of(tenant event.TenantID) *meter {
	if m := (*c.tenants.Load())[tenant]; m != nil || c.full.Load() {
		return m
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(tenant, c.last, false)
}

// add returns a tenant's meter, made when there is room. Of those who are looked at it makes room. c.mu is held.
func (c *Counters) add(tenant event.TenantID, now time.Time, looked bool) *meter {
	old := *c.tenants.Load()
	if m := old[tenant]; m != nil {
		return m
	}
	next := maps.Clone(old)
	if len(old) >= maxTenants {
		victim, quiet := event.TenantID(0), int64(0)
		for id, m := range old {
			if q := c.slot - m.active; m.watched == 0 && (q >= quietSlots || looked) && q >= quiet {
				victim, quiet = id, q
			}
		}
		if victim == 0 {
			c.full.Store(true)
			return nil
		}
		delete(next, victim)
	}
	m := &meter{since: now, active: c.slot}
	next[tenant] = m
	c.tenants.Store(&next)
	return m
}

// TenantDeleted forgets a tenant's figures.
func (c *Counters) TenantDeleted(tenant event.TenantID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.tenants.Load()
	if old[tenant] == nil {
		return
	}
	next := maps.Clone(old)
	delete(next, tenant)
	c.tenants.Store(&next)
}

// look returns the meter of a tenant that somebody looks at, 0: of the server. It is nil only while as many tenants are
// watched as have figures. c.mu is held.
func (c *Counters) look(tenant event.TenantID, now time.Time) *meter {
	if tenant == 0 {
		return &c.all
	}
	return c.add(tenant, now, true)
}

// watch keeps a tenant's figures, and those of each second, until unwatch is called.
func (c *Counters) watch(tenant event.TenantID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.look(tenant, now)
	if m == nil {
		return
	}
	if m.watched++; m.second == nil {
		m.second = new(totals)
		m.news(m.second)
		m.tick = event.Figures{}
	}
}

func (c *Counters) unwatch(tenant event.TenantID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &c.all
	if tenant != 0 {
		m = (*c.tenants.Load())[tenant]
	}
	if m == nil || m.watched == 0 { // it was deleted, or never had one
		return
	}
	if m.watched--; m.watched == 0 {
		m.second = nil
	}
}
