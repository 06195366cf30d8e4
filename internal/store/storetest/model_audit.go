package storetest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// audit is the part of a Model that keeps the audit log.
type audit struct {
	lastAudit int64
	entries   map[int64]event.AuditEntry
}

func cloneAudit(e event.AuditEntry) event.AuditEntry {
	e.At = utc(e.At)
	e.Changes = slices.Clone(e.Changes)
	for i := range e.Changes {
		c := &e.Changes[i]
		c.From, c.To = slices.Clone(c.From), slices.Clone(c.To)
	}
	return e
}

// AddAudit implements [store.Audit].
func (m *Model) AddAudit(ctx context.Context, e event.AuditEntry) (int64, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[int64]event.AuditEntry{}
	}
	m.lastAudit++
	e.ID = m.lastAudit
	m.entries[e.ID] = cloneAudit(e)
	return e.ID, nil
}

// CompleteAudit implements [store.Audit].
func (m *Model) CompleteAudit(ctx context.Context, e event.AuditEntry) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.entries[e.ID]; !ok {
		return event.NotFound("audit entry")
	}
	m.entries[e.ID] = cloneAudit(e)
	return nil
}

// DeleteAudit implements [store.Audit].
func (m *Model) DeleteAudit(ctx context.Context, id int64) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.entries, id)
	return nil
}

// AuditEntries implements [store.Audit]. It looks at all entries.
func (m *Model) AuditEntries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer m.mu.Unlock()
	last := int64(0)
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(m.entries))) {
		if q.Before != 0 && id >= q.Before {
			continue
		}
		if len(list) >= q.Limit {
			return list, last, nil
		}
		last = id
		if e := m.entries[id]; q.Fits(&e) {
			list = append(list, cloneAudit(e))
		}
	}
	return list, 0, nil
}

// TrimAudit implements [store.Audit].
func (m *Model) TrimAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	var old []event.AuditEntry
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		if e := m.entries[id]; e.At.Before(utc(before)) {
			old = append(old, e)
		}
	}
	slices.SortStableFunc(old, func(a, b event.AuditEntry) int { return a.At.Compare(b.At) })
	old = old[:min(len(old), max(limit, 0))]
	for i := range old {
		delete(m.entries, old[i].ID)
	}
	return len(old), nil
}
