package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/sink"
)

// Load is what the load generator is told to do, one JSON value a run.
type Load struct {
	// URL is posted to; Key, when not empty, is sent as the bearer key.
	URL string `json:"url"`
	Key string `json:"key,omitempty"`
	// Type is the events' type; Batch how many go in one request, 0 and 1 as a lone object.
	Type  string `json:"type"`
	Batch int    `json:"batch,omitempty"`
	// Hook, when not empty, is the secret with which each request is signed as GitHub signs its webhooks. Size, when not 0, makes
	// the body so many bytes that are no event.
	Hook string `json:"hook,omitempty"`
	Size int    `json:"size,omitempty"`
	// Connections post at once, each its next request when the last one is answered.
	Connections int `json:"connections"`
	// Rate, when not 0, posts so many requests a second at fixed times instead, whether answered or not.
	Rate int `json:"rate,omitempty"`
	// Duration ends the run, and so do Events, when not 0.
	Duration time.Duration `json:"duration,omitempty"`
	Events   int64         `json:"events,omitempty"`
	// Window, when not 0, keeps at most so many deliveries (Targets for each event) outstanding, as the sink at SinkURL
	// counts them.
	Window  int64  `json:"window,omitempty"`
	Targets int64  `json:"targets,omitempty"`
	SinkURL string `json:"sink_url,omitempty"`
	// Progress asks for a line with the count of events about five times a second.
	Progress bool `json:"progress,omitempty"`
}

// Sent is what a run did. A line of progress has only Events.
type Sent struct {
	Done   bool          `json:"done,omitempty"`
	Events int64         `json:"events"`
	Took   time.Duration `json:"took,omitempty"`
	// CPU is the processor time of the load generator's process during the run.
	CPU time.Duration `json:"cpu,omitempty"`
	// LastID is the id of one of the last events.
	LastID string `json:"last_id,omitempty"`
	// Answered is how long the answers took, from when the request was due.
	Answered sink.Latency `json:"answered"`
	Error    string       `json:"error,omitempty"`
}

// RunLoad reads a [Load] a line from in, runs it, and writes [Sent] lines to out, until in ends or ctx does.
func RunLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	encoder := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var l Load
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read load: %w", err)
		}
		sent := l.run(ctx, func(events int64) { _ = encoder.Encode(Sent{Events: events}) })
		sent.Done = true
		if err := encoder.Encode(sent); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
	return lines.Err()
}

// generator is one run under way.
type generator struct {
	Load
	client *fasthttp.HostClient
	next   atomic.Int64 // the number of the next event
	// arrived is the sink's count, for the window.
	arrived atomic.Int64
	moved   chan struct{}
	due     chan time.Time  // publish times under Rate
	ended   context.Context //nolint:containedctx // the run's own end, shared by its workers
	fail    context.CancelCauseFunc
	lastID  atomic.Pointer[string]
	sent    atomic.Int64

	mu      sync.Mutex
	answers []uint32 // how long each took, in µs
}

func (l Load) run(ctx context.Context, progress func(int64)) Sent {
	u, err := url.Parse(l.URL)
	if err != nil {
		return Sent{Error: err.Error()}
	}
	if l.Duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, l.Duration)
		defer stop()
	}
	ended, fail := context.WithCancelCause(ctx)
	g := &generator{
		Load: l, ended: ended, fail: fail, moved: make(chan struct{}, l.Connections), due: make(chan time.Time, 4096),
		client: &fasthttp.HostClient{
			Addr: u.Host, MaxConns: l.Connections + 1, NoDefaultUserAgentHeader: true, MaxIdleConnDuration: time.Minute,
		},
	}
	defer g.client.CloseIdleConnections()
	var side, workers sync.WaitGroup
	if l.Rate > 0 {
		side.Go(g.schedule)
	}
	if l.Window > 0 {
		side.Go(g.watch)
	}
	if l.Progress {
		side.Go(func() { g.report(progress) })
	}
	cpu, start := sink.ProcessCPU(), time.Now()
	for range l.Connections {
		workers.Go(g.work)
	}
	workers.Wait()
	sent := Sent{Events: g.sent.Load(), Took: time.Since(start), CPU: sink.ProcessCPU() - cpu}
	fail(nil)
	side.Wait()
	if err := context.Cause(ended); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		sent.Error = err.Error()
	}
	if id := g.lastID.Load(); id != nil {
		sent.LastID = *id
	}
	sent.Answered = sink.LatencyOf(g.answers)
	return sent
}

// work posts until the run ends.
func (g *generator) work() {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(g.URL)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	if g.Key != "" {
		req.Header.Set("Authorization", "Bearer "+g.Key)
	}
	b, batch := g.body(), max(g.Batch, 1)
	hook := newHook(g.Hook)
	var answers []uint32
	defer func() { g.keep(answers) }()
	for {
		at, ok := g.turn()
		if !ok {
			break
		}
		first := g.next.Add(int64(batch)) - int64(batch)
		if g.Events > 0 && first >= g.Events {
			break
		}
		b.number(uint64(first), at)
		req.SetBodyRaw(b.bytes)
		hook.sign(&req.Header, first, b.bytes)
		if err := g.client.Do(req, resp); err != nil {
			g.fail(fmt.Errorf("publish: %w", err))
			return
		}
		if status := resp.StatusCode(); status >= 300 {
			g.fail(fmt.Errorf("publish was answered %d: %.300s", status, resp.Body()))
			return
		}
		answers = append(answers, uint32(min(time.Since(at).Microseconds(), math.MaxUint32)))
		g.sent.Add(int64(batch))
	}
	if id := lastID(resp.Body()); id != "" {
		g.lastID.Store(&id)
	}
}

// body is what is posted.
func (g *generator) body() *body {
	if g.Size > 0 {
		return &body{bytes: bytes.Repeat([]byte("."), g.Size)}
	}
	return newBody(g.Type, max(g.Batch, 1))
}

// keep takes a worker's samples.
func (g *generator) keep(answers []uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers = append(g.answers, answers...)
}

// turn waits until the next request may go and returns the time that counts as its publish.
func (g *generator) turn() (time.Time, bool) {
	if g.Rate > 0 {
		at, ok := <-g.due
		return at, ok
	}
	for g.Window > 0 && g.next.Load()*g.Targets-g.arrived.Load() >= g.Window {
		select {
		case <-g.moved:
		case <-g.ended.Done():
			return time.Time{}, false
		}
	}
	return time.Now(), g.ended.Err() == nil
}

// schedule hands out publish times at the fixed rate. A request that waits for a free connection keeps its time, so
// that a slow answer shows in the latency of those behind it.
func (g *generator) schedule() {
	defer close(g.due)
	start, step := time.Now(), time.Second/time.Duration(g.Rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		at := start.Add(time.Duration(i) * step)
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-g.ended.Done():
			return
		}
		select {
		case g.due <- at:
		case <-g.ended.Done():
			return
		}
	}
}

// watch follows the sink's count of arrivals.
func (g *generator) watch() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.ended.Done():
			return
		case <-tick.C:
		}
		state, err := sinkState(g.SinkURL)
		if err != nil {
			g.fail(err)
			return
		}
		if state.Arrived > g.arrived.Swap(state.Arrived) {
			for range g.Connections {
				select {
				case g.moved <- struct{}{}:
				default:
				}
			}
		}
	}
}

// sinkState reads the sink's control interface.
func sinkState(base string) (sink.State, error) {
	var state sink.State
	_, text, err := fasthttp.Get(nil, base+"/-/state")
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		return state, fmt.Errorf("ask the sink: %w", err)
	}
	return state, nil
}

func (g *generator) report(progress func(int64)) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-g.ended.Done():
			return
		case <-tick.C:
			progress(g.sent.Load())
		}
	}
}

// lastID reads an id from the answer to a publish; empty when there is none, as in the sink's answers.
func lastID(answer []byte) string {
	var one struct {
		ID     string `json:"id"`
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	if json.Unmarshal(answer, &one) != nil {
		return ""
	}
	if n := len(one.Events); n > 0 {
		return one.Events[n-1].ID
	}
	return one.ID
}
