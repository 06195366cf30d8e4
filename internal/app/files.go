package app

import "log/slog"

// Of the files that the process may have open a tenth, and not under minOtherFiles, is kept from those who listen: for the
// data, deliveries and the other requests.
const (
	otherFiles    = 10
	minOtherFiles = 256
)

// roomFor returns how many connections of listeners a process that may have so many files open has room for.
func roomFor(files int) int {
	return max(1, files-max(files/otherFiles, min(minOtherFiles, files/2)))
}

// fitFiles returns how many may listen or wait at once in the files that the process may have open, so that too many of
// them are told so while the rest of the server goes on; 0, no bound, when the limit is 0, which is not known.
func (a *App) fitFiles(files int) int {
	if files <= 0 {
		return 0
	}
	room := roomFor(files)
	if a.cfg.MaxStreams > room {
		a.log.Info("fewer live connections than max-streams fit into the limit of open files; raise that (ulimit -n, LimitNOFILE) or lower max-streams",
			slog.Int("max_streams", a.cfg.MaxStreams), slog.Int("open_files", files), slog.Int("taken", room))
	}
	return room
}
