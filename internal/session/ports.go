package session

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Store keeps sessions; see package store for the contract of each method.
type Store interface {
	AddSession(ctx context.Context, s event.Session, most int) error
	RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error
	Session(ctx context.Context, token string) (event.Session, error)
	SessionByID(ctx context.Context, id string) (event.Session, error)
	SessionsOf(ctx context.Context, owner string) ([]event.Session, error)
	Sessions(ctx context.Context, after string, limit int) ([]event.Session, error)
	DeleteSession(ctx context.Context, token string) error
	DeleteSessionsOf(ctx context.Context, owner string) error
	TrimSessions(ctx context.Context, before time.Time, limit int) (int, error)
}

// Keys knows API keys (package control).
type Keys interface {
	// Authenticate returns the record of an API key, KindUnauthorized when it is not valid.
	Authenticate(ctx context.Context, bearer string) (event.APIKey, error)
	// AuthenticateHash is Authenticate of the key that has a SHA-256.
	AuthenticateHash(ctx context.Context, hash [32]byte) (event.APIKey, error)
}

// Tenants knows tenants by name (package control).
type Tenants interface {
	// Tenant returns a tenant, KindNotFound when there is none. It is shared, not to be changed.
	Tenant(ctx context.Context, name string) (*event.Tenant, error)
}

// Sealer encrypts what browsers keep for the server (package keyring).
type Sealer interface {
	Seal(plain, context []byte) ([]byte, error)
	Open(sealed, context []byte) ([]byte, error)
}
