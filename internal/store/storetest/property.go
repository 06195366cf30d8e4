package storetest

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

type propertyOptions struct {
	reopen bool // close and open the store after each step
	faults bool // some calls fail before or after their effect
}

// step is one call with fixed arguments; it runs against the store and against the model.
type step struct {
	name string
	run  func(ctx context.Context, s store.Store) (any, error)
}

var errInjected = errors.New("injected fault")

// testProperty drives a store and a Model with the same random steps and compares every answer and, at the end of a
// run (after each step when it opens the store anew), everything that can be read.
func testProperty(t *testing.T, open Open, o propertyOptions) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one folder a run
		noError(t, err)
		w := &world{t: t, open: open, dir: dir, model: NewModel(), o: o}
		w.s = NewFaulty(open(t, dir), nil)
		defer func() { noError(t, w.s.Close()) }()
		most := 30
		if o.reopen {
			most = 8
		}
		for range rapid.IntRange(1, most).Draw(rt, "steps") {
			w.now += rapid.IntRange(0, 3).Draw(rt, "seconds")
			st := w.draw(rt)
			w.step(rt, st)
			if o.reopen {
				w.reopen(rt)
				w.compareAll(rt)
			}
		}
		w.compareAll(rt)
		w.reopen(rt)
		w.compareAll(rt)
	})
}

type world struct {
	t     *testing.T
	open  Open
	dir   string
	s     *Faulty
	model *Model
	o     propertyOptions
	now   int // seconds of clock
}

func (w *world) reopen(rt *rapid.T) {
	if err := w.s.Close(); err != nil {
		rt.Fatal(err)
	}
	w.s = NewFaulty(w.open(w.t, w.dir), nil)
	w.model.Reopen()
}

// step runs a step, with a fault of the drawn kind, and holds the outcome against the model's.
func (w *world) step(rt *rapid.T, st step) {
	fault := "none"
	if w.o.faults {
		fault = rapid.SampledFrom([]string{"none", "before", "after"}).Draw(rt, "fault")
	}
	ctx := w.t.Context()
	switch fault {
	case "before":
		w.s.SetRule(only(st.name, Fault{Before: errInjected}))
		calls := w.s.Calls(st.name)
		_, err := st.run(ctx, w.s)
		w.s.SetRule(nil)
		if w.s.Calls(st.name) > calls && !errors.Is(err, errInjected) {
			rt.Fatalf("%s: the fault is lost: %v", st.name, err)
		}
		return // nothing happened
	case "after":
		w.s.SetRule(only(st.name, Fault{After: errInjected}))
		calls := w.s.Calls(st.name)
		_, err := st.run(ctx, w.s)
		w.s.SetRule(nil)
		_, want := st.run(ctx, w.model)
		if want == nil && w.s.Calls(st.name) > calls && !errors.Is(err, errInjected) {
			rt.Fatalf("%s: the fault is lost: %v", st.name, err)
		}
		return
	}
	got, err := st.run(ctx, w.s)
	want, wantErr := st.run(ctx, w.model)
	if a, b := class(err), class(wantErr); a != b {
		rt.Fatalf("%s: the error is %v, want %v", st.name, err, wantErr)
	}
	if err != nil {
		return
	}
	if d := cmp.Diff(want, got, unnumbered, lenient); d != "" {
		rt.Fatalf("%s differs (-model +store):\n%s", st.name, d)
	}
}

// only makes a rule for one method.
func only(method string, fault Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.Method == method {
			return fault
		}
		return Fault{}
	}
}

func (w *world) compareAll(rt *rapid.T) {
	want, err := takeDump(w.t.Context(), w.model)
	if err != nil {
		rt.Fatal(err)
	}
	got, err := takeDump(w.t.Context(), w.s)
	if err != nil {
		rt.Fatal(err)
	}
	if d := cmp.Diff(want, got, unnumbered, lenient); d != "" {
		rt.Fatalf("the store differs (-model +store):\n%s", d)
	}
}

// errClass is what of an error callers act on.
type errClass struct {
	failed bool
	kind   event.Kind
	code   string
	fenced bool
}

func class(err error) errClass {
	if err == nil {
		return errClass{}
	}
	c := errClass{failed: true, kind: event.KindOf(err), fenced: errors.Is(err, store.ErrFenced)}
	if e, ok := errors.AsType[*event.Error](err); ok {
		c.code = e.Code
	}
	return c
}

func (w *world) draw(rt *rapid.T) step {
	kinds := []func(*rapid.T) step{
		w.drawAppend, w.drawAppend, w.drawAppend, w.drawRead, w.drawRead, w.drawTrim, w.drawRecord, w.drawRecord, w.drawAttempts,
		w.drawTenant, w.drawEndpoint, w.drawType, w.drawKey, w.drawTokenKey, w.drawPortal, w.drawSession, w.drawQueue, w.drawQueue, w.drawAnswer, w.drawAudit, w.drawTrimState,
		w.drawSource, w.drawBin, w.drawBin, w.drawCapture, w.drawCapture, w.drawCapture,
	}
	return rapid.SampledFrom(kinds).Draw(rt, "kind")(rt)
}

func drawTenantID(rt *rapid.T) event.TenantID {
	return event.TenantID(rapid.IntRange(1, worldTenants).Draw(rt, "tenant"))
}

func (w *world) drawAppend(rt *rapid.T) step {
	req := store.AppendRequest{Tenant: drawTenantID(rt)}
	for range rapid.IntRange(0, 4).Draw(rt, "events") {
		id := rapid.SampledFrom([]string{
			"a", "b", "c", "d", "e", "f", "ä", "", "0199b3c4-1234-7abc-8def-0123456789ab", "0199b3c4-1234-7abc-8def-0123456789ac",
		}).Draw(rt, "id")
		e := ev(id)
		e.Time = clock(w.now)
		e.Data = rapid.SampledFrom([][]byte{nil, {}, []byte("{}"), make([]byte, 5000)}).Draw(rt, "data")
		e.Channels = rapid.SampledFrom([][]string{nil, {"x"}, {"x", "y"}}).Draw(rt, "channels")
		if rapid.IntRange(0, 3).Draw(rt, "origin") == 0 {
			e.Origin = &event.Request{Head: []byte("POST / HTTP/1.1\r\n"), Body: e.Data, URL: id}
		}
		req.Events = append(req.Events, e)
	}
	req.IdempotencyKey = rapid.SampledFrom([]string{"", "", "", "k1", "k2"}).Draw(rt, "key")
	req.Fingerprint = [32]byte{byte(rapid.IntRange(0, 1).Draw(rt, "fingerprint"))}
	at := clock(w.now)
	return step{"Append", func(ctx context.Context, s store.Store) (any, error) { return s.Append(ctx, at, req) }}
}

func (w *world) drawRead(rt *rapid.T) step {
	tenant := drawTenantID(rt)
	from, limit := rapid.Int64Range(0, 20).Draw(rt, "from"), rapid.IntRange(1, 6).Draw(rt, "limit")
	at := clock(rapid.IntRange(0, w.now+1).Draw(rt, "at"))
	id := rapid.SampledFrom([]string{"a", "b", "c", "ä"}).Draw(rt, "id")
	// Through is a seq: only its place among the tenant's events counts.
	page := func(p store.Page, err error) (any, error) {
		return []any{p.Events, p.Oldest, p.Head, p.Through > 0}, err
	}
	return rapid.SampledFrom([]step{
		{"ReadTenant", func(ctx context.Context, s store.Store) (any, error) {
			return page(s.ReadTenant(ctx, tenant, from, limit, unbounded))
		}},
		{"ReadTenantBack", func(ctx context.Context, s store.Store) (any, error) {
			return page(s.ReadTenantBack(ctx, tenant, from, limit))
		}},
		{"VersionAt", func(ctx context.Context, s store.Store) (any, error) { return s.VersionAt(ctx, tenant, at) }},
		{"Event", func(ctx context.Context, s store.Store) (any, error) { return s.Event(ctx, tenant, id) }},
		{"Events", func(ctx context.Context, s store.Store) (any, error) {
			return s.Events(ctx, tenant, []int64{from, 1, from + 1, 3})
		}},
		{"ReadPartition", func(ctx context.Context, s store.Store) (any, error) { return readPages(ctx, s, limit) }},
	}).Draw(rt, "read")
}

// readPages reads the whole partition in pages and checks that Seq ascends.
func readPages(ctx context.Context, s store.Store, limit int) ([]event.Event, error) {
	var out []event.Event
	after := int64(0)
	for {
		list, err := s.ReadPartition(ctx, 0, after, limit, unbounded)
		if err != nil || len(list) == 0 {
			return out, err
		}
		for i := range list {
			if list[i].Seq <= after {
				return nil, errors.New("seqs do not ascend")
			}
			after = list[i].Seq
		}
		out = append(out, list...)
	}
}

func (w *world) drawTrim(rt *rapid.T) step {
	tenant, limit := drawTenantID(rt), rapid.IntRange(0, 5).Draw(rt, "limit")
	p := store.TrimPolicy{KeepSince: clock(rapid.IntRange(0, w.now+1).Draw(rt, "keepSince"))}
	if rapid.Bool().Draw(rt, "byAge") {
		p.Before = clock(rapid.IntRange(0, w.now+1).Draw(rt, "before"))
	} else {
		p.MaxBytes = 1
	}
	keep := rapid.IntRange(0, 10).Draw(rt, "keep")
	return rapid.SampledFrom([]step{
		{"TrimLog", func(ctx context.Context, s store.Store) (any, error) {
			policy := p
			list, err := s.ReadPartition(ctx, 0, 0, keep, unbounded)
			if err != nil {
				return nil, err
			}
			if len(list) > 0 {
				policy.Keep = list[len(list)-1].Seq
			}
			return s.TrimLog(ctx, policy, limit)
		}},
		{"DeleteTenantEvents", func(ctx context.Context, s store.Store) (any, error) {
			return s.DeleteTenantEvents(ctx, tenant, limit)
		}},
	}).Draw(rt, "trim")
}

func drawEndpointID(rt *rapid.T) event.EndpointID {
	return event.EndpointID(rapid.IntRange(1, worldEndpoints).Draw(rt, "endpoint"))
}

func drawVersions(rt *rapid.T) []int64 {
	list := rapid.SliceOfNDistinct(rapid.SampledFrom(worldVersions), 1, 4, rapid.ID[int64]).Draw(rt, "versions")
	slices.Sort(list)
	return list
}

var verdicts = []event.Verdict{event.VerdictDelivered, event.VerdictRetry, event.VerdictFailed}

func (w *world) drawRecord(rt *rapid.T) step {
	some := func(name string) int { return rapid.IntRange(0, 2).Draw(rt, name) }
	key := func() event.LaneKey {
		return event.LaneKey{Endpoint: drawEndpointID(rt), Replay: int64(rapid.IntRange(0, 1).Draw(rt, "replay"))}
	}
	r := store.Record{Position: rapid.Int64Range(0, 2).Draw(rt, "position")}
	for range some("attempts") {
		r.Attempts = append(r.Attempts, attempt(drawEndpointID(rt), clock(w.now), rapid.SampledFrom(verdicts).Draw(rt, "verdict"), drawVersions(rt)...))
	}
	for range some("retries") {
		r.Retries = append(r.Retries, event.Retry{LaneKey: key(), Versions: drawVersions(rt), Number: w.now})
	}
	for range some("dropRetries") {
		r.DropRetries = append(r.DropRetries, store.RetryKey{LaneKey: key(), Version: drawVersions(rt)[0]})
	}
	for range some("lanes") {
		r.Lanes = append(r.Lanes, event.LaneState{LaneKey: key(), Cursor: int64(w.now), Done: drawVersions(rt)})
	}
	for range some("dropLanes") {
		r.DropLanes = append(r.DropLanes, key())
	}
	for range some("dead") {
		r.Dead = append(r.Dead, event.DeadLetter{Tenant: 1, Endpoint: drawEndpointID(rt), Version: drawVersions(rt)[0], At: clock(w.now), Reason: "gone"})
	}
	for range some("dropDead") {
		r.DropDead = append(r.DropDead, store.DeadKey{Endpoint: drawEndpointID(rt), Version: drawVersions(rt)[0]})
	}
	stale := rapid.IntRange(0, 9).Draw(rt, "stale") == 0
	return step{"SaveRecord", func(ctx context.Context, s store.Store) (any, error) {
		rec := r
		// A position is at most the log's end.
		list, err := s.ReadPartition(ctx, 0, 0, int(r.Position), unbounded)
		if err != nil {
			return nil, err
		}
		if rec.Position = 0; len(list) > 0 {
			rec.Position = list[len(list)-1].Seq
		}
		leases, err := s.Acquire(ctx, "node", clock(0), time.Minute)
		if err != nil {
			return nil, err
		}
		rec.Lease = leases[0]
		if stale {
			rec.Lease.Epoch--
		}
		return nil, s.SaveRecord(ctx, rec)
	}}
}

func (w *world) drawAttempts(rt *rapid.T) step {
	e, version, limit := drawEndpointID(rt), drawVersions(rt)[0], rapid.IntRange(1, 4).Draw(rt, "limit")
	only := rapid.SampledFrom([][]event.Verdict{nil, {event.VerdictRetry}, {event.VerdictRetry, event.VerdictFailed}}).Draw(rt, "verdicts")
	return rapid.SampledFrom([]step{
		{"AttemptsOfEvent", func(ctx context.Context, s store.Store) (any, error) {
			var out []event.Attempt
			before := int64(0)
			for {
				list, err := s.AttemptsOfEvent(ctx, 1, version, before, limit)
				if err != nil || len(list) == 0 {
					return out, err
				}
				out = append(out, list...)
				before = list[len(list)-1].ID
			}
		}},
		{"AttemptsOfEndpoint", func(ctx context.Context, s store.Store) (any, error) {
			var out []event.Attempt
			before := int64(0)
			for {
				list, next, err := s.AttemptsOfEndpoint(ctx, e, only, before, limit)
				out = append(out, list...)
				if err != nil || next == 0 {
					return out, err
				}
				before = next
			}
		}},
		{"OutcomesOfEndpoint", func(ctx context.Context, s store.Store) (any, error) {
			var out []event.Outcome
			before := int64(0)
			for {
				list, next, err := s.OutcomesOfEndpoint(ctx, e, before, limit)
				out = append(out, list...)
				if err != nil || next == 0 {
					return out, err
				}
				before = next
			}
		}},
		{"DeadLetters", func(ctx context.Context, s store.Store) (any, error) { return s.DeadLetters(ctx, e, version-1, limit) }},
	}).Draw(rt, "attempts")
}

func (w *world) drawTrimState(rt *rapid.T) step {
	limit, before := rapid.IntRange(0, 5).Draw(rt, "limit"), clock(rapid.IntRange(0, w.now+1).Draw(rt, "before"))
	e := drawEndpointID(rt)
	return rapid.SampledFrom([]step{
		{"TrimAttempts", func(ctx context.Context, s store.Store) (any, error) { return s.TrimAttempts(ctx, before, limit) }},
		{"DeleteEndpointState", func(ctx context.Context, s store.Store) (any, error) {
			return s.DeleteEndpointState(ctx, e, 1000) // which rows go first is the store's choice
		}},
		{"TrimAnswers", func(ctx context.Context, s store.Store) (any, error) { return s.TrimAnswers(ctx, before, 1000) }},
	}).Draw(rt, "trim")
}
