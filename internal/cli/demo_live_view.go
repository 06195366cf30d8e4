package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// way is a way out, a row of the table.
type way int

const (
	wayWebhook way = iota
	waySocket
	waySSE
	wayPoll
	wayCount
)

var wayNames = [wayCount]string{"webhook", "WebSocket", "server-sent events", "long poll"}

// maxDelays bounds the events that the table's figures are of; the oldest go first.
const maxDelays = 1000

// liveView is the table of delays: on a terminal it is written over, elsewhere each event is a line and the table the end.
type liveView struct {
	c *console

	mu     sync.Mutex
	events map[string]*measured
	order  []string // the events' ids
	delays [wayCount][]time.Duration
	last   [wayCount]time.Duration
	counts [wayCount]int64
	up     [wayCount]bool
	block  int // lines on the screen
	ended  bool
}

// measured is an event on its way.
type measured struct {
	number int
	at     time.Time
	took   [wayCount]time.Duration
	left   int // ways that have not brought it
}

func newLiveView(c *console) *liveView {
	v := &liveView{c: c, events: map[string]*measured{}}
	v.up[wayWebhook] = true
	return v
}

// sent notes that an event is about to be published.
func (v *liveView) sent(id string, number int, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.order) == maxDelays {
		delete(v.events, v.order[0])
		v.order = append(v.order[:0], v.order[1:]...)
	}
	v.events[id] = &measured{number: number, at: at, left: int(wayCount)}
	v.order = append(v.order, id)
}

// failed forgets an event that was not taken. One that was taken although the answer was lost is not measured either.
func (v *liveView) failed(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.events, id)
}

// arrived notes the first arrival of an event by a way.
func (v *liveView) arrived(w way, id string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.events[id]
	if e == nil || e.took[w] != 0 || v.ended {
		return
	}
	took := max(at.Sub(e.at), 1)
	e.took[w] = took
	e.left--
	v.last[w] = took
	v.counts[w]++
	if v.delays[w] = append(v.delays[w], took); len(v.delays[w]) > maxDelays {
		v.delays[w] = v.delays[w][1:]
	}
	if e.left == 0 {
		delete(v.events, id)
		if !v.c.terminal {
			v.line(e)
		}
	}
}

// line writes an event that has arrived by all ways. The lock is held.
func (v *liveView) line(e *measured) {
	var b strings.Builder
	for w, took := range e.took {
		fmt.Fprintf(&b, "  %s %s", wayNames[w], brief(took))
	}
	v.c.printf("%s event %d%s\n", time.Now().Format("15:04:05"), e.number, b.String())
}

// state notes whether a listener is connected.
func (v *liveView) state(w way, up bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.up[w] = up
}

// drawing keeps the table on a terminal up to date until ctx ends.
func (v *liveView) drawing(ctx context.Context) {
	every(ctx, 200*time.Millisecond, v.draw)
}

func (v *liveView) draw() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.c.terminal && !v.ended {
		v.table()
	}
}

// end writes the last table.
func (v *liveView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	v.table()
}

// table writes the table over the last one. The lock is held.
func (v *liveView) table() {
	columns, _ := v.c.size()
	if v.block > 0 {
		v.c.printf("\x1b[%dA\x1b[J", v.block)
	}
	lines := v.lines()
	for _, l := range lines {
		if v.c.terminal {
			l = cut(l, columns-1)
		}
		v.c.printf("%s\n", l)
	}
	if v.c.terminal {
		v.block = len(lines)
	}
}

func (v *liveView) lines() []string {
	lines := []string{v.c.paint(dim, fmt.Sprintf("%-20s %10s %10s %10s %8s  %s", "WAY", "LAST", "MEDIAN", "P99", "EVENTS", "STATE"))}
	for w := range wayCount {
		last, median, p99 := "–", "–", "–"
		if sorted := slices.Sorted(slices.Values(v.delays[w])); len(sorted) > 0 {
			last, median, p99 = brief(v.last[w]), brief(sorted[(len(sorted)-1)/2]), brief(sorted[int(math.Ceil(float64(len(sorted))*0.99))-1])
		}
		state := v.c.paint(green, "listening")
		if !v.up[w] {
			state = v.c.paint(red, "waiting for the server")
		}
		lines = append(lines, fmt.Sprintf("%-20s %s %10s %10s %8s  %s", wayNames[w], v.c.paint(bold, fmt.Sprintf("%10s", last)), median, p99, count(v.counts[w]), state))
	}
	return lines
}
