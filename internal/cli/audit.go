package cli

import (
	"encoding/json"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// auditCmd shows the audit log.
type auditCmd struct {
	limited
	All      bool      `help:"That of the whole server, for admin keys; of the tenant without it."`
	Actor    string    `help:"Only by this actor: root, apikey, token, user or system, an id or a name." placeholder:"ACTOR"`
	Action   string    `help:"Only this operation, such as patch-endpoint." placeholder:"OPERATION"`
	Resource string    `help:"Only about this kind of thing, such as endpoint, or about the thing with this id or name." placeholder:"RESOURCE"`
	Since    timestamp `help:"Only what was done since then: a time, or how long ago, such as 2h or 7d."`
	Until    timestamp `help:"Only what was done before: a time, or how long ago."`
	Of       string    `help:"With --all: only what was about this tenant, also when it is gone." placeholder:"TENANT"`
	Changes  bool      `help:"With the fields that changed, below each line."`
}

func (x *auditCmd) options() []client.ListOption {
	options := []client.ListOption{x.page()}
	for _, o := range []struct {
		value  string
		option func(string) client.ListOption
	}{{x.Actor, client.ByActor}, {x.Action, client.OfAction}, {x.Resource, client.OfResource}, {x.Of, client.OfTenant}} {
		if o.value != "" {
			options = append(options, o.option(o.value))
		}
	}
	if !x.Since.IsZero() {
		options = append(options, client.Since(x.Since.Time))
	}
	if !x.Until.IsZero() {
		options = append(options, client.Until(x.Until.Time))
	}
	return options
}

// Run lists the entries, the newest first.
func (x *auditCmd) Run(c *console) error {
	if x.Of != "" && !x.All {
		return usagef("--of goes with --all")
	}
	cl, tenant := (*client.Client)(nil), ""
	var err error
	if x.All {
		cl, err = c.client()
	} else {
		cl, tenant, err = c.tenantClient()
	}
	if err != nil {
		return err
	}
	list := cl.AuditLog(c.ctx, x.options()...)
	if !x.All {
		list = cl.TenantAuditLog(c.ctx, tenant, x.options()...)
	}
	items, more, err := collect(x.limited, list)
	if err != nil {
		return err
	}
	if !x.All && !c.json {
		for i := range items {
			items[i].Tenant = "" // the same in each line
		}
	}
	if x.Changes && !c.json {
		return c.auditChanges(items, more)
	}
	return listed(c, items, more, "There is nothing on the audit log that fits.", auditHeader, auditRow)
}

var auditHeader = []string{"AT", "ACTOR", "ACTION", maybe("TENANT"), "RESOURCE", "OUTCOME", maybe("ADDRESS")}

func auditRow(e client.AuditEntry) []cell {
	actor := e.Actor.Kind
	if name := e.Actor.Name; name != "" && name != actor {
		actor += " " + name
	} else if name == "" && e.Actor.ID != "" {
		actor += " " + e.Actor.ID
	}
	outcome := cell{e.Outcome, green}
	switch e.Outcome {
	case "refused":
		outcome = cell{strings.TrimSpace(e.Outcome + " " + e.Code), red}
	case "unknown":
		outcome.paint = yellow
	}
	return []cell{
		atCell(e.At), text(actor),
		{e.Action, cyan},
		text(e.Tenant), text(strings.TrimSpace(e.Resource + " " + e.ResourceID)), outcome,
		text(e.Actor.Address),
	}
}

// auditChanges shows entries with the fields that changed.
func (c *console) auditChanges(items []client.AuditEntry, more bool) error {
	for i, e := range items {
		if i > 0 {
			c.printf("\n")
		}
		var parts []string
		for _, k := range auditRow(e) {
			if k.text != "" {
				parts = append(parts, c.paint(k.paint, clean(k.text)))
			}
		}
		c.printf("%s\n", strings.Join(parts, "  "))
		for _, change := range e.Changes {
			from := ""
			if change.From != nil {
				from = shortJSON(change.From) + " → "
			}
			c.printf("  %s: %s%s\n", c.paint(bold, clean(change.Field)), clean(from), clean(shortJSON(change.To)))
		}
	}
	if len(items) == 0 {
		c.printf("There is nothing on the audit log that fits.\n")
	}
	if more {
		c.printf("%s\n", c.paint(dim, "there are more: --limit 0 shows all"))
	}
	return nil
}

// shortJSON shows a value: a text as it is, nothing as a dash.
func shortJSON(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && s != "" {
		return s
	}
	if len(raw) == 0 {
		return "–"
	}
	return string(raw)
}
