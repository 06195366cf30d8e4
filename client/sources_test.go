package client_test

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

func TestSources(t *testing.T) {
	t.Parallel()
	const source = `{"name":"github","provider":"github","url":"https://x/in/acme/github","secret_hints":[{"hint":"whse…"}],"settings":{"verify_token":""},"disabled":false}`
	const tag = `ETag: "3"`
	s := &script{answers: []answer{
		{201, tag, source, nil},
		{200, tag, source, nil},
		{200, "", `{"data":[` + source + `]}`, nil},
		{200, tag, source, nil},
		{200, tag, source, nil},
		{204, "", "", nil},
		{200, "", `{"secrets":[{"secret":"a"}]}`, nil},
		{200, "", `{"secrets":[{"secret":"b"},{"secret":"a","expires":"2026-11-21T08:30:00Z"}]}`, nil},
		{200, "", `{"data":[{"name":"github","title":"GitHub"}]}`, nil},
		{409, "", `{"code":"already_exists"}`, nil},
	}}
	c := newClient(t, s)
	made, err := c.CreateSource(t.Context(), "acme", client.Source{Name: "github", Provider: "github", Secrets: []string{"x"}, Map: &client.SourceMap{Fields: map[string]string{"a": "b"}}})
	if err != nil || made.ETag != `"3"` || made.URL == "" || made.SecretHints[0].Hint != "whse…" {
		t.Errorf("%+v, %v", made, err)
	}
	read, err := c.Source(t.Context(), "acme", "github")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Sources(t.Context(), "acme", client.WithState()) {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := c.UpdateSource(t.Context(), "acme", *read); err != nil {
		t.Error(err)
	}
	if _, err := c.PatchSource(t.Context(), "acme", "github", map[string]any{"disabled": true}); err != nil {
		t.Error(err)
	}
	if err := c.DeleteSource(t.Context(), "acme", "github"); err != nil {
		t.Error(err)
	}
	if got, err := c.SourceSecrets(t.Context(), "acme", "github"); err != nil || got.Secrets[0].Secret != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	overlap := client.Duration(time.Hour)
	if got, err := c.AddSourceSecret(t.Context(), "acme", "github", client.NewSourceSecret{Secret: "b", Overlap: &overlap}); err != nil || got.Secrets[1].Expires == nil {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := c.Providers(t.Context()); err != nil || got[0].Title != "GitHub" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.CreateSource(t.Context(), "acme", client.Source{Name: "github"}); err == nil {
		t.Error("a refusal is no error")
	}
	const base = "/base/v1/tenants/acme/sources"
	for i, want := range [][3]string{
		{"POST", base, `{"name":"github","provider":"github","secrets":["x"],"map":{"fields":{"a":"b"}},"disabled":false}`},
		{"GET", base + "/github", ""},
		{"GET", base, ""},
		// What is not shown is not sent back: it stays.
		{"PUT", base + "/github", `{"name":"github","provider":"github","secret_hints":[{"hint":"whse…"}],"settings":{"verify_token":""},"disabled":false,"url":"https://x/in/acme/github"}`},
		{"PATCH", base + "/github", `{"disabled":true}`},
		{"DELETE", base + "/github", ""},
		{"GET", base + "/github/secrets", ""},
		{"POST", base + "/github/secrets", `{"secret":"b","overlap":"1h"}`},
		{"GET", "/base/v1/providers", ""},
	} {
		if s.got[i].Method != want[0] || s.got[i].URL.Path != want[1] || s.bodies[i] != want[2] {
			t.Errorf("%s %s %s, want %q", s.got[i].Method, s.got[i].URL.Path, s.bodies[i], want)
		}
	}
	if s.got[2].URL.RawQuery != "state=true" || s.got[3].Header.Get("If-Match") != `"3"` || s.got[4].Header.Get("Content-Type") != "application/merge-patch+json" {
		t.Errorf("%s %v", s.got[2].URL.RawQuery, s.got[3].Header)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{200, "", `{"id":"a","type":"b","version":7,"origin":{"method":"POST","target":"/x","url":"https://h/x","remote":"192.0.2.1","headers":[{"name":"A","value":"1"}],"body_base64":"/wA="}}`, nil},
		{202, "", `{"id":"a","version":7}`, nil},
	}}
	c := newClient(t, s)
	e, err := c.Event(t.Context(), "acme", "a")
	if err != nil || e.Origin == nil || e.Origin.Headers[0].Value != "1" {
		t.Fatalf("%+v, %v", e, err)
	}
	if body, err := e.Origin.Content(); err != nil || string(body) != "\xff\x00" {
		t.Errorf("%q, %v", body, err)
	}
	// What was read can be published: without what the server gave.
	if _, err := c.Publish(t.Context(), "acme", *e); err != nil || s.bodies[1] != `{"id":"a","type":"b"}` {
		t.Errorf("%s, %v", s.bodies[1], err)
	}
}
