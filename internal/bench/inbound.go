package bench

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/posthornhq/posthorn/internal/sink"
)

// answerLimit is how long the 99th of 100 webhooks may wait for its answer, in ms, at 500 a second.
const answerLimit = 15

// hookSecret is the secret of the bench's source.
const hookSecret = "bench-webhook-secret" //nolint:gosec // of a server that lives for the bench

// hook signs requests as GitHub does; nil signs nothing.
type hook struct {
	mac hash.Hash
	// run keeps the deliveries of one worker apart from those of others and of other runs.
	run string
}

func newHook(secret string) *hook {
	if secret == "" {
		return nil
	}
	return &hook{hmac.New(sha256.New, []byte(secret)), rand.Text()}
}

func (h *hook) sign(header *fasthttp.RequestHeader, number int64, body []byte) {
	if h == nil {
		return
	}
	h.mac.Reset()
	h.mac.Write(body)
	header.Set("X-GitHub-Event", "push")
	header.Set("X-GitHub-Delivery", h.run+strconv.FormatInt(number, 10))
	header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(h.mac.Sum(nil)))
}

// bareHandler serves, in this process, a handler that reads the body and answers, and nothing else.
func bareHandler(ctx context.Context) (url string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})}
	done := make(chan struct{})
	go func() {
		_ = s.Serve(l) // ends with Close
		close(done)
	}()
	return "http://" + l.Addr().String(), func() { _ = s.Close(); <-done }, nil
}

// answered sends a load, after a warm-up, and measures the processor time that cpu tells and how long the answers took.
func (r *run) answered(ctx context.Context, what, name string, l Load, cpu func() (time.Duration, error)) (Measurement, error) {
	m := Measurement{Name: name}
	l.Duration = r.warmUp()
	if _, err := r.load.run(l, func(int64) {}); err != nil {
		return m, err
	}
	before, err := cpu()
	if err != nil {
		return m, err
	}
	l.Duration, l.Progress = r.Duration, true
	begin, whole := time.Now(), r.Duration.Milliseconds()
	sent, err := r.load.run(l, func(int64) { r.Progress(what+": "+name, time.Since(begin).Milliseconds(), whole) })
	if err != nil {
		return m, err
	}
	after, err := cpu()
	if err != nil {
		return m, err
	}
	m.Events, m.Took, m.CPU, m.Latency = sent.Events, sent.Took, after-before, sent.Answered
	m.derive()
	return m, ctx.Err()
}

// ownCPU is the processor time of this process.
func ownCPU() (time.Duration, error) { return sink.ProcessCPU(), nil }

// source starts a server with a source for GitHub's webhooks and returns its address.
func (r *run) source(ctx context.Context, name string) (*serverProcess, string, error) {
	s, err := r.serve(ctx, name)
	if err != nil {
		return nil, "", err
	}
	source := map[string]any{"name": "github", "provider": "github", "secrets": []string{hookSecret}}
	if err := s.call(ctx, http.MethodPost, "/v1/tenants/"+tenant+"/sources", source, nil); err != nil {
		s.stop()
		return nil, "", err
	}
	return s, s.base + "/in/" + tenant + "/github", nil
}

// runSource compares a source, which verifies and stores, with a handler that does nothing.
func runSource(ctx context.Context, r *run, out *CaseReport) error {
	url, stop, err := bareHandler(ctx)
	if err != nil {
		return err
	}
	l := Load{URL: url, Type: "order.paid", Connections: connections, Hook: hookSecret}
	bare, err := r.answered(ctx, out.Name, "bare handler", l, ownCPU)
	stop()
	if err != nil {
		return err
	}
	s, url, err := r.source(ctx, out.Name)
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	l.URL = url
	m, err := r.answered(ctx, out.Name, "source", l, func() (time.Duration, error) { return processCPU(s.pid()) })
	if err != nil {
		return r.blame(s, err)
	}
	out.Measurements = []Measurement{bare, m}
	out.Checks = []Check{
		told("cost a webhook", m.CPUEvent, "µs"), told("bare handler", bare.CPUEvent, "µs"), told("ratio", m.CPUEvent/bare.CPUEvent, "×"),
	}
	out.PeakMemory, err = peakMemory(s.pid())
	return err
}

// runSourceLatency is how long the sender of a webhook waits for its answer, which goes out when the event is durable.
func runSourceLatency(ctx context.Context, r *run, out *CaseReport) error {
	s, url, err := r.source(ctx, out.Name)
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	l := Load{URL: url, Type: "order.paid", Connections: connections, Hook: hookSecret, Rate: 500}
	m, err := r.answered(ctx, out.Name, "source", l, func() (time.Duration, error) { return processCPU(s.pid()) })
	if err != nil {
		return r.blame(s, err)
	}
	out.Measurements = []Measurement{m}
	out.Checks = []Check{check("p99 of the answer", milliseconds(m.Latency.P99), answerLimit, "ms")}
	out.PeakMemory, err = peakMemory(s.pid())
	return err
}
