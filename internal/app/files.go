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

// fitFiles bounds what the configuration allows listeners by the files that the process may have open, so that too many of
// them are told so while the rest of the server goes on. A limit of 0 is not known, and bounds nothing.
func (a *App) fitFiles(files int) (streams, polls int) {
	streams, polls = a.cfg.MaxStreams, a.cfg.MaxWaitingPolls
	if files <= 0 {
		return streams, polls
	}
	room := roomFor(files)
	if streams > room {
		a.log.Info("fewer live connections than max-streams fit into the limit of open files; raise that (ulimit -n, LimitNOFILE) or lower max-streams",
			slog.Int("max_streams", streams), slog.Int("open_files", files), slog.Int("taken", room))
	}
	return min(streams, room), min(polls, room)
}
