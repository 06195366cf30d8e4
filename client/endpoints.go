package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

func endpointPath(tenant, id string, more ...string) string {
	return path(append([]string{"tenants", tenant, "endpoints", id}, more...)...)
}

// CreateEndpoint makes an endpoint. Its signing secret is at [Client.Secret].
func (c *Client) CreateEndpoint(ctx context.Context, tenant string, e Endpoint, opts ...CallOption) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, newCall(http.MethodPost, path("tenants", tenant, "endpoints"), opts), e)
}

// Endpoint reads an endpoint with its state.
func (c *Client) Endpoint(ctx context.Context, tenant, id string) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, newCall(http.MethodGet, endpointPath(tenant, id), nil), nil)
}

// Endpoints lists a tenant's endpoints by id, without their states unless [WithState] is given.
func (c *Client) Endpoints(ctx context.Context, tenant string, opts ...ListOption) iter.Seq2[Endpoint, error] {
	return list[Endpoint](ctx, c, path("tenants", tenant, "endpoints"), opts)
}

// UpdateEndpoint replaces an endpoint's configuration; with its ETag set, only the version that was read.
func (c *Client) UpdateEndpoint(ctx context.Context, tenant string, e Endpoint, opts ...CallOption) (*Endpoint, error) {
	k := newCall(http.MethodPut, endpointPath(tenant, e.ID), opts)
	k.set("If-Match", e.ETag)
	return resource[Endpoint](ctx, c, k, e)
}

// PatchEndpoint changes fields of an endpoint by a merge patch (RFC 7386): a value that encodes to a JSON object.
func (c *Client) PatchEndpoint(ctx context.Context, tenant, id string, patch any, opts ...CallOption) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, patchCall(endpointPath(tenant, id), opts), patch)
}

// DeleteEndpoint deletes an endpoint with its state.
func (c *Client) DeleteEndpoint(ctx context.Context, tenant, id string, opts ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, endpointPath(tenant, id), opts), nil, nil)
	return err
}

// Pause stops deliveries to an endpoint; what comes in waits in the log.
func (c *Client) Pause(ctx context.Context, tenant, id string) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, newCall(http.MethodPost, endpointPath(tenant, id, "pause"), nil), nil)
}

// Resume lets deliveries to a paused or disabled endpoint go on.
func (c *Client) Resume(ctx context.Context, tenant, id string) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, newCall(http.MethodPost, endpointPath(tenant, id, "resume"), nil), nil)
}

// Retry ends an endpoint's penalty and tries at once.
func (c *Client) Retry(ctx context.Context, tenant, id string) (*Endpoint, error) {
	return resource[Endpoint](ctx, c, newCall(http.MethodPost, endpointPath(tenant, id, "retry"), nil), nil)
}

// Test sends a test event to an endpoint now and returns its answer.
func (c *Client) Test(ctx context.Context, tenant, id string, t TestRequest) (*TestResult, error) {
	var out TestResult
	_, err := c.do(ctx, newCall(http.MethodPost, endpointPath(tenant, id, "test"), nil), t, &out)
	return &out, err
}

// Secret reads an endpoint's signing secrets.
func (c *Client) Secret(ctx context.Context, tenant, id string) (*Secret, error) {
	var out Secret
	_, err := c.do(ctx, newCall(http.MethodGet, endpointPath(tenant, id, "secret"), nil), nil, &out)
	return &out, err
}

// RotateSecret makes a new signing secret current; the old one goes on signing too for the overlap.
func (c *Client) RotateSecret(ctx context.Context, tenant, id string, r Rotation, opts ...CallOption) (*Secret, error) {
	var out Secret
	_, err := c.do(ctx, newCall(http.MethodPost, endpointPath(tenant, id, "secret", "rotate"), opts), r, &out)
	return &out, err
}

// Stats reads figures over an endpoint's attempts within a window; 0 for the server's default, 24 h.
func (c *Client) Stats(ctx context.Context, tenant, id string, window time.Duration) (*Stats, error) {
	k := newCall(http.MethodGet, endpointPath(tenant, id, "stats"), nil)
	if window > 0 {
		k.query = url.Values{"window": {Duration(window).String()}}
	}
	var out Stats
	_, err := c.do(ctx, k, nil, &out)
	return &out, err
}

// EndpointAttempts lists an endpoint's attempts, newest first.
func (c *Client) EndpointAttempts(ctx context.Context, tenant, id string, opts ...ListOption) iter.Seq2[Attempt, error] {
	return list[Attempt](ctx, c, endpointPath(tenant, id, "attempts"), opts)
}

// DeadLetters lists the events that finally failed for an endpoint, in version order.
func (c *Client) DeadLetters(ctx context.Context, tenant, id string, opts ...ListOption) iter.Seq2[DeadLetter, error] {
	return list[DeadLetter](ctx, c, endpointPath(tenant, id, "dead-letters"), opts)
}
