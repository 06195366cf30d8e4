package sqlite

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// queueWork is one QueueRecord on its way through the writer.
type queueWork struct {
	f    *stateFile
	r    *store.QueueRecord
	slab []byte
	ends []int // of each packed item and dead letter in slab
	fail error
}

func (w *queueWork) rows() int {
	return 1 + len(w.r.Items) + len(w.r.Drop) + len(w.r.Dead) + len(w.r.DropDead)
}

func (w *queueWork) size() (rows, bytes int) { return w.rows(), len(w.slab) + 40*w.rows() }
func (w *queueWork) lazy() bool              { return true }

func (w *queueWork) pack() {
	w.ends = make([]int, 0, len(w.r.Items)+len(w.r.Dead))
	w.slab = make([]byte, 0, 40*cap(w.ends))
	for i := range w.r.Items {
		w.slab = packItem(w.slab, &w.r.Items[i])
		w.ends = append(w.ends, len(w.slab))
	}
	for i := range w.r.Dead {
		w.slab = packDead(w.slab, &w.r.Dead[i])
		w.ends = append(w.ends, len(w.slab))
	}
}

// body is the i-th packed row.
func (w *queueWork) body(i int) []byte {
	start := 0
	if i > 0 {
		start = w.ends[i-1]
	}
	return w.slab[start:w.ends[i]:w.ends[i]]
}

func (w *queueWork) apply(c *conn) error {
	w.fail = nil
	l := w.r.Lease
	if granted := w.f.granted.Load(); granted == 0 || l.Epoch != granted || l.Epoch != w.f.shard.epoch || l.Shard != 0 {
		w.fail = store.ErrFenced
		return nil
	}
	id := int64(w.r.Queue)
	found, err := c.number("SELECT id FROM queues WHERE id = ?"+ofTenant, id)
	if err != nil {
		return err
	}
	if found == 0 {
		w.fail = event.NotFound("queue")
		return nil
	}
	if err := w.items(c, id); err != nil {
		return err
	}
	dead, err := w.dead(c, id)
	if err != nil {
		return err
	}
	cur := &w.r.Cursor
	return c.exec("UPDATE queue_states SET floor = ?, low = ?, dead = dead + ?, body = ? WHERE queue = ?",
		cur.Floor, cur.Low, dead, packCursor(cur), id)
}

func (w *queueWork) items(c *conn, id int64) error {
	for _, v := range w.r.Drop {
		if err := c.exec("DELETE FROM queue_items WHERE queue = ? AND version = ?", id, v); err != nil {
			return err
		}
	}
	for i := range w.r.Items {
		if err := c.exec("INSERT OR REPLACE INTO queue_items VALUES (?, ?, ?)", id, w.r.Items[i].Version, w.body(i)); err != nil {
			return err
		}
	}
	return nil
}

// dead carries the changes of dead letters out and returns by how many their number grew.
func (w *queueWork) dead(c *conn, id int64) (grown int, err error) {
	remove := func(version int64) error {
		if err := c.exec("DELETE FROM queue_dead WHERE queue = ? AND version = ?", id, version); err != nil {
			return err
		}
		grown -= c.changes()
		return nil
	}
	for _, v := range w.r.DropDead {
		if err := remove(v); err != nil {
			return 0, err
		}
	}
	for i := range w.r.Dead {
		d := &w.r.Dead[i]
		if err := remove(d.Version); err != nil {
			return 0, err
		}
		if err := c.exec("INSERT INTO queue_dead VALUES (?, ?, ?, ?)", id, d.Version, micros(d.At), w.body(len(w.r.Items)+i)); err != nil {
			return 0, err
		}
		grown++
	}
	return grown, nil
}

// SaveQueue implements [store.Queues].
func (s *Store) SaveQueue(ctx context.Context, r store.QueueRecord) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	w := &queueWork{f: s.state, r: &r}
	w.pack()
	if err := s.state.w.do(ctx, w); err != nil {
		return err
	}
	return w.fail
}

// LoadQueue implements [store.Queues].
func (s *Store) LoadQueue(ctx context.Context, id event.QueueID) (cursor event.QueueCursor, dead int64, items []event.QueueItem, err error) {
	if err := s.enter(); err != nil {
		return cursor, 0, nil, err
	}
	defer s.leave()
	found := false
	err = s.state.reads.snapshot(ctx, func(c *conn) error {
		err := c.query("SELECT s.dead, s.floor, s.body FROM queue_states s JOIN queues ON id = queue WHERE queue = ?"+ofTenant, func(s *stmt) error {
			found, dead = true, s.int(0)
			return s.cursor(1, &cursor)
		}, int64(id))
		if err != nil || !found {
			return err
		}
		return c.query("SELECT version, body FROM queue_items WHERE queue = ? ORDER BY version", func(s *stmt) error {
			i := event.QueueItem{Version: s.int(0)}
			err := unpackItem(s.blob(1), &i)
			items = append(items, i)
			return s.damaged("queue item", err)
		}, int64(id))
	})
	if err = one(found, "queue", err); err != nil {
		return event.QueueCursor{}, 0, nil, err
	}
	return cursor, dead, items, nil
}

// QueueDead implements [store.Queues].
func (s *Store) QueueDead(ctx context.Context, id event.QueueID, after int64, limit int) ([]event.QueueDead, error) {
	return readList(ctx, s, func(s *stmt) (event.QueueDead, error) {
		d := event.QueueDead{Version: s.int(0), At: fromMicros(s.int(1))}
		return d, s.damaged("dead letter", unpackDead(s.blob(2), &d))
	}, "SELECT version, at, body FROM queue_dead WHERE queue = ? AND version > ? ORDER BY version LIMIT ?", int64(id), after, max(limit, 0))
}

// TrimQueueDead implements [store.Queues].
func (s *Store) TrimQueueDead(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) error {
		n = 0
		var old [][2]int64
		err := c.query("SELECT queue, version FROM queue_dead WHERE at < ? ORDER BY at, queue, version LIMIT ?", func(s *stmt) error {
			old = append(old, [2]int64{s.int(0), s.int(1)})
			return nil
		}, micros(before), max(limit, 0))
		if err != nil {
			return err
		}
		for _, d := range old {
			if err := c.exec("DELETE FROM queue_dead WHERE queue = ? AND version = ?", d[0], d[1]); err != nil {
				return err
			}
			if err := c.exec("UPDATE queue_states SET dead = dead - 1 WHERE queue = ?", d[0]); err != nil {
				return err
			}
		}
		n = len(old)
		return nil
	})
	return n, err
}

func packQueue(q *event.Queue) []byte {
	p := packer{b: []byte{packVersion}}
	p.str(q.Description)
	p.strs(q.Select.Types)
	p.strs(q.Select.Subjects)
	p.str(q.Select.Filter)
	p.str(string(q.Order))
	p.duration(q.Visibility)
	p.int(int64(q.MaxDeliveries))
	p.int(int64(q.MaxOpen))
	p.int(q.Start)
	p.dict(q.Metadata)
	p.time(q.Created)
	p.time(q.Updated)
	return p.b
}

func unpackQueue(b []byte, q *event.Queue) error {
	u := unpacker{b: b}
	u.version()
	q.Description = u.str()
	q.Select = event.Selection{Types: u.strs(), Subjects: u.strs(), Filter: u.str()}
	q.Order = event.Order(u.str())
	q.Visibility = u.duration()
	q.MaxDeliveries = int(u.int())
	q.MaxOpen = int(u.int())
	q.Start = u.int()
	q.Metadata = u.dict()
	q.Created = u.time()
	q.Updated = u.time()
	return u.err()
}

// cursor reads a queue's cursor from two columns: the floor, which may be higher than the packed one, and the body.
func (s *stmt) cursor(col int, c *event.QueueCursor) error {
	err := unpackCursor(s.blob(col+1), c)
	c.Floor = s.int(col)
	return s.damaged("queue state", err)
}

func packCursor(c *event.QueueCursor) []byte {
	p := packer{b: make([]byte, 0, 64)}
	p.b = append(p.b, packVersion)
	for _, n := range []int64{c.Version, c.Seq, c.Low, c.Floor, c.Lease, c.Expired, int64(c.Open)} {
		p.int(n)
	}
	p.time(c.Oldest)
	return p.b
}

func unpackCursor(b []byte, c *event.QueueCursor) error {
	u := unpacker{b: b}
	u.version()
	for _, n := range []*int64{&c.Version, &c.Seq, &c.Low, &c.Floor, &c.Lease, &c.Expired} {
		*n = u.int()
	}
	c.Open = int(u.int())
	c.Oldest = u.time()
	return u.err()
}

// packHeld is the version of an item that names its lease's holder.
const packHeld = 2

func packItem(b []byte, i *event.QueueItem) []byte {
	held := i.Holder != event.LeaseHolder{}
	version := byte(packVersion)
	if held {
		version = packHeld
	}
	p := packer{b: append(b, version)}
	p.int(i.Seq)
	p.fixed(i.Key)
	p.int(int64(i.Deliveries))
	p.int(i.Lease)
	p.time(i.Until)
	p.time(i.Received)
	if held {
		for _, s := range []string{i.Holder.Kind, i.Holder.ID, i.Holder.Name, i.Holder.Consumer} {
			p.str(s)
		}
	}
	return p.b
}

func unpackItem(b []byte, i *event.QueueItem) error {
	u := unpacker{b: b}
	version := u.upTo(packHeld)
	i.Seq = u.int()
	i.Key = u.fixed()
	i.Deliveries = int(u.int())
	i.Lease = u.int()
	i.Until = u.time()
	i.Received = u.time()
	if version == packHeld {
		for _, s := range []*string{&i.Holder.Kind, &i.Holder.ID, &i.Holder.Name, &i.Holder.Consumer} {
			*s = u.str()
		}
	}
	return u.err()
}

func packDead(b []byte, d *event.QueueDead) []byte {
	p := packer{b: append(b, packVersion)}
	p.int(d.Seq)
	p.fixed(d.Key)
	p.int(int64(d.Deliveries))
	p.time(d.Received)
	return p.b
}

func unpackDead(b []byte, d *event.QueueDead) error {
	u := unpacker{b: b}
	u.version()
	d.Seq = u.int()
	d.Key = u.fixed()
	d.Deliveries = int(u.int())
	d.Received = u.time()
	return u.err()
}
