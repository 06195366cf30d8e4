package token

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of a token's life.
const (
	MinTTL     = time.Second
	MaxTTL     = 24 * time.Hour
	DefaultTTL = time.Hour
	// MaxPortalTTL is the longest life of a portal's token.
	MaxPortalTTL = 7 * 24 * time.Hour
)

// Grant is what a token is asked to allow.
type Grant struct {
	// Allow are permissions of API keys, or one of those of portals alone.
	Allow []event.Permission
	// Types and Subjects narrow it, as in [event.Selection]; empty: not narrowed.
	Types, Subjects []string
	// TTL is how long it lives, [MinTTL] to [MaxTTL], or to [MaxPortalTTL]; 0 means [DefaultTTL].
	TTL time.Duration
}

// ownClaims are those of the server's own tokens.
type ownClaims struct {
	jwt.RegisteredClaims
	Tenant string `json:"tenant"`
	// TenantID tells a tenant from a later one of the same name.
	TenantID event.TenantID     `json:"tenant_id"`
	Allow    []event.Permission `json:"allow"`
	Types    []string           `json:"types,omitempty"`
	Subjects []string           `json:"subjects,omitempty"`
}

// noToken refuses tokens what only API keys may.
func noToken(by *event.APIKey) error {
	if by.Token == "" {
		return nil
	}
	return event.Errorf(event.KindForbidden, "forbidden", "a token may not make tokens or rotate their keys; this needs an API key")
}

// gives reports whether a key may give a permission: it has it itself. Manage includes read, and what portals are for.
func gives(by *event.APIKey, p event.Permission) bool {
	if ofPortal(p) {
		p = event.AllowManage
	}
	return by.Admin || slices.Contains(by.Allow, p) || p == event.AllowRead && slices.Contains(by.Allow, event.AllowManage)
}

// Create makes a token for a tenant that gives no more than its maker, an API key that may manage the tenant, has. It
// begins now and ends at the returned time, a whole second. Errors: KindInvalid naming the field, KindForbidden for a
// permission that the key lacks and for tokens, KindNotFound when the tenant was deleted.
func (s *Service) Create(ctx context.Context, t *event.Tenant, by *event.APIKey, g Grant) (token string, expires time.Time, err error) {
	if err := s.checkGrant(by, &g); err != nil {
		return "", expires, err
	}
	key, err := s.signer(ctx, t.ID)
	if err != nil {
		return "", expires, err
	}
	now := s.now().UTC()
	expires = now.Add(g.TTL)
	if whole := expires.Truncate(time.Second); whole.Before(expires) {
		expires = whole.Add(time.Second) // numbers of seconds are what every library reads
	}
	claims := ownClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: self, Audience: jwt.ClaimStrings{self}, ID: key.id + "." + rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Tenant: t.Name, TenantID: t.ID, Allow: g.Allow, Types: g.Types, Subjects: g.Subjects,
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	unsigned.Header["kid"] = key.id
	if token, err = unsigned.SignedString(key.secret); err != nil {
		return "", expires, errors.New("token: a token cannot be signed") // the cause may hold what was to be signed
	}
	if len(token) > MaxLength {
		field := "types"
		if len(g.Types) == 0 {
			field = "subjects"
		}
		return "", expires, event.Invalid(field, "make the token longer than "+strconv.Itoa(MaxLength)+" bytes; name fewer, or use patterns")
	}
	return token, expires, nil
}

// checkGrant checks what is asked for and fills in what was left out.
func (s *Service) checkGrant(by *event.APIKey, g *Grant) error {
	if err := noToken(by); err != nil {
		return err
	}
	if len(g.Allow) == 0 {
		return event.Invalid("allow", "is needed: any of publish, read, manage")
	}
	narrowed := len(g.Types)+len(g.Subjects) > 0
	most, mostText := MaxTTL, "24h"
	for i, p := range g.Allow {
		field := fmt.Sprintf("allow[%d]", i)
		switch {
		case ofPortal(p) && len(g.Allow) == 1 && !narrowed && gives(by, p):
			most, mostText = MaxPortalTTL, "168h"
		case ofPortal(p) && (len(g.Allow) > 1 || narrowed):
			return event.Invalid(field, "stands alone")
		case !ofPortal(p) && !known(p):
			return event.Invalid(field, "must be publish, read or manage")
		case slices.Contains(g.Allow[:i], p):
			return event.Invalid(field, "is there twice")
		case p == event.AllowManage && narrowed:
			return event.Invalid(field, "does not go with types or subjects: they narrow what is read and published")
		case !gives(by, p):
			return event.Errorf(event.KindForbidden, "forbidden", "this key may not give "+string(p)+": it may not itself")
		}
	}
	if g.TTL == 0 {
		g.TTL = DefaultTTL
	}
	if g.TTL < MinTTL || g.TTL > most {
		return event.Invalid("ttl", "must be 1s to "+mostText)
	}
	return s.options.Check(event.Selection{Types: g.Types, Subjects: g.Subjects})
}

// ofPortal reports whether a permission is one of the tokens of portals, which the server makes by itself only.
func ofPortal(p event.Permission) bool {
	return p == event.AllowPortal || p == event.AllowPortalRead
}

func known(p event.Permission) bool {
	return p == event.AllowPublish || p == event.AllowRead || p == event.AllowManage
}

// only returns the selection that a token is narrowed to, nil for none.
func only(types, subjects []string) *event.Selection {
	if len(types) == 0 && len(subjects) == 0 {
		return nil
	}
	return &event.Selection{Types: types, Subjects: subjects}
}

// checkOwn checks a token that claims to be the server's own.
func (s *Service) checkOwn(ctx context.Context, bearer string) (*checked, error) {
	var claims ownClaims
	var failed error // of the keys, not of the token
	var kid string
	_, err := s.parser.ParseWithClaims(bearer, &claims, func(t *jwt.Token) (any, error) {
		// Not before this: a payload of null would leave the parser without claims.
		if claims.Issuer != self || t.Header["crit"] != nil {
			return nil, jwt.ErrTokenUnverifiable
		}
		kid, _ = t.Header["kid"].(string)
		// The tenant is not believed yet: a key of another one does not fit the signature.
		key, err := s.key(ctx, claims.TenantID, kid)
		if err != nil {
			failed = err
			return nil, jwt.ErrTokenUnverifiable
		}
		return key.secret, nil
	})
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, refused(err)
	case !strings.HasPrefix(claims.ID, kid+".") || len(claims.Allow) == 0:
		return nil, errToken()
	}
	return &checked{
		tenant: claims.Tenant, tenantID: claims.TenantID, kid: kid,
		key: event.APIKey{
			Token: claims.ID, Allow: claims.Allow, Only: only(claims.Types, claims.Subjects),
			Created: begin(&claims.RegisteredClaims), Expires: claims.ExpiresAt.UTC(),
		},
	}, nil
}

// begin is when a token was made, zero when it does not say.
func begin(c *jwt.RegisteredClaims) time.Time {
	if c.IssuedAt == nil {
		return time.Time{}
	}
	return c.IssuedAt.UTC()
}
