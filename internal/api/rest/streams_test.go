package rest_test

import (
	"testing"

	"github.com/posthornhq/posthorn/internal/event"
)

// TestStreamsAreForKeys: a token in a customer's browser shows nobody else's address and ends nobody else's connection.
func TestStreamsAreForKeys(t *testing.T) {
	t.Parallel()
	on := newStage(t)
	on.bearer("a-token", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowRead, event.AllowManage}})
	for _, r := range []request{
		{method: "GET", path: "/v1/tenants/acme/streams"},
		{method: "DELETE", path: "/v1/tenants/acme/streams/str_0000000000002"},
	} {
		r.key = "a-token"
		r.problem(t, on.h, 403, "forbidden")
		r.key = "manager"
		if w := r.do(t, on.h); w.Code >= 300 {
			t.Errorf("%s with a key: %d %s", r.method, w.Code, w.Body)
		}
	}
}
