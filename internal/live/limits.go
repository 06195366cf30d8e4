package live

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/posthornhq/posthorn/internal/event"
)

// limits counts what is open.
type limits struct {
	mu      sync.Mutex
	closing bool
	streams int
	polls   int
	tenants map[event.TenantID]*open
	addrs   map[netip.Prefix]int
	keys    map[keyName]*keyState
	lastID  int64 // of a ticket
}

func (l *limits) init() {
	l.tenants, l.addrs, l.keys = map[event.TenantID]*open{}, map[netip.Prefix]int{}, map[keyName]*keyState{}
	l.lastID = time.Now().UnixMicro() // more than any of a former run, which gave fewer than one a µs
}

// shut lets nothing more in, and returns false when it was called before.
func (l *limits) shut(flag *atomic.Bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.closing
	l.closing = true
	flag.Store(true)
	return first
}

// keyName is an API key's id, a tenant's token's or a session's.
type keyName struct {
	id      int64
	tenant  event.TenantID
	token   string
	session string
}

// keyState is a key that has connections.
type keyState struct {
	name    keyName
	key     *event.APIKey
	conns   int
	revoked atomic.Bool
	ends    atomic.Int64 // in ns since 1970, 0: as the key says
}

// retryAfter is when to try again where a limit of one's own is reached.
const retryAfter = 5 * time.Second

func tooMany(of string) error {
	e := event.Errorf(event.KindRateLimited, "too_many_streams", "there are too many live connections of "+of)
	e.RetryAfter = retryAfter
	return e
}

func busy(detail string) error {
	e := event.Errorf(event.KindUnavailable, "busy", detail)
	e.RetryAfter = retryAfter
	return e
}

// kind is a kind of connection.
type kind uint8

const (
	kindSSE kind = iota
	kindSocket
	kindPoll
	kindCount
)

// ticket is the right to one connection, or to one wait.
type ticket struct {
	hub     *Hub
	kind    kind
	refused bool // ended before it had a connection; guarded by the limits' lock
	tenant  event.TenantID
	key     *keyState
	expires int64 // in ns since 1970, 0: never

	// What is shown of it; see registry.go.
	id         int64
	since      int64 // in ns since 1970
	remote     netip.Addr
	agent      unique.Handle[string]
	conn       *conn // guarded by the limits' lock, as what follows
	wait       *waitInfo
	prev, next *ticket // of the tenant
}

// admit counts a connection, or says why there may be no more. The ticket must be released; a connection does so when
// it ends. Errors: KindRateLimited and KindUnavailable.
func (h *Hub) admit(k kind, r *http.Request, l *Listener) (*ticket, error) {
	remote := ClientAddr(r, h.cfg.TrustedProxies)
	addr := counted(remote)
	s := &h.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	name := keyName{id: l.Key.ID, tenant: l.Tenant.ID, token: l.Key.Token, session: l.Key.Session}
	key := s.keys[name]
	switch {
	case s.closing:
		return nil, errClosing()
	case s.full(h.cfg.MaxOpen):
		return nil, errFull()
	case k != kindPoll && s.streams >= h.cfg.MaxStreams:
		return nil, busy("the server has as many live connections as it takes")
	case k == kindPoll && s.polls >= h.cfg.MaxPolls:
		return nil, busy("as many polls wait as the server takes")
	case k != kindPoll && s.tenants[l.Tenant.ID].count() >= h.cfg.MaxPerTenant:
		return nil, tooMany("this tenant")
	case k != kindPoll && name.token != "" && key != nil && key.conns >= h.cfg.MaxPerToken:
		return nil, tooMany("this token")
	case addr.IsValid() && s.addrs[addr] >= h.cfg.MaxPerAddress:
		return nil, tooMany("this address")
	}
	t := &ticket{hub: h, kind: k, tenant: l.Tenant.ID, remote: remote}
	s.addrs[addr]++
	if k == kindPoll {
		s.polls++
	} else {
		s.streams++
		if key == nil {
			key = &keyState{name: name, key: l.Key}
			s.keys[name] = key
		}
		key.conns++
		t.key = key
		if !l.Key.Expires.IsZero() {
			t.expires = l.Key.Expires.UnixNano()
		}
	}
	s.enlist(t, r, l)
	h.stats.open[k].Add(1)
	h.work.Add(1)
	return t, nil
}

// admitWait counts a wait of the server itself for a client, such as that of a lease.
func (h *Hub) admitWait(tenant event.TenantID) (*ticket, error) {
	s := &h.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return nil, errClosing()
	case s.full(h.cfg.MaxOpen):
		return nil, errFull()
	case s.polls >= h.cfg.MaxPolls:
		return nil, busy("as many polls wait as the server takes")
	}
	s.polls++
	s.addrs[netip.Prefix{}]++
	h.stats.open[kindPoll].Add(1)
	h.work.Add(1)
	return &ticket{hub: h, kind: kindPoll, tenant: tenant}, nil
}

// full reports whether as many listen and wait together as may, 0 being no bound.
func (l *limits) full(most int) bool { return most > 0 && l.streams+l.polls >= most }

func errFull() error { return busy("as many listen and wait as the server has room for") }

// release gives the ticket back, once.
func (t *ticket) release() {
	s := &t.hub.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	addr := counted(t.remote)
	if s.addrs[addr]--; s.addrs[addr] == 0 {
		delete(s.addrs, addr)
	}
	s.delist(t)
	if t.kind == kindPoll {
		s.polls--
	} else {
		s.streams--
		if t.key.conns--; t.key.conns == 0 {
			delete(s.keys, t.key.name)
		}
	}
	t.hub.stats.open[t.kind].Add(-1)
	t.hub.work.Done()
}

// EndTokens ends the connections of a tenant that were made with tokens that of names, at a time: the key that signed them
// is of no more use then.
func (h *Hub) EndTokens(tenant event.TenantID, of func(token string) bool, at time.Time) {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	for name, k := range h.limits.keys {
		if name.tenant != tenant || name.token == "" || !of(name.token) {
			continue
		}
		// The keys of an earlier rotation may end sooner than this one's.
		if ends, end := k.ends.Load(), max(1, at.UnixNano()); ends == 0 || end < ends {
			k.ends.Store(end)
		}
	}
}

// EndSession ends the connections of a browser's session at once.
func (h *Hub) EndSession(session string) {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	for name, k := range h.limits.keys {
		if name.session == session && session != "" {
			k.revoked.Store(true)
		}
	}
}

// askKeys asks about every key that has connections; the shards end those of a revoked one.
func (h *Hub) askKeys() {
	if h.cfg.Holds == nil {
		return
	}
	h.limits.mu.Lock()
	list := make([]*keyState, 0, len(h.limits.keys))
	for _, k := range h.limits.keys {
		list = append(list, k)
	}
	h.limits.mu.Unlock()
	ctx, cancel := context.WithTimeout(h.ctx, keysEvery)
	defer cancel()
	for _, k := range list {
		if ctx.Err() != nil {
			return
		}
		if !h.cfg.Holds(ctx, k.key) && ctx.Err() == nil {
			k.revoked.Store(true)
		}
	}
}

// ClientAddr is the address that a request comes from, or, from proxies that are trusted, the last one in X-Forwarded-For that
// is not one of them. It is invalid when the server does not know.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for contains(trusted, addr) && hops != "" {
		var hop string
		if i := strings.LastIndexByte(hops, ','); i >= 0 {
			hops, hop = hops[:i], hops[i+1:]
		} else {
			hops, hop = "", hops
		}
		next, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(hop), "[]"))
		if err != nil {
			break
		}
		addr = next.Unmap().WithZone("")
	}
	return addr
}

// counted is for whom an address counts. Of IPv6 the network does, which is what one client has.
func counted(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // invalid for an invalid address
	return p
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
