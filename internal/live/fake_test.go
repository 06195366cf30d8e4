package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posthornhq/posthorn/internal/event"
)

// crowdVar makes the test binary a crowd of clients: what it costs must not be counted as the hub's.
const crowdVar = "LIVE_TEST_CROWD"

// runCrowd is the crowd, where there is one.
var runCrowd func()

func TestMain(m *testing.M) {
	if os.Getenv(crowdVar) != "" && runCrowd != nil {
		runCrowd()
		return
	}
	goleak.VerifyTestMain(m)
}

// memLog is a log in memory.
type memLog struct {
	mu       sync.Mutex
	events   []event.Event // by seq, from 1
	tenants  map[event.TenantID][]int
	oldest   map[event.TenantID]int64
	appended chan struct{}
	fail     error
	reads    int
}

func newLog() *memLog {
	return &memLog{tenants: map[event.TenantID][]int{}, oldest: map[event.TenantID]int64{}, appended: make(chan struct{})}
}

// append puts events on a tenant's log and returns the last version.
func (l *memLog) append(tenant event.TenantID, events ...event.Event) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		ev.Tenant, ev.Seq = tenant, int64(len(l.events)+1)
		ev.Version = int64(len(l.tenants[tenant]) + 1)
		if ev.ID == "" {
			ev.ID = "e" + strconv.FormatInt(ev.Version, 10)
		}
		l.tenants[tenant] = append(l.tenants[tenant], len(l.events))
		l.events = append(l.events, ev)
	}
	close(l.appended)
	l.appended = make(chan struct{})
	return int64(len(l.tenants[tenant]))
}

// trim deletes a tenant's events before a version.
func (l *memLog) trim(tenant event.TenantID, oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest[tenant] = oldest
}

func (l *memLog) bounds(tenant event.TenantID) (oldest, head int64) {
	return max(1, l.oldest[tenant]), int64(len(l.tenants[tenant]))
}

// Bounds implements [Log].
func (l *memLog) Bounds(_ context.Context, tenant event.TenantID) (oldest, head int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest, head = l.bounds(tenant)
	return oldest, head, l.fail
}

// ReadTenant implements [Log].
func (l *memLog) ReadTenant(_ context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	p := Page{Through: int64(len(l.events))}
	p.Oldest, p.Head = l.bounds(tenant)
	size := 0
	for v := max(after, p.Oldest-1); v < p.Head && len(p.Events) < limit; v++ {
		ev := l.events[l.tenants[tenant][v]]
		if size += ev.Size(); len(p.Events) > 0 && size > maxBytes {
			break
		}
		p.Events = append(p.Events, ev)
	}
	return p, l.fail
}

// ReadPartition implements [Log].
func (l *memLog) ReadPartition(ctx context.Context, _ int, after int64, limit, _ int) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	list := l.events[min(int(after), len(l.events)):]
	out := make([]event.Event, 0, min(limit, len(list)))
	for _, ev := range list {
		if len(out) == limit {
			break
		}
		if ev.Version >= l.oldest[ev.Tenant] {
			out = append(out, ev)
		}
	}
	return out, ctx.Err()
}

// Appended implements [Log].
func (l *memLog) Appended(int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended
}

var (
	acme    = &event.Tenant{ID: 7, Name: "acme"}
	rootKey = &event.APIKey{ID: 1}
)

// config is one with wide limits.
func config(log Log) Config {
	return Config{
		Log: log, Limits: event.DefaultLimits(), Logger: slog.New(slog.DiscardHandler),
		MaxStreams: 1e6, MaxPerTenant: 1e6, MaxPerToken: 1e6, MaxPerAddress: 1e6, MaxPolls: 1e6,
		KeepAlive: 15 * time.Second, WriteTimeout: 30 * time.Second,
	}
}

// newHub makes a hub that is shut down at the end of the test.
func newHub(tb testing.TB, c Config) *Hub {
	tb.Helper()
	h, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil && !errors.Is(err, errShut) {
			tb.Errorf("shutdown: %v", err)
		}
	})
	return h
}

// serveHub serves the hub's streams on a free port. The query says what is asked for: start, types, subjects, filter.
func serveHub(tb testing.TB, h *Hub, key *event.APIKey) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, h, key, ln)
}

func serveOn(tb testing.TB, h *Hub, key *event.APIKey, ln net.Listener) string {
	tb.Helper()
	s := &http.Server{ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		l := Listener{Tenant: acme, Key: key, Unnamed: q.Get("event") == "none"}
		l.Start, _ = strconv.ParseInt(q.Get("start"), 10, 64)
		l.Ask = event.Selection{Types: split(q.Get("types")), Subjects: split(q.Get("subjects")), Filter: q.Get("filter")}
		w.Header().Set("X-Request-Id", "r1")
		if err := h.Stream(w, r, l); err != nil {
			w.Header().Set("Error-Kind", fmt.Sprint(event.KindOf(err)))
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(err.Error()))
		}
	})}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	tb.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			tb.Error(err)
		}
	})
	return ln.Addr().String()
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// note is an event of a type about a subject.
func note(eventType, subject string) event.Event {
	return event.Event{Source: "/acme", Type: eventType, Subject: subject, Time: time.Unix(1_700_000_000, 0).UTC(), Data: []byte(`{"n":1}`)}
}
