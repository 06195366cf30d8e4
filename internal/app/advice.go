package app

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/posthornhq/posthorn/internal/store"
)

// Advice says in one line what a person can do about an error of [New], [App.Run] or [Backup]; it is empty when there is
// nothing to say.
func Advice(err error) string {
	switch {
	case errors.Is(err, store.ErrInUse):
		return "stop the other server, or name another folder with --data"
	case errors.Is(err, store.ErrNewer):
		return "run the newer version that wrote it, or name another folder with --data"
	case errors.Is(err, store.ErrCorrupt):
		return "restore a backup, or name another folder with --data; nothing was changed"
	case errors.Is(err, store.ErrFull):
		return "free some space on its disk"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: stop it, or name another address with --listen"
	case errors.Is(err, fs.ErrPermission):
		return "this user has no permission"
	default:
		return ""
	}
}
