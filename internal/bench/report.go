package bench

import (
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/internal/sink"
)

// Report is the outcome of a run.
type Report struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Machine Machine   `json:"machine"`
	// Quick is set when the run was made with small numbers: its figures are rough.
	Quick bool         `json:"quick"`
	Floor Floor        `json:"floor"`
	Cases []CaseReport `json:"cases"`
}

// Machine says where the run was made.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPUs  int    `json:"cpus"`
	Model string `json:"model,omitempty"`
	Go    string `json:"go"`
}

// Floor is what one bare POST from the load generator to the sink costs, in µs of processor time.
type Floor struct {
	Client   float64 `json:"client_us"`
	Server   float64 `json:"server_us"`
	Pair     float64 `json:"pair_us"`
	PerPOST  int     `json:"bytes"`
	Requests int64   `json:"requests"`
	// PerSecond is how many POSTs went through in a second.
	PerSecond float64 `json:"per_second"`
}

// Measurement is what one load through the server showed.
type Measurement struct {
	// Name tells measurements of one case apart: "without" and "with", for example.
	Name       string `json:"name"`
	Events     int64  `json:"events"`
	Deliveries int64  `json:"deliveries"`
	// Took is from the first publish to the last arrival.
	Took                time.Duration `json:"took"`
	EventsPerSecond     float64       `json:"events_per_second"`
	DeliveriesPerSecond float64       `json:"deliveries_per_second"`
	// CPU is the processor time of the server's process alone, in all, an event, and a delivery.
	CPU         time.Duration `json:"cpu"`
	CPUEvent    float64       `json:"cpu_us_event"`
	CPUDelivery float64       `json:"cpu_us_delivery"`
	// Latency is from publish to arrival.
	Latency sink.Latency `json:"latency"`
	// Repeated counts second arrivals of an event, Verified and Invalid the signatures that were checked.
	Repeated int64 `json:"repeated"`
	Verified int64 `json:"verified"`
	Invalid  int64 `json:"invalid"`
}

// Check compares one figure with what is to be reached.
type Check struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	// Limit is the most that Value may be, or with Least the least; 0 when the figure is only told.
	Limit float64 `json:"limit,omitempty"`
	Least bool    `json:"least,omitempty"`
	// Unit is "× floor", "×", "ms", "s", "MB", "KiB", "µs" or "a second".
	Unit string `json:"unit"`
	OK   bool   `json:"ok"`
}

func check(what string, value, limit float64, unit string) Check {
	return Check{What: what, Value: value, Limit: limit, Unit: unit, OK: value <= limit}
}

// checkLeast is a check of a figure that must not be smaller.
func checkLeast(what string, value, limit float64, unit string) Check {
	return Check{What: what, Value: value, Limit: limit, Least: true, Unit: unit, OK: value >= limit}
}

// told is a figure for which nothing is to be reached.
func told(what string, value float64, unit string) Check {
	return Check{What: what, Value: value, Unit: unit, OK: true}
}

// CaseReport is the outcome of one case.
type CaseReport struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Setup says how long it took to prepare, such as making 100,000 endpoints.
	Setup        time.Duration `json:"setup,omitempty"`
	Measurements []Measurement `json:"measurements,omitempty"`
	// PeakMemory is the most memory that the server's process held during the case, in bytes.
	PeakMemory int64   `json:"peak_memory"`
	Checks     []Check `json:"checks"`
	// Notes say what a reader has to know to judge the figures.
	Notes []string `json:"notes,omitempty"`
}

// OK reports whether every figure was reached.
func (c *CaseReport) OK() bool {
	for _, k := range c.Checks {
		if !k.OK {
			return false
		}
	}
	return true
}

// OK reports whether every figure of every case was reached.
func (r *Report) OK() bool {
	for i := range r.Cases {
		if !r.Cases[i].OK() {
			return false
		}
	}
	return true
}

// derive fills the figures that follow from others.
func (m *Measurement) derive() {
	seconds := m.Took.Seconds()
	if seconds > 0 {
		m.EventsPerSecond = float64(m.Events) / seconds
		m.DeliveriesPerSecond = float64(m.Deliveries) / seconds
	}
	us := float64(m.CPU.Microseconds())
	if m.Events > 0 {
		m.CPUEvent = us / float64(m.Events)
	}
	if m.Deliveries > 0 {
		m.CPUDelivery = us / float64(m.Deliveries)
	}
}

// verify returns what makes a measurement worthless.
func (m *Measurement) verify() error {
	switch {
	case m.Events == 0:
		return fmt.Errorf("%s: nothing was published", m.Name)
	case m.Invalid > 0:
		return fmt.Errorf("%s: %d of %d checked signatures are wrong", m.Name, m.Invalid, m.Invalid+m.Verified)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func megabytes(n int64) float64 { return float64(n) / 1e6 }
