package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// tagged is a resource that remembers its ETag.
type tagged[T any] interface {
	*T
	tag(etag string)
}

func (t *Tenant) tag(s string)    { t.ETag = s }
func (e *Endpoint) tag(s string)  { e.ETag = s }
func (t *EventType) tag(s string) { t.ETag = s }

// resource sends a call whose answer is a resource with an ETag.
func resource[T any, P tagged[T]](ctx context.Context, c *Client, k *call, in any) (*T, error) {
	var out T
	header, err := c.do(ctx, k, in, &out)
	if err != nil {
		return nil, err
	}
	P(&out).tag(header.Get("ETag"))
	return &out, nil
}

// CreateTenant makes a tenant.
func (c *Client) CreateTenant(ctx context.Context, t Tenant, opts ...CallOption) (*Tenant, error) {
	return resource[Tenant](ctx, c, newCall(http.MethodPost, path("tenants"), opts), t)
}

// Tenant reads a tenant.
func (c *Client) Tenant(ctx context.Context, name string) (*Tenant, error) {
	return resource[Tenant](ctx, c, newCall(http.MethodGet, path("tenants", name), nil), nil)
}

// Tenants lists all tenants by name.
func (c *Client) Tenants(ctx context.Context, opts ...ListOption) iter.Seq2[Tenant, error] {
	return list[Tenant](ctx, c, path("tenants"), opts)
}

// UpdateTenant replaces a tenant; with its ETag set, only the version that was read.
func (c *Client) UpdateTenant(ctx context.Context, t Tenant, opts ...CallOption) (*Tenant, error) {
	k := newCall(http.MethodPut, path("tenants", t.Name), opts)
	k.set("If-Match", t.ETag)
	return resource[Tenant](ctx, c, k, t)
}

// PatchTenant changes fields of a tenant by a merge patch (RFC 7386): a value that encodes to a JSON object.
func (c *Client) PatchTenant(ctx context.Context, name string, patch any, opts ...CallOption) (*Tenant, error) {
	return resource[Tenant](ctx, c, patchCall(path("tenants", name), opts), patch)
}

// DeleteTenant deletes a tenant with everything in it.
func (c *Client) DeleteTenant(ctx context.Context, name string, opts ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("tenants", name), opts), nil, nil)
	return err
}

func patchCall(path string, opts []CallOption) *call {
	k := newCall(http.MethodPatch, path, opts)
	k.set("Content-Type", "application/merge-patch+json")
	return k
}

// CreateEventType catalogues an event type.
func (c *Client) CreateEventType(ctx context.Context, tenant string, t EventType, opts ...CallOption) (*EventType, error) {
	return resource[EventType](ctx, c, newCall(http.MethodPost, path("tenants", tenant, "event-types"), opts), t)
}

// EventType reads an event type.
func (c *Client) EventType(ctx context.Context, tenant, name string) (*EventType, error) {
	return resource[EventType](ctx, c, newCall(http.MethodGet, path("tenants", tenant, "event-types", name), nil), nil)
}

// EventTypes lists a tenant's event types by name.
func (c *Client) EventTypes(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[EventType, error] {
	return list[EventType](ctx, c, path("tenants", tenant, "event-types"), opts)
}

// UpdateEventType replaces an event type; with its ETag set, only the version that was read.
func (c *Client) UpdateEventType(ctx context.Context, tenant string, t EventType, opts ...CallOption) (*EventType, error) {
	k := newCall(http.MethodPut, path("tenants", tenant, "event-types", t.Name), opts)
	k.set("If-Match", t.ETag)
	return resource[EventType](ctx, c, k, t)
}

// PatchEventType changes fields of an event type by a merge patch (RFC 7386).
func (c *Client) PatchEventType(ctx context.Context, tenant, name string, patch any, opts ...CallOption) (*EventType, error) {
	return resource[EventType](ctx, c, patchCall(path("tenants", tenant, "event-types", name), opts), patch)
}

// DeleteEventType deletes an event type from the catalogue; events of this type stay.
func (c *Client) DeleteEventType(ctx context.Context, tenant, name string, opts ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("tenants", tenant, "event-types", name), opts), nil, nil)
	return err
}

// CreateAPIKey makes an API key; the answer holds the key itself, this once.
func (c *Client) CreateAPIKey(ctx context.Context, k APIKey, opts ...CallOption) (*APIKey, error) {
	var out APIKey
	_, err := c.do(ctx, newCall(http.MethodPost, path("apikeys"), opts), k, &out)
	return &out, err
}

// APIKey reads an API key's record.
func (c *Client) APIKey(ctx context.Context, id string) (*APIKey, error) {
	var out APIKey
	_, err := c.do(ctx, newCall(http.MethodGet, path("apikeys", id), nil), nil, &out)
	return &out, err
}

// APIKeys lists all API keys.
func (c *Client) APIKeys(ctx context.Context, opts ...ListOption) iter.Seq2[APIKey, error] {
	return list[APIKey](ctx, c, path("apikeys"), opts)
}

// RotateAPIKey makes a new key in place of an API key; the answer holds it, this once. The one from before goes on working for
// the overlap.
func (c *Client) RotateAPIKey(ctx context.Context, id string, r KeyRotation, opts ...CallOption) (*APIKey, error) {
	var out APIKey
	_, err := c.do(ctx, newCall(http.MethodPost, path("apikeys", id, "rotate"), opts), r, &out)
	return &out, err
}

// DeleteAPIKey ends an API key.
func (c *Client) DeleteAPIKey(ctx context.Context, id string) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("apikeys", id), nil), nil, nil)
	return err
}

// with adds parameters to a call.
func (c *call) with(query url.Values) *call {
	c.query = query
	return c
}
