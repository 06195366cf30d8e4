package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/posthornhq/posthorn/internal/config"
)

func TestFitFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ files, room int }{
		{0, 0}, // not known
		{1_048_576, 943_719},
		{65_536, 58_983},
		{20_000, 18_000},
		{1024, 768},
		{100, 50},
		{1, 1},
	} {
		var log bytes.Buffer
		a := &App{cfg: config.Config{MaxStreams: 100_000}, log: slog.New(slog.NewTextHandler(&log, nil))}
		room := a.fitFiles(c.files)
		if room != c.room {
			t.Errorf("%d files: room for %d, want %d", c.files, room, c.room)
		}
		if said := strings.Count(log.String(), "\n"); said > 1 || (said == 1) != (room > 0 && room < 100_000) || said == 1 && !strings.Contains(log.String(), "LimitNOFILE") {
			t.Errorf("%d files: logged %q", c.files, log.String())
		}
	}
}

// TestOpenFiles: a limit that is known holds what is open already, by far.
func TestOpenFiles(t *testing.T) {
	t.Parallel()
	if n := openFiles(); n < 0 || n > 0 && n < 20 {
		t.Errorf("%d", n)
	}
}
