package session

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// How often signing in may fail within limitWindow: from one address, and in all. Over that it must wait until the window has
// moved on; the bound on all is there so that many addresses do not help.
const (
	limitWindow  = 5 * time.Minute
	limitAddress = 10
	limitAll     = 1000
	// limitEntries bounds how many addresses are remembered.
	limitEntries = 10_000
)

// limiter counts failures by token buckets. A failure is counted before it is known to be one, so that many at once do not
// get through together, and given back when it was none.
type limiter struct {
	now func() time.Time

	mu   sync.Mutex
	all  bucket
	from map[netip.Prefix]*bucket
}

// bucket is what is left of a number of failures, at a time.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, all: bucket{limitAll, now()}, from: map[netip.Prefix]*bucket{}}
}

// fill adds what has come since the last time.
func (b *bucket) fill(now time.Time, most float64) {
	b.left = min(most, b.left+most*max(0, now.Sub(b.at).Seconds())/limitWindow.Seconds())
	b.at = now
}

// wait is how long until one more may be taken.
func (b *bucket) wait(most float64) time.Duration {
	return time.Duration((1 - b.left) * float64(limitWindow) / most)
}

// take counts an attempt. Error: KindRateLimited.
func (l *limiter) take(from netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, of := l.now(), network(from)
	b := l.from[of]
	if b == nil {
		if len(l.from) >= limitEntries {
			l.forget(now)
		}
		b = &bucket{limitAddress, now}
		l.from[of] = b
	}
	b.fill(now, limitAddress)
	l.all.fill(now, limitAll)
	var wait time.Duration
	switch {
	case b.left < 1:
		wait = b.wait(limitAddress)
	case l.all.left < 1:
		wait = l.all.wait(limitAll)
	default:
		b.left--
		l.all.left--
		return nil
	}
	e := event.Errorf(event.KindRateLimited, "too_many_attempts", "signing in has failed too often; wait before the next attempt")
	e.RetryAfter = wait
	return e
}

// giveBack undoes take for an attempt that has not failed.
func (l *limiter) giveBack(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.from[network(from)]; b != nil {
		b.left = min(limitAddress, b.left+1)
	}
	l.all.left = min(limitAll, l.all.left+1)
}

// forget drops the addresses that nothing is to be held against any more, or, when there are none, any tenth of them.
func (l *limiter) forget(now time.Time) {
	maps.DeleteFunc(l.from, func(_ netip.Prefix, b *bucket) bool {
		b.fill(now, limitAddress)
		return b.left >= limitAddress
	})
	if len(l.from) < limitEntries {
		return
	}
	drop := limitEntries / 10
	for of := range l.from {
		if drop--; drop < 0 {
			return
		}
		delete(l.from, of)
	}
}

// network is whom an address is counted for: of IPv6 the network, which is what one client has.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // invalid for an invalid address
	return p
}
