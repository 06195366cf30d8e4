package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// value reads and writes one field of a Config as text.
//
// set returns an error that says what is wrong with the text but repeats neither
// the text nor the option: the caller names both, or hides a secret.
type value interface {
	set(s string) error
	text() string    // The field as set would read it; a placeholder for a secret.
	kind() string    // One or two words for the docs.
	allowed() string // What set accepts, for errors and the docs.
}

// stringValue is free text under a check.
type stringValue struct {
	p     *string
	name  string
	rule  string
	check func(string) (string, error)
}

func (v stringValue) text() string    { return *v.p }
func (v stringValue) kind() string    { return v.name }
func (v stringValue) allowed() string { return v.rule }
func (v stringValue) set(s string) error {
	out, err := v.check(s)
	if err != nil {
		return err
	}
	*v.p = out
	return nil
}

func pathValue(p *string) value {
	return stringValue{p, "path", "the path of a file or folder, relative to the working folder unless absolute", func(s string) (string, error) {
		if s == "" || strings.ContainsFunc(s, unicode.IsControl) {
			return "", errors.New("is not a path")
		}
		return s, nil
	}}
}

func addressValue(p *string) value {
	return stringValue{p, "address", "host:port with an IP address, a host name or nothing before the colon, and a port from 0 to 65535", func(s string) (string, error) {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return "", errors.New("is not an address")
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return "", errors.New("has no valid port")
		}
		if strings.ContainsFunc(host, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("/@?#", r)
		}) {
			return "", errors.New("has no valid host")
		}
		return s, nil
	}}
}

func urlValue(p *string) value {
	return stringValue{p, "URL", "an http or https URL with a host, without user, query or fragment", func(s string) (string, error) {
		u, err := url.Parse(s)
		switch {
		case err != nil:
			return "", errors.New("is not a URL")
		case u.Scheme != "http" && u.Scheme != "https":
			return "", errors.New("is not an http or https URL")
		case u.Hostname() == "" || u.Opaque != "":
			return "", errors.New("has no host")
		case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
			return "", errors.New("has a user, query or fragment")
		}
		return strings.TrimRight(s, "/"), nil
	}}
}

func storeValue(p *string) value {
	return stringValue{p, "choice", "`" + StoreSQLite + "`", func(s string) (string, error) {
		if s != StoreSQLite {
			return "", errors.New("is not a store that this version has")
		}
		return s, nil
	}}
}

// enumValue is one of a few words.
type enumValue struct {
	p      *string
	values []string
}

func (v enumValue) text() string    { return *v.p }
func (v enumValue) kind() string    { return "choice" }
func (v enumValue) allowed() string { return oneOf(v.values) }
func (v enumValue) set(s string) error {
	if !slices.Contains(v.values, s) {
		return errors.New("is not one of the choices")
	}
	*v.p = s
	return nil
}

func oneOf(values []string) string { return "`" + strings.Join(values, "`, `") + "`" }

// levelValue is a log level by name.
type levelValue struct{ p *slog.Level }

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func levelNames() []string {
	names := make([]string, len(levels))
	for i, l := range levels {
		names[i] = strings.ToLower(l.String())
	}
	return names
}

func (v levelValue) text() string    { return strings.ToLower(v.p.String()) }
func (v levelValue) kind() string    { return "choice" }
func (v levelValue) allowed() string { return oneOf(levelNames()) }
func (v levelValue) set(s string) error {
	i := slices.Index(levelNames(), s)
	if i < 0 {
		return errors.New("is not one of the choices")
	}
	*v.p = levels[i]
	return nil
}

// secretValue is text that is never shown.
type secretValue struct {
	p        *Secret
	min, max int  // In bytes.
	spaces   bool // White space may stand within.
}

func (v secretValue) text() string { return v.p.String() }
func (v secretValue) kind() string { return "secret" }
func (v secretValue) allowed() string {
	s := fmt.Sprintf("%d to %d printable ASCII characters", v.min, v.max)
	if !v.spaces {
		s += " without spaces"
	}
	return s
}

func (v secretValue) set(s string) error {
	switch {
	case len(s) < v.min:
		return errors.New("is too short")
	case len(s) > v.max:
		return errors.New("is too long")
	case strings.ContainsFunc(s, v.refuses):
		return errors.New("has a character that is not allowed")
	}
	*v.p = NewSecret(s)
	return nil
}

func (v secretValue) refuses(r rune) bool {
	if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
		return !v.spaces
	}
	return r < ' ' || r > '~'
}

// intValue is a whole number within bounds.
type intValue struct {
	p        *int
	min, max int
}

func (v intValue) text() string    { return strconv.Itoa(*v.p) }
func (v intValue) kind() string    { return "number" }
func (v intValue) allowed() string { return fmt.Sprintf("a whole number from %d to %d", v.min, v.max) }

func (v intValue) set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("is not a whole number")
	}
	if n < v.min || n > v.max {
		return errors.New("is out of range")
	}
	*v.p = n
	return nil
}

// sizeValue is a number of bytes within bounds; zero, where allowed, stands for none.
type sizeValue[T int | int64] struct {
	p        *T
	min, max T
	zero     bool
}

func (v sizeValue[T]) text() string { return FormatSize(int64(*v.p)) }
func (v sizeValue[T]) kind() string { return "size" }
func (v sizeValue[T]) allowed() string {
	s := fmt.Sprintf("a size from %s to %s, such as `%s`", FormatSize(int64(v.min)), FormatSize(int64(v.max)), FormatSize(int64(v.min)))
	if v.zero {
		s += ", or 0"
	}
	return s
}

func (v sizeValue[T]) set(s string) error {
	n, err := ParseSize(s)
	if err != nil {
		return err
	}
	if (n != 0 || !v.zero) && (n < int64(v.min) || n > int64(v.max)) {
		return errors.New("is out of range")
	}
	*v.p = T(n)
	return nil
}

// durationValue is a length of time within bounds; zero, where allowed, stands for none.
type durationValue struct {
	p        *time.Duration
	min, max time.Duration
	zero     bool
}

func (v durationValue) text() string { return FormatDuration(*v.p) }
func (v durationValue) kind() string { return "duration" }
func (v durationValue) allowed() string {
	s := fmt.Sprintf("a duration from %s to %s", FormatDuration(v.min), FormatDuration(v.max))
	if v.zero && v.min != 0 {
		s += ", or 0"
	}
	return s
}

func (v durationValue) set(s string) error {
	d, err := ParseDuration(s)
	if err != nil {
		return err
	}
	if (d != 0 || !v.zero) && (d < v.min || d > v.max) {
		return errors.New("is out of range")
	}
	*v.p = d
	return nil
}

// scheduleValue is a list of waits.
type scheduleValue struct {
	p        *[]time.Duration
	most     int
	min, max time.Duration
}

func (v scheduleValue) kind() string { return "durations" }
func (v scheduleValue) text() string {
	parts := make([]string, len(*v.p))
	for i, d := range *v.p {
		parts[i] = FormatDuration(d)
	}
	return strings.Join(parts, ",")
}

func (v scheduleValue) allowed() string {
	return fmt.Sprintf("1 to %d durations from %s to %s, separated by commas", v.most, FormatDuration(v.min), FormatDuration(v.max))
}

func (v scheduleValue) set(s string) error {
	parts := strings.Split(s, ",")
	if len(parts) > v.most {
		return errors.New("has too many durations")
	}
	out := make([]time.Duration, len(parts))
	for i, part := range parts {
		d := durationValue{p: &out[i], min: v.min, max: v.max}
		if err := d.set(strings.TrimSpace(part)); err != nil {
			return fmt.Errorf("has a part, number %d, that %w", i+1, err)
		}
	}
	*v.p = out
	return nil
}

// prefixesValue is a list of address ranges.
type prefixesValue struct{ p *[]netip.Prefix }

// maxPrefixes bounds a list of address ranges, which is searched at every dial.
const maxPrefixes = 1000

func (v prefixesValue) kind() string { return "address ranges" }
func (v prefixesValue) text() string {
	parts := make([]string, len(*v.p))
	for i, p := range *v.p {
		parts[i] = p.String()
	}
	return strings.Join(parts, ",")
}

func (v prefixesValue) allowed() string {
	return "nothing, or up to " + strconv.Itoa(maxPrefixes) + " CIDR ranges or IP addresses, separated by commas, such as `10.0.0.0/8,::1`"
}

func (v prefixesValue) set(s string) error {
	if s == "" {
		*v.p = nil
		return nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxPrefixes {
		return errors.New("has too many ranges")
	}
	out := make([]netip.Prefix, len(parts))
	for i, part := range parts {
		p, err := parsePrefix(strings.TrimSpace(part))
		if err != nil {
			return fmt.Errorf("has a part, number %d, that %w", i+1, err)
		}
		out[i] = p
	}
	*v.p = out
	return nil
}

// parsePrefix refuses forms that look like one range and mean another: host bits
// outside the mask, zones, and IPv4 addresses written as IPv6 ones, which would
// never match an IPv4 connection.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" || addr.Is4In6() {
			return netip.Prefix{}, errors.New("is not a plain IPv4 or IPv6 address")
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("is not a CIDR range or IP address")
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("is an IPv4 range in IPv6 form: write the IPv4 range")
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("has address bits outside its mask (%s has none)", p.Masked())
	}
	return p, nil
}

// sizeUnits are the units of a size, largest first.
var sizeUnits = []struct {
	name string
	n    int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseSize reads a number of bytes: digits, then nothing or one of the units B, KiB,
// MiB, GiB and TiB (powers of 1024). The error says what is wrong, without the text.
func ParseSize(s string) (int64, error) {
	unit := int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = rest, u.n
			break
		}
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, errors.New("is not a size (digits, then B, KiB, MiB, GiB, TiB or nothing)")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, errors.New("is too large a size")
	}
	return n * unit, nil
}

// FormatSize writes n bytes in the largest unit that divides n, as ParseSize reads it.
func FormatSize(n int64) string {
	for _, u := range sizeUnits[:len(sizeUnits)-1] {
		if n != 0 && n%u.n == 0 {
			return strconv.FormatInt(n/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

const day = 24 * time.Hour

// ParseDuration reads a length of time: Go's syntax, where a whole number of days
// (24 hours each) may come first, such as 30d, 1d12h, 90m or 1.5s. Negative ones are
// refused. The error says what is wrong, without the text.
func ParseDuration(s string) (time.Duration, error) {
	bad := errors.New("is not a duration (such as 500ms, 30s, 1h30m or 7d)")
	var days int64
	if head, rest, ok := strings.Cut(s, "d"); ok {
		if head == "" || strings.ContainsFunc(head, func(r rune) bool { return r < '0' || r > '9' }) {
			return 0, bad
		}
		n, err := strconv.ParseInt(head, 10, 64)
		if err != nil || n > int64(math.MaxInt64/day) {
			return 0, errors.New("is too long a duration")
		}
		if rest == "" {
			return time.Duration(n) * day, nil
		}
		days, s = n, rest
	}
	if s == "" || s[0] == '-' || s[0] == '+' {
		return 0, bad
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, bad
	}
	if d > math.MaxInt64-time.Duration(days)*day {
		return 0, errors.New("is too long a duration")
	}
	return time.Duration(days)*day + d, nil
}

// FormatDuration writes d, which is not negative, briefly and as ParseDuration reads it.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	var out string
	if days := d / day; days > 0 {
		out, d = strconv.FormatInt(int64(days), 10)+"d", d%day
	}
	if d == 0 {
		return out
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return out + s
}
