package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Model is a whole store in memory: a fast fake for the tests of other packages, and the oracle of the property tests.
// Nothing of it is durable; [Model.Reopen] stands for a restart. Make one with [NewModel].
type Model struct {
	mu     sync.Mutex
	closed bool

	// The log.
	lastSeq   int64
	bytes     int64
	log       []*event.Event // in seq order
	tenants   map[event.TenantID]*tenantLog
	publishes map[publishKey]publish
	hint      chan struct{}

	// The lanes.
	epoch, position, lastAttempt int64
	granted                      bool
	attempts                     []event.Attempt // in id order
	lanes                        map[event.LaneKey]event.LaneState
	retries                      map[store.RetryKey]event.Retry
	dead                         map[store.DeadKey]event.DeadLetter

	queues
	control
	inbound
	sessions
	audit
	observe func(store.Commit)
}

// tenantLog is one tenant's part of the log: events[i] has the version oldest+i.
type tenantLog struct {
	oldest, head int64
	events       []*event.Event
	ids          map[string]int64
}

type publishKey struct {
	tenant event.TenantID
	key    string
}

type publish struct {
	fingerprint [32]byte
	at          time.Time
	receipts    []event.Receipt
}

var _ store.Store = (*Model)(nil)

// NewModel returns an empty store.
func NewModel() *Model {
	return &Model{
		tenants: map[event.TenantID]*tenantLog{}, publishes: map[publishKey]publish{}, hint: make(chan struct{}),
		lanes: map[event.LaneKey]event.LaneState{}, retries: map[store.RetryKey]event.Retry{},
		dead: map[store.DeadKey]event.DeadLetter{}, queues: newQueues(), control: newControl(), inbound: newInbound(),
	}
}

// Reopen does what closing and opening a store does: leases are lost, nothing else.
func (m *Model) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.granted = false, false
}

// enter locks the model for a call; the caller unlocks it when there is no error.
func (m *Model) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

func utc(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

func (m *Model) tenantLog(id event.TenantID) *tenantLog {
	t := m.tenants[id]
	if t == nil {
		t = &tenantLog{oldest: 1, ids: map[string]int64{}}
		m.tenants[id] = t
	}
	return t
}

// get returns an event by version, or nil.
func (t *tenantLog) get(version int64) *event.Event {
	if version < t.oldest || version > t.head {
		return nil
	}
	return t.events[version-t.oldest]
}

// Append implements [store.Log].
func (m *Model) Append(ctx context.Context, now time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	for i := range req.Events {
		for _, x := range req.Events[i].Extensions {
			switch x.Value.(type) {
			case string, bool, int32:
			default:
				return nil, event.Invalid(x.Name, "must be a string, a boolean or an integer")
			}
		}
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	key := publishKey{tenant: req.Tenant, key: req.IdempotencyKey}
	if p, ok := m.publishes[key]; ok && req.IdempotencyKey != "" {
		if p.fingerprint != req.Fingerprint {
			return nil, event.Errorf(event.KindConflict, "idempotency_key_reused", "the idempotency key was used with another request")
		}
		return slices.Clone(p.receipts), nil
	}
	receipts := make([]event.Receipt, 0, len(req.Events))
	before := m.lastSeq
	for i := range req.Events {
		receipts = append(receipts, m.add(req.Tenant, now, req.Events[i]))
	}
	if req.IdempotencyKey != "" {
		m.publishes[key] = publish{fingerprint: req.Fingerprint, at: utc(now), receipts: slices.Clone(receipts)}
	}
	if m.lastSeq != before {
		close(m.hint)
		m.hint = make(chan struct{})
	}
	if m.observe != nil {
		m.observe(store.Commit{File: "log", Callers: 1, Rows: len(req.Events)})
	}
	return receipts, nil
}

func (m *Model) add(tenant event.TenantID, now time.Time, e event.Event) event.Receipt {
	t := m.tenantLog(tenant)
	if v, ok := t.ids[e.ID]; ok {
		return event.Receipt{ID: e.ID, Version: v, Duplicate: true}
	}
	m.lastSeq++
	t.head++
	e.Seq, e.Tenant, e.Version = m.lastSeq, tenant, t.head
	e.Time, e.Received = utc(e.Time), utc(now)
	e.Channels = slices.Clone(e.Channels)
	e.Extensions = slices.Clone(e.Extensions)
	e.Data = slices.Clone(e.Data)
	if e.Origin != nil {
		origin := *e.Origin
		origin.Head, origin.Body = slices.Clone(origin.Head), slices.Clone(origin.Body)
		e.Origin = &origin
	}
	t.ids[e.ID] = e.Version
	t.events = append(t.events, &e)
	m.log = append(m.log, &e)
	m.bytes += int64(e.Size())
	return event.Receipt{ID: e.ID, Version: e.Version}
}

// Event implements [store.Log].
func (m *Model) Event(ctx context.Context, tenant event.TenantID, id string) (event.Event, error) {
	if err := m.enter(ctx); err != nil {
		return event.Event{}, err
	}
	defer m.mu.Unlock()
	t := m.tenantLog(tenant)
	v, ok := t.ids[id]
	if !ok {
		return event.Event{}, event.NotFound("event")
	}
	return *t.get(v), nil
}

// Events implements [store.Log].
func (m *Model) Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.Event
	t := m.tenantLog(tenant)
	for _, v := range versions[:min(len(versions), 1000)] {
		if e := t.get(v); e != nil {
			out = append(out, *e)
		}
	}
	return out, nil
}

// ReadTenant implements [store.Log].
func (m *Model) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (store.Page, error) {
	if err := m.enter(ctx); err != nil {
		return store.Page{}, err
	}
	defer m.mu.Unlock()
	t := m.tenantLog(tenant)
	p := store.Page{Oldest: t.oldest, Head: t.head, Through: m.lastSeq}
	first := max(after+1, t.oldest)
	if first <= t.head {
		p.Events = take(t.events[first-t.oldest:], limit, maxBytes)
	}
	if n := len(p.Events); n > 0 && p.Events[n-1].Version < t.head {
		p.Through = p.Events[n-1].Seq
	}
	return p, nil
}

// take copies the first events, at most limit and about maxBytes.
func take(list []*event.Event, limit, maxBytes int) []event.Event {
	var out []event.Event
	size := 0
	for _, e := range list[:min(len(list), max(limit, 0))] {
		if size += e.Size(); len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, *e)
	}
	return out
}

// ReadTenantBack implements [store.Log].
func (m *Model) ReadTenantBack(ctx context.Context, tenant event.TenantID, before int64, limit int) (store.Page, error) {
	if err := m.enter(ctx); err != nil {
		return store.Page{}, err
	}
	defer m.mu.Unlock()
	t := m.tenantLog(tenant)
	p := store.Page{Oldest: t.oldest, Head: t.head, Through: m.lastSeq}
	if before == 0 || before > t.head {
		before = t.head + 1
	}
	for v := before - 1; v >= t.oldest && len(p.Events) < limit; v-- {
		p.Events = append(p.Events, *t.get(v))
	}
	if len(p.Events) > 0 && p.Events[0].Version < t.head {
		p.Through = p.Events[0].Seq
	}
	return p, nil
}

// ReadPartition implements [store.Log].
func (m *Model) ReadPartition(ctx context.Context, _ int, after int64, limit, maxBytes int) ([]event.Event, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	i := sort.Search(len(m.log), func(i int) bool { return m.log[i].Seq > after })
	return take(m.log[i:], limit, maxBytes), nil
}

// Bounds implements [store.Log].
func (m *Model) Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error) {
	if err := m.enter(ctx); err != nil {
		return 0, 0, err
	}
	defer m.mu.Unlock()
	t := m.tenantLog(tenant)
	return t.oldest, t.head, nil
}

// VersionAt implements [store.Log].
func (m *Model) VersionAt(ctx context.Context, tenant event.TenantID, at time.Time) (int64, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	t := m.tenantLog(tenant)
	i := sort.Search(len(t.events), func(i int) bool { return !t.events[i].Received.Before(utc(at)) })
	return t.oldest + int64(i), nil
}

// Appended implements [store.Log].
func (m *Model) Appended(int) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hint
}

// TrimLog implements [store.Log].
func (m *Model) TrimLog(ctx context.Context, p store.TrimPolicy, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for n < limit && len(m.log) > 0 {
		e := m.log[0]
		old := !p.Before.IsZero() && e.Received.Before(p.Before)
		over := p.MaxBytes > 0 && m.bytes > p.MaxBytes
		if !old && !over || e.Seq > p.Keep && !e.Received.Before(p.KeepSince) {
			break
		}
		m.log = m.log[1:]
		m.drop(e)
		n++
	}
	return n, nil
}

// drop takes a tenant's oldest event off its log.
func (m *Model) drop(e *event.Event) {
	t := m.tenantLog(e.Tenant)
	t.events = t.events[1:]
	t.oldest = e.Version + 1
	delete(t.ids, e.ID)
	m.bytes -= int64(e.Size())
}

// DeleteTenantEvents implements [store.Log].
func (m *Model) DeleteTenantEvents(ctx context.Context, tenant event.TenantID, limit int) (int, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	m.log = slices.DeleteFunc(m.log, func(e *event.Event) bool {
		if e.Tenant != tenant || n >= limit {
			return false
		}
		n++
		m.drop(e)
		return true
	})
	return n, nil
}

// LogStats implements [store.Log].
func (m *Model) LogStats(ctx context.Context) (store.LogStats, error) {
	if err := m.enter(ctx); err != nil {
		return store.LogStats{}, err
	}
	defer m.mu.Unlock()
	st := store.LogStats{Events: int64(len(m.log)), Bytes: m.bytes}
	if len(m.log) > 0 {
		st.Oldest = m.log[0].Received
	}
	return st, nil
}

// Backup implements [store.Store]. It writes an empty file only.
func (m *Model) Backup(ctx context.Context, dir string, progress func(done, total int64)) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return event.Errorf(event.KindConflict, "folder_not_empty", "the folder for the backup is not empty")
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if progress != nil {
		progress(1, 1)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model"), nil, 0o600)
}

// Ready implements [store.Store].
func (m *Model) Ready(ctx context.Context) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	m.mu.Unlock()
	return nil
}

// Observe implements [store.Store].
func (m *Model) Observe(f func(store.Commit)) { m.observe = f }

// Close implements [store.Store].
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		close(m.hint)
		m.hint = make(chan struct{})
	}
	return nil
}
