package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ListOption narrows a list. [Types], [Subject], [Subjects] and [Filter] also narrow a [Stream].
type ListOption func(url.Values)

// PageSize sets how many items a request of a list fetches, 1 to 1,000; default 100.
func PageSize(n int) ListOption { return func(q url.Values) { q.Set("limit", strconv.Itoa(n)) } }

// WithState makes a list of endpoints carry their states.
func WithState() ListOption { return func(q url.Values) { q.Set("state", "true") } }

// Types keeps events whose type matches one of the patterns.
func Types(patterns ...string) ListOption {
	return func(q url.Values) { q.Set("types", strings.Join(patterns, ",")) }
}

// Subject keeps events with this subject, or, when it ends in *, with a subject that begins so.
func Subject(s string) ListOption { return Subjects(s) }

// Subjects keeps events with one of these subjects; one that ends in * means every subject that begins so. A subject that
// holds a comma cannot be asked for: use [Filter].
func Subjects(subjects ...string) ListOption {
	return func(q url.Values) { q.Set("subject", strings.Join(subjects, ",")) }
}

// Filter keeps events for which a CEL expression is true, such as `data.total > 100`.
func Filter(expression string) ListOption { return func(q url.Values) { q.Set("filter", expression) } }

// Wait lets [Client.Changes] wait for an event when there is none: at most 60 s.
func Wait(d time.Duration) ListOption {
	return func(q url.Values) { q.Set("wait", Duration(d).String()) }
}

// Since keeps events received at or after t.
func Since(t time.Time) ListOption {
	return func(q url.Values) { q.Set("since", t.UTC().Format(time.RFC3339Nano)) }
}

// Until keeps events received before t.
func Until(t time.Time) ListOption {
	return func(q url.Values) { q.Set("until", t.UTC().Format(time.RFC3339Nano)) }
}

// Verdicts keeps attempts with one of the verdicts.
func Verdicts(verdicts ...string) ListOption {
	return func(q url.Values) { q.Set("verdict", strings.Join(verdicts, ",")) }
}

// Statuses keeps attempts with one of these answers: a status such as "500", a class such as "5xx", or "none" for no answer.
func Statuses(statuses ...string) ListOption {
	return func(q url.Values) { q.Set("status", strings.Join(statuses, ",")) }
}

// AtEvent keeps attempts at the event with this id.
func AtEvent(id string) ListOption { return func(q url.Values) { q.Set("event", id) } }

// Containing keeps tenants whose name or description, and endpoints whose URL, description or id holds a text, whatever the case
// of its letters.
func Containing(text string) ListOption { return func(q url.Values) { q.Set("q", text) } }

// Taking keeps endpoints that take events of a type, such as order.paid, as far as their types say.
func Taking(eventType string) ListOption { return func(q url.Values) { q.Set("type", eventType) } }

// InLane keeps endpoints whose deliveries are in a state: live, backlog, waiting or disabled.
func InLane(state string) ListOption { return func(q url.Values) { q.Set("lane", state) } }

// list yields the items of all pages. An error is yielded once, as the last item.
func list[T any](ctx context.Context, c *Client, path string, opts []ListOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := url.Values{}
		for _, o := range opts {
			o(query)
		}
		for {
			var page Page[T]
			k := newCall(http.MethodGet, path, nil)
			k.query = query
			if _, err := c.do(ctx, k, nil, &page); err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}
