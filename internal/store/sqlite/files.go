package sqlite

import (
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/posthornhq/posthorn/internal/store"
)

//go:embed migrations
var migrations embed.FS

// Application ids in the files' headers: "PHlg" and "PHst".
const (
	logID   = 0x50486c67
	stateID = 0x50487374
)

const (
	logName   = "log.db"
	stateName = "state.db"
	lockName  = "lock"
	headerLen = 100
)

// folderLock keeps other processes out of a data folder.
type folderLock struct{ f *os.File }

func lockFolder(dir string) (*folderLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, osError(dir, err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, osError(path, err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return &folderLock{f: f}, nil
}

// release lets others in. The file stays: removing it would let two processes lock two files of one name.
func (l *folderLock) release() error { return l.f.Close() }

func osError(path string, err error) error {
	if isFull(err) {
		return fmt.Errorf("%s: %w (%w)", path, store.ErrFull, err)
	}
	return fmt.Errorf("opening %s: %w", path, err)
}

type filePaths struct{ log, state string }

// prepareFiles checks both files before it changes either, then makes or migrates them.
func prepareFiles(dir string) (filePaths, error) {
	p := filePaths{log: filepath.Join(dir, logName), state: filepath.Join(dir, stateName)}
	logSchema, err := loadSchema("log", logID)
	if err != nil {
		return p, err
	}
	stateSchema, err := loadSchema("state", stateID)
	if err != nil {
		return p, err
	}
	logVersion, err := logSchema.inspect(p.log)
	if err != nil {
		return p, err
	}
	stateVersion, err := stateSchema.inspect(p.state)
	if err != nil {
		return p, err
	}
	if stateVersion == 0 && logVersion > 0 {
		return p, fmt.Errorf("%s is missing beside %s: %w", p.state, logName, store.ErrCorrupt)
	}
	if logVersion == 0 && stateVersion > 0 {
		if err := neverUsed(p.state); err != nil {
			return p, err
		}
	}
	if err := stateSchema.migrate(p.state, stateVersion); err != nil {
		return p, err
	}
	if err := logSchema.migrate(p.log, logVersion); err != nil {
		return p, err
	}
	if stateVersion == 0 || logVersion == 0 {
		if err := syncDir(dir); err != nil {
			return p, osError(dir, err)
		}
	}
	return p, nil
}

// neverUsed checks that a state without a log was only just made.
func neverUsed(path string) (err error) {
	c, err := openConn(path, readOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	position, err := c.number("SELECT position FROM shard")
	if err == nil && position > 0 {
		err = fmt.Errorf("%s is missing beside %s: %w", filepath.Join(filepath.Dir(path), logName), stateName, store.ErrCorrupt)
	}
	return err
}

// schema is what a kind of file should be: its application id and its migrations, in order.
type schema struct {
	appID   int32
	scripts []string
}

func loadSchema(kind string, appID int32) (schema, error) {
	names, err := fs.Glob(migrations, "migrations/"+kind+"/*.sql")
	if err != nil {
		return schema{}, fmt.Errorf("listing migrations: %w", err)
	}
	slices.Sort(names)
	s := schema{appID: appID, scripts: make([]string, len(names))}
	for i, name := range names {
		b, err := migrations.ReadFile(name)
		if err != nil {
			return schema{}, fmt.Errorf("reading migration: %w", err)
		}
		s.scripts[i] = string(b)
	}
	return s, nil
}

// inspect returns a file's schema version, 0 when it is missing, empty or half made, or why it cannot be used. It
// changes nothing.
func (s schema) inspect(path string) (version int, err error) {
	fresh, err := checkHeader(path, s.appID)
	if err != nil || fresh {
		return 0, err
	}
	c, err := openConn(path, readOnly)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	n, err := c.pragmaInt("user_version", 0)
	if err != nil {
		return 0, err
	}
	if n > int64(len(s.scripts)) {
		return 0, fmt.Errorf("%s has schema %d, this program knows %d: %w", path, n, len(s.scripts), store.ErrNewer)
	}
	return int(n), nil
}

// checkHeader reads the file's first bytes: what they should be is at https://www.sqlite.org/fileformat2.html#the_database_header.
func checkHeader(path string, appID int32) (fresh bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, osError(path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var h [headerLen]byte
	n, err := io.ReadFull(f, h[:])
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return true, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("%s is cut short: %w", path, store.ErrCorrupt)
	case err != nil:
		return false, osError(path, err)
	}
	if string(h[:16]) != "SQLite format 3\x00" {
		return false, fmt.Errorf("%s is not a database: %w", path, store.ErrCorrupt)
	}
	// A file whose making was interrupted has no id yet, only SQLite's own first page.
	if id := int32(binary.BigEndian.Uint32(h[68:])); id != appID && id != 0 {
		return false, fmt.Errorf("%s belongs to another program: %w", path, store.ErrCorrupt)
	}
	return false, nil
}

// migrate makes the file or brings it to the newest schema.
func (s schema) migrate(path string, version int) (err error) {
	if version == len(s.scripts) {
		return nil
	}
	c, err := openConn(path, create)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := os.Chmod(path, 0o600); err != nil {
		return osError(path, err)
	}
	if err := c.pragmas("page_size=4096", "journal_mode=WAL", "synchronous=FULL"); err != nil {
		return err
	}
	return c.migrate(s.appID, s.scripts)
}

// openWriter opens the connection of a file's writer.
func openWriter(path string) (*conn, error) {
	c, err := openConn(path, readWrite)
	if err != nil {
		return nil, err
	}
	err = c.pragmas("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0", "journal_size_limit=67108864",
		"cache_size=-24576", "temp_store=MEMORY", "foreign_keys=OFF")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// openReader opens a connection for reads. It may write to the file's shared memory only.
func openReader(path string) (*conn, error) {
	c, err := openConn(path, readWrite)
	if err != nil {
		return nil, err
	}
	if err := c.pragmas("query_only=ON", "wal_autocheckpoint=0", "cache_size=-4096", "temp_store=MEMORY"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}
