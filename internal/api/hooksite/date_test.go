package hooksite

import (
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	now := time.Date(2001, 1, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"now": "2001-01-01T12:00:00Z", "now+1h": "2001-01-01T13:00:00Z", "now-1h": "2001-01-01T11:00:00Z", "now-1h/d": "2001-01-01T00:00:00Z",
		"2001.02.01||+1M/d": "2001-03-01T00:00:00Z", "now-14d": "2000-12-18T12:00:00Z", "now/w": "2001-01-01T00:00:00Z", "now-1y/y": "2000-01-01T00:00:00Z",
		"2026-01-31 10:11:12": "2026-01-31T10:11:12Z", "2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T10:00:00+02:00": "2026-01-31T08:00:00Z",
		"now+90m/H": "2001-01-01T13:00:00Z", "2026-01-31||": "2026-01-31T00:00:00Z", "now-3s/m": "2001-01-01T11:59:00Z", "now/M": "2001-01-01T00:00:00Z",
	} {
		if at, _, err := parseDate(text, now); err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v, want %s", text, at.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "now+", "now+1", "now+1x", "now/2d", "now-99999999999999999999d", "now*1d", "2026-13-01", "2026-01-31||+1"} {
		if at, _, err := parseDate(text, now); err == nil {
			t.Errorf("%s is %v", text, at)
		}
	}
}
