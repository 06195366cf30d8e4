package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

// auditLog reads the audit log of the whole server, the oldest first.
func (r *running) auditLog(opts ...client.ListOption) []client.AuditEntry {
	r.t.Helper()
	var list []client.AuditEntry
	for e, err := range r.client.AuditLog(r.t.Context(), opts...) {
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, e)
	}
	slices.Reverse(list)
	return list
}

// face calls one of the interfaces of Webhook.site and smee.io and returns the answer's body.
func (r *running) face(method, path, key string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.Addr()+path, strings.NewReader("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 {
		r.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, body)
	}
	return string(body)
}

// TestAuditLog makes changes by every interface there is, and lets the server make one by itself.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	r := newRunning(t, "--anonymous-bins", "on")
	ctx := t.Context()
	key, err := r.client.CreateAPIKey(ctx, client.APIKey{Name: "robot", Tenant: "acme", Allow: []string{"manage", "publish"}})
	if err != nil {
		t.Fatal(err)
	}
	robot, err := client.New(r.Addr(), key.Key)
	if err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer gone.Close()
	made, err := robot.CreateEndpoint(ctx, "acme", client.Endpoint{URL: gone.URL, Auth: &client.Auth{Type: "bearer", Token: "hush-hush"}})
	if err != nil {
		t.Fatal(err)
	}
	r.put("changes/enable")
	r.put("hooks?format=JSON&skipUrlTest=true&url=" + gone.URL + "/hook")
	var bin struct{ UUID string }
	if err := json.Unmarshal([]byte(r.face(http.MethodPost, "/token", key.Key)), &bin); err != nil {
		t.Fatal(err)
	}
	r.face(http.MethodDelete, "/token/"+bin.UUID, key.Key)
	r.face(http.MethodPost, "/token", "")
	if _, err := robot.Publish(ctx, "acme", client.Event{Type: "order.paid"}); err != nil {
		t.Fatal(err)
	}
	r.await("the endpoint is disabled", func() bool { // the entry is there before the change, and unknown until after it
		list := r.auditLog(client.OfAction("disable-endpoint"))
		return len(list) > 0 && list[0].Outcome != "unknown"
	})

	var got []string
	for _, e := range r.auditLog() {
		if e.Outcome != "done" {
			t.Errorf("%+v", e)
		}
		if (e.Actor.Address == "127.0.0.1") == (e.Actor.Kind == event.BySystem) {
			t.Errorf("%s from %q", e.Action, e.Actor.Address)
		}
		got = append(got, strings.Join([]string{e.Actor.Kind, e.Actor.Name, e.Action, e.Tenant, e.Resource}, "/"))
	}
	want := []string{
		"root/root/create-apikey/acme/apikey", "apikey/robot/create-endpoint/acme/endpoint",
		"root/root/enable-changelog/acme/tenant", "root/root/create-endpoint/acme/endpoint", "apikey/robot/create-bin/acme/bin",
		"apikey/robot/delete-bin/acme/bin", "unknown//create-bin//bin", "system//disable-endpoint/acme/endpoint",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	disabled := r.auditLog(client.OfAction("disable-endpoint"))[0]
	if raw, _ := json.Marshal(disabled.Changes); disabled.ResourceID != made.ID || !strings.Contains(string(raw), `"gone"`) {
		t.Errorf("%+v: %s", disabled, raw)
	}
	if raw, _ := json.Marshal(r.auditLog()); strings.Contains(string(raw), "hush-hush") || strings.Contains(string(raw), key.Key) {
		t.Error("a secret is on the log")
	}
	// What is of nobody's is not of a tenant's.
	for e, err := range robot.TenantAuditLog(ctx, "acme") {
		if err != nil || e.Tenant != "acme" {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

// await waits until something is so.
func (r *running) await(what string, is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatal("not yet: ", what)
		}
	}
}

// TestAuditRetention lets the house-keeping trim what is too old.
func TestAuditRetention(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t, "--audit-retention", "1h")
	defer a.close()
	for _, age := range []time.Duration{2 * time.Hour, 0} {
		if _, err := a.store.AddAudit(t.Context(), event.AuditEntry{At: time.Now().Add(-age), Action: age.String()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.trimAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, _, err := a.audit.Entries(t.Context(), event.AuditQuery{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Action != "0s" {
		t.Errorf("%+v, %v", list, err)
	}
	a.cfg.AuditRetention = 0
	if err := a.trimAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAuditRefused lets a key call again and again what it may not: the log does not grow with it.
func TestAuditRefused(t *testing.T) {
	t.Parallel()
	a, tenant := newApp(t)
	key, secret, err := a.control.CreateAPIKey(t.Context(), event.APIKey{Name: "robot", Tenant: tenant.ID, Allow: []event.Permission{event.AllowManage}})
	if err != nil {
		t.Fatal(err)
	}
	const each = 90
	for range each {
		for path, status := range map[string]int{"/v1/tenants": http.StatusForbidden, "/v1/tenants/acme/endpoints": http.StatusUnprocessableEntity} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+secret)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			if a.handler.ServeHTTP(w, r); w.Code != status {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
	a.audit.Close(t.Context())
	list, _, err := a.audit.Entries(t.Context(), event.AuditQuery{Actor: event.FormatAPIKeyID(key.ID), Limit: 1000})
	if err != nil || len(list) != 101 {
		t.Fatalf("%d lines, %v", len(list), err)
	}
	if e := list[0]; e.Action != "refused-calls" || e.Outcome != event.AuditRefused || e.Tenant != tenant.ID || string(e.Changes[0].To) != "80" {
		t.Errorf("%+v", e)
	}
}
