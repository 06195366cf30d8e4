package inbound_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inbound"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// world is everything around the sources.
type world struct {
	mu      sync.Mutex
	sources map[string]event.Source // "<tenant>/<name>"
	reads   int
	events  []event.Event
	ids     map[string]event.Receipt
	fail    error // of the next publishes
	bins    map[string][]capture
	dropped []string
	binFail error
	seen    []string // outcomes
	now     time.Time
	sealed  bool // false: nothing can be opened

	waiting  map[string]chan event.Answer // by event id
	answers  func(e *event.Event) (event.Answer, bool)
	tunnel   event.EndpointID // of the source "tunnelled"
	canceled int
}

type capture struct {
	req     event.Request
	refused string
}

func newWorld() *world {
	return &world{
		sources: map[string]event.Source{}, ids: map[string]event.Receipt{}, bins: map[string][]capture{}, now: start, sealed: true,
		waiting: map[string]chan event.Answer{},
	}
}

var acme, other = &event.Tenant{ID: 1, Name: "acme"}, &event.Tenant{ID: 2, Name: "other"}

func (w *world) Tenant(_ context.Context, name string) (*event.Tenant, error) {
	switch name {
	case "acme":
		return acme, nil
	case "other":
		return other, nil
	}
	return nil, event.NotFound("tenant")
}

func at(tenant event.TenantID, name string) string { return fmt.Sprintf("%d/%s", tenant, name) }

func (w *world) PutSource(_ context.Context, s event.Source, revision int64) (event.Source, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stored, ok := w.sources[at(s.Tenant, s.Name)]
	switch {
	case revision == 0 && ok:
		return s, event.Errorf(event.KindConflict, "already_exists", "there is a source of this name already")
	case revision != 0 && !ok:
		return s, event.NotFound("source")
	case revision != 0 && revision != stored.Revision:
		return s, event.Errorf(event.KindPrecondition, "revision_mismatch", "changed")
	}
	s.Revision = stored.Revision + 1
	w.sources[at(s.Tenant, s.Name)] = s
	return s, nil
}

func (w *world) Source(_ context.Context, tenant event.TenantID, name string) (event.Source, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	s, ok := w.sources[at(tenant, name)]
	if !ok {
		return s, event.NotFound("source")
	}
	return s, nil
}

func (w *world) Sources(_ context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []event.Source
	for _, key := range slices.Sorted(maps.Keys(w.sources)) {
		if s := w.sources[key]; s.Tenant == tenant && s.Name > after && len(list) < limit {
			list = append(list, s)
		}
	}
	return list, nil
}

func (w *world) DeleteSource(_ context.Context, tenant event.TenantID, name string, revision int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.sources[at(tenant, name)]
	if !ok {
		return event.NotFound("source")
	}
	if revision != 0 && revision != s.Revision {
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "changed")
	}
	delete(w.sources, at(tenant, name))
	return nil
}

func (w *world) Seal(plain, associated []byte) ([]byte, error) {
	return slices.Concat(associated, []byte("|"), plain), nil
}

func (w *world) Open(sealed, associated []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, append(slices.Clone(associated), '|'))
	if !ok || !w.sealed {
		return nil, errors.New("sealed by another key")
	}
	return plain, nil
}

func (w *world) publish(_ context.Context, t *event.Tenant, e *event.Event) (event.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return event.Receipt{}, w.fail
	}
	e.Tenant = t.ID
	if e.ID == "" {
		e.ID = fmt.Sprintf("given-%d", len(w.events)+1)
	}
	if r, ok := w.ids[e.ID]; ok {
		r.Duplicate = true
		return r, nil
	}
	e.Version = int64(len(w.events) + 1)
	w.events = append(w.events, *e)
	w.ids[e.ID] = event.Receipt{ID: e.ID, Version: e.Version}
	if w.answers != nil {
		if a, ok := w.answers(e); ok && w.waiting[e.ID] != nil {
			w.waiting[e.ID] <- a
		}
	}
	return w.ids[e.ID], nil
}

func (w *world) Capture(_ context.Context, bin string, req event.Request, refused string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bins[bin] = append(w.bins[bin], capture{req, refused})
	return w.binFail
}

func (w *world) MakeBin(_ context.Context, t *event.Tenant, source string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "bin-" + t.Name + "-" + source, w.binFail
}

func (w *world) DropBin(_ context.Context, _ *event.Tenant, bin string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped = append(w.dropped, bin)
	return nil
}

func (w *world) Await(_ event.TenantID, _ event.EndpointID, id string) (<-chan event.Answer, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id] = make(chan event.Answer, 1)
	return w.waiting[id], func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.canceled++
		delete(w.waiting, id)
	}
}

func (w *world) Answering(_ event.TenantID, source string) (event.EndpointID, bool) {
	return w.tunnel, source == "tunnelled" && w.tunnel != 0
}

func (w *world) Received(provider, outcome string, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, provider+" "+outcome)
}

// arrived puts a request together as the server's recorder does.
func arrived(r *http.Request, prefix string) event.Request {
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s %s\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host)
	_ = r.Header.Write(&head)
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	return event.Request{
		Head: head.Bytes(), Remote: remote, URL: "https://hooks.example.com" + r.URL.RequestURI(),
		Path: strings.TrimPrefix(r.URL.RequestURI(), prefix),
	}
}

func newService(tb testing.TB, w *world, change ...func(*inbound.Config)) *inbound.Service {
	tb.Helper()
	c := inbound.Config{
		Store: w, Sealer: w, Tenants: w, Publish: w.publish, Arrived: arrived, Inspector: w, Awaiter: w, Observer: w,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		Endpoint: func(_ context.Context, _ *event.Tenant, id event.EndpointID) error {
			if id != 77 {
				return event.NotFound("endpoint")
			}
			return nil
		},
	}
	for _, ch := range change {
		ch(&c)
	}
	s, err := inbound.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// stage is a service with one source.
type stage struct {
	*world
	s    *inbound.Service
	h    http.Handler
	held atomic.Int64 // callers that wait now
}

// hold counts callers, of whom so many may wait at once.
func (on *stage) hold(most int64) func() (func(), bool) {
	return func() (func(), bool) {
		if on.held.Add(1) > most {
			on.held.Add(-1)
			return nil, false
		}
		return func() { on.held.Add(-1) }, true
	}
}

// most is how many callers of a stage may wait at once.
const most = 2

func newStage(tb testing.TB, src event.Source, secrets []string, settings map[string]string, change ...func(*inbound.Config)) *stage {
	tb.Helper()
	w := newWorld()
	on := &stage{world: w}
	on.s = newService(tb, w, append([]func(*inbound.Config){func(c *inbound.Config) { c.Hold = on.hold(most) }}, change...)...)
	on.h = on.s.Handler()
	on.make(tb, src, secrets, settings)
	return on
}

func (on *stage) make(tb testing.TB, src event.Source, secrets []string, settings map[string]string) event.Source {
	tb.Helper()
	made, err := on.s.Create(tb.Context(), acme, src, secrets, settings)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func (on *stage) state(tb testing.TB, name string) event.SourceState {
	tb.Helper()
	src, err := on.s.Source(tb.Context(), acme, name)
	if err != nil {
		tb.Fatal(err)
	}
	return on.s.State(src.ID)
}

func (on *stage) last(tb testing.TB) event.Event {
	tb.Helper()
	on.mu.Lock()
	defer on.mu.Unlock()
	if len(on.events) == 0 {
		tb.Fatal("there is no event")
	}
	return on.events[len(on.events)-1]
}

// send sends one request; headers are names and values by turns.
func (on *stage) send(tb testing.TB, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(tb.Context(), method, target, in)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	on.h.ServeHTTP(w, r)
	return w
}

func githubSignature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// github sends a push as GitHub does.
func (on *stage) github(tb testing.TB, secret, id string) *httptest.ResponseRecorder {
	tb.Helper()
	return on.send(tb, http.MethodPost, "/in/acme/github", push, "Content-Type", "application/json", "X-GitHub-Event", "push",
		"X-GitHub-Delivery", id, "X-Hub-Signature-256", githubSignature(secret, push))
}
