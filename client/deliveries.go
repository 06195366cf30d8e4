package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Deliveries tells of one event where it arrived, and where not and why.
type Deliveries struct {
	Event    string     `json:"event" doc:"The event's id"`
	Version  int64      `json:"version" doc:"The event's version"`
	Received time.Time  `json:"received" doc:"When it was appended to the log"`
	Data     []Delivery `json:"data" doc:"The endpoints, by id"`
	Next     string     `json:"next,omitempty" doc:"The cursor of the next page; absent at the end"`
	// Partial is set when the event has more attempts than one request looks at: then counts and first times may lack the oldest.
	Partial bool `json:"partial,omitempty" doc:"The event has more attempts than the newest 10,000 that are looked at; what the older ones say is missing"`
}

// Delivery is how one event fares at one endpoint.
type Delivery struct {
	Endpoint    string `json:"endpoint" doc:"The endpoint's id"`
	URL         string `json:"url,omitempty" doc:"Its URL; absent when it was deleted since"`
	Description string `json:"description,omitempty" doc:"For people"`
	Deleted     bool   `json:"deleted,omitempty" doc:"The endpoint was deleted since; its attempts go soon"`
	// Matched: the event is for the endpoint as it is configured now.
	Matched bool   `json:"matched" doc:"The event is for the endpoint as it is configured now"`
	Why     string `json:"why,omitempty" enum:"types,channels,filter,changed,kind,before_start" doc:"Why it is not: the type fits no pattern, it carries none of the channels, the filter is not true, none of the members changed, it is not the change of a record (kind flexibee), or it is older than the endpoint's start. Of several the first in the order before_start, types, channels, kind, changed, filter"`
	State   string `json:"state" enum:"delivered,pending,retrying,waiting,failed,gone,none" doc:"delivered: it arrived. pending: it is about to be sent. retrying: it failed and is tried again. waiting: it is to be sent once the endpoint's lane goes on. failed: given up. gone: the endpoint answered 410. none: there is nothing to send, or nothing is known any more"`
	// Waiting says why the endpoint's lane waits, as in [EndpointState], while there is something to send.
	Waiting     string     `json:"waiting,omitempty" doc:"Why the endpoint's lane waits: penalty, paused, gone, failing, changelog, offline or retries"`
	InFlight    bool       `json:"in_flight,omitempty" doc:"It is being sent at this moment"`
	Attempts    int        `json:"attempts" doc:"How many attempts are recorded"`
	FirstAt     *time.Time `json:"first_at,omitempty" doc:"When the first of them began"`
	LastAt      *time.Time `json:"last_at,omitempty" doc:"When the last of them began"`
	DeliveredAt *time.Time `json:"delivered_at,omitempty" doc:"When it first arrived"`
	LastStatus  int        `json:"last_status,omitempty" doc:"The HTTP status of the last attempt's answer"`
	LastError   string     `json:"last_error,omitempty" doc:"Why there was no answer, or why it was given up"`
	NextAt      *time.Time `json:"next_at,omitempty" doc:"When it may be sent next"`
}

// Deliveries tells where an event arrived, and where not and why: the endpoints that it is for now or that have attempts at it, or
// with all every endpoint. cursor is the Next of an earlier answer, or empty; limit is 1 to 1,000, 0 for the server's default.
func (c *Client) Deliveries(ctx context.Context, tenant, id string, all bool, limit int, cursor string) (*Deliveries, error) {
	query := url.Values{}
	if all {
		query.Set("all", "true")
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var out Deliveries
	_, err := c.do(ctx, newCall(http.MethodGet, path("tenants", tenant, "events", id, "deliveries"), nil).with(query), nil, &out)
	return &out, err
}
