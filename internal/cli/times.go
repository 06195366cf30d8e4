package cli

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/posthornhq/posthorn/internal/config"
)

// durationMapper reads every duration of the grammar as the server's options do: days may come first, none is
// negative. The word after a flag is its value also with a minus before it: then the error says what is wrong with it.
func durationMapper(ctx *kong.DecodeContext, target reflect.Value) error {
	s, err := timeWord(ctx)
	if err != nil {
		return err
	}
	if strings.HasPrefix(s, "-") {
		return errors.New("must not be negative")
	}
	d, err := config.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q %w", s, err)
	}
	target.Set(reflect.ValueOf(d))
	return nil
}

// timeWord takes the next word, unless that is plainly another flag.
func timeWord(ctx *kong.DecodeContext) (string, error) {
	token := ctx.Scan.Peek()
	s, ok := token.Value.(string)
	digit := ok && len(s) > 1 && s[0] == '-' && s[1] >= '0' && s[1] <= '9'
	if !ok || !digit && !token.IsValue() {
		return "", errors.New("has no value: it is followed by a time or a duration, such as 2h")
	}
	ctx.Scan.Pop()
	return s, nil
}

// timestamp is a time, or how long ago it was.
type timestamp struct{ time.Time }

// Decode reads the word after a flag, also with a minus before it.
func (t *timestamp) Decode(ctx *kong.DecodeContext) error {
	s, err := timeWord(ctx)
	if err != nil {
		return err
	}
	return t.UnmarshalText([]byte(s))
}

// UnmarshalText reads RFC 3339, a date, or a duration before now; a minus before the duration means the same.
func (t *timestamp) UnmarshalText(b []byte) error {
	s := string(b)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	if d, err := config.ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		t.Time = time.Now().UTC().Add(-d)
		return nil
	}
	return fmt.Errorf("%q is neither a time such as 2026-11-21T10:00:00Z nor a duration such as 2h or 7d, which is how long ago", s)
}

// orNil returns the time where one was given.
func (t timestamp) orNil() *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t.Time
}

// Bounds of what shortStamp leaves out, as ls -l does.
const (
	clockOnly = 12 * time.Hour
	yearless  = 180 * 24 * time.Hour
)

// shortStamp writes a time for a table, UTC: its clock when that is less than half a day away, so that it can be no
// other day's; else without seconds, and a day of another time of year with its year. JSON has all of it.
func shortStamp(t, now time.Time) string {
	away := now.Sub(t).Abs()
	switch {
	case t.IsZero():
		return ""
	case away < clockOnly:
		return t.UTC().Format("15:04:05Z")
	case away < yearless:
		return t.UTC().Format("Jan 02 15:04Z")
	default:
		return t.UTC().Format(time.DateOnly)
	}
}

// atCell is a time in a table.
func atCell(t time.Time) cell { return text(shortStamp(t, time.Now())) }

func atCellOf(t *time.Time) cell {
	if t == nil {
		return cell{}
	}
	return atCell(*t)
}
