package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// newAPI returns an API over f, its handler, and what it logs.
func newAPI(tb testing.TB, f *fake, change ...func(*rest.Config)) (*rest.API, *bytes.Buffer) {
	tb.Helper()
	log := &bytes.Buffer{}
	c := rest.Config{
		Publisher: f, Auth: f, Control: f, Delivery: f, Log: f, Answers: f, Queues: &f.queues, Sources: &f.sources, Bins: &f.bins, Tunnels: fakeTunnels{f}, Overviews: fakeOverviews{f}, Streams: fakeStreams{f}, Tokens: f, Sessions: fakeSessions{f}, Portals: &portals{f: f}, Audit: &f.audit, Live: f, Patterns: patterns, AsyncAPI: []byte("asyncapi: 3.0.0\n"),
		Limits: event.DefaultLimits(), Version: "1.2.3", Backup: http.HandlerFunc(backUp),
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, ch := range change {
		ch(&c)
	}
	return rest.New(c), log
}

// backUp answers as a backup that is complete does.
func backUp(w http.ResponseWriter, r *http.Request) {
	var in client.BackupRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = json.NewEncoder(w).Encode(client.BackupLine{Dir: in.Dir})
}

// patterns knows prefixes ending in ** and exact types, enough for tests of the API.
func patterns(list []string) (func(string) bool, error) {
	for _, p := range list {
		if strings.Contains(p, "!") {
			return nil, errors.New("the pattern " + strconv.Quote(p) + " is not valid")
		}
	}
	return func(s string) bool {
		return slices.ContainsFunc(list, func(p string) bool {
			prefix, ok := strings.CutSuffix(p, "**")
			return s == p || strings.HasSuffix(p, ".*") && strings.HasPrefix(s, p[:len(p)-1]) || ok && strings.HasPrefix(s, prefix)
		})
	}, nil
}

// request is one request to the API.
type request struct {
	method, path, key, body string
	header                  []string // name, value, name, value …
}

func (q request) do(tb testing.TB, h http.Handler) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), q.method, q.path, strings.NewReader(q.body))
	if q.key != "" {
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		r.Header.Set(q.header[i], q.header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// seed fills f with events, an endpoint and attempts, and returns the endpoint's id.
func (f *fake) seed(tb testing.TB) string {
	tb.Helper()
	var events []event.Event
	for i := range 5 {
		typ := "order.paid"
		if i%2 == 1 {
			typ = "user.created"
		}
		events = append(events, event.Event{Type: typ, Subject: "s/" + strconv.Itoa(i), Data: []byte(`{"n": ` + strconv.Itoa(i) + `}`)})
	}
	acme := f.tenants["acme"]
	if _, err := f.Publish(tb.Context(), acme, events, "", [32]byte{}); err != nil {
		tb.Fatal(err)
	}
	e, err := f.CreateEndpoint(tb.Context(), acme, event.Endpoint{URL: "https://example.com/in", AuthType: "basic", Metadata: map[string]string{"a": "b"}},
		event.Secrets{Headers: []event.Header{{Name: "X-Secret", Value: "hush"}}, Auth: &event.Credentials{Username: "u", Password: "pass-word"}})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 3 {
		f.attempts = append(f.attempts, event.Attempt{
			ID: int64(i + 1), Tenant: 1, Endpoint: e.ID, Versions: []int64{1}, EventID: "id-1", Number: i + 1,
			At: time.Now().Add(time.Duration(i-3) * time.Minute).UTC().Truncate(time.Microsecond), Duration: time.Duration(i+1) * 10 * time.Millisecond,
			Status: 503, Verdict: event.VerdictRetry, Headers: []event.Header{{Name: "Server", Value: "x"}}, Body: []byte("busy"), Next: start,
		})
	}
	f.attempts[2].Verdict, f.attempts[2].Status, f.attempts[2].Next = event.VerdictDelivered, 204, time.Time{}
	f.dead = []event.DeadLetter{{Tenant: 1, Endpoint: e.ID, Version: 2, At: start, Reason: "schedule ended"}, {Tenant: 1, Endpoint: e.ID, Version: 99, At: start, Reason: "gone"}}
	return e.ID.String()
}

// stage is an API with something of everything. Making one costs some milliseconds, so that a test sets one up again
// instead of making another.
type stage struct {
	*fake
	h        http.Handler
	endpoint string
}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	s := &stage{fake: newFake()}
	api, _ := newAPI(tb, s.fake)
	s.h = api.Handler()
	s.reset(tb)
	return s
}

func (s *stage) reset(tb testing.TB) {
	tb.Helper()
	s.fake.reset()
	s.endpoint = s.seed(tb)
	if _, err := s.CreateType(tb.Context(), s.tenants["acme"], event.Type{Name: "a.b", Schema: []byte(`true`)}); err != nil {
		tb.Fatal(err)
	}
	s.outlook.replays = []event.ReplayView{{ID: 1 << 44, From: 1, To: 4, Cursor: 2, Sent: 2, State: event.ReplayRunning, Started: start}}
	s.view = event.LaneView{
		State: "waiting", Waiting: "penalty", Backlog: 4, OldestAt: start, Retries: 1, Penalty: 5e9, PenaltyUntil: start, FailingSince: start,
		Failures: 2, Replays: []event.ReplayView{{ID: 1 << 44, From: 1, To: 4, Cursor: 2, Sent: 2}},
	}
}

// example returns the request of an operation that succeeds.
func (s *stage) example(id, method string) request {
	x := examples[id]
	key := event.FormatAPIKeyID(s.bearers["reader"].ID)
	path := strings.NewReplacer("{endpoint}", s.endpoint, "{key}", key).Replace(x.path)
	by := "admin"
	if id == "log-out" {
		by = "" // a session
	}
	return request{method: strings.ToUpper(method), path: path, key: by, body: x.body, header: x.header}
}
