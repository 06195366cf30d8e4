package sqlite

import (
	"context"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Bounds of one call of Captures.
const (
	maxCaptures  = 1000
	captureBytes = 16 << 20 // when it names none
)

// captureWork is one capture on its way through the writer.
type captureWork struct {
	bins   *binsFile
	c      event.Capture
	at     int64
	bytes  int64
	record []byte
	keep   int64
	refuse bool
	fail   error
}

func (w *captureWork) size() (rows, bytes int) { return 1, len(w.record) + len(w.c.Body) }
func (*captureWork) lazy() bool                { return true }

func (w *captureWork) apply(c *conn) error {
	w.fail = nil
	g, err := w.bins.figuresOf(c, w.c.Bin)
	if err != nil {
		return err
	}
	if g == nil {
		w.fail = event.NotFound("bin")
		return nil
	}
	if w.refuse && g.requests >= w.keep {
		w.fail = event.Errorf(event.KindGone, "bin_full", "the bin is full")
		return nil
	}
	err = c.exec("INSERT INTO captures VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", g.bin, g.last+1, w.at, eventID(w.c.ID), w.bytes, w.record, w.c.Body)
	if isConstraint(err) {
		w.fail = exists("request")
		return nil
	}
	if err != nil {
		return err
	}
	g.last++
	g.newest, w.c.Seq = w.at, g.last
	w.bins.count(g, 1, w.bytes)
	if g.requests <= w.keep {
		return nil
	}
	list, err := selectDoomedCaptures(c, "WHERE c.bin = ? ORDER BY c.seq LIMIT ?", g.bin, g.requests-w.keep)
	if err != nil {
		return err
	}
	return w.bins.remove(c, list)
}

// AddCapture implements [store.Bins].
func (s *Store) AddCapture(ctx context.Context, v event.Capture, keep int, refuse bool) (event.Capture, error) {
	if err := s.enter(); err != nil {
		return event.Capture{}, err
	}
	defer s.leave()
	if keep <= 0 {
		keep = event.DefaultBinKept
	}
	v.At = fromMicros(micros(v.At))
	v.Answer.Body = v.Answer.Body[:min(len(v.Answer.Body), event.MaxAnswerKept)]
	w := &captureWork{
		bins: s.bins, c: v, at: micros(v.At), bytes: store.CaptureSize(&v), record: packCapture(&v), keep: int64(keep), refuse: refuse,
	}
	if err := s.bins.w.do(ctx, w); err != nil {
		return event.Capture{}, err
	}
	if w.fail != nil {
		return event.Capture{}, w.fail
	}
	return w.c, nil
}

// selectCaptures takes the bin's id first. The body comes last: it is read only when it is wanted.
const selectCaptures = `SELECT c.seq, c.at, c.id, c.bytes + coalesce(m.bytes, 0), c.record, m.body, c.body
	FROM captures c LEFT JOIN marks m ON m.n = c.n WHERE c.bin = (SELECT n FROM bins WHERE id = ?)`

// scanCaptures runs a query of selectCaptures and returns its rows up to about maxBytes, at least one.
func scanCaptures(c *conn, bin string, maxBytes int64, sql string, args ...any) ([]event.Capture, error) {
	s, err := c.prep(sql)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		s.bindAny(i+1, a)
	}
	var out []event.Capture
	size := int64(0)
	for {
		row, err := s.step()
		if err != nil {
			return nil, err
		}
		if !row {
			break
		}
		if size += s.int(3); len(out) > 0 && size > maxBytes {
			break
		}
		v, err := scanCapture(s, bin)
		if err != nil {
			_ = s.reset()
			return nil, err
		}
		out = append(out, v)
	}
	return out, s.reset()
}

func scanCapture(s *stmt, bin string) (event.Capture, error) {
	v := event.Capture{Bin: bin, Seq: s.int(0), At: fromMicros(s.int(1)), ID: s.id(2)}
	if err := s.damaged("capture", unpackCapture(s.blob(4), &v)); err != nil {
		return v, err
	}
	if s.length(5) > 0 {
		if err := s.damaged("capture", unpackMark(s.blob(5), &v)); err != nil {
			return v, err
		}
	}
	if s.length(6) > 0 {
		v.Body = s.blob(6)
	}
	return v, nil
}

// Captures implements [store.Bins].
func (s *Store) Captures(ctx context.Context, q event.CaptureQuery) ([]event.Capture, error) {
	var sql strings.Builder
	sql.WriteString(selectCaptures)
	args := []any{q.Bin}
	where := func(clause string, bound int64, on bool) {
		if on {
			sql.WriteString(clause)
			args = append(args, bound)
		}
	}
	where(" AND c.seq > ?", q.After, q.After > 0)
	where(" AND c.seq < ?", q.Before, q.Before > 0)
	where(" AND c.at >= ?", micros(q.Since), !q.Since.IsZero())
	where(" AND c.at < ?", micros(q.Until), !q.Until.IsZero())
	if q.Newest {
		sql.WriteString(" ORDER BY c.seq DESC LIMIT ?")
	} else {
		sql.WriteString(" ORDER BY c.seq LIMIT ?")
	}
	args = append(args, min(max(q.Limit, 0), maxCaptures))
	if q.MaxBytes <= 0 {
		q.MaxBytes = captureBytes
	}
	return s.captures(ctx, q.Bin, int64(q.MaxBytes), sql.String(), args...)
}

func (s *Store) captures(ctx context.Context, bin string, maxBytes int64, sql string, args ...any) ([]event.Capture, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var list []event.Capture
	err := s.bins.reads.read(ctx, func(c *conn) (err error) {
		list, err = scanCaptures(c, bin, maxBytes, sql, args...)
		return err
	})
	return list, err
}

// Capture implements [store.Bins].
func (s *Store) Capture(ctx context.Context, bin string, seq int64) (event.Capture, error) {
	list, err := s.captures(ctx, bin, 1, selectCaptures+" AND c.seq = ?", bin, seq)
	if err = one(len(list) == 1, "request", err); err != nil {
		return event.Capture{}, err
	}
	return list[0], nil
}

// CaptureByID implements [store.Bins].
func (s *Store) CaptureByID(ctx context.Context, bin, id string) (event.Capture, error) {
	list, err := s.captures(ctx, bin, 1, selectCaptures+" AND c.id = ?", bin, eventID(id))
	if err = one(len(list) == 1, "request", err); err != nil {
		return event.Capture{}, err
	}
	return list[0], nil
}

// NoteCapture implements [store.Bins].
func (s *Store) NoteCapture(ctx context.Context, bin string, seq int64, note string) error {
	return s.mark(ctx, bin, seq, func(v *event.Capture) { v.Note = note })
}

// AnswerCapture implements [store.Bins].
func (s *Store) AnswerCapture(ctx context.Context, bin string, seq int64, a event.Answer) error {
	a.Body = a.Body[:min(len(a.Body), event.MaxAnswerKept)]
	return s.mark(ctx, bin, seq, func(v *event.Capture) { v.Answer = a })
}

// mark changes what may change of a capture.
func (s *Store) mark(ctx context.Context, bin string, seq int64, change func(*event.Capture)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.bins.w.join(ctx, func(c *conn) error {
		g, err := s.bins.figuresOf(c, bin)
		if err != nil {
			return err
		}
		var n, bytes int64
		var v event.Capture
		if g != nil {
			err = c.query("SELECT c.n, c.record, m.body, coalesce(m.bytes, 0) FROM captures c LEFT JOIN marks m ON m.n = c.n WHERE c.bin = ? AND c.seq = ?", func(s *stmt) error {
				n, bytes = s.int(0), s.int(3)
				err := unpackCapture(s.blob(1), &v)
				if err == nil && s.length(2) > 0 {
					err = unpackMark(s.blob(2), &v)
				}
				return s.damaged("capture", err)
			}, g.bin, seq)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(event.NotFound("request"))
		}
		more := -store.CaptureSize(&v)
		change(&v)
		more += store.CaptureSize(&v)
		s.bins.count(g, 0, more)
		return c.exec("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", n, bytes+more, packMark(&v))
	})
}
