package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// tailCmd shows the newest events and follows the change feed.
type tailCmd struct {
	Lines    int           `help:"How many events that are there already to show." short:"n" default:"10"`
	Types    []string      `help:"Only types that match one of the patterns." placeholder:"PATTERN"`
	Subject  string        `help:"Only this subject."`
	NoFollow bool          `help:"Do not wait for new events."`
	Interval time.Duration `help:"How often to ask for new events." default:"1s" hidden:""`
}

// Run shows events until it is interrupted.
func (x *tailCmd) Run(c *console) error {
	if x.Lines < 0 || x.Interval < 10*time.Millisecond {
		return usagef("--lines must not be negative and --interval at least 10ms")
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	var options []client.ListOption
	if len(x.Types) > 0 {
		options = append(options, client.Types(x.Types...))
	}
	if x.Subject != "" {
		options = append(options, client.Subject(x.Subject))
	}
	// The head is read first: what comes in meanwhile is among the newest or shown by the feed, never twice.
	last, _, err := collect(limited{1}, cl.Events(c.ctx, tenant, client.PageSize(1)))
	if err != nil {
		return err
	}
	head := int64(0)
	for _, e := range last {
		head = e.Version
	}
	if x.Lines > 0 {
		options := append(slices.Clone(options), client.PageSize(min(x.Lines, 1000)))
		newest, _, err := collect(limited{x.Lines}, cl.Events(c.ctx, tenant, options...))
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(newest) {
			head = max(head, e.Version)
			if err := c.eventLine(&e); err != nil {
				return err
			}
		}
	}
	if x.NoFollow {
		return nil
	}
	return x.follow(c, cl, tenant, head+1, options)
}

// follow asks the change feed again and again.
func (x *tailCmd) follow(c *console, cl *client.Client, tenant string, start int64, options []client.ListOption) error {
	tick := time.NewTicker(x.Interval)
	defer tick.Stop()
	for {
		changes, err := cl.Changes(c.ctx, tenant, start, options...)
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusGone && p.Oldest > start {
			start = p.Oldest
			continue
		}
		if c.ctx.Err() != nil {
			return nil // interrupted: the way to end it
		}
		if err != nil {
			return err
		}
		for i := range changes.Changes {
			if err := c.eventLine(&changes.Changes[i]); err != nil {
				return err
			}
		}
		start = changes.Next
		if start <= changes.Head {
			continue
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return nil
		}
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
