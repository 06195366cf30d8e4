package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	binsPath = "/v1/bins"
	binPath  = binsPath + "/{bin}"
)

// InBin is the bin of a path.
type InBin struct {
	Bin string `path:"bin" doc:"The bin's id or alias"`
}

func (a *API) binRoutes() {
	if a.Bins == nil {
		return
	}
	add := func(id, method, path, summary, doc string, s scope) operation {
		return operation{id: id, method: method, path: path, tag: "Bins", summary: summary, doc: doc, scope: s, own: true}
	}
	create := add("create-bin", http.MethodPost, binsPath, "Make a bin",
		"A URL that captures what is sent to it. It belongs to the key's tenant; of an admin key to the tenant that it names, or to nobody.", scopeManage)
	create.status, create.tagged = http.StatusCreated, true
	register(a, create, a.createBin)
	register(a, add("list-bins", http.MethodGet, binsPath, "List bins", "By id, with their figures: those of the key's tenant; with an admin key all, or those of one tenant.",
		scopeRead), a.listBins)
	get := add("get-bin", http.MethodGet, binPath, "Get a bin with its figures", "The ETag changes with what comes, too; If-Match looks at the configuration only.", scopeRead)
	get.tagged = true
	get.errors = []int{http.StatusGone}
	register(a, get, a.getBin)
	put := add("replace-bin", http.MethodPut, binPath, "Replace a bin's configuration",
		"Fields left out go back to their defaults, but the tenant, which stays.", scopeManage)
	put.tagged, put.errors = true, get.errors
	register(a, put, a.replaceBin)
	patch := add("patch-bin", http.MethodPatch, binPath, "Change fields of a bin", "A merge patch (RFC 7386).", scopeManage)
	patch.tagged, patch.errors, patch.patch = true, get.errors, typeOf[client.Bin]()
	register(a, patch, a.patchBin)
	remove := add("delete-bin", http.MethodDelete, binPath, "Delete a bin", "With all that is in it.", scopeManage)
	remove.tagged, remove.errors = true, get.errors
	register(a, remove, a.deleteBin)
	a.binRequestRoutes(add)
	a.binPlainRoutes()
}

// bin finds a bin that the caller may see.
func (a *API) bin(ctx context.Context, c *call, name string) (event.Bin, error) {
	b, err := a.Bins.Bin(ctx, c.key.Tenant, name) // 0 of admin keys: anybody's
	if err == nil && c.entry != nil {
		a.ofTenant(ctx, c, b.Tenant, "")
		if c.entry.Resource == "bin" {
			c.entry.ResourceID = b.ID
		}
	}
	return b, err
}

// tenantOf names the tenant of a bin.
func (a *API) tenantOf(ctx context.Context, b *event.Bin) (string, error) {
	if b.Tenant == 0 {
		return "", nil
	}
	name, err := a.Control.TenantName(ctx, b.Tenant)
	if event.KindOf(err) == event.KindNotFound {
		return "", nil // the tenant's bins are being deleted
	}
	return name, err
}

// binAnswer is the answer to a write, without the figures.
func (a *API) binAnswer(ctx context.Context, b *event.Bin) (*outTagged[client.Bin], error) {
	tenant, err := a.tenantOf(ctx, b)
	if err != nil {
		return nil, err
	}
	return &outTagged[client.Bin]{ETag: etag(b.Revision, nil), Body: a.showBin(b, tenant)}, nil
}

func (a *API) createBin(ctx context.Context, c *call, in *struct {
	InOnce
	Body client.Bin
},
) (*outCreated[client.Bin], error) {
	tenant := c.key.Tenant
	if in.Body.Tenant != "" {
		t, err := a.Control.Tenant(ctx, in.Body.Tenant)
		switch {
		case !c.key.Admin && (err != nil || t.ID != tenant):
			return nil, newProblem(http.StatusForbidden, "forbidden", "this key is not for this tenant")
		case event.KindOf(err) == event.KindNotFound && err != nil:
			return nil, invalid("tenant", "there is no such tenant")
		case err != nil:
			return nil, err
		}
		tenant = t.ID
	}
	b, err := readBin(&in.Body, nil)
	if err != nil {
		return nil, err
	}
	made, err := a.Bins.Create(ctx, tenant, b)
	if err != nil {
		return nil, err
	}
	out, err := a.binAnswer(ctx, &made)
	if err != nil {
		return nil, err
	}
	a.ofTenant(ctx, c, made.Tenant, "")
	c.changed(nil, out.Body)
	return &outCreated[client.Bin]{ETag: out.ETag, Location: binsPath + "/" + made.ID, Body: out.Body}, nil
}

func (a *API) listBins(ctx context.Context, c *call, in *struct {
	InPage
	Tenant string `query:"tenant" doc:"Only this tenant's, for admin keys"`
},
) (*outBody[client.Page[client.Bin]], error) {
	after, p := decodeCursor(listBins, in.Cursor)
	if p != nil {
		return nil, p
	}
	tenant := c.key.Tenant
	if in.Tenant != "" {
		t, err := a.Control.Tenant(ctx, in.Tenant)
		switch {
		case !c.key.Admin && (err != nil || t.ID != tenant):
			return nil, newProblem(http.StatusForbidden, "forbidden", "this key is not for this tenant")
		case err != nil:
			return nil, err
		}
		tenant = t.ID
	}
	list, err := a.Bins.Bins(ctx, tenant, after, in.most()+1)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Bin]{Data: []client.Bin{}}
	for i := range list {
		if i == in.most() {
			out.Next = encodeCursor(listBins, list[i-1].ID)
			break
		}
		if a.Bins.Expired(&list[i]) {
			continue
		}
		name, err := a.tenantOf(ctx, &list[i])
		if err != nil {
			return nil, err
		}
		stats, err := a.Bins.Stats(ctx, list[i].ID) // kept as they are: one row of the store, however much is in the bin
		if event.KindOf(err) == event.KindNotFound && err != nil {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		b := a.showBin(&list[i], name)
		b.Stats = showBinStats(&stats)
		out.Data = append(out.Data, b)
	}
	return &outBody[client.Page[client.Bin]]{out}, nil
}

func (a *API) getBin(ctx context.Context, c *call, in *struct {
	InBin
	InNoneMatch
},
) (*outTagged[client.Bin], error) {
	b, err := a.bin(ctx, c, in.Bin)
	if err != nil {
		return nil, err
	}
	out, err := a.binAnswer(ctx, &b)
	if err != nil {
		return nil, err
	}
	stats, err := a.Bins.Stats(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	out.Body.Stats = showBinStats(&stats)
	live, err := json.Marshal(out.Body)
	if err != nil {
		return nil, err
	}
	out.ETag = etag(b.Revision, live)
	return out, nil
}

// saveBin stores what a body makes of a bin.
func (a *API) saveBin(ctx context.Context, c *call, stored *event.Bin, in *client.Bin, revision int64) (*outTagged[client.Bin], error) {
	tenant, err := a.tenantOf(ctx, stored)
	if err != nil {
		return nil, err
	}
	if in.Tenant != "" && in.Tenant != tenant {
		return nil, invalid("tenant", "cannot be changed")
	}
	b, err := readBin(in, stored)
	if err != nil {
		return nil, err
	}
	b.ID = stored.ID
	saved, err := a.Bins.Update(ctx, b, revision)
	if err != nil {
		return nil, err
	}
	c.changed(a.showBin(stored, tenant), a.showBin(&saved, tenant))
	return a.binAnswer(ctx, &saved)
}

func (a *API) replaceBin(ctx context.Context, c *call, in *struct {
	InBin
	InMatch
	InOnce
	Body client.Bin
},
) (*outTagged[client.Bin], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.Bin], error) {
		stored, rev, err := a.binToChange(ctx, c, in.Bin, in.IfMatch)
		if err != nil {
			return nil, err
		}
		return a.saveBin(ctx, c, &stored, &in.Body, readRevision(rev, stored.Revision))
	})
}

func (a *API) patchBin(ctx context.Context, c *call, in *struct {
	InBin
	InMatch
	InOnce
	Body json.RawMessage
},
) (*outTagged[client.Bin], error) {
	return untilSettled(in.IfMatch, func() (*outTagged[client.Bin], error) {
		stored, rev, err := a.binToChange(ctx, c, in.Bin, in.IfMatch)
		if err != nil {
			return nil, err
		}
		current, err := a.binAnswer(ctx, &stored)
		if err != nil {
			return nil, err
		}
		changed, err := patched(a, &current.Body, in.Body)
		if err != nil {
			return nil, err
		}
		return a.saveBin(ctx, c, &stored, changed, readRevision(rev, stored.Revision))
	})
}

// binToChange reads a bin and the revision that a change is for.
func (a *API) binToChange(ctx context.Context, c *call, name, ifMatch string) (event.Bin, int64, error) {
	stored, err := a.bin(ctx, c, name)
	if err != nil {
		return stored, 0, err
	}
	rev, err := revision(ifMatch, stored.Revision)
	return stored, rev, err
}

func (a *API) deleteBin(ctx context.Context, c *call, in *struct {
	InBin
	InMatch
	InOnce
},
) (*struct{}, error) {
	stored, rev, err := a.binToChange(ctx, c, in.Bin, in.IfMatch)
	if err != nil {
		return nil, err
	}
	tenant, err := a.tenantOf(ctx, &stored)
	if err != nil {
		return nil, err
	}
	c.changed(a.showBin(&stored, tenant), nil)
	return nil, a.Bins.Delete(ctx, stored.ID, rev)
}
