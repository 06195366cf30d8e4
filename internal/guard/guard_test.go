package guard_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/guard"
)

func prefixes(t testing.TB, texts ...string) []netip.Prefix {
	t.Helper()
	out := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestPublicAddressesPass(t *testing.T) {
	g := guard.New(nil, nil)
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15",
		"2001:4860:4860::8888", "2606:4700:4700::1111", "2a00::1", "2400:cb00::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	} {
		if err := g.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s is refused: %v", text, err)
		}
	}
}

// The blocks of the IANA special-purpose registries for IPv4 and IPv6 (first and last address of each), multicast,
// and every way to put an inner IPv4 address into an IPv6 one.
var refused = []struct{ addr, class string }{
	{"0.0.0.0", "unspecified"},
	{"0.0.0.1", "special-purpose"},
	{"0.255.255.255", "special-purpose"},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"100.64.0.0", "special-purpose"},
	{"100.100.100.200", "special-purpose"},
	{"100.127.255.255", "special-purpose"},
	{"127.0.0.0", "loopback"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"168.63.129.16", "special-purpose"},
	{"169.254.0.0", "link-local"},
	{"169.254.169.254", "link-local"},
	{"169.254.255.255", "link-local"},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"192.0.0.0", "special-purpose"},
	{"192.0.0.8", "special-purpose"},
	{"192.0.0.170", "special-purpose"},
	{"192.0.0.255", "special-purpose"},
	{"192.0.2.0", "special-purpose"},
	{"192.31.196.1", "special-purpose"},
	{"192.52.193.1", "special-purpose"},
	{"192.88.99.1", "special-purpose"},
	{"192.168.0.0", "private"},
	{"192.168.255.255", "private"},
	{"192.175.48.1", "special-purpose"},
	{"198.18.0.0", "special-purpose"},
	{"198.19.255.255", "special-purpose"},
	{"198.51.100.7", "special-purpose"},
	{"203.0.113.7", "special-purpose"},
	{"224.0.0.0", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.0", "special-purpose"},
	{"255.255.255.255", "special-purpose"},

	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::1%eth0", "loopback"},
	{"::2", "special-purpose"},
	{"::127.0.0.1", "special-purpose"},
	{"::8.8.8.8", "special-purpose"},
	{"::ffff:0:127.0.0.1", "special-purpose"},
	{"100::", "special-purpose"},
	{"100:0:0:1::1", "special-purpose"},
	{"2001::", "special-purpose"},
	{"2001:1::1", "special-purpose"},
	{"2001:2::1", "special-purpose"},
	{"2001:20::1", "special-purpose"},
	{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "special-purpose"},
	{"2001:db8::1", "special-purpose"},
	{"2620:4f:8000::1", "special-purpose"},
	{"3fff::1", "special-purpose"},
	{"4000::1", "special-purpose"},
	{"5f00::1", "special-purpose"},
	{"fc00::1", "private"},
	{"fd00:ec2::254", "private"},
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"},
	{"fe80::1", "link-local"},
	{"fe80::1%eth0", "link-local"},
	{"fec0::1", "special-purpose"},
	{"ff02::1", "multicast"},
	{"ff0e::1", "multicast"},

	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:127.0.0.1%eth0", "loopback"},
	{"::ffff:169.254.169.254", "link-local"},
	{"::ffff:10.0.0.1", "private"},
	{"64:ff9b::127.0.0.1", "loopback"},
	{"64:ff9b::169.254.169.254", "link-local"},
	{"64:ff9b::10.0.0.1%eth0", "private"},
	{"64:ff9b:1::127.0.0.1", "special-purpose"},
	{"64:ff9b:1::8.8.8.8", "special-purpose"},
	{"64:ff9b:1:7f00:0:100::", "unknown way"},
	{"2002:7f00:1::1", "special-purpose"},
	{"2002:808:808::1", "special-purpose"},
	{"2001:0:808:808::80ff:fffe", "special-purpose"},
}

func TestSpecialAddressesAreRefused(t *testing.T) {
	g := guard.New(nil, nil)
	for _, c := range refused {
		err := g.Check(netip.MustParseAddr(c.addr))
		if !errors.Is(err, guard.ErrForbiddenTarget) {
			t.Errorf("%s: got %v, want ErrForbiddenTarget", c.addr, err)
			continue
		}
		if !strings.Contains(err.Error(), c.class) {
			t.Errorf("%s: the error %q does not say %q", c.addr, err, c.class)
		}
		if strings.Contains(err.Error(), netip.MustParseAddr(c.addr).WithZone("").String()) && len(c.addr) > 4 {
			t.Errorf("%s: the error tells the address: %q", c.addr, err)
		}
	}
	if err := g.Check(netip.Addr{}); !errors.Is(err, guard.ErrForbiddenTarget) {
		t.Errorf("the zero address: got %v, want ErrForbiddenTarget", err)
	}
}

func TestAllowAndDeny(t *testing.T) {
	for name, c := range map[string]struct {
		allow, deny []string
		addr        string
		ok          bool
	}{
		"allowed":                           {[]string{"127.0.0.0/8"}, nil, "127.0.0.1", true},
		"allowed, other block":              {[]string{"127.0.0.0/8"}, nil, "10.0.0.1", false},
		"allowed, other family":             {[]string{"127.0.0.0/8"}, nil, "::1", false},
		"allowed v6":                        {[]string{"::1/128"}, nil, "::1", true},
		"allowed with a zone":               {[]string{"fe80::/10"}, nil, "fe80::1%eth0", true},
		"allowed, v4-mapped":                {[]string{"127.0.0.0/8"}, nil, "::ffff:127.0.0.1", true},
		"allowed by a mapped prefix":        {[]string{"::ffff:127.0.0.0/104"}, nil, "127.0.0.1", true},
		"allowed, NAT64":                    {[]string{"10.0.0.0/8"}, nil, "64:ff9b::10.0.0.1", true},
		"NAT64 allowed, inner not":          {[]string{"64:ff9b::/96"}, nil, "64:ff9b::10.0.0.1", false},
		"local NAT64 allowed, public":       {[]string{"64:ff9b:1::/48"}, nil, "64:ff9b:1::8.8.8.8", true},
		"local NAT64 allowed, private":      {[]string{"64:ff9b:1::/48"}, nil, "64:ff9b:1::10.0.0.1", false},
		"local NAT64 allowed, short prefix": {[]string{"64:ff9b:1::/48"}, nil, "64:ff9b:1:7f00:0:100::", false},
		"6to4 allowed, public":              {[]string{"2002::/16"}, nil, "2002:808:808::1", true},
		"6to4 allowed, loopback":            {[]string{"2002::/16"}, nil, "2002:7f00:1::1", false},
		"Teredo allowed, public":            {[]string{"2001::/32"}, nil, "2001:0:808:808::f7f7:f7f7", true},
		"Teredo allowed, client loopback":   {[]string{"2001::/32"}, nil, "2001:0:808:808::80ff:fffe", false},
		"Teredo allowed, server loopback":   {[]string{"2001::/32"}, nil, "2001:0:7f00:1::f7f7:f7f7", false},
		"denied":                            {nil, []string{"8.8.8.0/24"}, "8.8.8.8", false},
		"denied, next block":                {nil, []string{"8.8.8.0/24"}, "8.8.9.8", true},
		"denied, v4-mapped":                 {nil, []string{"8.8.8.0/24"}, "::ffff:8.8.8.8", false},
		"denied, NAT64":                     {nil, []string{"8.8.8.0/24"}, "64:ff9b::8.8.8.8", false},
		"denied v6":                         {nil, []string{"2606::/16"}, "2606:4700::1", false},
		"deny wins":                         {[]string{"10.0.0.0/8"}, []string{"10.1.0.0/16"}, "10.1.2.3", false},
		"deny wins, rest of the block":      {[]string{"10.0.0.0/8"}, []string{"10.1.0.0/16"}, "10.2.2.3", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := guard.New(prefixes(t, c.allow...), prefixes(t, c.deny...)).Check(netip.MustParseAddr(c.addr))
			if (err == nil) != c.ok || err != nil && !errors.Is(err, guard.ErrForbiddenTarget) {
				t.Errorf("%s: got %v, want allowed: %v", c.addr, err, c.ok)
			}
		})
	}
}

func TestGuardKeepsItsOwnPrefixes(t *testing.T) {
	allow := prefixes(t, "127.0.0.0/8")
	g := guard.New(allow, nil)
	allow[0] = netip.MustParsePrefix("10.0.0.0/8")
	if err := g.Check(netip.MustParseAddr("10.0.0.1")); err == nil {
		t.Error("changing the slice given to New changed the guard")
	}
}

func TestControl(t *testing.T) {
	g := guard.New(nil, nil)
	for name, c := range map[string]struct {
		network, address string
		ok               bool
	}{
		"public":         {"tcp4", "8.8.8.8:443", true},
		"any port":       {"tcp4", "8.8.8.8:22", true},
		"public v6":      {"tcp6", "[2606:4700::1]:8443", true},
		"loopback":       {"tcp4", "127.0.0.1:80", false},
		"mapped":         {"tcp6", "[::ffff:127.0.0.1]:80", false},
		"with zone":      {"tcp6", "[fe80::1%eth0]:80", false},
		"UDP":            {"udp4", "8.8.8.8:53", false},
		"Unix socket":    {"unix", "/run/docker.sock", false},
		"no port":        {"tcp4", "8.8.8.8", false},
		"not an address": {"tcp4", "localhost:80", false},
		"octal":          {"tcp4", "0177.0.0.1:80", false},
	} {
		if err := g.Control(c.network, c.address, nil); (err == nil) != c.ok || err != nil && !errors.Is(err, guard.ErrForbiddenTarget) {
			t.Errorf("%s: got %v, want allowed: %v", name, err, c.ok)
		}
	}
}

// The check is made on what a name resolves to: this is what stops DNS rebinding.
func TestDialByNameIsRefused(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"} {
		conn, err := guard.New(nil, nil).Dialer(5*time.Second).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			_ = conn.Close()
		}
		if !errors.Is(err, guard.ErrForbiddenTarget) {
			t.Errorf("dialling %s: got %v, want ErrForbiddenTarget", host, err)
		}
	}
	allowed := guard.New(prefixes(t, "127.0.0.0/8"), nil)
	conn, err := allowed.Dialer(5*time.Second).DialContext(t.Context(), "tcp4", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Fatalf("dialling an allowed address: %v", err)
	}
	_ = conn.Close()
}

// However an address is written, what is permitted must be public once all its wrappings are off.
func FuzzCheck(f *testing.F) {
	for _, c := range refused {
		b := netip.MustParseAddr(c.addr).As16()
		f.Add(b[:])
	}
	g := guard.New(nil, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok || g.Check(addr) != nil {
			return
		}
		inner := addr.Unmap()
		if netip.MustParsePrefix("64:ff9b::/96").Contains(inner) {
			inner = netip.AddrFrom4([4]byte(b[12:]))
		}
		if !inner.IsGlobalUnicast() || inner.IsPrivate() || inner.Is6() && inner.As16()[0]>>5 != 1 {
			t.Errorf("%s is permitted", addr)
		}
	})
}
