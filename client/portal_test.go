package client_test

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

func TestPortal(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{200, `ETag: "1"`, `{}`, nil},
		{200, `ETag: "2"`, `{"name":"Acme","updated":"2026-11-21T08:30:00Z"}`, nil},
		{200, `ETag: "3"`, `{}`, nil},
		{201, "", `{"url":"https://p/ui/portal/a%20b#token=eyJ","token":"eyJ","expires":"2026-11-21T08:30:00Z"}`, nil},
		{403, "", `{"code":"forbidden"}`, nil},
	}}
	c := newClient(t, s)
	p, err := c.Portal(t.Context(), "a b")
	if err != nil || p.ETag != `"1"` || !p.Updated.IsZero() {
		t.Fatalf("%+v, %v", p, err)
	}
	p.Name, p.Colour, p.Origins = "Acme", "#0b7285", []string{"https://app.example.com"}
	if p, err = c.PutPortal(t.Context(), "a b", *p); err != nil || p.ETag != `"2"` || p.Name != "Acme" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err = c.PutPortal(t.Context(), "a b", client.Portal{}); err != nil {
		t.Fatal(err)
	}
	ttl := client.Duration(90 * time.Minute)
	link, err := c.CreatePortalLink(t.Context(), "a b", client.PortalLinkRequest{TTL: &ttl, ReadOnly: true, Language: "cs"})
	if err != nil || link.Token != "eyJ" || link.Expires.Unix() != 1795249800 {
		t.Errorf("%+v, %v", link, err)
	}
	if _, err := c.CreatePortalLink(t.Context(), "acme", client.PortalLinkRequest{}); err == nil {
		t.Error("a refusal is no error")
	}
	for i, want := range [][4]string{
		{"GET", "/base/v1/tenants/a%20b/portal", "", ""},
		{"PUT", "/base/v1/tenants/a%20b/portal", `{"name":"Acme","colour":"#0b7285","origins":["https://app.example.com"]}`, `"1"`},
		{"PUT", "/base/v1/tenants/a%20b/portal", `{}`, ""},
		{"POST", "/base/v1/tenants/a%20b/portal/links", `{"ttl":"1h30m","read_only":true,"language":"cs"}`, ""},
		{"POST", "/base/v1/tenants/acme/portal/links", `{}`, ""},
	} {
		if got := s.got[i]; got.Method != want[0] || got.URL.EscapedPath() != want[1] || s.bodies[i] != want[2] || got.Header.Get("If-Match") != want[3] {
			t.Errorf("%s %s %s %s, want %s", got.Method, got.URL.EscapedPath(), s.bodies[i], got.Header.Get("If-Match"), want)
		}
	}
}
