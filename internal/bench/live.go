package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// What live connections are to reach, from docs/measured.md.
const (
	connectionLimit = 16      // KiB a connection
	topicLimit      = 8       // µs a message at 2 events/s
	fullLimit       = 6       // µs a message when saturated
	topicDelayLimit = 60      // ms, p99
	catchUpLimit    = 200_000 // events a second
)

// listenersOf is how many listeners a server takes that may have so many files open: it keeps a tenth of them, at least 256,
// for the rest.
func listenersOf(files int) int { return files - max(files/10, 256) }

// quiet is how long connections are left alone before they are measured.
const quiet = 3 * time.Second

// liveCase is a server with a crowd of listeners.
type liveCase struct {
	*run
	out    *CaseReport
	server *serverProcess
	crowd  *crowdProcess
	files  int // that the server may have open
}

// live runs a measurement with a fresh server and crowd.
func (r *run) live(ctx context.Context, out *CaseReport, measure func(l *liveCase) error) error {
	r.Progress(out.Name+": starting the server", 0, 0)
	files, err := raiseFiles(0) // before the start: the server inherits it, and looks at it then
	if err != nil {
		return err
	}
	data := filepath.Join(r.dir, out.Name)
	s, _, err := startServer(ctx, r.Executable, data, r.key, "--stream-keep-alive", "10m", "--max-streams-per-address", "100000", "--max-waiting-polls", "100000")
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	if err := s.call(ctx, "POST", "/v1/tenants", map[string]string{"name": tenant}, nil); err != nil {
		return err
	}
	crowd, err := startCrowd(ctx, r.Executable)
	if err != nil {
		return err
	}
	defer func() { crowd.watch(); crowd.stop() }()
	if err := measure(&liveCase{r, out, s, crowd, files}); err != nil {
		return r.blame(s, err)
	}
	peak, err := peakMemory(s.pid())
	out.PeakMemory = max(out.PeakMemory, peak)
	return err
}

// listen adds connections of a kind and leaves them alone until they have settled.
func (l *liveCase) listen(ctx context.Context, kind string, count int, start int64) error {
	l.Progress(fmt.Sprintf("%s: opening %d × %s", l.out.Name, count, kind), 0, 0)
	u, err := url.Parse(l.server.base)
	if err != nil {
		return err
	}
	path := "/v1/tenants/" + tenant + map[string]string{kindSSE: "/stream", kindSocket: "/socket", kindPoll: "/changes?wait=60"}[kind]
	if _, err = l.crowd.tell(Order{Do: "open", Kind: kind, Address: u.Host, Path: path, Key: l.key, Count: count, Start: start}); err != nil {
		return err
	}
	return pause(ctx, quiet)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func runLiveMemory(ctx context.Context, r *run, out *CaseReport) error {
	steps := []int{1000, 10_000, 20_000}
	if r.Quick {
		steps = []int{1000, 3000}
	}
	for _, kind := range []string{kindSSE, kindSocket, kindPoll} {
		err := r.live(ctx, out, func(l *liveCase) error {
			before, err := residentMemory(l.server.pid())
			if err != nil {
				return err
			}
			open := 0
			for _, n := range steps {
				n = min(n, listenersOf(l.files))
				if err := l.listen(ctx, kind, n-open, 0); err != nil {
					return err
				}
				open = n
				now, err := residentMemory(l.server.pid())
				if err != nil {
					return err
				}
				each := float64(now-before) / float64(n) / 1024
				what := fmt.Sprintf("%s × %d, each", kind, n)
				if kind == kindPoll {
					out.Checks = append(out.Checks, told(what, each, "KiB"))
				} else {
					out.Checks = append(out.Checks, check(what, each, connectionLimit, "KiB"))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// topic publishes at a rate to a crowd that listens to all, and waits until everybody has heard everything.
func (l *liveCase) topic(ctx context.Context, kind string, listeners, rate int) (Measurement, error) {
	m := Measurement{Name: fmt.Sprintf("%s × %d", kind, listeners)}
	if err := l.listen(ctx, kind, listeners, 1); err != nil {
		return m, err
	}
	what := l.out.Name + ": " + m.Name
	cpu, err := processCPU(l.server.pid())
	if err != nil {
		return m, err
	}
	begin := time.Now()
	load := Load{
		URL: l.server.base + "/v1/tenants/" + tenant + "/events", Key: l.key, Type: "order.paid", Connections: 4, Rate: rate,
		Duration: l.Duration, Progress: true,
	}
	sent, err := l.load.run(load, func(int64) { l.Progress(what, time.Since(begin).Milliseconds(), l.Duration.Milliseconds()) })
	if err != nil {
		return m, err
	}
	heard, err := l.everybody(ctx, l.crowd, what, sent.Events, listeners)
	if err != nil {
		return m, err
	}
	after, err := processCPU(l.server.pid())
	if err != nil {
		return m, err
	}
	m.Events, m.Deliveries, m.CPU, m.Took, m.Latency = sent.Events, heard.Messages, after-cpu, heard.Last.Sub(begin), heard.Latency
	m.derive()
	if heard.Reads > 0 {
		l.out.Notes = append(l.out.Notes, fmt.Sprintf("%s: %.1f messages a read of the listeners", m.Name, float64(heard.Messages)/float64(heard.Reads)))
	}
	return m, m.verify()
}

// everybody waits until each listener of a crowd has heard each event once.
func (r *run) everybody(ctx context.Context, crowd *crowdProcess, what string, events int64, listeners int) (Heard, error) {
	last, since := int64(-1), time.Now()
	for {
		heard, err := crowd.tell(Order{Do: "state"})
		switch {
		case err != nil:
			return heard, err
		case heard.Closed > 0:
			return heard, fmt.Errorf("%d connections were closed", heard.Closed)
		case heard.Messages >= events*int64(listeners):
			if heard.Whole != listeners || heard.Messages != events*int64(listeners) {
				return heard, fmt.Errorf("%d of %d listeners heard each event once", heard.Whole, listeners)
			}
			return heard, nil
		case heard.Messages > last:
			last, since = heard.Messages, time.Now()
		case time.Since(since) > stalled/2:
			return heard, fmt.Errorf("%d of %d messages are missing", events*int64(listeners)-heard.Messages, events*int64(listeners))
		}
		r.Progress(what+": waiting for arrivals", heard.Messages, events*int64(listeners))
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return heard, err
		}
	}
}

// topics measures several kinds and numbers of listeners, each with a fresh server. judge adds the checks.
func (r *run) topics(ctx context.Context, out *CaseReport, rate int, kinds []string, listeners []int, judge func(kind string, listeners int, m Measurement)) error {
	for _, n := range listeners {
		for _, kind := range kinds {
			err := r.live(ctx, out, func(l *liveCase) error {
				m, err := l.topic(ctx, kind, n, rate)
				if err != nil {
					return fmt.Errorf("%s × %d: %w", kind, n, err)
				}
				out.Measurements = append(out.Measurements, m)
				judge(kind, n, m)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// most is the larger number of listeners.
func (r *run) most() int {
	if r.Quick {
		return 1000
	}
	return 10_000
}

func runLiveTopic(ctx context.Context, r *run, out *CaseReport) error {
	bare, err := r.writeFloor(ctx, out.Name, r.most(), 2)
	if err != nil {
		return err
	}
	out.Measurements = append(out.Measurements, bare)
	kinds := []string{kindSSE, kindSocket, kindPoll}
	return r.topics(ctx, out, 2, kinds, []int{1000, r.most()}, func(kind string, n int, m Measurement) {
		if kind == kindPoll || n < r.most() {
			return
		}
		out.Checks = append(out.Checks, check(kind+", cost a message", m.CPUDelivery, topicLimit, "µs"),
			told(kind+", against bare writes", m.CPUDelivery/bare.CPUDelivery, "×"),
			check(kind+", p99", milliseconds(m.Latency.P99), topicDelayLimit, "ms"))
	})
}

func runLiveFull(ctx context.Context, r *run, out *CaseReport) error {
	return r.topics(ctx, out, 100, []string{kindSSE, kindSocket}, []int{r.most()}, func(kind string, _ int, m Measurement) {
		out.Checks = append(out.Checks, check(kind+", cost a message", m.CPUDelivery, fullLimit, "µs"))
	})
}

func runLiveLatency(ctx context.Context, r *run, out *CaseReport) error {
	return r.topics(ctx, out, 100, []string{kindSSE, kindSocket, kindPoll}, []int{100, 1000}, func(kind string, n int, m Measurement) {
		out.Checks = append(out.Checks, told(fmt.Sprintf("%s × %d, p99", kind, n), milliseconds(m.Latency.P99), "ms"))
	})
}

func runLiveCatchUp(ctx context.Context, r *run, out *CaseReport) error {
	events := 1_000_000
	if r.Quick {
		events = 100_000
	}
	return r.live(ctx, out, func(l *liveCase) error {
		begin := time.Now()
		if err := r.publish(l.server, out, events, "order.paid"); err != nil {
			return err
		}
		out.Setup = time.Since(begin)
		cpu, err := processCPU(l.server.pid())
		if err != nil {
			return err
		}
		u, found := strings.CutPrefix(l.server.base, "http://")
		if !found {
			return errors.New("the server's address is not one of http")
		}
		begin = time.Now()
		order := Order{Do: "open", Kind: kindSSE, Address: u, Path: "/v1/tenants/" + tenant + "/stream?start=1", Key: r.key, Count: 1}
		if _, err := l.crowd.tell(order); err != nil {
			return err
		}
		heard, err := l.everybody(ctx, l.crowd, out.Name, int64(events), 1)
		if err != nil {
			return err
		}
		after, err := processCPU(l.server.pid())
		if err != nil {
			return err
		}
		m := Measurement{Events: int64(events), Deliveries: heard.Messages, Took: heard.Last.Sub(begin), CPU: after - cpu}
		m.derive()
		out.Measurements = append(out.Measurements, m)
		out.Checks = append(out.Checks, checkLeast("catch-up over SSE", m.DeliveriesPerSecond, catchUpLimit, "a second"))
		return m.verify()
	})
}
