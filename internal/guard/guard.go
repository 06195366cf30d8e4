// Package guard keeps Posthorn from being sent to addresses inside its own network (server-side request forgery).
//
// A URL is looked at once with [Guard.CheckURL], when it is saved. What protects is [Guard.Control]: a dialler calls
// it with the address it is about to connect to, after DNS has answered, so that a name whose answer changes gains
// nothing. Redirects and proxies would go around it: the client that uses the dialler follows and has none.
package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// ErrForbiddenTarget is wrapped by every refusal of an address. The text of such an error names the class of the
// address (loopback, private, …) and never the address itself: what a name resolves to inside is not told outside.
var ErrForbiddenTarget = errors.New("the target address is not allowed")

// Guard decides which addresses may be dialled: public unicast ones, those in its allowed prefixes, and none in its
// denied prefixes. It is immutable and safe for concurrent use.
type Guard struct {
	allow, deny []netip.Prefix
	public      *ssrf.Guardian
}

// New returns a Guard that permits public addresses and those in allow, and refuses those in deny, which wins over
// allow. An IPv4 prefix also speaks for IPv4 addresses embedded in IPv6 ones. Invalid prefixes match nothing.
func New(allow, deny []netip.Prefix) *Guard {
	return &Guard{
		allow:  unmap(allow),
		deny:   unmap(deny),
		public: ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(azurePlatform)),
	}
}

var (
	// azurePlatform is public by its number, but reaches the host's own agent from every machine in that cloud.
	azurePlatform = netip.MustParsePrefix("168.63.129.16/32")

	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380
)

// unmap copies prefixes, with v4-mapped ones (::ffff:10.0.0.0/104) as the IPv4 prefixes that they stand for.
func unmap(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p)
	}
	return out
}

// Dialer returns a dialler whose every connection is checked. The timeout bounds one connect, DNS included; 0 means
// none.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.Control}
}

// Control is a [net.Dialer.Control]: it refuses a connection to an address that [Guard.Check] refuses, and any
// network but TCP. Ports are not restricted.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: only TCP may be dialled", ErrForbiddenTarget)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: it is not an IP address and a port", ErrForbiddenTarget)
	}
	return g.Check(target.Addr())
}

// Check returns nil if addr may be dialled, or an error that wraps [ErrForbiddenTarget] and names the class of the
// address. An IPv4 address embedded in an IPv6 one (v4-mapped, NAT64, 6to4, Teredo) has to be permitted too.
func (g *Guard) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: it is not an IP address", ErrForbiddenTarget)
	}
	// A prefix contains no address that has a zone.
	addr = addr.WithZone("").Unmap()
	inner, ok := embedded(addr)
	if !ok {
		return fmt.Errorf("%w: it embeds an IPv4 address in an unknown way", ErrForbiddenTarget)
	}
	if contains(g.deny, addr) || slices.ContainsFunc(inner, func(a netip.Addr) bool { return contains(g.deny, a) }) {
		return fmt.Errorf("%w: it is denied by this server's configuration", ErrForbiddenTarget)
	}
	// The well-known NAT64 prefix is only a way to write an IPv4 address; the others are blocks of their own.
	if !nat64.Contains(addr) {
		if err := g.checkOne(addr); err != nil {
			return err
		}
	}
	for _, a := range inner {
		if err := g.checkOne(a); err != nil {
			return err
		}
	}
	return nil
}

// checkOne decides about one address as it is written.
func (g *Guard) checkOne(addr netip.Addr) error {
	if contains(g.allow, addr) {
		return nil
	}
	if g.public.SafeAddr(addr) != nil {
		return fmt.Errorf("%w: it is %s", ErrForbiddenTarget, class(addr))
	}
	return nil
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// embedded returns the IPv4 addresses that an IPv6 address leads to, and false if they cannot be told.
func embedded(addr netip.Addr) ([]netip.Addr, bool) {
	if addr.Is4() {
		return nil, true
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		return []netip.Addr{v4(b[12:])}, true
	case nat64Local.Contains(addr):
		// The IPv4 address is the last four bytes if the translator's prefix is a /96. With a shorter prefix it is
		// further up and the last three bytes are zero (RFC 6052 section 2.2); where exactly only the translator knows.
		return []netip.Addr{v4(b[12:])}, b[13] != 0 || b[14] != 0 || b[15] != 0
	case sixToFour.Contains(addr):
		return []netip.Addr{v4(b[2:])}, true
	case teredo.Contains(addr):
		// The server, then the client's public address with every bit inverted.
		client := binary.BigEndian.AppendUint32(nil, ^binary.BigEndian.Uint32(b[12:]))
		return []netip.Addr{v4(b[4:]), v4(client)}, true
	default:
		return nil, true
	}
}

// v4 reads the first four bytes of b.
func v4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

// class says in words what a refused address is.
func class(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsPrivate():
		return "a private address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.IsMulticast():
		return "a multicast address"
	default:
		return "a special-purpose address, not a public one"
	}
}
