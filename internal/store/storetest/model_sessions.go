package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// sessions is the part of the model with the browsers that are signed in, by token.
type sessions struct {
	sessions map[string]event.Session
}

// AddSession implements [store.Sessions].
func (m *Model) AddSession(ctx context.Context, v event.Session, most int) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for token, s := range m.sessions.sessions {
		if token == v.Token || s.ID == v.ID {
			return exists("session")
		}
	}
	if m.sessions.sessions == nil {
		m.sessions.sessions = map[string]event.Session{}
	}
	v.Body, v.Created, v.Expires = slices.Clone(v.Body), utc(v.Created), utc(v.Expires)
	m.sessions.sessions[v.Token] = v
	list := m.sessionsOf(v.Owner)
	for _, s := range list[min(len(list), max(most, 0)):] {
		delete(m.sessions.sessions, s.Token)
	}
	return nil
}

// RenewSession implements [store.Sessions].
func (m *Model) RenewSession(ctx context.Context, token string, expires time.Time, body []byte) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s, ok := m.sessions.sessions[token]
	if !ok {
		return event.NotFound("session")
	}
	s.Expires, s.Body = utc(expires), slices.Clone(body)
	m.sessions.sessions[token] = s
	return nil
}

// Session implements [store.Sessions].
func (m *Model) Session(ctx context.Context, token string) (event.Session, error) {
	return m.session(ctx, func(s *event.Session) bool { return s.Token == token })
}

// SessionByID implements [store.Sessions].
func (m *Model) SessionByID(ctx context.Context, id string) (event.Session, error) {
	return m.session(ctx, func(s *event.Session) bool { return s.ID == id })
}

func (m *Model) session(ctx context.Context, is func(*event.Session) bool) (event.Session, error) {
	if err := m.enter(ctx); err != nil {
		return event.Session{}, err
	}
	defer m.mu.Unlock()
	for _, s := range m.sessions.sessions {
		if is(&s) {
			s.Body = slices.Clone(s.Body)
			return s, nil
		}
	}
	return event.Session{}, event.NotFound("session")
}

// SessionsOf implements [store.Sessions].
func (m *Model) SessionsOf(ctx context.Context, owner string) ([]event.Session, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.sessionsOf(owner), nil
}

func (m *Model) sessionsOf(owner string) []event.Session {
	var out []event.Session
	for _, s := range m.sessions.sessions {
		if s.Owner == owner {
			s.Body = slices.Clone(s.Body)
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b event.Session) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Token, a.Token))
	})
	return out
}

// Sessions implements [store.Sessions].
func (m *Model) Sessions(ctx context.Context, after string, limit int) ([]event.Session, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.Session
	for _, s := range m.sessions.sessions {
		if s.ID > after {
			s.Body = slices.Clone(s.Body)
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b event.Session) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(len(out), max(limit, 0))], nil
}

// DeleteSession implements [store.Sessions].
func (m *Model) DeleteSession(ctx context.Context, token string) error {
	return m.deleteSessions(ctx, func(s *event.Session) bool { return s.Token == token })
}

// DeleteSessionsOf implements [store.Sessions].
func (m *Model) DeleteSessionsOf(ctx context.Context, owner string) error {
	return m.deleteSessions(ctx, func(s *event.Session) bool { return s.Owner == owner })
}

func (m *Model) deleteSessions(ctx context.Context, is func(*event.Session) bool) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for token, s := range m.sessions.sessions {
		if is(&s) {
			delete(m.sessions.sessions, token)
		}
	}
	return nil
}

// TrimSessions implements [store.Sessions].
func (m *Model) TrimSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	var old []event.Session
	for _, s := range m.sessions.sessions {
		if s.Expires.Before(utc(before)) {
			old = append(old, s)
		}
	}
	slices.SortFunc(old, func(a, b event.Session) int { return a.Expires.Compare(b.Expires) })
	old = old[:min(len(old), max(limit, 0))]
	for _, s := range old {
		delete(m.sessions.sessions, s.Token)
	}
	return len(old), nil
}
