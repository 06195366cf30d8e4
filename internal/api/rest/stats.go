package rest

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	statsAttempts = 10_000 // the newest attempts that are counted
	statsPage     = 1_000
	maxWindow     = 90 * 24 * time.Hour
)

func (a *API) endpointStats(ctx context.Context, c *call, in *struct {
	InEndpoint
	Window string `query:"window" default:"24h" doc:"How far to look back: a duration such as 1h, at most 2160h"`
},
) (*outBody[client.Stats], error) {
	var window client.Duration
	if err := window.UnmarshalText([]byte(in.Window)); err != nil {
		return nil, invalid("window", err.Error())
	}
	if window <= 0 || time.Duration(window) > maxWindow {
		return nil, invalid("window", "must be more than 0s and at most "+client.Duration(maxWindow).String())
	}
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	s := stats{from: time.Now().Add(-time.Duration(window))}
	for before := int64(0); ; {
		list, next, err := a.Log.AttemptsOfEndpoint(ctx, e.ID, nil, before, statsPage)
		if err != nil {
			return nil, err
		}
		if s.add(list) || next == 0 {
			break
		}
		before = next
	}
	out := s.result()
	out.Window = window
	return &outBody[client.Stats]{out}, nil
}

// stats counts attempts that come newest first.
type stats struct {
	from      time.Time
	out       client.Stats
	durations []time.Duration // of attempts with an answer
	oldest    time.Time
	newest    time.Time
	cut       bool // there are more in the window
}

// add counts attempts and reports whether it has seen enough.
func (s *stats) add(list []event.Attempt) bool {
	for i := range list {
		t := &list[i]
		if s.newest.IsZero() {
			s.newest = t.At
		}
		if t.At.Before(s.from) {
			return true
		}
		if s.out.Attempts == statsAttempts {
			s.cut = true
			return true
		}
		s.out.Attempts++
		s.oldest = t.At
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
	}
	return false
}

func (s *stats) result() client.Stats {
	out := s.out
	out.Complete = !s.cut
	out.From, out.LastAttempt = timePointer(s.oldest), timePointer(s.newest)
	if out.Attempts > 0 {
		out.SuccessRate = float64(out.Delivered) / float64(out.Attempts)
	}
	slices.Sort(s.durations)
	out.Latency = client.Latency{P50: percentile(s.durations, 0.50), P95: percentile(s.durations, 0.95), P99: percentile(s.durations, 0.99)}
	return out
}

// percentile is the nearest rank of sorted durations, in milliseconds; 0 when there are none.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return client.Milliseconds(sorted[int(math.Ceil(p*float64(len(sorted))))-1])
}
