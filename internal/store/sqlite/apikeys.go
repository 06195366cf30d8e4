package sqlite

import (
	"bytes"
	"context"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

const selectKeys = "SELECT id, body FROM apikeys "

// ofTenantOrNone hides keys of a tenant that was deleted; admin keys have none.
const ofTenantOrNone = " AND (tenant = 0 OR EXISTS (SELECT 1 FROM tenants t WHERE t.id = tenant))"

func scanAPIKey(s *stmt) (event.APIKey, error) {
	k := event.APIKey{ID: s.int(0)}
	return k, s.damaged("API key", unpackAPIKey(s.blob(1), &k))
}

// PutAPIKey implements [store.Control]. A key with the same ID is replaced; another key with the same hash, or that had it
// before its last rotation, is KindConflict, and a tenant that does not exist KindNotFound.
func (s *Store) PutAPIKey(ctx context.Context, k event.APIKey) error {
	return s.putAPIKey(ctx, k, nil)
}

// ReplaceAPIKey implements [store.Control].
func (s *Store) ReplaceAPIKey(ctx context.Context, k event.APIKey, hash [32]byte) error {
	return s.putAPIKey(ctx, k, &hash)
}

// putAPIKey saves a key; a hash that is not nil must be that of the stored one.
func (s *Store) putAPIKey(ctx context.Context, k event.APIKey, hash *[32]byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		if hash != nil {
			if err := needKey(c, k.ID, *hash); err != nil {
				return err
			}
		}
		if k.Tenant != 0 {
			if err := needTenant(c, k.Tenant); err != nil {
				return err
			}
		}
		var previous []byte
		hashes := [][32]byte{k.Hash}
		if k.Previous != [32]byte{} {
			previous = k.Previous[:]
			hashes = append(hashes, k.Previous)
		}
		for _, h := range hashes {
			n, err := c.number("SELECT count(*) FROM apikeys WHERE (hash = ? OR previous = ?) AND id <> ?", h[:], h[:], k.ID)
			if err != nil {
				return err
			}
			if n > 0 {
				return refuse(exists("API key"))
			}
		}
		return c.exec("INSERT OR REPLACE INTO apikeys (id, hash, tenant, body, previous) VALUES (?, ?, ?, ?, nullif(?, x''))",
			k.ID, k.Hash[:], int64(k.Tenant), packAPIKey(&k), previous)
	})
}

// needKey refuses when there is no key of an id, or when it has another hash.
func needKey(c *conn, id int64, hash [32]byte) error {
	found, same := false, false
	err := c.query("SELECT hash FROM apikeys WHERE id = ?"+ofTenantOrNone, func(s *stmt) error {
		found, same = true, bytes.Equal(s.blob(0), hash[:])
		return nil
	}, id)
	switch {
	case err != nil:
		return err
	case !found:
		return refuse(event.NotFound("API key"))
	case !same:
		return refuse(event.Errorf(event.KindPrecondition, "revision_mismatch", "the API key was changed meanwhile"))
	}
	return nil
}

// APIKeyByHash implements [store.Control].
func (s *Store) APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error) {
	return s.apiKey(ctx, selectKeys+"WHERE (hash = ? OR previous = ?)"+ofTenantOrNone, hash[:], hash[:])
}

// APIKey implements [store.Control].
func (s *Store) APIKey(ctx context.Context, id int64) (event.APIKey, error) {
	return s.apiKey(ctx, selectKeys+"WHERE id = ?"+ofTenantOrNone, id)
}

func (s *Store) apiKey(ctx context.Context, sql string, args ...any) (event.APIKey, error) {
	list, err := readList(ctx, s, scanAPIKey, sql, args...)
	if err = one(len(list) == 1, "API key", err); err != nil {
		return event.APIKey{}, err
	}
	return list[0], nil
}

// APIKeys implements [store.Control].
func (s *Store) APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error) {
	return readList(ctx, s, scanAPIKey, selectKeys+"WHERE id > ?"+ofTenantOrNone+" ORDER BY id LIMIT ?", after, max(limit, 0))
}

// DeleteAPIKey implements [store.Control].
func (s *Store) DeleteAPIKey(ctx context.Context, id int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		if err := c.exec("DELETE FROM apikeys WHERE id = ?", id); err != nil {
			return err
		}
		if c.changes() == 0 {
			return refuse(event.NotFound("API key"))
		}
		return nil
	})
}

// Answer implements [store.Control].
func (s *Store) Answer(ctx context.Context, scope, key string) (store.Answer, error) {
	list, err := readList(ctx, s, func(s *stmt) (store.Answer, error) {
		var a store.Answer
		return a, s.damaged("answer", unpackAnswer(s.blob(0), &a))
	}, "SELECT body FROM answers WHERE scope = ? AND key = ?", scope, key)
	if err = one(len(list) == 1, "answer", err); err != nil {
		return store.Answer{}, err
	}
	return list[0], nil
}

// SaveAnswer implements [store.Control].
func (s *Store) SaveAnswer(ctx context.Context, scope, key string, a store.Answer) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		err := c.exec("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", scope, key, micros(a.At), packAnswer(&a))
		if err == nil && c.changes() == 0 {
			return refuse(exists("answer"))
		}
		return err
	})
}
