package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// eventCmd groups the commands about events; an id alone shows the event.
type eventCmd struct {
	Show     eventShowCmd     `cmd:"" default:"withargs" help:"Show an event and where it went."`
	Ls       eventLsCmd       `cmd:"" help:"List events, newest first."`
	Why      eventWhyCmd      `cmd:"" help:"Tell for each endpoint whether an event arrived, and if not, why."`
	Attempts eventAttemptsCmd `cmd:"" help:"List the attempts to deliver an event."`
	Resend   eventResendCmd   `cmd:"" help:"Deliver an event again."`
}

type eventShowCmd struct {
	ID string `arg:"" help:"The event's id."`
}

// Run shows the event, its data, and every attempt.
func (x *eventShowCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	e, err := cl.Event(c.ctx, tenant, x.ID)
	if err != nil {
		return err
	}
	attempts, more, err := collect(limited{100}, cl.EventAttempts(c.ctx, tenant, x.ID))
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(struct {
			*client.Event
			Attempts []client.Attempt `json:"attempts"`
		}{e, attempts})
	}
	c.showEvent(e)
	c.printf("\n")
	if len(attempts) == 0 {
		c.printf("%s\n", c.paint(yellow, "No attempt is recorded. \"posthorn event why --all "+clean(e.ID)+"\" says why."))
		return nil
	}
	c.outcome(attempts)
	c.attempts(attempts, "ENDPOINT", func(a client.Attempt) string { return a.Endpoint })
	if more {
		c.printf("%s\n", c.paint(dim, "there are more: posthorn event attempts --limit 0 "+e.ID))
	}
	return nil
}

// outcome answers the question whether it arrived, for each endpoint. Attempts are newest first.
func (c *console) outcome(attempts []client.Attempt) {
	seen := map[string]bool{}
	for _, a := range attempts {
		if a.Verdict == "delivered" && !seen[a.Endpoint] {
			seen[a.Endpoint] = true
			c.printf("%s to %s at %s\n", c.paint(green, "Delivered"), a.Endpoint, stamp(a.At))
		}
	}
	for _, a := range attempts {
		if seen[a.Endpoint] {
			continue
		}
		seen[a.Endpoint] = true
		switch {
		case a.NextAt != nil:
			c.printf("%s to %s yet; next try at %s\n", c.paint(yellow, "Not delivered"), a.Endpoint, stampOf(a.NextAt))
		case a.Verdict == "retry":
			c.printf("%s to %s yet; it is tried again when the endpoint's wait ends\n", c.paint(yellow, "Not delivered"), a.Endpoint)
		default:
			c.printf("%s to %s; \"posthorn event resend %s --endpoint %s\" tries again\n", c.paint(red, "Finally failed"), a.Endpoint, clean(a.Event), a.Endpoint)
		}
	}
	c.printf("\n")
}

func (c *console) showEvent(e *client.Event) {
	c.fields([]field{
		{"id", cell{e.ID, bold}},
		{"version", text(fmt.Sprint(e.Version))},
		{"type", text(e.Type)},
		{"subject", text(e.Subject)},
		{"source", text(e.Source)},
		{"time", text(stamp(e.Time))},
		{"key", text(e.Key)},
		{"channels", text(strings.Join(e.Channels, ", "))},
		{"content type", text(e.DataContentType)},
		{"schema", text(e.DataSchema)},
	})
	switch {
	case len(e.Data) > 0:
		var b bytes.Buffer
		if json.Indent(&b, e.Data, "", "  ") != nil {
			b.Reset()
			b.Write(e.Data)
		}
		for line := range strings.Lines(b.String()) {
			c.printf("%s\n", clean(strings.TrimRight(line, "\n")))
		}
	case len(e.DataBase64) > 0:
		c.printf("%s\n", c.paint(dim, fmt.Sprintf("%d bytes that are not text", len(e.DataBase64))))
	}
}

// attempts writes a table of attempts; the second column is of what they are about.
func (c *console) attempts(list []client.Attempt, about string, of func(client.Attempt) string) {
	rows := make([][]cell, len(list))
	for i, a := range list {
		answer := cell{text: a.Error, paint: red}
		if a.Status > 0 {
			answer = text(fmt.Sprint(a.Status))
			if a.Error != "" {
				answer.text += " " + a.Error
			}
		}
		rows[i] = []cell{
			atCell(a.At), text(of(a)), text(fmt.Sprint(a.Number)), verdictCell(a.Verdict),
			text(fmt.Sprintf("%.1f ms", a.DurationMS)), atCellOf(a.NextAt), answer,
		}
	}
	c.table([]string{"AT", about, "TRY", "VERDICT", "TOOK", maybe("NEXT"), "ANSWER"}, rows)
}

func verdictCell(verdict string) cell {
	switch verdict {
	case "delivered":
		return cell{verdict, green}
	case "retry":
		return cell{verdict, yellow}
	default:
		return cell{verdict, red}
	}
}

type eventLsCmd struct {
	limited
	Types   []string  `help:"Only types that match one of the patterns." placeholder:"PATTERN"`
	Subject string    `help:"Only this subject."`
	Since   timestamp `help:"Only those received since then: a time, or how long ago, such as 2h or 7d."`
	Until   timestamp `help:"Only those received before: a time, or how long ago."`
}

// Run lists events.
func (x *eventLsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	options := []client.ListOption{x.page()}
	if len(x.Types) > 0 {
		options = append(options, client.Types(x.Types...))
	}
	if x.Subject != "" {
		options = append(options, client.Subject(x.Subject))
	}
	if !x.Since.IsZero() {
		options = append(options, client.Since(x.Since.Time))
	}
	if !x.Until.IsZero() {
		options = append(options, client.Until(x.Until.Time))
	}
	items, more, err := collect(x.limited, cl.Events(c.ctx, tenant, options...))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no such events.", []string{"VERSION", "TIME", "TYPE", "SUBJECT", "ID"},
		func(e client.Event) []cell {
			return []cell{text(fmt.Sprint(e.Version)), atCell(e.Time), {e.Type, cyan}, text(e.Subject), text(e.ID)}
		})
}

type eventAttemptsCmd struct {
	limited
	ID string `arg:"" help:"The event's id."`
}

// Run lists the attempts.
func (x *eventAttemptsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.EventAttempts(c.ctx, tenant, x.ID, x.page()))
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(items)
	}
	if len(items) == 0 {
		c.printf("No attempt is recorded.\n")
		return nil
	}
	c.attempts(items, "ENDPOINT", func(a client.Attempt) string { return a.Endpoint })
	if more {
		c.printf("%s\n", c.paint(dim, "there are more: --limit 0 shows all"))
	}
	return nil
}

type eventResendCmd struct {
	ID       string `arg:"" help:"The event's id."`
	Endpoint string `help:"Only to this endpoint; to every one that it is for without it." placeholder:"ID"`
}

// Run delivers the event again.
func (x *eventResendCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	r, err := cl.Resend(c.ctx, tenant, x.ID, x.Endpoint)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(r)
	}
	if len(r.Endpoints) == 0 {
		c.printf("No endpoint takes event %s.\n", clean(r.Event))
		return nil
	}
	c.printf("%s is being sent again to %s\n", clean(r.Event), strings.Join(r.Endpoints, ", "))
	return nil
}
