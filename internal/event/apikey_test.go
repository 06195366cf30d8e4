package event

import (
	"slices"
	"testing"
)

func TestAPIKeyIn(t *testing.T) {
	user := APIKey{User: "sub", Grants: []Grant{
		{Tenant: 0, Allow: []Permission{AllowRead}},
		{Tenant: 7, Allow: []Permission{AllowPublish, AllowRead}},
	}}
	for tenant, want := range map[TenantID][]Permission{7: {AllowRead, AllowPublish}, 8: {AllowRead}} {
		got := user.In(tenant)
		if got.Tenant != tenant || !slices.Equal(got.Allow, want) {
			t.Errorf("in tenant %d: tenant %d, %v, want %v", tenant, got.Tenant, got.Allow, want)
		}
	}
	if user.Tenant != 0 || user.Allow != nil {
		t.Error("the record itself was changed")
	}
	key := APIKey{Tenant: 3, Allow: []Permission{AllowManage}}
	if got := key.In(7); got.Tenant != 3 || !slices.Equal(got.Allow, key.Allow) {
		t.Errorf("an API key came to be one of another tenant: %+v", got)
	}
}

func TestAPIKeyIdentify(t *testing.T) {
	for want, k := range map[string]APIKey{
		ByRoot: {ID: RootKeyID}, ByKey: {ID: 1 << 41}, ByToken: {Token: "t"}, ByUser: {User: "u"}, "kept": {Kind: "kept"},
	} {
		if k.Identify(); k.Kind != want {
			t.Errorf("%+v is %q, want %q", k, k.Kind, want)
		}
	}
}
