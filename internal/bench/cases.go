package bench

import (
	"context"

	"github.com/posthornhq/posthorn/client"
)

// What is to be reached, from docs/design.md.
const (
	singleLimit  = 2.5 // × floor an event
	batchLimit   = 0.6 // × floor an event
	fanoutLimit  = 1.6 // × floor a delivery
	latencyLimit = 10  // ms, p99
	besideLimit  = 1.3 // × the same load without
	memoryLimit  = 600 // MB
	startLimit   = 1   // s
)

// benchCase is one case: what it is called and what it does.
type benchCase struct {
	name, text string
	// quick is the text with small numbers, when it differs.
	quick string
	run   func(ctx context.Context, r *run, out *CaseReport) error
}

func (c benchCase) title(quick bool) string {
	if quick && c.quick != "" {
		return c.quick
	}
	return c.text
}

func cases() []benchCase {
	return []benchCase{
		{"single", "single-event publishes, 64 connections, one endpoint", "", runSingle},
		{"batch100", "publishes of 100, deliveries in batches of 100", "", runBatch},
		{"fanout100", "one event to 100 endpoints", "", runFanout},
		{"latency500", "500 events/s", "", runLatency},
		{"idle100k", "100,000 idle endpoints beside a healthy one", "10,000 idle endpoints beside a healthy one", runIdle},
		{"dead10k", "10,000 dead endpoints beside a healthy one", "1,000 dead endpoints beside a healthy one", runDead},
		{"backlog1m", "1,000,000 events behind a dead endpoint", "100,000 events behind a dead endpoint", runBacklog},
		{"start5m", "start with 5,000,000 stored events", "start with 500,000 stored events", runStart},
		{"source", "webhooks of a provider verified and stored, 64 connections", "", runSource},
		{"source500", "500 webhooks of a provider a second", "", runSourceLatency},
		{"tunnel", "requests through a tunnel beside direct ones", "", runTunnel},
		{"live-memory", "memory of idle live connections", "", runLiveMemory},
		{"live-topic", "10,000 listeners to one topic, 2 events/s", "1,000 listeners to one topic, 2 events/s", runLiveTopic},
		{"live-full", "10,000 listeners to one topic, 100 events/s", "1,000 listeners to one topic, 100 events/s", runLiveFull},
		{"live-latency", "1,000 listeners to one topic, 100 events/s", "", runLiveLatency},
		{"live-catchup", "a listener 1,000,000 events behind", "a listener 100,000 events behind", runLiveCatchUp},
	}
}

// simple runs one load on a fresh server with one endpoint.
func (r *run) simple(ctx context.Context, out *CaseReport, endpoint client.Endpoint, l Load) (Measurement, error) {
	s, err := r.serve(ctx, out.Name)
	if err != nil {
		return Measurement{}, err
	}
	defer r.end(s, out.Name)
	id, secrets, err := r.healthy(ctx, s, endpoint)
	if err != nil {
		return Measurement{}, err
	}
	m, err := r.measure(ctx, s, out.Name, job{load: l, targets: 1, endpoints: []string{id}, secrets: secrets})
	if err != nil {
		return m, err
	}
	out.Measurements = append(out.Measurements, m)
	out.PeakMemory, err = peakMemory(s.pid())
	return m, err
}

func runSingle(ctx context.Context, r *run, out *CaseReport) error {
	m, err := r.simple(ctx, out, r.endpointAt(0), Load{Type: "order.paid", Connections: connections})
	out.Checks = append(out.Checks, check("cost an event", m.CPUEvent/r.floor.Pair, singleLimit, "× floor"))
	return err
}

func runBatch(ctx context.Context, r *run, out *CaseReport) error {
	e := r.endpointAt(0)
	e.Batch = &client.Batch{Max: 100}
	m, err := r.simple(ctx, out, e, Load{Type: "order.paid", Connections: 8, Batch: 100})
	out.Checks = append(out.Checks, check("cost an event", m.CPUEvent/r.floor.Pair, batchLimit, "× floor"))
	return err
}

func runLatency(ctx context.Context, r *run, out *CaseReport) error {
	m, err := r.simple(ctx, out, r.endpointAt(0), Load{Type: "order.paid", Connections: connections, Rate: 500})
	out.Checks = append(out.Checks, check("p99", milliseconds(m.Latency.P99), latencyLimit, "ms"))
	return err
}

func runFanout(ctx context.Context, r *run, out *CaseReport) error {
	const targets = 100
	s, err := r.serve(ctx, out.Name)
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	ids, err := s.addEndpoints(ctx, targets, func(i int) client.Endpoint {
		e := r.endpointAt(i)
		e.Concurrency = 8
		return e
	}, func(int64) {})
	if err != nil {
		return err
	}
	// The window lets publishers run ahead of the deliveries by 20 events.
	l := Load{Type: "order.paid", Connections: 8, Window: 20 * targets}
	m, err := r.measure(ctx, s, out.Name, job{load: l, targets: targets, endpoints: ids})
	if err != nil {
		return err
	}
	out.Measurements = []Measurement{m}
	out.Checks = []Check{check("cost a delivery", m.CPUDelivery/r.floor.Pair, fanoutLimit, "× floor")}
	out.Notes = append(out.Notes, "the load generator keeps at most 20 events, 2,000 deliveries, outstanding")
	out.PeakMemory, err = peakMemory(s.pid())
	return err
}
