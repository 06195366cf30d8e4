package cli

import (
	"github.com/posthornhq/posthorn/client"
)

type endpointTriesCmd struct {
	limited
	ID      string    `arg:""`
	Verdict []string  `help:"Only delivered, retry, failed or gone." enum:"delivered,retry,failed,gone" placeholder:"VERDICT"`
	Status  []string  `help:"Only with these answers: a status such as 500, a class such as 5xx, or none for no answer." placeholder:"STATUS"`
	Since   timestamp `help:"Only those begun since then: a time, or how long ago, such as 2h or 7d."`
	Until   timestamp `help:"Only those begun before: a time, or how long ago."`
	Event   string    `help:"Only at the event with this id." placeholder:"ID"`
}

func (x *endpointTriesCmd) options() []client.ListOption {
	options := []client.ListOption{x.page()}
	if len(x.Verdict) > 0 {
		options = append(options, client.Verdicts(x.Verdict...))
	}
	if len(x.Status) > 0 {
		options = append(options, client.Statuses(x.Status...))
	}
	if !x.Since.IsZero() {
		options = append(options, client.Since(x.Since.Time))
	}
	if !x.Until.IsZero() {
		options = append(options, client.Until(x.Until.Time))
	}
	if x.Event != "" {
		options = append(options, client.AtEvent(x.Event))
	}
	return options
}

// Run lists the attempts.
func (x *endpointTriesCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.EndpointAttempts(c.ctx, tenant, x.ID, x.options()...))
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(items)
	}
	if len(items) == 0 {
		c.printf("There are no such attempts.\n")
		return nil
	}
	c.attempts(items, "EVENT", func(a client.Attempt) string { return a.Event })
	if more {
		c.printf("%s\n", c.paint(dim, "there are more: --limit 0 shows all"))
	}
	return nil
}
