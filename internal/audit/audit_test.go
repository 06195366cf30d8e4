package audit

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// newLog returns a log over a store in memory whose calls may be made to fail.
func newLog(t *testing.T) (*Log, *storetest.Faulty) {
	t.Helper()
	s := storetest.NewFaulty(storetest.NewModel(), nil)
	return New(s, slog.New(slog.DiscardHandler)), s
}

func entries(t *testing.T, l *Log) []event.AuditEntry {
	t.Helper()
	list, _, err := l.Entries(t.Context(), event.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func failing(method string, err error) func(storetest.Call) storetest.Fault {
	return func(c storetest.Call) storetest.Fault {
		if c.Method == method {
			return storetest.Fault{Before: err}
		}
		return storetest.Fault{}
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	err := l.Do(t.Context(), event.AuditEntry{Action: "a", ActorName: strings.Repeat("é", 400)}, func(e *event.AuditEntry) error {
		got := entries(t, l)
		if len(got) != 1 || got[0].Outcome != event.AuditUnknown || got[0].ID != e.ID || time.Since(got[0].At) > time.Minute {
			t.Errorf("while it is made: %+v", got)
		}
		e.ResourceID, e.Changes = "thing", Diff(nil, map[string]int{"n": 1})
		return nil
	})
	got := entries(t, l)
	if err != nil || len(got) != 1 || got[0].Outcome != event.AuditDone || got[0].ResourceID != "thing" || len(got[0].Changes) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if n := len(got[0].ActorName); n > maxText+len("…") || !strings.HasSuffix(got[0].ActorName, "é…") {
		t.Errorf("a name of %d bytes", n)
	}
}

func TestDoOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err     error
		outcome event.AuditOutcome
		code    string
	}{
		{event.Errorf(event.KindConflict, "taken", "taken"), event.AuditRefused, "taken"},
		{event.Errorf(event.KindFull, "storage_full", "full"), event.AuditRefused, "storage_full"},
		{event.Errorf(event.KindUnavailable, "busy", "busy"), event.AuditRefused, "busy"},
		{event.Errorf(event.KindInternal, "internal", "broken"), event.AuditUnknown, "internal"},
		{errors.New("broken"), event.AuditUnknown, ""},
		{context.Canceled, event.AuditUnknown, ""},
	} {
		l, _ := newLog(t)
		err := l.Do(t.Context(), event.AuditEntry{}, func(*event.AuditEntry) error { return tt.err })
		if got := entries(t, l); !errors.Is(err, tt.err) || len(got) != 1 || got[0].Outcome != tt.outcome || got[0].Code != tt.code {
			t.Errorf("%v: %+v, %v", tt.err, got, err)
		}
	}
	l, _ := newLog(t)
	if err := l.Do(t.Context(), event.AuditEntry{}, func(e *event.AuditEntry) error { e.Outcome = event.AuditRefused; return nil }); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, l); got[0].Outcome != event.AuditRefused {
		t.Errorf("what the change says of itself is lost: %+v", got)
	}
}

func TestNothingWithoutALine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		kind event.Kind
		code string
	}{
		{store.ErrFull, event.KindFull, "storage_full"},
		{store.ErrClosed, event.KindUnavailable, "shutting_down"},
		{errors.New("disk on fire"), event.KindUnavailable, "audit_unavailable"},
	} {
		l, s := newLog(t)
		s.SetRule(failing("AddAudit", tt.err))
		err := l.Do(t.Context(), event.AuditEntry{}, func(*event.AuditEntry) error {
			t.Error("the change was made")
			return nil
		})
		e, ok := errors.AsType[*event.Error](err)
		if !ok || e.Kind != tt.kind || e.Code != tt.code || e.RetryAfter <= 0 || strings.Contains(e.Detail, "fire") {
			t.Errorf("%v gives %+v", tt.err, err)
		}
		if err := l.Note(t.Context(), &event.AuditEntry{}); event.KindOf(err) != tt.kind {
			t.Errorf("noting: %v", err)
		}
	}
}

// TestLateOutcomes lets the store fail after the change: the outcome is stored once it can be.
func TestLateOutcomes(t *testing.T) {
	t.Parallel()
	l, s := newLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := func(*event.AuditEntry) error {
		cancel() // the caller is gone, and the outcome is stored all the same
		return nil
	}
	if err := l.Do(ctx, event.AuditEntry{Action: "gone"}, done); err != nil || entries(t, l)[0].Outcome != event.AuditDone {
		t.Errorf("%v: %+v", err, entries(t, l))
	}
	s.SetRule(failing("CompleteAudit", store.ErrFull))
	for range maxLate + 1 {
		if err := l.Do(t.Context(), event.AuditEntry{Action: "late"}, func(*event.AuditEntry) error { return nil }); err != nil {
			t.Fatal("a change that was made counts as failed: ", err)
		}
	}
	if err := l.Settle(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("settled: %v", err)
	}
	s.SetRule(nil)
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := map[event.AuditOutcome]int{}
	for before := int64(0); ; {
		list, next, err := l.Entries(t.Context(), event.AuditQuery{Action: "late", Limit: 100, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			count[e.Outcome]++
		}
		if before = next; next == 0 {
			break
		}
	}
	if count[event.AuditDone] != maxLate || count[event.AuditUnknown] != 1 {
		t.Errorf("%v", count)
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	if err := l.Note(t.Context(), &event.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		age  time.Duration
		want int
	}{{time.Hour, 0}, {-time.Hour, 1}} {
		if n, err := l.Trim(t.Context(), time.Now().Add(-tt.age), 10); n != tt.want || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	type document = map[string]any
	long := strings.Repeat("ž", 1000)
	for name, tt := range map[string]struct {
		before, after any
		want          string
	}{
		"nothing":        {nil, nil, ``},
		"no difference":  {document{"a": 1, "b": document{"c": []int{1}}}, document{"b": document{"c": []int{1}}, "a": 1}, ``},
		"a field":        {document{"a": 1}, document{"a": "x"}, `a 1 "x"`},
		"within":         {document{"a": document{"b": 1, "c": 2}}, document{"a": document{"b": 1, "c": 3}}, `a.c 2 3`},
		"came and went":  {document{"a": 1}, document{"b": true}, `a 1 - b - true`},
		"empty is none":  {document{}, document{"a": "", "b": nil, "c": []int{}, "d": 0, "e": false, "f": document{}}, ``},
		"lists as whole": {document{"a": []int{1}}, document{"a": []int{1, 2}}, `a [1] [1,2]`},
		"its own":        {document{"updated": 1, "state": 1}, document{"updated": 2, "state": 2, "created": 3, "stats": 4}, ``},
		"its own within": {document{"a": document{"state": 1}}, document{"a": document{"state": 2}}, `a.state 1 2`},
		"deep as whole":  {nil, document{"a": document{"b": document{"c": document{"d": 1}}}}, `a.b.c - {"d":1}`},
		"a schema":       {nil, document{"schema": document{"type": "object"}}, `schema - {"type":"object"}`},
		"secrets": {
			document{"auth": document{"type": "basic", "password": "one"}, "headers": document{"A": "1", "B": "2"}, "key": "ph_1"},
			document{"auth": document{"type": "basic", "password": "two"}, "headers": document{"A": "1", "C": "2"}, "key": "ph_2", "secrets": []string{"s"}, "answer": document{"headers": document{"X": "y"}}},
			`answer.headers.X - "changed" auth.password - "changed" headers.B - "changed" headers.C - "changed" key - "changed" secrets - "changed"`,
		},
		"not secret":   {nil, document{"map": document{"key": "$.id"}}, `map.key - "$.id"`},
		"a long text":  {nil, document{"a": long}, `a - "` + strings.Repeat("ž", 128) + `…"`},
		"a long list":  {nil, document{"a": strings.Split(strings.Repeat("x", 200), "")}, `a - "[` + strings.Repeat(`\"x\",`, 63) + `\"x\"` + `…"`},
		"no JSON":      {nil, document{"a": func() {}}, ``},
		"not a struct": {nil, 7, ` - 7`},
	} {
		var got []string
		for _, c := range Diff(tt.before, tt.after) {
			from, to := string(c.From), string(c.To)
			if c.From == nil {
				from = "-"
			}
			if c.To == nil {
				to = "-"
			}
			got = append(got, c.Field+" "+from+" "+to)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got  %s\nwant %s", name, s, tt.want)
		}
	}
	many := document{}
	for i := range 300 {
		many[string(rune('a'+i%26))+strings.Repeat("x", i)] = i + 1
	}
	got := Diff(nil, many)
	if len(got) != maxChanges || got[maxChanges-1].Field != "…" {
		t.Errorf("%d changes", len(got))
	}
}

func FuzzDiff(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":{"password":"hush"}}`)
	f.Add(`[]`, `null`)
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, c := range Diff(json.RawMessage(before), json.RawMessage(after)) {
			for _, raw := range []json.RawMessage{c.From, c.To} {
				if raw != nil && (!json.Valid(raw) || len(raw) > 6*maxValue+10) {
					t.Errorf("%q", raw)
				}
			}
			if secret(c.Field) && (c.From != nil || string(c.To) != `"changed"`) {
				t.Errorf("%s: %s %s", c.Field, c.From, c.To)
			}
		}
	})
}
