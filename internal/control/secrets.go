package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/webhook"
)

// Ways of signing.
const (
	SigningStandard    = "standard"     // Standard Webhooks v1, a whsec_ secret
	SigningStandardV1a = "standard-v1a" // Standard Webhooks v1a, a whsk_ key
	SigningNone        = "none"
)

const (
	// DefaultOverlap is how long an old secret goes on signing beside its successor, unless the caller says otherwise.
	DefaultOverlap = 24 * time.Hour
	// MaxOverlap is the longest overlap.
	MaxOverlap = 30 * 24 * time.Hour
	// maxSecrets is how many signing secrets are kept: the current one and those before it that have not expired.
	maxSecrets = 5
)

// associated binds an endpoint's sealed secrets to the endpoint, so that they cannot be moved to another row.
func associated(id event.EndpointID) []byte { return []byte("endpoint:" + id.String()) }

func (c *Control) seal(id event.EndpointID, s event.Secrets) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("control: encode secrets: %w", err)
	}
	sealed, err := c.sealer.Seal(plain, associated(id))
	if err != nil {
		return nil, fmt.Errorf("control: seal secrets: %w", err)
	}
	return sealed, nil
}

func (c *Control) open(e *event.Endpoint) (event.Secrets, error) {
	var s event.Secrets
	if len(e.Sealed) == 0 {
		return s, nil
	}
	plain, err := c.sealer.Open(e.Sealed, associated(e.ID))
	if err != nil {
		return s, fmt.Errorf("control: open secrets of %s: %w", e.ID, err)
	}
	if json.Unmarshal(plain, &s) != nil {
		// The cause is left out: it may quote what it could not read.
		return event.Secrets{}, fmt.Errorf("control: secrets of %s: %w", e.ID, errDamaged)
	}
	s.Signing = live(s.Signing, c.now())
	return s, nil
}

var errDamaged = errors.New("they cannot be read")

// Secrets opens an endpoint's secrets, the current signing secret first, without those whose overlap has ended.
func (c *Control) Secrets(_ context.Context, e *event.Endpoint) (event.Secrets, error) {
	return c.open(e)
}

// live returns the secrets that have not expired.
func live(list []event.SigningSecret, now time.Time) []event.SigningSecret {
	var kept []event.SigningSecret
	for _, s := range list {
		if s.Expires.IsZero() || now.Before(s.Expires) {
			kept = append(kept, s)
		}
	}
	return kept
}

// rotate puts secret before the others, which end after overlap at the latest, and keeps the newest ones.
func rotate(list []event.SigningSecret, secret string, now time.Time, overlap time.Duration) []event.SigningSecret {
	next := []event.SigningSecret{{Secret: secret}}
	end := now.Add(overlap)
	for _, s := range live(list, now) {
		if s.Secret == secret || overlap <= 0 {
			continue
		}
		if s.Expires.IsZero() || s.Expires.After(end) {
			s.Expires = end
		}
		next = append(next, s)
	}
	return next[:min(len(next), maxSecrets)]
}

// RotateSecret makes secret (a new one when empty) current; the old ones go on signing for overlap, 0 to [MaxOverlap],
// and no longer than they would have. At most 5 are kept. It returns all secrets of the endpoint. Errors: KindInvalid
// naming "secret" or "overlap", KindConflict when the endpoint does not sign, KindNotFound.
func (c *Control) RotateSecret(ctx context.Context, t *event.Tenant, id event.EndpointID, secret string, overlap time.Duration) (event.Secrets, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return event.Secrets{}, event.Invalid("overlap", "must be 0 to 30 days")
	}
	var rotated event.Secrets
	_, err := c.change(ctx, t.ID, id, 0, func(old *event.Endpoint) (event.Endpoint, error) {
		next := *old
		if old.Signing == SigningNone {
			return next, event.Errorf(event.KindConflict, "not_signed", "the endpoint's requests are not signed")
		}
		if secret != "" {
			if message := checkSecret(secret, old.Signing); message != "" {
				return next, event.Invalid("secret", message)
			}
		}
		var err error
		if rotated, err = c.open(old); err != nil {
			return next, err
		}
		rotated.Signing = rotate(rotated.Signing, cmp.Or(secret, newSecret(old.Signing)), c.stamp(), overlap)
		next.Sealed, err = c.seal(id, rotated)
		return next, err
	})
	if err != nil {
		return event.Secrets{}, err
	}
	return rotated, nil
}

// newSecret makes a secret that fits a way of signing.
func newSecret(signing string) string {
	if signing == SigningStandardV1a {
		return webhook.NewPrivateKey().Text()
	}
	return webhook.NewSecret().Text()
}

// fits reports whether a secret is of the kind that a way of signing needs.
func fits(secret, signing string) bool {
	if signing == SigningStandardV1a {
		return strings.HasPrefix(secret, webhook.PrefixPrivate)
	}
	return strings.HasPrefix(secret, webhook.PrefixSecret)
}

// checkSecret reports why a secret does not fit a way of signing, or "". It never repeats the secret.
func checkSecret(secret, signing string) string {
	if !fits(secret, signing) {
		if signing == SigningStandardV1a {
			return "must begin with whsk_ (an Ed25519 private key)"
		}
		return "must begin with whsec_"
	}
	if _, err := webhook.ParseKey(secret); err != nil {
		return strings.TrimPrefix(err.Error(), "webhook: ")
	}
	return ""
}

// checkFirstSecret returns the signing secrets of a new endpoint: the one given, or a new one.
func checkFirstSecret(p *problems, signing string, given []event.SigningSecret) []event.SigningSecret {
	if signing != SigningStandard && signing != SigningStandardV1a {
		if len(given) > 0 && signing == SigningNone {
			p.add("secret", `must be left out when signing is "none"`)
		}
		return nil
	}
	switch {
	case len(given) == 0:
		return []event.SigningSecret{{Secret: newSecret(signing)}}
	case len(given) > 1:
		p.add("secret", "must be one secret; rotate to add another")
		return nil
	}
	p.check("secret", checkSecret(given[0].Secret, signing))
	return []event.SigningSecret{{Secret: given[0].Secret}}
}
