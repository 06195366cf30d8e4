package overview

import (
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// sample notes what was counted up to now. It is called every second.
func (c *Counters) sample(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	number := slotOf(now)
	c.last = now
	if number < c.slot-quietSlots {
		c.setBack(now)
	}
	closes := number > c.slot
	c.sampleOne(&c.all, now, closes)
	for _, m := range *c.tenants.Load() {
		c.sampleOne(m, now, closes)
	}
	if closes {
		c.slot = number
		c.full.Store(false)
	}
}

// setBack begins anew after the clock was set back by more than a little, which is waited for: all slots are in the future.
// c.mu is held.
func (c *Counters) setBack(now time.Time) {
	c.slot = slotOf(now)
	back := func(m *meter) {
		m.ring, m.rates = [slots]*slot{}, [rateTime]rate{}
		m.since, m.active = now, c.slot
		_ = m.news(&m.last)
	}
	back(&c.all)
	for _, m := range *c.tenants.Load() {
		back(m)
	}
}

func (c *Counters) sampleOne(m *meter, now time.Time, closes bool) {
	at := now.Unix()
	m.rates[at%rateTime] = rate{at: at, events: m.events.Load(), delivered: m.sent[delivered].Load()}
	if m.second != nil {
		a, s := newAdder(), m.news(m.second)
		a.add(&s)
		m.tick = a.figures()
	}
	if !closes {
		return
	}
	s := m.news(&m.last)
	if s.empty() {
		return
	}
	s.number, m.active = c.slot, c.slot
	m.ring[c.slot%slots] = &s
}

// tick returns what was counted in the last second, of a tenant that is watched.
func (c *Counters) tick(tenant event.TenantID) event.Figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tenant == 0 {
		return c.all.tick
	}
	if m := (*c.tenants.Load())[tenant]; m != nil && m.second != nil {
		return m.tick
	}
	return event.Figures{}
}

// fill puts a tenant's figures into an overview, 0: those of the server.
func (c *Counters) fill(o *event.Overview, tenant event.TenantID, now time.Time) {
	o.At, o.Since, o.Window, o.Step = now, now, window, slotTime
	o.Start = time.Unix(0, 0).Add(time.Duration(slotOf(now)-slots) * slotTime).UTC()
	o.Series = make([]event.FigureSlot, slots)
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.look(tenant, now)
	if m == nil {
		return
	}
	o.Since = m.since
	o.EventsPerSecond, o.DeliveriesPerSecond = m.rate(now)
	all := newAdder()
	current := slotOf(now)
	begun := slotOf(m.since)
	took := sums{n: make([]uint64, tookBucket)}
	for i := range o.Series {
		number := current - slots + int64(i)
		out := &o.Series[i]
		if out.Known = number >= begun; !out.Known {
			continue
		}
		s := m.ring[number%slots]
		if s == nil || s.number != number {
			continue
		}
		all.add(s)
		clear(took.n)
		took.each = 0
		took.add(s.took)
		*out = event.FigureSlot{
			Known: true, Events: int64(s.events), Delivered: int64(s.sent[delivered]), Retry: int64(s.sent[retry]),
			Failed: int64(s.sent[failed] + s.sent[gone]), Took: took.percentiles(),
		}
	}
	open := m.last
	s := m.news(&open)
	all.add(&s)
	o.Figures = all.figures()
}

// rate returns events and deliveries a second, over the last ten seconds or since counting began.
func (m *meter) rate(now time.Time) (events, deliveries float64) {
	var was rate
	for _, r := range m.rates {
		if r.at > now.Unix()-rateTime-1 && r.at <= now.Unix() && (was.at == 0 || r.at < was.at) {
			was = r
		}
	}
	over := now.Sub(m.since).Seconds()
	if was.at != 0 {
		over = min(over, now.Sub(time.Unix(was.at, 0)).Seconds())
	}
	over = max(over, 1)
	return float64(m.events.Load()-was.events) / over, float64(m.sent[delivered].Load()-was.delivered) / over
}
