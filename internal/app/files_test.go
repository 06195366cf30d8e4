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
	for _, c := range []struct{ files, streams, polls int }{
		{0, 100_000, 20_000}, // not known
		{1_048_576, 100_000, 20_000},
		{120_000, 100_000, 20_000},
		{111_112, 100_000, 20_000},
		{65_536, 58_983, 20_000},
		{20_000, 18_000, 18_000},
		{1024, 768, 768},
		{100, 50, 50},
		{1, 1, 1},
	} {
		var log bytes.Buffer
		a := &App{cfg: config.Config{MaxStreams: 100_000, MaxWaitingPolls: 20_000}, log: slog.New(slog.NewTextHandler(&log, nil))}
		streams, polls := a.fitFiles(c.files)
		if streams != c.streams || polls != c.polls {
			t.Errorf("%d files: %d streams and %d polls, want %d and %d", c.files, streams, polls, c.streams, c.polls)
		}
		if said := strings.Count(log.String(), "\n"); said > 1 || (said == 1) != (streams < 100_000) || said == 1 && !strings.Contains(log.String(), "LimitNOFILE") {
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
