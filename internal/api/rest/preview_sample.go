package rest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/codec"
	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of what a preview looks at.
const (
	recentEvents = 1_000
	recentPage   = 100
	recentBytes  = 8 << 20
	recentAtOnce = 4
	sampleEvents = 10 // of a batch
	sampleBytes  = 1 << 20
	sampleTypes  = 500 // catalogued types
	sampleSource = "/posthorn/preview"
	sampleData   = `{"message":"This is an example event from Posthorn."}`
)

// sample is what a preview sends.
type sample struct {
	events []*event.Event // in version order
	source string         // as client.Preview says it
	recent client.Recent
}

// sample finds the events of a preview: those given, else the newest that are for the endpoint, else an example, else a made-up
// one. It counts the newest events in any case.
func (a *API) sample(ctx context.Context, t *event.Tenant, e *event.Endpoint, in *client.PreviewRequest) (sample, error) {
	if in.Event != nil && in.EventID != "" {
		return sample{}, invalid("event_id", "does not go with event")
	}
	s, err := a.recent(ctx, t, e)
	if err != nil {
		return s, err
	}
	switch {
	case in.Event != nil:
		ev, err := a.readSample(in.Event)
		if err != nil {
			return s, err
		}
		s.source, s.events = "given", []*event.Event{ev}
	case in.EventID != "":
		ev, err := a.Log.Event(ctx, t.ID, in.EventID)
		if event.KindOf(err) == event.KindNotFound && err != nil {
			return s, invalid("event_id", "there is no such event")
		}
		if err != nil {
			return s, err
		}
		s.source, s.events = "log", []*event.Event{&ev}
	case len(s.events) > 0:
		s.source = "log"
	default:
		ev, err := a.exampleFor(ctx, t, e)
		if err != nil {
			return s, err
		}
		s.source = "example"
		if ev == nil {
			s.source, ev = "made", madeFor(e)
		}
		s.events = []*event.Event{ev}
	}
	return s, a.complete(ctx, t, s.events)
}

// recent counts the newest events that are for an endpoint, and keeps as many of them as a request holds.
func (a *API) recent(ctx context.Context, t *event.Tenant, e *event.Endpoint) (sample, error) {
	var s sample
	select { // filters may be dear: a few of these at once, whoever asks
	case a.sampling <- struct{}{}:
		defer func() { <-a.sampling }()
	case <-ctx.Done():
		return s, ctx.Err()
	}
	kept, size := 0, 0
	for before, read := int64(0), 0; s.recent.Of < recentEvents && read < recentBytes && before != 1; {
		list, err := a.Log.Newest(ctx, t.ID, before, recentPage)
		if err != nil {
			return s, err
		}
		for i := range list {
			ev := &list[i]
			s.recent.Of++
			read += ev.Size()
			before = ev.Version
			if a.Delivery.Why(e, ev) != "" {
				continue
			}
			s.recent.Matched++
			if s.recent.NewestID == "" {
				s.recent.NewestID = ev.ID
			}
			if fits := kept < min(max(1, e.Batch.Max), sampleEvents) && size+len(ev.Data) <= sampleBytes; fits || kept == 0 {
				one := *ev
				s.events = append(s.events, &one)
				kept++
				size += len(ev.Data)
			}
		}
		if len(list) < recentPage {
			break
		}
	}
	slices.Reverse(s.events)
	return s, nil
}

// readSample decodes an event as publishing it would.
func (a *API) readSample(in *client.Event) (*event.Event, error) {
	plain := *in
	plain.Version, plain.Origin = 0, nil
	body, err := json.Marshal(plain)
	if err != nil {
		return nil, invalid("event.data", "is not valid JSON")
	}
	list, _, err := codec.DecodePublish(codec.Request{ContentType: typeJSON, Body: body}, a.Limits)
	if err != nil {
		return nil, inEvent(err)
	}
	return &list[0], nil
}

// exampleFor returns the first example of the catalogued types that an endpoint takes, nil without any.
func (a *API) exampleFor(ctx context.Context, t *event.Tenant, e *event.Endpoint) (*event.Event, error) {
	list, err := a.Control.Types(ctx, t, "", sampleTypes)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if len(list[i].Examples) == 0 || list[i].Archived {
			continue
		}
		ev := sampleOf(e, list[i].Name)
		ev.Data = list[i].Examples[0]
		if why := a.Delivery.Why(e, ev); why == "" || why == "filter" || why == "changed" {
			return ev, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// madeFor makes an event up, of a type that an endpoint takes.
func madeFor(e *event.Endpoint) *event.Event {
	name := "example.event"
	if e.Kind == event.KindFlexiBee {
		name = "example.update"
	}
	if len(e.Types) > 0 {
		segments := strings.Split(e.Types[0], ".")
		for i, s := range segments {
			if s == "*" || s == "**" {
				segments[i] = "example"
			}
		}
		name = strings.Join(segments, ".")
	}
	ev := sampleOf(e, name)
	ev.Data = []byte(sampleData)
	return ev
}

// sampleOf is an event of a type, without data.
func sampleOf(e *event.Endpoint, name string) *event.Event {
	evidence, _, _ := strings.Cut(name, ".")
	ev := &event.Event{Type: name, Subject: evidence + "/1", Version: 1}
	if len(e.Channels) > 0 {
		ev.Channels = e.Channels[:1]
	}
	return ev
}

// complete gives events that are not on the log what publishing them now would give them.
func (a *API) complete(ctx context.Context, t *event.Tenant, events []*event.Event) error {
	for _, ev := range events {
		if ev.Seq != 0 {
			continue
		}
		_, _, head, err := a.Log.Changes(ctx, t.ID, beyond, 1, 1)
		if err != nil {
			return err
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		ev.Tenant, ev.Version, ev.Received = t.ID, head+1, now
		if ev.ID == "" {
			ev.ID = "preview_" + randomHex(8)
		}
		if ev.Source == "" {
			ev.Source = sampleSource
		}
		if ev.Time.IsZero() {
			ev.Time = now
		}
	}
	return nil
}
