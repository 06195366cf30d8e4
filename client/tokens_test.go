package client_test

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{
		{201, "", `{"token":"eyJ.x.y","expires":"2026-11-21T08:30:00Z"}`, nil}, {204, "", "", nil}, {204, "", "", nil}, {403, "", `{"code":"forbidden"}`, nil},
	}}
	c := newClient(t, s)
	ttl, overlap := client.Duration(15*time.Minute), client.Duration(0)
	got, err := c.CreateToken(t.Context(), "acme", client.TokenRequest{Allow: []string{"read"}, Types: []string{"order.*"}, TTL: &ttl})
	if err != nil || got.Token != "eyJ.x.y" || got.Expires.Unix() != 1795249800 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.RotateTokens(t.Context(), "acme", client.TokenRotation{}); err != nil {
		t.Error(err)
	}
	if err := c.RotateTokens(t.Context(), "acme", client.TokenRotation{Overlap: &overlap}, client.IdempotencyKey("k")); err != nil {
		t.Error(err)
	}
	if _, err := c.CreateToken(t.Context(), "acme", client.TokenRequest{Allow: []string{"read"}}); err == nil {
		t.Error("a refusal is no error")
	}
	for i, want := range [][2]string{
		{"/base/v1/tenants/acme/tokens", `{"allow":["read"],"types":["order.*"],"ttl":"15m"}`},
		{"/base/v1/tenants/acme/tokens/rotate", `{}`},
		{"/base/v1/tenants/acme/tokens/rotate", `{"overlap":"0s"}`},
		{"/base/v1/tenants/acme/tokens", `{"allow":["read"]}`},
	} {
		if s.got[i].URL.Path != want[0] || s.bodies[i] != want[1] || s.got[i].Method != "POST" {
			t.Errorf("%s %s %s, want %s %s", s.got[i].Method, s.got[i].URL.Path, s.bodies[i], want[0], want[1])
		}
	}
}
