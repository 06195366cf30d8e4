package rest_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// all follows a list's pages to the end and returns its items and how many pages it took.
func all[T any](t *testing.T, on *stage, path, key string) (items []T, pages int) {
	t.Helper()
	for cursor := ""; ; pages++ {
		full := path
		if cursor != "" {
			full += "&cursor=" + cursor
		}
		page := decode[client.Page[T]](t, request{method: http.MethodGet, path: full, key: key}.do(t, on.h), 200)
		items = append(items, page.Data...)
		if cursor = page.Next; cursor == "" {
			return items, pages + 1
		}
		if pages > 10_000 {
			t.Fatal("the list does not end")
		}
	}
}

func TestSearchTenants(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for i := range 6_000 {
		description := ""
		if i == 7 || i == 5_999 {
			description = "The Needle's shop"
		}
		if _, err := on.CreateTenant(t.Context(), event.Tenant{Name: "t" + strconv.Itoa(100_000+i), Description: description}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(q string, limit int) ([]string, int) {
		list, pages := all[client.Tenant](t, on, "/v1/tenants?limit="+strconv.Itoa(limit)+"&q="+url.QueryEscape(q), "admin")
		var out []string
		for _, t := range list {
			out = append(out, t.Name)
		}
		return out, pages
	}
	want := []string{"t100007", "t105999"}
	for _, limit := range []int{1, 1000} {
		got, pages := names("nEEdle's", limit)
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
		if pages < 2 {
			t.Errorf("limit %d: 6,002 tenants in %d requests: one looked at more than it may", limit, pages)
		}
	}
	if got, _ := names("T10001", 3); len(got) != 10 {
		t.Errorf("by name: %v", got)
	}
	if got, pages := names("nobody", 100); len(got) != 0 || pages != 2 {
		t.Errorf("none: %v in %d pages", got, pages)
	}
}

func TestFilterEndpoints(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	clear(on.endpoints)
	on.view = event.LaneView{State: "live"}
	put := func(id int64, e event.Endpoint) string {
		e.ID, e.Tenant = event.EndpointID(id<<41), 1
		on.endpoints[e.ID] = e
		return e.ID.String()
	}
	all1 := put(1, event.Endpoint{URL: "https://one.example/hook"})
	orders := put(2, event.Endpoint{URL: "https://two.example/hook", Types: []string{"order.*"}, Description: "Orders of ONE shop"})
	off := put(3, event.Endpoint{URL: "https://three.example/", Types: []string{"user.made"}, Disabled: true})
	for query, want := range map[string][]string{
		"q=ONE":                       {all1, orders},
		"q=" + off[4:]:                {off},
		"q=/hook&type=user.made":      {all1},
		"type=order.paid":             {all1, orders},
		"type=user.made":              {all1, off},
		"lane=disabled":               {off},
		"lane=live":                   {all1, orders},
		"lane=waiting":                nil,
		"lane=live&type=order.paid":   {all1, orders},
		"lane=disabled&q=one":         nil,
		"q=&type=&lane=live&limit=1":  {all1, orders},
		"q=hook&limit=1&state=true":   {all1, orders},
		"q=nothing+of+the+kind&":      nil,
		"lane=disabled&type=user.out": nil,
	} {
		list, _ := all[client.Endpoint](t, on, "/v1/tenants/acme/endpoints?"+query, "reader")
		var got []string
		for _, e := range list {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	on.view = event.LaneView{State: "waiting", Waiting: "penalty"}
	if list, _ := all[client.Endpoint](t, on, "/v1/tenants/acme/endpoints?lane=waiting", "reader"); len(list) != 2 {
		t.Errorf("%d wait", len(list))
	}
	for _, query := range []string{"lane=asleep", "type=not+a+type"} {
		request{method: http.MethodGet, path: "/v1/tenants/acme/endpoints?" + query, key: "reader"}.problem(t, on.h, 422, "invalid")
	}
}

func TestFilterAPIKeys(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	list, _ := all[client.APIKey](t, on, "/v1/apikeys?limit=1&tenant=other", "admin")
	if len(list) != 1 || list[0].Name != "foreign" {
		t.Errorf("%+v", list)
	}
	list, _ = all[client.APIKey](t, on, "/v1/apikeys?tenant=acme", "admin")
	if len(list) != 3 {
		t.Errorf("%d keys of acme", len(list))
	}
	request{method: http.MethodGet, path: "/v1/apikeys?tenant=nobody", key: "admin"}.problem(t, on.h, 422, "invalid")
}

func TestFilterAttempts(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.attempts = nil
	e := event.EndpointID(1) << 41
	on.endpoints[e] = event.Endpoint{ID: e, Tenant: 1, URL: "https://one.example/"}
	statuses := []int{200, 500, 503, 0, 404}
	for i := range 6000 {
		a := event.Attempt{
			ID: int64(i + 1), Tenant: 1, Endpoint: e, Versions: []int64{1 + int64(i)%3}, At: start.Add(time.Duration(i) * time.Second),
			Status: statuses[i%len(statuses)], Verdict: event.VerdictRetry,
		}
		if a.Status == 200 {
			a.Verdict = event.VerdictDelivered
		}
		if i%2 == 1 {
			a.Endpoint++ // another one's
		}
		on.attempts = append(on.attempts, a)
	}
	on.events = []event.Event{{ID: "a", Tenant: 1, Version: 1}, {ID: "b", Tenant: 1, Version: 2}, {ID: "c", Tenant: 1, Version: 3}}
	at := func(i int) string { return start.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano) }
	base := "/v1/tenants/acme/endpoints/" + e.String() + "/attempts?limit=100&"
	for query, fits := range map[string]func(i int, a *event.Attempt) bool{
		"status=500":             func(_ int, a *event.Attempt) bool { return a.Status == 500 },
		"status=5xx":             func(_ int, a *event.Attempt) bool { return a.Status >= 500 },
		"status=none,404":        func(_ int, a *event.Attempt) bool { return a.Status == 0 || a.Status == 404 },
		"status=204":             func(int, *event.Attempt) bool { return false },
		"since=" + at(5990):      func(i int, _ *event.Attempt) bool { return i >= 5990 },
		"until=" + at(10):        func(i int, _ *event.Attempt) bool { return i < 10 },
		"event=b":                func(_ int, a *event.Attempt) bool { return a.Versions[0] == 2 },
		"event=b&status=5xx":     func(_ int, a *event.Attempt) bool { return a.Versions[0] == 2 && a.Status >= 500 },
		"event=gone":             func(int, *event.Attempt) bool { return false },
		"verdict=delivered":      func(_ int, a *event.Attempt) bool { return a.Status == 200 },
		"event=a&verdict=retry":  func(_ int, a *event.Attempt) bool { return a.Versions[0] == 1 && a.Status != 200 },
		"verdict=retry&status=0": nil,
	} {
		if fits == nil {
			request{method: http.MethodGet, path: base + query, key: "reader"}.problem(t, on.h, 422, "invalid")
			continue
		}
		var want []string
		for i, a := range slices.Backward(on.attempts) {
			if a.Endpoint == e && fits(i, &a) {
				want = append(want, event.AttemptID(a.ID))
			}
		}
		list, pages := all[client.Attempt](t, on, base+query, "reader")
		var got []string
		for _, a := range list {
			got = append(got, a.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d attempts in %d pages, want %d", query, len(got), pages, len(want))
		}
	}
	for _, query := range []string{"status=5x", "status=xx5", "status=1234", "since=" + at(5) + "&until=" + at(5), "since=soon"} {
		request{method: http.MethodGet, path: base + query, key: "reader"}.problem(t, on.h, 422, "invalid")
	}
}

// problem is a request that must be refused with a status and a code.
func (q request) problem(t *testing.T, h http.Handler, status int, code string) {
	t.Helper()
	if p := decode[client.Problem](t, q.do(t, h), status); p.Code != code {
		t.Errorf("%s: the code is %s, not %s", q.path, p.Code, code)
	}
}
