package rest

import (
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// span is a window of time, divided into parts. Endpoints that are counted in one request share it.
type span struct {
	from   time.Time
	window time.Duration
	parts  int
	firsts []int64 // the first attempt of each part, 0 when not sought yet
}

// newSpan lays a window that ends now.
func newSpan(now time.Time, window time.Duration, parts int) *span {
	return &span{from: now.Add(-window), window: window, parts: parts, firsts: make([]int64, parts)}
}

// begin is when a part begins.
func (w *span) begin(part int) time.Time {
	return w.from.Add(time.Duration(float64(w.window) * float64(part) / float64(w.parts)))
}

// part is the one in which an attempt ended. Attempts are recorded as they end, so that each part is a piece of the record.
func (w *span) part(t *event.Outcome) int {
	at := float64(ended(t).Sub(w.from)) / float64(w.window) * float64(w.parts)
	return min(max(int(at), 0), w.parts-1)
}

func ended(t *event.Outcome) time.Time { return t.At.Add(t.Duration) }

// first is about the first attempt of a part, of any endpoint.
func (a *API) first(ctx context.Context, w *span, part int) (int64, error) {
	if w.firsts[part] == 0 {
		id, err := a.Log.AttemptAt(ctx, w.begin(part))
		if err != nil {
			return 0, err
		}
		w.firsts[part] = id
	}
	return w.firsts[part], nil
}

// count counts an endpoint's attempts: the newest, and when those are not all of the window, of each part of the series some.
func (a *API) count(ctx context.Context, id event.EndpointID, s *stats) error {
	for before := int64(0); ; {
		list, next, err := a.Log.OutcomesOfEndpoint(ctx, id, before, min(statsPage, s.most))
		if err != nil {
			return err
		}
		if s.add(list) || next == 0 {
			break
		}
		before = next
	}
	if !s.cut || s.parts == 0 {
		return nil
	}
	return a.countParts(ctx, id, s)
}

// countParts counts attempts older than those that were counted, the newest of each part of the series. A part that is full is
// passed over by seeking its beginning, so that the work is bounded by the parts, however many attempts there are.
func (a *API) countParts(ctx context.Context, id event.EndpointID, s *stats) error {
	each := max(s.most/s.parts, 1)
	whole := s.part(&s.last) // later ones have all of theirs
	before := s.last.ID
	// A part takes a page and the one that crosses into it; clocks that were set may cost more, which the bound ends.
	for range 3 * s.parts {
		list, next, err := a.Log.OutcomesOfEndpoint(ctx, id, before, each+1)
		if err != nil {
			return err
		}
		before = next
		for i := range list {
			t := &list[i]
			if ended(t).Before(s.from) {
				return nil
			}
			if t.At.Before(s.from) {
				continue
			}
			part := s.part(t)
			b := &s.buckets[part]
			if part <= whole && b.attempts < each {
				b.add(t)
				continue
			}
			b.sampled = true
			if part == 0 {
				return nil
			}
			first, err := a.first(ctx, s.span, part)
			if err != nil {
				return err
			}
			if first < t.ID {
				before = first
				break
			}
		}
		if before == 0 {
			return nil
		}
	}
	return nil
}

// stats counts attempts that come newest first.
type stats struct {
	*span
	most      int
	out       client.Stats
	durations []time.Duration // of attempts with an answer
	last      event.Outcome   // the oldest counted
	newest    time.Time
	cut       bool // there are more in the window
	buckets   []bucket
}

// bucket is a part of the series.
type bucket struct {
	attempts, delivered int
	durations           []time.Duration
	sampled             bool // there are more in it
}

func (b *bucket) add(t *event.Outcome) {
	b.attempts++
	if t.Verdict == event.VerdictDelivered {
		b.delivered++
	}
	if t.Status != 0 {
		b.durations = append(b.durations, t.Duration)
	}
}

// newStats counts the newest attempts within a window, at most most of them.
func newStats(w *span, most int) *stats {
	return &stats{span: w, most: most, buckets: make([]bucket, w.parts)}
}

// add counts attempts and reports whether it has seen enough.
func (s *stats) add(list []event.Outcome) bool {
	for i := range list {
		t := &list[i]
		if s.newest.IsZero() {
			s.newest = t.At
		}
		if ended(t).Before(s.from) {
			return true
		}
		if t.At.Before(s.from) {
			continue // it was under way when the window began
		}
		if s.out.Attempts == s.most {
			s.cut = true
			return true
		}
		s.out.Attempts++
		s.last = *t
		switch t.Verdict {
		case event.VerdictDelivered:
			s.out.Delivered++
		case event.VerdictRetry:
			s.out.Retry++
		case event.VerdictFailed:
			s.out.Failed++
		case event.VerdictGone:
			s.out.Gone++
		}
		if t.Status != 0 {
			s.durations = append(s.durations, t.Duration)
		}
		if s.parts > 0 {
			s.buckets[s.part(t)].add(t)
		}
	}
	return false
}

func (s *stats) result() client.Stats {
	out := s.out
	out.Window = client.Duration(s.window)
	out.Complete = !s.cut
	out.From, out.LastAttempt = timePointer(s.last.At), timePointer(s.newest)
	if out.Attempts > 0 {
		out.SuccessRate = float64(out.Delivered) / float64(out.Attempts)
	}
	slices.Sort(s.durations)
	out.Latency = client.Latency{P50: percentile(s.durations, 0.50), P95: percentile(s.durations, 0.95), P99: percentile(s.durations, 0.99)}
	for i := range s.buckets {
		b := &s.buckets[i]
		slices.Sort(b.durations)
		shown := client.StatsBucket{
			At: s.begin(i).UTC(), Attempts: b.attempts, Delivered: b.delivered, Failed: b.attempts - b.delivered, Sampled: b.sampled,
		}
		if len(b.durations) > 0 {
			p50, p99 := percentile(b.durations, 0.50), percentile(b.durations, 0.99)
			shown.P50, shown.P99 = &p50, &p99
		}
		out.Series = append(out.Series, shown)
	}
	return out
}
