package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

// CreateToken is for [rest.Tokens].
func (f *fake) CreateToken(_ context.Context, _ *event.Tenant, _ *event.APIKey, g rest.TokenGrant) (string, time.Time, error) {
	defer f.lock()()
	if g.TTL == 0 {
		g.TTL = time.Hour
	}
	return "eyJ.the." + string(g.Allow[0]), start.Add(g.TTL), f.fail
}

// RotateTokens is for [rest.Tokens].
func (f *fake) RotateTokens(context.Context, *event.Tenant, *event.APIKey, time.Duration) error {
	defer f.lock()()
	return f.fail
}

// recorded is what a call to the tokens' port was given.
type recorded struct {
	*fake
	by      *event.APIKey
	tenant  string
	grant   rest.TokenGrant
	overlap time.Duration
}

func (r *recorded) CreateToken(ctx context.Context, t *event.Tenant, by *event.APIKey, g rest.TokenGrant) (string, time.Time, error) {
	r.tenant, r.by, r.grant = t.Name, by, g
	return r.fake.CreateToken(ctx, t, by, g)
}

func (r *recorded) RotateTokens(ctx context.Context, t *event.Tenant, by *event.APIKey, overlap time.Duration) error {
	r.tenant, r.by, r.overlap = t.Name, by, overlap
	return r.fake.RotateTokens(ctx, t, by, overlap)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.bearer("a-token", event.APIKey{Token: "jti", Tenant: 1, Allow: []event.Permission{event.AllowManage}})
	port := &recorded{fake: f}
	api, _ := newAPI(t, f, func(c *rest.Config) { c.Tokens = port })
	do := func(key, path, body string) *httptest.ResponseRecorder {
		return request{method: http.MethodPost, path: "/v1/tenants/acme/tokens" + path, key: key, body: body}.do(t, api.Handler())
	}
	w := do("manager", "", `{"allow":["read"],"types":["order.*"],"subjects":["order/42","user/7/*"],"ttl":"90s"}`)
	var got client.Token
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusCreated || got.Token != "eyJ.the.read" || !got.Expires.Equal(start.Add(90*time.Second)) {
		t.Errorf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %s", w.Header().Get("Cache-Control"))
	}
	if port.tenant != "acme" || port.by.Name != "manager" || len(port.grant.Allow) != 1 || port.grant.Types[0] != "order.*" || port.grant.Subjects[1] != "user/7/*" || port.grant.TTL != 90*time.Second {
		t.Errorf("%+v", port)
	}
	if w := do("admin", "", `{"allow":["manage"]}`); w.Code != http.StatusCreated || port.grant.TTL != 0 {
		t.Errorf("%d, %+v", w.Code, port.grant)
	}
	if w := do("manager", "/rotate", ""); w.Code != http.StatusNoContent || port.overlap != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := do("manager", "/rotate", `{"overlap":"1h"}`); w.Code != http.StatusNoContent || port.overlap != time.Hour {
		t.Errorf("%d %s, %v", w.Code, w.Body, port.overlap)
	}
	for _, c := range []struct {
		key, path, body string
		status          int
		field           string
	}{
		{"reader", "", `{"allow":["read"]}`, 403, ""},
		{"publisher", "/rotate", "", 403, ""},
		{"foreign", "", `{"allow":["read"]}`, 403, ""},
		{"a-token", "", `{"allow":["read"]}`, 403, ""},
		{"a-token", "/rotate", "", 403, ""},
		{"", "", `{"allow":["read"]}`, 401, ""},
		{"manager", "", "", 400, ""},
		{"manager", "", `{}`, 422, "allow"},
		{"manager", "", `{"allow":[]}`, 422, "allow"},
		{"manager", "", `{"allow":["admin"]}`, 422, "allow[0]"},
		{"manager", "", `{"allow":["read"],"ttl":"0s"}`, 422, "ttl"},
		{"manager", "", `{"allow":["read"],"ttl":"-1s"}`, 422, "ttl"},
		{"manager", "", `{"allow":["read"],"ttl":3600}`, 422, "ttl"},
		{"manager", "", `{"allow":["read"],"admin":true}`, 422, "admin"},
		{"manager", "/rotate", `{"overlap":"soon"}`, 422, "overlap"},
	} {
		w := do(c.key, c.path, c.body)
		if w.Code != c.status || c.field != "" && !strings.Contains(w.Body.String(), `"field":"`+c.field+`"`) {
			t.Errorf("%s %s %s: %d %s", c.key, c.path, c.body, w.Code, w.Body)
		}
	}
	f.fail = errors.New("hush")
	if w := do("manager", "", `{"allow":["read"]}`); w.Code != 500 || strings.Contains(w.Body.String(), "hush") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
