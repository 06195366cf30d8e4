package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// inbound is the part of a Model that keeps sources and bins.
type inbound struct {
	sources map[typeKey]event.Source
	bins    map[string]*binState
	// captures are in the order in which they came; those of deleted bins too, until they are trimmed.
	captures []*capture
}

type binState struct {
	event.Bin
	stats   event.BinStats
	cursors map[string]int64
}

// capture is one of a bin, which is another one after the bin was deleted and made again.
type capture struct {
	event.Capture
	of *binState
}

func newInbound() inbound {
	return inbound{sources: map[typeKey]event.Source{}, bins: map[string]*binState{}}
}

// utcOrZero is utc for times that may be absent.
func utcOrZero(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return utc(t)
}

func cloneAnswer(a event.Answer) event.Answer {
	a.Headers, a.Body = slices.Clone(a.Headers), slices.Clone(a.Body)
	return a
}

// PutSource implements [store.Sources].
func (m *Model) PutSource(ctx context.Context, v event.Source, revision int64) (event.Source, error) {
	if err := m.enter(ctx); err != nil {
		return event.Source{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.byID[v.Tenant]; !ok {
		return event.Source{}, event.NotFound("tenant")
	}
	k := typeKey{tenant: v.Tenant, name: v.Name}
	stored := m.sources[k]
	if err := checkPut("source", stored.Revision, revision); err != nil {
		return event.Source{}, err
	}
	if stored.Revision > 0 {
		v.ID = stored.ID
	}
	v.Sealed, v.Allow = slices.Clone(v.Sealed), slices.Clone(v.Allow)
	v.Map.Fields, v.Metadata = maps.Clone(v.Map.Fields), maps.Clone(v.Metadata)
	v.Answer = cloneAnswer(v.Answer)
	v.Created, v.Updated = utc(v.Created), utc(v.Updated)
	v.Revision = revision + 1
	m.sources[k] = v
	return v, nil
}

// Source implements [store.Sources].
func (m *Model) Source(ctx context.Context, tenant event.TenantID, name string) (event.Source, error) {
	if err := m.enter(ctx); err != nil {
		return event.Source{}, err
	}
	defer m.mu.Unlock()
	v, ok := m.sources[typeKey{tenant: tenant, name: name}]
	if !ok {
		return event.Source{}, event.NotFound("source")
	}
	return v, nil
}

// Sources implements [store.Sources].
func (m *Model) Sources(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Source, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return page(ofTenant(m.sources, tenant), after, limit), nil
}

// DeleteSource implements [store.Sources].
func (m *Model) DeleteSource(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	k := typeKey{tenant: tenant, name: name}
	if err := checkDelete("source", m.sources[k].Revision, revision); err != nil {
		return err
	}
	delete(m.sources, k)
	return nil
}

// PutBin implements [store.Bins].
func (m *Model) PutBin(ctx context.Context, b event.Bin, revision int64) (event.Bin, error) {
	if err := m.enter(ctx); err != nil {
		return event.Bin{}, err
	}
	defer m.mu.Unlock()
	stored := m.bins[b.ID]
	seen := int64(0)
	if stored != nil {
		seen = stored.Revision
	}
	if err := checkPut("bin", seen, revision); err != nil {
		return event.Bin{}, err
	}
	for id, other := range m.bins {
		if id != b.ID && (other.Alias == b.ID || b.Alias != "" && (other.Alias == b.Alias || id == b.Alias)) {
			return event.Bin{}, exists("bin")
		}
	}
	if stored == nil {
		stored = &binState{cursors: map[string]int64{}}
		m.bins[b.ID] = stored
	}
	b.Answer, b.Metadata = cloneAnswer(b.Answer), maps.Clone(b.Metadata)
	b.Created, b.Updated, b.Expires = utc(b.Created), utc(b.Updated), utcOrZero(b.Expires)
	b.Revision = revision + 1
	stored.Bin = b
	return b, nil
}

// Bin implements [store.Bins].
func (m *Model) Bin(ctx context.Context, name string) (event.Bin, error) {
	if err := m.enter(ctx); err != nil {
		return event.Bin{}, err
	}
	defer m.mu.Unlock()
	if b := m.bins[name]; b != nil {
		return b.Bin, nil
	}
	for _, b := range m.bins {
		if b.Alias == name && name != "" {
			return b.Bin, nil
		}
	}
	return event.Bin{}, event.NotFound("bin")
}

// Bins implements [store.Bins].
func (m *Model) Bins(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Bin, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list := map[string]event.Bin{}
	for id, b := range m.bins {
		if tenant == 0 || b.Tenant == tenant {
			list[id] = b.Bin
		}
	}
	return page(list, after, limit), nil
}

// CountBins implements [store.Bins].
func (m *Model) CountBins(ctx context.Context, tenant event.TenantID, now time.Time) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for _, b := range m.bins {
		if b.Tenant == tenant && (b.Expires.IsZero() || b.Expires.After(utc(now))) {
			n++
		}
	}
	return n, nil
}

// BinStats implements [store.Bins].
func (m *Model) BinStats(ctx context.Context, id string) (event.BinStats, error) {
	if err := m.enter(ctx); err != nil {
		return event.BinStats{}, err
	}
	defer m.mu.Unlock()
	b := m.bins[id]
	if b == nil {
		return event.BinStats{}, event.NotFound("bin")
	}
	return b.stats, nil
}

// DeleteBin implements [store.Bins].
func (m *Model) DeleteBin(ctx context.Context, id string, revision int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	stored := int64(0)
	if b := m.bins[id]; b != nil {
		stored = b.Revision
	}
	if err := checkDelete("bin", stored, revision); err != nil {
		return err
	}
	delete(m.bins, id)
	return nil
}

// DeleteTenantBins implements [store.Bins].
func (m *Model) DeleteTenantBins(ctx context.Context, tenant event.TenantID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	maps.DeleteFunc(m.bins, func(_ string, b *binState) bool { return b.Tenant == tenant })
	return nil
}

// BinCursor implements [store.Bins].
func (m *Model) BinCursor(ctx context.Context, bin, tunnel string) (int64, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if b := m.bins[bin]; b != nil {
		return b.cursors[tunnel], nil
	}
	return 0, nil
}

// SetBinCursor implements [store.Bins].
func (m *Model) SetBinCursor(ctx context.Context, bin, tunnel string, seq int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	b := m.bins[bin]
	if b == nil {
		return event.NotFound("bin")
	}
	b.cursors[tunnel] = max(b.cursors[tunnel], seq)
	return nil
}

// TrimCaptures implements [store.Bins].
func (m *Model) TrimCaptures(ctx context.Context, now, before time.Time, maxBytes int64, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	var expired []*binState
	for _, b := range m.bins {
		if !b.Expires.IsZero() && b.Expires.Before(utc(now)) {
			expired = append(expired, b)
		}
	}
	slices.SortFunc(expired, func(a, b *binState) int { return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.ID, b.ID)) })
	for _, b := range expired[:min(len(expired), max(limit, 0))] {
		delete(m.bins, b.ID)
		n++
	}
	oldest := slices.Clone(m.captures)
	slices.SortStableFunc(oldest, func(a, b *capture) int { return a.At.Compare(b.At) })
	total := int64(0)
	for _, c := range oldest {
		total += store.CaptureSize(&c.Capture)
	}
	trim := func(doomed func(*capture) bool) {
		for _, c := range oldest {
			if n < limit && doomed(c) && m.dropCapture(c) {
				total -= store.CaptureSize(&c.Capture)
				n++
			}
		}
	}
	trim(func(c *capture) bool { return m.bins[c.Bin] != c.of })
	trim(func(c *capture) bool { return !before.IsZero() && c.At.Before(utc(before)) })
	trim(func(*capture) bool { return maxBytes > 0 && total > maxBytes })
	return n, nil
}
