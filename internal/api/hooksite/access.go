package hooksite

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// apiKey is the key that a request brings: in Webhook.site's header, or as a bearer; or "".
func apiKey(r *http.Request) string {
	if key := r.Header.Get("Api-Key"); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(key)
	}
	return ""
}

// key is the record of a request's key; false without one.
func (a *API) key(r *http.Request) (event.APIKey, bool, error) {
	text := apiKey(r)
	if text == "" {
		return event.APIKey{}, false, nil
	}
	k, err := a.Auth.Authenticate(r.Context(), text)
	return k, err == nil, err
}

// may reports whether a key has a permission in a tenant; manage includes read. Of bins that belong to nobody only admin
// keys see anything, and tokens that are narrowed to some events see none.
func may(k *event.APIKey, tenant event.TenantID, p event.Permission) bool {
	if k.Admin {
		return true
	}
	return tenant != 0 && k.Tenant == tenant && k.Only == nil &&
		(slices.Contains(k.Allow, p) || p == event.AllowRead && slices.Contains(k.Allow, event.AllowManage))
}

// readable finds a bin to be read: who knows its ID may. An alias is what senders know, and no such proof.
func (a *API) readable(r *http.Request, id string) (event.Bin, error) {
	if _, _, err := a.key(r); err != nil { // a key that is wrong is told so
		return event.Bin{}, err
	}
	return a.byID(r.Context(), id)
}

func (a *API) byID(ctx context.Context, id string) (event.Bin, error) {
	b, err := a.Bins.Bin(ctx, 0, id)
	if err == nil && !strings.EqualFold(b.ID, id) {
		err = event.NotFound("token")
	}
	return b, err
}

// writable finds a bin to be changed. One of a tenant asks for a key of it; one of nobody for an admin key, or for none where
// everyone can make such bins.
func (a *API) writable(r *http.Request, id string) (event.Bin, error) {
	k, given, err := a.key(r)
	if err != nil {
		return event.Bin{}, err
	}
	b, err := a.byID(r.Context(), id)
	switch {
	case err != nil:
		return event.Bin{}, err
	case b.Tenant == 0 && a.Anonymous, given && may(&k, b.Tenant, event.AllowManage):
		return b, nil
	case given:
		return event.Bin{}, event.Errorf(event.KindForbidden, "forbidden", "this key may not change this token")
	}
	return event.Bin{}, event.Errorf(event.KindUnauthorized, "unauthorized", "to change this token, send an API key in the header Api-Key")
}

// maker says for whom a request may make a bin: the key's tenant, or nobody. keyed says that a key was given.
func (a *API) maker(r *http.Request) (tenant event.TenantID, keyed bool, err error) {
	k, given, err := a.key(r)
	switch {
	case err != nil:
		return 0, false, err
	case !given && !a.Anonymous:
		return 0, false, event.Errorf(event.KindUnauthorized, "unauthorized",
			"an API key is needed, in the header Api-Key or as Authorization: Bearer; with the option anonymous-bins the server does without")
	case !given:
		return 0, false, a.limits.take(a.Remote(r), a.Clock())
	case k.Admin:
		return 0, true, nil
	case !may(&k, k.Tenant, event.AllowManage):
		return 0, false, event.Errorf(event.KindForbidden, "forbidden", "this key may not manage here")
	}
	return k.Tenant, true, nil
}

// Rates at which bins are made without a key: so many at once, and one more after each interval.
const (
	makeBurst    = 10
	makeInterval = 6 * time.Second
	maxAddresses = 10_000
)

// limiter bounds what each address may make.
type limiter struct {
	mu sync.Mutex
	// full is when an address may make makeBurst again.
	full map[netip.Prefix]time.Time
}

func (l *limiter) init() { l.full = map[netip.Prefix]time.Time{} }

// take takes one from an address's share, or says when there is one again (KindRateLimited).
func (l *limiter) take(remote string, now time.Time) error {
	network := networkOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[network]
	if full.Before(now) {
		full = now
	}
	full = full.Add(makeInterval)
	if over := full.Sub(now) - makeBurst*makeInterval; over > 0 {
		return &event.Error{Kind: event.KindRateLimited, Code: "rate_limited", Detail: "too many bins were made from this address; try again later", RetryAfter: over + time.Second}
	}
	if len(l.full) >= maxAddresses {
		l.forget(now)
	}
	l.full[network] = full
	return nil
}

// forget drops addresses whose share is full again, and all of them when there are none: then the limit is
// generous for a moment, and memory stays bounded.
func (l *limiter) forget(now time.Time) {
	for network, full := range l.full {
		if !full.After(now) {
			delete(l.full, network)
		}
	}
	if len(l.full) >= maxAddresses {
		clear(l.full)
	}
}

// Bounds of connections, of streams and of sessions of sockets together.
const (
	maxPerAddress = 100
	// heavySize is how many bytes of captures are given to a reader without a place for it, and heavyPlaces how many
	// places there are: who reads slowly keeps what it is given in memory.
	heavySize   = 16 << 10
	heavyPlaces = 16
)

// callers counts the connections of each address.
type callers struct {
	mu sync.Mutex
	n  map[netip.Prefix]int
}

func (c *callers) init() { c.n = map[netip.Prefix]int{} }

// admit counts a connection; KindRateLimited when the address has as many as it may.
func (c *callers) admit(remote string) (leave func(), err error) {
	network := networkOf(remote)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[network] >= maxPerAddress {
		return nil, &event.Error{Kind: event.KindRateLimited, Code: "too_many_streams", Detail: "this address has as many connections as it may", RetryAfter: 10 * time.Second}
	}
	c.n[network]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n[network]--; c.n[network] == 0 {
			delete(c.n, network)
		}
	}), nil
}

// networkOf is what counts as one caller: an address of IPv4, or the 64 bits of IPv6 that one household has.
func networkOf(remote string) netip.Prefix {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if addr = addr.Unmap(); addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr.WithZone(""), bits).Masked()
}
