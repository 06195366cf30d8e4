package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// keyPrefix begins every generated key, so that people and secret scanners know it.
	keyPrefix = "ph_"
	// hintLength is how much of a key is kept to tell keys apart: the prefix and 30 of its 256 bits.
	hintLength = len(keyPrefix) + 6
	// minRootKey and maxKey bound keys, in bytes.
	minRootKey = 16
	maxKey     = 512
	maxKeyName = 128

	rootKeyID = event.RootKeyID

	// keyTTL is how long a key's record is believed without asking the store: another node may have deleted it. Deletions
	// on this node take effect at once.
	keyTTL = 10 * time.Second
	// badKeyTTL is how long an unknown key is refused without asking the store.
	badKeyTTL = 5 * time.Second
)

// lowerBase32 is RFC 4648's base 32 in lower case: no upper case to mistype, no characters to escape.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// keyEntry is a key's record in memory.
type keyEntry struct {
	key    event.APIKey
	loaded time.Time
}

func unauthorized() error {
	return event.Errorf(event.KindUnauthorized, "unauthorized", "the API key is not valid")
}

// Authenticate returns the record of a bearer key, or KindUnauthorized when it is unknown, deleted or expired: the
// caller cannot tell which. The record is shared, not to be changed.
func (c *Control) Authenticate(ctx context.Context, bearer string) (event.APIKey, error) {
	if bearer == "" || len(bearer) > maxKey {
		return event.APIKey{}, unauthorized()
	}
	return c.AuthenticateHash(ctx, sha256.Sum256([]byte(bearer)))
}

// AuthenticateHash is [Control.Authenticate] of the key that has a SHA-256: for who has shown the key before.
func (c *Control) AuthenticateHash(ctx context.Context, hash [32]byte) (event.APIKey, error) {
	now := c.now()
	entry, ok := c.keys.GetIfPresent(hash)
	if !ok || now.Sub(entry.loaded) >= keyTTL {
		var err error
		if entry, err = c.loadKey(ctx, hash, now, ok); err != nil {
			return event.APIKey{}, err
		}
	}
	// The look-up is by hash; the comparison does not trust the store or the cache with that.
	current := subtle.ConstantTimeCompare(entry.key.Hash[:], hash[:]) == 1
	previous := subtle.ConstantTimeCompare(entry.key.Previous[:], hash[:]) == 1 && now.Before(entry.key.PreviousExpires)
	if !current && !previous {
		return event.APIKey{}, unauthorized()
	}
	key := entry.key
	if !current && (key.Expires.IsZero() || key.PreviousExpires.Before(key.Expires)) {
		key.Expires = key.PreviousExpires // what it opens ends with it
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return event.APIKey{}, unauthorized()
	}
	return key, nil
}

// loadKey reads a key's record from the store; stale says that the cache holds an old one.
func (c *Control) loadKey(ctx context.Context, hash [32]byte, now time.Time, stale bool) (keyEntry, error) {
	if until, ok := c.badKeys.GetIfPresent(hash); ok && now.Before(until) {
		return keyEntry{}, unauthorized()
	}
	if stale {
		c.keys.Invalidate(hash)
	}
	entry, err := c.keys.Get(ctx, hash, otter.LoaderFunc[[32]byte, keyEntry](func(ctx context.Context, hash [32]byte) (keyEntry, error) {
		key, err := c.store.APIKeyByHash(ctx, hash)
		return keyEntry{key: key, loaded: now}, err
	}))
	if event.KindOf(err) == event.KindNotFound {
		c.badKeys.Set(hash, now.Add(badKeyTTL))
		return keyEntry{}, unauthorized()
	}
	return entry, err
}

// newKey makes a key of 256 random bits.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return keyPrefix + lowerBase32.EncodeToString(b[:])
}

// describe fills what a record holds of its key.
func describe(k *event.APIKey, key string) {
	k.Hash = sha256.Sum256([]byte(key))
	k.Hint = ""
	if strings.HasPrefix(key, keyPrefix) && len(key) > 3*hintLength {
		k.Hint = key[:hintLength]
	}
}

func (c *Control) checkAPIKey(k *event.APIKey) error {
	var p problems
	if k.Name == "" {
		p.add("name", "must not be empty")
	}
	p.check("name", event.CheckLine(k.Name, maxKeyName))
	if k.Admin {
		if k.Tenant != 0 {
			p.add("tenant", "must be left out of an admin key")
		}
		if len(k.Allow) > 0 {
			p.add("allow", "must be left out of an admin key, which may do everything")
		}
	} else {
		if k.Tenant == 0 {
			p.add("tenant", "is needed, unless admin is true")
		}
		if len(k.Allow) == 0 {
			p.add("allow", "is needed: any of publish, read, manage")
		}
	}
	for i, a := range k.Allow {
		if a != event.AllowPublish && a != event.AllowRead && a != event.AllowManage {
			p.add(fmt.Sprintf("allow[%d]", i), "must be publish, read or manage")
		} else if slices.Contains(k.Allow[:i], a) {
			p.add(fmt.Sprintf("allow[%d]", i), "is there twice")
		}
	}
	if !k.Expires.IsZero() && !k.Expires.After(c.now()) {
		p.add("expires", "must be in the future")
	}
	return p.err()
}

// CreateAPIKey makes a key and returns its record and the key itself, which is shown this once. Errors: KindInvalid.
func (c *Control) CreateAPIKey(ctx context.Context, k event.APIKey) (event.APIKey, string, error) {
	if err := c.checkAPIKey(&k); err != nil {
		return event.APIKey{}, "", err
	}
	c.life.RLock()
	defer c.life.RUnlock()
	if !k.Admin {
		if _, err := c.TenantName(ctx, k.Tenant); err != nil {
			if event.KindOf(err) == event.KindNotFound {
				err = event.Invalid("tenant", "there is no such tenant")
			}
			return event.APIKey{}, "", err
		}
	}
	key := newKey()
	describe(&k, key)
	k.ID, k.Created, k.Expires = event.NewAPIKeyID(), c.stamp(), k.Expires.UTC().Truncate(time.Microsecond)
	if err := c.store.PutAPIKey(ctx, k); err != nil {
		return event.APIKey{}, "", err
	}
	return k, key, nil
}

// APIKey returns a key's record. Error: KindNotFound.
func (c *Control) APIKey(ctx context.Context, id int64) (event.APIKey, error) {
	return c.store.APIKey(ctx, id)
}

// APIKeys lists records by id, after the given one, at most limit and never over 1,000.
func (c *Control) APIKeys(ctx context.Context, after int64, limit int) ([]event.APIKey, error) {
	return c.store.APIKeys(ctx, after, clampLimit(limit))
}

// RotateAPIKey makes a new key in place of a key, which goes on working for overlap, 0 to [MaxOverlap], and no longer than it
// would have; one from before an earlier rotation ends at once. It returns the record and the new key, which is shown this
// once. Errors: KindInvalid naming "overlap", KindNotFound, KindConflict when the key has expired or is the root key of the
// configuration.
func (c *Control) RotateAPIKey(ctx context.Context, id int64, overlap time.Duration) (event.APIKey, string, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return event.APIKey{}, "", event.Invalid("overlap", "must be 0s to "+maxOverlapText)
	}
	if id == rootKeyID && c.rootSet {
		return event.APIKey{}, "", event.Errorf(event.KindConflict, "root_key_configured",
			"the root key is set in the server's configuration: change it there, and start the server again")
	}
	var old, next event.APIKey
	var key string
	err := retryChange(0, func() (err error) {
		if old, err = c.store.APIKey(ctx, id); err != nil {
			return err
		}
		now := c.stamp()
		if !old.Expires.IsZero() && !now.Before(old.Expires) {
			return event.Errorf(event.KindConflict, "apikey_expired", "the API key has expired: make another one")
		}
		next, key = old, newKey()
		describe(&next, key)
		next.Previous, next.PreviousExpires = [32]byte{}, time.Time{}
		if overlap > 0 {
			next.Previous, next.PreviousExpires = old.Hash, now.Add(overlap)
			if !old.Expires.IsZero() && old.Expires.Before(next.PreviousExpires) {
				next.PreviousExpires = old.Expires
			}
		}
		return c.store.ReplaceAPIKey(ctx, next, old.Hash)
	})
	c.forgetKey(&old) // also after an error: the effect may have come to be
	if err != nil {
		return event.APIKey{}, "", err
	}
	return next, key, nil
}

const maxOverlapText = "720h" // [MaxOverlap]

// forgetKey drops what the caches hold of a key.
func (c *Control) forgetKey(k *event.APIKey) {
	c.keys.Invalidate(k.Hash)
	c.keys.Invalidate(k.Previous)
}

// DeleteAPIKey deletes a key; it is refused from then on. A root key that is set in the configuration comes back with
// the next start. Error: KindNotFound.
func (c *Control) DeleteAPIKey(ctx context.Context, id int64) error {
	k, err := c.store.APIKey(ctx, id)
	if err != nil {
		return err
	}
	err = c.store.DeleteAPIKey(ctx, id)
	c.forgetKey(&k) // also after an error: the effect may have come to be
	return err
}

// EnsureRootKey makes the configured root key the admin key of record, in place of an older root key. Without a
// configured one it keeps the root key there is; when there is no admin key at all, at the first start, it makes one
// and returns it, to be printed this once. Called before the first use. Error: KindInvalid for a key that is too short.
func (c *Control) EnsureRootKey(ctx context.Context, configured string) (printed string, err error) {
	if configured != "" && (len(configured) < minRootKey || len(configured) > maxKey) {
		return "", event.Invalid("root_key", fmt.Sprintf("must be %d to %d bytes", minRootKey, maxKey))
	}
	c.rootSet = configured != ""
	old, err := c.store.APIKey(ctx, rootKeyID)
	exists := err == nil
	if err != nil && event.KindOf(err) != event.KindNotFound {
		return "", err
	}
	key := configured
	if key == "" {
		has, err := c.hasAdminKey(ctx)
		if has || err != nil {
			return "", err
		}
		key = newKey()
		printed = key
	}
	root := event.APIKey{ID: rootKeyID, Name: "root", Admin: true, Created: c.stamp()}
	describe(&root, key)
	if exists {
		if subtle.ConstantTimeCompare(old.Hash[:], root.Hash[:]) == 1 {
			return "", nil
		}
		// A crash after this leaves no root record, which the next start makes good.
		if err := c.store.DeleteAPIKey(ctx, rootKeyID); err != nil {
			return "", err
		}
		c.forgetKey(&old)
	}
	if err := c.store.PutAPIKey(ctx, root); err != nil {
		return "", err
	}
	c.badKeys.Invalidate(root.Hash)
	return printed, nil
}

// hasAdminKey reports whether some admin key is there that has not expired. It reads keys in id order; the root key
// is the first.
func (c *Control) hasAdminKey(ctx context.Context) (bool, error) {
	now := c.now()
	for after := int64(0); ; {
		list, err := c.store.APIKeys(ctx, after, 1000)
		if err != nil || len(list) == 0 {
			return false, err
		}
		if slices.ContainsFunc(list, func(k event.APIKey) bool {
			return k.Admin && (k.Expires.IsZero() || now.Before(k.Expires))
		}) {
			return true, nil
		}
		after = list[len(list)-1].ID
	}
}
