package hooksite

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// dateFormats are how dates may be written, with how long each names.
var dateFormats = []struct {
	format string
	width  time.Duration
}{
	{"2006-01-02 15:04:05", time.Second},
	{"2006-01-02T15:04:05", time.Second},
	{time.RFC3339Nano, time.Microsecond},
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02", 24 * time.Hour},
	{"2006.01.02", 24 * time.Hour},
	{"2006/01/02", 24 * time.Hour},
}

var errDate = errors.New("must have dates such as 2026-01-31 12:00:00 or now-7d")

// parseDate reads a date, or an expression such as now-14d, now/d or 2026-01-31||+1M/d. It names all the time from the one
// returned on for width. Source: docs.webhook.site/api/date-expressions.html.
func parseDate(text string, now time.Time) (at time.Time, width time.Duration, err error) {
	text = strings.TrimSpace(text)
	rest, isNow := strings.CutPrefix(text, "now")
	if isNow {
		at, err = reckon(now.UTC(), rest)
		return at, 0, err
	}
	date, rest, _ := strings.Cut(text, "||")
	for _, f := range dateFormats {
		if at, err = time.ParseInLocation(f.format, date, time.UTC); err == nil {
			if rest == "" {
				return at.UTC(), f.width, nil
			}
			at, err = reckon(at.UTC(), rest)
			return at, 0, err
		}
	}
	return time.Time{}, 0, errDate
}

// reckon applies steps such as +1h, -7d and /d.
func reckon(at time.Time, steps string) (time.Time, error) {
	for steps != "" {
		sign := steps[0]
		steps = steps[1:]
		digits := len(steps) - len(strings.TrimLeft(steps, "0123456789"))
		n := 1
		if digits > 0 {
			var err error
			if n, err = strconv.Atoi(steps[:digits]); err != nil || n > 100_000 {
				return at, errDate
			}
		}
		if steps = steps[digits:]; steps == "" || sign == '/' && digits > 0 {
			return at, errDate
		}
		unit := steps[0]
		steps = steps[1:]
		var ok bool
		switch sign {
		case '+':
			at, ok = shift(at, unit, n)
		case '-':
			at, ok = shift(at, unit, -n)
		case '/':
			at, ok = floor(at, unit)
		}
		if !ok {
			return at, errDate
		}
	}
	return at, nil
}

func shift(at time.Time, unit byte, n int) (time.Time, bool) {
	switch unit {
	case 'y':
		return at.AddDate(n, 0, 0), true
	case 'M':
		return at.AddDate(0, n, 0), true
	case 'w':
		return at.AddDate(0, 0, 7*n), true
	case 'd':
		return at.AddDate(0, 0, n), true
	case 'h', 'H':
		return at.Add(time.Duration(n) * time.Hour), true
	case 'm':
		return at.Add(time.Duration(n) * time.Minute), true
	case 's':
		return at.Add(time.Duration(n) * time.Second), true
	}
	return at, false
}

// floor rounds down; weeks begin on Monday.
func floor(at time.Time, unit byte) (time.Time, bool) {
	y, m, d := at.Date()
	switch unit {
	case 'y':
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), true
	case 'M':
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), true
	case 'w':
		return time.Date(y, m, d-(int(at.Weekday())+6)%7, 0, 0, 0, 0, time.UTC), true
	case 'd':
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), true
	case 'h', 'H':
		return at.Truncate(time.Hour), true
	case 'm':
		return at.Truncate(time.Minute), true
	case 's':
		return at.Truncate(time.Second), true
	}
	return at, false
}
