package rest

import (
	"context"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	statsAttempts = 10_000 // the newest attempts of one endpoint that are counted
	manyAttempts  = 1_000  // of several
	statsPage     = 1_000
	maxWindow     = 90 * 24 * time.Hour
	maxStats      = 50 // endpoints at once
)

// statsRoutes adds the routes of figures over attempts.
func (a *API) statsRoutes() {
	register(a, operation{
		id: "get-endpoint-stats", method: http.MethodGet, path: endpointPath + "/stats", tag: "Endpoints", summary: "Get figures over the newest attempts",
		doc:   "They cover the attempts that are recorded, at most the newest 10,000, within the window.",
		scope: scopeRead, portal: true,
	}, a.endpointStats)
	register(a, operation{
		id: "list-endpoint-stats", method: http.MethodGet, path: endpointsPath + "/stats", tag: "Endpoints", summary: "Get figures of several endpoints",
		doc:   "They cover the attempts that are recorded, at most the newest 1,000 of each endpoint, within the window, and are at most 5 seconds old. Endpoints that are not there are left out.",
		scope: scopeRead, portal: true,
	}, a.manyStats)
}

// InStats says how figures are made.
type InStats struct {
	Window  string `query:"window" default:"24h" doc:"How far to look back: a duration such as 1h, at most 2160h"`
	Buckets int    `query:"buckets" minimum:"0" maximum:"200" doc:"Into how many parts the window is divided for the series; 0: there is none"`
}

// stats begins to count.
func (in *InStats) stats(most int) (*stats, error) {
	var window client.Duration
	if err := window.UnmarshalText([]byte(in.Window)); err != nil {
		return nil, invalid("window", err.Error())
	}
	if window <= 0 || time.Duration(window) > maxWindow {
		return nil, invalid("window", "must be more than 0s and at most "+client.Duration(maxWindow).String())
	}
	return newStats(time.Now(), time.Duration(window), in.Buckets, most), nil
}

func (a *API) endpointStats(ctx context.Context, c *call, in *struct {
	InEndpoint
	InStats
},
) (*outBody[client.Stats], error) {
	s, err := in.stats(statsAttempts)
	if err != nil {
		return nil, err
	}
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := a.count(ctx, e.ID, s); err != nil {
		return nil, err
	}
	return &outBody[client.Stats]{s.result()}, nil
}

func (a *API) manyStats(ctx context.Context, c *call, in *struct {
	InTenant
	InStats
	Endpoints []string `query:"endpoints" required:"true" maxItems:"50" doc:"The endpoints' ids, separated by commas; at most 50"`
},
) (*outBody[client.StatsList], error) {
	if len(in.Endpoints) > maxStats {
		return nil, invalid("endpoints", "must be at most "+strconv.Itoa(maxStats))
	}
	out := client.StatsList{Data: []client.Stats{}}
	for _, text := range in.Endpoints {
		s, err := in.stats(manyAttempts)
		if err != nil {
			return nil, err
		}
		e, err := a.endpoint(ctx, c, strings.TrimSpace(text))
		if problemIs(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key := statsKey{e.ID, s.window, len(s.buckets)}
		one, known := a.stats.get(key, time.Now())
		if !known {
			if err := a.count(ctx, e.ID, s); err != nil {
				return nil, err
			}
			one = s.result()
			one.Endpoint = e.ID.String()
			a.stats.put(key, &one, time.Now())
		}
		out.Data = append(out.Data, one)
	}
	return &outBody[client.StatsList]{out}, nil
}

// statsAge is how old figures of several endpoints may be: pages that list endpoints ask for them again and again, and each
// thousand attempts cost milliseconds. maxKept bounds what is kept.
const (
	statsAge = 5 * time.Second
	maxKept  = 1000
)

type statsKey struct {
	endpoint event.EndpointID
	window   time.Duration
	buckets  int
}

// statsCache keeps figures for a moment.
type statsCache struct {
	mu   sync.Mutex
	list map[statsKey]keptStats
}

type keptStats struct {
	at    time.Time
	stats client.Stats // shared, never changed
}

func (c *statsCache) get(key statsKey, now time.Time) (client.Stats, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.list[key]
	return kept.stats, ok && now.Sub(kept.at) < statsAge
}

func (c *statsCache) put(key statsKey, s *client.Stats, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) >= maxKept {
		maps.DeleteFunc(c.list, func(_ statsKey, kept keptStats) bool { return now.Sub(kept.at) >= statsAge })
	}
	if len(c.list) >= maxKept || c.list == nil {
		c.list = map[statsKey]keptStats{}
	}
	c.list[key] = keptStats{now, *s}
}

// problemIs reports whether an error is answered with a status.
func problemIs(err error, status int) bool { return err != nil && problemOf(err).Status == status }

// count counts an endpoint's attempts.
func (a *API) count(ctx context.Context, id event.EndpointID, s *stats) error {
	for before := int64(0); ; {
		list, next, err := a.Log.AttemptsOfEndpoint(ctx, id, nil, before, min(statsPage, s.most))
		if err != nil {
			return err
		}
		if s.add(list) || next == 0 {
			return nil
		}
		before = next
	}
}

// stats counts attempts that come newest first.
type stats struct {
	from      time.Time
	window    time.Duration
	most      int
	out       client.Stats
	durations []time.Duration // of attempts with an answer
	oldest    time.Time
	newest    time.Time
	cut       bool // there are more in the window
	buckets   []bucket
}

// bucket is a part of the series.
type bucket struct {
	attempts, delivered int
	durations           []time.Duration
}

// newStats counts the newest attempts within a window that ends now, at most most of them, in so many parts.
func newStats(now time.Time, window time.Duration, buckets, most int) *stats {
	return &stats{from: now.Add(-window), window: window, most: most, buckets: make([]bucket, buckets)}
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
		if s.out.Attempts == s.most {
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
		s.addToBucket(t)
	}
	return false
}

// place is the bucket of a time within the window.
func (s *stats) place(at time.Time) int {
	n := len(s.buckets)
	return min(int(float64(at.Sub(s.from))/float64(s.window)*float64(n)), n-1)
}

func (s *stats) addToBucket(t *event.Attempt) {
	if len(s.buckets) == 0 {
		return
	}
	b := &s.buckets[s.place(t.At)]
	b.attempts++
	if t.Verdict == event.VerdictDelivered {
		b.delivered++
	}
	if t.Status != 0 {
		b.durations = append(b.durations, t.Duration)
	}
}

func (s *stats) result() client.Stats {
	out := s.out
	out.Window = client.Duration(s.window)
	out.Complete = !s.cut
	out.From, out.LastAttempt = timePointer(s.oldest), timePointer(s.newest)
	if out.Attempts > 0 {
		out.SuccessRate = float64(out.Delivered) / float64(out.Attempts)
	}
	slices.Sort(s.durations)
	out.Latency = client.Latency{P50: percentile(s.durations, 0.50), P95: percentile(s.durations, 0.95), P99: percentile(s.durations, 0.99)}
	first := 0
	if s.cut && len(s.buckets) > 0 {
		first = s.place(s.oldest) // what is before it was not counted
	}
	for i := first; i < len(s.buckets); i++ {
		b := &s.buckets[i]
		slices.Sort(b.durations)
		shown := client.StatsBucket{
			At:       s.from.Add(time.Duration(float64(s.window) * float64(i) / float64(len(s.buckets)))).UTC(),
			Attempts: b.attempts, Delivered: b.delivered, Failed: b.attempts - b.delivered,
		}
		if len(b.durations) > 0 {
			p50, p99 := percentile(b.durations, 0.50), percentile(b.durations, 0.99)
			shown.P50, shown.P99 = &p50, &p99
		}
		out.Series = append(out.Series, shown)
	}
	return out
}

// percentile is the nearest rank of sorted durations, in milliseconds; 0 when there are none.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return client.Milliseconds(sorted[int(math.Ceil(p*float64(len(sorted))))-1])
}
