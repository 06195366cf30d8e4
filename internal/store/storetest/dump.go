package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// dump is everything that can be read from a store about the few tenants and endpoints that the property tests use.
// What a store may number as it likes (Seq, ids of tenants and attempts) is left out.
type dump struct {
	Events           []event.Event
	Bounds           map[event.TenantID][2]int64
	Stats            int64
	Position         int64
	Lanes            []event.LaneState
	Retries          []event.Retry
	Attempts         map[event.EndpointID][]event.Attempt
	Attempted        map[int64][]event.EndpointID
	Dead             map[event.EndpointID][]event.DeadLetter
	Tenants          []event.Tenant
	DeletedTenants   int
	Endpoints        map[string][]event.Endpoint
	DeletedEndpoints []event.EndpointID
	Types            map[string][]event.Type
	Keys             []event.APIKey
	Audit            []event.AuditEntry
	TokenKeys        map[string][]event.TokenKey
	Sessions         map[string][]event.Session
	Queues           map[string][]event.Queue
	QueueStates      map[event.QueueID][]any
	DeletedQueues    []event.QueueID
	QueueFloors      []store.QueueFloor
	QueueSummaries   []store.QueueSummary
	Portals          map[string]event.Portal
	Sources          map[string][]event.Source
	Bins             []event.Bin
	TenantBins       [3]int
	BinStates        map[string]binDump
}

// unnumbered leaves out what stores number as they like.
var unnumbered = cmp.Options{
	cmpopts.IgnoreFields(event.Event{}, "Seq"), cmpopts.IgnoreFields(event.Attempt{}, "ID"),
	cmpopts.IgnoreFields(event.Tenant{}, "ID"), cmpopts.IgnoreFields(event.Endpoint{}, "Tenant"), cmpopts.IgnoreFields(event.Type{}, "Tenant"),
	cmpopts.IgnoreFields(event.APIKey{}, "Tenant"), cmpopts.IgnoreFields(event.TokenKey{}, "Tenant"),
	cmpopts.IgnoreFields(event.Queue{}, "Tenant"), cmpopts.IgnoreFields(store.QueueFloor{}, "Tenant"), cmpopts.IgnoreFields(store.QueueSummary{}, "Tenant"),
	cmpopts.IgnoreFields(event.LaneState{}, "Tenant"), cmpopts.IgnoreFields(event.Source{}, "Tenant"), cmpopts.IgnoreFields(event.Portal{}, "Tenant"),
}

// The small world of the property tests.
const (
	worldTenants   = 2
	worldEndpoints = 3
)

var worldNames = []string{"a", "b", "c"}

type reader struct {
	ctx context.Context
	s   store.Store
	err error
}

func read[T any](r *reader, v T, err error) T {
	if r.err == nil {
		r.err = err
	}
	return v
}

func takeDump(ctx context.Context, s store.Store) (dump, error) {
	r := &reader{ctx: ctx, s: s}
	d := dump{Bounds: map[event.TenantID][2]int64{}, Endpoints: map[string][]event.Endpoint{}, Types: map[string][]event.Type{}, TokenKeys: map[string][]event.TokenKey{}}
	list, err := s.ReadPartition(ctx, 0, 0, 100_000, unbounded)
	d.Events = read(r, list, err)
	for t := range event.TenantID(worldTenants + 1) {
		oldest, head, err := s.Bounds(ctx, t)
		d.Bounds[t] = read(r, [2]int64{oldest, head}, err)
	}
	st, err := s.LogStats(ctx)
	d.Stats = read(r, st.Events, err)
	r.lanes(&d)
	tenants, err := s.Tenants(ctx, "", 1000)
	d.Tenants = read(r, tenants, err)
	for _, t := range d.Tenants {
		endpoints, err := s.Endpoints(ctx, t.ID, 0, 1000)
		d.Endpoints[t.Name] = read(r, endpoints, err)
		types, err := s.Types(ctx, t.ID, "", 1000)
		d.Types[t.Name] = read(r, types, err)
		tokenKeys, err := s.TokenKeys(ctx, t.ID)
		d.TokenKeys[t.Name] = read(r, tokenKeys, err)
	}
	r.queues(&d)
	r.portals(&d)
	r.inbound(&d)
	r.sessions(&d)
	deleted, err := s.DeletedTenants(ctx)
	d.DeletedTenants = len(read(r, deleted, err))
	endpoints, err := s.DeletedEndpoints(ctx, 1000)
	d.DeletedEndpoints = read(r, endpoints, err)
	d.Audit, err = allAudit(ctx, s, event.AuditQuery{Limit: 1000})
	_ = read(r, 0, err)
	keys, err := s.APIKeys(ctx, 0, 1000)
	d.Keys = read(r, keys, err)
	return d, r.err
}

func (r *reader) lanes(d *dump) {
	leases, err := r.s.Acquire(r.ctx, "dump", time.Time{}, 0)
	for _, l := range read(r, leases, err) {
		d.Position += l.Position
	}
	if r.err != nil {
		return
	}
	lanes, retries, err := r.s.LoadLanes(r.ctx, leases[0])
	sortLanes(lanes, retries)
	d.Lanes, d.Retries = read(r, lanes, err), retries
	d.Attempts, d.Dead = map[event.EndpointID][]event.Attempt{}, map[event.EndpointID][]event.DeadLetter{}
	d.Attempted = map[int64][]event.EndpointID{}
	for e := event.EndpointID(1); e <= worldEndpoints; e++ {
		list, _, err := r.s.AttemptsOfEndpoint(r.ctx, e, nil, 0, 1000)
		d.Attempts[e] = read(r, list, err)
		dead, err := r.s.DeadLetters(r.ctx, e, 0, 1000)
		d.Dead[e] = read(r, dead, err)
	}
	for _, v := range worldVersions {
		list, err := r.s.Attempted(r.ctx, 1, v)
		list = slices.Clone(read(r, list, err))
		slices.Sort(list)
		d.Attempted[v] = list
	}
}

// worldVersions lie about a border between blocks of versions.
var worldVersions = []int64{1, 2, 255, 256, 257, 600}
