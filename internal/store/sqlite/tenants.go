package sqlite

import (
	"context"

	"github.com/posthornhq/posthorn/internal/event"
)

// purgeBatch is how many rows of a deleted tenant go in one transaction.
const purgeBatch = 1000

func exists(what string) error {
	return event.Errorf(event.KindConflict, "already_exists", "there is already such a "+what)
}

// checkRevision compares a stored revision, 0 when there is nothing, with the one that a writer saw.
func checkRevision(what string, stored, seen int64) error {
	switch {
	case stored == 0 && seen != 0:
		return event.NotFound(what)
	case stored != 0 && seen == 0:
		return exists(what)
	case stored != seen:
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "the "+what+" was changed meanwhile")
	}
	return nil
}

// checkDelete is checkRevision for a deletion, where 0 means any revision.
func checkDelete(what string, stored, seen int64) error {
	if seen == 0 && stored != 0 {
		return nil
	}
	if stored == 0 {
		return event.NotFound(what)
	}
	return checkRevision(what, stored, seen)
}

// number returns the one number that a query gives, 0 without a row.
func (c *conn) number(sql string, args ...any) (n int64, err error) {
	err = c.query(sql, func(s *stmt) error {
		n = s.int(0)
		return nil
	}, args...)
	return n, err
}

const selectTenants = "SELECT id, name, revision, body FROM tenants "

func scanTenant(s *stmt) (event.Tenant, error) {
	t := event.Tenant{ID: event.TenantID(s.int(0)), Name: s.text(1), Revision: s.int(2)}
	return t, s.damaged("tenant", unpackTenant(s.blob(3), &t))
}

// PutTenant implements [store.Control].
func (s *Store) PutTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	if err := s.enter(); err != nil {
		return event.Tenant{}, err
	}
	defer s.leave()
	var out event.Tenant
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		out, err = s.state.putTenant(c, t, revision)
		return err
	})
	if err != nil {
		return event.Tenant{}, err
	}
	return out, nil
}

func (f *stateFile) putTenant(c *conn, t event.Tenant, revision int64) (event.Tenant, error) {
	namesake, err := c.number("SELECT id FROM tenants WHERE name = ?", t.Name)
	if err != nil {
		return t, err
	}
	stored, endpoints := int64(0), int64(0)
	if revision == 0 {
		if namesake != 0 {
			return t, refuse(exists("tenant"))
		}
	} else {
		err := c.query("SELECT revision, endpoints FROM tenants WHERE id = ?", func(s *stmt) error {
			stored, endpoints = s.int(0), s.int(1)
			return nil
		}, int64(t.ID))
		if err != nil {
			return t, err
		}
		if err := checkRevision("tenant", stored, revision); err != nil {
			return t, refuse(err)
		}
		if namesake != 0 && namesake != int64(t.ID) {
			return t, refuse(exists("tenant"))
		}
	}
	if revision == 0 {
		f.shard.lastTenant++
		f.dirty = true
		t.ID = event.TenantID(f.shard.lastTenant)
	}
	t.Revision = stored + 1
	body := packTenant(&t)
	if err := c.exec("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?, ?, ?)", int64(t.ID), t.Name, t.Revision, endpoints, body); err != nil {
		return t, err
	}
	return t, unpackTenant(body, &t)
}

// Tenant implements [store.Control].
func (s *Store) Tenant(ctx context.Context, name string) (event.Tenant, error) {
	list, err := s.tenants(ctx, selectTenants+"WHERE name = ?", name)
	if err = one(len(list) == 1, "tenant", err); err != nil {
		return event.Tenant{}, err
	}
	return list[0], nil
}

// Tenants implements [store.Control].
func (s *Store) Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error) {
	return s.tenants(ctx, selectTenants+"WHERE name > ? ORDER BY name LIMIT ?", after, max(limit, 0))
}

func (s *Store) tenants(ctx context.Context, sql string, args ...any) ([]event.Tenant, error) {
	return readList(ctx, s, scanTenant, sql, args...)
}

// readList reads a list of state.db.
func readList[T any](ctx context.Context, s *Store, scan func(*stmt) (T, error), sql string, args ...any) ([]T, error) {
	return readFrom(ctx, s, s.state.reads, scan, sql, args...)
}

// readFrom reads a list of one file.
func readFrom[T any](ctx context.Context, s *Store, reads *pool, scan func(*stmt) (T, error), sql string, args ...any) ([]T, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var out []T
	err := reads.read(ctx, func(c *conn) error {
		return c.query(sql, func(s *stmt) error {
			v, err := scan(s)
			out = append(out, v)
			return err
		}, args...)
	})
	return out, err
}

// DeleteTenant implements [store.Control]. With the tenant's row everything of it is out of sight; its endpoints,
// queues, sources, types and keys are then deleted in batches, so that other writers need not wait. ForgetTenant deletes what a crash left.
func (s *Store) DeleteTenant(ctx context.Context, id event.TenantID, revision int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.state.w.update(ctx, func(c *conn) error {
		stored, err := c.number("SELECT revision FROM tenants WHERE id = ?", int64(id))
		if err != nil {
			return err
		}
		if err := checkDelete("tenant", stored, revision); err != nil {
			return refuse(err)
		}
		if err := c.exec("DELETE FROM tenants WHERE id = ?", int64(id)); err != nil {
			return err
		}
		return c.exec("INSERT OR IGNORE INTO deleted_tenants VALUES (?)", int64(id))
	})
	if err != nil {
		return err
	}
	return s.purgeTenant(ctx, id)
}

// purgeTenant deletes what belonged to a deleted tenant in state.db and notes its endpoints and queues for deletion.
func (s *Store) purgeTenant(ctx context.Context, id event.TenantID) error {
	for more := true; more; {
		err := s.state.w.update(ctx, func(c *conn) (err error) {
			more, err = purgeSome(c, int64(id))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func purgeSome(c *conn, tenant int64) (more bool, err error) {
	err = c.exec("INSERT OR IGNORE INTO deleted_endpoints SELECT id FROM endpoints WHERE tenant = ? ORDER BY id LIMIT ?", tenant, purgeBatch)
	if err != nil {
		return false, err
	}
	err = c.exec("INSERT OR IGNORE INTO deleted_queues SELECT id FROM queues WHERE tenant = ? ORDER BY id LIMIT ?", tenant, purgeBatch)
	if err != nil {
		return false, err
	}
	for _, sql := range []string{
		"DELETE FROM queue_states WHERE queue IN (SELECT id FROM queues WHERE tenant = ? ORDER BY id LIMIT ?)",
		"DELETE FROM queues WHERE id IN (SELECT id FROM queues WHERE tenant = ? ORDER BY id LIMIT ?)",
		"DELETE FROM endpoints WHERE id IN (SELECT id FROM endpoints WHERE tenant = ? ORDER BY id LIMIT ?)",
		"DELETE FROM sources WHERE id IN (SELECT id FROM sources WHERE tenant = ? LIMIT ?)",
		"DELETE FROM types WHERE (tenant, name) IN (SELECT tenant, name FROM types WHERE tenant = ? LIMIT ?)",
		"DELETE FROM apikeys WHERE id IN (SELECT id FROM apikeys WHERE tenant = ? LIMIT ?)",
		"DELETE FROM portals WHERE tenant IN (SELECT tenant FROM portals WHERE tenant = ? LIMIT ?)",
		"DELETE FROM token_keys WHERE (tenant, id) IN (SELECT tenant, id FROM token_keys WHERE tenant = ? LIMIT ?)",
	} {
		if err := c.exec(sql, tenant, purgeBatch); err != nil {
			return false, err
		}
		more = more || c.changes() == purgeBatch
	}
	return more, nil
}

// DeletedTenants implements [store.Control].
func (s *Store) DeletedTenants(ctx context.Context) ([]event.TenantID, error) {
	return readList(ctx, s, func(s *stmt) (event.TenantID, error) { return event.TenantID(s.int(0)), nil },
		"SELECT id FROM deleted_tenants ORDER BY id")
}

// ForgetTenant implements [store.Control].
func (s *Store) ForgetTenant(ctx context.Context, id event.TenantID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	noted := int64(0)
	err := s.state.reads.read(ctx, func(c *conn) (err error) {
		noted, err = c.number("SELECT id FROM deleted_tenants WHERE id = ?", int64(id))
		return err
	})
	if err != nil || noted == 0 {
		return err
	}
	if err := s.purgeTenant(ctx, id); err != nil {
		return err
	}
	return s.state.w.update(ctx, func(c *conn) error {
		return c.exec("DELETE FROM deleted_tenants WHERE id = ?", int64(id))
	})
}

const selectTypes = "SELECT tenant, name, revision, body FROM types "

// ofTenant hides rows of a tenant that was deleted.
const ofTenant = " AND EXISTS (SELECT 1 FROM tenants t WHERE t.id = tenant)"

func scanType(s *stmt) (event.Type, error) {
	t := event.Type{Tenant: event.TenantID(s.int(0)), Name: s.text(1), Revision: s.int(2)}
	return t, s.damaged("event type", unpackType(s.blob(3), &t))
}

// PutType implements [store.Control].
func (s *Store) PutType(ctx context.Context, t event.Type, revision int64) (event.Type, error) {
	if err := s.enter(); err != nil {
		return event.Type{}, err
	}
	defer s.leave()
	out := t
	err := s.state.w.update(ctx, func(c *conn) error {
		if err := needTenant(c, t.Tenant); err != nil {
			return err
		}
		stored, err := c.number("SELECT revision FROM types WHERE tenant = ? AND name = ?", int64(t.Tenant), t.Name)
		if err != nil {
			return err
		}
		if err := checkRevision("event type", stored, revision); err != nil {
			return refuse(err)
		}
		out.Revision = stored + 1
		body := packType(&t)
		if err := c.exec("INSERT OR REPLACE INTO types VALUES (?, ?, ?, ?)", int64(t.Tenant), t.Name, out.Revision, body); err != nil {
			return err
		}
		return unpackType(body, &out)
	})
	if err != nil {
		return event.Type{}, err
	}
	return out, nil
}

// needTenant refuses when there is no such tenant.
func needTenant(c *conn, id event.TenantID) error {
	n, err := c.number("SELECT id FROM tenants WHERE id = ?", int64(id))
	if err == nil && n == 0 {
		return refuse(event.NotFound("tenant"))
	}
	return err
}

// Type implements [store.Control].
func (s *Store) Type(ctx context.Context, tenant event.TenantID, name string) (event.Type, error) {
	list, err := readList(ctx, s, scanType, selectTypes+"WHERE tenant = ? AND name = ?"+ofTenant, int64(tenant), name)
	if err = one(len(list) == 1, "event type", err); err != nil {
		return event.Type{}, err
	}
	return list[0], nil
}

// Types implements [store.Control].
func (s *Store) Types(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error) {
	return readList(ctx, s, scanType, selectTypes+"WHERE tenant = ? AND name > ?"+ofTenant+" ORDER BY name LIMIT ?",
		int64(tenant), after, max(limit, 0))
}

// DeleteType implements [store.Control].
func (s *Store) DeleteType(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		stored, err := c.number("SELECT revision FROM types WHERE tenant = ? AND name = ?"+ofTenant, int64(tenant), name)
		if err != nil {
			return err
		}
		if err := checkDelete("event type", stored, revision); err != nil {
			return refuse(err)
		}
		return c.exec("DELETE FROM types WHERE tenant = ? AND name = ?", int64(tenant), name)
	})
}
