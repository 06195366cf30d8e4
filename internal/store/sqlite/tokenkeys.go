package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// retired is a time of retirement as it is stored: 0 for none.
func retired(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

func scanTokenKey(s *stmt) (event.TokenKey, error) {
	k := event.TokenKey{Tenant: event.TenantID(s.int(0)), ID: s.text(1), Created: fromMicros(s.int(2)), Sealed: s.blob(4)}
	if n := s.int(3); n != 0 {
		k.Retired = fromMicros(n)
	}
	return k, nil
}

// PutTokenKey implements [store.Control].
func (s *Store) PutTokenKey(ctx context.Context, k event.TokenKey) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		if err := needTenant(c, k.Tenant); err != nil {
			return err
		}
		return c.exec("INSERT OR REPLACE INTO token_keys VALUES (?, ?, ?, ?, ?)",
			int64(k.Tenant), k.ID, micros(k.Created), retired(k.Retired), k.Sealed)
	})
}

// TokenKeys implements [store.Control].
func (s *Store) TokenKeys(ctx context.Context, tenant event.TenantID) ([]event.TokenKey, error) {
	return readList(ctx, s, scanTokenKey, "SELECT tenant, id, created, retired, sealed FROM token_keys WHERE tenant = ?"+ofTenant+
		" ORDER BY created, id", int64(tenant))
}

// RetireTokenKeys implements [store.Control].
func (s *Store) RetireTokenKeys(ctx context.Context, tenant event.TenantID, except string, at time.Time) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		return c.exec("UPDATE token_keys SET retired = ? WHERE tenant = ? AND id <> ? AND (retired = 0 OR retired > ?)",
			micros(at), int64(tenant), except, micros(at))
	})
}

// TrimTokenKeys implements [store.Control].
func (s *Store) TrimTokenKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) error {
		err := c.exec(`DELETE FROM token_keys WHERE (tenant, id) IN
			(SELECT tenant, id FROM token_keys WHERE retired <> 0 AND retired < ? ORDER BY retired LIMIT ?)`, micros(before), max(limit, 0))
		n = c.changes()
		return err
	})
	return n, err
}
