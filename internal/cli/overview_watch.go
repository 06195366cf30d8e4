package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// refreshTicks is after how many seconds the figures of the window are read again.
const refreshTicks = 10

// watch follows an overview until it is interrupted: on a terminal one screen that is written over, else a line a second.
func (x *overviewCmd) watch(c *console, cl *client.Client, tenant string) error {
	v := overviewView{c: c, cl: cl, tenant: tenant}
	for news, err := range cl.WatchOverview(c.ctx, tenant) {
		if c.ctx.Err() != nil {
			return nil // interrupted: the way to end it
		}
		if err == nil {
			err = v.take(&news)
		}
		if err != nil {
			return err
		}
		if x.Count > 0 && v.ticks == x.Count {
			return nil
		}
	}
	return nil
}

// overviewView shows what comes.
type overviewView struct {
	c      *console
	cl     *client.Client
	tenant string
	now    client.Overview
	ticks  int
	block  int      // lines on the screen
	known  []string // what needs attention, as it was told last
}

// take shows one message.
func (v *overviewView) take(news *client.OverviewNews) error {
	if news.Tick != nil {
		v.ticks++
	}
	switch {
	case v.c.json:
		return v.c.writeLine(newsOf(news))
	case v.c.terminal:
		return v.draw(news)
	default:
		v.line(news)
		return nil
	}
}

// newsOf is a message as JSON: an object with one member, called as the event of the stream.
func newsOf(news *client.OverviewNews) map[string]any {
	switch {
	case news.Overview != nil:
		return map[string]any{"overview": news.Overview}
	case news.Tick != nil:
		return map[string]any{"tick": news.Tick}
	default:
		return map[string]any{"attention": news.Attention.Data}
	}
}

// line writes a message on a line of its own.
func (v *overviewView) line(news *client.OverviewNews) {
	switch t := news.Tick; {
	case news.Overview != nil:
		v.attention(news.Overview.Attention, news.Overview.At)
	case news.Attention != nil:
		v.attention(news.Attention.Data, time.Now())
	case t != nil:
		latency := ""
		if t.P50 != nil && t.P99 != nil {
			latency = fmt.Sprintf("  p50 %s  p99 %s", ms(*t.P50), ms(*t.P99))
		}
		v.c.printf("%s  %s events  %s delivered  %s again  %s failed%s  %d under way  %d live  %d behind  %d waiting\n", t.At.UTC().Format("15:04:05Z"),
			count(t.Events), count(t.Delivered), count(t.Retry), count(t.Failed+t.Gone), latency, t.InFlight, t.Lanes.Live, t.Lanes.Backlog, t.Lanes.Waiting)
	}
}

// attention writes what of a list is new.
func (v *overviewView) attention(list []client.Attention, now time.Time) {
	var all []string
	for i := range list {
		a := &list[i]
		name := a.Reason + " " + a.Endpoint
		if all = append(all, name); slices.Contains(v.known, name) {
			continue
		}
		text := v.c.attentionLines(list[i:i+1], v.tenant, now)
		v.c.printf("%s\n", strings.Join(text[1:], "\n"))
	}
	v.known = all
}

// draw writes the screen anew.
func (v *overviewView) draw(news *client.OverviewNews) error {
	switch t := news.Tick; {
	case news.Overview != nil:
		v.now = *news.Overview
	case news.Attention != nil:
		v.now.Attention = news.Attention.Data
	case t != nil && v.ticks%refreshTicks == 0:
		o, err := v.cl.Overview(v.c.ctx, v.tenant)
		if err != nil {
			return err
		}
		v.now = *o
	case t != nil:
		v.now.At, v.now.Lanes, v.now.InFlight, v.now.Retries, v.now.Streams = t.At, t.Lanes, t.InFlight, t.Retries, t.Streams
		v.now.EventsPerSecond, v.now.DeliveriesPerSecond = float64(t.Events), float64(t.Delivered)
	}
	if v.block > 0 {
		v.c.printf("\x1b[%dA\x1b[J", v.block)
	}
	columns, rows := v.c.size()
	lines := v.c.overviewLines(&v.now, v.tenant)
	lines = lines[:min(len(lines), max(1, rows-2))]
	for _, l := range lines {
		v.c.printf("%s\n", cut(l, columns-1))
	}
	v.block = len(lines)
	return nil
}
