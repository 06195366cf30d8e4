package rest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// InKey is the API key of a path.
type InKey struct {
	Key string `path:"key" doc:"The API key's id"`
}

// outMadeKey is a new key.
type outMadeKey struct {
	Location string `header:"Location" doc:"Where the record is"`
	Body     client.APIKey
}

func (a *API) keyRoutes() {
	const list, one = "/v1/apikeys", "/v1/apikeys/{key}"
	register(a, operation{
		id: "create-apikey", method: http.MethodPost, path: list, tag: "API keys", summary: "Create an API key",
		doc:   "For everything (admin), or for one tenant (tenant and allow). The answer holds the key itself, this once; only its hash is stored.",
		scope: scopeAdmin, status: http.StatusCreated, secret: true,
	}, a.createKey)
	register(a, operation{
		id: "list-apikeys", method: http.MethodGet, path: list, tag: "API keys", summary: "List API keys",
		doc: "By id. With tenant a page may hold fewer than limit and still have a next.", scope: scopeAdmin,
	}, a.listKeys)
	register(a, operation{
		id: "get-apikey", method: http.MethodGet, path: one, tag: "API keys", summary: "Get an API key's record", scope: scopeAdmin,
	}, a.getKey)
	register(a, operation{
		id: "rotate-apikey", method: http.MethodPost, path: one + "/rotate", tag: "API keys", summary: "Make a new key in place of an API key",
		doc: "The answer holds the new key itself, this once. The one from before goes on working for overlap; one from before an earlier " +
			"rotation ends at once. The root key is rotated here only when it is not set in the server's configuration.",
		scope: scopeAdmin, secret: true,
	}, a.rotateKey)
	register(a, operation{
		id: "delete-apikey", method: http.MethodDelete, path: one, tag: "API keys", summary: "Delete an API key",
		doc: "It ends at once.", scope: scopeAdmin,
	}, a.deleteKey)
}

// showKey renders a key's record.
func (a *API) showKey(ctx context.Context, k *event.APIKey) (client.APIKey, error) {
	out := client.APIKey{
		ID: event.FormatAPIKeyID(k.ID), Name: k.Name, Admin: k.Admin, Expires: timePointer(k.Expires), Hint: k.Hint, Created: k.Created.UTC(),
	}
	if k.PreviousExpires.After(time.Now()) {
		out.PreviousExpires = timePointer(k.PreviousExpires)
	}
	if k.Admin {
		return out, nil
	}
	for _, p := range k.Allow {
		out.Allow = append(out.Allow, string(p))
	}
	name, err := a.Control.TenantName(ctx, k.Tenant)
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return out, err
	}
	out.Tenant = name // empty while a deleted tenant's keys are being deleted
	return out, nil
}

// touchedKey renders the record of a key that a call made, changed or ends; the call's audit entry is its tenant's.
func (a *API) touchedKey(ctx context.Context, c *call, k *event.APIKey) (client.APIKey, error) {
	body, err := a.showKey(ctx, k)
	if err == nil {
		a.ofTenant(ctx, c, k.Tenant, body.Tenant)
	}
	return body, err
}

// keyOf is the API key of a path.
func (a *API) keyOf(ctx context.Context, path string) (event.APIKey, error) {
	id, ok := event.ParseAPIKeyID(path)
	if !ok {
		return event.APIKey{}, event.NotFound("API key")
	}
	return a.Control.APIKey(ctx, id)
}

// readKey checks and converts a new key.
func (a *API) readKey(ctx context.Context, in *client.APIKey) (event.APIKey, error) {
	k := event.APIKey{Name: in.Name, Admin: in.Admin}
	if in.Expires != nil {
		if !in.Expires.After(time.Now()) {
			return k, invalid("expires", "must be in the future")
		}
		k.Expires = in.Expires.UTC().Truncate(time.Microsecond)
	}
	if in.Admin {
		if in.Tenant != "" {
			return k, invalid("tenant", "does not go with admin")
		}
		if len(in.Allow) > 0 {
			return k, invalid("allow", "does not go with admin")
		}
		return k, nil
	}
	if in.Tenant == "" {
		return k, invalid("tenant", "must be given, or admin")
	}
	if len(in.Allow) == 0 {
		return k, invalid("allow", "must be given, or admin")
	}
	t, err := a.Control.Tenant(ctx, in.Tenant)
	if err != nil {
		if event.KindOf(err) == event.KindNotFound {
			return k, invalid("tenant", "there is no such tenant")
		}
		return k, err
	}
	k.Tenant = t.ID
	for _, s := range in.Allow {
		if !slices.Contains(k.Allow, event.Permission(s)) {
			k.Allow = append(k.Allow, event.Permission(s))
		}
	}
	return k, nil
}

func (a *API) createKey(ctx context.Context, c *call, in *struct {
	InOnce
	Body client.APIKey
},
) (*outMadeKey, error) {
	k, err := a.readKey(ctx, &in.Body)
	if err != nil {
		return nil, err
	}
	k, key, err := a.Control.CreateAPIKey(ctx, k)
	if err != nil {
		return nil, err
	}
	body, err := a.touchedKey(ctx, c, &k)
	if err != nil {
		return nil, err
	}
	c.changed(nil, body)
	body.Key = key
	return &outMadeKey{"/v1/apikeys/" + body.ID, body}, nil
}

func (a *API) listKeys(ctx context.Context, _ *call, in *struct {
	InPage
	Tenant string `query:"tenant" doc:"Only those for this tenant"`
},
) (*outBody[client.Page[client.APIKey]], error) {
	after, p := decodeNumberCursor(listKeys, in.Cursor)
	if p != nil {
		return nil, p
	}
	var fits func(*event.APIKey) (bool, error)
	if in.Tenant != "" {
		t, err := a.Control.Tenant(ctx, in.Tenant)
		if event.KindOf(err) == event.KindNotFound {
			return nil, invalid("tenant", "there is no such tenant")
		}
		if err != nil {
			return nil, err
		}
		fits = func(k *event.APIKey) (bool, error) { return !k.Admin && k.Tenant == t.ID, nil }
	}
	list, last, more, err := sift(after, in.most(),
		func(after int64, limit int) ([]event.APIKey, error) { return a.Control.APIKeys(ctx, after, limit) },
		func(k *event.APIKey) int64 { return k.ID }, fits)
	if err != nil {
		return nil, err
	}
	next := ""
	if more {
		next = encodeNumberCursor(listKeys, last)
	}
	return shown(list, next, func(k *event.APIKey) (client.APIKey, error) { return a.showKey(ctx, k) })
}

func (a *API) getKey(ctx context.Context, _ *call, in *InKey) (*outBody[client.APIKey], error) {
	k, err := a.keyOf(ctx, in.Key)
	if err != nil {
		return nil, err
	}
	body, err := a.showKey(ctx, &k)
	return &outBody[client.APIKey]{body}, err
}

func (a *API) rotateKey(ctx context.Context, c *call, in *struct {
	InKey
	InOnce
	Body *client.KeyRotation
},
) (*outBody[client.APIKey], error) {
	id, ok := event.ParseAPIKeyID(in.Key)
	if !ok {
		return nil, event.NotFound("API key")
	}
	overlap := defaultOverlap
	if in.Body != nil && in.Body.Overlap != nil {
		overlap = time.Duration(*in.Body.Overlap)
	}
	k, key, err := a.Control.RotateAPIKey(ctx, id, overlap)
	if err != nil {
		return nil, err
	}
	body, err := a.touchedKey(ctx, c, &k)
	if err != nil {
		return nil, err
	}
	c.changed(nil, client.KeyRotation{Overlap: (*client.Duration)(&overlap)})
	c.secretChanged("key")
	body.Key = key
	return &outBody[client.APIKey]{body}, nil
}

func (a *API) deleteKey(ctx context.Context, c *call, in *struct {
	InKey
	InOnce
},
) (*struct{}, error) {
	k, err := a.keyOf(ctx, in.Key)
	if err != nil {
		return nil, err
	}
	body, err := a.touchedKey(ctx, c, &k)
	if err != nil {
		return nil, err
	}
	c.changed(body, nil)
	return nil, a.Control.DeleteAPIKey(ctx, k.ID)
}
