package client

import (
	"errors"
	"strings"
	"time"
)

// Duration is a length of time, on the wire a string such as "30s", "5m" or "1h30m".
type Duration time.Duration

// errDuration says what a duration looks like.
var errDuration = errors.New(`must be a duration such as "30s", "5m" or "1h30m"`)

// String returns the shortest form: "5m", not "5m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the wire form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the wire form. Negative durations, and those over about 292 years, are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return errDuration
	}
	*d = Duration(v)
	return nil
}

// Milliseconds returns d as the API writes latencies: a number of milliseconds, to the µs.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
