package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/posthornhq/posthorn/internal/tunnel/agent"
)

const (
	drawEvery = 60 * time.Millisecond // at most so often
	tickEvery = time.Second           // times that run are shown anew
)

// view returns what shows the listener until ctx ends or a key ends it.
func (l *listening) view() func(context.Context) error {
	if l.c.terminal && !l.c.json && !l.x.Plain {
		return l.showBlock
	}
	return l.showLines
}

// about are what leads where, for people; the names are those of the JSON.
func (l *listening) about() []field {
	return []field{
		{"url", text(l.agent.PublicURL())},
		{"target", text(l.target.String())},
		{"inspector", text(l.inspector)},
		{"secret", text(l.secretHint())},
	}
}

// secretHint says where the secret is that signs the events of an endpoint.
func (l *listening) secretHint() string {
	if l.tunnel.Kind != "endpoint" || l.tunnel.Endpoint == "" {
		return ""
	}
	return "posthorn endpoint secret " + l.tunnel.Endpoint
}

// startLine is the first line of JSON.
type startLine struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	URL       string `json:"url,omitempty"`
	Target    string `json:"target"`
	Inspector string `json:"inspector,omitempty"`
	Bin       string `json:"bin,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
}

// showLines writes a line for each request that is over, and of the connection on the other output.
func (l *listening) showLines(ctx context.Context) error {
	if l.c.json {
		t := l.tunnel
		if err := l.c.writeLine(startLine{t.Name, t.Kind, l.agent.PublicURL(), l.target.String(), l.inspector, t.Bin, t.Endpoint}); err != nil {
			return err
		}
	} else {
		l.c.fields(l.about())
	}
	told := map[int64]bool{} // by Seq, those that are still kept
	state := connectionTeller{l: l}
	for rev, last := int64(0), false; ; {
		changes, more := l.agent.Recorder().Changes(rev)
		rev = changes.Rev
		state.tell(l.agent.Status())
		if err := l.tell(changes, told); err != nil || last {
			return err
		}
		select {
		case <-ctx.Done():
			last = true
		case <-more:
		}
	}
}

// tell writes the requests that are over and were not told yet.
func (l *listening) tell(c agent.Changes, told map[int64]bool) error {
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		if told[e.Seq] || !e.Finished() {
			continue
		}
		told[e.Seq] = true
		if err := l.writeExchange(e); err != nil {
			return err
		}
	}
	for seq := range told {
		if seq < c.Oldest {
			delete(told, seq)
		}
	}
	return nil
}

func (l *listening) writeExchange(e *agent.Exchange) error {
	if !l.c.json {
		_, err := fmt.Fprintf(l.c.out, "%s\n", strings.TrimRight(requestLine(l.c.paint, e, time.Time{}), " "))
		return err
	}
	return l.c.writeLine(exchangeLine{
		ID: e.ID, At: e.Started.UTC().Format(time.RFC3339Nano), Method: e.Method, Path: e.Path, Status: e.Status,
		Duration: float64(e.Took.Microseconds()) / 1000, Kept: e.Info.Kept, ReplayOf: e.ReplayOf, Error: e.Error,
	})
}

// exchangeLine is an exchange as JSON.
type exchangeLine struct {
	ID       string  `json:"id"`
	At       string  `json:"at"`
	Method   string  `json:"method"`
	Path     string  `json:"path"`
	Status   int     `json:"status"`
	Duration float64 `json:"duration_ms"`
	Kept     bool    `json:"kept,omitempty"`
	ReplayOf string  `json:"replay_of,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// connectionTeller tells of the connection when it changes.
type connectionTeller struct {
	l        *listening
	connects int
	lost     bool
}

func (t *connectionTeller) tell(s agent.Status) {
	c := t.l.c
	switch {
	case s.Connected && s.Connects != t.connects:
		t.connects, t.lost = s.Connects, false
		_, _ = fmt.Fprintf(c.err, "%s\n", c.errPaint(green, "connected"))
	case !s.Connected && s.Err != nil && !s.Retry.IsZero() && !t.lost:
		t.lost = true
		_, _ = fmt.Fprintf(c.err, "%s\n", c.errPaint(yellow, "not connected: "+clean(reasonOf(s.Err))+"; trying again"))
	}
}

// showBlock shows the state and the newest requests on the terminal, and does what keys ask for.
func (l *listening) showBlock(ctx context.Context) error {
	keys, restore := l.keyboard(ctx)
	defer restore()
	s := &blockScreen{l: l, v: &listenView{
		title: "posthorn listen " + l.tunnel.Name, url: l.agent.PublicURL(), target: l.target.String(), inspector: l.inspector, hint: l.secretHint(), noKeys: keys == nil, strict: l.tunnel.Order == "strict", paint: l.c.paint,
	}}
	l.c.printf("\x1b[?25l")                             // no cursor
	defer func() { s.end(); l.c.printf("\x1b[?25h") }() //nolint:nlreturn // one clean-up
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	soon := time.NewTimer(0)
	defer soon.Stop()
	waiting := true // for soon
	var more <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case k := <-keys:
			if s.do(ctx, k) {
				return nil
			}
			more = s.draw()
		case <-tick.C:
			more = s.draw()
		case <-more:
			more = nil
			if !waiting {
				waiting = true
				soon.Reset(drawEvery)
			}
		case <-soon.C:
			waiting = false
			more = s.draw()
		}
	}
}

// keyboard reads keys, from a terminal that is set to give them at once; restore sets it back.
func (l *listening) keyboard(ctx context.Context) (keys <-chan key, restore func()) {
	in, ok := l.c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, func() {}
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, func() {}
	}
	out := make(chan key)
	// A read from a terminal cannot be ended: the goroutine ends with the next key or the process.
	go readKeys(ctx, in, out)
	return out, func() { _ = term.Restore(int(in.Fd()), before) }
}

// readKeys sends the keys that are read until ctx or the input ends.
func readKeys(ctx context.Context, in io.Reader, out chan<- key) {
	var buf [256]byte
	for {
		n, err := in.Read(buf[:])
		for _, k := range keysIn(buf[:n]) {
			select {
			case out <- k:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// blockScreen draws a view on the terminal.
type blockScreen struct {
	l     *listening
	v     *listenView
	rev   int64
	drawn int // lines on the screen
}

// draw takes what is new and draws; what it returns is closed when there is more.
func (s *blockScreen) draw() <-chan struct{} {
	columns, rows := s.l.c.size()
	changes, more := s.l.agent.Recorder().Changes(s.rev)
	s.rev = changes.Rev
	s.v.status, s.v.url = s.l.agent.Status(), s.l.agent.PublicURL()
	now := time.Now()
	scrolled := s.v.take(changes.Exchanges, s.v.room(rows))
	var b strings.Builder
	s.erase(&b)
	for i := range scrolled {
		b.WriteString(cut("  "+s.v.line(&scrolled[i], now), columns-1) + "\r\n")
	}
	lines := s.v.block(now, columns, rows)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	s.drawn = len(lines)
	s.l.c.printf("%s", b.String())
	return more
}

func (s *blockScreen) erase(b *strings.Builder) {
	if s.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// end leaves the requests on the screen, without the block.
func (s *blockScreen) end() {
	s.draw()
	columns, _ := s.l.c.size()
	var b strings.Builder
	s.erase(&b)
	for i := range s.v.rows {
		b.WriteString(cut("  "+s.v.line(&s.v.rows[i], time.Now()), columns-1) + "\r\n")
	}
	s.l.c.printf("%s", b.String())
}

// do does what a key asks for; true: to end.
func (s *blockScreen) do(ctx context.Context, k key) bool {
	now, e := time.Now(), s.v.current()
	switch s.v.press(k) {
	case keyQuit:
		return true
	case keyReplay:
		if e == nil {
			s.v.say(now, "there is no request to replay")
		} else if _, err := s.l.agent.Replay(e.ID, agent.Edit{}); err != nil {
			s.v.say(now, "not replayed: %s", reasonOf(err))
		} else {
			s.v.say(now, "replayed %s %s", e.Method, e.Path)
		}
	case keyOpen:
		s.open(ctx, e)
	case keyCopy:
		if s.v.url == "" {
			s.v.say(now, "there is no URL: events come from the log")
			break
		}
		// OSC 52: the terminal copies.
		s.l.c.printf("\x1b]52;c;%s\x07", base64.StdEncoding.EncodeToString([]byte(s.v.url)))
		s.v.say(now, "copied, where the terminal allows it: %s", s.v.url)
	default:
	}
	return false
}

// open opens the inspector at a request.
func (s *blockScreen) open(ctx context.Context, e *agent.Exchange) {
	if s.v.inspector == "" {
		s.v.say(time.Now(), "the inspector is off")
		return
	}
	address := s.v.inspector + "/"
	if e != nil && s.v.selected != 0 {
		address += "#" + e.ID
	}
	words := opener(runtime.GOOS, address)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	if err := cmd.Start(); err != nil {
		s.v.say(time.Now(), "open %s", address)
		return
	}
	go func() { _ = cmd.Wait() }() // a browser may stay as long as it likes
	s.v.say(time.Now(), "opening %s", address)
}

// opener is the command that opens an address in the browser.
func opener(system, address string) []string {
	words := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[system]
	if words == nil {
		words = []string{"xdg-open"}
	}
	return append(slices.Clone(words), address)
}
