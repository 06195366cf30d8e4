package sqlite

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

const selectSources = "SELECT id, tenant, name, revision, body FROM sources "

func scanSource(s *stmt) (event.Source, error) {
	v := event.Source{ID: event.SourceID(s.int(0)), Tenant: event.TenantID(s.int(1)), Name: s.text(2), Revision: s.int(3)}
	return v, s.damaged("source", unpackSource(s.blob(4), &v))
}

// PutSource implements [store.Sources]. KindNotFound also means that there is no such tenant.
func (s *Store) PutSource(ctx context.Context, v event.Source, revision int64) (event.Source, error) {
	if err := s.enter(); err != nil {
		return event.Source{}, err
	}
	defer s.leave()
	var out event.Source
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		out, err = putSource(c, v, revision)
		return err
	})
	if err != nil {
		return event.Source{}, err
	}
	return out, nil
}

func putSource(c *conn, v event.Source, revision int64) (event.Source, error) {
	if err := needTenant(c, v.Tenant); err != nil {
		return v, err
	}
	id, stored := int64(v.ID), int64(0)
	err := c.query("SELECT id, revision FROM sources WHERE tenant = ? AND name = ?", func(s *stmt) error {
		id, stored = s.int(0), s.int(1)
		return nil
	}, int64(v.Tenant), v.Name)
	if err != nil {
		return v, err
	}
	if err := checkRevision("source", stored, revision); err != nil {
		return v, refuse(err)
	}
	v.ID, v.Revision = event.SourceID(id), stored+1
	body := packSource(&v)
	if err := c.exec("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?)", id, int64(v.Tenant), v.Name, v.Revision, body); err != nil {
		return v, err
	}
	return v, unpackSource(body, &v)
}

// Source implements [store.Sources].
func (s *Store) Source(ctx context.Context, tenant event.TenantID, name string) (event.Source, error) {
	list, err := readList(ctx, s, scanSource, selectSources+"WHERE tenant = ? AND name = ?"+ofTenant, int64(tenant), name)
	if err = one(len(list) == 1, "source", err); err != nil {
		return event.Source{}, err
	}
	return list[0], nil
}

// Sources implements [store.Sources].
func (s *Store) Sources(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error) {
	return readList(ctx, s, scanSource, selectSources+"WHERE tenant = ? AND name > ?"+ofTenant+" ORDER BY name LIMIT ?",
		int64(tenant), after, max(limit, 0))
}

// DeleteSource implements [store.Sources].
func (s *Store) DeleteSource(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		stored, err := c.number("SELECT revision FROM sources WHERE tenant = ? AND name = ?"+ofTenant, int64(tenant), name)
		if err != nil {
			return err
		}
		if err := checkDelete("source", stored, revision); err != nil {
			return refuse(err)
		}
		return c.exec("DELETE FROM sources WHERE tenant = ? AND name = ?", int64(tenant), name)
	})
}
