package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	// Executable is the binary that the three processes run; its commands serve, [CommandSink] and [CommandLoad] are used.
	Executable string
	Version    string
	// Cases are the names to run, see [Names]; empty means all.
	Cases []string
	// Duration is how long each load lasts; 0 means 10 s, or 2 s with Quick.
	Duration time.Duration
	// Quick makes the large numbers of the last cases ten times smaller.
	Quick bool
	// Data keeps the filled log of the case start5m between runs; empty means a temporary folder.
	Data string
	// Progress, when not nil, is told what is under way: done of total, or total 0 when there is no count.
	Progress func(what string, done, total int64)
}

// connections is how many connections the load generator uses.
const connections = 64

// run is one run under way.
type run struct {
	Options
	dir   string
	key   string
	sink  *sinkProcess
	load  *loadProcess
	floor Floor
}

// Names returns the names of all cases in the order in which they run.
func Names() []string {
	var names []string
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}

// Run measures. It returns what was measured until an error, and the error. Temporary folders and processes are gone
// when it returns.
func Run(ctx context.Context, o Options) (*Report, error) {
	chosen, err := choose(o.Cases)
	if err != nil {
		return nil, err
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
		if o.Quick {
			o.Duration = 2 * time.Second
		}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if _, err := processCPU(os.Getpid()); err != nil {
		return nil, err
	}
	r := &run{Options: o, key: "bench-" + rand.Text()}
	if r.dir, err = os.MkdirTemp("", "posthorn-bench-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(r.dir) }()
	if r.sink, err = startSink(ctx, o.Executable); err != nil {
		return nil, err
	}
	defer r.sink.stop()
	if r.load, err = startLoad(ctx, o.Executable); err != nil {
		return nil, err
	}
	defer func() { r.load.watch(); r.load.stop() }()

	report := &Report{Version: o.Version, Started: time.Now().UTC().Truncate(time.Second), Machine: machine(), Quick: o.Quick}
	if err := r.measureFloor(); err != nil {
		return report, fmt.Errorf("floor: %w", err)
	}
	report.Floor = r.floor
	for _, c := range chosen {
		out := CaseReport{Name: c.name, Title: c.title(o.Quick)}
		err := c.run(ctx, r, &out)
		if err != nil {
			return report, fmt.Errorf("%s: %w", c.name, err)
		}
		report.Cases = append(report.Cases, out)
	}
	return report, nil
}

func choose(names []string) ([]benchCase, error) {
	all := cases()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("there is no case %q; cases are %s", name, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(c benchCase) bool { return !slices.Contains(names, c.name) }), nil
}

// measureFloor posts events straight to the sink.
func (r *run) measureFloor() error {
	l := Load{URL: r.sink.url + "/floor", Type: "order.paid", Connections: connections, Duration: r.warmUp()}
	r.Progress("floor: bare POSTs to the sink", 0, 0)
	if _, err := r.load.run(l, func(int64) {}); err != nil {
		return err
	}
	before, err := sinkState(r.sink.url)
	if err != nil {
		return err
	}
	l.Duration = r.Duration
	sent, err := r.load.run(l, func(int64) {})
	if err != nil {
		return err
	}
	after, err := sinkState(r.sink.url)
	if err != nil {
		return err
	}
	if sent.Events == 0 || after.Requests-before.Requests != sent.Events {
		return fmt.Errorf("%d requests were sent and %d arrived", sent.Events, after.Requests-before.Requests)
	}
	n := float64(sent.Events)
	r.floor = Floor{
		Client: float64(sent.CPU.Microseconds()) / n, Server: float64((after.CPU - before.CPU).Microseconds()) / n,
		PerPOST: len(newBody(l.Type, 1).bytes), Requests: sent.Events, PerSecond: n / sent.Took.Seconds(),
	}
	r.floor.Pair = r.floor.Client + r.floor.Server
	if r.floor.Pair == 0 {
		return errors.New("this system does not tell the processor time")
	}
	return nil
}

// warmUp is how long a load runs before it is measured.
func (r *run) warmUp() time.Duration { return min(r.Duration/4, 2*time.Second) }

// serve starts a server on a fresh data folder with the bench's tenant.
func (r *run) serve(ctx context.Context, name string) (*serverProcess, error) {
	r.Progress(name+": starting the server", 0, 0)
	s, _, err := startServer(ctx, r.Executable, filepath.Join(r.dir, name), r.key)
	if err != nil {
		return nil, err
	}
	if err := s.call(ctx, "POST", "/v1/tenants", map[string]string{"name": tenant}, nil); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// end stops a case's server and frees its space.
func (r *run) end(s *serverProcess, name string) {
	s.stop()
	_ = os.RemoveAll(filepath.Join(r.dir, name))
}

// machine describes the machine for the report.
func machine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	if _, rest, ok := strings.Cut(string(text), "model name"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		m.Model = strings.TrimSpace(strings.TrimLeft(line, " \t:"))
	}
	return m
}
