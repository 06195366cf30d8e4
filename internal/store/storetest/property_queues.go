package storetest

import (
	"context"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

var worldQueues = []string{"p", "q"}

// queueID returns the id that the world gives a tenant's queue: the same in every store.
func queueID(tenant, name string) event.QueueID {
	return event.QueueID(1000 + 10*int64(tenant[0]) + int64(name[0]-'p'))
}

func (w *world) drawQueue(rt *rapid.T) step {
	tenant, name, revision := rapid.SampledFrom(worldNames).Draw(rt, "name"), rapid.SampledFrom(worldQueues).Draw(rt, "queue"), drawRevision(rt)
	id, at, most := queueID(tenant, name), clock(w.now), rapid.IntRange(0, 1).Draw(rt, "most")
	limit, before := rapid.IntRange(0, 5).Draw(rt, "limit"), clock(rapid.IntRange(0, w.now+1).Draw(rt, "before"))
	return rapid.SampledFrom([]step{
		{"PutQueue", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			if _, _, _, err := s.LoadQueue(ctx, id); revision == 0 && err != nil { // a new queue has an id that was never used
				if _, err := s.DeleteQueueState(ctx, id, 1000); err != nil {
					return nil, err
				}
			}
			return s.PutQueue(ctx, event.Queue{ID: id, Tenant: t.ID, Name: name, Start: 1, Created: at, Updated: at}, revision, most)
		})},
		{"DeleteQueue", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) {
			return nil, s.DeleteQueue(ctx, t.ID, name, revision)
		})},
		{"Queue", byName(tenant, func(ctx context.Context, s store.Store, t event.Tenant) (any, error) { return s.Queue(ctx, t.ID, name) })},
		{"ForgetQueue", func(ctx context.Context, s store.Store) (any, error) { return nil, s.ForgetQueue(ctx, id) }},
		{"TrimQueueDead", func(ctx context.Context, s store.Store) (any, error) { return s.TrimQueueDead(ctx, before, limit) }},
		{"RaiseQueueFloors", func(ctx context.Context, s store.Store) (any, error) {
			return nil, s.RaiseQueueFloors(ctx, []store.QueueFloor{{Queue: id, Seq: int64(w.now)}})
		}},
		w.drawQueueRecord(rt, id), w.drawQueueRecord(rt, id), w.drawQueueRecord(rt, id),
	}).Draw(rt, "queueStep")
}

func (w *world) drawQueueRecord(rt *rapid.T, id event.QueueID) step {
	versions := func(name string) []int64 { return rapid.SliceOfN(rapid.Int64Range(1, 4), 0, 2).Draw(rt, name) }
	r := store.QueueRecord{
		Queue: id, Drop: versions("drop"), DropDead: versions("dropDead"),
		Cursor: event.QueueCursor{Version: int64(w.now), Floor: rapid.Int64Range(0, 5).Draw(rt, "floor"), Oldest: clock(w.now)},
	}
	for _, v := range versions("items") {
		r.Items = append(r.Items, event.QueueItem{Version: v, Lease: int64(w.now), Until: clock(w.now), Received: clock(0)})
	}
	for _, v := range versions("dead") {
		r.Dead = append(r.Dead, event.QueueDead{Version: v, At: clock(w.now), Received: clock(0)})
	}
	stale := rapid.IntRange(0, 9).Draw(rt, "stale") == 0
	return step{"SaveQueue", func(ctx context.Context, s store.Store) (any, error) {
		leases, err := s.Acquire(ctx, "node", clock(0), 0)
		if err != nil {
			return nil, err
		}
		rec := r
		if rec.Lease = leases[0]; stale {
			rec.Lease.Epoch--
		}
		return nil, s.SaveQueue(ctx, rec)
	}}
}

// queues reads everything about queues.
func (r *reader) queues(d *dump) {
	d.Queues, d.QueueStates = map[string][]event.Queue{}, map[event.QueueID][]any{}
	for _, t := range d.Tenants {
		list, err := r.s.Queues(r.ctx, t.ID, "", 1000)
		d.Queues[t.Name] = read(r, list, err)
		for i := range list {
			c, dead, items, err := r.s.LoadQueue(r.ctx, list[i].ID)
			state := read(r, []any{c, dead, items}, err)
			letters, err := r.s.QueueDead(r.ctx, list[i].ID, 0, 1000)
			d.QueueStates[list[i].ID] = append(state, read(r, letters, err))
		}
	}
	deleted, err := r.s.DeletedQueues(r.ctx, 1000)
	d.DeletedQueues = read(r, deleted, err)
	floors, err := r.s.QueueFloors(r.ctx, 1000)
	d.QueueFloors = read(r, floors, err)
	list, err := r.s.QueueSummaries(r.ctx, 0, 1000)
	d.QueueSummaries = read(r, list, err)
}
