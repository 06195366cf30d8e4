package rest_test

import (
	"context"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/match"
)

// fakeOutlook is what the fake says of deliveries and previews.
type fakeOutlook struct {
	standings map[event.EndpointID]event.Standing
	asked     func() // when the standings are asked for
	body      string
	hold      chan struct{} // a try sends on it, and goes on when it may receive
	replays   []event.ReplayView
	cancelled []int64
}

func (f *fake) Why(e *event.Endpoint, ev *event.Event) string { return string(match.Why(e, ev)) }

func (f *fake) Standings(_ *event.Event, endpoints []*event.Endpoint) []event.Standing {
	defer f.lock()()
	if f.outlook.asked != nil {
		f.outlook.asked()
	}
	out := make([]event.Standing, len(endpoints))
	for i, e := range endpoints {
		out[i] = f.outlook.standings[e.ID]
	}
	return out
}

func (f *fake) Preview(_ context.Context, e *event.Endpoint, s *event.Secrets, events []*event.Event) (event.Outgoing, error) {
	defer f.lock()()
	out := event.Outgoing{Method: "POST", URL: e.URL, Body: []byte(f.outlook.body)}
	for _, h := range s.Headers {
		out.Headers = append(out.Headers, event.Header{Name: h.Name, Value: h.Value})
	}
	if s.Auth != nil {
		out.Headers = append(out.Headers, event.Header{Name: "authorization", Value: "Bearer " + s.Auth.Token})
	}
	ids := make([]string, len(events))
	for i, ev := range events {
		ids[i] = ev.ID
	}
	out.Headers = append(out.Headers, event.Header{Name: "events", Value: strings.Join(ids, ",")})
	return out, f.fail
}

func (f *fake) Try(ctx context.Context, e *event.Endpoint, s *event.Secrets, events []*event.Event) (event.Outgoing, event.Attempt, error) {
	out, err := f.Preview(ctx, e, s, events)
	if f.outlook.hold != nil {
		f.outlook.hold <- struct{}{}
		<-f.outlook.hold
	}
	return out, event.Attempt{Status: 204, Verdict: event.VerdictDelivered}, err
}

func (f *fake) Draft(_ context.Context, e event.Endpoint, s event.Secrets, stored *event.Endpoint) (event.Endpoint, event.Secrets, error) {
	if !strings.HasPrefix(e.URL, "http") {
		return e, s, event.Invalid("url", "must be an http or https URL")
	}
	if stored != nil {
		e.ID, e.Start = stored.ID, stored.Start
	}
	return e, s, f.fail
}

func (f *fake) Replays(event.EndpointID) []event.ReplayView {
	defer f.lock()()
	return f.outlook.replays
}

func (f *fake) CancelReplay(_ context.Context, _ event.EndpointID, id int64) error {
	defer f.lock()()
	for _, r := range f.outlook.replays {
		if r.ID == id {
			f.outlook.cancelled = append(f.outlook.cancelled, id)
			return f.fail
		}
	}
	return event.NotFound("replay")
}

func (f *fake) OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (out []event.Outcome, next int64, err error) {
	list, next, err := f.AttemptsOfEndpoint(ctx, e, nil, before, limit)
	for i := range list {
		out = append(out, list[i].Outcome())
	}
	return out, next, err
}

func (f *fake) AttemptAt(_ context.Context, t time.Time) (int64, error) {
	defer f.lock()()
	last := int64(0)
	for _, a := range f.attempts {
		if !a.At.Add(a.Duration).Before(t) {
			return a.ID, f.fail
		}
		last = a.ID
	}
	return last + 1, f.fail
}
