package client

import (
	"context"
	"net/http"
)

// SetUpTunnel makes a tunnel and says where it is; doing it again changes nothing. A listener does so before it connects.
func (c *Client) SetUpTunnel(ctx context.Context, tenant string, t TunnelSetup) (*Tunnel, error) {
	k := newCall(http.MethodPost, path("tenants", tenant, "tunnels"), nil)
	k.repeat = true
	var out Tunnel
	if _, err := c.do(ctx, k, t, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Tunnels lists a tenant's tunnels by name, with who is connected.
func (c *Client) Tunnels(ctx context.Context, tenant string) ([]Tunnel, error) {
	var out Tunnels
	_, err := c.do(ctx, newCall(http.MethodGet, path("tenants", tenant, "tunnels"), nil), nil, &out)
	return out.Data, err
}

// DeleteTunnel takes a tunnel down with its endpoint or bin, and what they keep.
func (c *Client) DeleteTunnel(ctx context.Context, tenant, name string) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("tenants", tenant, "tunnels", name), nil), nil, nil)
	return err
}

// TunnelURL is the address at which a listener of a tunnel connects.
func (c *Client) TunnelURL(tenant, name string) string {
	return c.base + path("tenants", tenant, "tunnels", name, "connect")
}
