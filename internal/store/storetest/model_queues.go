package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// queues is the part of a Model that keeps queues.
type queues struct {
	queueNames    map[typeKey]event.Queue
	queueStates   map[event.QueueID]*queueState
	deletedQueues map[event.QueueID]bool
}

type queueState struct {
	cursor event.QueueCursor
	items  map[int64]event.QueueItem
	dead   map[int64]event.QueueDead
	gone   bool
}

func newQueues() queues {
	return queues{
		queueNames: map[typeKey]event.Queue{}, queueStates: map[event.QueueID]*queueState{}, deletedQueues: map[event.QueueID]bool{},
	}
}

// PutQueue implements [store.Queues].
func (m *Model) PutQueue(ctx context.Context, q event.Queue, revision int64, maxQueues int) (event.Queue, error) {
	if err := m.enter(ctx); err != nil {
		return event.Queue{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[q.Tenant]; !ok {
		return event.Queue{}, event.NotFound("tenant")
	}
	k := typeKey{tenant: q.Tenant, name: q.Name}
	stored := m.queueNames[k]
	if err := checkPut("queue", stored.Revision, revision); err != nil {
		return event.Queue{}, err
	}
	if revision == 0 {
		n := 0
		for other := range m.queueNames {
			if other.tenant == q.Tenant {
				n++
			}
		}
		if maxQueues > 0 && n >= maxQueues {
			return event.Queue{}, event.Errorf(event.KindConflict, "too_many_queues",
				fmt.Sprintf("the tenant has all the queues that it may have: %d", maxQueues))
		}
		m.queueStates[q.ID] = &queueState{
			cursor: event.QueueCursor{Version: q.Start - 1, Low: q.Start - 1}, items: map[int64]event.QueueItem{}, dead: map[int64]event.QueueDead{},
		}
	} else {
		q.ID, q.Start = stored.ID, stored.Start
	}
	q.Select.Types, q.Select.Subjects = slices.Clone(q.Select.Types), slices.Clone(q.Select.Subjects)
	q.Metadata = maps.Clone(q.Metadata)
	q.Created, q.Updated = utc(q.Created), utc(q.Updated)
	q.Revision = revision + 1
	m.queueNames[k] = q
	return q, nil
}

// Queue implements [store.Queues].
func (m *Model) Queue(ctx context.Context, tenant event.TenantID, name string) (event.Queue, error) {
	if err := m.enter(ctx); err != nil {
		return event.Queue{}, err
	}
	defer m.mu.Unlock()
	q, ok := m.queueNames[typeKey{tenant: tenant, name: name}]
	if !ok {
		return event.Queue{}, event.NotFound("queue")
	}
	return q, nil
}

// Queues implements [store.Queues].
func (m *Model) Queues(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Queue, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return page(ofTenant(m.queueNames, tenant), after, limit), nil
}

// dropQueue deletes a queue and notes its state for deletion.
func (m *Model) dropQueue(k typeKey) {
	id := m.queueNames[k].ID
	delete(m.queueNames, k)
	m.queueStates[id].gone = true
	m.deletedQueues[id] = true
}

// DeleteQueue implements [store.Queues].
func (m *Model) DeleteQueue(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	k := typeKey{tenant: tenant, name: name}
	if err := checkDelete("queue", m.queueNames[k].Revision, revision); err != nil {
		return err
	}
	m.dropQueue(k)
	return nil
}

// DeletedQueues implements [store.Queues].
func (m *Model) DeletedQueues(ctx context.Context, limit int) ([]event.QueueID, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list := slices.Sorted(maps.Keys(m.deletedQueues))
	return list[:min(len(list), max(limit, 0))], nil
}

// ForgetQueue implements [store.Queues].
func (m *Model) ForgetQueue(ctx context.Context, id event.QueueID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.deletedQueues, id)
	return nil
}

// DeleteQueueState implements [store.Queues].
func (m *Model) DeleteQueueState(ctx context.Context, id event.QueueID, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	s := m.queueStates[id]
	if s == nil {
		return 0, nil
	}
	n := 0
	gone := func() bool {
		if n >= limit {
			return false
		}
		n++
		return true
	}
	maps.DeleteFunc(s.items, func(int64, event.QueueItem) bool { return gone() })
	maps.DeleteFunc(s.dead, func(int64, event.QueueDead) bool { return gone() })
	return n, nil
}

// SaveQueue implements [store.Queues].
func (m *Model) SaveQueue(ctx context.Context, r store.QueueRecord) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if !m.granted || r.Lease.Epoch != m.epoch || r.Lease.Shard != 0 {
		return store.ErrFenced
	}
	s := m.queueStates[r.Queue]
	if s == nil || s.gone {
		return event.NotFound("queue")
	}
	s.cursor = r.Cursor
	s.cursor.Oldest = utc(s.cursor.Oldest)
	for _, v := range r.Drop {
		delete(s.items, v)
	}
	for _, i := range r.Items {
		i.Until, i.Received = utc(i.Until), utc(i.Received)
		s.items[i.Version] = i
	}
	for _, v := range r.DropDead {
		delete(s.dead, v)
	}
	for _, d := range r.Dead {
		d.Received, d.At = utc(d.Received), utc(d.At)
		s.dead[d.Version] = d
	}
	if m.observe != nil {
		m.observe(store.Commit{File: "state", Callers: 1, Rows: len(r.Items) + len(r.Drop) + len(r.Dead) + len(r.DropDead)})
	}
	return nil
}

// LoadQueue implements [store.Queues].
func (m *Model) LoadQueue(ctx context.Context, id event.QueueID) (event.QueueCursor, int64, []event.QueueItem, error) {
	if err := m.enter(ctx); err != nil {
		return event.QueueCursor{}, 0, nil, err
	}
	defer m.mu.Unlock()
	s := m.queueStates[id]
	if s == nil || s.gone {
		return event.QueueCursor{}, 0, nil, event.NotFound("queue")
	}
	items := slices.SortedFunc(maps.Values(s.items), func(a, b event.QueueItem) int { return cmp.Compare(a.Version, b.Version) })
	return s.cursor, int64(len(s.dead)), items, nil
}

// QueueDead implements [store.Queues].
func (m *Model) QueueDead(ctx context.Context, id event.QueueID, after int64, limit int) ([]event.QueueDead, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	if m.queueStates[id] == nil {
		return nil, nil
	}
	return page(m.queueStates[id].dead, after, limit), nil
}

// TrimQueueDead implements [store.Queues].
func (m *Model) TrimQueueDead(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	type row struct {
		queue event.QueueID
		event.QueueDead
	}
	var old []row
	for id, s := range m.queueStates {
		for _, d := range s.dead {
			if d.At.Before(before) {
				old = append(old, row{id, d})
			}
		}
	}
	slices.SortFunc(old, func(a, b row) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.queue, b.queue), cmp.Compare(a.Version, b.Version))
	})
	old = old[:min(len(old), max(limit, 0))]
	for _, r := range old {
		delete(m.queueStates[r.queue].dead, r.Version)
	}
	return len(old), nil
}

// queuesByID returns the queues of all tenants.
func (m *Model) queuesByID() map[event.QueueID]event.Queue {
	out := map[event.QueueID]event.Queue{}
	for _, q := range m.queueNames {
		out[q.ID] = q
	}
	return out
}

// QueueSummaries implements [store.Queues].
func (m *Model) QueueSummaries(ctx context.Context, after event.QueueID, limit int) ([]store.QueueSummary, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []store.QueueSummary
	for _, q := range page(m.queuesByID(), after, limit) {
		s := m.queueStates[q.ID]
		out = append(out, store.QueueSummary{Queue: q.ID, Tenant: q.Tenant, Name: q.Name, Cursor: s.cursor, Dead: int64(len(s.dead))})
	}
	return out, nil
}

// QueueFloors implements [store.Queues].
func (m *Model) QueueFloors(ctx context.Context, limit int) ([]store.QueueFloor, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []store.QueueFloor
	for _, q := range m.queueNames {
		s := m.queueStates[q.ID]
		out = append(out, store.QueueFloor{Queue: q.ID, Tenant: q.Tenant, Low: s.cursor.Low, Seq: s.cursor.Floor})
	}
	slices.SortFunc(out, func(a, b store.QueueFloor) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Queue, b.Queue))
	})
	return out[:min(len(out), max(limit, 0))], nil
}

// RaiseQueueFloors implements [store.Queues].
func (m *Model) RaiseQueueFloors(ctx context.Context, floors []store.QueueFloor) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, f := range floors {
		if s := m.queueStates[f.Queue]; s != nil && !s.gone {
			s.cursor.Floor = max(s.cursor.Floor, f.Seq)
		}
	}
	return nil
}
