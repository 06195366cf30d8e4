package control

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// Draft checks an endpoint as CreateEndpoint does, or, with stored, as UpdateEndpoint of that one does, and saves nothing. It
// returns the endpoint as it would be saved, and the secrets that it would have; a signing secret that would be made is made
// up. Errors: KindInvalid naming every wrong field.
func (c *Control) Draft(_ context.Context, e event.Endpoint, s event.Secrets, stored *event.Endpoint) (event.Endpoint, event.Secrets, error) {
	if stored == nil {
		err := c.prepare(&e, &s)
		return e, s, err
	}
	if err := c.revise(&e, &s); err != nil {
		return e, s, err
	}
	if err := mayReplace(&e, stored); err != nil {
		return e, s, err
	}
	e.ID, e.Tenant, e.Start, e.Revision = stored.ID, stored.Tenant, stored.Start, stored.Revision
	s, _, err := c.revised(&e, stored, &s)
	return e, s, err
}
