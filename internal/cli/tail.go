package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// tailCmd shows the newest events and follows the log.
type tailCmd struct {
	shown int

	Lines     int      `help:"How many events that are there already to show." short:"n" default:"10"`
	Start     int64    `help:"Show every event from this version on, instead of the newest." placeholder:"VERSION"`
	Types     []string `help:"Only types that match one of the patterns." placeholder:"PATTERN"`
	Subject   []string `help:"Only these subjects; one that ends in * means every subject that begins so." aliases:"subjects" placeholder:"SUBJECT"`
	Filter    string   `help:"Only events for which this CEL expression is true." placeholder:"CEL"`
	Follow    bool     `help:"Wait for new events: the default." short:"f" xor:"follow"`
	NoFollow  bool     `help:"Do not wait for new events." xor:"follow"`
	Count     int      `help:"Stop after so many events." placeholder:"N"`
	Transport string   `help:"How to wait: auto, sse (server-sent events) or poll (long polls)." enum:"auto,sse,poll" default:"auto"`
}

// Run shows events until it is interrupted.
func (x *tailCmd) Run(c *console) error {
	if x.Lines < 0 || x.Start < 0 || x.Count < 0 {
		return usagef("--lines, --start and --count must not be negative")
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	start := x.Start
	if start == 0 {
		if start, err = x.newest(c, cl, tenant); err != nil {
			return err
		}
	}
	switch {
	case !x.NoFollow:
		return x.follow(c, cl, tenant, start)
	case x.Start > 0:
		return x.rest(c, cl, tenant)
	default:
		return nil
	}
}

// errCounted ends it when --count is reached.
var errCounted = errors.New("as many as were asked for")

// show shows one event.
func (x *tailCmd) show(c *console, e *client.Event) error {
	if err := c.eventLine(e); err != nil {
		return err
	}
	if x.shown++; x.shown == x.Count {
		return &statusError{err: errCounted, status: ExitOK, quiet: true}
	}
	return nil
}

// selection narrows what is shown.
func (x *tailCmd) selection() []client.ListOption {
	var options []client.ListOption
	if len(x.Types) > 0 {
		options = append(options, client.Types(x.Types...))
	}
	if len(x.Subject) > 0 {
		options = append(options, client.Subjects(x.Subject...))
	}
	if x.Filter != "" {
		options = append(options, client.Filter(x.Filter))
	}
	return options
}

// newest shows the newest events and returns the version to go on with.
func (x *tailCmd) newest(c *console, cl *client.Client, tenant string) (next int64, err error) {
	// The head is read first: what comes in meanwhile is among the newest or follows, never both.
	last, _, err := collect(limited{1}, cl.Events(c.ctx, tenant, client.PageSize(1)))
	if err != nil {
		return 0, err
	}
	next = 1
	for _, e := range last {
		next = e.Version + 1
	}
	if x.Lines == 0 {
		return next, nil
	}
	options := append(x.selection(), client.PageSize(min(x.Lines, 1000)))
	events, _, err := collect(limited{x.Lines}, cl.Events(c.ctx, tenant, options...))
	if err != nil {
		return 0, err
	}
	for _, e := range slices.Backward(events) {
		next = max(next, e.Version+1)
		if err := x.show(c, &e); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// rest shows the events from the start to the end of the log.
func (x *tailCmd) rest(c *console, cl *client.Client, tenant string) error {
	options := append(x.selection(), client.PageSize(1000))
	for start := x.Start; ; {
		changes, err := cl.Changes(c.ctx, tenant, start, options...)
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusGone && p.Oldest > start {
			c.skipped(&client.GoneError{Start: start, Oldest: p.Oldest, Problem: p})
			start = p.Oldest
			continue
		}
		if err != nil {
			return err
		}
		for i := range changes.Changes {
			if err := x.show(c, &changes.Changes[i]); err != nil {
				return err
			}
		}
		if start = changes.Next; start > changes.Head {
			return nil
		}
	}
}

// follow shows what comes until it is interrupted.
func (x *tailCmd) follow(c *console, cl *client.Client, tenant string, start int64) error {
	options := []client.StreamOption{client.Start(start), client.Via(client.Transport(x.Transport)), client.SkipGone(c.skipped)}
	for _, o := range x.selection() {
		options = append(options, o)
	}
	if c.errTerminal {
		options = append(options, client.OnStatus((&statusLine{c: c}).show))
	}
	for e, err := range cl.Stream(tenant, options...).Events(c.ctx) {
		if c.ctx.Err() != nil {
			return nil // interrupted: the way to end it
		}
		if err != nil {
			return err
		}
		if err := x.show(c, &e); err != nil {
			return err
		}
	}
	return nil
}

// skipped tells that events are missing.
func (c *console) skipped(e *client.GoneError) {
	_, _ = fmt.Fprintf(c.err, "%s\n", c.errPaint(yellow, fmt.Sprintf("versions %d to %d are no longer kept", e.Start, e.Oldest-1)))
}

// statusLine tells a person about connections that were lost and found again.
type statusLine struct {
	c    *console
	lost bool
	via  client.Transport
}

func (l *statusLine) show(s client.StreamStatus) {
	c := l.c
	switch {
	case !s.Connected && !l.lost:
		l.lost = true
		_, _ = fmt.Fprintf(c.err, "%s\n", c.errPaint(yellow, "not connected: "+clean(strings.TrimPrefix(c.explain(s.Err).Message, "client: "))+"; trying again"))
	case s.Connected && (l.lost || l.via != "" && l.via != s.Transport):
		how := "server-sent events"
		if s.Transport == client.TransportPoll {
			how = "long polls"
		}
		_, _ = fmt.Fprintf(c.err, "%s\n", c.errPaint(green, "connected by "+how))
		l.lost = false
	}
	if s.Connected {
		l.via = s.Transport
	}
}

// eventLine writes one event on one line.
func (c *console) eventLine(e *client.Event) error {
	if c.json {
		return c.writeLine(e)
	}
	data := strings.Join(strings.Fields(string(e.Data)), " ")
	line := fmt.Sprintf("%s  %7d  %s", e.Time.UTC().Format("15:04:05"), e.Version, c.paint(cyan, clean(e.Type)))
	if e.Subject != "" {
		line += "  " + clean(e.Subject)
	}
	if c.terminal {
		columns, _ := c.size()
		room := columns - len(fmt.Sprintf("%s  %7d  %s  %s  ", "15:04:05", e.Version, e.Type, e.Subject))
		data = shorten(data, room)
	}
	if data != "" {
		line += "  " + c.paint(dim, clean(data))
	}
	c.printf("%s\n", line)
	return nil
}

// shorten cuts text to a number of characters, the last of which shows that there was more.
func shorten(s string, room int) string {
	r := []rune(s)
	switch {
	case len(r) <= room:
		return s
	case room < 8:
		return ""
	default:
		return string(r[:room-1]) + "…"
	}
}
