package cli

import (
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// apikeyCmd groups the commands about API keys.
type apikeyCmd struct {
	Add apikeyAddCmd `cmd:"" help:"Make an API key: for the tenant named, or for everything with --admin."`
	Ls  apikeyLsCmd  `cmd:"" help:"List API keys."`
	Rm  apikeyRmCmd  `cmd:"" help:"End an API key."`
}

type apikeyAddCmd struct {
	Name    string        `arg:"" help:"For people."`
	Admin   bool          `help:"May do everything, in every tenant."`
	Allow   []string      `help:"What it may do in its tenant: publish, read, manage." default:"publish,read,manage" enum:"publish,read,manage"`
	Expires time.Duration `help:"End the key after so long, such as 720h; never without it."`
}

// Run makes the key and prints it, this once.
func (x *apikeyAddCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	k := client.APIKey{Name: x.Name, Admin: x.Admin}
	if !x.Admin {
		if _, k.Tenant, err = c.tenantClient(); err != nil {
			return err
		}
		k.Allow = x.Allow
	}
	if x.Expires < 0 {
		return usagef("--expires: must not be negative")
	}
	if x.Expires > 0 {
		at := time.Now().Add(x.Expires).UTC().Truncate(time.Second)
		k.Expires = &at
	}
	made, err := cl.CreateAPIKey(c.ctx, k)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(made)
	}
	c.fields([]field{
		{"id", text(made.ID)},
		{"name", text(made.Name)},
		{"for", text(keyScope(*made))},
		{"expires", text(stampOf(made.Expires))},
		{"key", cell{made.Key, bold}},
	})
	c.printf("%s\n", c.paint(dim, "The key is not shown again."))
	return nil
}

func keyScope(k client.APIKey) string {
	if k.Admin {
		return "everything"
	}
	return k.Tenant + ": " + strings.Join(k.Allow, ", ")
}

type apikeyLsCmd struct {
	limited
}

// Run lists the keys.
func (x *apikeyLsCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	items, more, err := collect(x.limited, cl.APIKeys(c.ctx, x.page()))
	if err != nil {
		return err
	}
	return listed(c, items, more, "There are no API keys.", []string{"ID", "KEY", "FOR", "EXPIRES", "NAME"},
		func(k client.APIKey) []cell {
			expires := cell{text: stampOf(k.Expires)}
			if k.Expires != nil && k.Expires.Before(time.Now()) {
				expires.paint = red
			}
			return []cell{{k.ID, bold}, text(k.Hint + "…"), text(keyScope(k)), expires, text(k.Name)}
		})
}

type apikeyRmCmd struct {
	ID string `arg:""`
}

// Run ends the key.
func (x *apikeyRmCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteAPIKey(c.ctx, x.ID); err != nil {
		return err
	}
	return c.done("deleted", x.ID)
}
