package live

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

func TestSocketRefuses(t *testing.T) {
	h, log, _ := socketHub(t, func(c *Config) { c.Socket.MaxSubscriptions = 2 })
	for range 10 {
		log.append(acme.ID, note("a", "x"))
	}
	log.trim(acme.ID, 5)
	readOnly := &event.APIKey{ID: 3, Allow: []event.Permission{event.AllowRead}}
	p := dial(t, sockets(t, h, readOnly), wire.JSON, websocket.CompressionDisabled)
	for _, tt := range []struct{ message, name, code, field string }{
		{`{"type":"subscribe","id":"a","types":["*.**.x.["]}`, "a", "invalid", "types[0]"},
		{`{"type":"subscribe","id":"a","filter":"1 +"}`, "a", "invalid", "filter"},
		{`{"type":"subscribe","id":"a","window":0}`, "a", "invalid", "window"},
		{`{"type":"subscribe","id":"a","start":3}`, "a", "gone", "start"},
		{`{"type":"subscribe","id":"a","start":99}`, "a", "start_beyond_head", "start"},
		{`{"type":"unsubscribe","id":"a"}`, "a", "not_found", ""},
		{`{"type":"ack","id":"a","version":1}`, "a", "not_found", ""},
		{`{"type":"publish","ref":"r","event":{"type":"a"}}`, "r", "forbidden", ""},
		{`{"type":"nosuch","ref":"r"}`, "r", "invalid", "type"},
		{`{}`, "", "invalid", "type"},
	} {
		p.say(tt.message)
		if r := p.expect("error", tt.name); r.Problem.Code != tt.code || r.Problem.Field != tt.field || tt.code == "gone" && r.Problem.Oldest != 5 {
			t.Errorf("%s: %+v", tt.message, r)
		}
	}
	p.say(`{"type":"subscribe","id":"a"}`)
	p.expect("subscribed", "a")
	p.say(`{"type":"subscribe","id":"a"}`)
	if r := p.expect("error", "a"); r.Problem.Code != "subscription_exists" {
		t.Errorf("%+v", r)
	}
	p.say(`{"type":"subscribe","id":"b"}`)
	p.expect("subscribed", "b")
	p.say(`{"type":"subscribe","id":"c"}`)
	if r := p.expect("error", "c"); r.Problem.Code != "too_many_subscriptions" {
		t.Errorf("%+v", r)
	}
	log.append(acme.ID, note("a", "x"))
	for range 2 {
		if r := p.hear(); r.Type != "event" || r.Event.Version != 11 {
			t.Errorf("%+v", r)
		}
	}
}

func TestSocketWindow(t *testing.T) {
	h, log, _ := socketHub(t, nil)
	for range 20 {
		log.append(acme.ID, note("a", "x"))
	}
	p := dial(t, sockets(t, h, allKey), wire.JSON, websocket.CompressionDisabled)
	p.say(`{"type":"subscribe","id":"a","start":1,"window":3}`)
	p.expect("subscribed", "a")
	next := int64(1)
	events := func(n int) {
		t.Helper()
		for range n {
			r := p.hear()
			for r.Type == "position" {
				r = p.hear()
			}
			if r.Event.Version != next {
				t.Fatalf("%+v, want %d", r, next)
			}
			next++
		}
		p.say(`{"type":"ping","ref":"x"}`) // nothing comes before the answer
		p.expect("pong", "x")
	}
	events(3)
	p.say(`{"type":"ack","id":"a","version":1}`)
	events(1)
	p.say(`{"type":"ack","id":"a","version":4}`)
	events(3)
	log.append(acme.ID, note("a", "x"))
	events(0)
	p.say(`{"type":"ack","id":"a","version":7}`)
	events(3)
}

func TestSocketOnly(t *testing.T) {
	h, log, _ := socketHub(t, nil)
	key := &event.APIKey{Token: "t1", Allow: []event.Permission{event.AllowRead}, Only: &event.Selection{Subjects: []string{"user/7"}}}
	p := dial(t, sockets(t, h, key), wire.JSON, websocket.CompressionDisabled)
	p.say(`{"type":"subscribe","id":"a"}`)
	p.expect("subscribed", "a")
	log.append(acme.ID, note("a", "user/8"), note("a", "user/7"))
	if r := p.expect("event", "a"); r.Event.Version != 2 {
		t.Errorf("%+v", r)
	}
}

func TestSocketCloseCodes(t *testing.T) {
	write := func(kind websocket.MessageType, b string) func(*peer) {
		return func(p *peer) { _ = p.c.Write(p.t.Context(), kind, []byte(b)) }
	}
	for name, tt := range map[string]struct {
		form wire.Form
		do   func(p *peer)
		end  func(h *Hub)
		code websocket.StatusCode
	}{
		"binary in JSON":  {do: write(websocket.MessageBinary, "{}"), code: 1003},
		"text in CBOR":    {form: wire.CBOR, do: write(websocket.MessageText, "{}"), code: 1003},
		"not UTF-8":       {do: write(websocket.MessageText, "\xff"), code: 1007},
		"not JSON":        {do: write(websocket.MessageText, "{"), code: 1007},
		"not CBOR":        {form: wire.CBOR, do: write(websocket.MessageBinary, "\xa1"), code: 1007},
		"event not UTF-8": {form: wire.CBOR, do: write(websocket.MessageBinary, "\xa2\x64type\x67publish\x65event\xa1\x64type\x61\xff"), code: 1007},
		"too large":       {do: write(websocket.MessageText, strings.Repeat(" ", 2000)), code: 1009},
		"shutdown":        {end: func(h *Hub) { go func() { _ = h.Shutdown(context.Background()) }() }, code: 1001},
		"tenant deleted":  {end: func(h *Hub) { h.TenantDeleted(acme.ID) }, code: 1008},
		"token ended":     {end: func(h *Hub) { h.EndTokens(acme.ID, func(string) bool { return true }, time.Unix(1, 0)) }, code: 1008},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, _ := socketHub(t, func(c *Config) { c.Socket.MaxMessage = 1000 })
			key := &event.APIKey{Token: "t", Allow: []event.Permission{event.AllowRead, event.AllowPublish}}
			p := dial(t, sockets(t, h, key), tt.form, websocket.CompressionDisabled)
			p.say(`{"type":"ping"}`)
			p.expect("pong", "")
			if tt.do != nil {
				tt.do(p)
			} else {
				tt.end(h)
			}
			if code := p.closed(); code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
		})
	}
}

func TestSocketExpires(t *testing.T) {
	h, _, _ := socketHub(t, nil)
	key := &event.APIKey{Token: "t", Allow: []event.Permission{event.AllowRead}, Expires: time.Now().Add(time.Second)}
	p := dial(t, sockets(t, h, key), wire.JSON, websocket.CompressionDisabled)
	if code := p.closed(); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
}

func TestSocketHandshake(t *testing.T) {
	h, _, _ := socketHub(t, func(c *Config) { c.MaxPerTenant = 1 })
	address := sockets(t, h, allKey)
	get := func(change func(http.Header)) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http"+strings.TrimPrefix(address, "ws"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		change(r.Header)
		client := &http.Client{Timeout: patienceOfTests}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close(); client.CloseIdleConnections() })
		return res
	}
	if res := get(func(http.Header) {}); res.StatusCode != http.StatusUpgradeRequired || res.Header.Get("Sec-Websocket-Version") != "13" { //nolint:bodyclose // get does
		t.Errorf("%+v", res)
	}
	dial(t, address, wire.JSON, websocket.CompressionDisabled)
	_, res, err := websocket.Dial(t.Context(), address, nil) //nolint:bodyclose // a WebSocket has none
	if err == nil || res.StatusCode != http.StatusTeapot {
		t.Errorf("the second connection: %v", err)
	}
	if s := h.Stats(); s.Sockets != 1 {
		t.Errorf("%+v", s)
	}
}
