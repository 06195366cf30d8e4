package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Publish stores one event and returns once it is durable. With an ID in the event, or [IdempotencyKey], it can be
// called again without a second event, and is, when the server is busy.
func (c *Client) Publish(ctx context.Context, tenant string, e Event, opts ...CallOption) (Receipt, error) {
	k := newCall(http.MethodPost, path("tenants", tenant, "events"), opts)
	k.repeat = k.repeat || e.ID != ""
	e.Version, e.Origin = 0, nil // given by the server; one that was read can be published again
	var out Receipt
	_, err := c.do(ctx, k, e, &out)
	return out, err
}

// PublishBatch stores several events, all or none, and returns their receipts in order.
func (c *Client) PublishBatch(ctx context.Context, tenant string, events []Event, opts ...CallOption) ([]Receipt, error) {
	k := newCall(http.MethodPost, path("tenants", tenant, "events"), opts)
	named := len(events) > 0
	events = slices.Clone(events)
	for i := range events {
		named = named && events[i].ID != ""
		events[i].Version, events[i].Origin = 0, nil
	}
	k.repeat = k.repeat || named
	var out Receipts
	_, err := c.do(ctx, k, events, &out)
	return out.Events, err
}

// PublishRaw stores what body holds in any content type that the server reads, such as application/cloudevents+json.
// An answer to a batch has a receipt for each event.
func (c *Client) PublishRaw(ctx context.Context, tenant, contentType string, body []byte, opts ...CallOption) ([]Receipt, error) {
	k := newCall(http.MethodPost, path("tenants", tenant, "events"), opts)
	k.set("Content-Type", contentType)
	k.body = body
	var raw json.RawMessage
	if _, err := c.do(ctx, k, nil, &raw); err != nil {
		return nil, err
	}
	var answer struct {
		Receipt
		Receipts
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("client: decode the answer: %w", err)
	}
	if answer.Events == nil {
		return []Receipt{answer.Receipt}, nil
	}
	return answer.Events, nil
}

// Events lists a tenant's events, newest first; [Types], [Subjects], [Filter], [Since] and [Until] narrow it.
func (c *Client) Events(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[Event, error] {
	return list[Event](ctx, c, path("tenants", tenant, "events"), opts)
}

// Event reads an event by id.
func (c *Client) Event(ctx context.Context, tenant, id string) (*Event, error) {
	var out Event
	_, err := c.do(ctx, newCall(http.MethodGet, path("tenants", tenant, "events", id), nil), nil, &out)
	return &out, err
}

// EventAttempts lists the attempts to deliver an event, newest first.
func (c *Client) EventAttempts(ctx context.Context, tenant, id string, opts ...ListOption) iter.Seq2[Attempt, error] {
	return list[Attempt](ctx, c, path("tenants", tenant, "events", id, "attempts"), opts)
}

// Resend delivers an event again: to one endpoint, or, with an empty endpoint, to every one that it is for.
func (c *Client) Resend(ctx context.Context, tenant, id, endpoint string, opts ...CallOption) (*Resent, error) {
	var out Resent
	k := newCall(http.MethodPost, path("tenants", tenant, "events", id, "resend"), opts)
	_, err := c.do(ctx, k, ResendRequest{Endpoint: endpoint}, &out)
	return &out, err
}

// Changes reads the log from version start on, in version order: at most the server's default of 100 events, or
// [PageSize]. A start of 0 is the oldest version kept. Ask again with Next. [Types], [Subjects] and [Filter] narrow it. With
// [Wait] the answer comes once there is an event to give, or empty when time is up. A [*Problem] of status 410 holds the
// oldest version left when start is older than retention.
//
// [Client.Stream] follows the log by itself.
func (c *Client) Changes(ctx context.Context, tenant string, start int64, opts ...ListOption) (*Changes, error) {
	var out Changes
	_, err := c.do(ctx, changesCall(tenant, start, opts), nil, &out)
	return &out, err
}

func changesCall(tenant string, start int64, opts []ListOption) *call {
	query := url.Values{}
	if start != 0 {
		query.Set("start", strconv.FormatInt(start, 10))
	}
	for _, o := range opts {
		o(query)
	}
	k := newCall(http.MethodGet, path("tenants", tenant, "changes"), nil).with(query)
	k.wait, _ = time.ParseDuration(query.Get("wait")) // "" is 0, as is what did not come from Wait
	return k
}
