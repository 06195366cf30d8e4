package cli

import (
	"fmt"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

type eventWhyCmd struct {
	limited
	ID  string `arg:"" help:"The event's id."`
	All bool   `help:"Every endpoint, also those that the event is not for, and why."`
}

// Run tells for each endpoint whether the event arrived, and if not, why.
func (x *eventWhyCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.Limit < 0 {
		return usagef("--limit: must not be negative")
	}
	all := client.Deliveries{Data: []client.Delivery{}}
	for cursor := ""; ; cursor = all.Next {
		want := 1000
		if x.Limit > 0 {
			want = min(want, x.Limit-len(all.Data))
		}
		page, err := cl.Deliveries(c.ctx, tenant, x.ID, x.All, want, cursor)
		if err != nil {
			return err
		}
		page.Data = append(all.Data, page.Data...)
		page.Partial = page.Partial || all.Partial
		all = *page
		if all.Next == "" || x.Limit > 0 && len(all.Data) >= x.Limit {
			break
		}
	}
	if c.json {
		return c.writeJSON(all)
	}
	return x.show(c, &all)
}

func (x *eventWhyCmd) show(c *console, all *client.Deliveries) error {
	if len(all.Data) == 0 {
		nothing := "No endpoint takes it; --all says why."
		if x.All {
			nothing = "There are no endpoints."
		}
		c.printf("%s\n", c.paint(yellow, nothing))
		return nil
	}
	if err := listed(c, all.Data, all.Next != "", "", []string{"ENDPOINT", "STATE", "TRIES", maybe("LAST"), maybe("NEXT"), maybe("WHY"), "URL"}, deliveryRow); err != nil {
		return err
	}
	if all.Partial {
		c.printf("%s\n", c.paint(dim, "the event has very many attempts; what the oldest say is missing"))
	}
	return nil
}

func deliveryRow(d client.Delivery) []cell {
	state := cell{d.State, yellow}
	switch d.State {
	case "delivered":
		state.paint = green
	case "failed", "gone":
		state.paint = red
	case "none":
		state.paint = dim
	}
	last := d.LastAt
	if d.DeliveredAt != nil {
		last = d.DeliveredAt
	}
	url := d.URL
	if d.Deleted {
		url = "(deleted)"
	}
	return []cell{{d.Endpoint, bold}, state, text(fmt.Sprint(d.Attempts)), atCellOf(last), atCellOf(d.NextAt), text(notArrived(&d)), text(shortened(url, 60))}
}

// notArrived says in a few words why an event did not arrive.
func notArrived(d *client.Delivery) string {
	answer := d.LastError
	if d.LastStatus > 0 {
		answer = strings.TrimSpace(fmt.Sprintf("%d %s", d.LastStatus, d.LastError))
	}
	switch {
	case d.State == "delivered":
		return ""
	case d.State == "none" && d.Why == "" && !d.Deleted:
		return "it was passed before, or its attempts are no longer kept"
	case d.State == "none", d.Why != "" && d.Attempts == 0:
		return whyNot(d.Why)
	case d.Waiting != "" && d.Attempts == 0:
		return "waits: " + d.Waiting
	case d.Waiting == "penalty" && d.NextAt != nil:
		return answer // its end is the next try, in a column of its own
	case d.Waiting != "":
		return answer + "; waits: " + d.Waiting
	}
	return answer
}
