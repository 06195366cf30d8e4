package receiver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	jwtLeeway = time.Minute
	maxJWT    = 64 << 10 // bytes of a token in a header or a list
)

var (
	hmacMethods = []string{"HS256", "HS384", "HS512"}
	rsaMethods  = []string{"RS256", "RS384", "RS512"}
)

// jwtRule says what a token must be.
type jwtRule struct {
	// methods lists the algorithms. It is never empty, and never mixes shared secrets with public keys: a public key is no secret.
	methods []string
	// key gives the key, or several, for a token's header.
	key jwt.Keyfunc
	// issuers lists who may have issued it; empty: anybody with the key.
	issuers []string
	// audiences lists for whom it may be; empty: it is not asked.
	audiences []string
	// expires says that it must say until when it is good.
	expires bool
}

// verifyJWT returns the claims of a token that the rule accepts at a time.
func verifyJWT(token string, at time.Time, rule jwtRule) (jwt.MapClaims, error) {
	if len(rule.methods) == 0 {
		return nil, errors.New("no algorithm is allowed")
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(rule.methods), jwt.WithLeeway(jwtLeeway), jwt.WithTimeFunc(func() time.Time { return at }),
		jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
	}
	if len(rule.audiences) > 0 {
		options = append(options, jwt.WithAudience(rule.audiences...))
	}
	if rule.expires {
		options = append(options, jwt.WithExpirationRequired())
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.NewParser(options...).ParseWithClaims(token, claims, rule.key); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	issuer, err := claims.GetIssuer()
	if err != nil || (len(rule.issuers) > 0 && !slices.Contains(rule.issuers, issuer)) {
		return nil, errors.New("token: it has another issuer")
	}
	return claims, nil
}

// methodsFor lists the algorithms that a key can be used with: its own kind's, whatever a token says.
func methodsFor(key any) []string {
	switch k := key.(type) {
	case []byte:
		return hmacMethods
	case *rsa.PublicKey:
		return rsaMethods
	case *ecdsa.PublicKey:
		// Each of these algorithms is for one curve.
		return []string{map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// keyOrSecret reads a secret that may be a public key: PEM, with or without text around it, or the same in base64 alone. Everything else
// is a shared secret as it is. A public key must never be taken for one, since everybody knows it.
func keyOrSecret(secret string) (any, error) {
	if strings.Contains(secret, "-----BEGIN") {
		return parsePublicKey(secret)
	}
	if key, err := parsePublicKey(secret); err == nil {
		return key, nil
	}
	return []byte(secret), nil
}

// fixedKey is the Keyfunc of one key.
func fixedKey(key crypto.PublicKey) jwt.Keyfunc {
	return func(*jwt.Token) (any, error) { return key, nil }
}

// bearer returns the token of an Authorization header, or "".
func bearer(authorization string) string {
	scheme, token, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(token) > maxJWT {
		return ""
	}
	return strings.TrimSpace(token)
}

// claimIs compares a claim that is a text in constant time.
func claimIs(claims jwt.MapClaims, name, want string) bool {
	got, ok := claims[name].(string)
	return ok && want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// jwt is verifyJWT with the request's clock and errors of this package.
func (r *request) jwt(token string, rule jwtRule) (jwt.MapClaims, error) {
	claims, err := verifyJWT(token, r.now, rule)
	switch {
	case err == nil:
		return claims, nil
	case errors.Is(err, ErrFetch):
		return nil, failWith(CodeFetch, "the provider's key could not be fetched", err)
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return nil, failWith(CodeExpired, "the token has expired or is not valid yet", err)
	}
	return nil, failWith(CodeSignature, "the token is not the provider's, or not for this receiver", err)
}

// jwtOfBody is the rule of a header with a token that has the body's SHA-256 as a claim. A secret is a shared one or a public key; which
// of them it is says which algorithms there can be.
func (r *request) jwtOfBody(header, claim string, write func([sha256.Size]byte) string, issuer string) error {
	token, err := r.header(header)
	if err != nil {
		return err
	}
	readable := false
	var failed error
	if err := r.anySecret(func(secret string) bool {
		key, err := keyOrSecret(secret)
		if err != nil {
			return false
		}
		readable = true
		rule := jwtRule{methods: methodsFor(key), key: fixedKey(key)}
		if issuer != "" {
			rule.issuers = []string{issuer}
		}
		claims, err := r.jwt(token, rule)
		if errors.Is(err, ErrExpired) {
			failed = err
		}
		return err == nil && claimIs(claims, claim, write(sha256.Sum256(r.body)))
	}); err != nil {
		switch {
		case failed != nil:
			return failed
		case !readable && len(r.secrets) > 0:
			return errKey
		}
		return err
	}
	return nil
}
