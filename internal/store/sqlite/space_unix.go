//go:build unix

package sqlite

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/posthornhq/posthorn/internal/store"
)

// minFree is the free space, in bytes, under which a failed write counts as a full disk.
const minFree = 256 << 10

// noSpace reports whether the file system of a path has no room left.
func noSpace(path string) bool {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		return false
	}
	return uint64(s.Bavail)*uint64(s.Bsize) < minFree
}

// isFull reports whether an error of the operating system means a full disk.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// lockFile takes the data folder's lock, or returns store.ErrInUse.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return store.ErrInUse
	}
	return err
}

// syncDir makes the names of new files durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
