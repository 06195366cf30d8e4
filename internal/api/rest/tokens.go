package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

func (a *API) tokenRoutes() {
	const path = "/v1/tenants/{tenant}/tokens"
	register(a, operation{
		id: "create-token", method: http.MethodPost, path: path, tag: "Tokens", summary: "Make a short-lived token",
		doc: "For a web page or another client that must not hold an API key. It gives no more than the key that asks for it, " +
			"and with types or subjects less. Tokens cannot make tokens.",
		scope: scopeManage, status: http.StatusCreated, secret: true, keysOnly: true,
	}, a.createToken)
	register(a, operation{
		id: "rotate-tokens", method: http.MethodPost, path: path + "/rotate", tag: "Tokens", summary: "Rotate the key that signs tokens",
		doc:   "Tokens of the tenant that were made before are refused once the overlap is over.",
		scope: scopeManage, status: http.StatusNoContent, secret: true, keysOnly: true,
	}, a.rotateTokens)
}

func (a *API) createToken(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body client.TokenRequest
},
) (*outBody[client.Token], error) {
	g := TokenGrant{Types: in.Body.Types, Subjects: in.Body.Subjects}
	for _, p := range in.Body.Allow {
		g.Allow = append(g.Allow, event.Permission(p))
	}
	if in.Body.TTL != nil {
		if g.TTL = time.Duration(*in.Body.TTL); g.TTL == 0 {
			return nil, invalid("ttl", "must be 1s to 24h")
		}
	}
	token, expires, err := a.Tokens.CreateToken(ctx, c.tenant, &c.key, g)
	if err != nil {
		return nil, err
	}
	c.changed(nil, in.Body)
	return &outBody[client.Token]{client.Token{Token: token, Expires: expires.UTC()}}, nil
}

func (a *API) rotateTokens(ctx context.Context, c *call, in *struct {
	InTenant
	InOnce
	Body *client.TokenRotation
},
) (*struct{}, error) {
	var overlap time.Duration
	if in.Body != nil && in.Body.Overlap != nil {
		overlap = time.Duration(*in.Body.Overlap)
	}
	c.about("token", "")
	c.changed(nil, client.TokenRotation{Overlap: (*client.Duration)(&overlap)})
	return nil, a.Tokens.RotateTokens(ctx, c.tenant, &c.key, overlap)
}
