package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// Parts of inputs. Their names are exported because huma looks into exported embedded fields only.
type (
	// InTenant is the tenant of a path.
	InTenant struct {
		Tenant string `path:"tenant" doc:"The tenant's name"`
	}
	// InPage is the place in a list.
	InPage struct {
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The most items of the answer"`
		Cursor string `query:"cursor" doc:"Where to go on: the next of an earlier answer"`
	}
	// InMatch makes a write conditional.
	InMatch struct {
		IfMatch string `header:"If-Match" doc:"Only if the stored resource has this ETag"`
	}
	// InNoneMatch makes a read conditional.
	InNoneMatch struct {
		IfNoneMatch string `header:"If-None-Match" doc:"304 when the resource still has this ETag"`
	}
	// InOnce makes a write repeatable.
	InOnce struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Makes the write repeatable: a second one with the same key and content gets the first one's answer"`
	}
)

// most is how many items a page holds: one fewer than one reading gives, so that the item after it shows that there is
// a next page.
func (p *InPage) most() int { return min(p.Limit, maxRead-1) }

// maxRead is how many items one reading of a list gives at most (packages control and store).
const maxRead = 1000

// outTagged is the answer with a resource that has an ETag.
type outTagged[T any] struct {
	ETag string `header:"ETag" doc:"The resource's version"`
	Body T
}

// outCreated is the answer to a creation.
type outCreated[T any] struct {
	ETag     string `header:"ETag" doc:"The resource's version"`
	Location string `header:"Location" doc:"Where the resource is"`
	Body     T
}

// outBody is an answer without an ETag.
type outBody[T any] struct {
	Body T
}

// page cuts a list that was read with one item more than asked.
func page[E, T any](list []E, limit int, show func(*E) T, cursor func(*E) string) client.Page[T] {
	out := client.Page[T]{Data: make([]T, 0, min(len(list), limit))}
	for i := range list {
		if i == limit {
			out.Next = cursor(&list[limit-1])
			break
		}
		out.Data = append(out.Data, show(&list[i]))
	}
	return out
}

// revision reads If-Match against the stored revision and returns the revision to hand on: 0 without a condition.
func revision(header string, stored int64) (int64, error) {
	revisions, whichever := matchRevision(header)
	switch {
	case whichever:
		return 0, nil
	case len(revisions) == 1:
		return revisions[0], nil // the store compares: what was read here may be older
	case slices.Contains(revisions, stored):
		return stored, nil
	default:
		return 0, preconditionFailed()
	}
}

// maxPatchTries bounds how often a patch without If-Match is applied again because the resource changed meanwhile.
const maxPatchTries = 5

// untilSettled runs a change of a resource that was read first. Without a condition by the caller it is run again when
// another change came in between.
func untilSettled[T any](header string, change func() (*T, error)) (*T, error) {
	_, whichever := matchRevision(header)
	for try := 1; ; try++ {
		out, err := change()
		if err == nil || !whichever || try == maxPatchTries || event.KindOf(err) != event.KindPrecondition {
			return out, err
		}
	}
}

func (a *API) tenantRoutes() {
	register(a, operation{
		id: "create-tenant", method: http.MethodPost, path: "/v1/tenants", tag: "Tenants", summary: "Create a tenant",
		scope: scopeAdmin, status: http.StatusCreated, named: true,
	}, a.createTenant)
	register(a, operation{
		id: "list-tenants", method: http.MethodGet, path: "/v1/tenants", tag: "Tenants", summary: "List tenants",
		doc: "By name. With q a page may hold fewer than limit and still have a next.", scope: scopeAdmin, overall: true,
	}, a.listTenants)
	register(a, operation{
		id: "get-tenant", method: http.MethodGet, path: "/v1/tenants/{tenant}", tag: "Tenants", summary: "Get a tenant",
		scope: scopeRead, tagged: true,
	}, a.getTenant)
	register(a, operation{
		id: "replace-tenant", method: http.MethodPut, path: "/v1/tenants/{tenant}", tag: "Tenants", summary: "Replace a tenant",
		doc: "Fields left out go back to their defaults.", scope: scopeAdmin, tagged: true,
	}, a.replaceTenant)
	register(a, operation{
		id: "patch-tenant", method: http.MethodPatch, path: "/v1/tenants/{tenant}", tag: "Tenants", summary: "Change fields of a tenant",
		scope: scopeAdmin, tagged: true, patch: typeOf[client.Tenant](),
	}, a.patchTenant)
	register(a, operation{
		id: "delete-tenant", method: http.MethodDelete, path: "/v1/tenants/{tenant}", tag: "Tenants", summary: "Delete a tenant",
		doc: "With its endpoints, event types and keys at once, and its events and attempts soon after.", scope: scopeAdmin, tagged: true,
	}, a.deleteTenant)
}

func (a *API) createTenant(ctx context.Context, c *call, in *struct {
	InOnce
	Body client.Tenant
},
) (*outCreated[client.Tenant], error) {
	t, err := a.Control.CreateTenant(ctx, readTenant(&in.Body))
	if err != nil {
		return nil, err
	}
	out := &outCreated[client.Tenant]{ETag: etag(t.Revision, nil), Location: "/v1/tenants/" + t.Name, Body: showTenant(&t)}
	a.ofTenant(ctx, c, t.ID, t.Name)
	c.changed(nil, out.Body)
	return out, nil
}

func (a *API) listTenants(ctx context.Context, _ *call, in *struct {
	InPage
	Q string `query:"q" maxLength:"200" doc:"Only those whose name or description holds this text, whatever the case of its letters"`
},
) (*outBody[client.Page[client.Tenant]], error) {
	after, p := decodeCursor(listTenants, in.Cursor)
	if p != nil {
		return nil, p
	}
	var fits func(*event.Tenant) (bool, error)
	if q := strings.ToLower(in.Q); q != "" {
		fits = func(t *event.Tenant) (bool, error) { return holds(q, t.Name, t.Description), nil }
	}
	list, last, more, err := sift(after, in.most(),
		func(after string, limit int) ([]event.Tenant, error) { return a.Control.Tenants(ctx, after, limit) },
		func(t *event.Tenant) string { return t.Name }, fits)
	if err != nil {
		return nil, err
	}
	next := ""
	if more {
		next = encodeCursor(listTenants, last)
	}
	return shown(list, next, func(t *event.Tenant) (client.Tenant, error) { return showTenant(t), nil })
}

func tenantAnswer(t *event.Tenant) *outTagged[client.Tenant] {
	return &outTagged[client.Tenant]{ETag: etag(t.Revision, nil), Body: showTenant(t)}
}

func (a *API) getTenant(_ context.Context, c *call, _ *struct {
	InTenant
	InNoneMatch
},
) (*outTagged[client.Tenant], error) {
	return tenantAnswer(c.tenant), nil
}

// saveTenant stores what a body makes of the tenant of the call.
func (a *API) saveTenant(ctx context.Context, c *call, stored *event.Tenant, in *client.Tenant, revision int64) (*outTagged[client.Tenant], error) {
	if in.Name != stored.Name {
		return nil, invalid("name", "cannot be changed")
	}
	t := readTenant(in)
	t.ID, t.Created = stored.ID, stored.Created
	saved, err := a.Control.UpdateTenant(ctx, t, revision)
	if err != nil {
		return nil, err
	}
	out := tenantAnswer(&saved)
	c.changed(showTenant(stored), out.Body)
	return out, nil
}

func (a *API) replaceTenant(ctx context.Context, c *call, in *struct {
	InTenant
	InMatch
	InOnce
	Body client.Tenant
},
) (*outTagged[client.Tenant], error) {
	rev, err := revision(in.IfMatch, c.tenant.Revision)
	if err != nil {
		return nil, err
	}
	return a.saveTenant(ctx, c, c.tenant, &in.Body, rev)
}

func (a *API) patchTenant(ctx context.Context, c *call, in *struct {
	InTenant
	InMatch
	InOnce
	Body json.RawMessage
},
) (*outTagged[client.Tenant], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.Tenant], error) {
		stored, err := a.Control.Tenant(ctx, in.Tenant)
		if err != nil {
			return nil, err
		}
		rev, err := revision(in.IfMatch, stored.Revision)
		if err != nil {
			return nil, err
		}
		current := showTenant(stored)
		changed, err := patched(a, &current, in.Body)
		if err != nil {
			return nil, err
		}
		return a.saveTenant(ctx, c, stored, changed, readRevision(rev, stored.Revision))
	})
}

// readRevision is the revision that a change of what was read must still find: the caller's, or that which was read.
func readRevision(asked, read int64) int64 {
	if asked != 0 {
		return asked
	}
	return read
}

func (a *API) deleteTenant(ctx context.Context, c *call, in *struct {
	InTenant
	InMatch
	InOnce
},
) (*struct{}, error) {
	rev, err := revision(in.IfMatch, c.tenant.Revision)
	if err != nil {
		return nil, err
	}
	c.changed(showTenant(c.tenant), nil)
	return nil, a.Control.DeleteTenant(ctx, c.tenant.Name, rev)
}
