package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// EveryTenant is the Tenant of a [Grant] that is for all.
const EveryTenant = "*"

// Me is who calls, and what they may.
type Me struct {
	Kind    string     `json:"kind" enum:"root,apikey,token,user" doc:"The root key, another API key, a short-lived token, or a person who signed in through a provider of identities"`
	ID      string     `json:"id,omitempty" doc:"The API key's or the token's id, or the provider's for the person"`
	Name    string     `json:"name" doc:"The API key's or the person's name; tokens have none"`
	Admin   bool       `json:"admin" doc:"Whether everything is allowed"`
	Tenant  string     `json:"tenant,omitempty" doc:"The one tenant of an API key or token"`
	Allow   []string   `json:"allow,omitempty" doc:"What is allowed in tenant: any of publish, read, manage; of a portal's token, portal or portal-read"`
	Grants  []Grant    `json:"grants,omitempty" doc:"What a person may do, by tenant"`
	Portal  bool       `json:"portal,omitempty" doc:"Whether it is the token of a portal"`
	Expires *time.Time `json:"expires,omitempty" doc:"When the key, the token or the session ends, if that is known"`
	Session bool       `json:"session" doc:"Whether the call was made with the cookie of a session"`
	Version string     `json:"version" doc:"The server's version"`
}

// Grant is what a person may do in a tenant.
type Grant struct {
	Tenant string   `json:"tenant" doc:"The tenant's name; * for every one"`
	Allow  []string `json:"allow" doc:"Any of publish, read, manage"`
}

// SessionOptions are the ways to sign in.
type SessionOptions struct {
	APIKey bool        `json:"apikey" doc:"With an API key"`
	OIDC   *OIDCOption `json:"oidc,omitempty" doc:"Through a provider of identities: send the browser to /ui/login/oidc"`
}

// OIDCOption is a provider of identities.
type OIDCOption struct {
	Name string `json:"name" doc:"What the provider is called"`
}

// LogIn asks for a session.
type LogIn struct {
	Key string `json:"key" minLength:"1" maxLength:"512" doc:"An API key"`
}

// Session is a browser that is signed in.
type Session struct {
	ID        string    `json:"id" doc:"The session's id"`
	By        Caller    `json:"by" doc:"Whose it is"`
	Current   bool      `json:"current" doc:"Whether it is the one that asks"`
	Created   time.Time `json:"created" doc:"When it began"`
	Seen      time.Time `json:"seen" doc:"When it was used last, to about a minute"`
	Expires   time.Time `json:"expires" doc:"When it ends at the latest"`
	Address   string    `json:"address,omitempty" doc:"The address that it began from"`
	UserAgent string    `json:"user_agent,omitempty" doc:"The browser that it began in"`
}

// Me returns who calls, and what they may.
func (c *Client) Me(ctx context.Context) (*Me, error) {
	var out Me
	_, err := c.do(ctx, newCall(http.MethodGet, path("me"), nil), nil, &out)
	return &out, err
}

// Sessions lists everybody's sessions. It needs an admin key.
func (c *Client) Sessions(ctx context.Context, opts ...ListOption) iter.Seq2[Session, error] {
	return list[Session](ctx, c, path("sessions"), append(slices.Clone(opts), func(q url.Values) { q.Set("all", "true") }))
}

// EndSession ends a session: one begun with the client's API key or, with an admin key, anybody's.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("sessions", id), nil), nil, nil)
	return err
}

// LogOutEverywhere ends all sessions of browsers that were begun with the client's API key.
func (c *Client) LogOutEverywhere(ctx context.Context) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path("sessions"), nil), nil, nil)
	return err
}
