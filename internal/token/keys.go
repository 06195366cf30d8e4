package token

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// keySize is that of a key, in bytes: as long as the hash (RFC 7518, 3.2).
const keySize = 32

// MaxOverlap is the longest overlap of a rotation. Only the tokens of portals may live longer, and end with it.
const MaxOverlap = MaxTTL

// maxKeys is how many keys of a tenant may be valid at once, so how often they can be rotated within an overlap.
const maxKeys = 10

// signingKey is a key of a tenant, opened.
type signingKey struct {
	id     string
	secret []byte
	ends   time.Time // zero while it signs
}

// keySet is a tenant's keys that had not ended when they were read, the oldest first. It is never changed.
type keySet struct {
	keys   []signingKey
	loaded time.Time
}

func (s *keySet) find(id string) (signingKey, bool) {
	for _, k := range s.keys {
		if k.id == id {
			return k, true
		}
	}
	return signingKey{}, false
}

// signer returns the key that signs: the newest one that is not retired.
func (s *keySet) signer() (signingKey, bool) {
	for _, k := range slices.Backward(s.keys) {
		if k.ends.IsZero() {
			return k, true
		}
	}
	return signingKey{}, false
}

// associated binds a sealed key to its tenant and id, so that it cannot be moved to another row.
func associated(tenant event.TenantID, id string) []byte {
	return []byte("token-key:" + strconv.FormatInt(int64(tenant), 10) + ":" + id)
}

func (s *Service) lock(tenant event.TenantID) *sync.Mutex {
	return &s.locks[uint64(tenant)%stripes]
}

// key returns a tenant's key that has not ended; KindUnauthorized when there is none of that id.
func (s *Service) key(ctx context.Context, tenant event.TenantID, id string) (signingKey, error) {
	if tenant <= 0 || id == "" {
		return signingKey{}, errToken()
	}
	fits := func(set *keySet) (k signingKey, found, settled bool) {
		age := s.now().Sub(set.loaded)
		k, found = set.find(id)
		return k, found, age < keyPause || found && age < keyTTL
	}
	set, ok := s.keys.GetIfPresent(tenant)
	k, found, settled := signingKey{}, false, false
	if ok {
		k, found, settled = fits(set)
	}
	if !settled {
		mu := s.lock(tenant)
		mu.Lock()
		defer mu.Unlock()
		// Another one may have read them while this one waited.
		if set, ok = s.keys.GetIfPresent(tenant); ok {
			k, found, settled = fits(set)
		}
		if !settled {
			set, err := s.load(ctx, tenant)
			if err != nil {
				return signingKey{}, err
			}
			k, found = set.find(id)
		}
	}
	if !found || !k.ends.IsZero() && !s.now().Before(k.ends) {
		return signingKey{}, errToken()
	}
	return k, nil
}

// load reads a tenant's keys from the store into memory. The caller holds the tenant's lock, so that what is in memory
// is never older than the last change.
func (s *Service) load(ctx context.Context, tenant event.TenantID) (*keySet, error) {
	now := s.now()
	list, err := s.options.Store.TokenKeys(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("token: read keys: %w", err)
	}
	set := &keySet{loaded: now}
	for _, k := range list {
		if !k.Retired.IsZero() && !now.Before(k.Retired) {
			continue
		}
		secret, err := s.options.Sealer.Open(k.Sealed, associated(tenant, k.ID))
		if err != nil || len(secret) != keySize {
			// Its tokens are refused; new ones get a new key.
			s.log.ErrorContext(ctx, "a key of tokens cannot be opened", slog.Int64("tenant", int64(tenant)), slog.String("key", k.ID), slog.Any("error", err))
			continue
		}
		set.keys = append(set.keys, signingKey{id: k.ID, secret: secret, ends: k.Retired})
	}
	s.keys.Set(tenant, set)
	return set, nil
}

// signer returns the key that signs a tenant's tokens, and makes it when there is none.
func (s *Service) signer(ctx context.Context, tenant event.TenantID) (signingKey, error) {
	mu := s.lock(tenant)
	mu.Lock()
	defer mu.Unlock()
	// Always from the store: another node may have rotated the keys just now.
	set, err := s.load(ctx, tenant)
	if err != nil {
		return signingKey{}, err
	}
	if k, ok := set.signer(); ok {
		return k, nil
	}
	id, err := s.add(ctx, tenant)
	if err != nil {
		return signingKey{}, err
	}
	if set, err = s.load(ctx, tenant); err != nil {
		return signingKey{}, err
	}
	k, ok := set.find(id)
	if !ok {
		return signingKey{}, fmt.Errorf("token: the new key of tenant %d is not there", tenant)
	}
	return k, nil
}

// newID returns the id of a key: 80 random bits, unique within a tenant.
func newID() string { return rand.Text()[:16] }

// add makes a key and saves it. The caller holds the tenant's lock.
func (s *Service) add(ctx context.Context, tenant event.TenantID) (id string, err error) {
	var secret [keySize]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	id = newID()
	sealed, err := s.options.Sealer.Seal(secret[:], associated(tenant, id))
	if err != nil {
		return "", fmt.Errorf("token: seal a key: %w", err)
	}
	k := event.TokenKey{ID: id, Tenant: tenant, Sealed: sealed, Created: s.now().UTC().Truncate(time.Microsecond)}
	if err := s.options.Store.PutTokenKey(ctx, k); err != nil {
		return "", fmt.Errorf("token: save a key: %w", err)
	}
	return id, nil
}

// Rotate makes a new key of a tenant. Tokens made before are refused after overlap, 0 to [MaxOverlap]: on this node to
// the moment, on others within 10 seconds of it. Errors: KindInvalid naming "overlap", KindForbidden for a token,
// KindConflict when too many keys overlap, KindNotFound when the tenant was deleted.
func (s *Service) Rotate(ctx context.Context, t *event.Tenant, by *event.APIKey, overlap time.Duration) error {
	if err := noToken(by); err != nil {
		return err
	}
	if overlap < 0 || overlap > MaxOverlap {
		return event.Invalid("overlap", "must be 0s to 24h")
	}
	ends, err := s.rotate(ctx, t.ID, overlap)
	if err == nil && s.options.Rotated != nil {
		s.options.Rotated(t.ID, ends)
	}
	return err
}

func (s *Service) rotate(ctx context.Context, tenant event.TenantID, overlap time.Duration) (ends time.Time, err error) {
	mu := s.lock(tenant)
	mu.Lock()
	defer mu.Unlock()
	set, err := s.load(ctx, tenant)
	if err != nil {
		return ends, err
	}
	if overlap > 0 && len(set.keys) >= maxKeys {
		return ends, event.Errorf(event.KindConflict, "too_many_keys",
			fmt.Sprintf("%d keys are valid already; wait until an overlap is over, or rotate with overlap 0s, which ends them", len(set.keys)))
	}
	// Whatever comes of it, what is in memory is of before.
	defer func() {
		if err != nil {
			s.keys.Invalidate(tenant)
		}
	}()
	id, err := s.add(ctx, tenant)
	if err != nil {
		return ends, err
	}
	ends = s.now().Add(overlap).UTC().Truncate(time.Microsecond)
	if err = s.options.Store.RetireTokenKeys(ctx, tenant, id, ends); err != nil {
		return ends, fmt.Errorf("token: retire keys: %w", err)
	}
	_, err = s.load(ctx, tenant)
	return ends, err
}
