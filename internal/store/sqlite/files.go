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

// Application ids in the files' headers: "PHlg", "PHst" and "PHbn".
const (
	logID   = 0x50486c67
	stateID = 0x50487374
	binsID  = 0x5048626e
)

const (
	logName   = "log.db"
	stateName = "state.db"
	binsName  = "bins.db"
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

type filePaths struct{ log, state, bins string }

// dataFile is one of the files of a data folder.
type dataFile struct {
	schema
	path    string
	version int // of its schema; 0: it is to be made
}

func findFile(path, kind string, appID int32) (f dataFile, err error) {
	f.path = path
	if f.schema, err = loadSchema(kind, appID); err != nil {
		return f, err
	}
	f.version, err = f.inspect(path)
	return f, err
}

// prepareFiles checks all files before it changes one, then makes or migrates them: the state first, the bins last.
func prepareFiles(dir string) (filePaths, error) {
	p := filePaths{log: filepath.Join(dir, logName), state: filepath.Join(dir, stateName), bins: filepath.Join(dir, binsName)}
	log, err := findFile(p.log, "log", logID)
	if err != nil {
		return p, err
	}
	state, err := findFile(p.state, "state", stateID)
	if err != nil {
		return p, err
	}
	bins, err := findFile(p.bins, "bins", binsID)
	if err != nil {
		return p, err
	}
	if err := complete(log, state, bins); err != nil {
		return p, err
	}
	made := false
	for _, f := range []dataFile{state, log, bins} {
		if err := f.migrate(f.path, f.version); err != nil {
			return p, err
		}
		made = made || f.version == 0
	}
	if made {
		if err := syncDir(dir); err != nil {
			return p, osError(dir, err)
		}
	}
	return p, nil
}

// complete refuses a folder that lost a file whose content another one needs. Bins are made anew: they were missing before
// there were any, and nothing else is lost with them. But bins alone would show themselves to new tenants with old numbers.
func complete(log, state, bins dataFile) error {
	missing := func(f, beside dataFile) error {
		return fmt.Errorf("%s is missing beside %s: %w", f.path, filepath.Base(beside.path), store.ErrCorrupt)
	}
	switch {
	case state.version == 0 && log.version > 0:
		return missing(state, log)
	case state.version == 0 && bins.version > 0:
		return missing(state, bins)
	case log.version == 0 && bins.version > 0:
		return missing(log, bins)
	case log.version == 0 && state.version > 0:
		return neverUsed(state.path)
	}
	return nil
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
