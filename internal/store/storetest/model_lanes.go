package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Acquire implements [store.Lanes].
func (m *Model) Acquire(ctx context.Context, _ string, _ time.Time, _ time.Duration) ([]store.Lease, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	if !m.granted {
		m.granted = true
		m.epoch++
	}
	return []store.Lease{{Epoch: m.epoch, Position: m.position}}, nil
}

// SaveRecord implements [store.Lanes].
func (m *Model) SaveRecord(ctx context.Context, r store.Record) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if !m.granted || r.Lease.Epoch != m.epoch || r.Lease.Shard != 0 {
		return store.ErrFenced
	}
	m.position = max(m.position, r.Position)
	for _, a := range r.Attempts {
		m.lastAttempt++
		a.ID = m.lastAttempt
		m.attempts = append(m.attempts, keptAttempt(a))
	}
	for _, k := range r.DropRetries {
		delete(m.retries, k)
	}
	for _, k := range r.DropLanes {
		delete(m.lanes, k)
	}
	for _, k := range r.DropDead {
		delete(m.dead, k)
	}
	for _, v := range r.Retries {
		v.Versions, v.Keys = slices.Clone(v.Versions), slices.Clone(v.Keys)
		v.First, v.Due = utc(v.First), utc(v.Due)
		m.retries[store.RetryKey{LaneKey: v.LaneKey, Version: v.Versions[0]}] = v
	}
	for _, l := range r.Lanes {
		l.Done = slices.Clone(l.Done)
		l.PenaltyUntil, l.FailingSince = utc(l.PenaltyUntil), utc(l.FailingSince)
		m.lanes[l.LaneKey] = l
	}
	for _, d := range r.Dead {
		d.At = utc(d.At)
		m.dead[store.DeadKey{Endpoint: d.Endpoint, Version: d.Version}] = d
	}
	if m.observe != nil {
		m.observe(store.Commit{File: "state", Callers: 1, Rows: len(r.Attempts)})
	}
	return nil
}

// keptAttempt is an attempt as a store keeps it.
func keptAttempt(a event.Attempt) event.Attempt {
	a.Versions = slices.Clone(a.Versions)
	a.Headers = slices.Clone(a.Headers)
	a.Body = slices.Clone(a.Body[:min(len(a.Body), event.MaxAnswerKept)])
	a.At, a.Next = utc(a.At), utc(a.Next)
	return a
}

// LoadLanes implements [store.Lanes].
func (m *Model) LoadLanes(ctx context.Context, _ store.Lease) ([]event.LaneState, []event.Retry, error) {
	if err := m.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer m.mu.Unlock()
	var lanes []event.LaneState
	for _, l := range m.lanes {
		lanes = append(lanes, l)
	}
	var retries []event.Retry
	for _, r := range m.retries {
		retries = append(retries, r)
	}
	return lanes, retries, nil
}

// Attempted implements [store.Lanes].
func (m *Model) Attempted(ctx context.Context, tenant event.TenantID, version int64) ([]event.EndpointID, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.EndpointID
	for i := range m.attempts {
		if a := &m.attempts[i]; a.Tenant == tenant && slices.Contains(a.Versions, version) {
			out = append(out, a.Endpoint)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// newest returns attempts that match, newest first.
func (m *Model) newest(before int64, limit int, match func(*event.Attempt) bool) []event.Attempt {
	var out []event.Attempt
	for i := len(m.attempts) - 1; i >= 0 && len(out) < limit; i-- {
		if a := &m.attempts[i]; (before == 0 || a.ID < before) && match(a) {
			out = append(out, *a)
		}
	}
	return out
}

// AttemptsOfEvent implements [store.Lanes].
func (m *Model) AttemptsOfEvent(ctx context.Context, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.newest(before, limit, func(a *event.Attempt) bool {
		return a.Tenant == tenant && slices.Contains(a.Versions, version)
	}), nil
}

// AttemptsOfEndpoint implements [store.Lanes]. It looks at all attempts.
func (m *Model) AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer m.mu.Unlock()
	list = m.newest(before, max(limit, 0)+1, func(a *event.Attempt) bool {
		return a.Endpoint == e && (len(verdicts) == 0 || slices.Contains(verdicts, a.Verdict))
	})
	if limit > 0 && len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// OutcomesOfEndpoint implements [store.Lanes]. It looks at all attempts.
func (m *Model) OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (list []event.Outcome, next int64, err error) {
	attempts, next, err := m.AttemptsOfEndpoint(ctx, e, nil, before, limit)
	for i := range attempts {
		list = append(list, attempts[i].Outcome())
	}
	return list, next, err
}

// AttemptAt implements [store.Lanes]. Of several places it gives the first.
func (m *Model) AttemptAt(ctx context.Context, t time.Time) (int64, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	last := int64(0)
	for i := range m.attempts {
		a := &m.attempts[i]
		if !a.At.Add(a.Duration).Before(t) {
			return a.ID, nil
		}
		last = a.ID
	}
	return last + 1, nil
}

// DeadLetters implements [store.Lanes].
func (m *Model) DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.DeadLetter
	for k, d := range m.dead {
		if k.Endpoint == e && k.Version > after {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b event.DeadLetter) int { return cmp.Compare(a.Version, b.Version) })
	return out[:min(len(out), max(limit, 0))], nil
}

// TrimAttempts implements [store.Lanes].
func (m *Model) TrimAttempts(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for n < limit && len(m.attempts) > 0 && m.attempts[0].At.Before(before) {
		m.attempts = m.attempts[1:]
		n++
	}
	var old []event.DeadLetter
	for _, d := range m.dead {
		if d.At.Before(before) {
			old = append(old, d)
		}
	}
	slices.SortFunc(old, func(a, b event.DeadLetter) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Version, b.Version))
	})
	for _, d := range old[:min(len(old), max(limit-n, 0))] {
		delete(m.dead, store.DeadKey{Endpoint: d.Endpoint, Version: d.Version})
		n++
	}
	return n, nil
}

// DeleteEndpointState implements [store.Lanes].
func (m *Model) DeleteEndpointState(ctx context.Context, e event.EndpointID, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	gone := func(mine bool) bool {
		if !mine || n >= limit {
			return false
		}
		n++
		return true
	}
	for k := range m.lanes {
		if gone(k.Endpoint == e) {
			delete(m.lanes, k)
		}
	}
	for k := range m.retries {
		if gone(k.Endpoint == e) {
			delete(m.retries, k)
		}
	}
	for k := range m.dead {
		if gone(k.Endpoint == e) {
			delete(m.dead, k)
		}
	}
	m.attempts = slices.DeleteFunc(m.attempts, func(a event.Attempt) bool { return gone(a.Endpoint == e) })
	return n, nil
}
