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

// Backup implements [store.Store]. state.db is copied before the log, so that its position is never ahead of the copied
// log, and bins.db before both, so that it knows no tenant whose number the copied state would give again. Each
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
	files := []struct {
		name  string
		reads *pool
		pages int64
	}{{binsName, s.bins.reads, 0}, {stateName, s.state.reads, 0}, {logName, s.log.reads, 0}}
	var all int64
	for i := range files {
		err := files[i].reads.read(ctx, func(c *conn) (err error) {
			files[i].pages, err = c.pragmaInt("page_count", 0)
			return err
		})
		if err != nil {
			return err
		}
		all += files[i].pages
	}
	var before int64 // pages of the files that were copied
	for i := range files {
		all -= files[i].pages // what it has now may be more
		err := files[i].reads.read(ctx, func(c *conn) error {
			return copyFile(ctx, c, filepath.Join(dir, files[i].name), func(done, total int64) {
				files[i].pages = total
				progress(before+done, before+total+all)
			})
		})
		if err != nil {
			return fmt.Errorf("copying %s: %w", files[i].name, err)
		}
		before += files[i].pages
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
