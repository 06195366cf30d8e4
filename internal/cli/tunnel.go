package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/client"
)

// tunnelCmd groups the commands about tunnels, which listen makes.
type tunnelCmd struct {
	Ls   tunnelLsCmd   `cmd:"" help:"List tunnels with who is connected."`
	Show tunnelShowCmd `cmd:"" help:"Show a tunnel."`
	Rm   tunnelRmCmd   `cmd:"" help:"Take a tunnel down, with its bin or endpoint and what they keep for it."`

	// The same by other names that come to mind.
	List   tunnelLsCmd   `cmd:"" hidden:""`
	Get    tunnelShowCmd `cmd:"" hidden:""`
	Delete tunnelRmCmd   `cmd:"" hidden:""`
}

type tunnelLsCmd struct{}

// Run lists the tunnels.
func (x *tunnelLsCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	items, err := cl.Tunnels(c.ctx, tenant)
	if err != nil {
		return err
	}
	return listed(c, items, false, "There are no tunnels; \"posthorn listen PORT\" makes one.",
		[]string{"NAME", "KIND", "GETS", "LISTENERS", "SINCE"},
		func(t client.Tunnel) []cell {
			return []cell{{t.Name, bold}, text(t.Kind), text(tunnelGets(&t)), listeners(&t), text(stampOf(t.Since))}
		})
}

// tunnelGets is what goes through a tunnel, in a word or two.
func tunnelGets(t *client.Tunnel) string {
	switch t.Kind {
	case "source":
		return t.Source
	case "endpoint":
		if len(t.Types) == 0 {
			return "every type"
		}
		return strings.Join(t.Types, ", ")
	}
	if t.Host != "" {
		return t.Host
	}
	return t.URL
}

func listeners(t *client.Tunnel) cell {
	if t.Connections == 0 {
		return cell{"0", yellow}
	}
	return cell{fmt.Sprint(t.Connections), green}
}

type tunnelShowCmd struct {
	Name string `arg:"" help:"The tunnel."`
}

// Run shows the tunnel.
func (x *tunnelShowCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	list, err := cl.Tunnels(c.ctx, tenant)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(t client.Tunnel) bool { return t.Name == x.Name })
	if i < 0 {
		return &statusError{err: errors.New("there is no such tunnel"), status: ExitNotFound}
	}
	t := &list[i]
	if c.json {
		return c.writeJSON(t)
	}
	types, answer := strings.Join(t.Types, ", "), ""
	if t.Kind == "endpoint" && types == "" {
		types = "every type"
	}
	if t.Kind == "bin" || t.Kind == "source" {
		answer = map[bool]string{true: "the program's, while somebody listens", false: "the usual one"}[t.Answer]
	}
	c.fields([]field{
		{"name", cell{t.Name, bold}},
		{"kind", text(t.Kind)},
		{"url", text(t.URL)},
		{"host", text(t.Host)},
		{"bin", text(t.Bin)},
		{"source", text(t.Source)},
		{"types", text(types)},
		{"filter", text(t.Filter)},
		{"order", text(t.Order)},
		{"endpoint", text(t.Endpoint)},
		{"answer", text(answer)},
		{"listeners", listeners(t)},
		{"since", text(stampOf(t.Since))},
		{"under way", text(unlessZero(float64(t.Requests), ""))},
	})
	return nil
}

type tunnelRmCmd struct {
	sure
	Name string `arg:"" help:"The tunnel."`
}

// Run takes the tunnel down.
func (x *tunnelRmCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if err := x.confirm(c, "deleting tunnel "+x.Name); err != nil {
		return err
	}
	if err := cl.DeleteTunnel(c.ctx, tenant, x.Name); err != nil {
		return err
	}
	return c.done("deleted", x.Name)
}
