package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// deadURL refuses connections: nothing listens on port 1 of a machine.
const deadURL = "http://127.0.0.1:1/dead"

// besideRate is the rate at which the latency beside other endpoints is measured, in events a second.
const besideRate = 500

// scaled is a large number of a case, ten times smaller in a quick run.
func (r *run) scaled(n int) int {
	if r.Quick {
		return n / 10
	}
	return n
}

// beside measures one server before and after prepare: the cost at full load and the latency at a fixed rate.
func (r *run) beside(ctx context.Context, out *CaseReport, prepare func(s *serverProcess) error) error {
	s, err := r.serve(ctx, out.Name)
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	id, secrets, err := r.healthy(ctx, s, r.endpointAt(0, "order.*"))
	if err != nil {
		return err
	}
	pair := func(name string) (full, fixed Measurement, err error) {
		j := job{
			name: name + ", full load", targets: 1, endpoints: []string{id}, secrets: secrets,
			load: Load{Type: "order.paid", Connections: connections},
		}
		if full, err = r.measure(ctx, s, out.Name, j); err != nil {
			return full, fixed, fmt.Errorf("%s: %w", j.name, err)
		}
		j.name, j.load.Rate = fmt.Sprintf("%s, %d events/s", name, besideRate), besideRate
		if fixed, err = r.measure(ctx, s, out.Name, j); err != nil {
			return full, fixed, fmt.Errorf("%s: %w", j.name, err)
		}
		out.Measurements = append(out.Measurements, full, fixed)
		return full, fixed, nil
	}
	fullWithout, fixedWithout, err := pair("without")
	if err != nil {
		return err
	}
	start := time.Now()
	if err := prepare(s); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	out.Setup = time.Since(start)
	fullWith, fixedWith, err := pair("with")
	if err != nil {
		return err
	}
	if out.PeakMemory, err = peakMemory(s.pid()); err != nil {
		return err
	}
	out.Checks = []Check{
		check("cost, with by without", fullWith.CPUEvent/fullWithout.CPUEvent, besideLimit, "×"),
		check("p99, with by without", float64(fixedWith.Latency.P99)/float64(max(fixedWithout.Latency.P99, 1)), besideLimit, "×"),
		check("peak memory", megabytes(out.PeakMemory), memoryLimit, "MB"),
	}
	return nil
}

// fill makes many endpoints with progress.
func (r *run) fill(ctx context.Context, s *serverProcess, out *CaseReport, n int, of func(i int) client.Endpoint) error {
	_, err := s.addEndpoints(ctx, n, of, func(done int64) {
		r.Progress(out.Name+": making endpoints", done, int64(n))
	})
	return err
}

func runIdle(ctx context.Context, r *run, out *CaseReport) error {
	return r.beside(ctx, out, func(s *serverProcess) error {
		// The healthy endpoint counts too, so that the default limit of 100,000 is enough.
		return r.fill(ctx, s, out, r.scaled(100_000)-1, func(i int) client.Endpoint {
			return client.Endpoint{URL: fmt.Sprintf("%s/idle/%d", r.sink.url, i), Types: []string{fmt.Sprintf("idle%d.created", i)}}
		})
	})
}

func runDead(ctx context.Context, r *run, out *CaseReport) error {
	out.Notes = append(out.Notes, "the dead endpoints take the same events as the healthy one; measured once each has been tried for 30 s (quick: 5 s)")
	return r.beside(ctx, out, func(s *serverProcess) error {
		err := r.fill(ctx, s, out, r.scaled(10_000), func(i int) client.Endpoint {
			return client.Endpoint{URL: fmt.Sprintf("%s/%d", deadURL, i), Types: []string{"order.*"}}
		})
		if err != nil {
			return err
		}
		// One event a second lets the server find out that they are dead.
		l := Load{
			URL: s.base + "/v1/tenants/" + tenant + "/events", Key: r.key, Type: "order.found", Connections: 1, Rate: 1,
			Duration: 30 * time.Second, Progress: true,
		}
		if r.Quick {
			l.Duration = 5 * time.Second
		}
		_, err = r.load.run(l, func(done int64) {
			r.Progress(out.Name+": letting the dead endpoints be found out", done, int64(l.Duration/time.Second))
		})
		return err
	})
}

func runBacklog(ctx context.Context, r *run, out *CaseReport) error {
	return r.beside(ctx, out, func(s *serverProcess) error {
		// The dead endpoint takes every type; the million are of one that the healthy endpoint does not take.
		ids, err := s.addEndpoints(ctx, 1, func(int) client.Endpoint { return client.Endpoint{URL: deadURL} }, func(int64) {})
		if err != nil {
			return err
		}
		n := r.scaled(1_000_000)
		if err := r.publish(s, out, n, "bulk.imported"); err != nil {
			return err
		}
		e, err := s.endpoint(ctx, ids[0])
		if err != nil {
			return err
		}
		// A few of the first ones were tried and have retry rows instead.
		if e.State == nil || e.State.Backlog+int64(event.MaxRetryRows) < int64(n) {
			return fmt.Errorf("the dead endpoint's backlog is not %d events: %+v", n, e.State)
		}
		return nil
	})
}

// publish fills the log with n events in batches of 1,000.
func (r *run) publish(s *serverProcess, out *CaseReport, n int, eventType string) error {
	l := Load{
		URL: s.base + "/v1/tenants/" + tenant + "/events", Key: r.key, Type: eventType, Batch: 1000, Connections: 4,
		Events: int64(n), Progress: true,
	}
	sent, err := r.load.run(l, func(done int64) { r.Progress(out.Name+": publishing", done, int64(n)) })
	if err == nil && sent.Events < int64(n) {
		err = fmt.Errorf("only %d of %d events were published", sent.Events, n)
	}
	return r.blame(s, err)
}

// starts is how often the start is measured; the slowest counts.
const starts = 3

func runStart(ctx context.Context, r *run, out *CaseReport) error {
	n := r.scaled(5_000_000)
	data := filepath.Join(r.dir, out.Name)
	if r.Data != "" {
		data = filepath.Join(r.Data, fmt.Sprintf("%d", n))
	} else {
		defer func() { _ = os.RemoveAll(data) }()
	}
	if err := r.fillLog(ctx, out, data, n); err != nil {
		return err
	}
	var slowest time.Duration
	for range starts {
		r.Progress(out.Name+": starting", 0, 0)
		s, took, err := startServer(ctx, r.Executable, data, r.key)
		if err != nil {
			return err
		}
		slowest = max(slowest, took)
		if out.PeakMemory, err = peakMemory(s.pid()); err != nil {
			s.kill()
			return err
		}
		s.kill()
	}
	out.Checks = []Check{check("start after kill -9 to ready, slowest of 3", slowest.Seconds(), startLimit, "s")}
	out.Notes = append(out.Notes, "the files are in the system's cache, as after a restart of the process, not of the machine")
	return nil
}

// fillLog publishes n events into a data folder and kills the server. A folder that was filled completely carries a
// mark beside it and is used again.
func (r *run) fillLog(ctx context.Context, out *CaseReport, data string, n int) error {
	mark := data + ".filled"
	if _, err := os.Stat(mark); err == nil {
		out.Notes = append(out.Notes, "the log was filled by an earlier run")
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("empty the data folder: %w", err)
	}
	start := time.Now()
	s, _, err := startServer(ctx, r.Executable, data, r.key)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := s.call(ctx, "POST", "/v1/tenants", map[string]string{"name": tenant}, nil); err != nil {
		return err
	}
	if err := r.publish(s, out, n, "order.paid"); err != nil {
		return err
	}
	out.Setup = time.Since(start)
	return os.WriteFile(mark, nil, 0o600)
}
