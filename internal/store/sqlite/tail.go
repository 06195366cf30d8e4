package sqlite

import (
	"slices"
	"sort"
	"sync"

	"github.com/posthornhq/posthorn/internal/event"
)

// tail keeps the newest events of the log in memory, packed, so that a follower at the log's end reads no file. It
// holds every event with a seq above floor, and only committed ones.
type tail struct {
	mu      sync.RWMutex
	max     int // bytes
	bytes   int
	floor   int64
	entries []tailEntry // in seq order; the first ones may be dropped
}

// tailEntry is one event: its columns and its packed record.
type tailEntry struct {
	seq, version, received int64
	tenant                 event.TenantID
	id                     string
	body                   []byte
}

// overhead is what an entry costs beside its id and body, in bytes.
const overhead = 96

func (e *tailEntry) size() int { return len(e.id) + len(e.body) + overhead }

func (e *tailEntry) event() (event.Event, error) {
	out := event.Event{Seq: e.seq, Tenant: e.tenant, Version: e.version, ID: e.id, Received: fromMicros(e.received)}
	return out, unpackEvent(e.body, &out)
}

// reset empties the tail; events after seq will be added.
func (t *tail) reset(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries, t.bytes, t.floor = nil, 0, seq
}

// add appends committed events and forgets the oldest over the bound.
func (t *tail) add(list []tailEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, list...)
	for i := range list {
		t.bytes += list[i].size()
	}
	n := 0
	for n < len(t.entries) && t.bytes > t.max {
		t.bytes -= t.entries[n].size()
		n++
	}
	t.drop(n)
}

// trim forgets events up to a seq, which were deleted.
func (t *tail) trim(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.search(seq)
	for i := range n {
		t.bytes -= t.entries[i].size()
	}
	t.drop(n)
}

func (t *tail) drop(n int) {
	if n == 0 {
		return
	}
	t.floor = t.entries[n-1].seq
	clear(t.entries[:n])
	t.entries = t.entries[n:]
	if cap(t.entries) > 4096 && len(t.entries) < cap(t.entries)/4 {
		t.entries = slices.Clone(t.entries)
	}
}

// search returns the place of the first entry with a seq above the given one.
func (t *tail) search(seq int64) int {
	return sort.Search(len(t.entries), func(i int) bool { return t.entries[i].seq > seq })
}

// read returns the events after a seq, or false when the tail does not reach back to it.
func (t *tail) read(after int64, limit, maxBytes int) ([]event.Event, bool, error) {
	t.mu.RLock()
	if after < t.floor {
		t.mu.RUnlock()
		return nil, false, nil
	}
	from := t.search(after)
	// The entries never change, and a slice of them stays what it is while the tail goes on: but dropped ones are
	// cleared, so take a copy.
	to := min(len(t.entries), from+max(limit, 0))
	list := slices.Clone(t.entries[from:to])
	t.mu.RUnlock()
	out := make([]event.Event, 0, len(list))
	size := 0
	for i := range list {
		e, err := list[i].event()
		if err != nil {
			return nil, true, err
		}
		size += e.Size()
		if len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, e)
	}
	return out, true, nil
}
