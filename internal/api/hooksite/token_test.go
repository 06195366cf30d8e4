package hooksite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

const someID = "11111111-2222-4333-8444-555555555555"

func TestTokenLife(t *testing.T) {
	s := newServer(t, true)
	made := s.want(http.StatusCreated, "POST", "/token", `{"default_status":202,"default_content":"<b>hi</b>","default_content_type":"text/plain","timeout":0,"listen":0,
		"expiry":3600,"request_limit":7,"cors":true,"alias":"my-hook","actions":true}`)
	var got token
	made.into(t, &got)
	if got.DefaultStatus != 202 || got.DefaultContent != "<b>hi</b>" || got.DefaultContentType != "text/plain" || got.Expiry != 3600.0 || got.RequestLimit != 7 ||
		!got.CORS || got.Alias == nil || *got.Alias != "my-hook" || got.Requests != 0 || got.LatestRequestID != nil {
		t.Errorf("made %s", made.body)
	}
	if h := made.header; h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	for _, path := range []string{"/" + got.UUID, "/my-hook", "/my-hook/sub?x=1", "/b/" + got.UUID} {
		a, told := s.want(202, "POST", path, "x"), got.UUID
		if strings.HasPrefix(path, "/my-hook") {
			told = "" // who knows the id may read
		}
		if a.body != "<b>hi</b>" || a.header.Get("Content-Type") != "text/plain" || a.header.Get("X-Token-Id") != told || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %q %v", path, a.body, a.header)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s has no CORS", path)
		}
	}
	var shown token
	again := s.want(http.StatusOK, "GET", "/token/"+strings.ToUpper(got.UUID), "")
	again.into(t, &shown)
	if shown.Requests != 4 || shown.LatestRequestID == nil || shown.LatestRequestAt == nil {
		t.Errorf("shown %s", again.body)
	}
	s.want(http.StatusNotFound, "GET", "/token/my-hook", "") // an alias is what senders know: it opens nothing
	if a := s.want(http.StatusOK, "PUT", "/token/"+got.UUID+"/cors/toggle", ""); a.body != `{"enabled":false}` {
		t.Errorf("toggled: %s", a.body)
	}
	if a := s.want(http.StatusNoContent, "DELETE", "/token/"+got.UUID, ""); a.body != "" {
		t.Errorf("deleted: %q", a.body)
	}
	s.want(http.StatusNotFound, "GET", "/token/"+got.UUID, "")
	s.want(http.StatusNotFound, "POST", "/"+got.UUID, "x")
}

// A client reads a token, changes one member and writes all back: nothing else changes, not even when it ends.
func TestTokenWrittenBack(t *testing.T) {
	s := newServer(t, true)
	id := s.token(`{"expiry":3600,"alias":"again","default_content":"x"}`)
	b, err := s.bins.Bin(t.Context(), 0, id)
	if err != nil {
		t.Fatal(err)
	}
	b.Answer.Headers, b.Answer.Body = []event.Header{{Name: "X-Own", Value: "1"}, {Name: "Content-Type", Value: "image/png"}}, []byte("\xff\x00")
	b.Expires = b.Expires.Add(-time.Minute)
	before, err := s.bins.Update(t.Context(), b, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	s.want(http.StatusOK, "GET", "/token/"+id, "").into(t, &all)
	all["listen"] = "5" // their client sends what it got from its command line
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var got token
	s.want(http.StatusOK, "PUT", "/token/"+id, string(text)).into(t, &got)
	after, err := s.bins.Bin(t.Context(), 0, id)
	if err != nil {
		t.Fatal(err)
	}
	if after.Hold != 5*time.Second || got.Listen != 5 {
		t.Errorf("hold %v, listen %d", after.Hold, got.Listen)
	}
	if !after.Expires.Equal(before.Expires) || string(after.Answer.Body) != "\xff\x00" || after.Alias != "again" || after.Keep != before.Keep ||
		!slices.Contains(after.Answer.Headers, event.Header{Name: "X-Own", Value: "1"}) || !slices.Contains(after.Answer.Headers, event.Header{Name: "Content-Type", Value: "image/png"}) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

func TestTokenRefusals(t *testing.T) {
	s := newServer(t, false)
	for _, c := range []struct {
		body, field string
	}{
		{`{"default_status":199}`, "default_status"},
		{`{"default_status":"abc"}`, "default_status"},
		{`{"timeout":31}`, "timeout"},
		{`{"timeout":-1}`, "timeout"},
		{`{"listen":11}`, "listen"},
		{`{"request_limit":10001}`, "request_limit"},
		{`{"request_limit":0}`, "request_limit"},
		{`{"expiry":-1}`, "expiry"},
		{`{"expiry":99999999999}`, "expiry"},
		{`{"alias":"a b"}`, "alias"},
		{`{"alias":"ab"}`, "alias"},
		{`{"alias":"METRICS"}`, "alias"},
		{`{"default_content_type":"a\r\nb"}`, "default_content_type"},
	} {
		a := s.want(http.StatusUnprocessableEntity, "POST", "/token", c.body, "Api-Key", keyOfOne)
		var p struct {
			Success bool
			Message string
			Error   struct{ Message string }
			Errors  map[string][]string
		}
		a.into(t, &p)
		if len(p.Errors[c.field]) == 0 || p.Message == "" || p.Error.Message == "" || p.Success {
			t.Errorf("%s: %s", c.body, a.body)
		}
	}
	for _, body := range []string{"[]", "null", `{"a":`, "7"} {
		s.want(http.StatusBadRequest, "POST", "/token", body, "Api-Key", keyOfOne)
	}
	s.want(http.StatusMethodNotAllowed, "PATCH", "/token", "", "Api-Key", keyOfOne)
	s.want(http.StatusNotFound, "GET", "/token/x/y/z/w", "", "Api-Key", keyOfOne)
	s.token(`{"alias":"taken"}`, "Api-Key", keyOfOne)
	s.want(http.StatusConflict, "POST", "/token", `{"alias":"taken"}`, "Api-Key", keyOfTwo)
}

// Forms do as well as JSON, and a body is not needed.
func TestTokenForms(t *testing.T) {
	s := newServer(t, true)
	var got token
	s.want(http.StatusCreated, "POST", "/token", "default_status=418&cors=1&default_content=a+b", "Content-Type", "application/x-www-form-urlencoded").into(t, &got)
	if got.DefaultStatus != 418 || !got.CORS || got.DefaultContent != "a b" {
		t.Errorf("%+v", got)
	}
	s.want(http.StatusCreated, "POST", "/token", "")
}

// Who may do what: see the package's page in the docs.
func TestAccess(t *testing.T) {
	for _, anonymous := range []bool{false, true} {
		s := newServer(t, anonymous)
		first := map[bool]int{false: http.StatusUnauthorized, true: http.StatusCreated}[anonymous]
		s.want(first, "POST", "/token", "")
		s.want(http.StatusUnauthorized, "POST", "/token", "", "Api-Key", "wrong")
		s.want(http.StatusForbidden, "POST", "/token", "", "Api-Key", keyReading)
		ones := s.token("", "Authorization", "Bearer "+keyOfOne)
		nobodys := s.token("", "Api-Key", keyAdmin)
		for _, id := range []string{ones, nobodys} {
			s.want(http.StatusOK, "POST", "/"+id, "hello")
			for _, path := range []string{"", "/requests", "/request/latest", "/request/latest/raw", "/requests/export"} {
				s.want(http.StatusOK, "GET", "/token/"+id+path, "") // its ID is the proof
				s.want(http.StatusUnauthorized, "GET", "/token/"+id+path, "", "Api-Key", "wrong")
			}
		}
		open := map[bool]int{false: http.StatusUnauthorized, true: http.StatusOK}[anonymous]
		foreign := map[bool]int{false: http.StatusForbidden, true: http.StatusOK}[anonymous]
		for _, c := range []struct {
			id, key string
			status  int
		}{
			{ones, "", http.StatusUnauthorized},
			{ones, keyOfTwo, http.StatusForbidden},
			{ones, keyReading, http.StatusForbidden},
			{ones, keyOfOne, http.StatusOK},
			{ones, keyAdmin, http.StatusOK},
			{nobodys, "", open},
			{nobodys, keyOfOne, foreign},
			{nobodys, keyAdmin, http.StatusOK},
		} {
			for _, change := range [][3]string{{"PUT", "", `{"default_status":201}`}, {"PUT", "/request/latest", `{"note":"n"}`}, {"PUT", "/cors/toggle", ""}, {"DELETE", "/request?query=nothing-has-this", ""}} {
				s.want(c.status, change[0], "/token/"+c.id+change[1], change[2], "Api-Key", c.key)
			}
		}
		s.want(http.StatusUnauthorized, "GET", "/token", "")
		for key, n := range map[string]int{keyOfOne: 1, keyReading: 1, keyOfTwo: 0, keyAdmin: map[bool]int{false: 2, true: 3}[anonymous]} {
			var list struct{ Total int }
			s.want(http.StatusOK, "GET", "/token", "", "Api-Key", key).into(t, &list)
			if list.Total != n {
				t.Errorf("%s lists %d, want %d", key, list.Total, n)
			}
		}
	}
}

func TestTokenList(t *testing.T) {
	s := newServer(t, false)
	var made []string
	for i := range 5 {
		made = append(made, s.token(fmt.Sprintf(`{"alias":"list-%d"}`, i), "Api-Key", keyOfOne))
	}
	var got tokenList
	s.want(http.StatusOK, "GET", "/token?per_page=2&page=2", "", "Api-Key", keyOfOne).into(t, &got)
	if got.Total != 5 || got.LastPage != 3 || len(got.Data) != 2 || got.From == nil || *got.From != 3 || *got.To != 4 || got.Next == nil || got.Previous == nil || got.Data[0].UUID != made[2] {
		t.Errorf("%+v", got)
	}
	s.want(http.StatusOK, "GET", "/token?per_page=2&page=1&order_direction=desc", "", "Api-Key", keyOfOne).into(t, &got)
	if got.Data[0].UUID != made[4] || got.Previous != nil {
		t.Errorf("%+v", got)
	}
	s.want(http.StatusUnprocessableEntity, "GET", "/token?page=x", "", "Api-Key", keyOfOne)
}

// Without a key only so many are made, and they end by themselves.
func TestAnonymousBounds(t *testing.T) {
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	s := newServer(t, true, func(c *inspect.Config) { c.Clock = clock })
	s.api.Clock = clock
	for range makeBurst {
		s.want(http.StatusCreated, "POST", "/token", "")
	}
	a := s.want(http.StatusTooManyRequests, "POST", "/token", "")
	if a.header.Get("Retry-After") == "" {
		t.Errorf("headers %v", a.header)
	}
	s.want(http.StatusTooManyRequests, "GET", "/new", "")
	s.want(http.StatusTooManyRequests, "POST", "/some-channel", "{}")
	s.want(http.StatusCreated, "POST", "/token", "", "Api-Key", keyOfOne)
	offset.Add(int64(makeInterval))
	var got token
	s.want(http.StatusCreated, "POST", "/token", "").into(t, &got)
	if got.Expiry != float64(maxExpiry) {
		t.Errorf("it lives %v", got.Expiry)
	}
	s.want(http.StatusUnprocessableEntity, "PUT", "/token/"+got.UUID, `{"expiry":604801}`)
	s.want(http.StatusOK, "PUT", "/token/"+got.UUID, `{"expiry":null}`)
	s.want(http.StatusOK, "GET", "/token/"+got.UUID, "").into(t, &got)
	if got.Expiry != float64(maxExpiry) {
		t.Errorf("after null it lives %v", got.Expiry)
	}
}

func TestLimiterForgets(t *testing.T) {
	var l limiter
	l.init()
	now := time.Now()
	for i := range maxAddresses + 10 {
		if err := l.take(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.full) > maxAddresses {
		t.Errorf("%d addresses are kept", len(l.full))
	}
	for i := range makeBurst + 1 {
		err := l.take(fmt.Sprintf("2001:db8:ffff:1::%x", i+1), now) // one household
		if (err != nil) != (i == makeBurst) {
			t.Errorf("the %dth of one network: %v", i+1, err)
		}
	}
}

func TestOwns(t *testing.T) {
	s := newServer(t, false)
	for path, want := range map[string]bool{
		"/token": true, "/token/x": true, "/tokens": true, "/new": true, "/socket.io/": true, "/" + someID: true, "/" + someID + "/404": true, "/a_B-9/x.y": true,
		"/": false, "/v1": false, "/v1/bins": false, "/b/x": false, "/in/x/y": false, "/t/x/y": false, "/ui/": false, "/UI": false, "/docs": false,
		"/healthz": false, "/metrics": false, "/favicon.ico": false, "/robots.txt": false, "/.well-known/x": false, "/a%20b": false, "/c/x/changes.json": false,
		"/client/x.js": false, "/" + strings.Repeat("a", 129): false, "/socket.io/x": false, "//x": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.api.Owns(r); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
