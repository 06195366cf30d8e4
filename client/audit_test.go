package client_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{200, "", `{"data":[{"id":"aud_1","at":"2026-11-21T08:30:00Z","actor":{"kind":"user","name":"Ann"},"action":"patch-endpoint","outcome":"done",
			"changes":[{"field":"url","from":"a","to":"b"}]}],"next":"n"}`, nil},
		{200, "", `{"data":[]}`, nil},
		{200, "", `{"data":[]}`, nil},
		{200, "", `{"id":"key_1","key":"ph_new","previous_expires":"2026-11-21T08:30:00Z"}`, nil},
	}}
	c := newClient(t, s)
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var got []client.AuditEntry
	for e, err := range c.AuditLog(t.Context(), client.ByActor("Ann"), client.OfAction("patch-endpoint"), client.OfResource("ep_1"), client.OfTenant("acme"),
		client.Since(at), client.Until(at.Add(time.Hour))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 1 || got[0].Actor.Name != "Ann" || string(got[0].Changes[0].From) != `"a"` || got[0].At.IsZero() {
		t.Errorf("%+v", got)
	}
	for _, err := range c.TenantAuditLog(t.Context(), "acme") {
		t.Error(err)
	}
	overlap := client.Duration(time.Hour)
	if k, err := c.RotateAPIKey(t.Context(), "key_1", client.KeyRotation{Overlap: &overlap}); err != nil || k.Key != "ph_new" || k.PreviousExpires == nil {
		t.Errorf("%+v, %v", k, err)
	}
	want := url.Values{
		"actor": {"Ann"}, "action": {"patch-endpoint"}, "resource": {"ep_1"}, "tenant": {"acme"},
		"since": {"2026-11-21T00:00:00Z"}, "until": {"2026-11-21T01:00:00Z"},
	}
	if s.got[0].URL.Path != "/base/v1/audit" || s.got[0].URL.RawQuery != want.Encode() {
		t.Errorf("%s, want %s", s.got[0].URL, want.Encode())
	}
	if q := s.got[1].URL.Query(); q.Get("cursor") != "n" || q.Get("actor") != "Ann" {
		t.Errorf("the second page is %s", s.got[1].URL)
	}
	if p := s.got[2].URL.Path; p != "/base/v1/tenants/acme/audit" {
		t.Error(p)
	}
	if r := s.got[3]; r.Method != "POST" || r.URL.Path != "/base/v1/apikeys/key_1/rotate" || s.bodies[3] != `{"overlap":"1h"}` {
		t.Errorf("%s %s %s", r.Method, r.URL, s.bodies[3])
	}
}

func TestNarrowedLists(t *testing.T) {
	t.Parallel()
	empty := answer{200, "", `{"data":[]}`, nil}
	s := &script{answers: []answer{empty, empty, empty}}
	c := newClient(t, s)
	for _, err := range c.Tenants(t.Context(), client.Containing("a b")) {
		t.Error("a tenant", err)
	}
	for _, err := range c.Endpoints(t.Context(), "acme", client.Containing("x"), client.Taking("order.paid"), client.InLane("waiting")) {
		t.Error("an endpoint", err)
	}
	for _, err := range c.EndpointAttempts(t.Context(), "acme", "ep_1", client.Statuses("5xx", "none"), client.AtEvent("id 1")) {
		t.Error("an attempt", err)
	}
	for i, want := range []string{"q=a+b", "lane=waiting&q=x&type=order.paid", "event=id+1&status=5xx%2Cnone"} {
		if got := s.got[i].URL.RawQuery; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
