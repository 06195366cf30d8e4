package client

import (
	"context"
	"iter"
	"net/http"
)

// Streams lists a tenant's live connections and waiting long polls, in the order in which they came.
func (c *Client) Streams(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[LiveStream, error] {
	return list[LiveStream](ctx, c, path("tenants", tenant, "streams"), opts)
}

// EndStream ends a live connection or a waiting poll. Its client may come back.
func (c *Client) EndStream(ctx context.Context, tenant, id string) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("tenants", tenant, "streams", id), nil), nil, nil)
	return err
}
