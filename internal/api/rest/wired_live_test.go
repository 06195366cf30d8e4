package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store/storetest"
	"github.com/posthornhq/posthorn/internal/token"
)

// hubLog reads the model as package app reads a store for the hub.
type hubLog struct{ *storetest.Model }

func (l hubLog) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (live.Page, error) {
	p, err := l.Model.ReadTenant(ctx, tenant, after, limit, maxBytes)
	return live.Page(p), err
}

// hub is a hub as package app gives it to the API.
type hub struct{ *live.Hub }

func (h hub) Stream(w http.ResponseWriter, r *http.Request, l rest.Listener) error {
	return h.Hub.Stream(w, r, live.Listener(l))
}

func (h hub) Socket(http.ResponseWriter, *http.Request, rest.Listener) error {
	return event.Errorf(event.KindUnavailable, "busy", "not in this test")
}

func (h hub) Wait(ctx context.Context, r *http.Request, l rest.Listener, after int64, wait time.Duration) error {
	return h.Hub.Wait(ctx, r, live.Listener(l), after, wait)
}

func (h hub) Selector(l *rest.Listener) (func(*event.Event) bool, error) {
	own := live.Listener(*l)
	return h.Hub.Selector(&own)
}

func newHub(t *testing.T, m *storetest.Model) hub {
	t.Helper()
	h, err := live.New(live.Config{
		Log: hubLog{m}, Limits: event.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), MaxStreams: 3, MaxPerTenant: 100, MaxPerToken: 2,
		MaxPerAddress: 100, MaxPolls: 100, KeepAlive: time.Minute, WriteTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return hub{h}
}

// keysAndTokens authenticates as package app does.
type keysAndTokens struct {
	keys   *control.Control
	tokens *token.Service
}

func (a keysAndTokens) Authenticate(ctx context.Context, bearer string) (event.APIKey, error) {
	if token.Looks(bearer) {
		return a.tokens.Authenticate(ctx, bearer)
	}
	return a.keys.Authenticate(ctx, bearer)
}

func newTokens(t *testing.T, m *storetest.Model, c *control.Control) *token.Service {
	t.Helper()
	s, err := token.New(token.Options{
		Store: m, Sealer: plain{}, Tenants: c, Logger: slog.New(slog.DiscardHandler),
		Check: func(s event.Selection) error { _, err := match.CompileSelection(s, event.DefaultLimits()); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// issuer is the service of tokens as package app gives it to the API.
type issuer struct{ *token.Service }

func (i issuer) CreateToken(ctx context.Context, of *event.Tenant, by *event.APIKey, g rest.TokenGrant) (string, time.Time, error) {
	return i.Create(ctx, of, by, token.Grant(g))
}

func (i issuer) RotateTokens(ctx context.Context, of *event.Tenant, by *event.APIKey, overlap time.Duration) error {
	return i.Rotate(ctx, of, by, overlap)
}

// stream is an answer to a request for server-sent events.
type stream struct {
	t      *testing.T
	status int
	header http.Header
	body   *bufio.Scanner
	end    context.CancelFunc
}

// open asks for a stream, as a browser does with a token in the query.
func open(t *testing.T, server *httptest.Server, query, last string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/tenants/acme/stream?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	return &stream{t, res.StatusCode, res.Header, bufio.NewScanner(res.Body), cancel}
}

// next returns the id, the name and the data of the next event; blocks that only tell the place are passed over.
func (s *stream) next() (id, name string, e client.Event) {
	s.t.Helper()
	data := ""
	for s.body.Scan() {
		field, value, _ := strings.Cut(s.body.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value
		case "":
			if s.body.Text() != "" || data == "" {
				continue
			}
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				s.t.Error(err)
			}
			return id, name, e
		}
	}
	s.t.Fatalf("the stream ended: %v", s.body.Err())
	return "", "", e
}

// TestWiredListening: the hub, the tokens and the log behind the API as they are in the server.
func TestWiredListening(t *testing.T) {
	t.Parallel()
	c, server := wired(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	publish := func(typ string) {
		t.Helper()
		_ = must[client.Receipt](t)(c.Publish(ctx, "acme", client.Event{Type: typ, Subject: "order/1"}))
	}
	publish("order.paid")
	publish("user.created")
	hour := client.Duration(time.Hour)
	narrow := must[*client.Token](t)(c.CreateToken(ctx, "acme", client.TokenRequest{Allow: []string{"read"}, Types: []string{"order.*"}, TTL: &hour}))

	s := open(t, server, "start=1&access_token="+narrow.Token, "")
	if s.status != 200 || !strings.HasPrefix(s.header.Get("Content-Type"), "text/event-stream") || s.header.Get("X-Request-Id") == "" {
		t.Fatalf("%d %v", s.status, s.header)
	}
	if id, name, e := s.next(); id != "1" || name != "order.paid" || e.Version != 1 {
		t.Errorf("%s %s %+v", id, name, e)
	}
	publish("user.created")
	publish("order.sent")
	if id, name, _ := s.next(); id != "4" || name != "order.sent" {
		t.Errorf("%s %s", id, name)
	}
	s.end()
	publish("order.returned")
	s = open(t, server, "start=1&event=none&access_token="+narrow.Token, "4")
	if id, name, e := s.next(); id != "5" || name != "" || e.Type != "order.returned" {
		t.Errorf("after 4: %s %q %+v", id, name, e)
	}

	poll := make(chan string, 1)
	go func() { poll <- get(t, server, "changes?start=6&wait=20&types=order.*&access_token="+narrow.Token) }()
	if id, _, _ := func() (string, string, client.Event) { publish("order.closed"); return s.next() }(); id != "6" {
		t.Errorf("id %s", id)
	}
	if got := <-poll; !strings.Contains(got, `"version":6`) || !strings.Contains(got, `"next":7`) {
		t.Errorf("poll: %s", got)
	}
	if got := get(t, server, "changes?start=1&access_token="+narrow.Token); strings.Contains(got, "user.created") || !strings.Contains(got, `"next":7`) {
		t.Errorf("narrowed: %s", got)
	}
	if err := c.RotateTokens(ctx, "acme", client.TokenRotation{}); err != nil {
		t.Fatal(err)
	}
	if s := open(t, server, "access_token="+narrow.Token, ""); s.status != 401 {
		t.Errorf("after the rotation: %d", s.status)
	}
}

func get(t *testing.T, server *httptest.Server, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/tenants/acme/"+path, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	var body strings.Builder
	if _, err := bufio.NewReader(res.Body).WriteTo(&body); err != nil {
		t.Error(err)
	}
	return body.String()
}

// TestWiredTooManyStreams: limits are answered before a stream begins.
func TestWiredTooManyStreams(t *testing.T) {
	t.Parallel()
	c, server := wired(t)
	_ = must[*client.Tenant](t)(c.CreateTenant(t.Context(), client.Tenant{Name: "acme"}))
	hour := client.Duration(time.Hour)
	request := client.TokenRequest{Allow: []string{"read"}, TTL: &hour}
	one := must[*client.Token](t)(c.CreateToken(t.Context(), "acme", request))
	two := must[*client.Token](t)(c.CreateToken(t.Context(), "acme", request))
	for i, want := range []struct {
		token, code string
		status      int
	}{{one.Token, "", 200}, {one.Token, "", 200}, {one.Token, "too_many_streams", 429}, {two.Token, "", 200}, {two.Token, "busy", 503}} {
		s := open(t, server, "access_token="+want.token, "")
		if s.status != want.status || (want.status == 200) != (s.header.Get("Retry-After") == "") {
			t.Fatalf("stream %d: %d %v", i, s.status, s.header)
		}
		if want.status == 200 {
			continue
		}
		var p client.Problem
		s.body.Scan()
		if err := json.Unmarshal(s.body.Bytes(), &p); err != nil || p.Code != want.code {
			t.Errorf("stream %d: %+v %v", i, p, err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/tenants/acme/socket?access_token="+one.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a WebSocket: %d %v", res.StatusCode, res.Header)
	}
	if got := get(t, server, "stream?start=-1&access_token="+one.Token); !strings.Contains(got, `"field":"start"`) {
		t.Error(got)
	}
}
