package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Sessions are those of browsers that are signed in (package session). Who has a cookie is told apart from who a page of
// another origin makes use of here, before the cookie is handed on.
type Sessions interface {
	// Cookie is the name of the cookie; Provider that of the provider of identities, "" without one.
	Cookie() string
	Provider() string
	// Authenticate returns who a cookie's value stands for, with Session set. Error: KindUnauthorized.
	Authenticate(ctx context.Context, secret string) (event.APIKey, error)
	// SignIn begins a session for an API key in place of the one of the cookie's value old, if any, and returns the record
	// and the cookie. id is the request's. Errors: KindUnauthorized, KindRateLimited.
	SignIn(r *http.Request, id, key, old string) (event.APIKey, *http.Cookie, error)
	// Forget is the cookie that makes a browser forget its session.
	Forget() *http.Cookie
	// Sessions lists a caller's sessions, the newest first. Error, as of the next two: KindForbidden for tokens.
	Sessions(ctx context.Context, by *event.APIKey) ([]SessionView, error)
	// AllSessions lists everybody's by id, after the given one; next is the after to go on with, "" at the end. A list may be
	// short all the same. Error: KindForbidden for who is no admin.
	AllSessions(ctx context.Context, by *event.APIKey, after string, limit int) (list []SessionView, next string, err error)
	// End ends one of a caller's sessions (KindNotFound), of an admin anybody's; EndAll ends all of a caller's.
	End(ctx context.Context, by *event.APIKey, id string) error
	EndAll(ctx context.Context, by *event.APIKey) error
}

// SessionView is a session as it is shown.
type SessionView struct {
	ID                     string
	Kind, Who, Name        string // whose it is
	Current                bool
	Created, Seen, Expires time.Time
	Address, UserAgent     string
}
