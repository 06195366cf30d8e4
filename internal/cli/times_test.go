package cli

import (
	"bytes"
	"testing"
	"time"
)

func TestShortStamp(t *testing.T) {
	now := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	for want, at := range map[string]time.Time{
		"":              {},
		"01:00:00Z":     now,
		"23:59:59Z":     now.Add(-time.Hour - time.Second), // yesterday, which nobody takes for tonight
		"12:59:59Z":     now.Add(12*time.Hour - time.Second),
		"Nov 21 13:00Z": now.Add(-12 * time.Hour),
		"Nov 23 01:00Z": now.AddDate(0, 0, 1),
		"2025-11-22":    now.AddDate(-1, 0, 0),
		"00:30:00Z":     time.Date(2026, 11, 22, 1, 30, 0, 0, time.FixedZone("", 3600)),
	} {
		if got := shortStamp(at, now); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
}

func TestTableLeavesOutWhatIsEmpty(t *testing.T) {
	header := []string{"A", maybe("B"), maybe("C"), maybe("D")}
	var out bytes.Buffer
	c := newConsole(t.Context(), nil, &out, &out)
	c.table(header, [][]cell{{text("1"), text(""), text("x"), text("")}, {text("2"), text(""), text(""), text("")}})
	if want := "A  C\n1  x\n2\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if header[1] != maybe("B") {
		t.Error("the header, which other tables share, was changed")
	}
}
