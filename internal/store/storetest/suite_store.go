package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

func testContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Append(ctx, clock(0), store.AppendRequest{Tenant: 1, Events: evs("a", 1)})
	wantIs(t, err, context.Canceled)
	_, err = s.ReadPartition(ctx, 0, 0, 10, 100)
	wantIs(t, err, context.Canceled)
	_, err = s.ReadTenant(ctx, 1, 0, 10, 100)
	wantIs(t, err, context.Canceled)
	wantIs(t, s.SaveRecord(ctx, store.Record{}), context.Canceled)
	_, err = s.Tenant(ctx, "a")
	wantIs(t, err, context.Canceled)
	_, err = s.AddCapture(ctx, capture1("one", "a", clock(0)), 1, false)
	wantIs(t, err, context.Canceled)
	_, err = s.Captures(ctx, event.CaptureQuery{Bin: "one", Limit: 1})
	wantIs(t, err, context.Canceled)
	// Callers that leave while others stay do no harm.
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 {
				go cancel()
			}
			_, err := s.Append(ctx, clock(0), store.AppendRequest{Tenant: 1, Events: []event.Event{ev(string(rune('a' + i)))}})
			if err != nil && (i%2 == 1 || !errors.Is(err, context.Canceled)) {
				t.Error(err)
			}
			cancel()
		})
	}
	wg.Wait()
	list := readAll(t, s)
	if len(list) < 10 {
		t.Errorf("%d events are on the log", len(list))
	}
	for i, e := range list {
		if e.Version != int64(i+1) {
			t.Fatalf("version %d in place of %d", e.Version, i+1)
		}
	}
}

func testObserve(t *testing.T, s store.Store) {
	var mu sync.Mutex
	rows := map[string]int{}
	s.Observe(func(c store.Commit) {
		mu.Lock()
		defer mu.Unlock()
		if c.Callers < 1 || c.Took < 0 {
			t.Errorf("the commit is %+v", c)
		}
		rows[c.File] += c.Rows
	})
	lease := acquire(t, s)
	appendEvents(t, s, 1, clock(0), evs("a", 3)...)
	saveRecord(t, s, store.Record{Lease: lease, Attempts: []event.Attempt{attempt(1, clock(0), event.VerdictDelivered, 1)}})
	newBin(t, s, event.Bin{ID: "one"})
	addCaptures(t, s, "one", 2)
	noError(t, s.Close())
	mu.Lock()
	defer mu.Unlock()
	if rows["log"] < 3 || rows["state"] < 1 || rows["bins"] < 2 {
		t.Errorf("the rows heard of are %v", rows)
	}
}

func testClose(t *testing.T, s store.Store) {
	hint := s.Appended(0)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			_, err := s.Append(t.Context(), clock(0), store.AppendRequest{Tenant: 1, Events: []event.Event{ev(string(rune('a' + i)))}})
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("an append while closing gave %v", err)
			}
		})
	}
	noError(t, s.Close())
	wg.Wait()
	noError(t, s.Close())
	select {
	case <-hint:
	case <-time.After(10 * time.Second):
		t.Error("Close did not wake a waiting reader")
	}
	all := calls(s, t.TempDir())
	for m := range reflect.TypeFor[store.Store]().Methods() {
		if all[m.Name] == nil && m.Name != "Appended" && m.Name != "Observe" {
			t.Errorf("no call of %s is tried", m.Name)
		}
	}
	for name, call := range all {
		if name == "Close" {
			continue
		}
		if err := call(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close gave %v", name, err)
		}
	}
}

// calls holds a harmless call of each method that can fail.
func calls(s store.Store, dir string) map[string]func(context.Context) error {
	second := func(_ any, err error) error { return err }
	return map[string]func(context.Context) error{
		"Append": func(ctx context.Context) error {
			return second(s.Append(ctx, clock(0), store.AppendRequest{Tenant: 1, Events: evs("call", 1)}))
		},
		"Event":          func(ctx context.Context) error { return second(s.Event(ctx, 1, "x")) },
		"Events":         func(ctx context.Context) error { return second(s.Events(ctx, 1, []int64{1})) },
		"ReadTenant":     func(ctx context.Context) error { return second(s.ReadTenant(ctx, 1, 0, 1, 1)) },
		"ReadTenantBack": func(ctx context.Context) error { return second(s.ReadTenantBack(ctx, 1, 0, 1)) },
		"ReadPartition":  func(ctx context.Context) error { return second(s.ReadPartition(ctx, 0, 0, 1, 1)) },
		"Bounds": func(ctx context.Context) error {
			_, _, err := s.Bounds(ctx, 1)
			return err
		},
		"VersionAt": func(ctx context.Context) error { return second(s.VersionAt(ctx, 1, clock(0))) },
		"TrimLog": func(ctx context.Context) error {
			return second(s.TrimLog(ctx, store.TrimPolicy{Before: clock(-100)}, 1))
		},
		"DeleteTenantEvents": func(ctx context.Context) error { return second(s.DeleteTenantEvents(ctx, 88, 1)) },
		"LogStats":           func(ctx context.Context) error { return second(s.LogStats(ctx)) },
		"Acquire":            func(ctx context.Context) error { return second(s.Acquire(ctx, "n", clock(0), time.Minute)) },
		"SaveRecord":         func(ctx context.Context) error { return s.SaveRecord(ctx, store.Record{}) },
		"LoadLanes": func(ctx context.Context) error {
			_, _, err := s.LoadLanes(ctx, store.Lease{})
			return err
		},
		"Attempted":       func(ctx context.Context) error { return second(s.Attempted(ctx, 1, 1)) },
		"AttemptsOfEvent": func(ctx context.Context) error { return second(s.AttemptsOfEvent(ctx, 1, 1, 0, 1)) },
		"AttemptsOfEndpoint": func(ctx context.Context) error {
			_, _, err := s.AttemptsOfEndpoint(ctx, 1, nil, 0, 1)
			return err
		},
		"OutcomesOfEndpoint": func(ctx context.Context) error {
			_, _, err := s.OutcomesOfEndpoint(ctx, 1, 0, 1)
			return err
		},
		"AttemptAt":           func(ctx context.Context) error { return second(s.AttemptAt(ctx, clock(0))) },
		"DeadLetters":         func(ctx context.Context) error { return second(s.DeadLetters(ctx, 1, 0, 1)) },
		"TrimAttempts":        func(ctx context.Context) error { return second(s.TrimAttempts(ctx, clock(-100), 1)) },
		"DeleteEndpointState": func(ctx context.Context) error { return second(s.DeleteEndpointState(ctx, 1, 1)) },
		"PutTenant":           func(ctx context.Context) error { return second(s.PutTenant(ctx, event.Tenant{Name: "call"}, 0)) },
		"Tenant":              func(ctx context.Context) error { return second(s.Tenant(ctx, "x")) },
		"Tenants":             func(ctx context.Context) error { return second(s.Tenants(ctx, "", 1)) },
		"DeleteTenant":        func(ctx context.Context) error { return s.DeleteTenant(ctx, 99, 0) },
		"DeletedTenants":      func(ctx context.Context) error { return second(s.DeletedTenants(ctx)) },
		"ForgetTenant":        func(ctx context.Context) error { return s.ForgetTenant(ctx, 99) },
		"AddEndpointBehind": func(ctx context.Context) error {
			return second(s.AddEndpointBehind(ctx, event.Endpoint{ID: 2, Tenant: 99}, 0))
		},
		"PutEndpoint": func(ctx context.Context) error {
			return second(s.PutEndpoint(ctx, event.Endpoint{ID: 1, Tenant: 99}, 0, 0))
		},
		"Endpoint":         func(ctx context.Context) error { return second(s.Endpoint(ctx, 1, 1)) },
		"Endpoints":        func(ctx context.Context) error { return second(s.Endpoints(ctx, 1, 0, 1)) },
		"EndpointsByID":    func(ctx context.Context) error { return second(s.EndpointsByID(ctx, []event.EndpointID{1})) },
		"DeleteEndpoint":   func(ctx context.Context) error { return s.DeleteEndpoint(ctx, 1, 1, 0) },
		"DeletedEndpoints": func(ctx context.Context) error { return second(s.DeletedEndpoints(ctx, 1)) },
		"ForgetEndpoint":   func(ctx context.Context) error { return s.ForgetEndpoint(ctx, 1) },
		"PutType":          func(ctx context.Context) error { return second(s.PutType(ctx, event.Type{Tenant: 99, Name: "x"}, 0)) },
		"Type":             func(ctx context.Context) error { return second(s.Type(ctx, 1, "x")) },
		"Types":            func(ctx context.Context) error { return second(s.Types(ctx, 1, "", 1)) },
		"DeleteType":       func(ctx context.Context) error { return s.DeleteType(ctx, 1, "x", 0) },
		"AddAudit":         func(ctx context.Context) error { return second(s.AddAudit(ctx, event.AuditEntry{At: clock(0)})) },
		"CompleteAudit":    func(ctx context.Context) error { return s.CompleteAudit(ctx, event.AuditEntry{ID: 1, At: clock(0)}) },
		"DeleteAudit":      func(ctx context.Context) error { return s.DeleteAudit(ctx, 1) },
		"AuditEntries": func(ctx context.Context) error {
			_, _, err := s.AuditEntries(ctx, event.AuditQuery{Limit: 1})
			return err
		},
		"TrimAudit": func(ctx context.Context) error { return second(s.TrimAudit(ctx, clock(-100), 1)) },
		"ReplaceAPIKey": func(ctx context.Context) error {
			return s.ReplaceAPIKey(ctx, event.APIKey{ID: 1, Admin: true, Hash: [32]byte{1}}, [32]byte{1})
		},
		"PutAPIKey": func(ctx context.Context) error {
			return s.PutAPIKey(ctx, event.APIKey{ID: 1, Admin: true, Hash: [32]byte{1}})
		},
		"APIKeyByHash": func(ctx context.Context) error { return second(s.APIKeyByHash(ctx, [32]byte{})) },
		"APIKey":       func(ctx context.Context) error { return second(s.APIKey(ctx, 4)) },
		"APIKeys":      func(ctx context.Context) error { return second(s.APIKeys(ctx, 0, 1)) },
		"DeleteAPIKey": func(ctx context.Context) error { return s.DeleteAPIKey(ctx, 4) },
		"PutQueue": func(ctx context.Context) error {
			return second(s.PutQueue(ctx, event.Queue{ID: 1, Tenant: 99, Name: "x"}, 0, 0))
		},
		"Queue":            func(ctx context.Context) error { return second(s.Queue(ctx, 1, "x")) },
		"Queues":           func(ctx context.Context) error { return second(s.Queues(ctx, 1, "", 1)) },
		"DeleteQueue":      func(ctx context.Context) error { return s.DeleteQueue(ctx, 1, "x", 0) },
		"DeletedQueues":    func(ctx context.Context) error { return second(s.DeletedQueues(ctx, 1)) },
		"ForgetQueue":      func(ctx context.Context) error { return s.ForgetQueue(ctx, 1) },
		"DeleteQueueState": func(ctx context.Context) error { return second(s.DeleteQueueState(ctx, 1, 1)) },
		"SaveQueue":        func(ctx context.Context) error { return s.SaveQueue(ctx, store.QueueRecord{}) },
		"LoadQueue": func(ctx context.Context) error {
			_, _, _, err := s.LoadQueue(ctx, 1)
			return err
		},
		"QueueDead":        func(ctx context.Context) error { return second(s.QueueDead(ctx, 1, 0, 1)) },
		"TrimQueueDead":    func(ctx context.Context) error { return second(s.TrimQueueDead(ctx, clock(-100), 1)) },
		"QueueSummaries":   func(ctx context.Context) error { return second(s.QueueSummaries(ctx, 0, 1)) },
		"QueueFloors":      func(ctx context.Context) error { return second(s.QueueFloors(ctx, 1)) },
		"RaiseQueueFloors": func(ctx context.Context) error { return s.RaiseQueueFloors(ctx, nil) },
		"PutTokenKey":      func(ctx context.Context) error { return s.PutTokenKey(ctx, event.TokenKey{ID: "x", Tenant: 99}) },
		"TokenKeys":        func(ctx context.Context) error { return second(s.TokenKeys(ctx, 1)) },
		"RetireTokenKeys":  func(ctx context.Context) error { return s.RetireTokenKeys(ctx, 1, "x", clock(0)) },
		"TrimTokenKeys":    func(ctx context.Context) error { return second(s.TrimTokenKeys(ctx, clock(-100), 1)) },
		"AddSession":       func(ctx context.Context) error { return s.AddSession(ctx, event.Session{Token: "x", ID: "x"}, 1) },
		"RenewSession":     func(ctx context.Context) error { return s.RenewSession(ctx, "y", clock(0), nil) },
		"Session":          func(ctx context.Context) error { return second(s.Session(ctx, "y")) },
		"SessionByID":      func(ctx context.Context) error { return second(s.SessionByID(ctx, "y")) },
		"SessionsOf":       func(ctx context.Context) error { return second(s.SessionsOf(ctx, "y")) },
		"Sessions":         func(ctx context.Context) error { return second(s.Sessions(ctx, "", 1)) },
		"DeleteSession":    func(ctx context.Context) error { return s.DeleteSession(ctx, "y") },
		"DeleteSessionsOf": func(ctx context.Context) error { return s.DeleteSessionsOf(ctx, "y") },
		"TrimSessions":     func(ctx context.Context) error { return second(s.TrimSessions(ctx, clock(-100), 1)) },
		"PutPortal":        func(ctx context.Context) error { return second(s.PutPortal(ctx, event.Portal{Tenant: 99}, 0)) },
		"CountEndpoints":   func(ctx context.Context) error { return second(s.CountEndpoints(ctx, 0)) },
		"DisabledEndpoints": func(ctx context.Context) error {
			return second(s.DisabledEndpoints(ctx, 0, "gone", 1))
		},
		"RecentDead": func(ctx context.Context) error { return second(s.RecentDead(ctx, 0, clock(0), 1)) },
		"Portal":     func(ctx context.Context) error { return second(s.Portal(ctx, 1)) },
		"PutSource": func(ctx context.Context) error {
			return second(s.PutSource(ctx, event.Source{ID: 1, Tenant: 99, Name: "x"}, 0))
		},
		"Source":           func(ctx context.Context) error { return second(s.Source(ctx, 1, "x")) },
		"Sources":          func(ctx context.Context) error { return second(s.Sources(ctx, 1, "", 1)) },
		"DeleteSource":     func(ctx context.Context) error { return s.DeleteSource(ctx, 1, "x", 0) },
		"PutBin":           func(ctx context.Context) error { return second(s.PutBin(ctx, event.Bin{ID: "bin"}, 0)) },
		"Bin":              func(ctx context.Context) error { return second(s.Bin(ctx, "x")) },
		"Bins":             func(ctx context.Context) error { return second(s.Bins(ctx, 0, "", 1)) },
		"CountBins":        func(ctx context.Context) error { return second(s.CountBins(ctx, 0, clock(0))) },
		"BinStats":         func(ctx context.Context) error { return second(s.BinStats(ctx, "x")) },
		"DeleteBin":        func(ctx context.Context) error { return s.DeleteBin(ctx, "x", 0) },
		"DeleteTenantBins": func(ctx context.Context) error { return s.DeleteTenantBins(ctx, 88) },
		"AddCapture": func(ctx context.Context) error {
			return second(s.AddCapture(ctx, capture1("bin", "call", clock(0)), 5, false))
		},
		"Capture":     func(ctx context.Context) error { return second(s.Capture(ctx, "x", 1)) },
		"CaptureByID": func(ctx context.Context) error { return second(s.CaptureByID(ctx, "x", "y")) },
		"Captures": func(ctx context.Context) error {
			return second(s.Captures(ctx, event.CaptureQuery{Bin: "x", Limit: 1}))
		},
		"NoteCapture":    func(ctx context.Context) error { return s.NoteCapture(ctx, "bin", 1, "note") },
		"AnswerCapture":  func(ctx context.Context) error { return s.AnswerCapture(ctx, "bin", 1, event.Answer{Status: 200}) },
		"DeleteCaptures": func(ctx context.Context) error { return second(s.DeleteCaptures(ctx, "x", []int64{1})) },
		"TrimCaptures":   func(ctx context.Context) error { return second(s.TrimCaptures(ctx, clock(-100), clock(-100), 0, 1)) },
		"BinCursor":      func(ctx context.Context) error { return second(s.BinCursor(ctx, "x", "y")) },
		"SetBinCursor":   func(ctx context.Context) error { return s.SetBinCursor(ctx, "bin", "y", 3) },
		"Answer":         func(ctx context.Context) error { return second(s.Answer(ctx, "s", "k")) },
		"SaveAnswer":     func(ctx context.Context) error { return s.SaveAnswer(ctx, "s", "k", store.Answer{At: clock(0)}) },
		"TrimAnswers":    func(ctx context.Context) error { return second(s.TrimAnswers(ctx, clock(-100), 1)) },
		"Backup":         func(ctx context.Context) error { return s.Backup(ctx, filepath.Join(dir, "backup"), nil) },
		"Ready":          func(ctx context.Context) error { return s.Ready(ctx) },
		"Close":          func(context.Context) error { return s.Close() },
	}
}

func testReopen(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	lease := acquire(t, s)
	tenant := newTenant(t, s, "acme")
	appendEvents(t, s, tenant.ID, clock(0), evs("a", 3)...)
	saveRecord(t, s, store.Record{
		Lease: lease, Position: 2, Lanes: []event.LaneState{{LaneKey: laneKey(1, 0)}},
		Attempts: []event.Attempt{attempt(1, clock(0), event.VerdictDelivered, 1)},
	})
	last := readAll(t, s)
	noError(t, s.Close())

	s = open(t, dir)
	defer func() { noError(t, s.Close()) }()
	wantIs(t, s.SaveRecord(t.Context(), store.Record{Lease: lease, Position: 3}), store.ErrFenced)
	next := acquire(t, s)
	if next.Epoch <= lease.Epoch || next.Position != 2 {
		t.Errorf("after opening again the lease is %+v, before it was %+v", next, lease)
	}
	wantIs(t, s.SaveRecord(t.Context(), store.Record{Lease: lease, Position: 3}), store.ErrFenced)
	saveRecord(t, s, store.Record{Lease: next, Position: 3, Attempts: []event.Attempt{attempt(1, clock(0), event.VerdictDelivered, 2)}})
	same(t, "the log", readAll(t, s), last)
	same(t, "the next version", appendEvents(t, s, tenant.ID, clock(1), ev("b"), ev("a-0001")),
		[]event.Receipt{{ID: "b", Version: 4}, {ID: "a-0001", Version: 2, Duplicate: true}})
	all := readAll(t, s)
	if len(all) != 4 || all[3].Seq <= all[2].Seq {
		t.Errorf("the log is %+v", all)
	}
	list, _, err := s.AttemptsOfEndpoint(t.Context(), 1, nil, 0, 10)
	noError(t, err)
	if len(list) != 2 || list[0].ID <= list[1].ID {
		t.Errorf("the attempts are %+v", list)
	}
	if again := newTenant(t, s, "b"); again.ID == tenant.ID {
		t.Errorf("tenant number %d is used again", again.ID)
	}
}

func testBackup(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	defer func() { noError(t, s.Close()) }()
	lease := acquire(t, s)
	appendEvents(t, s, 1, clock(0), evs("before", 500)...)
	newBin(t, s, event.Bin{ID: "one", Tenant: 900})
	addCaptures(t, s, "one", 50)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // writes go on meanwhile
		for i := range 100_000 {
			select {
			case <-stop:
				return
			default:
			}
			r, err := s.Append(t.Context(), clock(i), store.AppendRequest{Tenant: 1, Events: evs(fmt.Sprint("during", i), 1)})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.SaveRecord(t.Context(), store.Record{Lease: lease, Position: r[0].Version}); err != nil {
				t.Error(err)
				return
			}
			if _, err := s.AddCapture(t.Context(), capture1("one", fmt.Sprint(i), clock(i)), 10_000, false); err != nil {
				t.Error(err)
				return
			}
		}
	})
	dir := filepath.Join(t.TempDir(), "copy")
	var done, total int64
	err := s.Backup(t.Context(), dir, func(d, all int64) { done, total = d, all })
	close(stop)
	wg.Wait()
	noError(t, err)
	if done != total || total == 0 {
		t.Errorf("the progress ended at %d of %d", done, total)
	}
	if err := s.Backup(t.Context(), dir, nil); err == nil {
		t.Error("a backup went into a folder that is not empty")
	}
	copied := open(t, dir)
	defer func() { noError(t, copied.Close()) }()
	list := must[[]event.Event](t)(copied.ReadPartition(t.Context(), 0, 0, 100_000, unbounded))
	if len(list) < 500 {
		t.Fatalf("the copy holds %d events", len(list))
	}
	for i, e := range list {
		if e.Version != int64(i+1) {
			t.Fatalf("version %d in place of %d", e.Version, i+1)
		}
	}
	if p := acquire(t, copied).Position; p > list[len(list)-1].Seq {
		t.Errorf("the copy's position %d is ahead of its log's end %d", p, list[len(list)-1].Seq)
	}
	captures := kept(t, copied, "one")
	if len(captures) < 50 {
		t.Fatalf("the copy holds %d captures", len(captures))
	}
	same(t, "the copied figures", must[event.BinStats](t)(copied.BinStats(t.Context(), "one")).Requests, int64(len(captures)))
	same(t, "the next capture", addCapture(t, copied, capture1("one", "next", clock(0)), 10_000).Seq, captures[len(captures)-1]+1)
	if id := newTenant(t, copied, "new").ID; id <= 900 {
		t.Errorf("a new tenant has the number %d, and the bins of another one", id)
	}
}
