package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// overviewCmd shows how the server, or a tenant, does.
type overviewCmd struct {
	All   bool `help:"The whole server, also when a tenant is named; needs an admin key."`
	Watch bool `help:"Follow it, a second at a time." short:"w"`
	Count int  `help:"With --watch: stop after so many seconds." placeholder:"N"`
}

// Run shows the overview, of the tenant if one is named, else of the server.
func (x *overviewCmd) Run(c *console) error {
	if x.Count < 0 || x.Count > 0 && !x.Watch {
		return usagef("--count goes with --watch, and must not be negative")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	tenant := c.globals.Tenant
	if x.All {
		tenant = ""
	}
	if x.Watch {
		return x.watch(c, cl, tenant)
	}
	o, err := cl.Overview(c.ctx, tenant)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(o)
	}
	for _, line := range c.overviewLines(o, tenant) {
		c.printf("%s\n", line)
	}
	return nil
}

// overviewLines is one screen for people.
func (c *console) overviewLines(o *client.Overview, tenant string) []string {
	of := cmp.Or(tenant, "the whole server")
	row := func(name, format string, args ...any) string {
		return c.paint(dim, fmt.Sprintf("%-11s", name)) + fmt.Sprintf(format, args...)
	}
	lines := []string{
		c.paint(bold, clean(of)) + c.paint(dim, fmt.Sprintf("  %s; %s", stamp(o.At), periodText(o))),
		row("events", "%s  %s a second  %s", c.paint(bold, count(o.Events)), number(o.EventsPerSecond), c.paint(cyan, spark(o.Series.Events, 36))),
		row("deliveries", "%s  %s a second%s", c.paint(green, count(o.Delivered)), number(o.DeliveriesPerSecond), c.outcomes(&o.Figures, o.SuccessRate)),
	}
	if o.LatencyMS != nil {
		lines = append(lines, row("requests", "p50 %s, p95 %s, p99 %s", ms(o.LatencyMS.P50), ms(o.LatencyMS.P95), ms(o.LatencyMS.P99)))
	}
	if o.DeliveryMS != nil {
		lines = append(lines, row("arrival", "p50 %s, p99 %s from publish to delivery", ms(o.DeliveryMS.P50), ms(o.DeliveryMS.P99)))
	}
	lines = append(lines,
		row("endpoints", "%s: %s", count(int64(o.Endpoints)), c.laneText(&o.Lanes)),
		row("now", "%s requests under way, %s retries wait, %s live connections", count(int64(o.InFlight)), count(int64(o.Retries)), count(int64(o.Streams))))
	if b := o.OldestBacklog; b != nil {
		lines = append(lines, row("oldest", "an event has waited for %s: %s %s", c.paint(yellow, ago(b.At, o.At)), b.Endpoint, clean(b.URL)))
	}
	return append(append(lines, ""), c.attentionLines(o.Attention, tenant, o.At)...)
}

// periodText says which time the figures are of: the window, or what was counted of it.
func periodText(o *client.Overview) string {
	if counted := o.At.Sub(o.Since); counted < time.Duration(o.Window) {
		return "counted for " + ago(o.Since, o.At) + " so far"
	}
	return "figures of the last " + ago(o.At.Add(-time.Duration(o.Window)), o.At)
}

// outcomes names what did not arrive at once, and the rate of success.
func (c *console) outcomes(f *client.Figures, rate *float64) string {
	var b strings.Builder
	for _, x := range []struct {
		n     int64
		what  string
		paint paint
	}{{f.Retry, "to be tried again", yellow}, {f.Failed, "failed", red}, {f.Gone, "gone", red}} {
		if x.n > 0 {
			b.WriteString(c.paint(x.paint, fmt.Sprintf("  %s %s", count(x.n), x.what)))
		}
	}
	if rate != nil {
		fmt.Fprintf(&b, "  %.4g %% of tries succeed", 100**rate)
	}
	return b.String()
}

// laneText says how the endpoints' deliveries go.
func (c *console) laneText(l *client.Lanes) string {
	parts := []string{
		c.paint(green, count(int64(l.Live))+" live"), count(int64(l.Idle)) + " idle",
	}
	if l.Backlog > 0 {
		parts = append(parts, c.paint(yellow, count(int64(l.Backlog))+" behind"))
	}
	if l.Waiting > 0 {
		var why []string
		for _, reason := range slices.Sorted(maps.Keys(l.Reasons)) {
			why = append(why, fmt.Sprintf("%s %s", count(int64(l.Reasons[reason])), clean(reason)))
		}
		parts = append(parts, c.paint(yellow, fmt.Sprintf("%s waiting (%s)", count(int64(l.Waiting)), strings.Join(why, ", "))))
	}
	return strings.Join(parts, ", ")
}

// attentionLines lists what needs attention.
func (c *console) attentionLines(list []client.Attention, tenant string, now time.Time) []string {
	if len(list) == 0 {
		return []string{c.paint(green, "Nothing needs attention.")}
	}
	lines := []string{c.paint(dim, fmt.Sprintf("%-12s %-16s %-8s %9s  %s", "ATTENTION", "ENDPOINT", "SINCE", "BACKLOG", "WHERE"))}
	for i := range list {
		a := &list[i]
		where := clean(a.URL)
		if tenant == "" {
			where = clean(a.Tenant) + "  " + where
		}
		last := clean(a.LastError)
		if a.LastStatus > 0 {
			last = fmt.Sprint(a.LastStatus)
		}
		if last != "" {
			where += c.paint(dim, "  last: "+last)
		}
		lines = append(lines, fmt.Sprintf("%s %-16s %-8s %9s  %s", c.paint(attentionPaint(a.Reason), fmt.Sprintf("%-12s", clean(a.Reason))), a.Endpoint, sinceText(a.Since, now), count(a.Backlog), where))
	}
	return lines
}

func attentionPaint(reason string) paint {
	switch reason {
	case "gone", "failing", "retries":
		return red
	default:
		return yellow
	}
}

func sinceText(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return ago(*t, now)
}

// number writes a rate with as many digits as say something.
func number(f float64) string {
	switch {
	case f >= 100:
		return count(int64(f))
	case f > 0 && f < 0.1:
		return fmt.Sprintf("%.1g", f)
	default:
		return fmt.Sprintf("%.1f", f)
	}
}

// ms writes milliseconds in a fitting unit.
func ms(f float64) string {
	switch {
	case f >= 10_000:
		return time.Duration(f * float64(time.Millisecond)).Round(time.Second).String()
	case f >= 1000:
		return fmt.Sprintf("%.1f s", f/1000)
	case f >= 10:
		return fmt.Sprintf("%.0f ms", f)
	default:
		return fmt.Sprintf("%.1f ms", f)
	}
}

// spark draws a series in so many columns; what was not counted is left blank.
func spark(series []*int64, columns int) string {
	const bars = "▁▂▃▄▅▆▇█"
	per := max(1, (len(series)+columns-1)/columns)
	sums := make([]int64, 0, columns)
	var top int64
	for i := 0; i < len(series); i += per {
		sum, known := int64(0), false
		for _, n := range series[i:min(i+per, len(series))] {
			if n != nil {
				sum, known = sum+*n, true
			}
		}
		if !known {
			sum = -1
		}
		sums, top = append(sums, sum), max(top, sum)
	}
	var b strings.Builder
	for _, sum := range sums {
		switch {
		case sum < 0:
			b.WriteByte(' ')
		case top == 0:
			b.WriteRune('▁')
		default:
			b.WriteRune([]rune(bars)[sum*7/top])
		}
	}
	return b.String()
}
