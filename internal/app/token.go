package app

import (
	"context"
	"fmt"
	"time"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/token"
)

// newTokens makes the service of short-lived tokens. An error names the option that is wrong.
func (a *App) newTokens(keys *keyring.Keyring, limits event.Limits) (*token.Service, error) {
	o := token.Options{
		Store: a.store, Sealer: keys, Tenants: a.control, Logger: a.log, Rotated: a.tokensRotated,
		Check: func(s event.Selection) error { _, err := match.CompileSelection(s, limits); return err },
	}
	option := "token-jwks-url"
	if a.cfg.TokenKeysFile != "" {
		option = "token-keys-file"
	}
	if a.cfg.TokenJWKSURL != "" || a.cfg.TokenKeysFile != "" {
		o.Other = &token.Issuer{
			Name: a.cfg.TokenIssuer, Audience: a.cfg.TokenAudience, URL: a.cfg.TokenJWKSURL, File: a.cfg.TokenKeysFile,
		}
		if o.Other.Audience == "" {
			o.Other.Audience = a.cfg.PublicURL
		}
	}
	s, err := token.New(o)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", option, err)
	}
	return s, nil
}

// authenticator tells tokens from API keys by their form.
type authenticator struct {
	keys   *control.Control
	tokens *token.Service
}

// Authenticate implements [rest.Authenticator].
func (a authenticator) Authenticate(ctx context.Context, bearer string) (key event.APIKey, err error) {
	if token.Looks(bearer) {
		key, err = a.tokens.Authenticate(ctx, bearer)
	} else {
		key, err = a.keys.Authenticate(ctx, bearer)
	}
	key.Identify()
	return key, err
}

// Holds reports whether a key or token that was accepted is still good. A store that fails ends nothing.
func (a authenticator) Holds(ctx context.Context, k *event.APIKey) bool {
	if k.Token != "" {
		return a.tokens.Holds(ctx, k)
	}
	// By the hash: a key that was rotated is good for the overlap, and the root key's record can come to be that of another.
	now, err := a.keys.AuthenticateHash(ctx, k.Hash)
	if err != nil {
		return event.KindOf(err) != event.KindUnauthorized
	}
	return now.ID == k.ID && (k.Expires.IsZero() || time.Now().Before(k.Expires))
}

// tokens is what the REST API sees of the service of tokens.
type tokens struct{ *token.Service }

// CreateToken implements [rest.Tokens].
func (t tokens) CreateToken(ctx context.Context, of *event.Tenant, by *event.APIKey, g rest.TokenGrant) (string, time.Time, error) {
	return t.Create(ctx, of, by, token.Grant(g))
}

// RotateTokens implements [rest.Tokens].
func (t tokens) RotateTokens(ctx context.Context, of *event.Tenant, by *event.APIKey, overlap time.Duration) error {
	return t.Rotate(ctx, of, by, overlap)
}

// trimTokenKeys deletes the keys of tokens that have ended.
func (a *App) trimTokenKeys(ctx context.Context) error {
	// A clock that is set back must not make a key's end undone.
	before := time.Now().Add(-token.MaxTTL)
	return a.batches(ctx, "token_keys", func() (int, error) { return a.store.TrimTokenKeys(ctx, before, houseBatch) })
}
