package sink

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// MeterPath begins the paths that a [Meter] watches. The target's number follows: /m/0, /m/1, ….
const MeterPath = "/m/"

// markKey introduces a mark inside an event's data; 32 hexadecimal digits and a quote follow.
const markKey = `"posthorn_mark":"`

// Limits of a Meter.
const (
	// MaxMeterArrivals bounds events × targets of one measurement.
	MaxMeterArrivals = 1 << 27
	// MaxMeterSamples bounds the latencies kept; later arrivals are only counted.
	MaxMeterSamples = 1 << 24
)

// AppendMark appends a JSON member that marks an event for a [Meter]: its number, counted from 0, and when it was
// published. The member has the same length for all numbers and times, see [PutMark].
func AppendMark(dst []byte, number uint64, published time.Time) []byte {
	dst = append(dst, markKey...)
	start := len(dst)
	dst = append(dst, make([]byte, 32)...)
	PutMark(dst[start:], number, published)
	return append(dst, '"')
}

// MarkOffset is where the 32 digits of a mark begin within what [AppendMark] appends.
const MarkOffset = len(markKey)

// PutMark writes the 32 digits of a mark over dst, so that a body made once can be sent many times.
func PutMark(dst []byte, number uint64, published time.Time) {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], number)
	binary.BigEndian.PutUint64(raw[8:], uint64(published.UnixNano()))
	hex.Encode(dst[:32], raw[:])
}

// Meter counts the arrivals of marked events and keeps how long each took. It is safe for concurrent use.
type Meter struct {
	events, targets uint64
	seen            []uint64 // a bit for each event and target
	samples         []uint32 // µs
	used            atomic.Int64
	arrived         atomic.Int64
	repeated        atomic.Int64
	unknown         atomic.Int64
	last            atomic.Int64 // Unix ns of the last arrival
}

// NewMeter returns a Meter for events numbered below events, each to arrive once at each of targets.
func NewMeter(events, targets int) (*Meter, error) {
	if events < 1 || targets < 1 || events > MaxMeterArrivals/targets {
		return nil, errors.New("sink: a measurement needs 1 to 134217728 arrivals")
	}
	n := events * targets
	return &Meter{
		events: uint64(events), targets: uint64(targets),
		seen:    make([]uint64, (n+63)/64),
		samples: make([]uint32, min(n, MaxMeterSamples)),
	}, nil
}

// Arrive takes note of every mark in a body that came to a target.
func (m *Meter) Arrive(target uint64, body []byte, now time.Time) {
	found := false
	for {
		i := bytes.Index(body, []byte(markKey))
		if i < 0 || len(body) < i+MarkOffset+32 {
			break
		}
		var raw [16]byte
		if _, err := hex.Decode(raw[:], body[i+MarkOffset:i+MarkOffset+32]); err != nil {
			break
		}
		body = body[i+MarkOffset+32:]
		found = true
		m.note(target, binary.BigEndian.Uint64(raw[:8]), now.UnixNano()-int64(binary.BigEndian.Uint64(raw[8:])))
	}
	if !found {
		m.unknown.Add(1)
		return
	}
	// The last arrival may be overtaken by another of the same moment; nanoseconds do not matter here.
	m.last.Store(now.UnixNano())
}

func (m *Meter) note(target, number uint64, took int64) {
	if target >= m.targets || number >= m.events {
		m.unknown.Add(1)
		return
	}
	bit := number*m.targets + target
	mask := uint64(1) << (bit % 64)
	if old := atomic.OrUint64(&m.seen[bit/64], mask); old&mask != 0 {
		m.repeated.Add(1)
		return
	}
	if i := m.used.Add(1) - 1; i < int64(len(m.samples)) {
		m.samples[i] = uint32(min(max(took/1000, 0), 1<<32-1))
	}
	m.arrived.Add(1)
}

// Reading is what a Meter shows.
type Reading struct {
	// Arrived counts different events at different targets, Repeated further arrivals of the same, Unknown requests
	// without a mark or with one that is not of this measurement.
	Arrived  int64 `json:"arrived"`
	Repeated int64 `json:"repeated"`
	Unknown  int64 `json:"unknown"`
	// Last is when the last event arrived.
	Last time.Time `json:"last"`
}

// Read returns the counts so far.
func (m *Meter) Read() Reading {
	return Reading{m.arrived.Load(), m.repeated.Load(), m.unknown.Load(), time.Unix(0, m.last.Load())}
}

// Latency is how long events took from publish to arrival.
type Latency struct {
	P50 time.Duration `json:"p50"`
	P90 time.Duration `json:"p90"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
	// Samples is how many arrivals this is made of.
	Samples int `json:"samples"`
}

// Latency sorts the samples and returns their quantiles. Call it when all has arrived.
func (m *Meter) Latency() Latency {
	n := int(min(m.used.Load(), int64(len(m.samples))))
	return LatencyOf(slices.Clone(m.samples[:n]))
}

// LatencyOf sorts samples, which are in µs, and returns their quantiles.
func LatencyOf(s []uint32) Latency {
	slices.Sort(s)
	return Latency{quantile(s, 50), quantile(s, 90), quantile(s, 99), quantile(s, 100), len(s)}
}

// quantile returns the smallest sample that at least percent of the sorted samples do not exceed.
func quantile(sorted []uint32, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := (len(sorted)*percent+99)/100 - 1
	return time.Duration(sorted[max(i, 0)]) * time.Microsecond
}
