package rest_test

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// fakeOverviews shows the same of everybody. Whoever watches gets one of each, and then the end.
type fakeOverviews struct{ f *fake }

func (x fakeOverviews) Overview(context.Context, event.TenantID) (event.Overview, error) {
	defer x.f.lock()()
	took := event.Percentiles{Known: true, P50: time.Millisecond, P95: 2 * time.Millisecond, P99: 3 * time.Millisecond}
	ep := &event.Endpoint{ID: 1 << 41, Tenant: 1, URL: "https://example.com/"}
	return event.Overview{
		At: start, Since: start, Window: 15 * time.Minute, Step: 5 * time.Second, Start: start,
		Figures:   event.Figures{Events: 3, Attempts: 4, Delivered: 3, Retry: 1, Succeeded: 3, Took: took},
		Endpoints: 5, Lanes: event.LaneCounts{Live: 1, Waiting: 2, Reasons: map[string]int{"penalty": 1, "gone": 1, "offline": 0}, Idle: 2, InFlight: 1, Retries: 7, Oldest: event.LaneOldest{At: start, Endpoint: ep}},
		Streams: 2, Series: []event.FigureSlot{{}, {Known: true, Events: 3, Took: took}, {Known: true}},
		Attention: []event.Attention{
			{Tenant: 1, Endpoint: ep.ID, URL: ep.URL, Reason: event.AttentionGone, Since: start, LastStatus: 410},
			{Tenant: 1, Endpoint: ep.ID + 1, Kind: event.KindTunnel, URL: "tunnel:x", Reason: event.AttentionOffline, Backlog: 2},
			{Tenant: 99, Endpoint: ep.ID + 2, URL: ep.URL, Reason: event.AttentionPenalty}, // of a tenant that was deleted meanwhile
		},
	}, x.f.fail
}

func (x fakeOverviews) Watch(tenant event.TenantID, _ *event.APIKey) (next func(context.Context) (event.OverviewNews, error), leave func(), err error) {
	o, err := x.Overview(context.Background(), tenant)
	if err != nil {
		return nil, nil, err
	}
	list := []event.OverviewNews{{Overview: &o}, {Tick: &event.Tick{At: start, Figures: o.Figures, Lanes: o.Lanes}}, {Attention: []event.Attention{}}}
	return func(context.Context) (event.OverviewNews, error) {
		if len(list) == 0 {
			return event.OverviewNews{}, event.Errorf(event.KindUnauthorized, "unauthorized", "the key was revoked")
		}
		news := list[0]
		list = list[1:]
		return news, nil
	}, func() {}, nil
}

// fakeStreams has one connection, of acme, and two polls.
type fakeStreams struct{ f *fake }

func (x fakeStreams) List(tenant event.TenantID, after int64, limit int) []event.StreamView {
	defer x.f.lock()()
	var out []event.StreamView
	for id := int64(1); id <= 3 && tenant == 1 && len(out) < limit; id++ {
		if id <= after {
			continue
		}
		s := event.StreamView{ID: id, Kind: "poll", By: &event.APIKey{Token: "tok_1"}, Since: start, Head: 7, Version: 5, Subscriptions: 1}
		if id == 1 {
			s = event.StreamView{
				ID: 1, Kind: "websocket", Address: "192.0.2.1", UserAgent: "x/1", By: &event.APIKey{ID: 1 << 41, Name: "shop"}, Since: start,
				Subscriptions: 2, Sent: 9, Head: 7, Version: 7, Selection: event.Selection{Types: []string{"a"}, Filter: "true"},
			}
		}
		out = append(out, s)
	}
	return out
}

func (x fakeStreams) End(tenant event.TenantID, id int64) error {
	defer x.f.lock()()
	switch {
	case x.f.fail != nil:
		return x.f.fail
	case tenant != 1 || id > 3:
		return event.NotFound("stream")
	}
	return nil
}
