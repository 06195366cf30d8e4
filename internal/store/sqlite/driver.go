package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/posthornhq/posthorn/internal/store"
)

// conn is one connection to one file. It is used by one goroutine at a time.
type conn struct {
	c     *sqlite.Conn
	path  string
	stmts map[string]*stmt
}

// stmt is a prepared statement. Bind its parameters, step it until it has no more rows, and reset it.
type stmt struct {
	s *sqlite.Stmt
	c *conn
}

// busyTimeout is how long to wait for another program that looks into the file.
const busyTimeout = 5 * time.Second

type openMode int

const (
	readOnly  openMode = iota // reads; changes nothing, also not at close
	readWrite                 // an existing file
	create                    // a file that may not exist
)

// openConn opens a connection without touching the file's content.
func openConn(path string, mode openMode) (*conn, error) {
	flags := sqlite.OpenReadOnly
	if mode >= readWrite {
		flags = sqlite.OpenReadWrite
	}
	if mode == create {
		flags |= sqlite.OpenCreate
	}
	c, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, mapError(path, err)
	}
	c.SetBusyTimeout(busyTimeout) // the default waits for ever
	return &conn{c: c, path: path, stmts: map[string]*stmt{}}, nil
}

// pragmas runs settings of the form "name=value".
func (c *conn) pragmas(list ...string) error {
	for _, p := range list {
		if err := sqlitex.ExecuteTransient(c.c, "PRAGMA "+p, nil); err != nil {
			return mapError(c.path, err)
		}
	}
	return nil
}

// pragmaInt returns the value at a column of a pragma's one row.
func (c *conn) pragmaInt(name string, col int) (int64, error) {
	var n int64
	err := c.query("PRAGMA "+name, func(s *stmt) error {
		n = s.int(col)
		return nil
	})
	return n, err
}

// migrate brings the file to the last of the scripts, each in its own transaction.
func (c *conn) migrate(appID int32, scripts []string) error {
	err := sqlitemigration.Migrate(context.Background(), c.c, sqlitemigration.Schema{AppID: appID, Migrations: scripts})
	if err != nil {
		return mapError(c.path, err)
	}
	return nil
}

// autocommit reports whether no transaction is open.
func (c *conn) autocommit() bool { return c.c.AutocommitEnabled() }

// changes returns the number of rows that the last statement changed.
func (c *conn) changes() int { return c.c.Changes() }

func (c *conn) close() error {
	if err := c.c.Close(); err != nil {
		return mapError(c.path, err)
	}
	return nil
}

// prep returns the connection's statement for some SQL, reset, preparing it at first use.
func (c *conn) prep(sql string) (*stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, s.reset()
	}
	s, err := c.c.Prepare(sql)
	if err != nil {
		return nil, mapError(c.path, err)
	}
	w := &stmt{s: s, c: c}
	c.stmts[sql] = w
	return w, nil
}

// exec runs a statement that returns no rows. Parameters are int64, int, string, []byte, bool or eventID; a nil []byte is an empty blob.
func (c *conn) exec(sql string, args ...any) error {
	return c.query(sql, nil, args...)
}

// query runs a statement and calls each, if there is one, with every row.
func (c *conn) query(sql string, each func(*stmt) error, args ...any) error {
	return c.queryWhile(sql, func(s *stmt) (bool, error) {
		if each == nil {
			return true, nil
		}
		return true, each(s)
	}, args...)
}

// queryWhile runs a statement and calls each with every row until it returns false or an error.
func (c *conn) queryWhile(sql string, each func(*stmt) (more bool, err error), args ...any) error {
	s, err := c.prep(sql)
	if err != nil {
		return err
	}
	for i, a := range args {
		s.bindAny(i+1, a)
	}
	for {
		row, err := s.step()
		if err != nil {
			return err
		}
		if !row {
			return s.reset()
		}
		more, err := each(s)
		if err != nil {
			_ = s.reset()
			return err
		}
		if !more {
			return s.reset()
		}
	}
}

func (s *stmt) bindAny(i int, v any) {
	switch v := v.(type) {
	case int64:
		s.bindInt(i, v)
	case int:
		s.bindInt(i, int64(v))
	case string:
		s.bindText(i, v)
	case []byte:
		s.bindBlob(i, v)
	case bool:
		s.s.BindBool(i, v)
	case eventID:
		s.bindID(i, string(v))
	default:
		panic(fmt.Sprintf("sqlite: parameter %d is a %T", i, v))
	}
}

// read copies a column into b, as much as fits.
func (s *stmt) read(col int, b []byte) { s.s.ColumnBytes(col, b) }

func (s *stmt) bindInt(i int, v int64)   { s.s.BindInt64(i, v) }
func (s *stmt) bindText(i int, v string) { s.s.BindText(i, v) }
func (s *stmt) bindBlob(i int, v []byte) { s.s.BindBytes(i, v) }
func (s *stmt) bindNull(i int)           { s.s.BindNull(i) }
func (s *stmt) null(col int) bool        { return s.s.ColumnType(col) == sqlite.TypeNull }
func (s *stmt) int(col int) int64        { return s.s.ColumnInt64(col) }
func (s *stmt) text(col int) string      { return s.s.ColumnText(col) }
func (s *stmt) length(col int) int       { return s.s.ColumnLen(col) }

// eventID is a parameter that is an event's id.
type eventID string

// bindID binds an event's id as it is stored: UUIDs in the canonical form as 16 bytes, others as text. Half the bytes
// make the index on it half as dear.
func (s *stmt) bindID(i int, id string) {
	var b [16]byte
	if parseUUID(&b, id) {
		s.s.BindBytes(i, b[:])
		return
	}
	s.s.BindText(i, id)
}

// id returns an event's id.
func (s *stmt) id(col int) string {
	if s.s.ColumnType(col) != sqlite.TypeBlob {
		return s.text(col)
	}
	var b [16]byte
	s.read(col, b[:])
	return formatUUID(&b)
}

// blob returns a copy of a column.
func (s *stmt) blob(col int) []byte {
	b := make([]byte, s.length(col))
	s.read(col, b)
	return b
}

func (s *stmt) step() (bool, error) {
	row, err := s.s.Step()
	if err != nil {
		return false, mapError(s.c.path, err)
	}
	return row, nil
}

// run steps a statement without rows and resets it.
func (s *stmt) run() error {
	if _, err := s.step(); err != nil {
		return err
	}
	return s.reset()
}

func (s *stmt) reset() error {
	if err := s.s.Reset(); err != nil {
		return mapError(s.c.path, err)
	}
	return nil
}

// copyTo copies the whole database into an empty one, some pages at a time, from one snapshot.
func (c *conn) copyTo(ctx context.Context, dst *conn, pages int, progress func(done, total int64)) (err error) {
	// An open read transaction pins the snapshot; without it every write elsewhere would start the copy again.
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.exec("ROLLBACK")) }()
	if err := c.exec("SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	b, err := sqlite.NewBackup(dst.c, "main", c.c, "main")
	if err != nil {
		return mapError(dst.path, err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err = b.Step(pages); err != nil {
			return mapError(dst.path, err)
		}
		total := int64(b.PageCount())
		progress(total-int64(b.Remaining()), total)
	}
	return nil
}

// errIO marks errors of the disk or the file, after which a connection is opened anew.
var errIO = errors.New("input or output failed")

// mapError turns a driver's error into one of the store's, naming the file.
func mapError(path string, err error) error {
	if err == nil {
		return nil
	}
	code := sqlite.ErrCode(err)
	switch code.ToPrimary() {
	case sqlite.ResultFull:
		return fmt.Errorf("%s: %w (%w)", path, store.ErrFull, err)
	case sqlite.ResultIOErr, sqlite.ResultCantOpen:
		if noSpace(path) {
			return fmt.Errorf("%s: %w (%w)", path, store.ErrFull, err)
		}
		return fmt.Errorf("%s: %w: %w", path, errIO, err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("%s: %w (%w)", path, store.ErrCorrupt, err)
	case sqlite.ResultNoMem, sqlite.ResultReadOnly, sqlite.ResultProtocol, sqlite.ResultBusy, sqlite.ResultLocked:
		return fmt.Errorf("%s: %w: %w", path, errIO, err)
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
}

// isConstraint reports whether a statement failed because a row would have broken a rule such as uniqueness. Nothing of
// the statement was done; the transaction goes on.
func isConstraint(err error) bool {
	return sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint
}

// wholeGroup reports whether an error concerns the file and so every caller of a commit, not one caller's request.
func wholeGroup(err error) bool {
	return errors.Is(err, errIO) || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrCorrupt)
}
