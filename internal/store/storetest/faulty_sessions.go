package storetest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// AddSession implements [store.Sessions].
func (f *Faulty) AddSession(ctx context.Context, s event.Session, most int) error {
	return f.do("AddSession", func() error { return f.next.AddSession(ctx, s, most) })
}

// RenewSession implements [store.Sessions].
func (f *Faulty) RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error {
	return f.do("RenewSession", func() error { return f.next.RenewSession(ctx, token, expires, body) })
}

// Session implements [store.Sessions].
func (f *Faulty) Session(ctx context.Context, token string) (event.Session, error) {
	return get(f, "Session", func() (event.Session, error) { return f.next.Session(ctx, token) })
}

// SessionByID implements [store.Sessions].
func (f *Faulty) SessionByID(ctx context.Context, id string) (event.Session, error) {
	return get(f, "SessionByID", func() (event.Session, error) { return f.next.SessionByID(ctx, id) })
}

// SessionsOf implements [store.Sessions].
func (f *Faulty) SessionsOf(ctx context.Context, owner string) ([]event.Session, error) {
	return get(f, "SessionsOf", func() ([]event.Session, error) { return f.next.SessionsOf(ctx, owner) })
}

// Sessions implements [store.Sessions].
func (f *Faulty) Sessions(ctx context.Context, after string, limit int) ([]event.Session, error) {
	return get(f, "Sessions", func() ([]event.Session, error) { return f.next.Sessions(ctx, after, limit) })
}

// DeleteSession implements [store.Sessions].
func (f *Faulty) DeleteSession(ctx context.Context, token string) error {
	return f.do("DeleteSession", func() error { return f.next.DeleteSession(ctx, token) })
}

// DeleteSessionsOf implements [store.Sessions].
func (f *Faulty) DeleteSessionsOf(ctx context.Context, owner string) error {
	return f.do("DeleteSessionsOf", func() error { return f.next.DeleteSessionsOf(ctx, owner) })
}

// TrimSessions implements [store.Sessions].
func (f *Faulty) TrimSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimSessions", func() (int, error) { return f.next.TrimSessions(ctx, before, limit) })
}
