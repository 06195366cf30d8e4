package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	endpointsPath = "/v1/tenants/{tenant}/endpoints"
	endpointPath  = endpointsPath + "/{endpoint}"
)

// InEndpoint is the endpoint of a path.
type InEndpoint struct {
	InTenant
	Endpoint string `path:"endpoint" doc:"The endpoint's id"`
}

func (a *API) endpointRoutes() {
	register(a, operation{
		id: "create-endpoint", method: http.MethodPost, path: endpointsPath, tag: "Endpoints", summary: "Create an endpoint",
		doc: "It gets the events published from now on, or with start those from that version on, in the order of the log. " +
			"When start is older than retention: 410, with the oldest version left. Its signing secret is made here; read it at …/secret.",
		scope: scopeManage, portal: true, status: http.StatusCreated, secret: true, errors: []int{http.StatusGone},
	}, a.createEndpoint)
	register(a, operation{
		id: "list-endpoints", method: http.MethodGet, path: endpointsPath, tag: "Endpoints", summary: "List endpoints",
		doc:   "By id. With q, type or lane a page may hold fewer than limit and still have a next.",
		scope: scopeRead, portal: true, secret: true,
	}, a.listEndpoints)
	register(a, operation{
		id: "get-endpoint", method: http.MethodGet, path: endpointPath, tag: "Endpoints", summary: "Get an endpoint with its state",
		doc:   "The ETag changes with the state, too; If-Match looks at the configuration only.",
		scope: scopeRead, portal: true, tagged: true, secret: true,
	}, a.getEndpoint)
	register(a, operation{
		id: "replace-endpoint", method: http.MethodPut, path: endpointPath, tag: "Endpoints", summary: "Replace an endpoint's configuration",
		doc: "Fields left out go back to their defaults; a password or token left out is kept while the type, the username and the URL's " +
			"scheme and host stay the same. Signing secrets and start stay.",
		scope: scopeManage, portal: true, tagged: true, secret: true,
	}, a.replaceEndpoint)
	register(a, operation{
		id: "patch-endpoint", method: http.MethodPatch, path: endpointPath, tag: "Endpoints", summary: "Change fields of an endpoint",
		scope: scopeManage, portal: true, tagged: true, secret: true, patch: typeOf[client.Endpoint](),
	}, a.patchEndpoint)
	register(a, operation{
		id: "delete-endpoint", method: http.MethodDelete, path: endpointPath, tag: "Endpoints", summary: "Delete an endpoint",
		doc: "At once; its attempts go soon after.", scope: scopeManage, portal: true, tagged: true,
	}, a.deleteEndpoint)
}

// endpoint reads the endpoint of a path.
func (a *API) endpoint(ctx context.Context, c *call, id string) (event.Endpoint, error) {
	n, ok := event.ParseEndpointID(id)
	if !ok {
		return event.Endpoint{}, event.NotFound("endpoint")
	}
	e, err := a.Control.Endpoint(ctx, c.tenant, n)
	if err == nil && !c.sees(&e) {
		return event.Endpoint{}, event.NotFound("endpoint")
	}
	return e, err
}

// showFor renders an endpoint as far as the caller may see it.
func (a *API) showFor(ctx context.Context, c *call, e *event.Endpoint) (client.Endpoint, error) {
	if !c.may(scopeManage) {
		return showEndpoint(e, nil), nil
	}
	s, err := a.Control.Secrets(ctx, e)
	if err != nil {
		return client.Endpoint{}, err
	}
	return showEndpoint(e, &s), nil
}

// endpointAnswer is the answer to a write, without the state.
func (a *API) endpointAnswer(ctx context.Context, c *call, e *event.Endpoint) (*outTagged[client.Endpoint], error) {
	body, err := a.showFor(ctx, c, e)
	if err != nil {
		return nil, err
	}
	return &outTagged[client.Endpoint]{ETag: etag(e.Revision, nil), Body: body}, nil
}

func (a *API) createEndpoint(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body client.Endpoint
},
) (*outCreated[client.Endpoint], error) {
	if p := checkAuth(in.Body.Auth); p != nil {
		return nil, p
	}
	if p := mayMake(c, in.Body.Kind); p != nil {
		return nil, p
	}
	if p := mayShape(c, nil, in.Body.Envelope); p != nil {
		return nil, p
	}
	e, s := readEndpoint(&in.Body)
	e.Tenant = c.tenant.ID
	var err error
	if from := in.Body.Start; from != 0 {
		e, err = a.Control.CreateEndpointFrom(ctx, c.tenant, e, s, from)
	} else {
		e, err = a.Control.CreateEndpoint(ctx, c.tenant, e, s)
	}
	if err != nil {
		return nil, err
	}
	out, err := a.endpointAnswer(ctx, c, &e)
	if err != nil {
		return nil, err
	}
	c.changed(nil, auditEndpoint(&e, &s))
	return &outCreated[client.Endpoint]{
		ETag: out.ETag, Location: "/v1/tenants/" + c.tenant.Name + "/endpoints/" + e.ID.String(), Body: out.Body,
	}, nil
}

func (a *API) listEndpoints(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
	State bool   `query:"state" doc:"With the endpoints' states"`
	Q     string `query:"q" maxLength:"200" doc:"Only those whose URL, description or id holds this text, whatever the case of its letters"`
	Type  string `query:"type" doc:"Only those that take events of this type, such as order.paid; filters and channels are not looked at"`
	Lane  string `query:"lane" enum:"live,backlog,waiting,disabled" doc:"Only those whose deliveries are in this state; disabled ones are in none of the others"`
},
) (*outBody[client.Page[client.Endpoint]], error) {
	after, p := decodeNumberCursor(listEndpoints, in.Cursor)
	if p != nil {
		return nil, p
	}
	fits, err := a.endpointFilter(in.Q, in.Type, in.Lane)
	if err != nil {
		return nil, err
	}
	fits = c.webhooksOnly(fits)
	list, last, more, err := sift(event.EndpointID(after), in.most(),
		func(after event.EndpointID, limit int) ([]event.Endpoint, error) {
			return a.Control.Endpoints(ctx, c.tenant, after, limit)
		},
		func(e *event.Endpoint) event.EndpointID { return e.ID }, fits)
	if err != nil {
		return nil, err
	}
	next := ""
	if more {
		next = encodeNumberCursor(listEndpoints, int64(last))
	}
	return shown(list, next, func(e *event.Endpoint) (client.Endpoint, error) {
		out, err := a.showFor(ctx, c, e)
		if err == nil && in.State {
			var view event.LaneView
			if view, err = a.Delivery.View(ctx, e); err == nil {
				out.State = showState(&view)
			}
		}
		return out, err
	})
}

func (a *API) getEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InNoneMatch
},
) (*outTagged[client.Endpoint], error) {
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	return a.endpointWithState(ctx, c, &e)
}

// endpointWithState is an endpoint with what its deliveries are doing.
func (a *API) endpointWithState(ctx context.Context, c *call, e *event.Endpoint) (*outTagged[client.Endpoint], error) {
	body, err := a.showFor(ctx, c, e)
	if err != nil {
		return nil, err
	}
	view, err := a.Delivery.View(ctx, e)
	if err != nil {
		return nil, err
	}
	newest, _, err := a.Log.AttemptsOfEndpoint(ctx, e.ID, nil, 0, 1)
	if err != nil {
		return nil, err
	}
	body.State = showState(&view)
	if len(newest) > 0 {
		body.State.LastAttempt = timePointer(newest[0].At)
	}
	live, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &outTagged[client.Endpoint]{ETag: etag(e.Revision, live), Body: body}, nil
}

// saveEndpoint stores what a body makes of an endpoint.
func (a *API) saveEndpoint(ctx context.Context, c *call, stored *event.Endpoint, in *client.Endpoint, revision int64) (*outTagged[client.Endpoint], error) {
	old, err := a.Control.Secrets(ctx, stored)
	if err != nil {
		return nil, err
	}
	keepCredentials(in, stored, &old)
	if p := checkAuth(in.Auth); p != nil {
		return nil, p
	}
	if p := mayShape(c, stored, in.Envelope); p != nil {
		return nil, p
	}
	if in.Start != 0 && in.Start != stored.Start+1 {
		return nil, invalid("start", "cannot be changed; replay sends events again")
	}
	e, s := readEndpoint(in)
	if stored.Disabled && !e.Disabled {
		if p := mayResume(c, stored); p != nil {
			return nil, p
		}
	}
	e.ID, e.Tenant, e.Start, e.Created, e.Sealed = stored.ID, stored.Tenant, stored.Start, stored.Created, stored.Sealed
	if e.Disabled && stored.Disabled {
		e.DisabledReason = stored.DisabledReason
	}
	saved, err := a.Control.UpdateEndpoint(ctx, c.tenant, e, &s, revision)
	if err != nil {
		return nil, err
	}
	c.changed(auditEndpoint(stored, &old), auditEndpoint(&saved, &s))
	return a.endpointAnswer(ctx, c, &saved)
}

// auditEndpoint is an endpoint with its credentials, for the audit log, which shows of them only that they changed.
func auditEndpoint(e *event.Endpoint, s *event.Secrets) client.Endpoint {
	out := showEndpoint(e, s)
	if out.Auth != nil && s.Auth != nil {
		out.Auth.Password, out.Auth.Token = s.Auth.Password, s.Auth.Token
	}
	return out
}

// mayResume refuses to let a hook go on while its tenant's changelog is off: switching that on lets it.
func mayResume(c *call, e *event.Endpoint) *problem {
	if e.Kind != event.KindFlexiBee || c.tenant.Changelog {
		return nil
	}
	return newProblem(http.StatusConflict, "changelog_off",
		"this hook rests while the changelog of the tenant is off; switch it on by PUT /c/"+c.tenant.Name+"/changes/enable")
}

// endpointAt is the endpoint of a path, and the revision that If-Match asks for: 0 where it asks for none.
func (a *API) endpointAt(ctx context.Context, c *call, path, match string) (stored event.Endpoint, rev int64, err error) {
	if stored, err = a.endpoint(ctx, c, path); err != nil {
		return stored, 0, err
	}
	rev, err = revision(match, stored.Revision)
	return stored, rev, err
}

func (a *API) replaceEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InMatch
	InOnce
	Body client.Endpoint
},
) (*outTagged[client.Endpoint], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.Endpoint], error) {
		stored, rev, err := a.endpointAt(ctx, c, in.Endpoint, in.IfMatch)
		if err != nil {
			return nil, err
		}
		body := in.Body
		if body.Auth != nil { // keepCredentials changes it
			auth := *body.Auth
			body.Auth = &auth
		}
		return a.saveEndpoint(ctx, c, &stored, &body, readRevision(rev, stored.Revision))
	})
}

func (a *API) patchEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InMatch
	InOnce
	Body json.RawMessage
},
) (*outTagged[client.Endpoint], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.Endpoint], error) {
		stored, rev, err := a.endpointAt(ctx, c, in.Endpoint, in.IfMatch)
		if err != nil {
			return nil, err
		}
		current, err := a.showFor(ctx, c, &stored)
		if err != nil {
			return nil, err
		}
		changed, err := patched(a, &current, in.Body)
		if err != nil {
			return nil, err
		}
		return a.saveEndpoint(ctx, c, &stored, changed, readRevision(rev, stored.Revision))
	})
}

func (a *API) deleteEndpoint(ctx context.Context, c *call, in *struct {
	InEndpoint
	InMatch
	InOnce
},
) (*struct{}, error) {
	e, rev, err := a.endpointAt(ctx, c, in.Endpoint, in.IfMatch)
	if err != nil {
		return nil, err
	}
	c.changed(showEndpoint(&e, nil), nil)
	return nil, a.Control.DeleteEndpoint(ctx, c.tenant, e.ID, rev)
}
