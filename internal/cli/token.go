package cli

import (
	"time"

	"github.com/posthornhq/posthorn/client"
)

// tokenCmd groups the commands about short-lived tokens.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a short-lived token, such as for a web page."`
	Rotate tokenRotateCmd `cmd:"" help:"End the tenant's tokens: make a new key to sign them with."`
}

type tokenCreateCmd struct {
	Allow    []string      `help:"What its bearer may do: publish, read, manage." default:"read" enum:"publish,read,manage"`
	Types    []string      `help:"Patterns of the event types that it is for, such as order.*; every type without it."`
	Subjects []string      `help:"The subjects that it is for; one that ends in * means every subject that begins so." aliases:"subject"`
	TTL      time.Duration `help:"How long it lives, 1s to 24h." name:"ttl" default:"1h"`
}

// Run makes the token and prints it.
func (x *tokenCreateCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.TTL < time.Second || x.TTL > 24*time.Hour {
		return usagef("--ttl: must be 1s to 24h")
	}
	made, err := cl.CreateToken(c.ctx, tenant, client.TokenRequest{
		Allow: x.Allow, Types: x.Types, Subjects: x.Subjects, TTL: (*client.Duration)(&x.TTL),
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(made)
	}
	c.fields([]field{{"expires", text(stamp(made.Expires))}, {"token", cell{made.Token, bold}}})
	return nil
}

type tokenRotateCmd struct {
	Overlap time.Duration `help:"How long tokens made before stay valid, up to 24h; with 0s they end at once." default:"0s"`
}

// Run rotates the key.
func (x *tokenRotateCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.Overlap > 24*time.Hour {
		return usagef("--overlap: must be 0s to 24h")
	}
	if err := cl.RotateTokens(c.ctx, tenant, client.TokenRotation{Overlap: (*client.Duration)(&x.Overlap)}); err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(map[string]string{"rotated": tenant})
	}
	when := "have ended"
	if x.Overlap > 0 {
		when = "end in " + client.Duration(x.Overlap).String()
	}
	c.printf("The tokens of %s made before %s.\n", clean(tenant), when)
	return nil
}
