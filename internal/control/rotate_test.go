package control

import (
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestRotateAPIKey(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	made, first, err := p.CreateAPIKey(ctx, event.APIKey{Name: "a", Tenant: p.tenant.ID, Allow: []event.Permission{event.AllowRead}})
	if err != nil {
		t.Fatal(err)
	}
	works := func(key string) bool {
		t.Helper()
		k, err := p.Authenticate(ctx, key)
		if err != nil && event.KindOf(err) != event.KindUnauthorized {
			t.Fatal(err)
		}
		if err == nil && (k.ID != made.ID || k.Tenant != p.tenant.ID) {
			t.Errorf("another key: %+v", k)
		}
		return err == nil
	}
	if !works(first) { // the caches hold it now
		t.Fatal("the new key does not work")
	}
	next, second, err := p.RotateAPIKey(ctx, made.ID, time.Hour)
	if err != nil || next.ID != made.ID || second == first || next.Hint == made.Hint {
		t.Fatalf("%+v, %v", next, err)
	}
	if !works(first) || !works(second) {
		t.Error("during the overlap both must work")
	}
	// What the first one opens ends with it, and what it had opened before holds as long.
	for key, ends := range map[string]time.Time{first: next.PreviousExpires, second: {}} {
		if k, err := p.Authenticate(ctx, key); err != nil || !k.Expires.Equal(ends) {
			t.Errorf("ends %v, want %v; %v", k.Expires, ends, err)
		}
	}
	if k, err := p.AuthenticateHash(ctx, made.Hash); err != nil || k.ID != made.ID {
		t.Errorf("by the hash of before: %v", err)
	}
	p.clock.add(59 * time.Minute)
	if !works(first) {
		t.Error("the first one ended early")
	}
	p.clock.add(time.Minute)
	if _, err := p.AuthenticateHash(ctx, made.Hash); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("by the hash of before, after the overlap: %v", err)
	}
	if works(first) || !works(second) {
		t.Error("after the overlap only the second works")
	}
	_, third, err := p.RotateAPIKey(ctx, made.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, fourth, err := p.RotateAPIKey(ctx, made.ID, time.Hour)
	if err != nil || works(second) || !works(third) || !works(fourth) {
		t.Errorf("rotated twice: the one before the last must end: %v", err)
	}
	_, fifth, err := p.RotateAPIKey(ctx, made.ID, 0)
	if err != nil || works(third) || works(fourth) || !works(fifth) {
		t.Errorf("without an overlap the old one ends at once: %v", err)
	}
}

func TestRotateAPIKeyRefused(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	made, key, err := p.CreateAPIKey(ctx, event.APIKey{Name: "a", Admin: true, Expires: p.clock.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, overlap := range []time.Duration{-1, MaxOverlap + 1} {
		if _, _, err := p.RotateAPIKey(ctx, made.ID, overlap); event.KindOf(err) != event.KindInvalid {
			t.Errorf("overlap %v: %v", overlap, err)
		}
	}
	if _, _, err := p.RotateAPIKey(ctx, 77, 0); event.KindOf(err) != event.KindNotFound {
		t.Errorf("no such key: %v", err)
	}
	rotated, _, err := p.RotateAPIKey(ctx, made.ID, 10*time.Hour)
	if err != nil || !rotated.PreviousExpires.Equal(made.Expires) || !rotated.Expires.Equal(made.Expires) {
		t.Errorf("the old key outlives what it was made for: %+v, %v", rotated, err)
	}
	p.clock.add(time.Hour)
	if _, _, err := p.RotateAPIKey(ctx, made.ID, 0); event.KindOf(err) != event.KindConflict {
		t.Errorf("an expired key: %v", err)
	}
	if _, err := p.Authenticate(ctx, key); event.KindOf(err) != event.KindUnauthorized {
		t.Errorf("an expired key works: %v", err)
	}
	if _, err := p.EnsureRootKey(ctx, "a-root-key-of-the-configuration"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.RotateAPIKey(ctx, event.RootKeyID, 0); event.KindOf(err) != event.KindConflict {
		t.Errorf("the configured root key: %v", err)
	}
}
