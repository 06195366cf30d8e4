package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posthornhq/posthorn/internal/config"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/token"
)

const testRoot = "a-root-key-for-the-test"

// newApp returns a server that does not run, with the tenant acme.
func newApp(t *testing.T, args ...string) (*App, *event.Tenant) {
	t.Helper()
	cfg, err := config.Load(append([]string{
		"--listen", "127.0.0.1:0", "--data", t.TempDir(), "--root-key", testRoot, "--public-url", "https://push.example.com",
	}, args...), nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	if _, err := a.control.CreateTenant(t.Context(), event.Tenant{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	tenant, err := a.control.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return a, tenant
}

func TestTokensAndKeys(t *testing.T) {
	a, tenant := newApp(t)
	ctx, auth := t.Context(), authenticator{a.control, a.tokens}
	root, err := auth.Authenticate(ctx, testRoot)
	if err != nil || !root.Admin || !auth.Holds(ctx, &root) {
		t.Fatalf("the root key: %+v, %v", root, err)
	}
	made, text, err := a.control.CreateAPIKey(ctx, event.APIKey{Name: "k", Tenant: tenant.ID, Allow: []event.Permission{event.AllowManage}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.Authenticate(ctx, text)
	if err != nil || key.Token != "" || !auth.Holds(ctx, &key) {
		t.Fatalf("an API key: %+v, %v", key, err)
	}
	tok, _, err := a.tokens.Create(ctx, tenant, &key, token.Grant{Allow: []event.Permission{event.AllowRead}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := auth.Authenticate(ctx, tok)
	if err != nil || got.Token == "" || got.Admin || got.Tenant != tenant.ID || !auth.Holds(ctx, &got) {
		t.Fatalf("a token: %+v, %v", got, err)
	}
	if err := a.tokens.Rotate(ctx, tenant, &key, 0); err != nil {
		t.Fatal(err)
	}
	if auth.Holds(ctx, &got) {
		t.Error("a token holds after the rotation")
	}
	if err := a.control.DeleteAPIKey(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if auth.Holds(ctx, &key) {
		t.Error("a key holds after it was deleted")
	}
	other := root
	other.Hash[0]++
	if auth.Holds(ctx, &other) {
		t.Error("an older root key holds")
	}
	if err := a.trimTokenKeys(ctx); err != nil {
		t.Error(err)
	}
}

// TestTokensOfAnotherIssuer is that of a keys file and the default audience.
func TestTokensOfAnotherIssuer(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	a, tenant := newApp(t, "--token-keys-file", file, "--token-issuer", "https://id.example.com")
	for audience, good := range map[string]bool{"https://push.example.com": true, "https://other.example.com": false} {
		tok, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": "https://id.example.com", "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "tenant": "acme", "allow": []string{"read"},
		}).SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		k, err := authenticator{a.control, a.tokens}.Authenticate(t.Context(), tok)
		if (err == nil) != good || good && k.Tenant != tenant.ID {
			t.Errorf("aud %s: %+v, %v", audience, k, err)
		}
	}
	cfg, err := config.Load([]string{"--data", t.TempDir(), "--listen", "127.0.0.1:0", "--token-keys-file", file + "-none", "--token-issuer", "x"}, nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), cfg, Options{Log: io.Discard}); err == nil || !strings.Contains(err.Error(), "token-keys-file") {
		t.Errorf("a file that is missing: %v", err)
	}
}
