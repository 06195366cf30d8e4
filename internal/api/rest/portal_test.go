package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// portals is for [rest.Portals].
type portals struct {
	f      *fake
	stored event.Portal
}

func (p *portals) Portal(_ context.Context, t *event.Tenant) (event.Portal, error) {
	defer p.f.lock()()
	p.stored.Tenant = t.ID
	return p.stored, p.f.fail
}

func (p *portals) SetPortal(_ context.Context, t *event.Tenant, v event.Portal, revision int64) (event.Portal, error) {
	defer p.f.lock()()
	switch {
	case p.f.fail != nil:
		return event.Portal{}, p.f.fail
	case revision >= 0 && revision != p.stored.Revision:
		return event.Portal{}, event.Errorf(event.KindPrecondition, "revision_mismatch", "changed")
	case v.Colour == "red":
		return event.Portal{}, event.Invalid("colour", "is red")
	}
	v.Tenant, v.Revision, v.Updated = t.ID, p.stored.Revision+1, start
	p.stored = v
	return v, nil
}

func TestPortalSettings(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.bearer("portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortal}})
	f.bearer("portal-read", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortalRead}})
	api, _ := newAPI(t, f)
	const path = "/v1/tenants/acme/portal"
	for _, c := range []struct {
		method, key, body, match string
		status                   int
		tag, want                string
	}{
		{"GET", "reader", "", "", 200, `"1"`, `{}`},
		{"GET", "portal", "", "", 200, `"1"`, `{}`},
		{"GET", "portal-read", "", "", 200, `"1"`, `{}`},
		{"PUT", "manager", `{"name":"Acme"}`, `"2"`, 412, "", "revision_mismatch"},
		{"PUT", "manager", `{"name":"Acme","colour":"#0B7285","origins":["https://app.example.com"],"language":"cs"}`, `"1"`, 200, `"2"`, `{"name":"Acme","colour":"#0B7285","origins":["https://app.example.com"],"language":"cs","updated":"2026-01-02T03:04:05.000678Z"}`},
		{"PUT", "manager", `{}`, `"1"`, 412, "", "revision_mismatch"},
		{"PUT", "manager", `{}`, `"0"`, 412, "", "revision_mismatch"},
		{"PUT", "manager", `{"name":"B"}`, "", 200, `"3"`, `{"name":"B","updated":"2026-01-02T03:04:05.000678Z"}`},
		{"PUT", "manager", `{"name":"C"}`, "*", 200, `"4"`, `"C"`},
		{"PUT", "manager", `{"colour":"teal"}`, "", 422, "", `"field":"colour"`},
		{"PUT", "manager", `{"logo":"` + strings.Repeat("x", 32769) + `"}`, "", 422, "", `"field":"logo"`},
		{"PUT", "manager", `{"color":"#000000"}`, "", 422, "", `"field":"color"`},
		{"PUT", "reader", `{}`, "", 403, "", "forbidden"},
		{"PUT", "portal", `{}`, "", 403, "", "forbidden"},
		{"PUT", "portal-read", `{}`, "", 403, "", "forbidden"},
		{"GET", "foreign", "", "", 403, "", "forbidden"},
		{"GET", "publisher", "", "", 403, "", "forbidden"},
		{"GET", "", "", "", 401, "", "unauthorized"},
		{"GET", "reader", "", "", 200, `"4"`, `"C"`},
	} {
		q := request{method: c.method, path: path, key: c.key, body: c.body}
		if c.match != "" {
			q.header = []string{"If-Match", c.match}
		}
		w := q.do(t, api.Handler())
		if w.Code != c.status || w.Header().Get("ETag") != c.tag || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s as %s %s: %d %s %s", c.method, c.key, c.body, w.Code, w.Header().Get("ETag"), w.Body)
		}
	}
	w := request{method: "GET", path: path, key: "reader", header: []string{"If-None-Match", `"4"`}}.do(t, api.Handler())
	if w.Code != http.StatusNotModified {
		t.Errorf("%d", w.Code)
	}
}

func TestPortalLinks(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.bearer("a-token", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowManage}})
	f.bearer("portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortal}})
	port := &recorded{fake: f}
	api, _ := newAPI(t, f, func(c *rest.Config) { c.Tokens, c.PublicURL = port, "https://push.example.com" })
	for _, c := range []struct {
		key, body string
		status    int
		allow     event.Permission
		ttl       time.Duration
		url       string
	}{
		{"manager", "", 201, "portal", 0, "https://push.example.com/ui/portal/acme#token=eyJ.the.portal"},
		{"manager", `{}`, 201, "portal", 0, "https://push.example.com/ui/portal/acme#token=eyJ.the.portal"},
		{"admin", `{"ttl":"168h","read_only":true,"language":"cs"}`, 201, "portal-read", 168 * time.Hour, "https://push.example.com/ui/portal/acme#token=eyJ.the.portal-read&language=cs"},
		{"manager", `{"ttl":"0s"}`, 422, "", 0, ""},
		{"manager", `{"ttl":"-1h"}`, 422, "", 0, ""},
		{"manager", `{"language":"x y"}`, 422, "", 0, ""},
		{"manager", `{"allow":["manage"]}`, 422, "", 0, ""},
		{"reader", `{}`, 403, "", 0, ""},
		{"foreign", `{}`, 403, "", 0, ""},
		{"a-token", `{}`, 403, "", 0, ""},
		{"portal", `{}`, 403, "", 0, ""},
	} {
		port.grant = rest.TokenGrant{}
		w := request{method: "POST", path: "/v1/tenants/acme/portal/links", key: c.key, body: c.body}.do(t, api.Handler())
		var got client.PortalLink
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got.URL != c.url {
			t.Errorf("%s %s: %d %s", c.key, c.body, w.Code, w.Body)
			continue
		}
		if c.status != 201 {
			if port.grant.Allow != nil {
				t.Errorf("%s %s: a token was made", c.key, c.body)
			}
			continue
		}
		if !slices.Equal(port.grant.Allow, []event.Permission{c.allow}) || port.grant.TTL != c.ttl || got.Token == "" || got.Expires.IsZero() || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %+v, %+v", c.key, c.body, port.grant, got)
		}
	}
}

// ofPortals are the operations that the token of a portal may use; "read" those that a token to look only may use, too.
var ofPortals = map[string]string{
	"create-endpoint": "", "list-endpoints": "read", "get-endpoint": "read", "replace-endpoint": "", "patch-endpoint": "", "delete-endpoint": "",
	"list-endpoint-attempts": "read", "list-dead-letters": "read", "test-endpoint": "", "pause-endpoint": "", "resume-endpoint": "", "retry-endpoint": "",
	"replay-endpoint": "", "get-secret": "", "rotate-secret": "", "get-endpoint-stats": "read",
	"list-events": "read", "get-event": "read", "list-event-attempts": "read", "resend-event": "",
	"list-event-deliveries": "read", "preview-endpoint": "", "try-endpoint": "", "get-me": "read",
	"get-histogram": "read", "list-replays": "read", "get-replay": "read", "cancel-replay": "",
	"get-tenant-overview": "read", "stream-tenant-overview": "read", "list-endpoint-stats": "read",
	"list-changes": "read", "stream": "read", "list-event-types": "read", "get-event-type": "read", "get-portal": "read",
}

// forEverybody are the operations that need no credential.
var forEverybody = []string{"get-session-options", "log-in"}

// TestPortalOperations tries every operation of the document with the tokens of portals: those above work, all others are
// refused.
func TestPortalOperations(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	s := loadSchemas(t, on.h)
	seen := map[string]bool{}
	for _, item := range s.doc.Paths {
		for method, op := range item {
			id := op.OperationID
			seen[id] = true
			if examples[id].path == "" {
				t.Errorf("%s has no example", id)
				continue
			}
			if slices.Contains(forEverybody, id) {
				continue
			}
			reads, allowed := ofPortals[id]
			for token, may := range map[event.Permission]bool{event.AllowPortal: allowed, event.AllowPortalRead: allowed && reads == "read"} {
				on.reset(t)
				on.bearer("a-portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{token}})
				q := on.example(id, method)
				q.key = "a-portal"
				w := q.do(t, on.h)
				if want := examples[id].status; may && w.Code != want {
					t.Errorf("%s with %s: %d, want %d: %s", id, token, w.Code, want, w.Body)
				}
				if !may && w.Code != http.StatusForbidden {
					t.Errorf("%s with %s: %d, want 403: %s", id, token, w.Code, w.Body)
				}
			}
		}
	}
	for id := range ofPortals {
		if !seen[id] {
			t.Errorf("%s is not an operation", id)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/v1/bins/box/stream"} {
		on.bearer("a-portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortal}})
		if w := (request{method: "GET", path: path, key: "a-portal"}).do(t, on.h); w.Code != http.StatusForbidden && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestPortalSeesWebhooksOnly holds the token of a portal away from what the tenant runs for itself.
func TestPortalSeesWebhooksOnly(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.bearer("portal", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortal}})
	on.bearer("looking", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowPortalRead}})
	acme := on.tenants["acme"]
	var own []string
	for _, kind := range []string{event.KindTunnel, event.KindFlexiBee} {
		e, err := on.CreateEndpoint(t.Context(), acme, event.Endpoint{URL: "https://own.example.com/", Kind: kind}, event.Secrets{})
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, e.ID.String())
		on.attempts = append(on.attempts, event.Attempt{ID: int64(len(on.attempts) + 1), Tenant: 1, Endpoint: e.ID, Versions: []int64{1}, EventID: "id-1", At: start, Verdict: event.VerdictDelivered})
	}
	do := func(key, method, path, body string) (int, string) {
		w := request{method: method, path: "/v1/tenants/acme" + path, key: key, body: body}.do(t, on.h)
		return w.Code, w.Body.String()
	}
	for _, key := range []string{"portal", "looking"} {
		for _, path := range []string{"/endpoints", "/endpoints?state=true", "/endpoints?q=example", "/events/id-1/attempts"} {
			code, body := do(key, "GET", path, "")
			if code != http.StatusOK || !strings.Contains(body, on.endpoint) || strings.Contains(body, own[0]) || strings.Contains(body, own[1]) {
				t.Errorf("%s %s: %d %s", key, path, code, body)
			}
			if key == "looking" && (strings.Contains(body, "hush") || strings.Contains(body, "pass-word")) {
				t.Errorf("%s shows secrets: %s", path, body)
			}
		}
	}
	if _, body := do("portal", "GET", "/endpoints", ""); !strings.Contains(body, "hush") {
		t.Errorf("a portal does not see the headers of its own endpoints: %s", body)
	}
	for _, id := range own {
		for _, c := range [][3]string{
			{"GET", "", ""},
			{"PUT", "", `{"url":"https://a.example"}`},
			{"PATCH", "", `{"description":"x"}`},
			{"DELETE", "", ""},
			{"GET", "/attempts", ""},
			{"GET", "/dead-letters", ""},
			{"POST", "/test", ""},
			{"POST", "/pause", ""},
			{"POST", "/resume", ""},
			{"POST", "/retry", ""},
			{"POST", "/replay", `{"from_version":1}`},
			{"GET", "/secret", ""},
			{"POST", "/secret/rotate", ""},
			{"GET", "/stats", ""},
		} {
			if code, body := do("portal", c[0], "/endpoints/"+id+c[1], c[2]); code != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", c[0], c[1], code, body)
			}
		}
		if code, body := do("portal", "POST", "/events/id-1/resend", `{"endpoint":"`+id+`"}`); code != 422 {
			t.Errorf("resend: %d %s", code, body)
		}
	}
	for _, path := range []string{"/endpoints/preview", "/endpoints/try"} {
		for _, body := range []string{`{"endpoint":{"url":"https://a.example/","kind":"tunnel"}}`, `{"endpoint":{"url":"https://a.example/","envelope":"original"}}`, `{"endpoint":{"url":"https://a.example/"},"id":"` + own[0] + `"}`} {
			if code, answer := do("portal", "POST", path, body); code != 422 {
				t.Errorf("%s %s: %d %s", path, body, code, answer)
			}
		}
	}
	for _, path := range []string{"/events/id-1/deliveries", "/events/id-1/deliveries?all=true"} {
		if code, answer := do("portal", "GET", path, ""); code != http.StatusOK || strings.Contains(answer, own[0]) || strings.Contains(answer, own[1]) || !strings.Contains(answer, on.endpoint) {
			t.Errorf("%s: %d %s", path, code, answer)
		}
	}
	for kind, want := range map[string]int{"tunnel": 422, "flexibee": 422, "webhook": 201, "": 201} {
		body := `{"url":"https://a.example/"}`
		if kind != "" {
			body = `{"url":"https://a.example/","kind":"` + kind + `"}`
		}
		if code, answer := do("portal", "POST", "/endpoints", body); code != want {
			t.Errorf("create %s: %d %s", kind, code, answer)
		}
	}
	if code, answer := do("portal", "POST", "/endpoints", `{"url":"https://a.example/","envelope":"original"}`); code != 422 {
		t.Errorf("create original: %d %s", code, answer)
	}
	if code, answer := do("portal", "PATCH", "/endpoints/"+on.endpoint, `{"envelope":"original"}`); code != 422 {
		t.Errorf("change to original: %d %s", code, answer)
	}
	code, body := do("portal", "POST", "/events/id-1/resend", "")
	if code != http.StatusAccepted || strings.Contains(body, own[0]) || !strings.Contains(body, on.endpoint) {
		t.Errorf("resend to all: %d %s", code, body)
	}
}
