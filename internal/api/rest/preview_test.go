package rest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	previewPath = "/v1/tenants/acme/endpoints/preview"
	tryPath     = "/v1/tenants/acme/endpoints/try"
)

func (s *stage) preview(t *testing.T, body string) client.Preview {
	t.Helper()
	return decode[client.Preview](t, request{method: http.MethodPost, path: previewPath, key: "manager", body: body}.do(t, s.h), 200)
}

func TestPreviewFindsEvents(t *testing.T) {
	t.Parallel()
	on := newStage(t) // order.paid and user.created in turn, five of them
	for name, x := range map[string]struct {
		body, source, events string
		recent               client.Recent
		why                  string
	}{
		"the newest":     {`{"endpoint":{"url":"https://x"}}`, "log", "id-5", client.Recent{Of: 5, Matched: 5, NewestID: "id-5"}, ""},
		"of a type":      {`{"endpoint":{"url":"https://x","types":["user.*"]}}`, "log", "id-4", client.Recent{Of: 5, Matched: 2, NewestID: "id-4"}, ""},
		"by a filter":    {`{"endpoint":{"url":"https://x","filter":"data.n < 2"}}`, "log", "id-2", client.Recent{Of: 5, Matched: 2, NewestID: "id-2"}, ""},
		"a batch":        {`{"endpoint":{"url":"https://x","types":["order.paid"],"batch":{"max":2}}}`, "log", "id-3,id-5", client.Recent{Of: 5, Matched: 3, NewestID: "id-5"}, ""},
		"one on the log": {`{"endpoint":{"url":"https://x","types":["user.*"]},"event_id":"id-1"}`, "log", "id-1", client.Recent{Of: 5, Matched: 2, NewestID: "id-4"}, "types"},
		"a given one":    {`{"endpoint":{"url":"https://x","filter":"data.n > 7"},"event":{"id":"mine","type":"a.b","data":{"n":8}}}`, "given", "mine", client.Recent{Of: 5}, ""},
		"a given other":  {`{"endpoint":{"url":"https://x","filter":"data.n > 7"},"event":{"id":"mine","type":"a.b","data":{"n":7}}}`, "given", "mine", client.Recent{Of: 5}, "filter"},
	} {
		got := on.preview(t, x.body)
		if got.Source != x.source || strings.Join(got.Events, ",") != x.events || got.Recent != x.recent || got.Why != x.why || got.Matches != (x.why == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	made := on.preview(t, `{"endpoint":{"url":"https://x","types":["invoice.*.sent"]}}`)
	if made.Source != "made" || !made.Matches || !strings.HasPrefix(made.Events[0], "preview_") {
		t.Errorf("made up: %+v", made)
	}
	on.types["invoice.sent"] = event.Type{Tenant: 1, Name: "invoice.sent", Examples: []json.RawMessage{json.RawMessage(`{"n":1}`)}}
	if got := on.preview(t, `{"endpoint":{"url":"https://x","types":["invoice.*"],"filter":"data.n == 1"}}`); got.Source != "example" || !got.Matches {
		t.Errorf("an example: %+v", got)
	}
}

func TestPreviewNamesFieldsAsCreatingDoes(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for body, field := range map[string]string{
		`{"endpoint":{"url":"ftp://x"}}`:                                          "url",
		`{"endpoint":{}}`:                                                         "url",
		`{"endpoint":{"url":"https://x","timeout":"soon"}}`:                       "timeout",
		`{"endpoint":{"url":"https://x","order":"best"}}`:                         "order",
		`{"endpoint":{"url":"https://x","kind":"flexibee"}}`:                      "kind",
		`{"endpoint":{"url":"https://x","auth":{"type":"basic"}}}`:                "auth.username",
		`{"endpoint":{"url":"https://x","batch":{"max":900}}}`:                    "batch.max",
		`{"endpoint":{"url":"https://x"},"id":"ep_0000000000001"}`:                "id",
		`{"endpoint":{"url":"https://x"},"event_id":"nosuch"}`:                    "event_id",
		`{"endpoint":{"url":"https://x"},"event_id":"id-1","event":{"type":"a"}}`: "event_id",
		`{"endpoint":{"url":"https://x"},"event":{"type":"a..b"}}`:                "event.type",
	} {
		for _, path := range []string{previewPath, tryPath} {
			w := request{method: http.MethodPost, path: path, key: "manager", body: body}.do(t, on.h)
			p := decode[client.Problem](t, w, 422)
			if len(p.Errors) != 1 || p.Errors[0].Field != field {
				t.Errorf("%s: %+v, want the field %s", body, p.Errors, field)
			}
		}
	}
	for _, key := range []string{"reader", "publisher", "foreign"} {
		if w := (request{method: http.MethodPost, path: previewPath, key: key, body: `{"endpoint":{"url":"https://x"}}`}).do(t, on.h); w.Code != 403 {
			t.Errorf("%s: %d", key, w.Code)
		}
	}
}

// header returns a header of a shown request.
func shownHeader(o *client.Outgoing, name string) client.OutgoingHeader {
	for _, h := range o.Headers {
		if strings.EqualFold(h.Name, name) {
			return h
		}
	}
	return client.OutgoingHeader{}
}

func TestPreviewKeepsStoredSecrets(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	id, _ := event.ParseEndpointID(on.endpoint)
	e, s := on.endpoints[id], on.secrets[id]
	e.AuthType, s.Auth = "bearer", &event.Credentials{Token: "stored"}
	on.endpoints[id], on.secrets[id] = e, s
	ask := func(endpoint string) client.Outgoing {
		t.Helper()
		return on.preview(t, `{"id":"`+on.endpoint+`","endpoint":`+endpoint+`}`).Request
	}
	kept := ask(`{"url":"https://example.com/other","auth":{"type":"bearer"}}`)
	if h := shownHeader(&kept, "x-secret"); h.Value != "hush" {
		t.Errorf("headers left out are not kept: %+v", kept.Headers)
	}
	if h := shownHeader(&kept, "authorization"); h.Value != "Bearer ***" || !h.Masked {
		t.Errorf("stored credentials are shown: %+v", h)
	}
	given := ask(`{"url":"https://example.com/other","headers":{"a":"b"},"auth":{"type":"bearer","token":"new"}}`)
	if h := shownHeader(&given, "authorization"); h.Value != "Bearer new" || h.Masked || shownHeader(&given, "x-secret").Name != "" {
		t.Errorf("%+v", given.Headers)
	}
	w := request{
		method: http.MethodPost, path: tryPath, key: "manager",
		body: `{"id":"` + on.endpoint + `","endpoint":{"url":"https://elsewhere.example","auth":{"type":"bearer"}}}`,
	}.do(t, on.h)
	if p := decode[client.Problem](t, w, 422); p.Errors[0].Field != "auth.token" {
		t.Errorf("stored credentials may go to another host: %+v", p)
	}
}

func TestPreviewedBodies(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	const limit = 256 << 10
	one := func(endpoint string) client.Outgoing { return on.preview(t, `{"endpoint":`+endpoint+`}`).Request }
	on.outlook.body = strings.Repeat("x", limit-1) + "äöü"
	if got := one(`{"url":"https://x"}`); !got.Cut || got.Base64 || got.Body != strings.Repeat("x", limit-1) || got.Size != limit+5 {
		t.Errorf("cut %v, base64 %v, %d bytes of %d", got.Cut, got.Base64, len(got.Body), got.Size)
	}
	if got := one(`{"url":"https://x","batch":{"max":2}}`); got.Cut || got.Body != on.outlook.body {
		t.Errorf("a batch: cut %v, %d bytes", got.Cut, len(got.Body))
	}
	on.outlook.body = "\xff\x00"
	if got := one(`{"url":"https://x"}`); !got.Base64 || got.Body != base64.StdEncoding.EncodeToString([]byte("\xff\x00")) {
		t.Errorf("%+v", got)
	}
}

func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	try := func() *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: tryPath, key: "manager", body: `{"endpoint":{"url":"https://x"}}`}.do(t, on.h)
	}
	if got := decode[client.Tried](t, try(), 200); got.Result.Status != 204 || got.Result.Verdict != "delivered" || got.Request.URL != "https://x" || len(got.Events) != 1 {
		t.Errorf("%+v", got)
	}
	on.outlook.hold = make(chan struct{})
	first := make(chan *httptest.ResponseRecorder, 1)
	go func() { first <- try() }()
	<-on.outlook.hold
	if w := try(); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a second try at the same time: %d", w.Code)
	}
	on.outlook.hold <- struct{}{}
	if w := <-first; w.Code != 200 {
		t.Errorf("the first try: %d", w.Code)
	}
	on.outlook.hold = nil
	var last *httptest.ResponseRecorder
	for range 29 {
		last = try()
	}
	if last.Code != 429 {
		t.Errorf("the 31st try of a minute: %d", last.Code)
	}
	if w := (request{method: http.MethodPost, path: "/v1/tenants/other/endpoints/try", key: "admin", body: `{"endpoint":{"url":"https://x"}}`}).do(t, on.h); w.Code != 200 {
		t.Errorf("another tenant's: %d", w.Code)
	}
}

// crowdedLog counts how many look at the newest events at once, and holds them up until it is released.
type crowdedLog struct {
	rest.Log
	inside  chan struct{}
	release chan struct{}
}

func (l crowdedLog) Newest(ctx context.Context, tenant event.TenantID, before int64, limit int) ([]event.Event, error) {
	l.inside <- struct{}{}
	<-l.release
	return l.Log.Newest(ctx, tenant, before, limit)
}

// TestPreviewsAtOnce: previews look through the log a few at a time, however many ask.
func TestPreviewsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.seed(t)
		crowd := crowdedLog{inside: make(chan struct{}, 20), release: make(chan struct{})}
		api, _ := newAPI(t, f, func(c *rest.Config) { crowd.Log = c.Log; c.Log = crowd })
		h := api.Handler()
		var g sync.WaitGroup
		for range 20 {
			g.Go(func() {
				if w := (request{method: http.MethodPost, path: previewPath, key: "manager", body: `{"endpoint":{"url":"https://x"}}`}).do(t, h); w.Code != 200 {
					t.Errorf("%d: %s", w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		if n := len(crowd.inside); n != 4 {
			t.Errorf("%d at once", n)
		}
		close(crowd.release)
		g.Wait()
	})
}
