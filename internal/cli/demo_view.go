package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Figures of one endpoint of the demo.
type endpointFigures struct {
	name, about string
	delivered   int64 // events that arrived
	retried     int64 // … that needed more than one try
	failed      int64 // tries that failed
	backlog     int64
	lane        cell
}

// demoView shows the demo: lines that scroll, and on a terminal a block of totals below them that is written over.
type demoView struct {
	c *console

	mu        sync.Mutex
	started   time.Time
	api       string // the server's address
	published int64
	endpoints []*endpointFigures
	pending   []string // lines to write with the next drawing
	block     int      // lines of the block on the screen
	ended     bool
}

// maxPending bounds the lines between two drawings; at a high rate the rest is only counted.
const maxPending = 200

// line adds a line to what scrolls.
func (v *demoView) line(symbol paint, mark, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended || len(v.pending) >= maxPending {
		return
	}
	v.pending = append(v.pending, fmt.Sprintf("%s %s %s", v.c.paint(dim, time.Now().Format("15:04:05")), v.c.paint(symbol, mark), fmt.Sprintf(format, args...)))
	if !v.c.terminal {
		v.flush()
	}
}

// update changes figures under the view's lock.
func (v *demoView) update(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// flush writes the pending lines. The lock is held.
func (v *demoView) flush() {
	columns, _ := v.c.size()
	for _, l := range v.pending {
		if v.c.terminal {
			l = cut(l, columns-1)
		}
		v.c.printf("%s\n", l)
	}
	v.pending = v.pending[:0]
}

// draw writes what is new and the block of totals. Without a terminal there is no block.
func (v *demoView) draw() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.c.terminal || v.ended {
		return
	}
	v.erase()
	v.flush()
	v.totals()
}

// erase goes back to where the block begins and clears from there on. The lock is held.
func (v *demoView) erase() {
	if v.block > 0 {
		v.c.printf("\x1b[%dA\x1b[J", v.block)
		v.block = 0
	}
}

// totals writes the block. The lock is held.
func (v *demoView) totals() {
	columns, rows := v.c.size()
	lines := v.totalLines()
	if v.c.terminal && len(lines) > rows-2 {
		return // too small a window
	}
	for _, l := range lines {
		if v.c.terminal {
			l = cut(l, columns-1)
		}
		v.c.printf("%s\n", l)
	}
	v.block = len(lines)
}

func (v *demoView) totalLines() []string {
	elapsed := max(time.Since(v.started), time.Second)
	lines := []string{
		v.c.paint(dim, strings.Repeat("─", 76)),
		fmt.Sprintf("%s events published in %s, %.1f a second; API at %s", v.c.paint(bold, count(v.published)), elapsed.Truncate(time.Second), float64(v.published)/elapsed.Seconds(), v.api),
		v.c.paint(dim, fmt.Sprintf("%-9s %10s %10s %13s %9s  %s", "ENDPOINT", "DELIVERED", "RETRIED", "FAILED TRIES", "BACKLOG", "STATE")),
	}
	for _, e := range v.endpoints {
		failed := fmt.Sprintf("%13s", count(e.failed))
		if e.failed > 0 {
			failed = v.c.paint(red, failed)
		}
		lines = append(lines, fmt.Sprintf("%-9s %s %10s %s %9s  %s", e.name, v.c.paint(green, fmt.Sprintf("%10s", count(e.delivered))),
			count(e.retried), failed, count(e.backlog), v.c.paint(e.lane.paint, e.lane.text)))
	}
	return lines
}

// end writes the last totals; nothing is written after it.
func (v *demoView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.flush()
	v.totals()
	v.ended = true
}

// cut shortens a line to a number of columns without counting colours, which it ends.
func cut(s string, columns int) string {
	var b strings.Builder
	shown := 0
	for i := 0; i < len(s); {
		if s[i] == '\x1b' {
			end := strings.IndexByte(s[i:], 'm')
			if end < 0 {
				break
			}
			b.WriteString(s[i : i+end+1])
			i += end + 1
			continue
		}
		if shown == columns {
			b.WriteString("\x1b[0m")
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b.WriteRune(r)
		shown++
		i += n
	}
	return b.String()
}
