package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posthornhq/posthorn/internal/event"
)

// otherPrefix begins the ids of the other issuer's tokens, so that they never meet those of our own.
const otherPrefix = "other:"

// maxID is the longest jti that is kept as it is, in bytes.
const maxID = 64

// Issuer is another issuer of tokens, such as the application's own sign-in.
type Issuer struct {
	// Name is the iss that its tokens must have, Audience one of their aud. Both are needed.
	Name, Audience string
	// URL is where its keys are, as a JWK set; http or https. File is a file with them, a JWK set or public keys in PEM.
	// One of the two.
	URL, File string
}

// otherIssuer checks the tokens of another issuer.
type otherIssuer struct {
	parser *jwt.Parser
	name   string
	keys   *keySource
	// slots bounds the signatures that are checked at once: a bad one costs its sender nothing, and those of large curves
	// take milliseconds.
	slots chan struct{}
}

// asymmetric are the algorithms of the other issuer's tokens: those whose keys can be told to everyone.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func newOther(i *Issuer, now func() time.Time, log *slog.Logger) (*otherIssuer, error) {
	if i.Name == "" || i.Name == self || i.Audience == "" || (i.URL == "") == (i.File == "") {
		return nil, errors.New("token: another issuer needs a name, an audience, and a URL or a file of keys")
	}
	o := &otherIssuer{name: i.Name, parser: newParser(now, asymmetric, i.Name, i.Audience), slots: make(chan struct{}, (runtime.GOMAXPROCS(0)+1)/2)}
	if i.File != "" {
		o.keys = newKeySource(i.File, func(context.Context) (*publicKeys, error) { return readKeys(i.File) }, now, log)
		// A file that cannot be used is a mistake to tell at the start; a server that is away may come back.
		return o, o.keys.refresh(context.Background())
	}
	u, err := url.Parse(i.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("token: the URL of the keys must be an http or https URL")
	}
	if u.Scheme == "http" {
		log.Warn("the keys of tokens are fetched without TLS: whoever is in between can make tokens", slog.String("host", u.Host))
	}
	o.keys = newKeySource(u.Host, fetcher(i.URL), now, log)
	return o, nil
}

// readKeys reads a file of keys.
func readKeys(path string) (*publicKeys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := readKeySet(f)
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	return keys, nil
}

// grantClaims say what a token of the other issuer allows.
type grantClaims struct {
	Tenant   string             `json:"tenant"`
	Allow    []event.Permission `json:"allow"`
	Types    []string           `json:"types"`
	Subjects []string           `json:"subjects"`
}

// check refuses what is not a grant. A list that is there and empty is refused too: an issuer that computes the types or
// subjects of a user and finds none means nothing, and an empty selection would mean everything.
func (g *grantClaims) check(selection func(event.Selection) error) bool {
	if g.Tenant == "" || len(g.Allow) == 0 || len(g.Allow) > 3 {
		return false
	}
	if g.Types != nil && len(g.Types) == 0 || g.Subjects != nil && len(g.Subjects) == 0 {
		return false
	}
	return !slices.ContainsFunc(g.Allow, func(p event.Permission) bool { return !known(p) }) &&
		selection(event.Selection{Types: g.Types, Subjects: g.Subjects}) == nil
}

// otherClaims are those that every token of the other issuer has; what it grants is read once they are right.
type otherClaims struct {
	jwt.RegisteredClaims
	Posthorn json.RawMessage `json:"posthorn"`
}

// check checks a token that claims to be the other issuer's.
func (o *otherIssuer) check(ctx context.Context, bearer string, selection func(event.Selection) error) (*checked, error) {
	var claims otherClaims
	var failed error // of the keys, not of the token
	var with *publicKeys
	held := false
	_, err := o.parser.ParseWithClaims(bearer, &claims, func(t *jwt.Token) (any, error) {
		if claims.Issuer != o.name || t.Header["crit"] != nil {
			return nil, jwt.ErrTokenUnverifiable
		}
		kid, _ := t.Header["kid"].(string)
		var list []jwt.VerificationKey
		if list, with, failed = o.keys.find(ctx, kid, t.Method.Alg()); failed != nil || len(list) == 0 {
			return nil, jwt.ErrTokenUnverifiable
		}
		select {
		case o.slots <- struct{}{}:
			held = true
		case <-ctx.Done():
			failed = ctx.Err()
			return nil, jwt.ErrTokenUnverifiable
		}
		return jwt.VerificationKeySet{Keys: list}, nil
	})
	if held {
		<-o.slots
	}
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, refused(err)
	}
	grant, ok := o.grant(bearer, &claims)
	if !ok || !grant.check(selection) {
		return nil, errToken()
	}
	return &checked{
		tenant: grant.Tenant, with: with,
		key: event.APIKey{
			Token: otherID(claims.ID, bearer), Allow: grant.Allow, Only: only(grant.Types, grant.Subjects),
			Created: begin(&claims.RegisteredClaims), Expires: claims.ExpiresAt.UTC(),
		},
	}, nil
}

// grant reads what a token grants: the object "posthorn" when it is there, else the claims at the top.
func (o *otherIssuer) grant(bearer string, claims *otherClaims) (g grantClaims, ok bool) {
	raw := []byte(claims.Posthorn)
	if raw == nil {
		var err error
		if raw, err = o.parser.DecodeSegment(strings.Split(bearer, ".")[1]); err != nil {
			return g, false
		}
	}
	return g, json.Unmarshal(raw, &g) == nil
}

// otherID names a token by its jti, or, when it has none or one that is not fit to be kept, by its hash.
func otherID(jti, bearer string) string {
	if jti == "" || len(jti) > maxID || strings.ContainsFunc(jti, func(r rune) bool { return r <= ' ' || r > '~' }) {
		sum := sha256.Sum256([]byte(bearer))
		return otherPrefix + hex.EncodeToString(sum[:16])
	}
	return otherPrefix + jti
}
