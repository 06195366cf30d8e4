package app

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/posthornhq/posthorn/internal/api/front"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
)

// arrivals says how requests arrived, for what keeps them as they did.
type arrivals struct {
	// public is the server's address as callers see it, when it was configured.
	public  string
	trusted []netip.Prefix
}

// request returns a request without its body. prefix is the part of the escaped path that belongs to the server.
func (a arrivals) request(r *http.Request, prefix string) event.Request {
	out := event.Request{Head: hideCookies(front.Head(r))}
	out.Remote, out.URL = a.caller(r)
	if rest, ok := strings.CutPrefix(target(r), prefix); ok {
		out.Path = rest
	}
	return out
}

// caller tells the IP address of a request's caller, empty when it is not known, and the address that was called.
func (a arrivals) caller(r *http.Request) (remote, url string) {
	if addr := live.ClientAddr(r, a.trusted); addr.IsValid() {
		remote = addr.String()
	}
	return remote, a.base(r) + target(r)
}

// target is a request's path and query as they were sent.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI() // the absolute form, for proxies (RFC 9112, 3.2.2)
}

// base is the scheme and host that the caller called: the public URL, or what the request names, with the word of a trusted
// proxy about what it was asked for.
func (a arrivals) base(r *http.Request) string {
	if a.public != "" {
		return a.public
	}
	scheme, host := "http", r.Host
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && a.trusts(peer.Addr().Unmap()) {
		if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ","); strings.EqualFold(strings.TrimSpace(first), "https") {
			scheme = "https"
		}
		if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); first != "" {
			host = strings.TrimSpace(first)
		}
	}
	return scheme + "://" + host
}

func (a arrivals) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// strayProxy tells the log, once, of a proxy that nobody has named: all who come through it share one address.
type strayProxy struct {
	arrivals
	log  *slog.Logger
	told atomic.Bool
}

// look looks at a request. Only a peer of a machine's own or a private network is taken for a proxy: what strangers claim with
// these headers is no sign of one.
func (s *strayProxy) look(r *http.Request) {
	if s.told.Load() || len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["Forwarded"]) == 0 {
		return
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	addr := peer.Addr().Unmap().WithZone("")
	if near := addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast(); !near || s.trusts(addr) || s.told.Swap(true) {
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelWarn, "requests come through a proxy that is not trusted: all who use it count as one address, in limits and on the audit log; "+
		"name it in trusted-proxies, and let it set X-Forwarded-For", slog.String("proxy", addr.String()), slog.String("option", "trusted-proxies"))
}
