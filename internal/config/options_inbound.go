package config

import (
	"errors"
	"strings"
	"time"
)

// Values of anonymous-bins.
const (
	BinsByKey    = "off"
	BinsByAnyone = "on"
)

var inboundOptions = []Option{{
	Name: "max-sources", Group: "Webhooks in", Default: "1000",
	Help: "The most sources of one tenant.",
	bind: func(c *Config) value { return intValue{&c.MaxSources, 1, 1_000_000} },
}, {
	Name: "max-bins", Group: "Webhooks in", Default: "1000",
	Help: "The most bins of one tenant, and of those that belong to none.",
	bind: func(c *Config) value { return intValue{&c.MaxBins, 1, 1_000_000} },
}, {
	Name: "max-bin-body", Group: "Webhooks in", Default: "10MiB",
	Help: "The largest body that a bin takes, one with a tunnel too. A larger one is answered with 413, without reading it.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxBinBody, min: kib, max: 256 * mib} },
}, {
	Name: "captures-retention-age", Group: "Webhooks in", Default: "30d",
	Help: "How long captured requests are kept; 0 keeps them as long as their bins.",
	bind: func(c *Config) value {
		return durationValue{p: &c.CapturesRetentionAge, min: time.Minute, max: 36500 * day, zero: true}
	},
}, {
	Name: "captures-retention-size", Group: "Webhooks in", Default: "1GiB",
	Help: "How many bytes of captured requests are kept in all bins; the oldest go first. 0 sets no limit.",
	bind: func(c *Config) value {
		return sizeValue[int64]{p: &c.CapturesRetentionSize, min: mib, max: 1024 * tib, zero: true}
	},
}, {
	Name: "anonymous-bins", Group: "Webhooks in", Default: BinsByKey,
	Help: "`on` lets anyone make bins through the interfaces of Webhook.site and smee.io, as they do; `off` asks for an API key.",
	bind: func(c *Config) value {
		return enumValue{p: &c.AnonymousBins, values: []string{BinsByKey, BinsByAnyone}}
	},
}, {
	Name: "max-held", Group: "Webhooks in", Default: "10000",
	Help: "The most callers of sources, bins and tunnels that wait for an answer at once. More are answered with 503.",
	bind: func(c *Config) value { return intValue{&c.MaxHeld, 1, 1_000_000} },
}, {
	Name: "max-tunnels", Group: "Webhooks in", Default: "100",
	Help: "The most tunnels of one tenant, and the most connections of them.",
	bind: func(c *Config) value { return intValue{&c.MaxTunnels, 1, 100_000} },
}, {
	Name: "tunnel-hosts", Group: "Webhooks in",
	Help: "The host names that tunnels may have, such as `*.dev.example.com`: that name must lead here. By default tunnels have paths only.",
	bind: func(c *Config) value { return tunnelHostsValue(&c.TunnelHosts) },
}}

// tunnelHostsValue is a host name whose first label is "*".
func tunnelHostsValue(p *string) value {
	return stringValue{p: p, name: "host", rule: "nothing, or a host name that begins with `*.`", check: func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		parent, ok := strings.CutPrefix(strings.ToLower(s), "*.")
		if !ok || parent == "" || len(s) > 200 || strings.Trim(parent, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Contains(parent, "..") {
			return "", errors.New("must be a host name behind *. at its beginning")
		}
		return "*." + parent, nil
	}}
}
