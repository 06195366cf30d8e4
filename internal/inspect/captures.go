package inspect

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of a search: it looks at so many captures and bytes, then says where to go on.
const (
	MaxSearch   = 2000     // captures that one search looks at
	searchBytes = 64 << 20 // bytes that one search looks at, about
	searchPage  = 200      // captures of one read
	pageBytes   = 8 << 20  // bytes of one read, about
	answerBytes = 4 << 20  // bytes of the captures that one search returns, about
)

// Search lists captures of a bin (q.Bin is its ID) that match a query (see [ParseQuery]), at most q.Limit (0: 100).
// next is the Seq to go on after (q.After, or q.Before with q.Newest); 0: that was all. One call looks at no more than
// [MaxSearch] captures, so that a list may be short, or empty, with next set. Errors: KindInvalid naming "query".
func (s *Service) Search(ctx context.Context, q event.CaptureQuery, text string) (list []event.Capture, next int64, err error) {
	query, err := ParseQuery(text)
	if err != nil {
		return nil, 0, err
	}
	want := q.Limit
	if want <= 0 {
		want = 100
	}
	looked, bytes, kept := 0, 0, 0
	for {
		q.Limit, q.MaxBytes = searchPage, pageBytes
		if query.IsZero() {
			q.Limit = min(want-len(list)+1, searchPage)
		}
		page, err := s.cfg.Store.Captures(ctx, q)
		if err != nil {
			return nil, 0, mapError(err)
		}
		if len(page) == 0 {
			return list, 0, nil
		}
		for i := range page {
			c := &page[i]
			if len(list) >= want || kept > answerBytes {
				return list, at(&q), nil
			}
			if query.Match(c) {
				list = append(list, *c)
				kept += c.Size()
			}
			looked++
			bytes += c.Size()
			goOn(&q, c.Seq)
		}
		if looked >= MaxSearch || bytes >= searchBytes {
			return list, at(&q), nil
		}
	}
}

// goOn moves the place of a query behind a capture; at returns it.
func goOn(q *event.CaptureQuery, seq int64) {
	if q.Newest {
		q.Before = seq
		return
	}
	q.After = seq
}

func at(q *event.CaptureQuery) int64 {
	if q.Newest {
		return q.Before
	}
	return q.After
}

// Capture returns one of a bin (its ID) by its id, its number, or "latest" (KindNotFound).
func (s *Service) Capture(ctx context.Context, bin, ref string) (event.Capture, error) {
	if ref == "latest" {
		list, err := s.cfg.Store.Captures(ctx, event.CaptureQuery{Bin: bin, Newest: true, Limit: 1})
		if err == nil && len(list) == 0 {
			err = event.NotFound("request")
		}
		if err != nil {
			return event.Capture{}, mapError(err)
		}
		return list[0], nil
	}
	if isUUID(ref) {
		c, err := s.cfg.Store.CaptureByID(ctx, bin, strings.ToLower(ref))
		return c, mapError(err)
	}
	seq, err := strconv.ParseInt(ref, 10, 64)
	if err != nil || seq <= 0 {
		return event.Capture{}, event.NotFound("request")
	}
	c, err := s.cfg.Store.Capture(ctx, bin, seq)
	return c, mapError(err)
}

// Keep puts a request into a bin (its ID) that did not come by its address: what a source refused, or what another
// interface takes. refused and answer may be empty. Errors: KindNotFound, KindGone ("bin_full", "bin_expired").
func (s *Service) Keep(ctx context.Context, bin string, r event.Request, refused string, answer event.Answer) (event.Capture, error) {
	b, err := s.Bin(ctx, 0, bin)
	if err != nil {
		return event.Capture{}, err
	}
	c, err := s.keep(ctx, &b, event.Capture{ID: newUUID(), Request: r, Refused: refused, Answer: forKeeping(answer)})
	if err == nil && b.Tunnel != "" {
		s.kick(&b)
	}
	return c, err
}

// keepTime bounds the saving of a capture.
const keepTime = 30 * time.Second

// keep saves a capture and tells those who watch. A caller that goes away meanwhile does not end it: what was sent is kept.
func (s *Service) keep(ctx context.Context, b *event.Bin, c event.Capture) (event.Capture, error) {
	saved, err := s.add(ctx, b, c)
	if err == nil {
		s.hub.tell(b.ID)
	}
	return saved, err
}

// add saves a capture.
func (s *Service) add(ctx context.Context, b *event.Bin, c event.Capture) (event.Capture, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	c.Bin, c.At = b.ID, s.now()
	saved, err := s.cfg.Store.AddCapture(ctx, c, b.Keep, b.Refuse)
	if err == nil && s.overtaken(b) {
		s.kickNow(b.ID)
	}
	return saved, mapError(err)
}

// Note sets what people wrote about a capture. Errors: KindInvalid, KindNotFound.
func (s *Service) Note(ctx context.Context, bin string, seq int64, note string) error {
	if message := event.CheckText(note, event.MaxNote); message != "" {
		return event.Invalid("note", message)
	}
	if err := s.cfg.Store.NoteCapture(ctx, bin, seq, note); err != nil {
		return mapError(err)
	}
	s.hub.tell(bin, Change{Seqs: []int64{seq}, Note: &note})
	return nil
}

// DeleteCapture deletes one (KindNotFound).
func (s *Service) DeleteCapture(ctx context.Context, bin string, seq int64) error {
	n, err := s.cfg.Store.DeleteCaptures(ctx, bin, []int64{seq})
	if err == nil && n == 0 {
		err = event.NotFound("request")
	}
	if err == nil {
		s.hub.tell(bin, Change{Seqs: []int64{seq}, Deleted: true})
	}
	return mapError(err)
}

// DeleteMatching deletes the captures of a bin that match a query, all that were there at the call, and returns how many.
func (s *Service) DeleteMatching(ctx context.Context, q event.CaptureQuery, text string) (int, error) {
	stats, err := s.Stats(ctx, q.Bin)
	if err != nil {
		return 0, err
	}
	if q.Before == 0 || q.Before > stats.Last+1 {
		q.Before = stats.Last + 1
	}
	q.Newest, q.Limit = false, searchPage
	deleted := 0
	for {
		list, next, err := s.Search(ctx, q, text)
		if err != nil {
			return deleted, err
		}
		if len(list) > 0 {
			seqs := make([]int64, len(list))
			for i := range list {
				seqs[i] = list[i].Seq
			}
			n, err := s.cfg.Store.DeleteCaptures(ctx, q.Bin, seqs)
			deleted += n
			if err != nil {
				return deleted, mapError(err)
			}
			s.hub.tell(q.Bin, Change{Seqs: seqs, Deleted: true})
		}
		if next == 0 {
			return deleted, nil
		}
		q.After = next
	}
}

// forKeeping cuts an answer to what is kept of it.
func forKeeping(a event.Answer) event.Answer {
	if len(a.Body) > event.MaxAnswerKept {
		a.Body = a.Body[:event.MaxAnswerKept:event.MaxAnswerKept]
	}
	return a
}
