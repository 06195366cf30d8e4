package client

import (
	"context"
	"iter"
	"net/http"
)

func (s *Source) tag(t string) { s.ETag = t }

func sourcePath(tenant, name string, more ...string) string {
	return path(append([]string{"tenants", tenant, "sources", name}, more...)...)
}

// CreateSource makes a source. Where the provider is to send is in its URL.
func (c *Client) CreateSource(ctx context.Context, tenant string, s Source, opts ...CallOption) (*Source, error) {
	return resource[Source](ctx, c, newCall(http.MethodPost, path("tenants", tenant, "sources"), opts), s)
}

// Source reads a source with its state.
func (c *Client) Source(ctx context.Context, tenant, name string) (*Source, error) {
	return resource[Source](ctx, c, newCall(http.MethodGet, sourcePath(tenant, name), nil), nil)
}

// Sources lists a tenant's sources by name, without their states unless [WithState] is given.
func (c *Client) Sources(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[Source, error] {
	return list[Source](ctx, c, path("tenants", tenant, "sources"), opts)
}

// UpdateSource replaces a source's configuration; with its ETag set, only the version that was read. Secrets and
// settings that are nil, and settings whose value is empty, stay as they are.
func (c *Client) UpdateSource(ctx context.Context, tenant string, s Source, opts ...CallOption) (*Source, error) {
	k := newCall(http.MethodPut, sourcePath(tenant, s.Name), opts)
	k.set("If-Match", s.ETag)
	return resource[Source](ctx, c, k, s)
}

// PatchSource changes fields of a source by a merge patch (RFC 7386): a value that encodes to a JSON object.
func (c *Client) PatchSource(ctx context.Context, tenant, name string, patch any, opts ...CallOption) (*Source, error) {
	return resource[Source](ctx, c, patchCall(sourcePath(tenant, name), opts), patch)
}

// DeleteSource deletes a source and its bin. Its events stay on the log.
func (c *Client) DeleteSource(ctx context.Context, tenant, name string, opts ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, sourcePath(tenant, name), opts), nil, nil)
	return err
}

// SourceSecrets reads a source's secrets.
func (c *Client) SourceSecrets(ctx context.Context, tenant, name string) (*SourceSecrets, error) {
	var out SourceSecrets
	_, err := c.do(ctx, newCall(http.MethodGet, sourcePath(tenant, name, "secrets"), nil), nil, &out)
	return &out, err
}

// AddSourceSecret adds a secret to a source; the others end after the overlap.
func (c *Client) AddSourceSecret(ctx context.Context, tenant, name string, s NewSourceSecret, opts ...CallOption) (*SourceSecrets, error) {
	var out SourceSecrets
	_, err := c.do(ctx, newCall(http.MethodPost, sourcePath(tenant, name, "secrets"), opts), s, &out)
	return &out, err
}

// Providers lists the providers that a source may have.
func (c *Client) Providers(ctx context.Context) ([]Provider, error) {
	var out Providers
	_, err := c.do(ctx, newCall(http.MethodGet, path("providers"), nil), nil, &out)
	return out.Data, err
}
