package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxEventTries bounds the attempts at one event that one request looks at.
	maxEventTries = 10_000
	// eventTriesPage is how many of them one reading gives.
	eventTriesPage = 1_000
)

func (a *API) deliveryRoutes() {
	register(a, operation{
		id: "list-event-deliveries", method: http.MethodGet, path: "/v1/tenants/{tenant}/events/{event}/deliveries", tag: "Events",
		summary: "List where an event arrived",
		doc: "By endpoint: whether it arrived, and if not, why. Without all: the endpoints that the event is for as they are configured now, " +
			"and those with attempts at it. With all: every endpoint, and of those that it is not for, why.",
		scope: scopeRead, portal: true,
	}, a.eventDeliveries)
}

func (a *API) eventDeliveries(ctx context.Context, c *call, in *struct {
	InEvent
	InPage
	All bool `query:"all" doc:"Every endpoint, also those that the event is not for"`
},
) (*outBody[client.Deliveries], error) {
	after, p := decodeNumberCursor(listDeliveries, in.Cursor)
	if p != nil {
		return nil, p
	}
	ev, err := a.Log.Event(ctx, c.tenant.ID, in.Event)
	if err != nil {
		return nil, err
	}
	out := client.Deliveries{Event: ev.ID, Version: ev.Version, Received: ev.Received.UTC(), Data: []client.Delivery{}}
	tries := eventTries{ev: &ev, byEndpoint: map[event.EndpointID][]event.Attempt{}}
	endpoints, err := a.deliveryEndpoints(ctx, c.tenant, &tries, in.All, event.EndpointID(after), in.most()+1)
	if err != nil {
		return nil, err
	}
	if len(endpoints) > in.most() {
		endpoints = endpoints[:in.most()]
		out.Next = encodeNumberCursor(listDeliveries, int64(endpoints[len(endpoints)-1].ID))
	}
	standings := a.Delivery.Standings(&ev, endpoints)
	if err := tries.read(ctx, a.Log); err != nil { // what was recorded before the lanes were asked: of what was read before only the rest
		return nil, err
	}
	out.Partial = tries.partial
	for i, e := range endpoints {
		if !c.sees(e) || e.URL == "" && c.key.Portal() { // of a deleted one nobody knows the kind
			continue
		}
		d, err := a.deliveryTo(ctx, &ev, e, &standings[i], tries.byEndpoint[e.ID])
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, d)
	}
	return &outBody[client.Deliveries]{out}, nil
}

// deliveryEndpoints returns the endpoints to tell of, by id, after one, at most limit. One that was deleted since it was tried
// has no URL.
func (a *API) deliveryEndpoints(ctx context.Context, t *event.Tenant, tries *eventTries, all bool, after event.EndpointID, limit int) ([]*event.Endpoint, error) {
	var list []*event.Endpoint
	if all {
		found, err := a.Control.Endpoints(ctx, t, after, limit)
		for i := range found {
			list = append(list, &found[i])
		}
		return list, err
	}
	targets, err := a.Delivery.Targets(ctx, tries.ev)
	if err != nil {
		return nil, err
	}
	if err := tries.read(ctx, a.Log); err != nil {
		return nil, err
	}
	targeted := make(map[event.EndpointID]bool, len(targets))
	for _, e := range targets {
		targeted[e.ID] = true
		if e.ID > after {
			list = append(list, e)
		}
	}
	others := make([]event.EndpointID, 0, len(tries.byEndpoint))
	for id := range tries.byEndpoint {
		if id > after && !targeted[id] {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	for _, id := range others[:min(len(others), limit)] {
		e, err := a.Control.Endpoint(ctx, t, id)
		switch {
		case event.KindOf(err) == event.KindNotFound && err != nil:
			e = event.Endpoint{ID: id, Tenant: t.ID}
		case err != nil:
			return nil, err
		}
		list = append(list, &e)
	}
	slices.SortFunc(list, func(x, y *event.Endpoint) int { return cmp.Compare(x.ID, y.ID) })
	return list[:min(len(list), limit)], nil
}

// eventTries are the attempts at an event, newest first, by endpoint.
type eventTries struct {
	ev         *event.Event
	byEndpoint map[event.EndpointID][]event.Attempt
	newest     int64 // the last attempt that was read
	partial    bool  // there are more than are read
}

// read reads the attempts, or those since the last reading, at most maxEventTries.
func (t *eventTries) read(ctx context.Context, log Log) error {
	fresh := map[event.EndpointID][]event.Attempt{}
	seen := t.newest
	n := 0
	for before, more := int64(0), true; more; {
		if n >= maxEventTries {
			t.partial = true
			break
		}
		list, err := log.AttemptsOfEvent(ctx, t.ev.Tenant, t.ev.Version, before, eventTriesPage)
		if err != nil {
			return err
		}
		more = len(list) == eventTriesPage
		for _, one := range list {
			if one.ID <= seen {
				more = false
				break
			}
			one.Headers, one.Body = nil, nil
			fresh[one.Endpoint] = append(fresh[one.Endpoint], one)
			t.newest = max(t.newest, one.ID)
			before = one.ID
			n++
		}
	}
	for id, list := range fresh {
		t.byEndpoint[id] = append(list, t.byEndpoint[id]...)
	}
	return nil
}

// deliveryTo tells how an event fares at one endpoint, whose attempts come newest first.
func (a *API) deliveryTo(ctx context.Context, ev *event.Event, e *event.Endpoint, s *event.Standing, tries []event.Attempt) (client.Delivery, error) {
	d := client.Delivery{Endpoint: e.ID.String(), URL: e.URL, Description: e.Description, Deleted: e.URL == ""}
	if !d.Deleted {
		d.Why = a.Delivery.Why(e, ev)
		d.Matched = d.Why == ""
	}
	tries = withUnsaved(tries, s.Unsaved)
	sumTries(&d, tries)
	var dead []event.DeadLetter
	if len(tries) == 0 {
		list, err := a.Log.DeadLetters(ctx, e.ID, ev.Version-1, 1)
		if err != nil {
			return d, err
		}
		if len(list) > 0 && list[0].Version == ev.Version {
			dead = list
		}
	}
	judgeDelivery(&d, s, tries, dead)
	return d, nil
}

// withUnsaved puts the attempts that the lanes know of, oldest first, before those of the store that are not the same ones.
func withUnsaved(tries, unsaved []event.Attempt) []event.Attempt {
	for _, u := range unsaved {
		if !slices.ContainsFunc(tries, func(t event.Attempt) bool { return t.Number == u.Number && t.At.UnixMicro() == u.At.UnixMicro() }) {
			tries = slices.Insert(tries, 0, u)
		}
	}
	return tries
}

// sumTries counts attempts that come newest first.
func sumTries(d *client.Delivery, tries []event.Attempt) {
	if d.Attempts = len(tries); d.Attempts == 0 {
		return
	}
	last, first := &tries[0], &tries[len(tries)-1]
	d.FirstAt, d.LastAt, d.LastStatus, d.LastError = timePointer(first.At), timePointer(last.At), last.Status, last.Error
	for i := range slices.Backward(tries) {
		if t := &tries[i]; t.Verdict == event.VerdictDelivered {
			d.DeliveredAt = timePointer(t.At.Add(t.Duration))
			break
		}
	}
}

// judgeDelivery says how far a delivery is, by the attempts, newest first, by what the lanes hold, and by the dead letter of an
// event that was never tried.
func judgeDelivery(d *client.Delivery, s *event.Standing, tries []event.Attempt, dead []event.DeadLetter) {
	d.InFlight = s.InFlight
	coming := s.Retry || s.InFlight || s.Ahead && (d.Matched || len(tries) > 0)
	switch {
	case d.DeliveredAt != nil:
		d.State = "delivered"
		coming = s.Retry || s.InFlight // again
	case s.InFlight && len(tries) == 0:
		d.State = "pending"
	case coming && len(tries) > 0 && (s.Retry || s.InFlight || tries[0].Verdict == event.VerdictRetry):
		d.State = "retrying"
	case coming && len(tries) == 0 && s.Waiting != "":
		d.State = "waiting"
	case coming && len(tries) == 0:
		d.State = "pending"
	case len(tries) > 0 && tries[0].Verdict == event.VerdictGone:
		d.State = "gone"
	case len(tries) > 0: // also one that nobody tries again, such as of a replay that was cancelled
		d.State = "failed"
	case len(dead) > 0:
		d.State, d.LastError = "failed", dead[0].Reason
	default:
		d.State = "none"
	}
	if d.State == "failed" || d.State == "gone" || d.State == "none" || !coming {
		return
	}
	d.Waiting = s.Waiting
	if next := s.Due; s.Retry || !s.Until.IsZero() {
		if s.Until.After(next) {
			next = s.Until
		}
		d.NextAt = timePointer(next)
	}
}
