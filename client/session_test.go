package client_test

import (
	"testing"

	"github.com/posthornhq/posthorn/client"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{200, "", `{"kind":"user","id":"ann-1","name":"Ann","admin":false,"grants":[{"tenant":"*","allow":["read"]}],"session":false,"version":"1"}`, nil},
		{401, "", `{"code":"unauthorized"}`, nil},
		{200, "", `{"data":[{"id":"ses_a","by":{"kind":"apikey","id":"key_1","name":"ops"},"seen":"2026-11-22T08:00:00Z"}],"next":"n"}`, nil},
		{200, "", `{"data":[{"id":"ses_b"}]}`, nil},
		{204, "", "", nil},
		{204, "", "", nil},
	}}
	c := newClient(t, s)
	me, err := c.Me(t.Context())
	if err != nil || me.Kind != "user" || me.ID != "ann-1" || len(me.Grants) != 1 || me.Grants[0].Tenant != client.EveryTenant || me.Expires != nil {
		t.Errorf("%+v, %v", me, err)
	}
	if _, err := c.Me(t.Context()); err == nil {
		t.Error("a refusal is no error")
	}
	var ids []string
	for v, err := range c.Sessions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, v.ID+v.By.Name)
	}
	if len(ids) != 2 || ids[0] != "ses_aops" || ids[1] != "ses_b" {
		t.Errorf("%v", ids)
	}
	if err := c.EndSession(t.Context(), "ses_a"); err != nil {
		t.Error(err)
	}
	if err := c.LogOutEverywhere(t.Context()); err != nil {
		t.Error(err)
	}
	for i, want := range []string{
		"GET /base/v1/me", "GET /base/v1/me", "GET /base/v1/sessions?all=true", "GET /base/v1/sessions?all=true&cursor=n",
		"DELETE /base/v1/sessions/ses_a", "DELETE /base/v1/sessions",
	} {
		if got := s.got[i].Method + " " + s.got[i].URL.RequestURI(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
