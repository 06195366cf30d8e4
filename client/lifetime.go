package client

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Lifetime is a length of time that may be written in days, too: "7d", "1d12h", "90m".
type Lifetime time.Duration

// String returns the shortest form: whole days as "7d", others as [Duration] does.
func (d Lifetime) String() string {
	if d > 0 && time.Duration(d)%day == 0 {
		return strconv.FormatInt(int64(time.Duration(d)/day), 10) + "d"
	}
	return Duration(d).String()
}

// MarshalText writes the wire form.
func (d Lifetime) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the wire form. Negative lifetimes, and those over about 292 years, are refused.
func (d *Lifetime) UnmarshalText(b []byte) error {
	var days, rest Duration
	head, tail, found := strings.Cut(string(b), "d")
	if found {
		n, err := strconv.ParseUint(head, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return errDuration
		}
		days = Duration(time.Duration(n) * day)
	} else {
		tail = head
	}
	if tail != "" || !found {
		if err := rest.UnmarshalText([]byte(tail)); err != nil {
			return err
		}
	}
	if days+rest < 0 {
		return errDuration
	}
	*d = Lifetime(days + rest)
	return nil
}
