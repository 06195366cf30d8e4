package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Histogram counts a tenant's events over time.
type Histogram struct {
	Since time.Time `json:"since" doc:"When the first bucket begins"`
	Until time.Time `json:"until" doc:"When the last one ends"`
	// StepMS is how long a bucket is.
	StepMS       int64    `json:"step_ms" doc:"How long a bucket is; the last may be shorter"`
	FirstVersion int64    `json:"first_version,omitempty" doc:"The first version counted; absent when there are none"`
	LastVersion  int64    `json:"last_version,omitempty" doc:"The last version counted"`
	Count        int64    `json:"count" doc:"Events in all"`
	Buckets      []Bucket `json:"buckets" doc:"In the order of time"`
}

// Bucket is a part of a histogram.
type Bucket struct {
	At    time.Time `json:"at" doc:"When it begins"`
	Count int64     `json:"count" doc:"Events received in it"`
}

// Histogram counts a tenant's events over time, between [Since] and [Until], in a number of buckets, 1 to 500 (0: the server's
// default).
func (c *Client) Histogram(ctx context.Context, tenant string, buckets int, opts ...ListOption) (*Histogram, error) {
	query := url.Values{}
	for _, o := range opts {
		o(query)
	}
	if buckets > 0 {
		query.Set("buckets", strconv.Itoa(buckets))
	}
	var out Histogram
	_, err := c.do(ctx, newCall(http.MethodGet, path("tenants", tenant, "histogram"), nil).with(query), nil, &out)
	return &out, err
}
