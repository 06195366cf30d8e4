package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const workPath = "/v1/tenants/acme/queues/work"

func TestPutQueue(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	put := func(path, body string, header ...string) *httptest.ResponseRecorder {
		return request{method: http.MethodPut, path: path, key: "manager", body: body, header: header}.do(t, on.h)
	}
	made := put(workPath+"-new", `{}`)
	q := decode[client.Queue](t, made, 201)
	if q.Name != "work-new" || q.Order != "" || *q.MaxDeliveries != 5 || made.Header().Get("Location") != workPath+"-new" || made.Header().Get("ETag") == "" {
		t.Errorf("%+v %v", q, made.Header())
	}
	again := put(workPath+"-new", `{"name":"work-new","max_deliveries":0,"description":"d"}`, "If-Match", made.Header().Get("ETag"))
	if q = decode[client.Queue](t, again, 200); *q.MaxDeliveries != 0 || q.Description != "d" || again.Header().Get("Location") != "" {
		t.Errorf("%+v", q)
	}
	if w := put(workPath+"-new", `{}`, "If-Match", made.Header().Get("ETag")); w.Code != 412 {
		t.Errorf("an old ETag: %d %s", w.Code, w.Body)
	}
	if w := put(workPath+"-none", `{}`, "If-Match", "*"); w.Code != 412 {
		t.Errorf("If-Match without a queue: %d %s", w.Code, w.Body)
	}
	for header, status := range map[string]int{"*": 412, `"3"`: 422} {
		if w := put(workPath, `{"description":"replaced"}`, "If-None-Match", header); w.Code != status {
			t.Errorf("If-None-Match: %s with a queue: %d %s", header, w.Code, w.Body)
		}
	}
	if w := put(workPath+"-newer", `{}`, "If-None-Match", "*"); w.Code != 201 {
		t.Errorf("If-None-Match: * without a queue: %d %s", w.Code, w.Body)
	}
	// What was read can be written back.
	read := request{method: http.MethodGet, path: workPath, key: "manager"}.do(t, on.h)
	if w := put(workPath, read.Body.String(), "If-Match", read.Header().Get("ETag")); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for field, body := range map[string]string{
		"name": `{"name":"other"}`, "order": `{"order":"strict"}`, "visibility": `{"visibility":"soon"}`, "max_deliveries": `{"max_deliveries":1001}`,
		"max_open": `{"max_open":10001}`, "start": `{"start":0}`, "colour": `{"colour":"red"}`,
	} {
		w := put(workPath, body)
		p := decode[client.Problem](t, w, 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
}

func TestQueueScopes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.bearer("narrow", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead, event.AllowManage}, Token: "t", Only: &event.Selection{Types: []string{"a"}}})
	for _, c := range []struct {
		key, method, path, body string
		status                  int
	}{
		{"reader", "GET", "", "", 200},
		{"reader", "POST", "/lease", "", 200},
		{"reader", "POST", "/ack", `{"receipts":["a"]}`, 200},
		{"reader", "POST", "/nack", `{"receipts":["a"]}`, 200},
		{"reader", "POST", "/extend", `{"receipts":["a"]}`, 200},
		{"reader", "GET", "/dead", "", 200},
		{"reader", "GET", "/leases", "", 200},
		{"publisher", "GET", "/leases", "", 403},
		{"narrow", "GET", "/leases", "", 403},
		{"reader", "POST", "/dead/retry", "", 403},
		{"reader", "PUT", "", "{}", 403},
		{"reader", "DELETE", "", "", 403},
		{"publisher", "POST", "/lease", "", 403},
		{"foreign", "POST", "/lease", "", 403},
		{"narrow", "POST", "/lease", "", 403},
		{"narrow", "GET", "", "", 403},
		{"narrow", "PUT", "", "{}", 403},
		{"manager", "POST", "/dead/retry", "", 200},
		{"manager", "DELETE", "", "", 204},
	} {
		if w := (request{method: c.method, path: workPath + c.path, key: c.key, body: c.body}).do(t, on.h); w.Code != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.key, c.method, c.path, w.Code, c.status, w.Body)
		}
	}
}

// TestQueueLeases lists who has leased events, in pages.
func TestQueueLeases(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	list := func(query string) client.Page[client.QueueLease] {
		return decode[client.Page[client.QueueLease]](t, request{method: http.MethodGet, path: workPath + "/leases" + query, key: "reader"}.do(t, on.h), 200)
	}
	first := list("?limit=2")
	rest := list("?limit=2&cursor=" + first.Next)
	if len(first.Data) != 2 || len(rest.Data) != 1 || rest.Next != "" {
		t.Fatalf("%+v %+v", first, rest)
	}
	l := first.Data[0]
	e := on.events[0]
	if l.Version != 1 || l.ID != e.ID || l.Type != e.Type || l.Deliveries != 2 || l.By == nil || *l.By != (client.Caller{Kind: event.ByKey, ID: "key_1", Name: "workers"}) ||
		l.Consumer != "host-1" || !l.Expires.Equal(start.Add(time.Minute)) {
		t.Errorf("%+v", l)
	}
	if old := rest.Data[0]; old.Version != 3 || old.By != nil || old.Consumer != "" { // leased before holders were kept
		t.Errorf("%+v", old)
	}
	if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/queues/none/leases", key: "reader"}).do(t, on.h); w.Code != 404 {
		t.Errorf("of no queue: %d", w.Code)
	}
	if w := (request{method: http.MethodGet, path: "/v1/tenants/acme/streams?cursor=" + first.Next, key: "reader"}).do(t, on.h); w.Code != 422 {
		t.Errorf("its cursor on another list: %d", w.Code)
	}
	on.bearer("a-token", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowRead}})
	request{method: http.MethodGet, path: workPath + "/leases", key: "a-token"}.problem(t, on.h, 403, "forbidden")
}

func TestLeaseEvents(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.events[0].Data = []byte(`{"n": 1.0}`)
	post := func(path, body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: workPath + path, key: "reader", body: body}.do(t, on.h)
	}
	w := post("/lease", `{"max":2,"wait":"20s","visibility":"1m","consumer":"host-1"}`)
	got := decode[client.LeasedEvents](t, w, 200)
	if len(got.Events) != 2 || got.Events[0].Receipt == "" || got.Events[0].Deliveries != 1 || got.Events[1].Event.Version != 2 ||
		!got.Events[0].Expires.Equal(start.Add(time.Minute)) || !strings.Contains(w.Body.String(), `{"n": 1.0}`) {
		t.Errorf("%s", w.Body)
	}
	reader := on.bearers["reader"]
	by := event.LeaseHolder{Kind: reader.Kind, ID: reader.Who(), Name: reader.Name}
	if ask := on.queues.asked[0]; ask != (event.LeaseAsk{Max: 2, Wait: 20 * time.Second, Visibility: time.Minute, By: event.LeaseHolder{Kind: by.Kind, ID: by.ID, Name: by.Name, Consumer: "host-1"}}) {
		t.Errorf("%+v", ask)
	}
	if got := decode[client.LeasedEvents](t, post("/lease", ""), 200); len(got.Events) != 1 || on.queues.asked[1] != (event.LeaseAsk{Max: 1, By: by}) {
		t.Errorf("%+v %+v", got, on.queues.asked[1])
	}
	for field, body := range map[string]string{
		"max": `{"max":1001}`, "wait": `{"wait":"61s"}`, "visibility": `{"visibility":"13h"}`, "consumer": `{"consumer":"a\u0000b"}`,
	} {
		if p := decode[client.Problem](t, post("/lease", body), 422); len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	// A key that ends soon does not wait longer.
	k := on.bearers["reader"]
	k.Expires = time.Now().Add(time.Second)
	on.bearers["reader"] = k
	_ = decode[client.LeasedEvents](t, post("/lease", `{"wait":"1m"}`), 200)
	if ask := on.queues.asked[2]; ask.Wait <= 0 || ask.Wait > time.Second {
		t.Errorf("%+v", ask)
	}
	if w := (request{method: http.MethodPost, path: "/v1/tenants/acme/queues/none/lease", key: "admin"}).do(t, on.h); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSettleLeases(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	post := func(path, body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: workPath + path, key: "reader", body: body}.do(t, on.h)
	}
	got := decode[client.Settled](t, post("/ack", `{"receipts":["a","lost","no receipt","b"]}`), 200)
	if got.Done != 2 || len(got.Errors) != 2 || got.Errors[0].Receipt != "lost" || got.Errors[0].Code != "lease_lost" || got.Errors[0].Detail == "" ||
		got.Errors[1].Receipt != "no receipt" || got.Errors[1].Code != "invalid_receipt" {
		t.Errorf("%+v", got)
	}
	if w := post("/ack", `{"receipts":["a"]}`); !strings.Contains(w.Body.String(), `"errors":[]`) {
		t.Errorf("%s", w.Body)
	}
	_ = decode[client.Settled](t, post("/nack", `{"receipts":["a"],"delay":"10s"}`), 200)
	ext := decode[client.Extended](t, post("/extend", `{"receipts":["a"],"visibility":"2m"}`), 200)
	if on.queues.delays[0] != 10*time.Second || on.queues.delays[1] != 2*time.Minute || !ext.Expires.Equal(start.Add(2*time.Minute)) {
		t.Errorf("%v %+v", on.queues.delays, ext)
	}
	many, err := json.Marshal(map[string]any{"receipts": make([]string, 1001)})
	if err != nil {
		t.Fatal(err)
	}
	for body, field := range map[string]string{string(many): "receipts", `{"receipts":[]}`: "receipts", `{}`: "receipts"} {
		if p := decode[client.Problem](t, post("/ack", body), 422); len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%+v", p)
		}
	}
	if p := decode[client.Problem](t, post("/nack", `{"receipts":["a"],"delay":"13h"}`), 422); p.Errors[0].Field != "delay" {
		t.Errorf("%+v", p)
	}
}

func TestQueueState(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		return request{method: http.MethodGet, path: path, key: "reader", header: header}.do(t, on.h)
	}
	first := get(workPath)
	q := decode[client.Queue](t, first, 200)
	if s := q.State; s == nil || s.Depth != 8 || s.Leased != 1 || s.Parked != 1 || s.Dead != 2 || s.Oldest == nil || s.Age <= 0 {
		t.Errorf("%s", first.Body)
	}
	if w := get(workPath, "If-None-Match", first.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("%d: the age alone is no change", w.Code)
	}
	on.queues.view.Depth++
	if w := get(workPath, "If-None-Match", first.Header().Get("ETag")); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	list := decode[client.Page[client.Queue]](t, get("/v1/tenants/acme/queues"), 200)
	if len(list.Data) != 1 || list.Data[0].State != nil {
		t.Errorf("%+v", list)
	}
	if list = decode[client.Page[client.Queue]](t, get("/v1/tenants/acme/queues?state=true"), 200); list.Data[0].State == nil {
		t.Errorf("%+v", list)
	}
}

func TestQueueDeadLetters(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	path := workPath + "/dead?limit=1"
	w := request{method: http.MethodGet, path: path, key: "reader"}.do(t, on.h)
	first := decode[client.Page[client.QueueDeadLetter]](t, w, 200)
	if len(first.Data) != 1 || first.Data[0].Event == nil || first.Data[0].Event.ID != "id-1" || first.Data[0].Deliveries != 5 || first.Next == "" {
		t.Errorf("%s", w.Body)
	}
	w = request{method: http.MethodGet, path: path + "&cursor=" + first.Next, key: "reader"}.do(t, on.h)
	second := decode[client.Page[client.QueueDeadLetter]](t, w, 200)
	if len(second.Data) != 1 || second.Data[0].Event != nil || second.Data[0].Version != 99 || second.Next != "" {
		t.Errorf("%s", w.Body)
	}
	retry := func(body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: workPath + "/dead/retry", key: "manager", body: body}.do(t, on.h)
	}
	for body, want := range map[string]int{"": 0, "{}": 0, `{"versions":[1,2]}`: 2} {
		on.queues.retried = nil
		if got := decode[client.DeadRetried](t, retry(body), 200); got.Retried != 2 || len(on.queues.retried[0]) != want {
			t.Errorf("%s: %+v %v", body, got, on.queues.retried)
		}
	}
	if w := retry(`{"versions":[]}`); w.Code != 422 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
