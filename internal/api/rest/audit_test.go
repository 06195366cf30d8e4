package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// fakeAudit is an audit log in memory.
type fakeAudit struct {
	mu      sync.Mutex
	fail    error // of beginning
	entries []event.AuditEntry
	begun   func(e *event.AuditEntry)
}

func (f *fakeAudit) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.entries, f.begun = nil, nil, nil
}

func (f *fakeAudit) Begin(ctx context.Context, e *event.AuditEntry) error {
	e.Outcome = event.AuditUnknown
	return f.Note(ctx, e)
}

func (f *fakeAudit) Note(_ context.Context, e *event.AuditEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	e.ID, e.At = int64(len(f.entries)+1), start.Add(time.Duration(len(f.entries))*time.Second)
	f.entries = append(f.entries, *e)
	if f.begun != nil {
		f.begun(e)
	}
	return nil
}

func (f *fakeAudit) End(_ context.Context, e *event.AuditEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries[e.ID-1] = *e
}

func (f *fakeAudit) Entries(_ context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range slices.Backward(f.entries) {
		if q.Before != 0 && e.ID >= q.Before || !q.Fits(&e) {
			continue
		}
		if len(list) == q.Limit {
			return list, list[len(list)-1].ID, f.fail
		}
		list = append(list, e)
	}
	return list, 0, f.fail
}

// take returns the entries and forgets them.
func (f *fakeAudit) take() []event.AuditEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.entries
	f.entries = nil
	return out
}

// unaudited are the operations that may change something and leave no entry, and why.
var unaudited = map[string]string{
	"publish":            "an event, on a log of its own",
	"lease-events":       "per event",
	"ack-events":         "per event",
	"nack-events":        "per event",
	"extend-leases":      "per event",
	"answer-bin-request": "per event",
	"test-endpoint":      "nothing is saved",
	"preview-endpoint":   "nothing is saved",
	"try-endpoint":       "nothing is saved",
	"log-in":             "package session makes its entry",
}

// TestEveryChangeIsAudited goes over the document: every operation that is no GET leaves one entry, stored before the change,
// or is in the list above.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for path, methods := range loadSchemas(t, on.h).doc.Paths {
		for method, op := range methods {
			if method == "get" {
				continue
			}
			t.Run(op.OperationID, func(t *testing.T) { checkAudited(t, on, path, method, op.OperationID) })
		}
	}
}

func checkAudited(t *testing.T, on *stage, path, method, id string) {
	t.Helper()
	on.reset(t)
	status := examples[id].status
	w := on.example(id, method).do(t, on.h)
	entries := on.audit.take()
	if unaudited[id] != "" {
		if len(entries) > 0 {
			t.Errorf("%s leaves an entry: %+v", id, entries)
		}
		return
	}
	if w.Code != status || len(entries) != 1 {
		t.Fatalf("status %d; %d entries: the operation must leave one, or be in the list of those that leave none, with a reason", w.Code, len(entries))
	}
	e := entries[0]
	if e.Action != id || e.Outcome != event.AuditDone || e.Status != w.Code || e.ActorKind != event.ByKey || e.ActorName != "admin" || e.Resource == "" ||
		e.RequestID == "" || e.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("%+v", e)
	}
	if strings.Contains(path, "{tenant}") && (e.Tenant != 1 || e.TenantName != "acme") {
		t.Errorf("of the tenant %d %q", e.Tenant, e.TenantName)
	}
	if method == "post" && w.Code == http.StatusCreated && w.Header().Get("Location") != "" && e.ResourceID == "" {
		t.Error("what was made is not named")
	}
	// Without a line nothing changes: the same request works afterwards as if it had not been made.
	on.reset(t)
	on.audit.fail = event.Errorf(event.KindFull, "storage_full", "no space")
	on.example(id, method).problem(t, on.h, http.StatusInsufficientStorage, "storage_full")
	on.audit.fail = nil
	if w := on.example(id, method).do(t, on.h); w.Code != status {
		t.Errorf("after it was refused for want of space: %d %s", w.Code, w.Body)
	}
}

func TestAuditIsWrittenAhead(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.audit.begun = func(e *event.AuditEntry) {
		if e.Outcome != event.AuditUnknown || e.Changes != nil {
			t.Errorf("begun as %+v", e)
		}
		if on.tenants["fresh"] != nil {
			t.Error("the change came before its line")
		}
	}
	request{method: http.MethodPost, path: "/v1/tenants", key: "admin", body: `{"name":"fresh","description":"new"}`}.do(t, on.h)
	e := on.audit.take()
	if len(e) != 1 || e[0].TenantName != "fresh" || e[0].Tenant == 0 || e[0].Resource != "tenant" || e[0].ResourceID != "fresh" {
		t.Fatalf("%+v", e)
	}
	if got := show(e[0].Changes); got != `description:>"new" name:>"fresh"` {
		t.Errorf("%s", got)
	}
}

// TestAuditNamesAhead: the line of what a crash came into says of what it is, wherever the request does.
func TestAuditNamesAhead(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	var begun []event.AuditEntry
	on.audit.begun = func(e *event.AuditEntry) { begun = append(begun, *e) }
	for _, tt := range []struct{ method, path, body, resource, id string }{
		{"POST", "/v1/tenants", `{"name":"fresh"}`, "tenant", "fresh"},
		{"POST", "/v1/tenants", `{"name":"acme"}`, "tenant", "acme"}, // there is one
		{"POST", "/v1/tenants", `{"name":5}`, "tenant", ""},
		{"POST", "/v1/tenants", `no JSON`, "tenant", ""},
		{"POST", "/v1/tenants/acme/event-types", `{"name":"order.new"}`, "event-type", "order.new"},
		{"POST", "/v1/tenants/acme/sources", `{"name":"hub","provider":"github"}`, "source", "hub"},
		{"PUT", "/v1/tenants/acme/queues/later", `{}`, "queue", "later"},
		{"POST", "/v1/apikeys", `{"name":"k","admin":true}`, "apikey", ""}, // its id is not known yet
	} {
		begun = nil
		request{method: tt.method, path: tt.path, key: "admin", body: tt.body}.do(t, on.h)
		if len(begun) != 1 || begun[0].Resource != tt.resource || begun[0].ResourceID != tt.id {
			t.Errorf("%s %s %s: %+v", tt.method, tt.path, tt.body, begun)
		}
	}
}

func show(changes []event.AuditChange) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Field+":"+string(c.From)+">"+string(c.To))
	}
	return strings.Join(out, " ")
}

func TestAuditChanges(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	one := "/v1/tenants/acme/endpoints/" + on.endpoint
	for _, tt := range []struct{ method, path, body, resource, changes string }{
		{"PATCH", one, `{"description":"d","batch":{"max":5},"types":["a.*"]}`, "endpoint", `batch.max:>5 description:>"d" types:[]>["a.*"]`},
		{"PATCH", one, `{"auth":{"type":"basic","username":"u","password":"new"},"headers":{"X-Secret":null,"X-B":"b"}}`, "endpoint", `auth.password:>"changed" headers.X-B:>"changed" headers.X-Secret:>"changed"`},
		{"POST", one + "/pause", ``, "endpoint", `disabled:false>true disabled_reason:>"paused"`},
		{"POST", one + "/secret/rotate", `{"overlap":"1h"}`, "endpoint", `overlap:>"1h" secret:>"changed"`},
		{"PATCH", "/v1/tenants/acme", `{"metadata":{"plan":"big"},"description":"x"}`, "tenant", `description:>"x" metadata.plan:>"big"`},
		{"DELETE", "/v1/tenants/acme/event-types/a.b", ``, "event-type", ``},
		{"PATCH", "/v1/tenants/acme/event-types/a.b", `{"description":"gone"}`, "event-type", ``},
	} {
		request{method: tt.method, path: tt.path, key: "admin", body: tt.body}.do(t, on.h)
		entries := on.audit.take()
		if len(entries) != 1 || entries[0].Resource != tt.resource {
			t.Fatalf("%s %s: %+v", tt.method, tt.path, entries)
		}
		if got := show(entries[0].Changes); got != tt.changes {
			t.Errorf("%s %s: %s", tt.method, tt.path, got)
		}
	}
}

// TestAuditKeepsNoSecret gives secrets by every way there is and looks for them on the log.
func TestAuditKeepsNoSecret(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	one := "/v1/tenants/acme/endpoints/" + on.endpoint
	const secret = "Hush-Hush-0123456789"
	var all []event.AuditEntry
	for _, q := range [][3]string{
		{"POST", "/v1/tenants/acme/endpoints", `{"url":"https://a.example/","headers":{"X-Key":"` + secret + `"},"auth":{"type":"basic","username":"u","password":"` + secret + `"}}`},
		{"PUT", one, `{"url":"https://a.example/","headers":{"X-Key":"` + secret + `"},"auth":{"type":"bearer","token":"` + secret + `"}}`},
		{"PATCH", one, `{"headers":{"X-Key":"` + secret + `2"},"auth":{"type":"basic","username":"u","password":"` + secret + `"}}`},
		{"POST", one + "/secret/rotate", `{"secret":"whsec_` + secret + `"}`},
		{"POST", "/v1/tenants/acme/sources", `{"name":"s","provider":"github","secrets":["` + secret + `"],"settings":{"token":"` + secret + `"}}`},
		{"PATCH", "/v1/tenants/acme/sources/s", `{"secrets":["` + secret + `2"],"answer":{"headers":{"X-A":"` + secret + `"}}}`},
		{"POST", "/v1/tenants/acme/sources/s/secrets", `{"secret":"` + secret + `3"}`},
		{"POST", "/v1/bins", `{"alias":"box2","answer":{"headers":{"X-A":"` + secret + `"}}}`},
		{"POST", "/v1/apikeys", `{"name":"k","admin":true}`},
		{"POST", "/v1/tenants/acme/tokens", `{"allow":["read"]}`},
	} {
		w := request{method: q[0], path: q[1], key: "admin", body: q[2]}.do(t, on.h)
		entries := on.audit.take()
		if len(entries) != 1 {
			t.Fatalf("%s %s: %d %s: %d entries", q[0], q[1], w.Code, w.Body, len(entries))
		}
		all = append(all, entries...)
		var made struct{ Key, Token, Secret string }
		_ = json.Unmarshal(w.Body.Bytes(), &made) // what has none of them
		for _, s := range []string{secret, made.Key, made.Token, made.Secret} {
			if raw, err := json.Marshal(entries); err != nil || s != "" && strings.Contains(string(raw), s) {
				t.Errorf("%s %s: a secret is on the log: %s", q[0], q[1], raw)
			}
		}
	}
	if got := show(all[1].Changes); !strings.Contains(got, `headers.X-Key:>"changed"`) || !strings.Contains(got, `auth.token:>"changed"`) {
		t.Errorf("that secrets changed is not on the log: %s", got)
	}
}

func TestAuditRefused(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	one := "/v1/tenants/acme/endpoints/" + on.endpoint
	for _, tt := range []struct {
		q      request
		code   string // "": no entry
		actor  string
		tenant string
	}{
		{request{method: "POST", path: "/v1/tenants", key: "admin", body: `{"name":"no such name"}`}, "invalid", "admin", ""},
		{request{method: "POST", path: "/v1/tenants", key: "admin", body: `{`}, "malformed_json", "admin", ""},
		{request{method: "DELETE", path: one, key: "reader"}, "forbidden", "reader", "acme"},
		{request{method: "DELETE", path: one, key: "foreign"}, "forbidden", "foreign", "other"},
		{request{method: "DELETE", path: one, key: "nobody"}, "", "", ""},
		{request{method: "DELETE", path: one}, "", "", ""},
		{request{method: "PUT", path: one, key: "manager", body: `{"url":"https://x.example/"}`, header: []string{"If-Match", `"99"`}}, "revision_mismatch", "manager", "acme"},
		{request{method: "DELETE", path: "/v1/tenants/nosuch", key: "admin"}, "not_found", "admin", ""},
		{request{method: "GET", path: "/v1/tenants", key: "reader"}, "", "", ""},
	} {
		on.reset(t)
		w := tt.q.do(t, on.h)
		entries := on.audit.take()
		if tt.code == "" {
			if len(entries) != 0 {
				t.Errorf("%s %s by %q leaves %+v", tt.q.method, tt.q.path, tt.q.key, entries)
			}
			continue
		}
		if len(entries) != 1 {
			t.Fatalf("%s %s: %d: %d entries", tt.q.method, tt.q.path, w.Code, len(entries))
		}
		e := entries[0]
		if e.Outcome != event.AuditRefused || e.Code != tt.code || e.ActorName != tt.actor || e.TenantName != tt.tenant || e.Status != w.Code || len(e.Changes) > 0 {
			t.Errorf("%s %s: %+v", tt.q.method, tt.q.path, e)
		}
	}
}

func TestAuditOfRepeats(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	q := request{method: "POST", path: "/v1/apikeys", key: "admin", body: `{"name":"k","admin":true}`, header: []string{"Idempotency-Key", "once"}}
	first, second := q.do(t, on.h), q.do(t, on.h)
	if second.Header().Get("Idempotent-Replayed") == "" || first.Body.String() != second.Body.String() {
		t.Fatalf("%d, %d", first.Code, second.Code)
	}
	if entries := on.audit.take(); len(entries) != 1 {
		t.Errorf("%d entries", len(entries))
	}
	// What only asks changes nothing.
	w := request{method: "POST", path: "/v1/tenants/acme/endpoints/" + on.endpoint + "/replay", key: "admin", body: `{"from_version":1,"dry_run":true}`}.do(t, on.h)
	if entries := on.audit.take(); w.Code != 200 || len(entries) != 0 {
		t.Errorf("a dry run: %d, %d entries", w.Code, len(entries))
	}
}

func TestAuditUnknown(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.fail = event.Errorf(event.KindInternal, "internal", "broken")
	request{method: "DELETE", path: "/v1/tenants/acme/endpoints/" + on.endpoint, key: "admin"}.problem(t, on.h, 500, "internal")
	if e := on.audit.take(); len(e) != 1 || e[0].Outcome != event.AuditUnknown || e[0].Status != 500 {
		t.Errorf("%+v", e)
	}
}

func TestAuditLists(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	for i, e := range []event.AuditEntry{
		{ActorKind: event.ByRoot, ActorName: "root", Action: "create-tenant", Tenant: 1, TenantName: "acme", Resource: "tenant", ResourceID: "acme", Outcome: event.AuditDone},
		{
			ActorKind: event.ByUser, ActorID: "sub-1", ActorName: "Ann", Action: "patch-endpoint", Tenant: 1, TenantName: "acme", Resource: "endpoint", ResourceID: "ep_1",
			Outcome: event.AuditDone, Changes: []event.AuditChange{{Field: "url", From: json.RawMessage(`"a"`), To: json.RawMessage(`"b"`)}},
		},
		{ActorKind: event.BySystem, Action: "disable-endpoint", Tenant: 2, TenantName: "other", Resource: "endpoint", ResourceID: "ep_2", Outcome: event.AuditDone},
		{ActorKind: event.ByUnknown, Action: "log-in", Outcome: event.AuditRefused, Address: "192.0.2.1"},
	} {
		if err := on.audit.Note(t.Context(), &e); err != nil || e.ID != int64(i+1) {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/v1/audit?":                            "log-in disable-endpoint patch-endpoint create-tenant",
		"/v1/audit?tenant=acme":                 "patch-endpoint create-tenant",
		"/v1/audit?actor=system":                "disable-endpoint",
		"/v1/audit?actor=sub-1":                 "patch-endpoint",
		"/v1/audit?action=log-in":               "log-in",
		"/v1/audit?resource=endpoint&limit=1":   "disable-endpoint patch-endpoint",
		"/v1/audit?since=2026-01-02T03:04:07Z":  "log-in disable-endpoint",
		"/v1/audit?until=2026-01-02T03:04:06Z&": "create-tenant",
		"/v1/tenants/acme/audit?limit=1":        "patch-endpoint create-tenant",
		"/v1/tenants/acme/audit?actor=root":     "create-tenant",
	} {
		key := "admin"
		if strings.HasPrefix(path, "/v1/tenants") {
			key = "manager"
		}
		list, _ := all[client.AuditEntry](t, on, path, key)
		var got []string
		for _, e := range list {
			got = append(got, e.Action)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	list, _ := all[client.AuditEntry](t, on, "/v1/audit?actor=Ann", "admin")
	if len(list) != 1 || list[0].Actor.Kind != "user" || list[0].Actor.ID != "sub-1" || string(list[0].Changes[0].To) != `"b"` || !strings.HasPrefix(list[0].ID, "aud_") {
		t.Errorf("%+v", list)
	}
	for key, path := range map[string]string{"manager": "/v1/audit", "reader": "/v1/tenants/acme/audit", "foreign": "/v1/tenants/acme/audit"} {
		request{method: "GET", path: path, key: key}.problem(t, on.h, 403, "forbidden")
	}
	request{method: "GET", path: "/v1/audit?since=2026-01-02T03:04:07Z&until=2026-01-02T03:04:07Z", key: "admin"}.problem(t, on.h, 422, "invalid")
}
