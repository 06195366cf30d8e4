package rest

import (
	"context"
	"maps"
	"math"
	"net/http"
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
		doc: "They cover the attempts that are recorded, at most the newest 10,000, within the window. The series covers the whole window: of parts with older attempts than those " +
			"it takes the newest, at most 10,000 divided by the parts, of each, and marks the parts with more as sampled.",
		scope: scopeRead, portal: true,
	}, a.endpointStats)
	register(a, operation{
		id: "list-endpoint-stats", method: http.MethodGet, path: endpointsPath + "/stats", tag: "Endpoints", summary: "Get figures of several endpoints",
		doc:   "They cover the attempts that are recorded, at most the newest 1,000 of each endpoint, within the window, and are at most 5 seconds old. The series is as of one endpoint, with 1,000 for 10,000. Endpoints that are not there are left out.",
		scope: scopeRead, portal: true,
	}, a.manyStats)
}

// InStats says how figures are made.
type InStats struct {
	Window  string `query:"window" default:"24h" doc:"How far to look back: a duration such as 1h, at most 2160h"`
	Buckets int    `query:"buckets" minimum:"0" maximum:"200" doc:"Into how many parts the window is divided for the series; 0: there is none"`
}

// span checks what was asked for and lays the window that ends now.
func (in *InStats) span() (*span, error) {
	var window client.Duration
	if err := window.UnmarshalText([]byte(in.Window)); err != nil {
		return nil, invalid("window", err.Error())
	}
	if window <= 0 || time.Duration(window) > maxWindow {
		return nil, invalid("window", "must be more than 0s and at most "+client.Duration(maxWindow).String())
	}
	return newSpan(time.Now(), time.Duration(window), in.Buckets), nil
}

func (a *API) endpointStats(ctx context.Context, c *call, in *struct {
	InEndpoint
	InStats
},
) (*outBody[client.Stats], error) {
	w, err := in.span()
	if err != nil {
		return nil, err
	}
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	s := newStats(w, statsAttempts)
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
	w, err := in.span()
	if err != nil {
		return nil, err
	}
	out := client.StatsList{Data: []client.Stats{}}
	for _, text := range in.Endpoints {
		e, err := a.endpoint(ctx, c, strings.TrimSpace(text))
		if problemIs(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key := statsKey{e.ID, w.window, w.parts}
		one, known := a.stats.get(key, time.Now())
		if !known {
			s := newStats(w, manyAttempts)
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

// percentile is the nearest rank of sorted durations, in milliseconds; 0 when there are none.
func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return client.Milliseconds(sorted[int(math.Ceil(p*float64(len(sorted))))-1])
}
