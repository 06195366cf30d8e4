package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// InType is the event type of a path.
type InType struct {
	InTenant
	Name string `path:"name" doc:"The event type's name"`
}

func (a *API) eventTypeRoutes() {
	const list, one = "/v1/tenants/{tenant}/event-types", "/v1/tenants/{tenant}/event-types/{name}"
	register(a, operation{
		id: "create-event-type", method: http.MethodPost, path: list, tag: "Event types", summary: "Catalogue an event type",
		doc: "With a schema, data of events of this type that does not satisfy it is refused.", scope: scopeManage, status: http.StatusCreated, named: true,
	}, a.createType)
	register(a, operation{
		id: "list-event-types", method: http.MethodGet, path: list, tag: "Event types", summary: "List event types",
		doc: "By name.", scope: scopeRead, portal: true,
	}, a.listTypes)
	register(a, operation{
		id: "get-event-type", method: http.MethodGet, path: one, tag: "Event types", summary: "Get an event type",
		scope: scopeRead, portal: true, tagged: true,
	}, a.getType)
	register(a, operation{
		id: "replace-event-type", method: http.MethodPut, path: one, tag: "Event types", summary: "Replace an event type",
		doc: "Fields left out go back to their defaults.", scope: scopeManage, tagged: true,
	}, a.replaceType)
	register(a, operation{
		id: "patch-event-type", method: http.MethodPatch, path: one, tag: "Event types", summary: "Change fields of an event type",
		scope: scopeManage, tagged: true, patch: typeOf[client.EventType](),
	}, a.patchType)
	register(a, operation{
		id: "delete-event-type", method: http.MethodDelete, path: one, tag: "Event types", summary: "Delete an event type",
		doc: "Its events stay.", scope: scopeManage, tagged: true,
	}, a.deleteType)
}

func typeAnswer(t *event.Type) *outTagged[client.EventType] {
	return &outTagged[client.EventType]{ETag: etag(t.Revision, nil), Body: showType(t)}
}

func (a *API) createType(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body client.EventType
},
) (*outCreated[client.EventType], error) {
	t := readType(&in.Body)
	t.Tenant = c.tenant.ID
	t, err := a.Control.CreateType(ctx, c.tenant, t)
	if err != nil {
		return nil, err
	}
	c.changed(nil, showType(&t))
	return &outCreated[client.EventType]{
		ETag: etag(t.Revision, nil), Body: showType(&t),
		Location: "/v1/tenants/" + c.tenant.Name + "/event-types/" + url.PathEscape(t.Name),
	}, nil
}

func (a *API) listTypes(ctx context.Context, c *call, in *struct {
	InTenant
	InPage
},
) (*outBody[client.Page[client.EventType]], error) {
	after, p := decodeCursor(listTypes, in.Cursor)
	if p != nil {
		return nil, p
	}
	list, err := a.Control.Types(ctx, c.tenant, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	return &outBody[client.Page[client.EventType]]{page(list, in.most(), showType,
		func(t *event.Type) string { return encodeCursor(listTypes, t.Name) })}, nil
}

func (a *API) getType(ctx context.Context, c *call, in *struct {
	InType
	InNoneMatch
},
) (*outTagged[client.EventType], error) {
	t, err := a.Control.Type(ctx, c.tenant, in.Name)
	if err != nil {
		return nil, err
	}
	return typeAnswer(&t), nil
}

func (a *API) saveType(ctx context.Context, c *call, stored *event.Type, in *client.EventType, revision int64) (*outTagged[client.EventType], error) {
	if in.Name != stored.Name {
		return nil, invalid("name", "cannot be changed")
	}
	t := readType(in)
	t.Tenant, t.Created = stored.Tenant, stored.Created
	saved, err := a.Control.UpdateType(ctx, c.tenant, t, revision)
	if err != nil {
		return nil, err
	}
	c.changed(showType(stored), showType(&saved))
	return typeAnswer(&saved), nil
}

func (a *API) replaceType(ctx context.Context, c *call, in *struct {
	InType
	InMatch
	InOnce
	Body client.EventType
},
) (*outTagged[client.EventType], error) {
	stored, err := a.Control.Type(ctx, c.tenant, in.Name)
	if err != nil {
		return nil, err
	}
	rev, err := revision(in.IfMatch, stored.Revision)
	if err != nil {
		return nil, err
	}
	return a.saveType(ctx, c, &stored, &in.Body, rev)
}

func (a *API) patchType(ctx context.Context, c *call, in *struct {
	InType
	InMatch
	InOnce
	Body json.RawMessage
},
) (*outTagged[client.EventType], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.EventType], error) {
		stored, err := a.Control.Type(ctx, c.tenant, in.Name)
		if err != nil {
			return nil, err
		}
		rev, err := revision(in.IfMatch, stored.Revision)
		if err != nil {
			return nil, err
		}
		current := showType(&stored)
		changed, err := patched(a, &current, in.Body)
		if err != nil {
			return nil, err
		}
		return a.saveType(ctx, c, &stored, changed, readRevision(rev, stored.Revision))
	})
}

func (a *API) deleteType(ctx context.Context, c *call, in *struct {
	InType
	InMatch
	InOnce
},
) (*struct{}, error) {
	rev, err := a.typeRevision(ctx, c, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Control.DeleteType(ctx, c.tenant, in.Name, rev)
}

// typeRevision reads If-Match for a deletion, and the type only when there is a condition to compare.
func (a *API) typeRevision(ctx context.Context, c *call, name, ifMatch string) (int64, error) {
	if ifMatch == "" {
		return 0, nil
	}
	stored, err := a.Control.Type(ctx, c.tenant, name)
	if err != nil {
		return 0, err
	}
	return revision(ifMatch, stored.Revision)
}
