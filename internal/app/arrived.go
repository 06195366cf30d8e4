package app

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

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
