package control_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/guard"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// The control plane on the real keyring, guard and matcher, and on the model that every store is held to.
func TestWhole(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keys, err := keyring.Open(keyring.Source{Path: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	targets, limits := guard.New(nil, nil), event.DefaultLimits()
	c, err := control.New(control.Options{
		Store: storetest.NewModel(), Sealer: keys, Limits: limits,
		CheckURL: func(url string) error { _, err := targets.CheckURL(url, limits.MaxURL); return err },
		CheckPattern: func(pattern string) error {
			if message := match.CheckPattern(pattern); message != "" {
				return errors.New(message)
			}
			return nil
		},
		CheckFilter: func(filter string) error { _, err := match.CompileFilter(filter, limits); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	root, err := c.EnsureRootKey(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := c.Authenticate(ctx, root); err != nil || !k.Admin {
		t.Fatalf("root key: %+v, %v", k, err)
	}
	if _, err := c.EnsureRootKey(ctx, "a-configured-root-key"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Authenticate(ctx, root); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("the old root key gives %v", err)
	}
	if _, err := c.CreateTenant(ctx, event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	tenant, err := c.Tenant(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateEndpoint(ctx, tenant, event.Endpoint{URL: "http://127.0.0.1/", Types: []string{"a", "a..b"}, Filter: "1 +"}, event.Secrets{})
	problem, ok := errors.AsType[*event.Error](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, f := range problem.Fields {
		fields = append(fields, f.Field)
	}
	if !slices.Equal(fields, []string{"url", "types[1]", "filter"}) {
		t.Errorf("fields %v", fields)
	}
	e, err := c.CreateEndpoint(ctx, tenant, event.Endpoint{URL: "https://example.com/hook", Types: []string{"order.*"}}, event.Secrets{
		Headers: []event.Header{{Name: "X-A", Value: "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := c.Secrets(ctx, &e)
	if err != nil || len(before.Signing) != 1 {
		t.Fatalf("secrets: %v", err)
	}
	rotated, err := c.RotateSecret(ctx, tenant, e.ID, "", control.DefaultOverlap)
	if err != nil || len(rotated.Signing) != 2 || rotated.Signing[1].Secret != before.Signing[0].Secret || rotated.Headers[0].Value != "1" {
		t.Fatalf("rotated: %v", err)
	}
	if _, err := c.UpdateEndpoint(ctx, tenant, e, nil, 1); event.KindOf(err) != event.KindPrecondition {
		t.Errorf("old revision: %v", err)
	}
	if did, err := c.Disable(ctx, tenant.ID, e.ID, control.ReasonGone, e.Updated.AddDate(1, 0, 0)); err != nil || !did {
		t.Errorf("disable: %v, %v", did, err)
	}
	if _, err := c.CreateType(ctx, tenant, event.Type{Name: "order.paid", Schema: json.RawMessage(`{"type":"object"}`)}); err != nil {
		t.Fatal(err)
	}
	check, err := c.Validator(ctx, tenant.ID, "order.paid")
	if err != nil || check([]byte(`[]`)) == nil || check([]byte(`{}`)) != nil {
		t.Errorf("validator: %v", err)
	}
	_, key, err := c.CreateAPIKey(ctx, event.APIKey{Name: "app", Tenant: tenant.ID, Allow: []event.Permission{event.AllowPublish}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteTenant(ctx, "acme", tenant.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Authenticate(ctx, key); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("a key of a deleted tenant gives %v", err)
	}
	if _, err := c.Endpoint(ctx, tenant, e.ID); event.KindOf(err) != event.KindNotFound {
		t.Errorf("an endpoint of a deleted tenant gives %v", err)
	}
}
