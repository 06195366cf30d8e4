package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

var liveOptions = []Option{{
	Name: "allow-origins", Group: "Live",
	Help: "The web origins whose pages may call the API and open WebSockets from a browser, such as `https://app.example.com`; `*` is any. The server's own origin may always. By default no other may.",
	bind: func(c *Config) value { return originsValue{&c.AllowOrigins} },
}, {
	Name: "trusted-proxies", Group: "Live",
	Help: "Addresses of proxies whose `X-Forwarded-For` header is believed, so that limits by address count clients and not the proxy.",
	bind: func(c *Config) value { return prefixesValue{&c.TrustedProxies} },
}, {
	Name: "max-streams", Group: "Live", Default: "100000",
	Help: "The most live connections (WebSockets and server-sent events) of the whole server. More are answered with 503. Each is an open file: where the process may have too few of them open, nine tenths of its limit count instead, and the log says so at the start.",
	bind: func(c *Config) value { return intValue{&c.MaxStreams, 1, 10_000_000} },
}, {
	Name: "max-streams-per-tenant", Group: "Live", Default: "50000",
	Help: "The most live connections of one tenant. More are answered with 429.",
	bind: func(c *Config) value { return intValue{&c.MaxStreamsPerTenant, 1, 10_000_000} },
}, {
	Name: "max-streams-per-token", Group: "Live", Default: "100",
	Help: "The most live connections with one token. More are answered with 429. API keys are bounded by their tenant only.",
	bind: func(c *Config) value { return intValue{&c.MaxStreamsPerToken, 1, 10_000_000} },
}, {
	Name: "max-streams-per-address", Group: "Live", Default: "10000",
	Help: "The most live connections and waiting polls from one IP address (one /64 network of IPv6). More are answered with 429.",
	bind: func(c *Config) value { return intValue{&c.MaxStreamsPerAddress, 1, 10_000_000} },
}, {
	Name: "max-waiting-polls", Group: "Live", Default: "20000",
	Help: "The most long polls and waiting leases of the whole server, bounded by open files as `max-streams` is. More are answered with 503.",
	bind: func(c *Config) value { return intValue{&c.MaxWaitingPolls, 1, 1_000_000} },
}, {
	Name: "max-subscriptions", Group: "Live", Default: "100",
	Help: "The most subscriptions of one WebSocket.",
	bind: func(c *Config) value { return intValue{&c.MaxSubscriptions, 1, 10_000} },
}, {
	Name: "max-message-size", Group: "Live", Default: "1MiB",
	Help: "The largest message that a client may send over a WebSocket. A larger one closes the connection with code 1009.",
	bind: func(c *Config) value { return sizeValue[int]{p: &c.MaxMessageSize, min: kib, max: 64 * mib} },
}, {
	Name: "stream-keep-alive", Group: "Live", Default: "15s",
	Help: "How long a live connection may be silent before the server sends a keep-alive: a comment, or a WebSocket ping.",
	bind: func(c *Config) value {
		return durationValue{p: &c.StreamKeepAlive, min: time.Second, max: 10 * time.Minute}
	},
}, {
	Name: "stream-write-timeout", Group: "Live", Default: "30s",
	Help: "How long a live connection may take nothing of what is sent before it is closed. Its client can go on where it stopped.",
	bind: func(c *Config) value {
		return durationValue{p: &c.StreamWriteTimeout, min: 100 * time.Millisecond, max: 10 * time.Minute}
	},
}, {
	Name: "max-queues", Group: "Live", Default: "1000",
	Help: "The most queues of one tenant.",
	bind: func(c *Config) value { return intValue{&c.MaxQueues, 1, 1_000_000} },
}, {
	Name: "token-jwks-url", Group: "Live",
	Help: "Where the public keys (a JWK set) of another issuer of tokens are. Its tokens are accepted beside the server's own.",
	bind: func(c *Config) value { return urlValue(&c.TokenJWKSURL) },
}, {
	Name: "token-keys-file", Group: "Live",
	Help: "A file with the keys of another issuer of tokens: a JWK set, or public keys in PEM.",
	bind: func(c *Config) value { return pathValue(&c.TokenKeysFile) },
}, {
	Name: "token-issuer", Group: "Live",
	Help: "The `iss` that tokens of the other issuer must have. Needed with `token-jwks-url` and `token-keys-file`.",
	bind: func(c *Config) value { return textValue(&c.TokenIssuer) },
}, {
	Name: "token-audience", Group: "Live",
	Help: "The `aud` that tokens of the other issuer must have; by default the public URL.",
	bind: func(c *Config) value { return textValue(&c.TokenAudience) },
}}

// textValue is a short text without control characters.
func textValue(p *string) value {
	return stringValue{p: p, name: "text", rule: "up to 1000 characters", check: func(s string) (string, error) {
		if len(s) > 1000 || strings.ContainsFunc(s, unicode.IsControl) {
			return "", errors.New("is too long or holds control characters")
		}
		return s, nil
	}}
}

// originsValue is a list of web origins.
type originsValue struct{ p *[]string }

// maxOrigins bounds the list, which is searched at every request that names an origin.
const maxOrigins = 1000

func (v originsValue) text() string { return strings.Join(*v.p, ",") }
func (v originsValue) kind() string { return "origins" }
func (v originsValue) allowed() string {
	return fmt.Sprintf("nothing, `*`, or up to %d origins, separated by commas, such as `https://app.example.com`", maxOrigins)
}

func (v originsValue) set(s string) error {
	if s == "" {
		*v.p = nil
		return nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxOrigins {
		return errors.New("has too many origins")
	}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		parts[i] = part
		if part == "*" {
			continue
		}
		u, err := url.Parse(part)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("has a part, number %d, that is not an origin: write the scheme and the host, such as https://app.example.com", i+1)
		}
		parts[i] = u.Scheme + "://" + strings.ToLower(u.Host)
	}
	*v.p = parts
	return nil
}
