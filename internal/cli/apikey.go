package cli

import (
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// apikeyCmd groups the commands about API keys.
type apikeyCmd struct {
	Add    apikeyAddCmd    `cmd:"" help:"Make an API key: for the tenant named, or for everything with --admin."`
	Ls     apikeyLsCmd     `cmd:"" help:"List API keys."`
	Rotate apikeyRotateCmd `cmd:"" help:"Make a new key in place of an API key."`
	Rm     apikeyRmCmd     `cmd:"" help:"End an API key."`
}

type apikeyAddCmd struct {
	Name    string        `arg:"" help:"For people."`
	Admin   bool          `help:"May do everything, in every tenant."`
	Allow   []string      `help:"What it may do in its tenant: publish, read, manage." default:"publish,read,manage" enum:"publish,read,manage"`
	Expires time.Duration `help:"End the key after so long, such as 30d; never without it."`
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
	c.showKey(made)
	return nil
}

// showKey shows a key that was made, this once.
func (c *console) showKey(k *client.APIKey) {
	c.fields([]field{
		{"id", text(k.ID)},
		{"name", text(k.Name)},
		{"for", text(keyScope(*k))},
		{"expires", text(stampOf(k.Expires))},
		{"old key", text(endsAt(k.PreviousExpires))},
		{"key", cell{k.Key, bold}},
	})
	c.printf("%s\n", c.paint(dim, "The key is not shown again."))
}

func endsAt(t *time.Time) string {
	if t == nil {
		return ""
	}
	return "works until " + stampOf(t)
}

type apikeyRotateCmd struct {
	ID      string        `arg:""`
	Overlap time.Duration `help:"How long the key from before goes on working, up to 30d; with 0s it ends at once." default:"24h"`
}

// Run rotates the key and prints the new one, this once.
func (x *apikeyRotateCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if x.Overlap > 30*24*time.Hour {
		return usagef("--overlap: must be 0s to 30d")
	}
	made, err := cl.RotateAPIKey(c.ctx, x.ID, client.KeyRotation{Overlap: (*client.Duration)(&x.Overlap)})
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(made)
	}
	c.showKey(made)
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
	For string `help:"Only keys for this tenant." placeholder:"TENANT"`
}

// Run lists the keys.
func (x *apikeyLsCmd) Run(c *console) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	options := []client.ListOption{x.page()}
	if x.For != "" {
		options = append(options, client.OfTenant(x.For))
	}
	items, more, err := collect(x.limited, cl.APIKeys(c.ctx, options...))
	if err != nil {
		return err
	}
	return listed(c, items, more, nothingOr("There are no API keys.", x.For != ""), []string{"ID", "KEY", "FOR", "EXPIRES", "NAME"},
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
