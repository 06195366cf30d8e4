package sqlite

import (
	"context"
	"fmt"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

const selectQueues = "SELECT id, tenant, name, revision, body FROM queues "

func scanQueue(s *stmt) (event.Queue, error) {
	q := event.Queue{ID: event.QueueID(s.int(0)), Tenant: event.TenantID(s.int(1)), Name: s.text(2), Revision: s.int(3)}
	return q, s.damaged("queue", unpackQueue(s.blob(4), &q))
}

// PutQueue implements [store.Queues]. KindNotFound also means that there is no such tenant.
func (s *Store) PutQueue(ctx context.Context, q event.Queue, revision int64, maxQueues int) (event.Queue, error) {
	if err := s.enter(); err != nil {
		return event.Queue{}, err
	}
	defer s.leave()
	var out event.Queue
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		out, err = putQueue(c, q, revision, maxQueues)
		return err
	})
	if err != nil {
		return event.Queue{}, err
	}
	return out, nil
}

func putQueue(c *conn, q event.Queue, revision int64, most int) (event.Queue, error) {
	if err := needTenant(c, q.Tenant); err != nil {
		return q, err
	}
	var stored event.Queue
	err := c.query(selectQueues+"WHERE tenant = ? AND name = ?", func(s *stmt) (err error) {
		stored, err = scanQueue(s)
		return err
	}, int64(q.Tenant), q.Name)
	if err != nil {
		return q, err
	}
	if err := checkRevision("queue", stored.Revision, revision); err != nil {
		return q, refuse(err)
	}
	if stored.Revision == 0 {
		if err := mayAddQueue(c, q.Tenant, most); err != nil {
			return q, err
		}
		cursor := event.QueueCursor{Version: q.Start - 1, Low: q.Start - 1}
		if err := c.exec("INSERT OR REPLACE INTO queue_states VALUES (?, 0, ?, 0, ?)", int64(q.ID), cursor.Low, packCursor(&cursor)); err != nil {
			return q, err
		}
	} else {
		q.ID, q.Start = stored.ID, stored.Start
	}
	q.Revision = stored.Revision + 1
	body := packQueue(&q)
	if err := c.exec("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?, ?)", int64(q.ID), int64(q.Tenant), q.Name, q.Revision, body); err != nil {
		return q, err
	}
	return q, unpackQueue(body, &q)
}

// mayAddQueue refuses when a tenant has its most queues.
func mayAddQueue(c *conn, tenant event.TenantID, most int) error {
	if most <= 0 {
		return nil
	}
	n, err := c.number("SELECT count(*) FROM queues WHERE tenant = ?", int64(tenant))
	if err == nil && n >= int64(most) {
		return refuse(event.Errorf(event.KindConflict, "too_many_queues", fmt.Sprintf("the tenant has all the queues that it may have: %d", most)))
	}
	return err
}

// Queue implements [store.Queues].
func (s *Store) Queue(ctx context.Context, tenant event.TenantID, name string) (event.Queue, error) {
	list, err := readList(ctx, s, scanQueue, selectQueues+"WHERE tenant = ? AND name = ?"+ofTenant, int64(tenant), name)
	if err = one(len(list) == 1, "queue", err); err != nil {
		return event.Queue{}, err
	}
	return list[0], nil
}

// Queues implements [store.Queues].
func (s *Store) Queues(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Queue, error) {
	return readList(ctx, s, scanQueue, selectQueues+"WHERE tenant = ? AND name > ?"+ofTenant+" ORDER BY name LIMIT ?",
		int64(tenant), after, max(limit, 0))
}

// DeleteQueue implements [store.Queues].
func (s *Store) DeleteQueue(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		var id, stored int64
		err := c.query("SELECT id, revision FROM queues WHERE tenant = ? AND name = ?"+ofTenant, func(s *stmt) error {
			id, stored = s.int(0), s.int(1)
			return nil
		}, int64(tenant), name)
		if err != nil {
			return err
		}
		if err := checkDelete("queue", stored, revision); err != nil {
			return refuse(err)
		}
		if err := c.exec("DELETE FROM queues WHERE id = ?", id); err != nil {
			return err
		}
		if err := c.exec("DELETE FROM queue_states WHERE queue = ?", id); err != nil {
			return err
		}
		return c.exec("INSERT OR IGNORE INTO deleted_queues VALUES (?)", id)
	})
}

// DeletedQueues implements [store.Queues].
func (s *Store) DeletedQueues(ctx context.Context, limit int) ([]event.QueueID, error) {
	return readList(ctx, s, func(s *stmt) (event.QueueID, error) { return event.QueueID(s.int(0)), nil },
		"SELECT id FROM deleted_queues ORDER BY id LIMIT ?", max(limit, 0))
}

// ForgetQueue implements [store.Queues].
func (s *Store) ForgetQueue(ctx context.Context, id event.QueueID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		return c.exec("DELETE FROM deleted_queues WHERE id = ?", int64(id))
	})
}

// DeleteQueueState implements [store.Queues].
func (s *Store) DeleteQueueState(ctx context.Context, id event.QueueID, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) error {
		n = 0
		for _, sql := range []string{
			"DELETE FROM queue_items WHERE queue = ?1 AND version IN (SELECT version FROM queue_items WHERE queue = ?1 LIMIT ?2)",
			"DELETE FROM queue_dead WHERE queue = ?1 AND version IN (SELECT version FROM queue_dead WHERE queue = ?1 LIMIT ?2)",
		} {
			if err := c.exec(sql, int64(id), max(limit-n, 0)); err != nil {
				return err
			}
			n += c.changes()
		}
		return nil
	})
	return n, err
}

// QueueSummaries implements [store.Queues].
func (s *Store) QueueSummaries(ctx context.Context, after event.QueueID, limit int) ([]store.QueueSummary, error) {
	return readList(ctx, s, func(s *stmt) (store.QueueSummary, error) {
		q := store.QueueSummary{Queue: event.QueueID(s.int(0)), Tenant: event.TenantID(s.int(1)), Name: s.text(2), Dead: s.int(3)}
		return q, s.cursor(4, &q.Cursor)
	}, "SELECT id, tenant, name, dead, s.floor, s.body FROM queues q JOIN queue_states s ON s.queue = q.id WHERE id > ?"+ofTenant+" ORDER BY id LIMIT ?",
		int64(after), max(limit, 0))
}

// QueueFloors implements [store.Queues].
func (s *Store) QueueFloors(ctx context.Context, limit int) ([]store.QueueFloor, error) {
	return readList(ctx, s, func(s *stmt) (store.QueueFloor, error) {
		return store.QueueFloor{Queue: event.QueueID(s.int(0)), Tenant: event.TenantID(s.int(1)), Low: s.int(2), Seq: s.int(3)}, nil
	}, "SELECT queue, tenant, low, floor FROM queue_states JOIN queues ON id = queue WHERE true"+ofTenant+" ORDER BY floor, queue LIMIT ?",
		max(limit, 0))
}

// RaiseQueueFloors implements [store.Queues].
func (s *Store) RaiseQueueFloors(ctx context.Context, floors []store.QueueFloor) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.state.w.update(ctx, func(c *conn) error {
		for _, f := range floors {
			if err := c.exec("UPDATE queue_states SET floor = ?1 WHERE queue = ?2 AND floor < ?1", f.Seq, int64(f.Queue)); err != nil {
				return err
			}
		}
		return nil
	})
}
