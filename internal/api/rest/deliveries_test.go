package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// tried is an attempt at the first event.
func tried(id int64, e event.EndpointID, number int, verdict event.Verdict, status int) event.Attempt {
	return event.Attempt{
		ID: id, Tenant: 1, Endpoint: e, Versions: []int64{1}, EventID: "id-1", Number: number, At: start.Add(time.Duration(id) * time.Minute),
		Duration: time.Second, Status: status, Verdict: verdict,
	}
}

func TestDeliveriesSayWhetherItArrived(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	acme := on.tenants["acme"]
	on.endpoints, on.attempts, on.dead = map[event.EndpointID]event.Endpoint{}, nil, nil
	on.outlook.standings = map[event.EndpointID]event.Standing{}
	next, until := start.Add(time.Hour), start.Add(2*time.Hour)
	id := int64(10)
	want := map[string]client.Delivery{}
	add := func(url string, change func(*event.Endpoint), s event.Standing, tries []event.Attempt, d client.Delivery) {
		e := event.Endpoint{URL: "https://" + url}
		if change != nil {
			change(&e)
		}
		saved, err := on.CreateEndpoint(t.Context(), acme, e, event.Secrets{})
		if err != nil {
			t.Fatal(err)
		}
		on.outlook.standings[saved.ID] = s
		for _, try := range tries {
			id++
			try.ID, try.Endpoint, try.At = id, saved.ID, start.Add(time.Duration(id)*time.Minute)
			on.attempts = append(on.attempts, try)
		}
		d.Matched = d.Why == ""
		want["https://"+url] = d
	}
	one := func(v event.Verdict, status int) event.Attempt { return tried(0, 0, 1, v, status) }
	retry, delivered := one(event.VerdictRetry, 500), one(event.VerdictDelivered, 200)
	add("arrived", nil, event.Standing{}, []event.Attempt{retry, delivered}, client.Delivery{State: "delivered", Attempts: 2, LastStatus: 200})
	add("again", nil, event.Standing{Retry: true, Due: next}, []event.Attempt{delivered}, client.Delivery{State: "delivered", Attempts: 1, LastStatus: 200, NextAt: &next})
	add("pending", nil, event.Standing{Ahead: true}, nil, client.Delivery{State: "pending"})
	add("sending", nil, event.Standing{Ahead: true, InFlight: true, Waiting: "penalty", Until: until}, nil, client.Delivery{State: "pending", InFlight: true, Waiting: "penalty", NextAt: &until})
	add("behind", nil, event.Standing{Retry: true, Due: next}, nil, client.Delivery{State: "pending", NextAt: &next})
	add("waiting", nil, event.Standing{Ahead: true, Waiting: "paused"}, nil, client.Delivery{State: "waiting", Waiting: "paused"})
	add("retrying", nil, event.Standing{Retry: true, Due: next, Waiting: "penalty", Until: until}, []event.Attempt{retry}, client.Delivery{State: "retrying", Attempts: 1, LastStatus: 500, Waiting: "penalty", NextAt: &until})
	add("failed", nil, event.Standing{}, []event.Attempt{retry, one(event.VerdictFailed, 500)}, client.Delivery{State: "failed", Attempts: 2, LastStatus: 500})
	add("resent", nil, event.Standing{Retry: true, InFlight: true}, []event.Attempt{one(event.VerdictFailed, 500)}, client.Delivery{State: "retrying", Attempts: 1, LastStatus: 500, InFlight: true})
	add("gone", nil, event.Standing{Waiting: "gone"}, []event.Attempt{one(event.VerdictGone, 410)}, client.Delivery{State: "gone", Attempts: 1, LastStatus: 410})
	add("passed", nil, event.Standing{}, nil, client.Delivery{State: "none"})
	add("unsaved", nil, event.Standing{Unsaved: []event.Attempt{delivered}}, nil, client.Delivery{State: "delivered", Attempts: 1, LastStatus: 200})
	add("types", func(e *event.Endpoint) { e.Types = []string{"x.*"} }, event.Standing{Ahead: true}, nil, client.Delivery{State: "none", Why: "types"})
	add("filter", func(e *event.Endpoint) { e.Filter = "false" }, event.Standing{}, []event.Attempt{delivered}, client.Delivery{State: "delivered", Why: "filter", Attempts: 1, LastStatus: 200})
	add("start", func(e *event.Endpoint) { e.Start = 1 }, event.Standing{}, nil, client.Delivery{State: "none", Why: "before_start"})
	get := func(query string) client.Deliveries {
		t.Helper()
		return decode[client.Deliveries](t, request{method: http.MethodGet, path: "/v1/tenants/acme/events/id-1/deliveries" + query, key: "reader"}.do(t, on.h), 200)
	}
	got := get("?all=true")
	if got.Event != "id-1" || got.Version != 1 || len(got.Data) != len(want) || got.Next != "" || got.Partial {
		t.Fatalf("%+v", got)
	}
	for _, d := range got.Data {
		w := want[d.URL]
		w.Endpoint, w.URL, w.FirstAt, w.LastAt, w.DeliveredAt = d.Endpoint, d.URL, d.FirstAt, d.LastAt, d.DeliveredAt
		if (d.NextAt == nil) != (w.NextAt == nil) || d.NextAt != nil && !d.NextAt.Equal(*w.NextAt) {
			t.Errorf("%s: next at %v, want %v", d.URL, d.NextAt, w.NextAt)
		}
		w.NextAt = d.NextAt
		if d != w {
			t.Errorf("got  %+v\nwant %+v", d, w)
		}
		if (d.DeliveredAt != nil) != (d.State == "delivered") || (d.FirstAt != nil) != (d.Attempts > 0) {
			t.Errorf("%s: times %v %v", d.URL, d.FirstAt, d.DeliveredAt)
		}
	}
	var all []client.Delivery
	for cursor := ""; ; {
		p := get("?all=true&limit=4" + cursor)
		all = append(all, p.Data...)
		if p.Next == "" {
			break
		}
		cursor = "&cursor=" + p.Next
	}
	if len(all) != len(want) {
		t.Errorf("in pages there are %d, want %d", len(all), len(want))
	}
	if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/events/nosuch/deliveries", key: "reader"}).do(t, on.h); w.Code != 404 {
		t.Errorf("an event that there is not: %d", w.Code)
	}
}

// Without all there are those that the event is for and those that were tried, also deleted ones; a dead letter tells of one
// that was never tried.
func TestDeliveriesOfThoseConcerned(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	acme := on.tenants["acme"]
	on.endpoints, on.attempts = map[event.EndpointID]event.Endpoint{}, nil
	given, err := on.CreateEndpoint(t.Context(), acme, event.Endpoint{URL: "https://given"}, event.Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	on.dead = []event.DeadLetter{{Tenant: 1, Endpoint: given.ID, Version: 1, At: start, Reason: "cannot be sent"}}
	on.attempts = []event.Attempt{tried(1, given.ID+77, 1, event.VerdictFailed, 500)}
	w := request{method: http.MethodGet, path: "/v1/tenants/acme/events/id-1/deliveries", key: "reader"}.do(t, on.h)
	got := decode[client.Deliveries](t, w, 200).Data
	if len(got) != 2 || got[0].URL != "https://given" || got[0].State != "failed" || got[0].LastError != "cannot be sent" ||
		!got[1].Deleted || got[1].Matched || got[1].State != "failed" || got[1].Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// What happens between the reading of attempts and the question to the lanes is not lost, however many attempts there are.
func TestDeliveriesOfMeanwhile(t *testing.T) {
	t.Parallel()
	for _, before := range []int{1, 10_000} {
		on := newStage(t)
		acme := on.tenants["acme"]
		on.endpoints, on.attempts, on.dead = map[event.EndpointID]event.Endpoint{}, nil, nil
		e, err := on.CreateEndpoint(t.Context(), acme, event.Endpoint{URL: "https://given"}, event.Secrets{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range before {
			on.attempts = append(on.attempts, tried(int64(n+1), e.ID, n+1, event.VerdictRetry, 500))
		}
		on.outlook.asked = func() {
			on.attempts = append(on.attempts, tried(int64(before+1), e.ID, before+1, event.VerdictDelivered, 200))
		}
		w := request{method: http.MethodGet, path: "/v1/tenants/acme/events/id-1/deliveries", key: "reader"}.do(t, on.h)
		got := decode[client.Deliveries](t, w, 200)
		if len(got.Data) != 1 || got.Data[0].State != "delivered" || got.Data[0].Attempts != before+1 || got.Partial != (before > 1) {
			t.Errorf("after %d attempts: %+v", before, got)
		}
	}
}
