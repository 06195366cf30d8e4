package rest_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// fake is every port in memory. With fail set, each of its methods returns that error.
type fake struct {
	mu        sync.Mutex
	fail      error
	failKey   bool // fail also in Authenticate and Tenant
	tenants   map[string]*event.Tenant
	endpoints map[event.EndpointID]event.Endpoint
	secrets   map[event.EndpointID]event.Secrets
	types     map[string]event.Type
	keys      map[int64]event.APIKey
	bearers   map[string]event.APIKey
	events    []event.Event
	oldest    int64
	attempts  []event.Attempt
	dead      []event.DeadLetter
	answers   map[string]rest.Answer
	published map[string][]event.Receipt
	resent    []string
	replays   []event.ReplayRange
	tested    []event.Event
	view      event.LaneView
	queues    fakeQueues
	sources   fakeSources
	bins      fakeBins
	audit     fakeAudit
	conflicts int // updates that still fail with KindPrecondition
	publish   func(ctx context.Context, events []event.Event) error
	listening listening
	outlook   fakeOutlook
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)

func newFake() *fake {
	f := &fake{}
	f.reset()
	return f
}

// reset makes f as new.
func (f *fake) reset() {
	defer f.lock()()
	f.fail, f.failKey, f.conflicts, f.publish, f.oldest = nil, false, 0, nil, 1
	f.tenants = map[string]*event.Tenant{}
	f.endpoints = map[event.EndpointID]event.Endpoint{}
	f.secrets = map[event.EndpointID]event.Secrets{}
	f.types = map[string]event.Type{}
	f.keys = map[int64]event.APIKey{}
	f.bearers = map[string]event.APIKey{}
	f.answers = map[string]rest.Answer{}
	f.published = map[string][]event.Receipt{}
	f.events, f.attempts, f.dead, f.resent, f.replays, f.tested = nil, nil, nil, nil, nil, nil
	f.queues.reset(f)
	f.sources.reset(f)
	f.bins.reset(f)
	f.audit.reset()
	f.view = event.LaneView{State: "live"}
	f.listening = listening{changed: make(chan struct{}), origins: rest.OriginAllowed([]string{"https://app.example"}, "")}
	for i, name := range []string{"acme", "other"} {
		f.tenants[name] = &event.Tenant{ID: event.TenantID(i + 1), Name: name, Created: start, Updated: start, Revision: 3}
	}
	f.bearer("admin", event.APIKey{Admin: true})
	f.bearer("reader", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowRead}})
	f.bearer("manager", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowManage}})
	f.bearer("publisher", event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowPublish}})
	f.bearer("foreign", event.APIKey{Tenant: 2, Allow: []event.Permission{event.AllowPublish, event.AllowRead, event.AllowManage}})
}

func (f *fake) bearer(name string, k event.APIKey) {
	k.ID = int64(1)<<41 + int64(len(f.bearers))
	k.Name, k.Created, k.Hint = name, start, "phk_"+name[:2]
	f.bearers[name] = k
	f.keys[k.ID] = k
}

func (f *fake) lock() func() { f.mu.Lock(); return f.mu.Unlock }

func (f *fake) Publish(ctx context.Context, t *event.Tenant, events []event.Event, key string, fingerprint [32]byte) ([]event.Receipt, error) {
	defer f.lock()()
	if f.fail != nil {
		return nil, f.fail
	}
	if f.publish != nil {
		if err := f.publish(ctx, events); err != nil {
			return nil, err
		}
	}
	if key != "" {
		if kept, ok := f.published[key+string(fingerprint[:])]; ok {
			return kept, nil
		}
	}
	out := make([]event.Receipt, 0, len(events))
	for i := range events {
		e := events[i]
		if at := slices.IndexFunc(f.events, func(x event.Event) bool { return x.ID == e.ID && x.Tenant == t.ID }); e.ID != "" && at >= 0 {
			out = append(out, event.Receipt{ID: e.ID, Version: f.events[at].Version, Duplicate: true})
			continue
		}
		if e.ID == "" {
			e.ID = "id-" + strconv.Itoa(len(f.events)+1)
		}
		e.Tenant, e.Version, e.Received = t.ID, int64(len(f.events)+1), start.Add(time.Duration(len(f.events))*time.Second)
		e.Data = bytes.Clone(e.Data)
		if e.Source == "" {
			e.Source = "/test"
		}
		if e.Time.IsZero() {
			e.Time = e.Received
		}
		f.events = append(f.events, e)
		out = append(out, event.Receipt{ID: e.ID, Version: e.Version})
	}
	f.listening.change()
	if key != "" {
		kept := slices.Clone(out)
		for i := range kept {
			kept[i].Duplicate = true
		}
		f.published[key+string(fingerprint[:])] = kept
	}
	return out, nil
}

func (f *fake) Authenticate(_ context.Context, bearer string) (event.APIKey, error) {
	defer f.lock()()
	if f.failKey {
		return event.APIKey{}, f.fail
	}
	k, ok := f.bearers[bearer]
	if !ok {
		return k, event.Errorf(event.KindUnauthorized, "unauthorized", "this API key is unknown or has ended")
	}
	return k, nil
}

func (f *fake) CreateTenant(_ context.Context, t event.Tenant) (event.Tenant, error) {
	defer f.lock()()
	if f.fail != nil {
		return t, f.fail
	}
	if f.tenants[t.Name] != nil {
		return t, event.Errorf(event.KindConflict, "conflict", "there is a tenant of this name already")
	}
	t.ID, t.Created, t.Updated, t.Revision = event.TenantID(len(f.tenants)+1), start, start, 1
	f.tenants[t.Name] = &t
	return t, nil
}

func (f *fake) Tenant(_ context.Context, name string) (*event.Tenant, error) {
	defer f.lock()()
	if f.failKey {
		return nil, f.fail
	}
	if t := f.tenants[name]; t != nil {
		return t, nil
	}
	return nil, event.NotFound("tenant")
}

func (f *fake) Tenants(_ context.Context, after string, limit int) ([]event.Tenant, error) {
	defer f.lock()()
	var list []event.Tenant
	for name, t := range f.tenants {
		if name > after {
			list = append(list, *t)
		}
	}
	slices.SortFunc(list, func(a, b event.Tenant) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(limit, len(list))], f.fail
}

// precondition compares revisions as a store does.
func (f *fake) precondition(asked, stored int64) error {
	if f.fail != nil {
		return f.fail
	}
	if f.conflicts > 0 {
		f.conflicts--
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "another revision is stored")
	}
	if asked != 0 && asked != stored {
		return event.Errorf(event.KindPrecondition, "revision_mismatch", "another revision is stored")
	}
	return nil
}

func (f *fake) UpdateTenant(_ context.Context, t event.Tenant, revision int64) (event.Tenant, error) {
	defer f.lock()()
	if err := f.precondition(revision, f.tenants[t.Name].Revision); err != nil {
		return t, err
	}
	t.Revision, t.Updated = f.tenants[t.Name].Revision+1, start.Add(time.Hour)
	f.tenants[t.Name] = &t
	return t, nil
}

func (f *fake) DeleteTenant(_ context.Context, name string, revision int64) error {
	defer f.lock()()
	if err := f.precondition(revision, f.tenants[name].Revision); err != nil {
		return err
	}
	delete(f.tenants, name)
	return nil
}

func (f *fake) CreateEndpoint(_ context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets) (event.Endpoint, error) {
	defer f.lock()()
	if f.fail != nil {
		return e, f.fail
	}
	if !strings.HasPrefix(e.URL, "http") {
		return e, event.Invalid("url", "must be an http or https URL")
	}
	e.ID, e.Tenant, e.Created, e.Updated, e.Revision = event.EndpointID(int64(1)<<42+int64(len(f.endpoints))), t.ID, start, start, 1
	s.Signing = []event.SigningSecret{{Secret: "whsec_" + strings.Repeat("c2Vj", 8)}}
	f.endpoints[e.ID], f.secrets[e.ID] = e, s
	return e, nil
}

func (f *fake) CreateEndpointFrom(ctx context.Context, t *event.Tenant, e event.Endpoint, s event.Secrets, version int64) (event.Endpoint, error) {
	e.Start = version - 1
	return f.CreateEndpoint(ctx, t, e, s)
}

func (f *fake) Endpoint(_ context.Context, t *event.Tenant, id event.EndpointID) (event.Endpoint, error) {
	defer f.lock()()
	e, ok := f.endpoints[id]
	if f.fail != nil {
		return e, f.fail
	}
	if !ok || e.Tenant != t.ID {
		return e, event.NotFound("endpoint")
	}
	return e, nil
}

func (f *fake) Endpoints(_ context.Context, t *event.Tenant, after event.EndpointID, limit int) ([]event.Endpoint, error) {
	defer f.lock()()
	var list []event.Endpoint
	for id, e := range f.endpoints {
		if id > after && e.Tenant == t.ID {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b event.Endpoint) int { return int(a.ID - b.ID) })
	return list[:min(limit, len(list))], f.fail
}

func (f *fake) UpdateEndpoint(_ context.Context, _ *event.Tenant, e event.Endpoint, s *event.Secrets, revision int64) (event.Endpoint, error) {
	defer f.lock()()
	stored := f.endpoints[e.ID]
	if err := f.precondition(revision, stored.Revision); err != nil {
		return e, err
	}
	e.Revision, e.Updated = stored.Revision+1, start.Add(time.Hour)
	f.endpoints[e.ID] = e
	if s != nil {
		n := *s
		n.Signing = f.secrets[e.ID].Signing
		f.secrets[e.ID] = n
	}
	return e, nil
}

func (f *fake) DeleteEndpoint(_ context.Context, _ *event.Tenant, id event.EndpointID, revision int64) error {
	defer f.lock()()
	if err := f.precondition(revision, f.endpoints[id].Revision); err != nil {
		return err
	}
	delete(f.endpoints, id)
	return nil
}

func (f *fake) SetDisabled(_ context.Context, _ *event.Tenant, id event.EndpointID, disabled bool, reason string) (event.Endpoint, error) {
	defer f.lock()()
	e := f.endpoints[id]
	e.Disabled, e.DisabledReason = disabled, reason
	e.Revision++
	f.endpoints[id] = e
	return e, f.fail
}

func (f *fake) Secrets(_ context.Context, e *event.Endpoint) (event.Secrets, error) {
	defer f.lock()()
	return f.secrets[e.ID], f.fail
}

func (f *fake) RotateSecret(_ context.Context, _ *event.Tenant, id event.EndpointID, secret string, overlap time.Duration) (event.Secrets, error) {
	defer f.lock()()
	if f.fail != nil {
		return event.Secrets{}, f.fail
	}
	s := f.secrets[id]
	if secret == "" {
		secret = "whsec_" + strings.Repeat("bmV3", 8)
	}
	old := s.Signing[0]
	old.Expires = time.Now().Add(overlap)
	s.Signing = []event.SigningSecret{{Secret: secret}, old}
	f.secrets[id] = s
	return s, nil
}

func (f *fake) CreateType(_ context.Context, t *event.Tenant, et event.Type) (event.Type, error) {
	defer f.lock()()
	if f.fail != nil {
		return et, f.fail
	}
	if _, ok := f.types[et.Name]; ok {
		return et, event.Errorf(event.KindConflict, "conflict", "there is an event type of this name already")
	}
	et.Tenant, et.Created, et.Updated, et.Revision = t.ID, start, start, 1
	f.types[et.Name] = et
	return et, nil
}

func (f *fake) Type(_ context.Context, _ *event.Tenant, name string) (event.Type, error) {
	defer f.lock()()
	et, ok := f.types[name]
	if f.fail != nil {
		return et, f.fail
	}
	if !ok {
		return et, event.NotFound("event type")
	}
	return et, nil
}

func (f *fake) Types(_ context.Context, _ *event.Tenant, after string, limit int) ([]event.Type, error) {
	defer f.lock()()
	var list []event.Type
	for name, t := range f.types {
		if name > after {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b event.Type) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(limit, len(list))], f.fail
}

func (f *fake) UpdateType(_ context.Context, _ *event.Tenant, et event.Type, revision int64) (event.Type, error) {
	defer f.lock()()
	if err := f.precondition(revision, f.types[et.Name].Revision); err != nil {
		return et, err
	}
	et.Revision, et.Updated = f.types[et.Name].Revision+1, start.Add(time.Hour)
	f.types[et.Name] = et
	return et, nil
}

func (f *fake) DeleteType(_ context.Context, _ *event.Tenant, name string, revision int64) error {
	defer f.lock()()
	if _, ok := f.types[name]; !ok && f.fail == nil {
		return event.NotFound("event type")
	}
	if err := f.precondition(revision, f.types[name].Revision); err != nil {
		return err
	}
	delete(f.types, name)
	return nil
}

func (f *fake) CreateAPIKey(_ context.Context, k event.APIKey) (event.APIKey, string, error) {
	defer f.lock()()
	if f.fail != nil {
		return k, "", f.fail
	}
	k.ID, k.Created, k.Hint = int64(1)<<43+int64(len(f.keys)), start, "phk_abcd"
	f.keys[k.ID] = k
	return k, "phk_abcdefgh" + strconv.Itoa(len(f.keys)), nil
}

func (f *fake) APIKey(_ context.Context, id int64) (event.APIKey, error) {
	defer f.lock()()
	k, ok := f.keys[id]
	if f.fail != nil {
		return k, f.fail
	}
	if !ok {
		return k, event.NotFound("API key")
	}
	return k, nil
}

func (f *fake) APIKeys(_ context.Context, after int64, limit int) ([]event.APIKey, error) {
	defer f.lock()()
	var list []event.APIKey
	for id, k := range f.keys {
		if id > after {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b event.APIKey) int { return int(a.ID - b.ID) })
	return list[:min(limit, len(list))], f.fail
}

func (f *fake) RotateAPIKey(_ context.Context, id int64, overlap time.Duration) (event.APIKey, string, error) {
	defer f.lock()()
	k, ok := f.keys[id]
	if f.fail != nil {
		return k, "", f.fail
	}
	if !ok {
		return k, "", event.NotFound("API key")
	}
	k.Hint, k.PreviousExpires = "phk_efgh", time.Now().Add(overlap)
	f.keys[id] = k
	return k, "phk_efghijkl", nil
}

func (f *fake) DeleteAPIKey(_ context.Context, id int64) error {
	defer f.lock()()
	if f.fail != nil {
		return f.fail
	}
	if _, ok := f.keys[id]; !ok {
		return event.NotFound("API key")
	}
	delete(f.keys, id)
	return nil
}

func (f *fake) TenantName(_ context.Context, id event.TenantID) (string, error) {
	defer f.lock()()
	for name, t := range f.tenants {
		if t.ID == id {
			return name, nil
		}
	}
	return "", event.NotFound("tenant")
}

func (f *fake) View(context.Context, *event.Endpoint) (event.LaneView, error) {
	defer f.lock()()
	return f.view, f.fail
}

func (f *fake) State(*event.Endpoint) string {
	defer f.lock()()
	return f.view.State
}

func (f *fake) ResetPenalty(context.Context, *event.Endpoint) error { return f.fail }

func (f *fake) Resend(_ context.Context, e *event.Endpoint, version int64) error {
	defer f.lock()()
	f.resent = append(f.resent, e.ID.String()+" "+strconv.FormatInt(version, 10))
	return f.fail
}

func (f *fake) Replay(_ context.Context, _ *event.Endpoint, r event.ReplayRange) (event.ReplayView, error) {
	defer f.lock()()
	f.replays = append(f.replays, r)
	return event.ReplayView{ID: 1 << 44, From: r.From, To: r.To, Cursor: r.From - 1, OnlyFailed: r.OnlyFailed}, f.fail
}

func (f *fake) Test(_ context.Context, e *event.Endpoint, ev *event.Event) (event.Attempt, error) {
	defer f.lock()()
	f.tested = append(f.tested, *ev)
	if ev.Type == "nobody.answers" {
		return event.Attempt{Endpoint: e.ID, EventID: ev.ID, Number: 1, At: start, Verdict: event.VerdictRetry, Error: "connection refused"}, f.fail
	}
	return event.Attempt{
		Endpoint: e.ID, EventID: ev.ID, Number: 1, At: start, Duration: 12345 * time.Microsecond, Status: 500, Verdict: event.VerdictRetry,
		Headers: []event.Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}}, Body: []byte("no \xff"),
	}, f.fail
}

func (f *fake) Targets(context.Context, *event.Event) ([]*event.Endpoint, error) {
	defer f.lock()()
	var list []*event.Endpoint
	for _, e := range f.endpoints {
		list = append(list, &e)
	}
	return list, f.fail
}
