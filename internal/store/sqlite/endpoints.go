package sqlite

import (
	"context"
	"fmt"

	"github.com/posthornhq/posthorn/internal/event"
)

const selectEndpoints = "SELECT id, tenant, revision, body FROM endpoints "

func scanEndpoint(s *stmt) (event.Endpoint, error) {
	e := event.Endpoint{ID: event.EndpointID(s.int(0)), Tenant: event.TenantID(s.int(1)), Revision: s.int(2)}
	return e, s.damaged("endpoint", unpackEndpoint(s.blob(3), &e))
}

// PutEndpoint implements [store.Control]. KindNotFound also means that there is no such tenant.
func (s *Store) PutEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error) {
	return s.putEndpoint(ctx, e, revision, maxEndpoints, nil)
}

// AddEndpointBehind implements [store.Control].
func (s *Store) AddEndpointBehind(ctx context.Context, e event.Endpoint, maxEndpoints int) (event.Endpoint, error) {
	l := event.LaneState{LaneKey: event.LaneKey{Endpoint: e.ID}, Tenant: e.Tenant, Backlog: true, Cursor: e.Start}
	return s.putEndpoint(ctx, e, 0, maxEndpoints, &l)
}

// putEndpoint saves an endpoint and, unless nil, the first state of its lane.
func (s *Store) putEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int, lane *event.LaneState) (event.Endpoint, error) {
	if err := s.enter(); err != nil {
		return event.Endpoint{}, err
	}
	defer s.leave()
	out := e
	err := s.state.w.update(ctx, func(c *conn) error {
		if err := needTenant(c, e.Tenant); err != nil {
			return err
		}
		stored, err := storedEndpoint(c, e.Tenant, e.ID, revision == 0)
		if err != nil {
			return err
		}
		if err := checkRevision("endpoint", stored, revision); err != nil {
			return refuse(err)
		}
		if stored == 0 {
			if err := countEndpoint(c, e.Tenant, maxEndpoints); err != nil {
				return err
			}
		}
		out.Revision = stored + 1
		body := packEndpoint(&e)
		if err := c.exec("INSERT OR REPLACE INTO endpoints (id, tenant, revision, body, disabled, changed) VALUES (?, ?, ?, ?, ?, ?)",
			int64(e.ID), int64(e.Tenant), out.Revision, body, disabledReason(&e), micros(e.Updated)); err != nil {
			return err
		}
		if lane != nil {
			if err := c.exec("INSERT OR REPLACE INTO lanes VALUES (?, ?, ?)", int64(e.ID), lane.Replay, packLane(lane)); err != nil {
				return err
			}
		}
		return unpackEndpoint(body, &out)
	})
	if err != nil {
		return event.Endpoint{}, err
	}
	return out, nil
}

// storedEndpoint returns an endpoint's revision, 0 when its tenant has no such endpoint. An id that is another tenant's
// is taken for a new one all the same.
func storedEndpoint(c *conn, tenant event.TenantID, id event.EndpointID, anyTenant bool) (int64, error) {
	if anyTenant {
		return c.number("SELECT revision FROM endpoints WHERE id = ?", int64(id))
	}
	return c.number("SELECT revision FROM endpoints WHERE id = ? AND tenant = ?"+ofTenant, int64(id), int64(tenant))
}

// countEndpoint adds one to a tenant's endpoints, or refuses when it has its most.
func countEndpoint(c *conn, tenant event.TenantID, most int) error {
	n, err := c.number("SELECT endpoints FROM tenants WHERE id = ?", int64(tenant))
	if err != nil {
		return err
	}
	if most > 0 && n >= int64(most) {
		return refuse(event.Errorf(event.KindConflict, "too_many_endpoints", fmt.Sprintf("the tenant has all the endpoints that it may have: %d", most)))
	}
	return c.exec("UPDATE tenants SET endpoints = endpoints + 1 WHERE id = ?", int64(tenant))
}

// Endpoint implements [store.Control].
func (s *Store) Endpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error) {
	list, err := readList(ctx, s, scanEndpoint, selectEndpoints+"WHERE id = ? AND tenant = ?"+ofTenant, int64(id), int64(tenant))
	if err = one(len(list) == 1, "endpoint", err); err != nil {
		return event.Endpoint{}, err
	}
	return list[0], nil
}

// Endpoints implements [store.Control].
func (s *Store) Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	return readList(ctx, s, scanEndpoint, selectEndpoints+"WHERE tenant = ? AND id > ?"+ofTenant+" ORDER BY id LIMIT ?",
		int64(tenant), int64(after), max(limit, 0))
}

// EndpointsByID implements [store.Control].
func (s *Store) EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var out []event.Endpoint
	err := s.state.reads.snapshot(ctx, func(c *conn) error {
		for _, id := range ids {
			err := c.query(selectEndpoints+"WHERE id = ?"+ofTenant, func(s *stmt) error {
				e, err := scanEndpoint(s)
				out = append(out, e)
				return err
			}, int64(id))
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// DeleteEndpoint implements [store.Control].
func (s *Store) DeleteEndpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		stored, err := storedEndpoint(c, tenant, id, false)
		if err != nil {
			return err
		}
		if err := checkDelete("endpoint", stored, revision); err != nil {
			return refuse(err)
		}
		if err := c.exec("DELETE FROM endpoints WHERE id = ?", int64(id)); err != nil {
			return err
		}
		if err := c.exec("UPDATE tenants SET endpoints = endpoints - 1 WHERE id = ?", int64(tenant)); err != nil {
			return err
		}
		return c.exec("INSERT OR IGNORE INTO deleted_endpoints VALUES (?)", int64(id))
	})
}

// DeletedEndpoints implements [store.Control].
func (s *Store) DeletedEndpoints(ctx context.Context, limit int) ([]event.EndpointID, error) {
	return readList(ctx, s, func(s *stmt) (event.EndpointID, error) { return event.EndpointID(s.int(0)), nil },
		"SELECT id FROM deleted_endpoints ORDER BY id LIMIT ?", max(limit, 0))
}

// ForgetEndpoint implements [store.Control].
func (s *Store) ForgetEndpoint(ctx context.Context, id event.EndpointID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		return c.exec("DELETE FROM deleted_endpoints WHERE id = ?", int64(id))
	})
}
