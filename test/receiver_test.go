package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// conduct is how a receiver behaves.
type conduct struct {
	fail     float64       // share of requests that are answered with 500
	cut      float64       // share whose connection is broken instead of answered
	slowFrom time.Duration // an answer takes from slowFrom …
	slowTo   time.Duration // … to slowTo
}

// arrival is one event of one request that a receiver took: one that it answered with 200, or would have if the server
// had still been there.
type arrival struct {
	order   int64 // of all arrivals at this receiver
	run     int64 // the server's run that sent it, counted from 0
	at      time.Time
	version int64
	webhook string // webhook-id
	id      string // the event's id, where the request shows it
	data    [32]byte
	batch   [32]byte // a hash of the ids of all events in the request
}

// runCounter counts the server's runs: 0 until the first kill.
type runCounter struct{ atomic.Int64 }

type connKey struct{}

// receiver is an HTTP server that takes webhooks.
type receiver struct {
	t    testing.TB
	name string
	url  string
	runs *runCounter

	down    atomic.Bool // every connection is broken
	hold    atomic.Pointer[chan struct{}]
	conduct conduct
	batch   bool // bodies are arrays

	mu       sync.Mutex
	verifier *standardwebhooks.Webhook
	rand     *rand.Rand
	taken    []arrival
	seen     map[int64]bool // versions taken
	requests int            // all, also refused ones
	refused  int
	news     chan struct{} // a hint that something arrived
}

// newReceiver starts a receiver. Failures are drawn from the seed.
func newReceiver(t testing.TB, name string, runs *runCounter, c conduct, seed uint64) *receiver {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{
		t: t, name: name, url: "http://" + l.Addr().String() + "/" + name, runs: runs, conduct: c,
		rand: rand.New(rand.NewPCG(seed, sum(name))), //nolint:gosec // the tests choose failures by it
		seen: map[int64]bool{}, news: make(chan struct{}, 1),
	}
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: patience,
		// A connection belongs to the run in which it was accepted (see settle).
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, runs.Load())
		},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return r
}

func sum(name string) uint64 {
	h := sha256.Sum256([]byte(name))
	return uint64(h[0])<<8 | uint64(h[1])
}

// verify makes the receiver check each request with the official library of Standard Webhooks.
func (r *receiver) verify(secret string) {
	r.t.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verifier = w
}

// block makes requests wait, once they are read, until release is called.
func (r *receiver) block() (release func()) {
	c := make(chan struct{})
	r.hold.Store(&c)
	return sync.OnceFunc(func() { r.hold.Store(nil); close(c) })
}

// ServeHTTP reads a request whole and decides at once whether it is taken; then comes the wait, if any, and the answer.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet { // settle
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server died while it sent
	}
	taken, wait := r.decide(req, body)
	if c := r.hold.Load(); c != nil {
		<-*c
	}
	if wait > 0 {
		pause(req.Context(), wait)
	}
	switch taken {
	case answerOK:
		w.WriteHeader(http.StatusOK)
	case answerFail:
		w.WriteHeader(http.StatusInternalServerError)
	case answerCut:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}

type answer int

const (
	answerOK answer = iota
	answerFail
	answerCut
)

func (r *receiver) decide(req *http.Request, body []byte) (answer, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.verifier != nil {
		if err := r.verifier.Verify(body, req.Header); err != nil {
			r.t.Errorf("%s: the official library refuses a request: %v", r.name, err)
			return answerFail, 0
		}
	}
	luck := r.rand.Float64()
	wait := r.conduct.slowFrom
	if d := r.conduct.slowTo - r.conduct.slowFrom; d > 0 {
		wait += time.Duration(r.rand.Int64N(int64(d)))
	}
	switch {
	case r.down.Load() || luck < r.conduct.cut:
		r.refused++
		return answerCut, 0
	case luck < r.conduct.cut+r.conduct.fail:
		r.refused++
		return answerFail, wait
	}
	list, err := r.read(req, body)
	if err != nil {
		r.t.Errorf("%s: a request that makes no sense: %v", r.name, err)
		return answerFail, 0
	}
	run, _ := req.Context().Value(connKey{}).(int64)
	now := time.Now()
	for _, a := range list {
		a.order, a.run, a.at = int64(len(r.taken)), run, now
		r.taken = append(r.taken, a)
		r.seen[a.version] = true
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
	return answerOK, wait
}

// body is what the envelopes of the tests have in common.
type body struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Version string          `json:"posthornversion"` // CloudEvents
	Data    json.RawMessage `json:"data"`
}

// read finds the events of a request: their versions, ids and data.
func (r *receiver) read(req *http.Request, raw []byte) ([]arrival, error) {
	last, err := strconv.ParseInt(req.Header.Get("Posthorn-Version"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("posthorn-version: %w", err)
	}
	if n, err := strconv.Atoi(req.Header.Get("Posthorn-Attempt")); err != nil || n < 1 {
		return nil, fmt.Errorf("posthorn-attempt is %q", req.Header.Get("Posthorn-Attempt"))
	}
	webhook := req.Header.Get("Webhook-Id")
	if webhook == "" || req.Header.Get("Webhook-Timestamp") == "" || req.Header.Get("Webhook-Signature") == "" {
		return nil, fmt.Errorf("no id, timestamp or signature: %v", req.Header)
	}
	if !strings.HasPrefix(req.UserAgent(), "Posthorn/") {
		return nil, fmt.Errorf("user-agent is %q", req.UserAgent())
	}
	if !r.batch {
		var b body
		if err := json.Unmarshal(raw, &b); err != nil {
			return nil, err
		}
		return []arrival{{version: last, webhook: webhook, id: b.ID, data: sha256.Sum256(b.Data)}}, nil
	}
	var list []body
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	ids := sha256.New()
	for _, b := range list {
		_, _ = io.WriteString(ids, b.ID+"\n") // a hash takes everything
	}
	batch := [32]byte(ids.Sum(nil))
	out := make([]arrival, len(list))
	for i, b := range list {
		out[i] = arrival{webhook: webhook, id: b.ID, data: sha256.Sum256(b.Data), batch: batch}
		if out[i].version, err = strconv.ParseInt(b.Version, 10, 64); err != nil {
			return nil, fmt.Errorf("posthornversion: %w", err)
		}
	}
	if n := len(out); n == 0 || out[n-1].version != last {
		return nil, fmt.Errorf("%d events with posthorn-version %d", n, last)
	}
	return out, nil
}

// settle returns when the receiver has accepted every connection that was made before: connections are accepted in the
// order in which they are made.
func (r *receiver) settle(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := plain.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// arrivals returns what was taken so far.
func (r *receiver) arrivals() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.taken...)
}

// count returns how many requests came, and how many events were taken.
func (r *receiver) count() (requests, taken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, len(r.taken)
}

// missing returns the versions that have not arrived.
func (r *receiver) missing(want []int64) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []int64
	for _, v := range want {
		if !r.seen[v] {
			list = append(list, v)
		}
	}
	return list
}
