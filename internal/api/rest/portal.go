package rest

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// portalPage begins the path of a tenant's portal (package ui).
const portalPage = "/ui/portal/"

func (a *API) portalRoutes() {
	const path = "/v1/tenants/{tenant}/portal"
	register(a, operation{
		id: "get-portal", method: http.MethodGet, path: path, tag: "Portal", summary: "Get the settings of the portal",
		doc: "Of a tenant that never set any they are empty.", scope: scopeRead, tagged: true, portal: true,
	}, a.getPortal)
	register(a, operation{
		id: "put-portal", method: http.MethodPut, path: path, tag: "Portal", summary: "Set up the portal",
		doc: "Fields left out go back to their defaults.", scope: scopeManage, tagged: true,
	}, a.putPortal)
	register(a, operation{
		id: "create-portal-link", method: http.MethodPost, path: path + "/links", tag: "Portal", summary: "Make a link into the portal",
		doc: "Whoever has the link sees the tenant's events and manages its webhooks, until it expires or the tenant's tokens are rotated, which ends " +
			"all links at once.",
		scope: scopeManage, status: http.StatusCreated, secret: true, keysOnly: true,
	}, a.createPortalLink)
}

// portalAnswer is the answer with the settings. Their ETag is one more than their revision, because there are settings, empty
// ones, before the first change, too.
func portalAnswer(p *event.Portal) *outTagged[client.Portal] {
	out := client.Portal{Name: p.Name, Colour: p.Colour, Logo: p.Logo, Origins: p.Origins, Language: p.Language}
	if p.Revision > 0 {
		out.Updated = p.Updated.UTC()
	}
	return &outTagged[client.Portal]{ETag: etag(p.Revision+1, nil), Body: out}
}

func (a *API) getPortal(ctx context.Context, c *call, _ *struct {
	InTenant
	InNoneMatch
},
) (*outTagged[client.Portal], error) {
	p, err := a.Portals.Portal(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	return portalAnswer(&p), nil
}

func (a *API) putPortal(ctx context.Context, c *call, in *struct {
	InTenant
	InMatch
	InOnce
	Body client.Portal
},
) (*outTagged[client.Portal], error) {
	stored, err := a.Portals.Portal(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	rev, err := revision(in.IfMatch, stored.Revision+1)
	if err != nil {
		return nil, err
	}
	p, err := a.Portals.SetPortal(ctx, c.tenant, event.Portal{
		Name: in.Body.Name, Colour: in.Body.Colour, Logo: in.Body.Logo, Origins: in.Body.Origins, Language: in.Body.Language,
	}, rev-1)
	if err != nil {
		return nil, err
	}
	out := portalAnswer(&p)
	c.changed(portalAnswer(&stored).Body, out.Body)
	return out, nil
}

func (a *API) createPortalLink(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body *client.PortalLinkRequest
},
) (*outBody[client.PortalLink], error) {
	g := TokenGrant{Allow: []event.Permission{event.AllowPortal}}
	fragment := ""
	if b := in.Body; b != nil {
		if b.ReadOnly {
			g.Allow[0] = event.AllowPortalRead
		}
		if b.TTL != nil {
			if g.TTL = time.Duration(*b.TTL); g.TTL == 0 {
				return nil, invalid("ttl", "must be 1s to 168h")
			}
		}
		if b.Language != "" {
			fragment = "&language=" + url.QueryEscape(b.Language)
		}
	}
	token, expires, err := a.Tokens.CreateToken(ctx, c.tenant, &c.key, g)
	if err != nil {
		return nil, err
	}
	c.changed(nil, in.Body)
	return &outBody[client.PortalLink]{client.PortalLink{
		URL:   a.PublicURL + portalPage + url.PathEscape(c.tenant.Name) + "#token=" + token + fragment,
		Token: token, Expires: expires.UTC(),
	}}, nil
}

// sees reports whether the caller may know of an endpoint. The token of a portal is for webhooks: the FlexiBee-compatible
// interface and tunnels are the tenant's own business, and of a deleted endpoint, which has no URL, nobody knows what it was.
func (c *call) sees(e *event.Endpoint) bool {
	return !c.key.Portal() || e.URL != "" && (e.Kind == "" || e.Kind == event.KindWebhook)
}

// mayMake refuses kinds of endpoints that are not for the caller to make.
func mayMake(c *call, kind string) *problem {
	switch {
	case c.key.Portal() && kind != "" && kind != event.KindWebhook:
		return invalid("kind", "must be webhook, or left out")
	case kind == event.KindFlexiBee:
		return invalid("kind", "is made by the FlexiBee-compatible interface only, at /c/"+c.tenant.Name+"/hooks")
	default:
		return nil
	}
}

// mayShape refuses an envelope that is not for the caller to choose: requests that came in through a source are not shown to
// portals, so they are not sent to their customers either, unless the tenant has said so. Stored is nil of a new endpoint.
func mayShape(c *call, stored *event.Endpoint, envelope string) *problem {
	original := event.Envelope(envelope) == event.EnvelopeOriginal
	if c.key.Portal() && original && (stored == nil || stored.Envelope != event.EnvelopeOriginal) {
		return invalid("envelope", "original is not for portals")
	}
	return nil
}

// hidden returns the rule that says which endpoints the caller may not know of, by their ids; each is looked up once. Those
// that are gone show nothing any more.
func (a *API) hidden(ctx context.Context, c *call) func(event.EndpointID) (bool, error) {
	if !c.key.Portal() {
		return func(event.EndpointID) (bool, error) { return false, nil }
	}
	known := map[event.EndpointID]bool{}
	return func(id event.EndpointID) (bool, error) {
		hide, ok := known[id]
		if ok {
			return hide, nil
		}
		e, err := a.Control.Endpoint(ctx, c.tenant, id)
		if err != nil && event.KindOf(err) != event.KindNotFound {
			return true, err
		}
		known[id] = err != nil || !c.sees(&e)
		return known[id], nil
	}
}

// webhooksOnly narrows a list of endpoints to what the caller may know of; fits, when not nil, narrows it, too.
func (c *call) webhooksOnly(fits func(*event.Endpoint) (bool, error)) func(*event.Endpoint) (bool, error) {
	if !c.key.Portal() {
		return fits
	}
	return func(e *event.Endpoint) (bool, error) {
		if !c.sees(e) || fits == nil {
			return c.sees(e), nil
		}
		return fits(e)
	}
}

// shownAttempts leaves those of endpoints out that the caller may not know of. out shows the first ones of the list.
func (a *API) shownAttempts(ctx context.Context, c *call, list []event.Attempt, out []client.Attempt) ([]client.Attempt, error) {
	hidden := a.hidden(ctx, c)
	kept := make([]client.Attempt, 0, len(out))
	for i := range out {
		hide, err := hidden(list[i].Endpoint)
		if err != nil {
			return nil, err
		}
		if !hide {
			kept = append(kept, out[i])
		}
	}
	return kept, nil
}
