package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// progress shows what long work is doing: one line that is written over on a terminal, else a line at each new step.
type progress struct {
	c *console

	mu    sync.Mutex
	what  string
	drawn time.Time
	shown int // columns on the terminal's line
}

func (c *console) progress() *progress { return &progress{c: c} }

// update shows done of total; total 0 means that nobody knows.
func (p *progress) update(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := what != p.what
	p.what = what
	if !p.c.errTerminal {
		if changed && !p.c.json {
			_, _ = fmt.Fprintln(p.c.err, what)
		}
		return
	}
	now := time.Now()
	if !changed && now.Sub(p.drawn) < 100*time.Millisecond && (total == 0 || done < total) {
		return
	}
	p.drawn = now
	line := what
	if total > 0 {
		done = min(done, total)
		const width = 20
		filled := int(done * width / total)
		line = fmt.Sprintf("%s%s %3d%% %s", strings.Repeat("█", filled), strings.Repeat("░", width-filled), done*100/total, what)
	}
	p.draw(line)
}

func (p *progress) draw(line string) {
	n := utf8.RuneCountInString(line)
	_, _ = fmt.Fprintf(p.c.err, "\r%s%s", line, strings.Repeat(" ", max(p.shown-n, 0)))
	p.shown = n
}

// end clears the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.c.errTerminal && p.shown > 0 {
		p.draw("")
		_, _ = fmt.Fprint(p.c.err, "\r")
		p.shown = 0
	}
}
