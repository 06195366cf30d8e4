package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/client"
)

const (
	// maxBuckets bounds a histogram, maxSpan the time that it covers: a longer one does not fit into a duration.
	maxBuckets = 500
	maxSpan    = 100 * 365 * 24 * time.Hour
)

func (a *API) histogramRoutes() {
	register(a, operation{
		id: "get-histogram", method: http.MethodGet, path: "/v1/tenants/{tenant}/histogram", tag: "Events", summary: "Count events over time",
		doc:   "By the time of receipt. Versions are dense, so that no event is looked at: it costs the same however many there are.",
		scope: scopeRead, portal: true,
	}, a.histogram)
}

func (a *API) histogram(ctx context.Context, c *call, in *struct {
	InTenant
	Since   time.Time `query:"since" doc:"When to begin; absent: with the oldest event kept"`
	Until   time.Time `query:"until" doc:"When to end; absent: now"`
	Buckets int       `query:"buckets" minimum:"1" maximum:"500" default:"100" doc:"The most buckets"`
},
) (*outBody[client.Histogram], error) {
	since, until := in.Since.UTC(), in.Until.UTC()
	if in.Until.IsZero() {
		until = time.Now().UTC()
	}
	if in.Since.IsZero() {
		first, _, _, err := a.Log.Changes(ctx, c.tenant.ID, 0, 1, 1)
		if err != nil {
			return nil, err
		}
		if since = until; len(first) > 0 {
			since = first[0].Received.UTC()
		}
	}
	if !in.Since.IsZero() && !until.After(since) {
		return nil, invalid("until", "must be after since")
	}
	if until.Sub(since) > maxSpan {
		return nil, invalid("since", "must be at most 100 years before until")
	}
	h := histogram{Histogram: client.Histogram{Since: since, Until: until, Buckets: []client.Bucket{}}}
	h.divide(min(in.Buckets, maxBuckets))
	versionAt := func(t time.Time) (int64, error) { return a.Log.VersionAt(ctx, c.tenant.ID, t) }
	if err := h.count(versionAt); err != nil {
		return nil, err
	}
	return &outBody[client.Histogram]{h.Histogram}, nil
}

// histogram is one on its way: bounds are where its buckets begin, and the end; versions the first version at or after each.
type histogram struct {
	client.Histogram
	bounds   []time.Time
	versions []int64
}

// divide makes buckets of whole milliseconds, as many as asked for or fewer.
func (h *histogram) divide(most int) {
	span := h.Until.Sub(h.Since)
	if span <= 0 {
		h.Since = h.Until // the oldest event kept is younger
		return
	}
	step := (span + time.Duration(most) - 1) / time.Duration(most)
	h.StepMS = int64((step + time.Millisecond - 1) / time.Millisecond)
	step = time.Duration(h.StepMS) * time.Millisecond
	for at := h.Since; at.Before(h.Until); at = at.Add(step) {
		h.bounds = append(h.bounds, at)
	}
	h.bounds = append(h.bounds, h.Until)
}

// count fills the buckets by the versions at their bounds.
func (h *histogram) count(versionAt func(time.Time) (int64, error)) error {
	if len(h.bounds) == 0 {
		return nil
	}
	last := len(h.bounds) - 1
	h.versions = make([]int64, len(h.bounds))
	for _, i := range []int{0, last} {
		v, err := versionAt(h.bounds[i])
		if err != nil {
			return err
		}
		h.versions[i] = max(v, h.versions[0])
	}
	if err := h.fill(0, last, versionAt); err != nil {
		return err
	}
	for i := range last {
		h.Buckets = append(h.Buckets, client.Bucket{At: h.bounds[i], Count: h.versions[i+1] - h.versions[i]})
	}
	if h.Count = h.versions[last] - h.versions[0]; h.Count > 0 {
		h.FirstVersion, h.LastVersion = h.versions[0], h.versions[last]-1
	}
	return nil
}

// fill finds the versions between two bounds by halves: where nothing came in, nothing is asked.
func (h *histogram) fill(low, high int, versionAt func(time.Time) (int64, error)) error {
	if high-low < 2 {
		return nil
	}
	middle := (low + high) / 2
	v := h.versions[low]
	if v < h.versions[high] {
		var err error
		if v, err = versionAt(h.bounds[middle]); err != nil {
			return err
		}
		v = min(max(v, h.versions[low]), h.versions[high]) // the clock may have been set back, retention may go on meanwhile
	}
	h.versions[middle] = v
	if err := h.fill(low, middle, versionAt); err != nil {
		return err
	}
	return h.fill(middle, high, versionAt)
}
