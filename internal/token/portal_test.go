package token

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestPortal makes the tokens of portals: they stand alone, may live for a week, and end with the tenant's others.
func TestPortal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	manager := &event.APIKey{ID: 2, Tenant: 1, Allow: []event.Permission{event.AllowManage}}
	person := &event.APIKey{User: "jane", Tenant: 1, Allow: []event.Permission{event.AllowManage}}
	for _, p := range []event.Permission{event.AllowPortal, event.AllowPortalRead} {
		for _, by := range []*event.APIKey{admin, manager, person} {
			tok, ends, err := w.Create(t.Context(), w.tenants["acme"], by, Grant{Allow: []event.Permission{p}, TTL: MaxPortalTTL})
			if err != nil {
				t.Fatal(err)
			}
			k := w.accepts(string(p), tok)
			if !k.Portal() || len(k.Allow) != 1 || k.Allow[0] != p || k.Tenant != 1 || k.Admin || k.Only != nil || !k.Expires.Equal(ends) || ends.Sub(w.clock()) < MaxPortalTTL {
				t.Errorf("%+v until %v", k, ends)
			}
		}
		reader := &event.APIKey{ID: 3, Tenant: 1, Allow: []event.Permission{event.AllowRead, event.AllowPublish}}
		for what, c := range map[string]struct {
			by   *event.APIKey
			g    Grant
			kind event.Kind
		}{
			"too long":        {admin, Grant{Allow: []event.Permission{p}, TTL: MaxPortalTTL + 1}, event.KindInvalid},
			"with another":    {admin, Grant{Allow: []event.Permission{p, event.AllowRead}}, event.KindInvalid},
			"behind another":  {admin, Grant{Allow: []event.Permission{event.AllowRead, p}}, event.KindInvalid},
			"both":            {admin, Grant{Allow: []event.Permission{event.AllowPortal, event.AllowPortalRead}}, event.KindInvalid},
			"narrowed":        {admin, Grant{Allow: []event.Permission{p}, Types: []string{"a"}}, event.KindInvalid},
			"by a reader":     {reader, Grant{Allow: []event.Permission{p}}, event.KindForbidden},
			"by a portal":     {&event.APIKey{Token: "x", Tenant: 1, Allow: []event.Permission{event.AllowPortal}}, Grant{Allow: []event.Permission{p}}, event.KindForbidden},
			"read by portal":  {&event.APIKey{Tenant: 1, Allow: []event.Permission{event.AllowPortal}}, Grant{Allow: []event.Permission{event.AllowRead}}, event.KindForbidden},
			"long for others": {admin, Grant{Allow: []event.Permission{event.AllowManage}, TTL: MaxTTL + 1}, event.KindInvalid},
		} {
			if _, _, err := w.Create(t.Context(), w.tenants["acme"], c.by, c.g); event.KindOf(err) != c.kind {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	tok := w.create("acme", Grant{Allow: []event.Permission{event.AllowPortal}, TTL: MaxPortalTTL})
	w.pass(MaxPortalTTL - time.Second)
	k := w.accepts("after six days", tok)
	if err := w.Rotate(t.Context(), w.tenants["acme"], manager, 0); err != nil {
		t.Fatal(err)
	}
	w.refuses("after a rotation", tok)
	if w.Holds(t.Context(), &k) {
		t.Error("a portal's connection holds after a rotation")
	}
	tok = w.create("acme", Grant{Allow: []event.Permission{event.AllowPortal}})
	w.pass(DefaultTTL + time.Second)
	w.refuses("after its end", tok)
}

// TestPortalOfOthers refuses what another issuer calls a portal: links are made here.
func TestPortalOfOthers(t *testing.T) {
	t.Parallel()
	p := pairs()["EdDSA"]
	w, _ := withFile(t, jwks(p.jwk()))
	for _, allow := range [][]string{{"portal"}, {"portal-read"}, {"read", "portal"}} {
		w.refuses(allow[0], p.sign(w.theirClaims("allow", allow)))
	}
}
