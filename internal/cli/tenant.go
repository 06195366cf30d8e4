package cli

import (
	"iter"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// tenantCmd groups the commands about tenants.
type tenantCmd struct {
	Add  tenantAddCmd  `cmd:"" help:"Make a tenant."`
	Ls   tenantLsCmd   `cmd:"" help:"List tenants."`
	Show tenantShowCmd `cmd:"" help:"Show a tenant."`
	Rm   tenantRmCmd   `cmd:"" help:"Delete a tenant with its events, endpoints and keys."`
}

type tenantAddCmd struct {
	Name         string  `arg:"" help:"The handle in URLs: 1 to 63 of a-z, 0-9, _ and -."`
	Description  string  `help:"For people."`
	PublishRate  float64 `help:"The most events a second; the server's default without it." placeholder:"N"`
	MaxEndpoints int     `help:"The most endpoints; the server's default without it." placeholder:"N"`
}

// Run makes the tenant.
func (x *tenantAddCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	t, err := cl.CreateTenant(c.ctx, client.Tenant{
		Name: x.Name, Description: x.Description, PublishRate: x.PublishRate, MaxEndpoints: x.MaxEndpoints,
	})
	if err != nil {
		return err
	}
	return c.showTenant(t)
}

func (c *console) showTenant(t *client.Tenant) error {
	if c.json {
		return c.writeJSON(t)
	}
	list := []field{
		{"name", cell{t.Name, bold}},
		{"description", text(t.Description)},
		{"publish rate", text(unlessZero(t.PublishRate, " events/s"))},
		{"max endpoints", text(unlessZero(float64(t.MaxEndpoints), ""))},
		{"created", text(stamp(t.Created))},
		{"updated", text(stamp(t.Updated))},
	}
	c.fields(list)
	return nil
}

// unlessZero writes a number with its unit, nothing for 0.
func unlessZero(v float64, unit string) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + unit
}

type tenantLsCmd struct {
	limited
	searched
}

// searched is the option of lists that can be searched.
type searched struct {
	Search string `help:"Only those that hold this text, whatever the case of its letters." short:"q" placeholder:"TEXT"`
}

// options are those of a list with what was asked for.
func (s searched) options(more ...client.ListOption) []client.ListOption {
	if s.Search != "" {
		more = append(more, client.Containing(s.Search))
	}
	return more
}

// limited is the option of lists.
type limited struct {
	Limit int `help:"The most to show; 0 shows all." short:"n" default:"100"`
}

// collect reads a list up to the limit, and reports whether there is more.
func collect[T any](l limited, list iter.Seq2[T, error]) (items []T, more bool, err error) {
	if l.Limit < 0 {
		return nil, false, usagef("--limit: must not be negative")
	}
	items = []T{}
	for item, err := range list {
		if err != nil {
			return nil, false, err
		}
		if l.Limit > 0 && len(items) == l.Limit {
			return items, true, nil
		}
		items = append(items, item)
	}
	return items, false, nil
}

// page asks for as many items a request as will be shown.
func (l limited) page() client.ListOption {
	if l.Limit == 0 {
		return client.PageSize(1000)
	}
	return client.PageSize(min(l.Limit+1, 1000))
}

// listed writes a list: as JSON, as a table, or in words when it is empty.
func listed[T any](c *console, items []T, more bool, nothing string, header []string, row func(T) []cell) error {
	if c.json {
		return c.writeJSON(items)
	}
	if len(items) == 0 {
		c.printf("%s\n", nothing)
		return nil
	}
	rows := make([][]cell, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	c.table(header, rows)
	if more {
		c.printf("%s\n", c.paint(dim, "there are more: --limit 0 shows all"))
	}
	return nil
}

// nothingOr says that a list is empty: why, or, when it was narrowed, that nothing fits.
func nothingOr(why string, narrowed bool) string {
	if narrowed {
		return "Nothing fits."
	}
	return why
}

// Run lists the tenants.
func (x *tenantLsCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.Tenants(c.ctx, x.options(x.page())...))
	if err != nil {
		return err
	}
	return listed(c, items, more, nothingOr("There are no tenants; \"posthorn tenant add NAME\" makes one.", x.Search != ""), []string{"NAME", "CREATED", "DESCRIPTION"},
		func(t client.Tenant) []cell {
			return []cell{{t.Name, bold}, text(stamp(t.Created)), text(t.Description)}
		})
}

type tenantShowCmd struct {
	Name string `arg:""`
}

// Run shows the tenant.
func (x *tenantShowCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	t, err := cl.Tenant(c.ctx, x.Name)
	if err != nil {
		return err
	}
	return c.showTenant(t)
}

// sure asks before something is lost.
type sure struct {
	Yes bool `help:"Do not ask." short:"y"`
}

// confirm asks a person who is at a terminal; without one, --yes is needed.
func (s sure) confirm(c *console, what string) error {
	if s.Yes {
		return nil
	}
	if !isTerminalReader(c.in) || !c.errTerminal {
		return usagef("%s cannot be undone: give --yes", what)
	}
	_, _ = c.err.Write([]byte(clean(what) + " cannot be undone. Type yes to go on: "))
	var answer [16]byte
	n, _ := c.in.Read(answer[:])
	if strings.TrimSpace(string(answer[:n])) != "yes" {
		return &statusError{err: errNotConfirmed, status: ExitFailure}
	}
	return nil
}

type tenantRmCmd struct {
	sure
	Name string `arg:""`
}

// Run deletes the tenant.
func (x *tenantRmCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting tenant "+x.Name+" with all its events"); err != nil {
		return err
	}
	if err := cl.DeleteTenant(c.ctx, x.Name); err != nil {
		return err
	}
	return c.done("deleted", x.Name)
}

// done says that something happened to a thing.
func (c *console) done(what, name string) error {
	if c.json {
		return c.writeJSON(map[string]string{what: name})
	}
	c.printf("%s %s\n", clean(name), what)
	return nil
}
