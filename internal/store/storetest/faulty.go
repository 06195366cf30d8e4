package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Call names one call of a store's method.
type Call struct {
	Method string
	// N counts the calls of this method, Total those of all methods, both from 1.
	N, Total int
}

// Fault says how a call fails: with Before nothing was done, with After all of it was. Both nil: the call goes through.
type Fault struct{ Before, After error }

// Faulty is a store that fails as a rule says, and counts its calls. Appended and Observe never fail. Make one with
// [NewFaulty].
type Faulty struct {
	next store.Store

	mu    sync.Mutex
	rule  func(Call) Fault
	calls map[string]int
	total int
}

var _ store.Store = (*Faulty)(nil)

// NewFaulty wraps a store. A nil rule lets every call through.
func NewFaulty(next store.Store, rule func(Call) Fault) *Faulty {
	return &Faulty{next: next, rule: rule, calls: map[string]int{}}
}

// SetRule changes the rule for later calls. The rule is called with a lock held: it must not call the store.
func (f *Faulty) SetRule(rule func(Call) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

// Calls returns how often a method was called; of all methods with "".
func (f *Faulty) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if method == "" {
		return f.total
	}
	return f.calls[method]
}

func (f *Faulty) fault(method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	f.calls[method]++
	if f.rule == nil {
		return Fault{}
	}
	return f.rule(Call{Method: method, N: f.calls[method], Total: f.total})
}

// do carries out a call that returns an error only.
func (f *Faulty) do(method string, call func() error) error {
	fault := f.fault(method)
	if fault.Before != nil {
		return fault.Before
	}
	if err := call(); err != nil {
		return err
	}
	return fault.After
}

// get carries out a call that returns a value.
func get[T any](f *Faulty, method string, call func() (T, error)) (T, error) {
	var out T
	err := f.do(method, func() (err error) {
		out, err = call()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// Appended implements [store.Log].
func (f *Faulty) Appended(partition int) <-chan struct{} { return f.next.Appended(partition) }

// Observe implements [store.Store].
func (f *Faulty) Observe(g func(store.Commit)) { f.next.Observe(g) }

// Append implements [store.Log].
func (f *Faulty) Append(ctx context.Context, now time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	return get(f, "Append", func() ([]event.Receipt, error) { return f.next.Append(ctx, now, req) })
}

// Event implements [store.Log].
func (f *Faulty) Event(ctx context.Context, tenant event.TenantID, id string) (event.Event, error) {
	return get(f, "Event", func() (event.Event, error) { return f.next.Event(ctx, tenant, id) })
}

// Events implements [store.Log].
func (f *Faulty) Events(ctx context.Context, tenant event.TenantID, versions []int64) ([]event.Event, error) {
	return get(f, "Events", func() ([]event.Event, error) { return f.next.Events(ctx, tenant, versions) })
}

// ReadTenant implements [store.Log].
func (f *Faulty) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (store.Page, error) {
	return get(f, "ReadTenant", func() (store.Page, error) { return f.next.ReadTenant(ctx, tenant, after, limit, maxBytes) })
}

// ReadTenantBack implements [store.Log].
func (f *Faulty) ReadTenantBack(ctx context.Context, tenant event.TenantID, before int64, limit int) (store.Page, error) {
	return get(f, "ReadTenantBack", func() (store.Page, error) { return f.next.ReadTenantBack(ctx, tenant, before, limit) })
}

// ReadPartition implements [store.Log].
func (f *Faulty) ReadPartition(ctx context.Context, partition int, after int64, limit, maxBytes int) ([]event.Event, error) {
	return get(f, "ReadPartition", func() ([]event.Event, error) { return f.next.ReadPartition(ctx, partition, after, limit, maxBytes) })
}

// Bounds implements [store.Log].
func (f *Faulty) Bounds(ctx context.Context, tenant event.TenantID) (oldest, head int64, err error) {
	err = f.do("Bounds", func() (err error) {
		oldest, head, err = f.next.Bounds(ctx, tenant)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return oldest, head, nil
}

// VersionAt implements [store.Log].
func (f *Faulty) VersionAt(ctx context.Context, tenant event.TenantID, t time.Time) (int64, error) {
	return get(f, "VersionAt", func() (int64, error) { return f.next.VersionAt(ctx, tenant, t) })
}

// TrimLog implements [store.Log].
func (f *Faulty) TrimLog(ctx context.Context, policy store.TrimPolicy, limit int) (int, error) {
	return get(f, "TrimLog", func() (int, error) { return f.next.TrimLog(ctx, policy, limit) })
}

// DeleteTenantEvents implements [store.Log].
func (f *Faulty) DeleteTenantEvents(ctx context.Context, tenant event.TenantID, limit int) (int, error) {
	return get(f, "DeleteTenantEvents", func() (int, error) { return f.next.DeleteTenantEvents(ctx, tenant, limit) })
}

// LogStats implements [store.Log].
func (f *Faulty) LogStats(ctx context.Context) (store.LogStats, error) {
	return get(f, "LogStats", func() (store.LogStats, error) { return f.next.LogStats(ctx) })
}

// Acquire implements [store.Lanes].
func (f *Faulty) Acquire(ctx context.Context, node string, now time.Time, ttl time.Duration) ([]store.Lease, error) {
	return get(f, "Acquire", func() ([]store.Lease, error) { return f.next.Acquire(ctx, node, now, ttl) })
}

// SaveRecord implements [store.Lanes].
func (f *Faulty) SaveRecord(ctx context.Context, r store.Record) error {
	return f.do("SaveRecord", func() error { return f.next.SaveRecord(ctx, r) })
}

// LoadLanes implements [store.Lanes].
func (f *Faulty) LoadLanes(ctx context.Context, l store.Lease) (lanes []event.LaneState, retries []event.Retry, err error) {
	err = f.do("LoadLanes", func() (err error) {
		lanes, retries, err = f.next.LoadLanes(ctx, l)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return lanes, retries, nil
}

// Attempted implements [store.Lanes].
func (f *Faulty) Attempted(ctx context.Context, tenant event.TenantID, version int64) ([]event.EndpointID, error) {
	return get(f, "Attempted", func() ([]event.EndpointID, error) { return f.next.Attempted(ctx, tenant, version) })
}

// AttemptsOfEvent implements [store.Lanes].
func (f *Faulty) AttemptsOfEvent(ctx context.Context, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error) {
	return get(f, "AttemptsOfEvent", func() ([]event.Attempt, error) { return f.next.AttemptsOfEvent(ctx, tenant, version, before, limit) })
}

// AttemptsOfEndpoint implements [store.Lanes].
func (f *Faulty) AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error) {
	err = f.do("AttemptsOfEndpoint", func() (err error) {
		list, next, err = f.next.AttemptsOfEndpoint(ctx, e, verdicts, before, limit)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, next, nil
}

// OutcomesOfEndpoint implements [store.Lanes].
func (f *Faulty) OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (list []event.Outcome, next int64, err error) {
	err = f.do("OutcomesOfEndpoint", func() (err error) {
		list, next, err = f.next.OutcomesOfEndpoint(ctx, e, before, limit)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, next, nil
}

// AttemptAt implements [store.Lanes].
func (f *Faulty) AttemptAt(ctx context.Context, t time.Time) (int64, error) {
	return get(f, "AttemptAt", func() (int64, error) { return f.next.AttemptAt(ctx, t) })
}

// DeadLetters implements [store.Lanes].
func (f *Faulty) DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error) {
	return get(f, "DeadLetters", func() ([]event.DeadLetter, error) { return f.next.DeadLetters(ctx, e, after, limit) })
}

// TrimAttempts implements [store.Lanes].
func (f *Faulty) TrimAttempts(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimAttempts", func() (int, error) { return f.next.TrimAttempts(ctx, before, limit) })
}

// DeleteEndpointState implements [store.Lanes].
func (f *Faulty) DeleteEndpointState(ctx context.Context, e event.EndpointID, limit int) (int, error) {
	return get(f, "DeleteEndpointState", func() (int, error) { return f.next.DeleteEndpointState(ctx, e, limit) })
}

// PutTenant implements [store.Control].
func (f *Faulty) PutTenant(ctx context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	return get(f, "PutTenant", func() (event.Tenant, error) { return f.next.PutTenant(ctx, t, revision) })
}

// Tenant implements [store.Control].
func (f *Faulty) Tenant(ctx context.Context, name string) (event.Tenant, error) {
	return get(f, "Tenant", func() (event.Tenant, error) { return f.next.Tenant(ctx, name) })
}

// Tenants implements [store.Control].
func (f *Faulty) Tenants(ctx context.Context, after string, limit int) ([]event.Tenant, error) {
	return get(f, "Tenants", func() ([]event.Tenant, error) { return f.next.Tenants(ctx, after, limit) })
}

// DeleteTenant implements [store.Control].
func (f *Faulty) DeleteTenant(ctx context.Context, id event.TenantID, revision int64) error {
	return f.do("DeleteTenant", func() error { return f.next.DeleteTenant(ctx, id, revision) })
}

// DeletedTenants implements [store.Control].
func (f *Faulty) DeletedTenants(ctx context.Context) ([]event.TenantID, error) {
	return get(f, "DeletedTenants", func() ([]event.TenantID, error) { return f.next.DeletedTenants(ctx) })
}

// ForgetTenant implements [store.Control].
func (f *Faulty) ForgetTenant(ctx context.Context, id event.TenantID) error {
	return f.do("ForgetTenant", func() error { return f.next.ForgetTenant(ctx, id) })
}

// PutEndpoint implements [store.Control].
func (f *Faulty) PutEndpoint(ctx context.Context, e event.Endpoint, revision int64, maxEndpoints int) (event.Endpoint, error) {
	return get(f, "PutEndpoint", func() (event.Endpoint, error) { return f.next.PutEndpoint(ctx, e, revision, maxEndpoints) })
}

// AddEndpointBehind implements [store.Control].
func (f *Faulty) AddEndpointBehind(ctx context.Context, e event.Endpoint, maxEndpoints int) (event.Endpoint, error) {
	return get(f, "AddEndpointBehind", func() (event.Endpoint, error) { return f.next.AddEndpointBehind(ctx, e, maxEndpoints) })
}

// Endpoint implements [store.Control].
func (f *Faulty) Endpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID) (event.Endpoint, error) {
	return get(f, "Endpoint", func() (event.Endpoint, error) { return f.next.Endpoint(ctx, tenant, id) })
}

// Endpoints implements [store.Control].
func (f *Faulty) Endpoints(ctx context.Context, tenant event.TenantID, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	return get(f, "Endpoints", func() ([]event.Endpoint, error) { return f.next.Endpoints(ctx, tenant, after, limit) })
}

// EndpointsByID implements [store.Control].
func (f *Faulty) EndpointsByID(ctx context.Context, ids []event.EndpointID) ([]event.Endpoint, error) {
	return get(f, "EndpointsByID", func() ([]event.Endpoint, error) { return f.next.EndpointsByID(ctx, ids) })
}

// DeleteEndpoint implements [store.Control].
func (f *Faulty) DeleteEndpoint(ctx context.Context, tenant event.TenantID, id event.EndpointID, revision int64) error {
	return f.do("DeleteEndpoint", func() error { return f.next.DeleteEndpoint(ctx, tenant, id, revision) })
}

// DeletedEndpoints implements [store.Control].
func (f *Faulty) DeletedEndpoints(ctx context.Context, limit int) ([]event.EndpointID, error) {
	return get(f, "DeletedEndpoints", func() ([]event.EndpointID, error) { return f.next.DeletedEndpoints(ctx, limit) })
}

// ForgetEndpoint implements [store.Control].
func (f *Faulty) ForgetEndpoint(ctx context.Context, id event.EndpointID) error {
	return f.do("ForgetEndpoint", func() error { return f.next.ForgetEndpoint(ctx, id) })
}

// PutType implements [store.Control].
func (f *Faulty) PutType(ctx context.Context, t event.Type, revision int64) (event.Type, error) {
	return get(f, "PutType", func() (event.Type, error) { return f.next.PutType(ctx, t, revision) })
}

// Type implements [store.Control].
func (f *Faulty) Type(ctx context.Context, tenant event.TenantID, name string) (event.Type, error) {
	return get(f, "Type", func() (event.Type, error) { return f.next.Type(ctx, tenant, name) })
}

// Types implements [store.Control].
func (f *Faulty) Types(ctx context.Context, tenant event.TenantID, after string, limit int) ([]event.Type, error) {
	return get(f, "Types", func() ([]event.Type, error) { return f.next.Types(ctx, tenant, after, limit) })
}

// DeleteType implements [store.Control].
func (f *Faulty) DeleteType(ctx context.Context, tenant event.TenantID, name string, revision int64) error {
	return f.do("DeleteType", func() error { return f.next.DeleteType(ctx, tenant, name, revision) })
}

// PutAPIKey implements [store.Control].
func (f *Faulty) PutAPIKey(ctx context.Context, k event.APIKey) error {
	return f.do("PutAPIKey", func() error { return f.next.PutAPIKey(ctx, k) })
}

// ReplaceAPIKey implements [store.Control].
func (f *Faulty) ReplaceAPIKey(ctx context.Context, k event.APIKey, hash [32]byte) error {
	return f.do("ReplaceAPIKey", func() error { return f.next.ReplaceAPIKey(ctx, k, hash) })
}

// APIKeyByHash implements [store.Control].
func (f *Faulty) APIKeyByHash(ctx context.Context, hash [32]byte) (event.APIKey, error) {
	return get(f, "APIKeyByHash", func() (event.APIKey, error) { return f.next.APIKeyByHash(ctx, hash) })
}

// APIKey implements [store.Control].
func (f *Faulty) APIKey(ctx context.Context, id int64) (event.APIKey, error) {
	return get(f, "APIKey", func() (event.APIKey, error) { return f.next.APIKey(ctx, id) })
}

// APIKeys implements [store.Control].
func (f *Faulty) APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error) {
	return get(f, "APIKeys", func() ([]event.APIKey, error) { return f.next.APIKeys(ctx, after, limit) })
}

// DeleteAPIKey implements [store.Control].
func (f *Faulty) DeleteAPIKey(ctx context.Context, id int64) error {
	return f.do("DeleteAPIKey", func() error { return f.next.DeleteAPIKey(ctx, id) })
}

// PutTokenKey implements [store.Control].
func (f *Faulty) PutTokenKey(ctx context.Context, k event.TokenKey) error {
	return f.do("PutTokenKey", func() error { return f.next.PutTokenKey(ctx, k) })
}

// TokenKeys implements [store.Control].
func (f *Faulty) TokenKeys(ctx context.Context, tenant event.TenantID) ([]event.TokenKey, error) {
	return get(f, "TokenKeys", func() ([]event.TokenKey, error) { return f.next.TokenKeys(ctx, tenant) })
}

// RetireTokenKeys implements [store.Control].
func (f *Faulty) RetireTokenKeys(ctx context.Context, tenant event.TenantID, except string, at time.Time) error {
	return f.do("RetireTokenKeys", func() error { return f.next.RetireTokenKeys(ctx, tenant, except, at) })
}

// TrimTokenKeys implements [store.Control].
func (f *Faulty) TrimTokenKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimTokenKeys", func() (int, error) { return f.next.TrimTokenKeys(ctx, before, limit) })
}

// Answer implements [store.Control].
func (f *Faulty) Answer(ctx context.Context, scope, key string) (store.Answer, error) {
	return get(f, "Answer", func() (store.Answer, error) { return f.next.Answer(ctx, scope, key) })
}

// SaveAnswer implements [store.Control].
func (f *Faulty) SaveAnswer(ctx context.Context, scope, key string, a store.Answer) error {
	return f.do("SaveAnswer", func() error { return f.next.SaveAnswer(ctx, scope, key, a) })
}

// TrimAnswers implements [store.Control].
func (f *Faulty) TrimAnswers(ctx context.Context, before time.Time, limit int) (int, error) {
	return get(f, "TrimAnswers", func() (int, error) { return f.next.TrimAnswers(ctx, before, limit) })
}

// Backup implements [store.Store].
func (f *Faulty) Backup(ctx context.Context, dir string, progress func(done, total int64)) error {
	return f.do("Backup", func() error { return f.next.Backup(ctx, dir, progress) })
}

// Ready implements [store.Store].
func (f *Faulty) Ready(ctx context.Context) error {
	return f.do("Ready", func() error { return f.next.Ready(ctx) })
}

// Close implements [store.Store].
func (f *Faulty) Close() error {
	return f.do("Close", func() error { return f.next.Close() })
}
