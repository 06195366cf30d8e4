package cli

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// portalCmd groups the commands about portals.
type portalCmd struct {
	Set  portalSetCmd  `cmd:"" help:"Set up the portal, the pages for a tenant's own customers."`
	Show portalShowCmd `cmd:"" help:"Show how the portal is set up."`
	Link portalLinkCmd `cmd:"" help:"Make a link into the portal, which expires."`

	// The same by another name that comes to mind.
	Get portalShowCmd `cmd:"" hidden:""`
}

type portalSetCmd struct {
	Name     *string  `help:"The title of the pages; the tenant's name when empty." placeholder:"TEXT"`
	Colour   *string  `help:"The colour of buttons and links, such as #0b7285." aliases:"color" placeholder:"#RRGGBB"`
	Logo     *string  `help:"A file with a PNG, JPEG, WebP or SVG image of at most 24 KB; none when empty." placeholder:"FILE"`
	Origin   []string `help:"A web origin whose pages may embed the portal, such as https://app.example.com. It takes the place of those that are set." aliases:"origins" placeholder:"ORIGIN"`
	NoOrigin bool     `help:"Let no page embed the portal."`
	Language *string  `help:"The language of the pages, such as en or cs; the browser's when empty." placeholder:"TAG"`
}

// Run changes the settings that are named and leaves the others as they are.
func (x *portalSetCmd) Run(c *console) error {
	if x.NoOrigin && len(x.Origin) > 0 {
		return usagef("--origin and --no-origin do not go together")
	}
	if x.Name == nil && x.Colour == nil && x.Logo == nil && x.Language == nil && len(x.Origin) == 0 && !x.NoOrigin {
		return usagef("say what to set: --name, --colour, --logo, --origin or --language")
	}
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	p, err := cl.Portal(c.ctx, tenant)
	if err != nil {
		return err
	}
	for field, value := range map[*string]*string{&p.Name: x.Name, &p.Colour: x.Colour, &p.Language: x.Language} {
		if value != nil {
			*field = *value
		}
	}
	if x.Logo != nil {
		if p.Logo, err = logo(*x.Logo); err != nil {
			return err
		}
	}
	if len(x.Origin) > 0 || x.NoOrigin {
		p.Origins = x.Origin
	}
	saved, err := cl.PutPortal(c.ctx, tenant, *p) // only if nobody changed it meanwhile
	if err != nil {
		return err
	}
	return c.showPortal(saved)
}

// logo reads an image as a data URL.
func logo(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the logo: %w", err)
	}
	media := http.DetectContentType(body)
	if strings.HasPrefix(media, "text/") && strings.Contains(string(body), "<svg") {
		media = "image/svg+xml"
	}
	if !strings.HasPrefix(media, "image/") {
		return "", usagef("--logo: %s is no image", path)
	}
	return "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(body), nil
}

type portalShowCmd struct{}

// Run shows the settings.
func (x *portalShowCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	p, err := cl.Portal(c.ctx, tenant)
	if err != nil {
		return err
	}
	return c.showPortal(p)
}

func (c *console) showPortal(p *client.Portal) error {
	if c.json {
		return c.writeJSON(p)
	}
	if p.Updated.IsZero() {
		c.printf("Nothing is set; \"posthorn portal set --name …\" does.\n")
		return nil
	}
	logo := ""
	if kind, body, ok := strings.Cut(strings.TrimPrefix(p.Logo, "data:"), ";base64,"); ok {
		image, _ := base64.StdEncoding.DecodeString(body) // the server has checked it
		logo = fmt.Sprintf("%s, %s bytes", kind, count(int64(len(image))))
	}
	c.fields([]field{
		{"name", cell{p.Name, bold}},
		{"colour", text(p.Colour)},
		{"logo", text(logo)},
		{"origins", text(strings.Join(p.Origins, ", "))},
		{"language", text(p.Language)},
		{"updated", text(stamp(p.Updated))},
	})
	return nil
}

type portalLinkCmd struct {
	TTL      time.Duration `help:"How long the link lets in, 1s to 7d." name:"ttl" default:"1h"`
	ReadOnly bool          `help:"Whoever has the link may look only."`
	Language string        `help:"The language of the pages for this link; the portal's without it." placeholder:"TAG"`
}

// Run makes the link and prints it.
func (x *portalLinkCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if x.TTL < time.Second || x.TTL > 168*time.Hour {
		return usagef("--ttl: must be 1s to 7d")
	}
	made, err := cl.CreatePortalLink(c.ctx, tenant, client.PortalLinkRequest{TTL: (*client.Duration)(&x.TTL), ReadOnly: x.ReadOnly, Language: x.Language})
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(made)
	}
	c.fields([]field{{"expires", text(stamp(made.Expires))}, {"url", cell{made.URL, bold}}})
	return nil
}
