package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/sink"
)

// stalled is how long a measurement waits without any arrival before it gives up.
const stalled = 60 * time.Second

// job is one load through a server.
type job struct {
	name string
	load Load
	// targets is how many endpoints each event goes to; endpoints are the ids to watch until all is settled.
	targets   int
	endpoints []string
	secrets   []string
}

// measure warms up, sends a load, waits until all has arrived and is recorded, and reads what it cost.
func (r *run) measure(ctx context.Context, s *serverProcess, caseName string, j job) (Measurement, error) {
	m := Measurement{Name: j.name}
	j.load.URL = s.base + "/v1/tenants/" + tenant + "/events"
	j.load.Key, j.load.SinkURL, j.load.Targets, j.load.Progress = r.key, r.sink.url, int64(j.targets), true
	what := caseName
	if j.name != "" {
		what += ", " + j.name
	}
	warm := j
	warm.load.Duration = r.warmUp()
	if _, _, err := r.through(ctx, s, what+": warming up", warm); err != nil {
		return m, fmt.Errorf("warm-up: %w", err)
	}
	j.load.Duration = r.Duration
	cpu, err := processCPU(s.pid())
	if err != nil {
		return m, s.failure(err)
	}
	start := time.Now()
	sent, state, err := r.through(ctx, s, what, j)
	if err != nil {
		return m, err
	}
	after, err := processCPU(s.pid())
	if err != nil {
		return m, s.failure(err)
	}
	m.Events, m.Deliveries, m.Took, m.CPU = sent.Events, state.Arrived, state.Last.Sub(start), after-cpu
	m.Repeated, m.Verified, m.Invalid = state.Repeated, state.Verified, state.Invalid
	if err := r.sinkCall(ctx, http.MethodGet, "/-/latency", nil, &m.Latency); err != nil {
		return m, err
	}
	m.derive()
	return m, m.verify()
}

// through sends one load and returns when every event has arrived at every target and is recorded.
func (r *run) through(ctx context.Context, s *serverProcess, what string, j job) (Sent, sink.State, error) {
	events := sink.MaxMeterSamples / j.targets
	q := sink.Measure{Events: events, Targets: j.targets, Secrets: j.secrets}
	if err := r.sinkCall(ctx, http.MethodPost, "/-/measure", q, nil); err != nil {
		return Sent{}, sink.State{}, err
	}
	before, err := sinkState(r.sink.url)
	if err != nil {
		return Sent{}, sink.State{}, err
	}
	if j.load.Events == 0 {
		// The meter has room for so many; a load that ends early for it is still measured as it is.
		j.load.Events = int64(events - events%max(j.load.Batch, 1))
	}
	begin := time.Now()
	whole := j.load.Duration.Milliseconds()
	sent, err := r.load.run(j.load, func(int64) { r.Progress(what, time.Since(begin).Milliseconds(), whole) })
	if err != nil {
		return sent, sink.State{}, r.blame(s, err)
	}
	state, err := r.arrive(ctx, s, what, sent.Events*int64(j.targets))
	if err != nil {
		return sent, state, err
	}
	state.Verified -= before.Verified
	state.Invalid -= before.Invalid
	return sent, state, r.settle(ctx, s, what, j.endpoints, sent.LastID)
}

// blame adds the server's own words when it has ended.
func (r *run) blame(s *serverProcess, err error) error {
	select {
	case <-s.gone:
		return s.failure(err)
	default:
		return err
	}
}

// arrive waits until want arrivals are counted.
func (r *run) arrive(ctx context.Context, s *serverProcess, what string, want int64) (sink.State, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for {
		state, err := sinkState(r.sink.url)
		switch {
		case err != nil:
			return state, err
		case state.Arrived >= want:
			return state, nil
		case state.Arrived > last:
			last, since = state.Arrived, time.Now()
		case time.Since(since) > stalled:
			return state, fmt.Errorf("%d of %d deliveries have not arrived, and none for %v", want-state.Arrived, want, stalled)
		}
		r.Progress(what+": waiting for arrivals", state.Arrived, want)
		select {
		case <-tick.C:
		case <-s.gone:
			return state, s.failure(errors.New("the server ended"))
		case <-ctx.Done():
			return state, ctx.Err()
		}
	}
}

// settle waits until the endpoints have no backlog and the last event is recorded as delivered.
func (r *run) settle(ctx context.Context, s *serverProcess, what string, endpoints []string, lastID string) error {
	r.Progress(what+": waiting until all is recorded", 0, 0)
	ctx, cancel := context.WithTimeout(ctx, stalled)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	recorded := lastID == ""
	for {
		var err error
		if !recorded {
			if recorded, err = s.recorded(ctx, lastID); err != nil {
				return r.blame(s, err)
			}
		}
		for recorded && len(endpoints) > 0 {
			e, err := s.endpoint(ctx, endpoints[0])
			if err != nil {
				return r.blame(s, err)
			}
			if !settled(e.State) {
				break
			}
			endpoints = endpoints[1:]
		}
		if recorded && len(endpoints) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("everything has arrived, but not everything is recorded after %v", stalled)
		}
	}
}

func settled(state *client.EndpointState) bool {
	return state != nil && state.Lane == "live" && state.Backlog == 0 && state.InFlight == 0 && state.Retries == 0
}

// sinkCall uses the sink's control interface.
func (r *run) sinkCall(ctx context.Context, method, path string, in, out any) error {
	if err := newAPI(r.sink.url, "").call(ctx, method, path, in, out); err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	return nil
}

// endpointAt describes an endpoint of the sink with a number.
func (r *run) endpointAt(number int, types ...string) client.Endpoint {
	return client.Endpoint{URL: fmt.Sprintf("%s%s%d", r.sink.url, sink.MeterPath, number), Types: types, Concurrency: connections}
}

// healthy makes the one healthy endpoint of a case and returns its id and secret.
func (r *run) healthy(ctx context.Context, s *serverProcess, e client.Endpoint) (id string, secrets []string, err error) {
	ids, err := s.addEndpoints(ctx, 1, func(int) client.Endpoint { return e }, func(int64) {})
	if err != nil {
		return "", nil, err
	}
	var secret client.Secret
	path := strings.Join([]string{"/v1/tenants", tenant, "endpoints", ids[0], "secret"}, "/")
	if err := s.call(ctx, http.MethodGet, path, nil, &secret); err != nil {
		return "", nil, err
	}
	return ids[0], []string{secret.Secret}, nil
}
