package hooksite

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// selection is which captures of a bin are meant, and in which order.
type selection struct {
	q     event.CaptureQuery
	match node  // nil: all of them
	most  int64 // how many at most; 0: no limit
}

// all reports whether every capture of the bin is meant.
func (s *selection) all() bool { return s.match == nil && s.q.Since.IsZero() && s.q.Until.IsZero() }

// Bounds of a scan.
const (
	scanTime = 20 * time.Second
	scanPage = 200 // captures of one read
)

// selection reads sorting, date_from, date_to and query.
func (a *API) selection(r *http.Request, b *event.Bin) (selection, error) {
	query, now := r.URL.Query(), a.Clock().UTC()
	s := selection{q: event.CaptureQuery{Bin: b.ID}}
	switch sorting := query.Get("sorting"); sorting {
	case "", "oldest":
	case "newest":
		s.q.Newest = true
	default:
		return s, event.Invalid("sorting", "must be newest or oldest")
	}
	for name, at := range map[string]*time.Time{"date_from": &s.q.Since, "date_to": &s.q.Until} {
		text := query.Get(name)
		if text == "" || text == "*" {
			continue
		}
		t, width, err := parseDate(text, now)
		if err != nil {
			return s, event.Invalid(name, err.Error())
		}
		if name == "date_to" {
			t = t.Add(width) // until the end of what the text names
		}
		*at = t
	}
	match, err := parseSearch(query.Get("query"), now)
	if err != nil {
		return s, event.Invalid("query", err.Error())
	}
	s.match = match
	return s, nil
}

// scan calls f for each capture that is meant, until it returns an error. It takes one of few places for each read, since a
// search goes through a whole bin, and at most [scanTime] for all of them; what f does is not counted.
func (a *API) scan(ctx context.Context, s selection, f func(c *event.Capture) error) error {
	var n int64
	var spent time.Duration
	for {
		s.q.Limit = scanPage
		if s.match == nil && s.most > 0 {
			s.q.Limit = int(min(s.most-n, scanPage))
		}
		began := time.Now()
		list, next, err := a.read(ctx, s.q, scanTime-spent)
		if err != nil {
			return err
		}
		spent += time.Since(began)
		for i := range list {
			if s.match != nil && !s.match.match(&list[i]) {
				continue
			}
			if err := f(&list[i]); err != nil {
				return err
			}
			if n++; s.most > 0 && n >= s.most {
				return nil
			}
		}
		if next == 0 {
			return nil
		}
		if s.q.Newest {
			s.q.Before = next
		} else {
			s.q.After = next
		}
	}
}

// read reads some captures, within a time.
func (a *API) read(ctx context.Context, q event.CaptureQuery, within time.Duration) ([]event.Capture, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case a.scans <- struct{}{}:
		defer func() { <-a.scans }()
	case <-ctx.Done():
		return nil, 0, tooLong()
	}
	list, next, err := a.Bins.Search(ctx, q, "")
	if err != nil && ctx.Err() != nil {
		err = tooLong()
	}
	return list, next, err
}

func tooLong() error {
	return &event.Error{
		Kind: event.KindUnavailable, Code: "busy", Detail: "the search took too long; ask for less, or try again later", RetryAfter: 5 * time.Second,
	}
}

// holds reports whether a text has a word, which is in lower case.
func holds(text, word string) bool { return strings.Contains(strings.ToLower(text), word) }
