package store

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Sessions keeps browsers that are signed in. It looks at no clock: a session that has expired is there until it is trimmed.
type Sessions interface {
	// AddSession keeps a new session (KindConflict when its Token or ID is taken) and, in the same step, deletes the oldest
	// of its owner when there are more than most.
	AddSession(ctx context.Context, s event.Session, most int) error
	// RenewSession changes when a session expires and what is kept in it. KindNotFound when it was ended meanwhile: a
	// renewal never brings one back.
	RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error
	// Session returns the session of a token (KindNotFound), SessionByID that of an ID.
	Session(ctx context.Context, token string) (event.Session, error)
	SessionByID(ctx context.Context, id string) (event.Session, error)
	// SessionsOf lists an owner's sessions, the newest first.
	SessionsOf(ctx context.Context, owner string) ([]event.Session, error)
	// Sessions lists all by ID, after the given one, at most limit.
	Sessions(ctx context.Context, after string, limit int) ([]event.Session, error)
	// DeleteSession ends a session, DeleteSessionsOf all of an owner. There may be none.
	DeleteSession(ctx context.Context, token string) error
	DeleteSessionsOf(ctx context.Context, owner string) error
	// TrimSessions deletes a small batch of sessions that expired before a time, and returns how many.
	TrimSessions(ctx context.Context, before time.Time, limit int) (int, error)
}
