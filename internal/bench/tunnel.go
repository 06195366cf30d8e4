package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/posthornhq/posthorn/internal/tunnel/agent"
)

// largeBody is the size of a large body through a tunnel, in bytes.
const largeBody = 1 << 20

// connectAgent connects a tunnel to a program of this process, and returns its public address.
func (r *run) connectAgent(ctx context.Context, s *serverProcess, target string) (public string, stop func() error, err error) {
	const name = "bench"
	var made struct{ URL string }
	list := "/v1/tenants/" + tenant + "/tunnels"
	if err := s.call(ctx, http.MethodPost, list, map[string]string{"name": name, "kind": "http"}, &made); err != nil {
		return "", nil, err
	}
	to, err := url.Parse(target)
	if err != nil {
		return "", nil, fmt.Errorf("tunnel: %w", err)
	}
	connected := make(chan struct{}, 1)
	a, err := agent.New(agent.Options{
		Connect: s.base + list + "/" + name + "/connect", Key: r.key, Target: to, Name: name, Kind: "http", PublicURL: made.URL,
		OnStatus: func(st agent.Status) {
			if st.Connected {
				select {
				case connected <- struct{}{}:
				default:
				}
			}
		},
	})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() error { cancel(); return <-done }
	select {
	case <-connected:
		return made.URL + "/hook", stop, nil
	case err := <-done:
		cancel()
		return "", nil, fmt.Errorf("the tunnel ended: %w", err)
	case <-time.After(stopWithin):
		return "", nil, errors.Join(errors.New("the tunnel was not connected"), stop())
	}
}

// runTunnel compares requests through a tunnel with the same requests straight to the program behind it.
func runTunnel(ctx context.Context, r *run, out *CaseReport) (err error) {
	direct, end, err := bareHandler(ctx)
	if err != nil {
		return err
	}
	defer end()
	s, err := r.serve(ctx, out.Name)
	if err != nil {
		return err
	}
	defer r.end(s, out.Name)
	through, stop, err := r.connectAgent(ctx, s, direct)
	if err != nil {
		return r.blame(s, err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	cpu := func() (time.Duration, error) { return processCPU(s.pid()) }
	loads := []struct {
		name string
		load Load
	}{
		{"700 bytes, 64 connections", Load{Type: "order.paid", Connections: connections}},
		{"700 bytes, 200 a second", Load{Type: "order.paid", Connections: connections, Rate: 200}},
		{"1 MiB, 4 connections", Load{Type: "order.paid", Connections: 4, Size: largeBody}},
	}
	for _, l := range loads {
		l.load.URL = direct
		bare, err := r.answered(ctx, out.Name, l.name+", direct", l.load, ownCPU)
		if err != nil {
			return err
		}
		l.load.URL = through
		m, err := r.answered(ctx, out.Name, l.name+", tunnel", l.load, cpu)
		if err != nil {
			return r.blame(s, err)
		}
		out.Measurements = append(out.Measurements, bare, m)
	}
	m := out.Measurements
	megabytes := func(m Measurement) float64 { return m.EventsPerSecond * largeBody / 1e6 }
	out.Checks = []Check{
		told("requests through the tunnel", m[1].EventsPerSecond, "a second"), told("direct", m[0].EventsPerSecond, "a second"),
		told("p50 through the tunnel", milliseconds(m[3].Latency.P50), "ms"), told("p50 direct", milliseconds(m[2].Latency.P50), "ms"),
		told("p99 through the tunnel", milliseconds(m[3].Latency.P99), "ms"), told("p99 direct", milliseconds(m[2].Latency.P99), "ms"),
		told("large bodies through the tunnel", megabytes(m[5]), "MB a second"), told("large bodies direct", megabytes(m[4]), "MB a second"),
	}
	out.PeakMemory, err = peakMemory(s.pid())
	return err
}
