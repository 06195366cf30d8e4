package live

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/fxamacker/cbor/v2"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live/wire"
)

// printer is a [Publisher] that appends to a log in memory.
type printer struct {
	log *memLog

	mu     sync.Mutex
	calls  []int         // events of each call
	refuse string        // a type that is refused
	hold   chan struct{} // each call waits for it, unless nil
}

func (p *printer) Publish(ctx context.Context, t *event.Tenant, events []event.Event, _ string, _ [32]byte) ([]event.Receipt, error) {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	p.calls = append(p.calls, len(events))
	p.mu.Unlock()
	for i := range events {
		if events[i].Type == p.refuse {
			return nil, event.Invalid("type", "is refused")
		}
	}
	receipts := make([]event.Receipt, len(events))
	for i := range events {
		e := events[i]
		if e.Source == "" {
			e.Source = "/acme"
		}
		version := p.log.append(t.ID, e)
		receipts[i] = event.Receipt{ID: e.ID, Version: version}
	}
	return receipts, nil
}

// fakeProblem renders a problem as the tests read it.
func fakeProblem(err error) []byte {
	out := map[string]any{"code": "internal"}
	if e, ok := errors.AsType[*event.Error](err); ok {
		out["code"], out["detail"] = e.Code, e.Detail
		if len(e.Fields) > 0 {
			out["field"] = e.Fields[0].Field
		}
		if e.Oldest > 0 {
			out["oldest"] = e.Oldest
		}
	}
	b, _ := json.Marshal(out)
	return b
}

// allKey may do everything in its tenant.
var allKey = &event.APIKey{ID: 2, Allow: []event.Permission{event.AllowRead, event.AllowPublish}}

// sockets serves the hub's WebSockets on a free port and returns their address.
func sockets(tb testing.TB, h *Hub, key *event.APIKey) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.Socket(w, r, Listener{Tenant: acme, Key: key})
		if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
			maps.Copy(w.Header(), refusal.Header)
			http.Error(w, refusal.Detail, refusal.Status)
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	tb.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			tb.Error(err)
		}
	})
	return "ws://" + ln.Addr().String() + "/"
}

// socketHub makes a hub with sockets and a log.
func socketHub(tb testing.TB, change func(*Config)) (*Hub, *memLog, *printer) {
	tb.Helper()
	log := newLog()
	p := &printer{log: log}
	c := config(log)
	c.Socket = SocketConfig{Publisher: p, Problem: fakeProblem}
	if change != nil {
		change(&c)
	}
	return newHub(tb, c), log, p
}

// reply is a message of the server, in either form.
type reply struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Ref  string `json:"ref"`
	Next int64  `json:"next"`
	Head int64  `json:"head"`

	Event struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Subject string `json:"subject"`
		Version int64  `json:"version"`
		Data    any    `json:"data"`
	} `json:"event"`
	Events []struct {
		ID        string `json:"id"`
		Version   int64  `json:"version"`
		Duplicate *bool  `json:"duplicate"`
	} `json:"events"`
	Problem struct {
		Code   string `json:"code"`
		Field  string `json:"field"`
		Oldest int64  `json:"oldest"`
	} `json:"problem"`
}

// peer is a client.
type peer struct {
	t    testing.TB
	c    *websocket.Conn
	form wire.Form
}

func dial(t testing.TB, address string, form wire.Form, mode websocket.CompressionMode) *peer {
	t.Helper()
	protocol := wire.ProtocolJSON
	if form == wire.CBOR {
		protocol = wire.ProtocolCBOR
	}
	c, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{Subprotocols: []string{protocol}, CompressionMode: mode, CompressionThreshold: 1}) //nolint:bodyclose // a WebSocket has none
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(8 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &peer{t: t, c: c, form: form}
}

// say sends a message, written in JSON here.
func (p *peer) say(message string) {
	p.t.Helper()
	kind, b := websocket.MessageText, []byte(message)
	if p.form == wire.CBOR {
		var v any
		d := json.NewDecoder(strings.NewReader(message))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			p.t.Fatal(err)
		}
		var err error
		if b, err = cbor.Marshal(whole(v)); err != nil {
			p.t.Fatal(err)
		}
		kind = websocket.MessageBinary
	}
	if err := p.c.Write(p.t.Context(), kind, b); err != nil {
		p.t.Fatal(err)
	}
}

// whole makes numbers integers, and the data of events bytes.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if v[k] = whole(v[k]); k == "data" {
				v[k], _ = json.Marshal(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case json.Number:
		n, _ := v.Int64()
		return n
	}
	return v
}

// hear reads the next message.
func (p *peer) hear() reply {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patienceOfTests)
	defer cancel()
	kind, b, err := p.c.Read(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	var r reply
	if p.form == wire.CBOR {
		if kind != websocket.MessageBinary {
			p.t.Fatalf("kind %v in CBOR", kind)
		}
		err = cbor.Unmarshal(b, &r)
	} else {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		p.t.Fatalf("%q: %v", b, err)
	}
	return r
}

// expect reads the next message, of a type and with an id or ref.
func (p *peer) expect(kind, name string) reply {
	p.t.Helper()
	r := p.hear()
	if r.Type != kind || r.ID+r.Ref != name {
		p.t.Fatalf("%+v, want %s of %q", r, kind, name)
	}
	return r
}

// closed reads until the close frame.
func (p *peer) closed() websocket.StatusCode {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patienceOfTests)
	defer cancel()
	for {
		if _, _, err := p.c.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// forms runs a test in each form, with and without compression.
func forms(t *testing.T, f func(t *testing.T, form wire.Form, mode websocket.CompressionMode)) {
	for form, name := range []string{"JSON", "CBOR"} {
		for mode, how := range map[websocket.CompressionMode]string{websocket.CompressionDisabled: "", websocket.CompressionNoContextTakeover: " deflate"} {
			t.Run(name+how, func(t *testing.T) { f(t, wire.Form(form), mode) })
		}
	}
}

func TestSocket(t *testing.T) {
	forms(t, func(t *testing.T, form wire.Form, mode websocket.CompressionMode) {
		h, log, _ := socketHub(t, nil)
		log.append(acme.ID, note("order.made", "order/1"), note("order.paid", "order/1"), note("user.made", "user/1"))
		p := dial(t, sockets(t, h, allKey), form, mode)

		p.say(`{"type":"ping","ref":"1"}`)
		p.expect("pong", "1")
		p.say(`{"type":"subscribe","id":"past","start":2}`)
		if r := p.expect("subscribed", "past"); r.Next != 2 || r.Head != 3 {
			t.Errorf("%+v", r)
		}
		for v := int64(2); v <= 3; v++ {
			if r := p.expect("event", "past"); r.Event.Version != v || r.Event.Data == nil {
				t.Errorf("%+v, want version %d", r, v)
			}
		}
		if r := p.expect("position", "past"); r.Next != 4 {
			t.Errorf("%+v", r)
		}
		p.say(`{"type":"subscribe","id":"orders","types":["order.*"],"subjects":["order/*"]}`)
		if r := p.expect("subscribed", "orders"); r.Next != 4 || r.Head != 3 {
			t.Errorf("%+v", r)
		}
		large := note("order.paid", "order/9")
		large.Data = []byte(`{"lines":"` + strings.Repeat("abc ", 500) + `"}`)
		log.append(acme.ID, note("user.made", "user/2"), large)
		seen := map[string][]int64{}
		for range 3 {
			r := p.hear()
			if r.Type != "event" {
				t.Fatalf("%+v", r)
			}
			seen[r.ID] = append(seen[r.ID], r.Event.Version)
		}
		if len(seen["past"]) != 2 || seen["past"][0] != 4 || len(seen["orders"]) != 1 || seen["orders"][0] != 5 {
			t.Errorf("%v", seen)
		}
		p.say(`{"type":"unsubscribe","id":"past"}`)
		p.expect("unsubscribed", "past")
		log.append(acme.ID, note("user.made", "user/3"), note("order.paid", "order/3"))
		if r := p.expect("event", "orders"); r.Event.Version != 7 || r.Event.Subject != "order/3" {
			t.Errorf("%+v", r)
		}
		p.say(`{"type":"subscribe","id":"past","start":7}`)
		p.expect("subscribed", "past")
		if r := p.expect("event", "past"); r.Event.Version != 7 {
			t.Errorf("%+v", r)
		}
		if err := p.c.Close(4000, "bye"); err != nil {
			t.Error(err)
		}
	})
}

func TestSocketPublishes(t *testing.T) {
	forms(t, func(t *testing.T, form wire.Form, mode websocket.CompressionMode) {
		h, log, pub := socketHub(t, func(c *Config) {
			c.Socket.MayPublish = func(_ *event.APIKey, events []event.Event, _ bool) error {
				if events[0].Type == "secret" {
					return event.Errorf(event.KindForbidden, "forbidden", "no")
				}
				return nil
			}
		})
		pub.refuse = "bad"
		p := dial(t, sockets(t, h, allKey), form, mode)
		p.say(`{"type":"publish","ref":"one","event":{"type":"order.paid","id":"x","subject":"order/1","data":{"a":1}}}`)
		if r := p.expect("published", "one"); len(r.Events) != 1 || r.Events[0].ID != "x" || r.Events[0].Version != 1 || r.Events[0].Duplicate == nil {
			t.Errorf("%+v", r)
		}
		p.say(`{"type":"publish","ref":"two","events":[{"type":"a","id":"y"},{"type":"b","id":"z"}],"idempotency_key":"k"}`)
		if r := p.expect("published", "two"); len(r.Events) != 2 || r.Events[1].ID != "z" || r.Events[1].Version != 3 {
			t.Errorf("%+v", r)
		}
		log.mu.Lock()
		e := log.events[0]
		log.mu.Unlock()
		if string(e.Data) != `{"a":1}` || e.Subject != "order/1" {
			t.Errorf("%+v", e)
		}
		for ref, tt := range map[string]struct{ message, code, field string }{
			"a": {`"event":{"type":""}`, "invalid", "event.type"},
			"b": {`"event":{"type":"bad"}`, "invalid", "type"},
			"c": {`"event":{"type":"secret"}`, "forbidden", ""},
			"d": {`"events":[{"type":"a"},{"type":"b","nosuch":1}]`, "invalid", "events[1].nosuch"},
			"e": {`"id":"x"`, "invalid", "id"},
		} {
			p.say(`{"type":"publish","ref":"` + ref + `",` + tt.message + `}`)
			r := p.hear()
			if r.Type != "error" || r.Ref != ref || r.Problem.Code != tt.code || r.Problem.Field != tt.field {
				t.Errorf("%s: %+v", ref, r)
			}
		}
	})
}

// TestSocketPublishOrder sends many publishes without waiting for an answer, with bad ones among them.
func TestSocketPublishOrder(t *testing.T) {
	h, log, pub := socketHub(t, nil)
	pub.refuse, pub.hold = "bad", make(chan struct{})
	p := dial(t, sockets(t, h, allKey), wire.JSON, websocket.CompressionDisabled)
	const n = 500
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			kind := "good"
			if i%50 == 49 {
				kind = "bad"
			}
			key := ""
			if i%70 == 0 {
				key = `,"idempotency_key":"` + strconv.Itoa(i) + `"`
			}
			message := `{"type":"publish","ref":"` + strconv.Itoa(i) + `","event":{"type":"` + kind + `","id":"` + strconv.Itoa(i) + `"}` + key + `}`
			if err := p.c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	pub.hold <- struct{}{} // the first is stored: others wait meanwhile
	close(pub.hold)
	last := int64(0)
	for i := range n {
		r := p.hear()
		if r.Ref != strconv.Itoa(i) {
			t.Fatalf("%+v, want %d", r, i)
		}
		if bad := i%50 == 49; bad != (r.Type == "error") {
			t.Fatalf("%d: %+v", i, r)
		} else if !bad {
			if r.Events[0].Version != last+1 || r.Events[0].ID != r.Ref {
				t.Fatalf("%+v after %d", r, last)
			}
			last++
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if len(pub.calls) >= n {
		t.Errorf("%d appends for %d publishes", len(pub.calls), n)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if int64(len(log.events)) != last {
		t.Errorf("%d events are on the log, %d were told", len(log.events), last)
	}
}
