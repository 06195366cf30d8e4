package rest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Tokens makes short-lived tokens (package token).
type Tokens interface {
	// CreateToken makes a token that gives no more than the API key by may. Errors: KindInvalid naming the field,
	// KindForbidden when by may not give what is asked for or is a token itself.
	CreateToken(ctx context.Context, t *event.Tenant, by *event.APIKey, g TokenGrant) (token string, expires time.Time, err error)
	// RotateTokens makes a new signing key; tokens made before are refused after overlap. Errors: KindInvalid naming
	// "overlap", KindForbidden when by is a token, KindConflict when too many keys overlap.
	RotateTokens(ctx context.Context, t *event.Tenant, by *event.APIKey, overlap time.Duration) error
}

// TokenGrant is what a token is asked to allow. Types and Subjects narrow it as in [event.Selection].
type TokenGrant struct {
	Allow           []event.Permission
	Types, Subjects []string
	// TTL is how long it lives; 0 means the default.
	TTL time.Duration
}
