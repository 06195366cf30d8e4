package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"

	"github.com/posthornhq/posthorn/internal/event"
)

// MaxLength is the longest token that is looked at, in bytes; none longer is made. Cookies hold 4 KiB.
const MaxLength = 8 << 10

const (
	// self is the issuer and the audience of the server's own tokens.
	self = "posthorn"

	// leeway is how far another clock may be ahead. It counts for the beginning of a token only: its end is exact, so
	// that a connection ends when its token does.
	leeway = 30 * time.Second

	// keyTTL is how long a tenant's keys are believed without asking the store: another node may have rotated them. What
	// this node does takes effect at once.
	keyTTL = 10 * time.Second
	// keyPause is the least time between two readings of a tenant's keys for tokens that name none of them.
	keyPause = time.Second

	// cachedTenants bounds the tenants whose keys are in memory, each about 500 bytes; cachedTokens the checked tokens,
	// each about 1 KiB.
	cachedTenants = 20_000
	cachedTokens  = 10_000

	// stripes is how many locks the tenants share.
	stripes = 64
)

// Store is what the service needs of a store; see package store for the contract of each method.
type Store interface {
	PutTokenKey(ctx context.Context, k event.TokenKey) error
	TokenKeys(ctx context.Context, tenant event.TenantID) ([]event.TokenKey, error)
	RetireTokenKeys(ctx context.Context, tenant event.TenantID, except string, at time.Time) error
}

// Sealer encrypts keys at rest (package keyring). The associated data binds a ciphertext to its place.
type Sealer interface {
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
}

// Tenants finds tenants (package control).
type Tenants interface {
	// Tenant returns a tenant by name, from memory when it can; KindNotFound when there is none.
	Tenant(ctx context.Context, name string) (*event.Tenant, error)
}

// Options are what a [Service] is made of. Store, Sealer, Tenants, Check and Logger are needed.
type Options struct {
	Store   Store
	Sealer  Sealer
	Tenants Tenants
	// Check reports what is wrong with a selection, as KindInvalid that names the field (package match).
	Check func(event.Selection) error
	// Other is another issuer whose tokens are accepted; nil: none.
	Other *Issuer
	// Rotated, when not nil, hears of each rotation on this node: open connections of the tenant that use one of the
	// server's own tokens (see [Own]) are to end at that time. It must be short.
	Rotated func(tenant event.TenantID, ends time.Time)
	Logger  *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Service makes and checks tokens. It is safe for concurrent use. Only [Service.Run] starts anything.
type Service struct {
	options Options
	now     func() time.Time
	log     *slog.Logger
	parser  *jwt.Parser // of the server's own tokens
	other   *otherIssuer

	keys *otter.Cache[event.TenantID, *keySet]
	// checked holds tokens whose signature was right, by their SHA-256: what they say, never the tokens.
	checked *otter.Cache[[32]byte, *checked]
	locks   [stripes]sync.Mutex // of the reading and changing of one tenant's keys
}

// New makes a service. It returns an error when an option is missing or the other issuer's file cannot be used; the text
// names the file and never holds a key.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Sealer == nil || o.Tenants == nil || o.Check == nil || o.Logger == nil {
		return nil, errors.New("token: an option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{options: o, now: o.Now, log: o.Logger, parser: newParser(o.Now, []string{jwt.SigningMethodHS256.Alg()}, self, self)}
	var err error
	if s.keys, err = otter.New(&otter.Options[event.TenantID, *keySet]{MaximumSize: cachedTenants}); err != nil {
		return nil, err
	}
	if s.checked, err = otter.New(&otter.Options[[32]byte, *checked]{MaximumSize: cachedTokens}); err != nil {
		return nil, err
	}
	if o.Other != nil {
		if s.other, err = newOther(o.Other, o.Now, o.Logger); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// newParser returns a parser that takes nothing but the named algorithms, one issuer, one audience and an end.
func newParser(now func() time.Time, methods []string, issuer, audience string) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding())
}

// Run keeps the keys of the other issuer fresh until ctx ends. Without another issuer it only waits.
func (s *Service) Run(ctx context.Context) error {
	if s.other != nil {
		s.other.keys.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// Looks reports whether a bearer has the form of a token: three parts, the first one a JSON object. No API key that the
// server makes has it.
func Looks(bearer string) bool {
	return strings.HasPrefix(bearer, "ey") && strings.Count(bearer, ".") == 2
}

// outside reports characters that no token has. The decoder would leave line breaks out.
func outside(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
}

// Own reports whether the id of a token ([event.APIKey].Token) is that of one of the server's own.
func Own(id string) bool { return id != "" && !strings.HasPrefix(id, otherPrefix) }

// checked is what a token with a right signature says. It is never changed.
type checked struct {
	tenant string
	key    event.APIKey // Tenant and an end that the key's retirement brings forward are filled in at each use
	// Of the server's own tokens: which key signed it.
	tenantID event.TenantID
	kid      string
	// Of the other issuer's: the keys that it was checked with, as long as they are current.
	with *publicKeys
}

// errToken refuses a token without saying which of its faults it was; only its end has an answer of its own.
func errToken() error {
	return event.Errorf(event.KindUnauthorized, "unauthorized", "the token is not valid")
}

func errExpired() error {
	return event.Errorf(event.KindUnauthorized, "unauthorized", "the token has expired")
}

// Authenticate returns what the bearer of a token may do. The record has no ID and no Hash; Token is the token's id,
// Only nil or what the token narrows it to; it is shared, not to be changed. Errors: KindUnauthorized for every fault of
// the token, KindUnavailable while the other issuer's keys cannot be had, and the store's.
func (s *Service) Authenticate(ctx context.Context, bearer string) (event.APIKey, error) {
	if len(bearer) > MaxLength || !Looks(bearer) || strings.ContainsFunc(bearer, outside) {
		return event.APIKey{}, errToken()
	}
	hash := sha256.Sum256([]byte(bearer))
	c, ok := s.checked.GetIfPresent(hash)
	if !ok || c.with != nil && s.other.keys.set() != c.with {
		var err error
		if c, err = s.check(ctx, bearer); err != nil {
			return event.APIKey{}, err
		}
		s.checked.Set(hash, c)
	}
	return s.admit(ctx, c)
}

// Holds reports whether a token that was accepted is still good, by its record alone: it has not ended, nor has the key
// that signed it. A store that fails ends nothing. Of another issuer's tokens only the end is known.
func (s *Service) Holds(ctx context.Context, k *event.APIKey) bool {
	if !s.now().Before(k.Expires) {
		return false
	}
	if !Own(k.Token) {
		return true
	}
	kid, _, _ := strings.Cut(k.Token, ".")
	_, err := s.key(ctx, k.Tenant, kid)
	return event.KindOf(err) != event.KindUnauthorized
}

// check parses a token and checks its signature and its claims.
func (s *Service) check(ctx context.Context, bearer string) (*checked, error) {
	switch algorithm(bearer) {
	case "":
		return nil, errToken()
	case jwt.SigningMethodHS256.Alg():
		return s.checkOwn(ctx, bearer)
	}
	if s.other == nil {
		return nil, errToken()
	}
	return s.other.check(ctx, bearer, s.options.Check)
}

// algorithm returns the alg of a token's header; "" when it cannot be read.
func algorithm(bearer string) string {
	head, _, _ := strings.Cut(bearer, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return ""
	}
	var header struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(raw, &header) != nil {
		return ""
	}
	return header.Alg
}

// admit applies what may change while a token lives: the time, its key, its tenant.
func (s *Service) admit(ctx context.Context, c *checked) (event.APIKey, error) {
	key, now := c.key, s.now()
	if c.with == nil {
		signer, err := s.key(ctx, c.tenantID, c.kid)
		if err != nil {
			return event.APIKey{}, err
		}
		if !signer.ends.IsZero() && signer.ends.Before(key.Expires) {
			key.Expires = signer.ends
		}
	}
	if !now.Before(key.Expires) {
		return event.APIKey{}, errExpired()
	}
	t, err := s.options.Tenants.Tenant(ctx, c.tenant)
	if event.KindOf(err) == event.KindNotFound {
		return event.APIKey{}, errToken()
	}
	if err != nil {
		return event.APIKey{}, err
	}
	// The name may have been given to another tenant since.
	if c.with == nil && t.ID != c.tenantID {
		return event.APIKey{}, errToken()
	}
	key.Tenant = t.ID
	return key, nil
}

// refused turns an error of the parser into ours. Its text is dropped: it may quote the token.
func refused(err error) error {
	if errors.Is(err, jwt.ErrTokenExpired) {
		return errExpired()
	}
	return errToken()
}
