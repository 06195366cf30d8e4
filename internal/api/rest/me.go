package rest

import (
	"context"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

func (a *API) me(ctx context.Context, c *call, _ *struct{}) (*outBody[client.Me], error) {
	out, err := a.showMe(ctx, &c.key)
	return &outBody[client.Me]{out}, err
}

// showMe renders a caller.
func (a *API) showMe(ctx context.Context, key *event.APIKey) (client.Me, error) {
	k := *key
	k.Identify()
	out := client.Me{
		Kind: k.Kind, ID: k.Who(), Name: k.Name, Admin: k.Admin, Portal: k.Portal(), Expires: timePointer(k.Expires), Session: k.Session != "", Version: a.Version,
	}
	if k.Admin {
		return out, nil
	}
	var err error
	if k.User == "" {
		out.Allow = permissions(k.Allow)
		out.Tenant, err = a.Control.TenantName(ctx, k.Tenant)
		if event.KindOf(err) == event.KindNotFound {
			err = nil // it is being deleted
		}
		return out, err
	}
	for _, g := range k.Grants {
		name := client.EveryTenant
		if g.Tenant != 0 {
			if name, err = a.Control.TenantName(ctx, g.Tenant); event.KindOf(err) == event.KindNotFound {
				continue
			}
			if err != nil {
				return out, err
			}
		}
		out.Grants = append(out.Grants, client.Grant{Tenant: name, Allow: permissions(g.Allow)})
	}
	return out, nil
}

func permissions(list []event.Permission) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = string(p)
	}
	return out
}
