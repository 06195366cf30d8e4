package live

import "sync/atomic"

// stats are figures for metrics.
type stats struct {
	open    [kindCount]atomic.Int64
	lagging atomic.Int64
	closed  [reasonCount]atomic.Int64
}

// Stats are the hub's figures.
type Stats struct {
	// Streams, Sockets and Polls are open now; Lagging of the first two are behind what has come, and read it from the log.
	Streams, Sockets, Polls, Lagging int64
	// Events and Bytes were sent since the start.
	Events, Bytes int64
	// Closed counts connections that ended, by reason.
	Closed map[string]int64
	// Feeds are the tenants that somebody listens to, RingBytes what their newest events hold in memory.
	Feeds, RingBytes int64
}

// Stats returns the hub's figures.
func (h *Hub) Stats() Stats {
	s := Stats{
		Streams: h.stats.open[kindSSE].Load(), Sockets: h.stats.open[kindSocket].Load(), Polls: h.stats.open[kindPoll].Load(),
		Lagging: h.stats.lagging.Load(), RingBytes: h.ringBytes.Load(), Closed: make(map[string]int64, reasonCount),
	}
	for r := reasonClient; r < reasonCount; r++ {
		s.Closed[r.String()] = h.stats.closed[r].Load()
	}
	for _, x := range h.shards {
		s.Events += x.sent.Load()
		s.Bytes += x.bytes.Load()
	}
	h.mu.RLock()
	s.Feeds = int64(len(h.feeds))
	h.mu.RUnlock()
	return s
}

// Reasons are the names of the reasons that [Stats].Closed counts.
func Reasons() []string { return reasonNames[reasonClient:] }

// spread is into how many parts the keep-alives of connections that fell silent together are spread, over a quarter of
// the time.
const spread = 32

// look goes over the shard's connections: keep-alives, and the ends of keys.
func (s *shard) look() {
	now := s.hub.now()
	every := int64(s.hub.cfg.KeepAlive)
	for _, c := range s.conns {
		switch t := c.ticket; {
		case t.expires != 0 && now >= t.expires:
			c.end(reasonExpired)
		case t.key.revoked.Load(), t.key.over(now):
			c.end(reasonRevoked)
		default:
			early := every / 4 * int64(c.place%spread) / spread
			c.keepAlive(now, every-early)
		}
	}
}

// over reports whether a time was set at which the key's connections end, and has come.
func (k *keyState) over(now int64) bool {
	ends := k.ends.Load()
	return ends != 0 && now >= ends
}

// keepAlive sends a sign of life after a time of silence, and the places that have moved on. A client that should answer
// and does not is let go.
func (c *conn) keepAlive(now, after int64) {
	c.mu.Lock()
	if c.ended != reasonNone || now-c.lastSent < after || c.state == statePumping && c.wake == nil {
		c.mu.Unlock()
		return
	}
	b, counts := c.proto.keepAlive(nil)
	if counts {
		if c.unheard >= patience {
			c.mu.Unlock()
			c.end(reasonLost)
			return
		}
		c.unheard++
	}
	for _, m := range c.members {
		if to := m.reached(); to > m.told {
			m.told = to
			start := len(b)
			b = m.form.open(b)
			b = m.form.shut(m.form.place(b, to+1), start)
		}
	}
	c.lastSent = now
	c.queue(b)
	c.mu.Unlock()
}

// reached is the version up to which everything was sent or not selected. c.mu is held.
func (m *member) reached() int64 {
	f := m.group.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.behind || m.cursor < m.group.base || after(m.group.list, m.cursor) < len(m.group.list) {
		return m.cursor
	}
	return max(m.cursor, f.head)
}
