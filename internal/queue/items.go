package queue

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// item is an open event of a queue: leased, delayed, due, or parked behind an earlier one of its key.
type item struct {
	event.QueueItem
	in  *itemHeap // the heap that it is in; nil: parked, or leaving
	pos int       // its place there
}

func (it *item) leased() bool { return it.Lease != 0 }

// itemHeap is a heap whose items know their place.
type itemHeap struct {
	list []*item
	less func(a, b *item) bool
}

func byVersion(a, b *item) bool { return a.Version < b.Version }

func byUntil(a, b *item) bool {
	return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Version, b.Version)) < 0
}

// Len, Less, Swap, Push and Pop are for package heap.
func (h *itemHeap) Len() int           { return len(h.list) }
func (h *itemHeap) Less(i, j int) bool { return h.less(h.list[i], h.list[j]) }

// Swap is for package heap.
func (h *itemHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].pos, h.list[j].pos = i, j
}

// Push is for package heap.
func (h *itemHeap) Push(v any) {
	it, _ := v.(*item) // nothing else is pushed
	it.in, it.pos = h, len(h.list)
	h.list = append(h.list, it)
}

// Pop is for package heap.
func (h *itemHeap) Pop() any {
	n := len(h.list) - 1
	it := h.list[n]
	h.list[n] = nil
	h.list = h.list[:n]
	it.in = nil
	return it
}

func (h *itemHeap) first() *item {
	if len(h.list) == 0 {
		return nil
	}
	return h.list[0]
}

// chain is the open items of one key, in version order.
type chain struct {
	list   []*item
	leased int
}

// openItems are a queue's open items and the order in which they are due. Every change of an item's lease or time goes
// through lend and put, so that the heaps and chains agree with it.
type openItems struct {
	byVersion map[int64]*item
	// versions are those of the open items, ascending, with some in between that are closed already.
	versions []int64
	keyed    bool // order key
	chains   map[uint64]*chain
	due      itemHeap // may be leased, by version
	timed    itemHeap // leased or delayed, by the end of that
}

func newOpenItems(keyed bool) *openItems {
	return &openItems{
		byVersion: map[int64]*item{}, keyed: keyed, chains: map[uint64]*chain{},
		due: itemHeap{less: byVersion}, timed: itemHeap{less: byUntil},
	}
}

// hashKey is the key under which an item is ordered; 0 when the event has none.
func hashKey(s string) uint64 {
	if s == "" {
		return 0
	}
	return xxhash.Sum64String(s) | 1
}

func (o *openItems) len() int { return len(o.byVersion) }

// add opens an item and puts it where it belongs.
func (o *openItems) add(q event.QueueItem, now time.Time) *item {
	it := &item{QueueItem: q}
	if !it.Until.After(now) {
		it.Lease, it.Holder = 0, event.LeaseHolder{}
	}
	o.byVersion[q.Version] = it
	if n := len(o.versions); n == 0 || o.versions[n-1] < q.Version {
		o.versions = append(o.versions, q.Version)
	} else if at, found := slices.BinarySearch(o.versions, q.Version); !found {
		o.versions = slices.Insert(o.versions, at, q.Version)
	}
	if o.keyed && it.Key != 0 {
		c := o.chains[it.Key]
		if c == nil {
			c = &chain{}
			o.chains[it.Key] = c
		}
		at := sort.Search(len(c.list), func(i int) bool { return c.list[i].Version > q.Version })
		c.list = slices.Insert(c.list, at, it)
		if it.leased() {
			c.leased++
		}
		if at == 0 && len(c.list) > 1 { // the one that was first may have been due
			o.place(c.list[1], now)
		}
	}
	o.place(it, now)
	return it
}

// place puts an item into the heap that it belongs to, or none when it is parked.
func (o *openItems) place(it *item, now time.Time) {
	to := &o.due
	switch {
	case it.leased() || it.Until.After(now): // a lease ends in settle only
		to = &o.timed
	case o.blocked(it):
		to = nil
	}
	if it.in == to {
		if to != nil {
			heap.Fix(to, it.pos)
		}
		return
	}
	if it.in != nil {
		heap.Remove(it.in, it.pos)
	}
	if to != nil {
		heap.Push(to, it)
	}
}

// blocked reports whether an item has to wait for another one of its key.
func (o *openItems) blocked(it *item) bool {
	c := o.chainOf(it)
	return c != nil && (c.list[0] != it || c.leased > 0)
}

func (o *openItems) chainOf(it *item) *chain {
	if !o.keyed || it.Key == 0 {
		return nil
	}
	return o.chains[it.Key]
}

// lend gives an item out until a time, under a lease number.
func (o *openItems) lend(it *item, lease int64, by event.LeaseHolder, until, now time.Time) {
	if c := o.chainOf(it); c != nil && !it.leased() {
		c.leased++
	}
	it.Lease, it.Holder, it.Until = lease, by, until
	it.Deliveries++
	o.place(it, now)
}

// put ends an item's lease; it may be leased again at a time.
func (o *openItems) put(it *item, at, now time.Time) {
	c := o.chainOf(it)
	if c != nil && it.leased() {
		c.leased--
	}
	it.Lease, it.Holder, it.Until = 0, event.LeaseHolder{}, at
	o.place(it, now)
	o.wake(c, now)
}

// extend moves the end of an item's lease.
func (o *openItems) extend(it *item, until, now time.Time) {
	it.Until = until
	o.place(it, now)
}

// wake lets the first item of a key go on.
func (o *openItems) wake(c *chain, now time.Time) {
	if c != nil && len(c.list) > 0 {
		o.place(c.list[0], now)
	}
}

// remove closes an item.
func (o *openItems) remove(it *item, now time.Time) {
	if it.in != nil {
		heap.Remove(it.in, it.pos)
	}
	delete(o.byVersion, it.Version)
	if c := o.chainOf(it); c != nil {
		if it.leased() {
			c.leased--
		}
		if at := slices.Index(c.list, it); at == 0 {
			c.list[0] = nil
			c.list = c.list[1:]
		} else if at > 0 {
			c.list = slices.Delete(c.list, at, at+1)
		}
		if len(c.list) == 0 {
			delete(o.chains, it.Key)
		}
		o.wake(c, now)
	}
	if len(o.versions) > 2*len(o.byVersion)+64 {
		o.versions = slices.DeleteFunc(o.versions, func(v int64) bool { return o.byVersion[v] == nil })
	}
}

// settle moves on the items whose lease or delay has ended.
func (o *openItems) settle(now time.Time) {
	for it := o.timed.first(); it != nil && !it.Until.After(now); it = o.timed.first() {
		o.put(it, it.Until, now)
	}
}

// oldest returns the open item with the lowest version, nil when there is none.
func (o *openItems) oldest() *item {
	for len(o.versions) > 0 {
		if it := o.byVersion[o.versions[0]]; it != nil {
			return it
		}
		o.versions = o.versions[1:]
	}
	return nil
}

// restore opens saved items. They are placed once all are known: a later one of a key may be leased.
func (o *openItems) restore(list []event.QueueItem, now time.Time) {
	for _, q := range list {
		o.add(q, now)
	}
	for _, it := range o.byVersion {
		o.place(it, now)
	}
}

// reorder rebuilds everything for another order.
func (o *openItems) reorder(keyed bool, now time.Time) *openItems {
	list := make([]event.QueueItem, 0, len(o.byVersion))
	for _, v := range o.versions {
		if it := o.byVersion[v]; it != nil {
			list = append(list, it.QueueItem)
		}
	}
	fresh := newOpenItems(keyed)
	fresh.restore(list, now)
	return fresh
}
