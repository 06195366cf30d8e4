package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxScan bounds the events that one request for a filtered part of the log looks at; its next goes on after them.
	maxScan = 10_000
	// maxPageBytes bounds the events of one answer, in bytes; one event is always given.
	maxPageBytes = 4 << 20
	// beyond is a version that no log reaches, to ask for a log's bounds only.
	beyond = int64(1) << 61
)

// InEvent is the event of a path.
type InEvent struct {
	InTenant
	Event string `path:"event" doc:"The event's id"`
}

// InSelection narrows events.
type InSelection struct {
	Types   []string `query:"types" doc:"Patterns of types, separated by commas: order.paid, order.* or order.**"`
	Subject []string `query:"subject" doc:"Subjects, separated by commas; one that ends in * means every subject that begins so"`
	Filter  string   `query:"filter" doc:"A CEL expression over the event, which must be true"`
}

// outRaw is an answer whose JSON the handler made, so that the events' data stays as it was published.
type outRaw struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        []byte
}

type outRawTagged struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	ETag        string `header:"ETag" doc:"The answer's version"`
	Body        []byte
}

func (a *API) eventRoutes() {
	const list, one = "/v1/tenants/{tenant}/events", "/v1/tenants/{tenant}/events/{event}"
	register(a, operation{
		id: "list-events", method: http.MethodGet, path: list, tag: "Events", summary: "List events",
		doc:   "Newest first. With filters a page may hold fewer than limit, also none, and still have a next.",
		scope: scopeRead, portal: true, answer: typeOf[client.Page[client.Event]](),
	}, a.listEvents)
	register(a, operation{
		id: "get-event", method: http.MethodGet, path: one, tag: "Events", summary: "Get an event",
		scope: scopeRead, portal: true, answer: typeOf[client.Event](), tagged: true, narrowed: true,
	}, a.getEvent)
	register(a, operation{
		id: "list-event-attempts", method: http.MethodGet, path: one + "/attempts", tag: "Events", summary: "List attempts to deliver an event",
		doc: "Newest first.", scope: scopeRead, portal: true,
	}, a.eventAttempts)
	register(a, operation{
		id: "resend-event", method: http.MethodPost, path: one + "/resend", tag: "Events", summary: "Deliver an event again",
		doc:   "To one endpoint, or to every one that the event is for.",
		scope: scopeManage, portal: true, status: http.StatusAccepted,
	}, a.resendEvent)
}

// eventWriter renders events that fit a filter as members of a JSON array, within bounds.
type eventWriter struct {
	fits    func(*event.Event) bool // nil: all
	limit   int
	open    string // what comes before the first event
	body    []byte // nil until there is one
	count   int
	scanned int
}

// bytes is what was written so far.
func (w *eventWriter) bytes() []byte {
	if w.body == nil {
		return []byte(w.open)
	}
	return w.body
}

// full reports whether no more events are to be looked at for this answer.
func (w *eventWriter) full() bool {
	return w.count >= w.limit || len(w.body) >= maxPageBytes || w.scanned >= maxScan
}

// add looks at an event, unless the writer is full.
func (w *eventWriter) add(e *event.Event) bool {
	if w.full() {
		return false
	}
	w.scanned++
	if w.fits != nil && !w.fits(e) {
		return true
	}
	if w.count > 0 {
		w.body = append(w.body, ',')
	} else {
		w.body = append(make([]byte, 0, 4<<10), w.open...)
	}
	w.body = codec.AppendEvent(w.body, e)
	w.count++
	return true
}

func (a *API) listEvents(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
	InSelection
	Since time.Time `query:"since" doc:"Only events received at or after this time"`
	Until time.Time `query:"until" doc:"Only events received before this time"`
},
) (*outRaw, error) {
	before, p := decodeNumberCursor(listEvents, in.Cursor)
	if p != nil {
		return nil, p
	}
	fits, err := a.selector(&Listener{
		Tenant: c.tenant, Key: &c.key, Ask: event.Selection{Types: in.Types, Subjects: in.Subject, Filter: in.Filter},
	})
	if err != nil {
		return nil, err
	}
	if before == 0 && !in.Until.IsZero() {
		if before, err = a.Log.VersionAt(ctx, c.tenant.ID, in.Until.UTC()); err != nil {
			return nil, err
		}
	}
	w := eventWriter{fits: fits, limit: in.Limit, open: `{"data":[`}
	done := false
	for !done && !w.full() {
		want := min(in.Limit, maxScan-w.scanned)
		list, err := a.Log.Newest(ctx, c.tenant.ID, before, want)
		if err != nil {
			return nil, err
		}
		done = len(list) < want
		for i := range list {
			if !in.Since.IsZero() && list[i].Received.Before(in.Since) {
				done = true
				break
			}
			if !w.add(&list[i]) {
				done = false
				break
			}
			before = list[i].Version
		}
		done = done || before == 1
	}
	body := append(w.bytes(), ']')
	if !done {
		body = append(body, `,"next":"`...)
		body = append(body, encodeNumberCursor(listEvents, before)...)
		body = append(body, '"')
	}
	return &outRaw{ContentType: typeJSON, Body: append(body, '}', '\n')}, nil
}

func (a *API) getEvent(ctx context.Context, c *call, in *struct {
	InEvent
	InNoneMatch
},
) (*outRawTagged, error) {
	fits, err := a.selector(&Listener{Tenant: c.tenant, Key: &c.key})
	if err != nil {
		return nil, err
	}
	e, err := a.Log.Event(ctx, c.tenant.ID, in.Event)
	if err != nil {
		return nil, err
	}
	if fits != nil && !fits(&e) {
		return nil, event.NotFound("event")
	}
	body := codec.AppendEvent(nil, &e)
	if a.Sources != nil && e.Origin != nil && !c.key.Portal() {
		if body, err = appendOrigin(body, a.Sources.Shown(ctx, c.tenant, &e)); err != nil {
			return nil, err
		}
	}
	return &outRawTagged{ContentType: typeJSON, ETag: etag(e.Version, nil), Body: append(body, '\n')}, nil
}

func (a *API) eventAttempts(ctx context.Context, c *call, in *struct {
	InEvent
	InPage
},
) (*outBody[client.Page[client.Attempt]], error) {
	before, p := decodeNumberCursor(listEventTries, in.Cursor)
	if p != nil {
		return nil, p
	}
	e, err := a.Log.Event(ctx, c.tenant.ID, in.Event)
	if err != nil {
		return nil, err
	}
	list, err := a.Log.AttemptsOfEvent(ctx, c.tenant.ID, e.Version, before, in.most()+1)
	if err != nil {
		return nil, err
	}
	out := page(list, in.most(), showAttempt, func(t *event.Attempt) string { return encodeNumberCursor(listEventTries, t.ID) })
	if out.Data, err = a.shownAttempts(ctx, c, list, out.Data); err != nil {
		return nil, err
	}
	return &outBody[client.Page[client.Attempt]]{out}, nil
}

func (a *API) resendEvent(ctx context.Context, c *call, in *struct {
	InEvent
	InOnce
	Body *client.ResendRequest
},
) (*outBody[client.Resent], error) {
	e, err := a.Log.Event(ctx, c.tenant.ID, in.Event)
	if err != nil {
		return nil, err
	}
	var targets []*event.Endpoint
	if in.Body != nil && in.Body.Endpoint != "" {
		one, err := a.endpoint(ctx, c, in.Body.Endpoint)
		if event.KindOf(err) == event.KindNotFound {
			return nil, invalid("endpoint", "there is no such endpoint")
		}
		if err != nil {
			return nil, err
		}
		targets = append(targets, &one)
	} else if targets, err = a.Delivery.Targets(ctx, &e); err != nil {
		return nil, err
	}
	out := client.Resent{Event: e.ID, Version: e.Version, Endpoints: []string{}}
	targets = slices.DeleteFunc(slices.Clone(targets), func(e *event.Endpoint) bool { return !c.sees(e) })
	for _, t := range targets {
		if err := a.Delivery.Resend(ctx, t, e.Version); err != nil {
			return nil, err
		}
		out.Endpoints = append(out.Endpoints, t.ID.String())
	}
	slices.SortFunc(out.Endpoints, strings.Compare)
	return &outBody[client.Resent]{out}, nil
}
