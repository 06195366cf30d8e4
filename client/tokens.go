package client

import (
	"context"
	"net/http"
)

// CreateToken makes a short-lived token for a tenant, such as for a web page. It needs a key that may manage the tenant
// and gives no more than that key may.
func (c *Client) CreateToken(ctx context.Context, tenant string, r TokenRequest, opts ...CallOption) (*Token, error) {
	var out Token
	_, err := c.do(ctx, newCall(http.MethodPost, path("tenants", tenant, "tokens"), opts), r, &out)
	return &out, err
}

// RotateTokens makes a new key to sign a tenant's tokens with; tokens made before are refused once the overlap is over.
func (c *Client) RotateTokens(ctx context.Context, tenant string, r TokenRotation, opts ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodPost, path("tenants", tenant, "tokens", "rotate"), opts), r, nil)
	return err
}
