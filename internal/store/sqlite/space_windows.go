//go:build windows

package sqlite

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/posthornhq/posthorn/internal/store"
)

// minFree is the free space, in bytes, under which a failed write counts as a full disk.
const minFree = 256 << 10

// noSpace reports whether the file system of a path has no room left.
func noSpace(path string) bool {
	dir, err := windows.UTF16PtrFromString(filepath.Dir(path))
	if err != nil {
		return false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(dir, &free, nil, nil); err != nil {
		return false
	}
	return free < minFree
}

// isFull reports whether an error of the operating system means a full disk.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// lockFile takes the data folder's lock, or returns store.ErrInUse.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return store.ErrInUse
	}
	return err
}

// syncDir does nothing: Windows keeps names durable by itself.
func syncDir(string) error { return nil }
