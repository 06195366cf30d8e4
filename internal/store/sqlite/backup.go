package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/posthornhq/posthorn/internal/event"
)

// backupPages is how many pages of 4 KiB are copied between looks at the context.
const backupPages = 256

// Backup implements [store.Store]. state.db is copied first, so that its position is never ahead of the copied log. Each
// copy is one snapshot; while it is made the file's write-ahead log cannot start again, and grows by what is written
// meanwhile. A folder that is not empty is KindConflict. A backup that failed leaves its files behind.
func (s *Store) Backup(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := emptyFolder(dir); err != nil {
		return err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	var logPages int64
	err := s.log.reads.read(ctx, func(c *conn) (err error) {
		logPages, err = c.pragmaInt("page_count", 0)
		return err
	})
	if err != nil {
		return err
	}
	var statePages int64
	err = s.state.reads.read(ctx, func(c *conn) error {
		return copyFile(ctx, c, filepath.Join(dir, stateName), func(done, total int64) {
			statePages = total
			progress(done, total+logPages)
		})
	})
	if err != nil {
		return fmt.Errorf("copying %s: %w", stateName, err)
	}
	err = s.log.reads.read(ctx, func(c *conn) error {
		return copyFile(ctx, c, filepath.Join(dir, logName), func(done, total int64) {
			progress(statePages+done, statePages+total)
		})
	})
	if err != nil {
		return fmt.Errorf("copying %s: %w", logName, err)
	}
	return syncDir(dir)
}

func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return osError(dir, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return osError(dir, err)
	}
	if len(list) > 0 {
		return event.Errorf(event.KindConflict, "folder_not_empty", "the folder for the backup is not empty")
	}
	return nil
}

func copyFile(ctx context.Context, src *conn, path string, progress func(done, total int64)) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return osError(path, err)
	}
	if err := f.Close(); err != nil {
		return osError(path, err)
	}
	dst, err := openConn(path, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.close()) }()
	if err := dst.pragmas("page_size=4096", "synchronous=FULL"); err != nil {
		return err
	}
	return src.copyTo(ctx, dst, backupPages, progress)
}
