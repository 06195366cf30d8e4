package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DefaultMaxURL is the longest URL that is accepted when the caller names no limit, in bytes.
const DefaultMaxURL = 2 << 10

// ErrInvalidURL is wrapped by every refusal of a URL that is about its form. The text says what is wrong and does not
// repeat the URL, which may hold a token.
var ErrInvalidURL = errors.New("the URL is not valid")

// CheckURL reads a URL that is to be a target: absolute, http or https, with a host and a valid port if it has one,
// without user information and fragment, at most maxLen bytes long ([DefaultMaxURL] if that is 0 or less). An IP
// address as the host is checked, and so is localhost; any other name is checked when it is dialled. The error wraps
// [ErrInvalidURL] or [ErrForbiddenTarget] and is safe to show.
func (g *Guard) CheckURL(raw string, maxLen int) (*url.URL, error) {
	if maxLen <= 0 {
		maxLen = DefaultMaxURL
	}
	if len(raw) > maxLen {
		return nil, invalid("it must be at most %d bytes long", maxLen)
	}
	if !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, invalid("it must not hold spaces, control characters or broken UTF-8")
	}
	u, err := url.Parse(raw)
	scheme, _, _ := strings.Cut(raw, "://")
	switch scheme = strings.ToLower(scheme); {
	case scheme != "http" && scheme != "https":
		return nil, invalid("it must begin with http:// or https://")
	case err != nil:
		// The cause is left out: it quotes the URL.
		return nil, invalid("it cannot be read as a URL")
	case u.User != nil:
		return nil, invalid("it must not hold a user name or a password")
	case strings.Contains(raw, "#"):
		return nil, invalid("it must not have a fragment (#)")
	case u.Hostname() == "":
		return nil, invalid("it must name a host")
	}
	if err := checkPort(u); err != nil {
		return nil, err
	}
	if err := g.checkHost(u.Hostname(), strings.HasPrefix(u.Host, "[")); err != nil {
		return nil, err
	}
	return u, nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidURL, fmt.Sprintf(format, args...))
}

func checkPort(u *url.URL) error {
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return invalid("its port must be 1 to 65535")
	}
	return nil
}

// checkHost checks an address, or the form of a name.
func (g *Guard) checkHost(host string, bracketed bool) error {
	// A dot at the end of a name says that the name is complete, nothing more.
	name := strings.TrimSuffix(host, ".")
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" || addr.Is6() != bracketed || name != host {
			return invalid("its host is not a plain IP address")
		}
		return g.Check(addr)
	}
	if bracketed {
		return invalid("its host is not an IP address")
	}
	labels := strings.Split(name, ".")
	if len(name) > 253 {
		return invalid("its host is longer than 253 bytes")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notHostChar) {
			return invalid("its host is not a host name in ASCII (write international names as xn--…)")
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	if endsInNumber(last) {
		return invalid("its host is a number; write IPv4 addresses as four decimal numbers")
	}
	if last == "localhost" { // RFC 6761: always loopback
		v4Err, v6Err := g.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1})), g.Check(netip.IPv6Loopback())
		if v4Err != nil && v6Err != nil {
			return v4Err
		}
	}
	return nil
}

// notHostChar reports what a host name may not hold. Underscores are not in the standard, but in use.
func notHostChar(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '-' && r != '_'
}

// endsInNumber reports whether a host that ends in this label would be read as an IPv4 address by the resolvers of C
// libraries and by browsers: 127.1, 2130706433, 0x7f000001, 0177.0.0.1 (URL Standard, "ends in a number").
func endsInNumber(label string) bool {
	if hex, found := strings.CutPrefix(label, "0x"); found {
		return !strings.ContainsFunc(hex, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
	}
	return !strings.ContainsFunc(label, func(r rune) bool { return r < '0' || r > '9' })
}
