package session

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// How often signing in may fail within limitWindow: from one address (of IPv6, one /64, which is what one client has), from one
// IPv6 /48, which is what one customer of a provider may have, and in all. Over that it must wait until the window has moved on.
//
// The bound on all is for the server's sake, not for the keys': it is high, so that a few hundred addresses cannot keep everybody
// out. That is safe because no key is guessed at that rate: those that the server makes carry 256 random bits, and a root-key set
// by hand has 20 characters at least (package config); 10,000 attempts in five minutes are about 2^30 in a year. What an identity
// provider is asked for has limits of its own there.
const (
	limitWindow  = 5 * time.Minute
	limitAddress = 10
	limitSite    = 100
	limitAll     = 10_000
	// limitEntries bounds how many networks are remembered: about those that can have failed within a window, on both levels.
	limitEntries = 2 * limitAll
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
	now := l.now()
	l.all.fill(now, limitAll)
	var wait time.Duration
	if l.all.left < 1 {
		wait = l.all.wait(limitAll)
	}
	counted := levels(from)
	if len(l.from)+len(counted) > limitEntries {
		l.forget(now)
	}
	for _, of := range counted {
		b := l.from[of]
		if b == nil {
			b = &bucket{most(of), now}
			l.from[of] = b
		}
		if b.fill(now, most(of)); b.left < 1 {
			wait = max(wait, b.wait(most(of)))
		}
	}
	if wait > 0 {
		e := event.Errorf(event.KindRateLimited, "too_many_attempts", "signing in has failed too often; wait before the next attempt")
		e.RetryAfter = wait
		return e
	}
	l.add(counted, -1)
	return nil
}

// giveBack undoes take for an attempt that has not failed.
func (l *limiter) giveBack(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(levels(from), 1)
}

// add changes what is left on every level.
func (l *limiter) add(counted []netip.Prefix, n float64) {
	for _, of := range counted {
		if b := l.from[of]; b != nil {
			b.left = min(most(of), b.left+n)
		}
	}
	l.all.left = min(limitAll, l.all.left+n)
}

// forget drops the networks that nothing is to be held against any more, or, when there are none, any tenth of them.
func (l *limiter) forget(now time.Time) {
	maps.DeleteFunc(l.from, func(of netip.Prefix, b *bucket) bool {
		b.fill(now, most(of))
		return b.left >= most(of)
	})
	if len(l.from) <= limitEntries*9/10 {
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

// siteBits is the length of the prefix of a site of IPv6 (RFC 6177).
const siteBits = 48

// levels are the networks that an address is counted for.
func levels(a netip.Addr) []netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		p, _ := a.Prefix(a.BitLen()) // invalid for an invalid address
		return []netip.Prefix{p}
	}
	client, _ := a.Prefix(64)
	site, _ := a.Prefix(siteBits)
	return []netip.Prefix{client, site}
}

// most is how often signing in may fail from a network.
func most(of netip.Prefix) float64 {
	if of.Addr().Is6() && of.Bits() == siteBits {
		return limitSite
	}
	return limitAddress
}
