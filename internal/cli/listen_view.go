package cli

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posthornhq/posthorn/internal/tunnel/agent"
)

// listenView is what a terminal shows of a listener: lines that have scrolled away, and below them a block that is written
// over, with the state and the newest requests. It is pure: time and size come in, lines go out.
type listenView struct {
	title     string
	url       string // "" of events
	target    string
	inspector string
	hint      string // of the secret
	noKeys    bool   // there is no keyboard
	strict    bool   // an event that is refused holds up the rest
	paint     func(paint, string) string

	status   agent.Status
	rows     []agent.Exchange // in the block, by Seq
	gone     int64            // the last Seq that has scrolled away
	total    int64
	selected int64 // a Seq; 0: the newest
	help     bool
	note     string
	noteEnds time.Time
}

const (
	mostRows  = 12              // of requests in the block
	noteStays = 4 * time.Second // a message about what a key did
)

// take adds what changed, and returns the requests for which the block has no room any more.
func (v *listenView) take(changes []agent.Exchange, room int) (scrolled []agent.Exchange) {
	for i := range changes {
		e := &changes[i]
		if e.Seq <= v.gone {
			continue
		}
		v.total = max(v.total, e.Seq)
		at, there := slices.BinarySearchFunc(v.rows, e.Seq, func(r agent.Exchange, seq int64) int { return int(r.Seq - seq) })
		if there {
			v.rows[at] = *e
		} else {
			v.rows = slices.Insert(v.rows, at, *e)
		}
	}
	if n := len(v.rows) - room; n > 0 {
		scrolled = slices.Clone(v.rows[:n])
		v.rows = slices.Delete(v.rows, 0, n)
		v.gone = scrolled[n-1].Seq
	}
	if v.selected != 0 && v.selected <= v.gone {
		v.selected = 0
	}
	return scrolled
}

// room is how many requests the block shows in a window of so many rows.
func (v *listenView) room(rows int) int {
	return min(max(rows-len(v.head(time.Time{}))-4, 1), mostRows)
}

// current is the request that keys are about; nil when there is none.
func (v *listenView) current() *agent.Exchange {
	if len(v.rows) == 0 {
		return nil
	}
	for i := range v.rows {
		if v.rows[i].Seq == v.selected {
			return &v.rows[i]
		}
	}
	return &v.rows[len(v.rows)-1]
}

// block is what is written over: the state, the newest requests, and what keys there are.
func (v *listenView) block(now time.Time, columns, rows int) []string {
	lines := v.head(now)
	rule := v.paint(dim, strings.Repeat("─", max(min(columns-1, 76), 0)))
	lines = append(lines, rule)
	switch {
	case v.help:
		lines = append(lines, helpLines...)
	case len(v.rows) == 0:
		lines = append(lines, "  "+v.paint(dim, v.waiting()))
	default:
		lines = append(lines, v.requests(now)...)
	}
	lines = append(lines, rule, v.foot(now))
	if len(lines) > rows-1 { // a small window: its newest lines
		lines = lines[len(lines)-max(rows-1, 0):]
	}
	for i := range lines {
		lines[i] = cut(lines[i], columns-1)
	}
	return lines
}

func (v *listenView) requests(now time.Time) []string {
	lines := make([]string, 0, len(v.rows))
	for i := range v.rows {
		mark := "  "
		if v.rows[i].Seq == v.selected {
			mark = v.paint(bold, "▸ ")
		}
		lines = append(lines, mark+v.line(&v.rows[i], now))
	}
	return lines
}

func (v *listenView) waiting() string {
	if v.url == "" {
		return "nothing yet; try: posthorn send TYPE"
	}
	return "nothing yet; try: curl " + clean(v.url) + " -d hello"
}

// head is the part that says what leads where.
func (v *listenView) head(now time.Time) []string {
	lines := []string{v.paint(bold, clean(v.title)) + "  " + v.connection(now)}
	for _, f := range []struct{ name, value string }{{"from", v.url}, {"to", v.target}, {"inspector", v.inspector}, {"secret", v.hint}} {
		if f.value != "" {
			lines = append(lines, fmt.Sprintf("%s %s", v.paint(dim, fmt.Sprintf("%-9s", f.name)), clean(f.value)))
		}
	}
	return lines
}

// connection says whether requests can come in.
func (v *listenView) connection(now time.Time) string {
	switch s := v.status; {
	case s.Connected:
		return v.paint(green, "● connected")
	case s.Err == nil:
		return v.paint(yellow, "● connecting")
	default:
		text := "● not connected: " + clean(reasonOf(s.Err))
		if wait := s.Retry.Sub(now); wait > 0 {
			text += fmt.Sprintf("; trying again in %d s", int(wait.Seconds()+0.999))
		}
		return v.paint(red, text)
	}
}

// reasonOf is an error of the agent without the words that say where it comes from.
func reasonOf(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "tunnel: "), "connect: ")
}

func (v *listenView) foot(now time.Time) string {
	if v.note != "" && now.Before(v.noteEnds) {
		return v.paint(cyan, clean(v.note))
	}
	if n := len(v.rows); v.strict && n > 0 && refused(&v.rows[n-1]) {
		return v.paint(yellow, "your program refused the newest event: the others wait for it (--order key or none lets them pass)")
	}
	if v.noKeys {
		return v.paint(dim, "Ctrl-C stops")
	}
	return v.paint(dim, "↑↓ choose  r replay  o inspector  c copy the URL  ? help  q quit")
}

var helpLines = []string{
	"↑ ↓  choose a request; Esc: the newest again",
	"r    send the request that is chosen once more, else the newest",
	"o    open the inspector page, at the request that is chosen",
	"c    copy the public URL, in terminals that allow it",
	"?    the requests again",
	"q    stop listening; so does Ctrl-C",
}

// line is one request on one line.
func (v *listenView) line(e *agent.Exchange, now time.Time) string {
	return requestLine(v.paint, e, now)
}

// requestLine writes time, method, path, status and what is to be said besides.
func requestLine(paints func(paint, string) string, e *agent.Exchange, now time.Time) string {
	const pathRoom = 34
	path := clean(e.Path)
	if n := utf8.RuneCountInString(path); n < pathRoom {
		path += strings.Repeat(" ", pathRoom-n)
	}
	took := e.Took
	if took == 0 && !now.IsZero() {
		took = max(now.Sub(e.Started), 0).Truncate(time.Second)
	}
	duration := ""
	if took > 0 {
		duration = brief(took)
	}
	status, colour := statusCell(e)
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %s %s %s %8s", paints(dim, e.Started.Format("15:04:05")), paints(cyan, fmt.Sprintf("%-7s", clean(e.Method))), path, paints(colour, fmt.Sprintf("%3s", status)), duration)
	for _, m := range []struct {
		there bool
		text  string
		paint paint
	}{
		{e.Info.Kept && e.ReplayOf == "", "kept", yellow},
		{e.ReplayOf != "", "replay", dim},
		{e.Upgrade && !e.Finished(), "open", green},
		{e.Error != "", e.Error, red},
		{refused(e), "to be tried again", yellow},
	} {
		if m.there {
			line.WriteString("  " + paints(m.paint, m.text))
		}
	}
	return line.String()
}

// refused reports whether the program did not take an event: the server tries it again.
func refused(e *agent.Exchange) bool {
	return e.ReplayOf == "" && (e.Info.Kind == "source" || e.Info.Kind == "endpoint") && e.State == agent.Done && e.Error == "" && e.Status >= http.StatusMultipleChoices
}

func statusCell(e *agent.Exchange) (string, paint) {
	switch s := e.Status; {
	case s == 0 && e.Finished():
		return "–", red
	case s == 0:
		return "…", dim
	case s < http.StatusMultipleChoices:
		return strconv.Itoa(s), green
	case s < http.StatusBadRequest:
		return strconv.Itoa(s), cyan
	case s < http.StatusInternalServerError:
		return strconv.Itoa(s), yellow
	default:
		return strconv.Itoa(s), red
	}
}

// key is one that was pressed.
type key int

const (
	keyNone key = iota
	keyUp
	keyDown
	keyEscape
	keyReplay
	keyOpen
	keyCopy
	keyHelp
	keyQuit
)

// keysIn reads what a terminal sends: letters, and sequences for the arrows.
func keysIn(b []byte) []key {
	var list []key
	for len(b) > 0 {
		k, n := keyIn(b)
		if k != keyNone {
			list = append(list, k)
		}
		b = b[n:]
	}
	return list
}

func keyIn(b []byte) (k key, n int) {
	if b[0] == 0x1b {
		return sequenceIn(b)
	}
	r, n := utf8.DecodeRune(b)
	switch r {
	case 'k', 0x10: // Ctrl-P
		return keyUp, n
	case 'j', 0x0e: // Ctrl-N
		return keyDown, n
	case 'r', 'R':
		return keyReplay, n
	case 'o', 'O', '\r':
		return keyOpen, n
	case 'c', 'C':
		return keyCopy, n
	case '?', 'h', 'H':
		return keyHelp, n
	case 'q', 'Q', 0x03, 0x04: // Ctrl-C, Ctrl-D
		return keyQuit, n
	default:
		return keyNone, n
	}
}

// sequenceIn reads an escape sequence (ECMA-48, 5.4): ESC [ or ESC O, parameters, a final byte.
func sequenceIn(b []byte) (key, int) {
	if len(b) == 1 || b[1] != '[' && b[1] != 'O' {
		return keyEscape, 1
	}
	n := 2
	for n < len(b) && (b[n] < 0x40 || b[n] > 0x7e) {
		n++
	}
	if n == len(b) {
		return keyNone, n
	}
	switch b[n] {
	case 'A':
		return keyUp, n + 1
	case 'B':
		return keyDown, n + 1
	default:
		return keyNone, n + 1
	}
}

// press changes the view for keys that only it knows of; the others it gives back.
func (v *listenView) press(k key) key {
	switch k {
	case keyUp, keyDown:
		v.move(k)
	case keyEscape:
		v.selected, v.help = 0, false
	case keyHelp:
		v.help = !v.help
	default:
		return k
	}
	return keyNone
}

// move chooses the request above or below; below the newest one none is chosen.
func (v *listenView) move(k key) {
	if len(v.rows) == 0 {
		return
	}
	at := slices.IndexFunc(v.rows, func(e agent.Exchange) bool { return e.Seq == v.selected })
	switch {
	case at < 0 && k == keyUp:
		at = len(v.rows) - 1
	case at < 0:
		return
	case k == keyUp:
		at = max(at-1, 0)
	default:
		at++
	}
	if v.selected = 0; at < len(v.rows) {
		v.selected = v.rows[at].Seq
	}
}

// say shows a message for a while.
func (v *listenView) say(now time.Time, format string, args ...any) {
	v.note, v.noteEnds = fmt.Sprintf(format, args...), now.Add(noteStays)
}
