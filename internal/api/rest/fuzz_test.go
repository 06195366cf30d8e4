package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
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

// FuzzListening: whatever a listener asks for, the answer is what it asked or a problem that names what is wrong.
func FuzzListening(f *testing.F) {
	for _, s := range []string{"", "0", "7", "-1", "+7", "007", "9223372036854775806", "9223372036854775807", "4611686018427387902", "4611686018427387903", "1e3", "\u0661", "1,2"} {
		f.Add(s, "start="+url.QueryEscape(s))
		f.Add("1", "wait="+url.QueryEscape(s))
	}
	f.Add("3", "types=a.*,b&subject=x*&filter=true&event=none")
	f.Add("", "limit=2&start=2;a=b&%zz")
	f.Add("", "access_token=a&access_token=b")
	fk := newFake()
	fk.seed(f)
	fk.listening.stopped = true
	api, _ := newAPI(f, fk)
	h := api.Handler()
	f.Fuzz(func(t *testing.T, last, query string) {
		for _, path := range []string{"/v1/tenants/acme/stream", "/v1/tenants/acme/changes", "/v1/tenants/acme/socket"} {
			fk.listening.asked = nil
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.URL.RawQuery = query
			r.Header = http.Header{"Authorization": {"Bearer reader"}, "Last-Event-Id": {last}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code == http.StatusOK {
				for _, l := range fk.listening.asked {
					if l.Start < 0 || l.Start > 1<<62 || strings.HasSuffix(path, "stream") && last != "" && strconv.FormatInt(l.Start-1, 10) != strings.TrimLeft(last[:len(last)-1], "0")+last[len(last)-1:] {
						t.Errorf("%s?%s after %q: asked for %d", path, query, last, l.Start)
					}
				}
				continue
			}
			if w.Code == http.StatusNotModified || w.Code < 400 || w.Code > 426 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s?%s after %q: %d %s", path, query, last, w.Code, w.Body)
			}
		}
	})
}
