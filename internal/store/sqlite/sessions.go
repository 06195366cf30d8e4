package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

const selectSessions = "SELECT token, id, owner, created, expires, body FROM sessions "

func scanSession(s *stmt) (event.Session, error) {
	return event.Session{
		Token: s.text(0), ID: s.text(1), Owner: s.text(2), Created: fromMicros(s.int(3)), Expires: fromMicros(s.int(4)), Body: s.blob(5),
	}, nil
}

// AddSession implements [store.Sessions].
func (s *Store) AddSession(ctx context.Context, v event.Session, most int) error {
	return s.updateState(ctx, func(c *conn) error {
		err := c.exec("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", v.Token, v.ID, v.Owner, micros(v.Created), micros(v.Expires), v.Body)
		if err != nil {
			return err
		}
		if c.changes() == 0 {
			return refuse(exists("session"))
		}
		return c.exec(`DELETE FROM sessions WHERE token IN
			(SELECT token FROM sessions WHERE owner = ? ORDER BY created DESC, token DESC LIMIT -1 OFFSET ?)`, v.Owner, max(most, 0))
	})
}

// RenewSession implements [store.Sessions].
func (s *Store) RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error {
	return s.updateState(ctx, func(c *conn) error {
		err := c.exec("UPDATE sessions SET expires = ?, body = ? WHERE token = ?", micros(expires), body, token)
		if err == nil && c.changes() == 0 {
			return refuse(event.NotFound("session"))
		}
		return err
	})
}

// Session implements [store.Sessions].
func (s *Store) Session(ctx context.Context, token string) (event.Session, error) {
	return s.session(ctx, selectSessions+"WHERE token = ?", token)
}

// SessionByID implements [store.Sessions].
func (s *Store) SessionByID(ctx context.Context, id string) (event.Session, error) {
	return s.session(ctx, selectSessions+"WHERE id = ?", id)
}

func (s *Store) session(ctx context.Context, sql, arg string) (event.Session, error) {
	list, err := readList(ctx, s, scanSession, sql, arg)
	if err = one(len(list) == 1, "session", err); err != nil {
		return event.Session{}, err
	}
	return list[0], nil
}

// SessionsOf implements [store.Sessions].
func (s *Store) SessionsOf(ctx context.Context, owner string) ([]event.Session, error) {
	return readList(ctx, s, scanSession, selectSessions+"WHERE owner = ? ORDER BY created DESC, token DESC", owner)
}

// Sessions implements [store.Sessions].
func (s *Store) Sessions(ctx context.Context, after string, limit int) ([]event.Session, error) {
	return readList(ctx, s, scanSession, selectSessions+"WHERE id > ? ORDER BY id LIMIT ?", after, max(limit, 0))
}

// DeleteSession implements [store.Sessions].
func (s *Store) DeleteSession(ctx context.Context, token string) error {
	return s.updateState(ctx, func(c *conn) error { return c.exec("DELETE FROM sessions WHERE token = ?", token) })
}

// DeleteSessionsOf implements [store.Sessions].
func (s *Store) DeleteSessionsOf(ctx context.Context, owner string) error {
	return s.updateState(ctx, func(c *conn) error { return c.exec("DELETE FROM sessions WHERE owner = ?", owner) })
}

// TrimSessions implements [store.Sessions].
func (s *Store) TrimSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	n := 0
	err := s.updateState(ctx, func(c *conn) error {
		err := c.exec(`DELETE FROM sessions WHERE token IN
			(SELECT token FROM sessions WHERE expires < ? ORDER BY expires LIMIT ?)`, micros(before), max(limit, 0))
		n = c.changes()
		return err
	})
	return n, err
}

// updateState is one write to the file of the state.
func (s *Store) updateState(ctx context.Context, f func(*conn) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, f)
}
