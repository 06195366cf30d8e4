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
	"github.com/posthornhq/posthorn/internal/control"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/ingest"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// modelLog reads the model as package app reads a store.
type modelLog struct{ *storetest.Model }

func (l modelLog) Changes(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) ([]event.Event, int64, int64, error) {
	p, err := l.ReadTenant(ctx, tenant, after, limit, maxBytes)
	return p.Events, p.Oldest, p.Head, err
}

func (l modelLog) Newest(ctx context.Context, tenant event.TenantID, before int64, limit int) ([]event.Event, error) {
	p, err := l.ReadTenantBack(ctx, tenant, before, limit)
	return p.Events, err
}

type modelAnswers struct{ *storetest.Model }

func (a modelAnswers) Answer(ctx context.Context, scope, key string) (rest.Answer, error) {
	got, err := a.Model.Answer(ctx, scope, key)
	return rest.Answer(got), err
}

func (a modelAnswers) SaveAnswer(ctx context.Context, scope, key string, answer rest.Answer) error {
	return a.Model.SaveAnswer(ctx, scope, key, store.Answer(answer))
}

// plain seals nothing.
type plain struct{}

func (plain) Seal(text, _ []byte) ([]byte, error)   { return append([]byte("sealed:"), text...), nil }
func (plain) Open(sealed, _ []byte) ([]byte, error) { return sealed[len("sealed:"):], nil }

func checked(f func(string) string) func(string) error {
	return func(s string) error {
		if why := f(s); why != "" {
			return errors.New(why)
		}
		return nil
	}
}

// wired returns a client of a server over the real control plane, ingest and a store in memory; only delivery is a fake.
func wired(t *testing.T, change ...func(*rest.Config, *storetest.Model)) (*client.Client, *httptest.Server) {
	t.Helper()
	m := storetest.NewModel()
	c, err := control.New(control.Options{
		Store: m, Sealer: plain{}, Limits: event.DefaultLimits(), CheckPattern: checked(match.CheckPattern),
		CheckURL: func(s string) error {
			if !strings.HasPrefix(s, "https://") {
				return errors.New("must be an https URL")
			}
			return nil
		},
		CheckFilter: func(s string) error {
			_, err := match.CompileFilter(s, event.DefaultLimits())
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Store: m, Catalog: c, Limits: event.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	const root = "phk_root-key-of-the-test-0123456789abcdef"
	if _, err := c.EnsureRootKey(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	tokens := newTokens(t, m, c)
	api, _ := newAPI(t, newFake(), func(r *rest.Config) {
		r.Publisher, r.Auth, r.Control, r.Log, r.Answers = in, keysAndTokens{c, tokens}, c, modelLog{m}, modelAnswers{m}
		h := newHub(t, m)
		r.Tokens, r.Live, r.Streams = issuer{tokens}, h, h.Hub
		for _, f := range change {
			f(r, m)
		}
	})
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	sdk, err := client.New(server.URL, root)
	if err != nil {
		t.Fatal(err)
	}
	return sdk, server
}

// must returns v, or ends the test.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func problemOf(t *testing.T, err error, status int) *client.Problem {
	t.Helper()
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != status {
		t.Fatalf("got %v, want status %d", err, status)
	}
	return p
}

func TestWiredTenantsAndKeys(t *testing.T) {
	t.Parallel()
	c, server := wired(t)
	ctx := t.Context()
	acme := must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme", Metadata: map[string]string{"plan": "free"}}))
	if acme.ETag == "" || acme.Created.IsZero() {
		t.Errorf("%+v", acme)
	}
	_, err := c.CreateTenant(ctx, client.Tenant{Name: "acme"})
	if p := problemOf(t, err, 409); p.Code != "tenant_exists" {
		t.Errorf("%+v", p)
	}
	old := *acme
	acme.Description = "changed"
	acme = must[*client.Tenant](t)(c.UpdateTenant(ctx, *acme))
	if acme.Description != "changed" || acme.ETag == old.ETag {
		t.Errorf("%+v", acme)
	}
	_, err = c.UpdateTenant(ctx, old)
	_ = problemOf(t, err, 412)
	acme = must[*client.Tenant](t)(c.PatchTenant(ctx, "acme", map[string]any{"metadata": map[string]any{"a": "b"}}))
	if acme.Metadata["plan"] != "free" || acme.Metadata["a"] != "b" || acme.Description != "changed" {
		t.Errorf("%+v", acme)
	}
	key := must[*client.APIKey](t)(c.CreateAPIKey(ctx, client.APIKey{Name: "k", Tenant: "acme", Allow: []string{"read"}}, client.IdempotencyKey("one")))
	again := must[*client.APIKey](t)(c.CreateAPIKey(ctx, client.APIKey{Name: "k", Tenant: "acme", Allow: []string{"read"}}, client.IdempotencyKey("one")))
	if key.Key == "" || again.ID != key.ID || again.Key != key.Key {
		t.Errorf("%s %s", key.ID, again.ID)
	}
	reader := must[*client.Client](t)(client.New(server.URL, key.Key))
	if got := must[*client.Tenant](t)(reader.Tenant(ctx, "acme")); got.Name != "acme" {
		t.Errorf("%+v", got)
	}
	_, err = reader.Publish(ctx, "acme", client.Event{Type: "a"})
	_ = problemOf(t, err, 403)
	keys := 0
	for k, err := range c.APIKeys(ctx, client.PageSize(1)) {
		if err != nil {
			t.Fatal(err)
		}
		if keys++; k.Key != "" {
			t.Error("a list shows a key")
		}
	}
	if keys != 2 {
		t.Errorf("%d keys", keys)
	}
	overlap := client.Duration(time.Hour)
	rotated := must[*client.APIKey](t)(c.RotateAPIKey(ctx, key.ID, client.KeyRotation{Overlap: &overlap}))
	if rotated.ID != key.ID || rotated.Key == key.Key || rotated.Key == "" || rotated.PreviousExpires == nil {
		t.Errorf("%+v", rotated)
	}
	for _, k := range []string{key.Key, rotated.Key} {
		_ = must[*client.Tenant](t)(must[*client.Client](t)(client.New(server.URL, k)).Tenant(ctx, "acme"))
	}
	if got := must[*client.APIKey](t)(c.APIKey(ctx, key.ID)); got.Key != "" || got.PreviousExpires == nil {
		t.Errorf("%+v", got)
	}
	reader = must[*client.Client](t)(client.New(server.URL, rotated.Key))
	if err := c.DeleteAPIKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{key.Key, rotated.Key} {
		_, err = must[*client.Client](t)(client.New(server.URL, k)).Tenant(ctx, "acme")
		_ = problemOf(t, err, 401)
	}
	_, err = c.RotateAPIKey(ctx, event.FormatAPIKeyID(event.RootKeyID), client.KeyRotation{})
	if p := problemOf(t, err, 409); p.Code != "root_key_configured" {
		t.Errorf("%+v", p)
	}
	_, err = reader.Tenant(ctx, "acme")
	_ = problemOf(t, err, 401)
	if err := c.DeleteTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Tenant(ctx, "acme")
	_ = problemOf(t, err, 404)
}

func TestWiredEndpoints(t *testing.T) {
	t.Parallel()
	c, _ := wired(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	in := client.Endpoint{
		URL: "https://example.com/in", Types: []string{"order.*"}, Filter: `data.n > 1`, Timeout: client.Duration(10 * time.Second),
		Retries: []client.Duration{client.Duration(5 * time.Second), client.Duration(5 * time.Minute)}, Headers: map[string]string{"X-A": "1"},
		Auth: &client.Auth{Type: "basic", Username: "u", Password: "p"}, Batch: &client.Batch{Max: 10, Wait: client.Duration(time.Second)},
	}
	e := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", in))
	if e.ID == "" || e.Order != "none" || e.Signing != "standard" || e.Retries[1].String() != "5m" || e.Headers["X-A"] != "1" || e.Auth.Password != "" || e.Batch.Max != 10 {
		t.Errorf("%+v", e)
	}
	e = must[*client.Endpoint](t)(c.Endpoint(ctx, "acme", e.ID))
	if e.State == nil || e.State.Lane != "live" {
		t.Errorf("state %+v", e.State)
	}
	e.Order = "strict"
	changed := must[*client.Endpoint](t)(c.UpdateEndpoint(ctx, "acme", *e))
	if changed.Order != "strict" || changed.Auth == nil || changed.Auth.Username != "u" || changed.Retries[0].String() != "5s" {
		t.Errorf("%+v", changed)
	}
	_, err := c.UpdateEndpoint(ctx, "acme", *e)
	_ = problemOf(t, err, 412)
	for field, patch := range map[string]string{
		"url": `{"url":"http://example.com","auth":null}`, "filter": `{"filter":"data.("}`, "types[0]": `{"types":["a.**.b"]}`,
		"headers": `{"headers":{"Bad Header":"x"}}`,
	} {
		_, err := c.PatchEndpoint(ctx, "acme", e.ID, json.RawMessage(patch))
		p := problemOf(t, err, 422)
		if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Field, field) {
			t.Errorf("%s: %v", patch, p)
		}
	}
	first := must[*client.Secret](t)(c.Secret(ctx, "acme", e.ID))
	overlap := client.Duration(time.Hour)
	next := must[*client.Secret](t)(c.RotateSecret(ctx, "acme", e.ID, client.Rotation{Overlap: &overlap}))
	if !strings.HasPrefix(first.Secret, "whsec_") || next.Secret == first.Secret || len(next.Previous) != 1 || next.Previous[0].Secret != first.Secret {
		t.Error("the secret did not rotate with an overlap")
	}
	paused := must[*client.Endpoint](t)(c.Pause(ctx, "acme", e.ID))
	if !paused.Disabled || paused.DisabledReason != "paused" {
		t.Errorf("%+v", paused)
	}
	if resumed := must[*client.Endpoint](t)(c.Resume(ctx, "acme", e.ID)); resumed.Disabled {
		t.Errorf("%+v", resumed)
	}
	signed := must[*client.Endpoint](t)(c.CreateEndpoint(ctx, "acme", client.Endpoint{URL: "https://example.com/2", Signing: "standard-v1a"}))
	if s := must[*client.Secret](t)(c.Secret(ctx, "acme", signed.ID)); !strings.HasPrefix(s.Secret, "whsk_") || !strings.HasPrefix(s.PublicKey, "whpk_") {
		t.Error("no public key of standard-v1a")
	}
	n := 0
	for _, err := range c.Endpoints(ctx, "acme", client.PageSize(1), client.WithState()) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 {
		t.Errorf("%d endpoints", n)
	}
	if err := c.DeleteEndpoint(ctx, "acme", e.ID, client.IfMatch(resumedTag(t, c, e.ID))); err != nil {
		t.Fatal(err)
	}
	_, err = c.Endpoint(ctx, "acme", e.ID)
	_ = problemOf(t, err, 404)
}

func resumedTag(t *testing.T, c *client.Client, id string) string {
	t.Helper()
	return must[*client.Endpoint](t)(c.Endpoint(t.Context(), "acme", id)).ETag
}

func TestWiredEvents(t *testing.T) {
	t.Parallel()
	c, _ := wired(t)
	ctx := t.Context()
	_ = must[*client.Tenant](t)(c.CreateTenant(ctx, client.Tenant{Name: "acme"}))
	et := must[*client.EventType](t)(c.CreateEventType(ctx, "acme", client.EventType{Name: "order.paid", Schema: json.RawMessage(`{"type":"object","required":["n"]}`)}))
	if et.ETag == "" {
		t.Error("no ETag")
	}
	_, err := c.Publish(ctx, "acme", client.Event{Type: "order.paid", Data: json.RawMessage(`{}`)})
	if p := problemOf(t, err, 422); p.Code != "schema_violation" {
		t.Errorf("%+v", p)
	}
	one := must[client.Receipt](t)(c.Publish(ctx, "acme", client.Event{Type: "order.paid", Subject: "o/1", Data: json.RawMessage(`{"n": 1}`)}, client.IdempotencyKey("k")))
	two := must[client.Receipt](t)(c.Publish(ctx, "acme", client.Event{Type: "order.paid", Subject: "o/1", Data: json.RawMessage(`{"n": 1}`)}, client.IdempotencyKey("k")))
	if one.Version != 1 || one != two {
		t.Errorf("%+v %+v", one, two)
	}
	_, err = c.Publish(ctx, "acme", client.Event{Type: "order.paid", Data: json.RawMessage(`{"n":2}`)}, client.IdempotencyKey("k"))
	if p := problemOf(t, err, 409); p.Code != "idempotency_key_reused" {
		t.Errorf("%+v", p)
	}
	batch := must[[]client.Receipt](t)(c.PublishBatch(ctx, "acme", []client.Event{{Type: "a", ID: "x"}, {Type: "b", ID: "y"}, {Type: "a", ID: "x"}}))
	if len(batch) != 3 || batch[2] != batch[0] || batch[1].Version != 3 {
		t.Errorf("%+v", batch)
	}
	raw := must[[]client.Receipt](t)(c.PublishRaw(ctx, "acme", "application/cloudevents+json", []byte(`{"specversion":"1.0","id":"z","source":"/s","type":"a","ext":true}`)))
	if len(raw) != 1 || raw[0].Version != 4 {
		t.Errorf("%+v", raw)
	}
	e := must[*client.Event](t)(c.Event(ctx, "acme", one.ID))
	if e.Subject != "o/1" || e.Version != 1 || string(e.Data) != `{"n":1}` || e.Source == "" {
		t.Errorf("%+v", e)
	}
	if z := must[*client.Event](t)(c.Event(ctx, "acme", "z")); z.Extensions["ext"] != true {
		t.Errorf("%+v", z)
	}
	changes := must[*client.Changes](t)(c.Changes(ctx, "acme", 1, client.Types("order.*", "b"), client.PageSize(10)))
	if len(changes.Changes) != 2 || changes.Next != 5 || changes.Head != 4 {
		t.Errorf("%+v", changes)
	}
	var versions []int64
	for e, err := range c.Events(ctx, "acme", client.PageSize(1)) {
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, e.Version)
	}
	if len(versions) != 4 || versions[0] != 4 || versions[3] != 1 {
		t.Errorf("%v", versions)
	}
	for _, err := range c.EventAttempts(ctx, "acme", one.ID) {
		t.Errorf("an attempt: %v", err)
	}
	if _, err := c.PublishRaw(ctx, "acme", "application/x-unknown", []byte("x")); problemOf(t, err, http.StatusUnsupportedMediaType).RequestID == "" {
		t.Error("no request id")
	}
}
