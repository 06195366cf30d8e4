package rest_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

func TestReplaysAreCountedBefore(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	id, _ := event.ParseEndpointID(on.endpoint)
	e := on.endpoints[id]
	e.Types, e.Start = []string{"order.paid"}, 4 // what is older is replayed, too
	on.endpoints[id] = e
	path := "/v1/tenants/acme/endpoints/" + on.endpoint + "/replay"
	post := func(body string, status int) client.Replay {
		t.Helper()
		return decode[client.Replay](t, request{method: http.MethodPost, path: path, key: "manager", body: body}.do(t, on.h), status)
	}
	for body, want := range map[string]int64{
		`{"from_version":1,"dry_run":true}`:                                  3,
		`{"from_version":2,"dry_run":true}`:                                  2,
		`{"from_version":1,"until":"2026-01-02T03:04:07Z","dry_run":true}`:   1,
		`{"from_version":1,"only":"failed","dry_run":true}`:                  1, // the other dead letter is beyond
		`{"from_version":3,"only":"failed","dry_run":true}`:                  0,
		`{"since":"2026-01-02T03:04:08Z","dry_run":true}`:                    1,
		`{"from_version":1,"only":"all","dry_run":true,"since":null}`:        3,
		`{"from_version":4,"until":"2026-01-02T04:04:07Z","dry_run":true}`:   1,
		`{"from_version":2,"until":"2026-01-02T03:04:06.8Z","dry_run":true}`: 0,
	} {
		got := post(body, 200)
		if got.Matching == nil || *got.Matching != want || got.Exact == nil || !*got.Exact || got.ID != "" || got.State != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if len(on.replays) != 0 {
		t.Errorf("a dry run began replays: %v", on.replays)
	}
	if got := post(`{"from_version":1,"only":"failed"}`, 202); got.ID == "" || on.replays[0].Matching != 1 || got.Exact != nil {
		t.Errorf("%+v, %+v", got, on.replays)
	}
	if w := (request{method: http.MethodPost, path: path, key: "reader", body: `{"from_version":1,"dry_run":true}`}).do(t, on.h); w.Code != 403 {
		t.Errorf("a reader: %d", w.Code)
	}
}

func TestReplaysAreShownAndCancelled(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.outlook.replays = []event.ReplayView{
		{ID: 1 << 44, From: 11, To: 20, Cursor: 15, State: event.ReplayRunning, Started: start, Matching: 7, OnlyFailed: true},
		{ID: 2 << 44, From: 11, To: 20, Cursor: 20, State: event.ReplayRunning, Retries: 2},
		{ID: 3 << 44, From: 11, To: 20, Cursor: 20, Sent: 4, State: event.ReplayDone, Started: start, Ended: start.Add(time.Minute)},
		{ID: 4 << 44, From: 11, To: 20, Cursor: 10, State: event.ReplayCancelled, Ended: start},
	}
	path := "/v1/tenants/acme/endpoints/" + on.endpoint + "/replays"
	list := decode[client.Page[client.Replay]](t, request{method: http.MethodGet, path: path, key: "reader"}.do(t, on.h), 200).Data
	for i, want := range []float64{0.5, 0.99, 1, 0} {
		if list[i].Progress != want || list[i].State != on.outlook.replays[i].State {
			t.Errorf("%d: %+v", i, list[i])
		}
	}
	if list[0].Matching == nil || *list[0].Matching != 7 || list[0].Ended != nil || list[2].Ended == nil || list[1].Matching != nil || list[1].Retries != 2 {
		t.Errorf("%+v", list)
	}
	do := func(method, id, key string) int {
		return request{method: method, path: path + "/" + id, key: key}.do(t, on.h).Code
	}
	if got := decode[client.Replay](t, request{method: http.MethodGet, path: path + "/" + list[2].ID, key: "reader"}.do(t, on.h), 200); got.Sent != 4 {
		t.Errorf("%+v", got)
	}
	if got := [...]int{do("GET", "rpl_0000000000001", "reader"), do("DELETE", "rpl_0000000000001", "manager"), do("DELETE", "x", "manager"), do("DELETE", list[0].ID, "reader"), do("DELETE", list[0].ID, "manager")}; got != [...]int{404, 404, 404, 403, 204} {
		t.Errorf("%v", got)
	}
	if len(on.outlook.cancelled) != 1 || on.outlook.cancelled[0] != 1<<44 {
		t.Errorf("%v", on.outlook.cancelled)
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	base := start.Truncate(time.Hour)
	for i, minute := range []int{0, 1, 1, 30, 59} {
		on.events[i].Received = base.Add(time.Duration(minute) * time.Minute)
	}
	get := func(query string) client.Histogram {
		t.Helper()
		return decode[client.Histogram](t, request{method: http.MethodGet, path: "/v1/tenants/acme/histogram" + query, key: "reader"}.do(t, on.h), 200)
	}
	counts := func(h client.Histogram) string {
		t.Helper()
		var list []int64
		var sum int64
		for i, b := range h.Buckets {
			list = append(list, b.Count)
			sum += b.Count
			if want := h.Since.Add(time.Duration(i) * time.Duration(h.StepMS) * time.Millisecond); !b.At.Equal(want) || !b.At.Before(h.Until) {
				t.Errorf("bucket %d is at %s, not %s", i, b.At, want)
			}
		}
		if sum != h.Count {
			t.Errorf("the buckets hold %d, not %d", sum, h.Count)
		}
		text, _ := json.Marshal(list)
		return string(text)
	}
	hour := "since=" + base.Format(time.RFC3339) + "&until=" + base.Add(time.Hour).Format(time.RFC3339)
	if h := get("?buckets=6&" + hour); counts(h) != "[3,0,0,1,0,1]" || h.StepMS != 600_000 || h.FirstVersion != 1 || h.LastVersion != 5 {
		t.Errorf("%+v", h)
	}
	if h := get("?buckets=7&" + hour); len(h.Buckets) != 7 || counts(h) != "[3,0,0,1,0,0,1]" || h.StepMS != 514_286 {
		t.Errorf("a step that is no whole number: %+v", h)
	}
	if h := get("?buckets=500&since=" + base.Add(time.Minute).Format(time.RFC3339) + "&until=" + base.Add(time.Minute+10*time.Millisecond).Format(time.RFC3339Nano)); h.StepMS != 1 || len(h.Buckets) != 10 || h.Count != 2 || h.FirstVersion != 2 {
		t.Errorf("fewer buckets than asked for: %+v", h)
	}
	if h := get(""); h.Count != 5 || !h.Since.Equal(base) || len(h.Buckets) != 100 || h.Buckets[0].Count != 5 {
		t.Errorf("the whole log: %+v", h)
	}
	if h := get("?until=" + base.Format(time.RFC3339)); h.Count != 0 || len(h.Buckets) != 0 || h.FirstVersion != 0 {
		t.Errorf("before all: %+v", h)
	}
	on.oldest = 4
	if h := get("?buckets=6&" + hour); counts(h) != "[0,0,0,1,0,1]" && h.Count != 2 {
		t.Errorf("what is no longer kept is counted: %+v", h)
	}
	on.events, on.oldest = nil, 1
	if h := get(""); h.Count != 0 || len(h.Buckets) != 0 {
		t.Errorf("an empty log: %+v", h)
	}
	for _, query := range []string{
		"since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since=0002-01-01T00:00:00Z", "until=9999-01-01T00:00:00Z&since=2026-01-01T00:00:00Z",
	} {
		if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/histogram?" + query, key: "reader"}).do(t, on.h); w.Code != 422 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}
