package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

var errRefused = event.Errorf(event.KindForbidden, "forbidden", "no")

// all reads every entry, the newest first, by action.
func all(t *testing.T, l *Log) map[string][]event.AuditEntry {
	t.Helper()
	list, next, err := l.Entries(t.Context(), event.AuditQuery{Limit: 10_000})
	if err != nil || next != 0 {
		t.Fatal(next, err)
	}
	out := map[string][]event.AuditEntry{}
	for _, e := range list {
		out[e.Action] = append(out[e.Action], e)
	}
	return out
}

func by(id, action string) event.AuditEntry {
	return event.AuditEntry{
		ActorKind: event.ByKey, ActorID: id, ActorName: "ci", Address: "192.0.2.1", Action: action, Tenant: 1, TenantName: "acme",
		Outcome: event.AuditRefused, Status: 403, Code: "forbidden",
	}
}

func note(t *testing.T, l *Log, e event.AuditEntry) {
	t.Helper()
	if err := l.Note(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
}

// calls is the number that a line stands for.
func calls(t *testing.T, e *event.AuditEntry) int {
	t.Helper()
	if len(e.Changes) != 2 || e.Changes[0].Field != "calls" || e.Changes[1].Field != "since" {
		t.Fatalf("%+v", e.Changes)
	}
	n, err := strconv.Atoi(string(e.Changes[0].To))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRefusedAreBounded refuses one caller's calls before and in the handler: a line for each of the first hundred, one for the
// rest. What is done has its line all the same, and so have others' refused calls.
func TestRefusedAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := newLog(t)
		for range maxRefused {
			note(t, l, by("key_1", "before"))
			if err := l.Do(t.Context(), by("key_1", "within"), func(*event.AuditEntry) error { return errRefused }); !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
			if err := l.Do(t.Context(), by("key_1", "done"), func(*event.AuditEntry) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		note(t, l, by("key_2", "other"))
		got := all(t, l)
		if len(got["before"]) != maxRefused/2 || len(got["within"]) != maxRefused/2 || len(got["done"]) != maxRefused || len(got["other"]) != 1 || len(got) != 4 {
			t.Fatalf("%d, %d, %d, %d lines", len(got["before"]), len(got["within"]), len(got["done"]), len(got["other"]))
		}
		if err := l.Settle(t.Context()); err != nil || len(all(t, l)[RefusedCalls]) != 0 {
			t.Fatalf("before the minute is over: %v, %v", all(t, l)[RefusedCalls], err)
		}
		<-time.After(refusedTime)
		for range 2 {
			if err := l.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sum := all(t, l)[RefusedCalls]
		if len(sum) != 1 || calls(t, &sum[0]) != maxRefused || sum[0].ActorID != "key_1" || sum[0].ActorName != "ci" || sum[0].Outcome != event.AuditRefused ||
			sum[0].Tenant != 1 || sum[0].TenantName != "acme" || sum[0].Address != "192.0.2.1" || sum[0].Code != "forbidden" || !sum[0].At.Equal(time.Now()) {
			t.Errorf("%+v", sum)
		}
		note(t, l, by("key_1", "later"))
		if len(all(t, l)["later"]) != 1 {
			t.Error("the next minute has no lines")
		}
		if len(l.refusals.of) != 1 || l.refusals.recent.Len() != 1 {
			t.Errorf("%d callers are remembered", len(l.refusals.of))
		}
	})
}

// TestRefusedAtTheNextLine: whoever comes back after the minute finds the line of it before the next, also of a change.
func TestRefusedAtTheNextLine(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(l *Log) error{
		"refused": func(l *Log) error { e := by("key_1", "next"); return l.Note(context.Background(), &e) },
		"done":    func(l *Log) error { e := by("key_1", "next"); return l.Begin(context.Background(), &e) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := newLog(t)
				for i := range maxRefused + 3 {
					e := by("key_1", "a")
					if i > maxRefused {
						e.Tenant, e.TenantName, e.Address, e.Status, e.Code = 2, "beta", "192.0.2.2", 422, "invalid"
					}
					note(t, l, e)
				}
				<-time.After(refusedTime)
				if err := next(l); err != nil {
					t.Fatal(err)
				}
				got := entries(t, l)
				if got[0].Action != "next" || got[1].Action != RefusedCalls || calls(t, &got[1]) != 3 {
					t.Fatalf("%+v", got[:2])
				}
				if s := got[1]; s.Tenant != 0 || s.TenantName != "" || s.Address != "" || s.Code != "" || s.Status != 0 {
					t.Errorf("it says of all what is so of some: %+v", s)
				}
			})
		})
	}
}

// TestRefusedStrangers: who is not known counts as one, wherever from.
func TestRefusedStrangers(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	for i := range 2 * maxRefused {
		note(t, l, event.AuditEntry{ActorKind: event.ByUnknown, Action: "log-in", Address: fmt.Sprint("192.0.2.", i)})
	}
	l.Close(t.Context())
	got := all(t, l)
	if len(got["log-in"]) != maxRefused || len(got[RefusedCalls]) != 1 || calls(t, &got[RefusedCalls][0]) != maxRefused {
		t.Errorf("%d and %d lines", len(got["log-in"]), len(got[RefusedCalls]))
	}
}

// TestRefusedCallers: so many callers are remembered and no more; one that is forgotten has its line.
func TestRefusedCallers(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	for range maxRefused + 7 {
		note(t, l, by("key_first", "a"))
	}
	for i := range maxCallers {
		if len(l.refusals.of) > maxCallers || len(all(t, l)[RefusedCalls]) != 0 {
			t.Fatalf("after %d: %d callers", i, len(l.refusals.of))
		}
		note(t, l, by(fmt.Sprint("key_", i), "b"))
	}
	sum := all(t, l)[RefusedCalls]
	if len(l.refusals.of) != maxCallers || len(sum) != 1 || calls(t, &sum[0]) != 7 || sum[0].ActorID != "key_first" {
		t.Errorf("%d callers, %+v", len(l.refusals.of), sum)
	}
}

// TestRefusedStoreFails: a number that cannot be stored is stored later; a line that cannot be taken away stays, with its outcome.
func TestRefusedStoreFails(t *testing.T) {
	t.Parallel()
	l, s := newLog(t)
	for range maxRefused + 1 {
		note(t, l, by("key_1", "a"))
	}
	s.SetRule(failing("DeleteAudit", store.ErrFull))
	if err := l.Do(t.Context(), by("key_1", "kept"), func(*event.AuditEntry) error { return errRefused }); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if got := all(t, l)["kept"]; len(got) != 1 || got[0].Outcome != event.AuditRefused {
		t.Errorf("%+v", got)
	}
	s.SetRule(failing("AddAudit", store.ErrFull))
	l.Close(t.Context())
	if err := l.Settle(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("settled: %v", err)
	}
	s.SetRule(nil)
	for range 2 {
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if sum := all(t, l)[RefusedCalls]; len(sum) != 1 || calls(t, &sum[0]) != 2 {
		t.Errorf("%+v", sum)
	}
}

// TestRefusedAtOnce counts every call once when many come together.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				note(t, l, by("key_1", "a"))
				_ = l.Settle(t.Context())
			}
		})
	}
	wg.Wait()
	l.Close(t.Context())
	got := all(t, l)
	if sum := got[RefusedCalls]; len(got["a"]) != maxRefused || len(sum) != 1 || calls(t, &sum[0]) != 8*50-maxRefused {
		t.Errorf("%d lines, %+v", len(got["a"]), sum)
	}
}
