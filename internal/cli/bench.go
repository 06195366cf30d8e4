package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/bench"
)

// benchCmd measures.
type benchCmd struct {
	Case     []string      `help:"The cases to run, all without it: single, batch100, fanout100, latency500, idle100k, dead10k, backlog1m, start5m, source, source500, tunnel, live-memory, live-topic, live-full, live-latency, live-catchup." placeholder:"NAME"`
	Duration time.Duration `help:"How long each load lasts; 10s, or 2s with --quick, without it." placeholder:"DURATION"`
	Quick    bool          `help:"A rough look: short loads, and the large numbers ten times smaller."`
	Data     string        `help:"Keep the filled log of start5m in this folder for the next run; about 5 GB." placeholder:"DIR"`
	Check    bool          `help:"Fail when a figure is not reached."`
}

// Run measures and prints the figures.
func (x *benchCmd) Run(c *console) error {
	if x.Duration != 0 && x.Duration < time.Second {
		return usagef("--duration: must be at least 1s")
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	p := c.progress()
	report, err := bench.Run(c.ctx, bench.Options{
		Executable: executable, Version: version(), Cases: x.Case, Duration: x.Duration, Quick: x.Quick, Data: x.Data,
		Progress: p.update,
	})
	p.end()
	if report != nil && report.Floor.Pair > 0 {
		if c.json {
			if err := c.writeJSON(report); err != nil {
				return err
			}
		} else {
			c.benchReport(report)
		}
	}
	if err != nil {
		return err
	}
	if x.Check && !report.OK() {
		return &statusError{err: errors.New("not every figure was reached"), status: ExitFailure}
	}
	return nil
}

// benchReport writes the figures for people.
func (c *console) benchReport(r *bench.Report) {
	m := r.Machine
	c.printf("posthorn %s, %s/%s, %d × %s, %s, %s\n", r.Version, m.OS, m.Arch, m.CPUs, m.Model, m.Go, stamp(r.Started))
	if r.Quick {
		c.printf("%s\n", c.paint(yellow, "A quick run: the figures are rough."))
	}
	f := r.Floor
	c.printf("floor pair: %.1f µs CPU for a bare POST of %d bytes (client %.1f, sink %.1f), %s POSTs/s over 64 connections\n\n",
		f.Pair, f.PerPOST, f.Client, f.Server, count(int64(f.PerSecond)))
	if len(r.Cases) == 0 {
		return
	}
	c.benchLoads(r)
	c.benchChecks(r)
}

// benchLoads writes what each load showed.
func (c *console) benchLoads(r *bench.Report) {
	var loads [][]cell
	for _, k := range r.Cases {
		for _, w := range k.Measurements {
			name := k.Name
			if w.Name != "" {
				name += " " + w.Name
			}
			loads = append(loads, []cell{
				text(name), text(count(w.Events)), text(count(int64(w.EventsPerSecond))), text(count(int64(w.DeliveriesPerSecond))),
				text(fmt.Sprintf("%.1f", w.CPUEvent)), text(fmt.Sprintf("%.1f", w.CPUDelivery)),
				text(brief(w.Latency.P50)), text(brief(w.Latency.P99)), text(brief(w.Latency.Max)),
				text(count(w.Repeated)),
			})
		}
	}
	if len(loads) > 0 {
		c.table([]string{"LOAD", "EVENTS", "EVENTS/S", "DELIVERIES/S", "CPU µs/EVENT", "CPU µs/DELIVERY", "P50", "P99", "MAX", "REPEATED"}, loads)
		c.printf("\n")
	}
}

// benchChecks writes what was to be reached.
func (c *console) benchChecks(r *bench.Report) {
	var rows [][]cell
	for _, k := range r.Cases {
		for i, check := range k.Checks {
			row := []cell{{}, {}, text(check.What), text(figure(check.Value, check.Unit)), text("≤ " + figure(check.Limit, check.Unit)), {"✓", green}}
			switch {
			case check.Limit == 0:
				row[4], row[5] = cell{}, cell{}
			case check.Least:
				row[4] = text("≥ " + figure(check.Limit, check.Unit))
			}
			if i == 0 {
				row[0], row[1] = cell{k.Name, bold}, text(fmt.Sprintf("%.0f MB", float64(k.PeakMemory)/1e6))
			}
			if !check.OK {
				row[5] = cell{"✗", red}
			}
			rows = append(rows, row)
		}
	}
	c.table([]string{"CASE", "PEAK MEMORY", "FIGURE", "MEASURED", "TO REACH", ""}, rows)
	for _, k := range r.Cases {
		for _, note := range k.Notes {
			c.printf("%s\n", c.paint(dim, k.Name+": "+note))
		}
	}
}

func figure(v float64, unit string) string {
	switch {
	case unit == "MB":
		return fmt.Sprintf("%.0f MB", v)
	case unit == "a second":
		return count(int64(v)) + " a second"
	case strings.HasPrefix(unit, "×"):
		return fmt.Sprintf("%.2f%s", v, unit)
	default:
		return fmt.Sprintf("%.2f %s", v, unit)
	}
}

// brief writes a latency with three digits or so.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

// The hidden commands are the benchmark's other processes.
type (
	benchSinkCmd  struct{}
	benchLoadCmd  struct{}
	benchCrowdCmd struct{}
)

// Run serves the benchmark's sink.
func (benchSinkCmd) Run(c *console) error { return bench.RunSink(c.ctx, c.in, c.out) }

// Run generates the benchmark's load.
func (benchLoadCmd) Run(c *console) error { return bench.RunLoad(c.ctx, c.in, c.out) }

// Run holds the benchmark's listeners.
func (benchCrowdCmd) Run(c *console) error { return bench.RunCrowd(c.ctx, c.in, c.out) }
