package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzCursor: whatever a cursor holds, the answer is a page or a 422 that names it.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "MXRhY21l", "MWUx", "!!!", "MQ", strings.Repeat("A", 700), "MXQA"} {
		f.Add(s)
	}
	fk := newFake()
	endpoint := fk.seed(f)
	api, _ := newAPI(f, fk)
	h := api.Handler()
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, path := range []string{
			"/v1/tenants", "/v1/apikeys", "/v1/tenants/acme/endpoints", "/v1/tenants/acme/events", "/v1/tenants/acme/event-types",
			"/v1/tenants/acme/endpoints/" + endpoint + "/attempts", "/v1/tenants/acme/endpoints/" + endpoint + "/dead-letters",
		} {
			w := request{method: http.MethodGet, path: path + "?cursor=" + url.QueryEscape(cursor), key: "admin"}.do(t, h)
			if w.Code == http.StatusOK {
				continue
			}
			if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"field":"cursor"`) {
				t.Errorf("%s with %q: %d %s", path, cursor, w.Code, w.Body)
			}
		}
	})
}

// FuzzPublish: whatever is published, the answer is a receipt or a problem document of the 400s.
func FuzzPublish(f *testing.F) {
	for _, s := range []string{`{"type":"a"}`, `[{"type":"a","data":[1,{"b":null}]}]`, `{"type":"a"`, `[]`, "", "\xff", `{"type":"a","id":"\u0000"}`} {
		f.Add("application/json", s)
		f.Add("application/cloudevents+json", s)
		f.Add("application/cloudevents-batch+json", s)
	}
	f.Add("text/plain; charset=\"", "x")
	fk := newFake()
	api, _ := newAPI(f, fk)
	h := api.Handler()
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/tenants/acme/events", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer publisher")
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d: no JSON: %s", w.Code, w.Body)
		}
		ok := w.Code == 200 || w.Code == 202
		if ok != (w.Header().Get("Content-Type") == "application/json") || !ok && (w.Code < 400 || w.Code > 499) {
			t.Errorf("%q %q: %d %s", contentType, body, w.Code, w.Body)
		}
	})
}

// FuzzBody: whatever the body of a write is, the answer is no 500.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"url":"http://a"}`, `{"url":"http://a","batch":{"max":2,"wait":"1s"},"retries":["1s"],"auth":{"type":"bearer","token":"t"}}`, `{"auth":null}`, `{"a":{"b":[`} {
		f.Add(s)
	}
	fk := newFake()
	endpoint := fk.seed(f)
	api, _ := newAPI(f, fk)
	h := api.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			w := request{method: method, path: "/v1/tenants/acme/endpoints/" + endpoint, key: "manager", body: body}.do(t, h)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %q: %d %s", method, body, w.Code, w.Body)
			}
		}
	})
}
