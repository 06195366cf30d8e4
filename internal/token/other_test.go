package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/posthornhq/posthorn/internal/event"
)

// pair is a key of another issuer.
type pair struct {
	kid     string
	alg     string
	private crypto.Signer
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pairs are made once: RSA takes its time.
var pairs = sync.OnceValue(func() map[string]pair {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed := must2(ed25519.GenerateKey(rand.Reader))
	list := map[string]pair{
		"RS256": {"rsa", "RS256", rsaKey}, "PS512": {"pss", "PS512", rsaKey}, "EdDSA": {"ed", "EdDSA", ed},
		"ES256": {"p256", "ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		"ES384": {"p384", "ES384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))},
		"ES512": {"p521", "ES512", must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))},
	}
	return list
})

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func (p pair) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: p.private.Public(), KeyID: p.kid, Algorithm: p.alg, Use: "sig"}
}

func jwks(list ...jose.JSONWebKey) []byte { return must(json.Marshal(jose.JSONWebKeySet{Keys: list})) }

const theirs = "https://id.example.com"

func (w *world) theirClaims(changes ...any) jwt.MapClaims {
	now := w.clock().Unix()
	c := jwt.MapClaims{
		"iss": theirs, "aud": []string{"account", "https://push.example.com"}, "exp": now + 600, "iat": now, "jti": "t-1", "sub": "user 7",
		"tenant": "acme", "allow": []string{"read"},
	}
	return jwt.MapClaims(object(c).with(changes...))
}

func (p pair) sign(claims jwt.Claims, header ...any) string {
	t := jwt.NewWithClaims(jwt.GetSigningMethod(p.alg), claims)
	t.Header["kid"] = p.kid
	object(t.Header).with(header...)
	return must(t.SignedString(p.private))
}

// withFile is a world whose other issuer has its keys in a file.
func withFile(t testing.TB, data []byte) (w *world, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(o *Options) {
		o.Other = &Issuer{Name: theirs, Audience: "https://push.example.com", File: path}
	}), path
}

func TestOtherIssuer(t *testing.T) {
	var keys []jose.JSONWebKey
	for _, p := range pairs() {
		keys = append(keys, p.jwk())
	}
	w, _ := withFile(t, jwks(keys...))
	for name, p := range pairs() {
		k := w.accepts(name, p.sign(w.theirClaims()))
		if k.Tenant != 1 || k.Token != "other:t-1" || Own(k.Token) || k.Only != nil || k.Admin || k.Expires.Unix() != w.now.Unix()+600 {
			t.Errorf("%s: %+v", name, k)
		}
	}
	p := pairs()["ES256"]
	k := w.accepts("within an object", p.sign(w.theirClaims("tenant", "someone else's idea of a tenant", "allow", 7, "jti", nil, "posthorn", object{
		"tenant": "other", "allow": []string{"read", "publish"}, "types": []string{"order.*"}, "subjects": []string{"order/42"},
	})))
	if k.Tenant != 2 || len(k.Allow) != 2 || k.Only == nil || k.Only.Types[0] != "order.*" || k.Only.Subjects[0] != "order/42" || len(k.Token) != len(otherPrefix)+32 {
		t.Errorf("%+v", k)
	}
	if k := w.accepts("aud a text", p.sign(w.theirClaims("aud", "https://push.example.com", "jti", "a\nb"))); strings.Contains(k.Token, "\n") {
		t.Errorf("%q", k.Token)
	}
	w.accepts("no kid", p.sign(w.theirClaims(), "kid", nil))
	w.accepts("our own, beside", w.create("acme", Grant{}))
}

func TestOtherIssuerAttacks(t *testing.T) {
	p, other := pairs()["ES256"], pairs()["RS256"]
	w, _ := withFile(t, jwks(p.jwk(), jose.JSONWebKey{Key: other.private.Public(), KeyID: "rsa", Algorithm: "RS256"},
		jose.JSONWebKey{Key: []byte("a secret of thirty-two bytes....."), KeyID: "oct", Algorithm: "HS256"}))
	now := w.now.Unix()
	stranger := pair{"p256", "ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	public := must(x509.MarshalPKIXPublicKey(other.private.Public()))
	headerHS, claims := object{"alg": "HS256", "kid": "rsa", "typ": "JWT"}, object(w.theirClaims())
	for name, tok := range map[string]string{
		"HMAC with the public key":       forge(headerHS, claims, public),
		"HMAC with the public PEM":       forge(headerHS, claims, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"HMAC with the set's secret":     forge(object{"alg": "HS256", "kid": "oct"}, claims, []byte("a secret of thirty-two bytes.....")),
		"HMAC 384":                       forge(object{"alg": "HS384", "kid": "oct"}, claims, []byte("a secret of thirty-two bytes.....")),
		"alg none":                       segment(object{"alg": "none", "kid": "p256"}) + "." + segment(claims) + ".",
		"an unknown key":                 stranger.sign(w.theirClaims(), "kid", "new"),
		"a stranger's key":               stranger.sign(w.theirClaims()),
		"a stranger's key in the header": stranger.sign(w.theirClaims(), "jwk", stranger.jwk(), "kid", nil),
		"a stranger's URL in the header": stranger.sign(w.theirClaims(), "jku", "https://evil.example.com/jwks", "kid", "new"),
		"another algorithm than its key": pair{"rsa", "RS512", other.private}.sign(w.theirClaims()),
		"PSS with a key for RS256":       pair{"rsa", "PS256", other.private}.sign(w.theirClaims()),
		"another key's kid":              other.sign(w.theirClaims(), "kid", "p256"),
		"crit":                           p.sign(w.theirClaims(), "crit", []string{"b64"}),
		"no exp":                         p.sign(w.theirClaims("exp", nil)),
		"exp null":                       p.sign(jwt.MapClaims{"iss": theirs, "aud": "https://push.example.com", "tenant": "acme", "allow": []string{"read"}, "exp": nil}),
		"expired":                        p.sign(w.theirClaims("exp", now)),
		"nbf":                            p.sign(w.theirClaims("nbf", now+60)),
		"iat":                            p.sign(w.theirClaims("iat", now+60)),
		"wrong iss":                      p.sign(w.theirClaims("iss", theirs+"/")),
		"our iss":                        p.sign(w.theirClaims("iss", self, "aud", self, "tenant_id", 1)),
		"no iss":                         p.sign(w.theirClaims("iss", nil)),
		"wrong aud":                      p.sign(w.theirClaims("aud", "account")),
		"no aud":                         p.sign(w.theirClaims("aud", nil)),
		"no tenant":                      p.sign(w.theirClaims("tenant", nil)),
		"unknown tenant":                 p.sign(w.theirClaims("tenant", "nobody")),
		"no allow":                       p.sign(w.theirClaims("allow", nil)),
		"empty allow":                    p.sign(w.theirClaims("allow", []string{})),
		"admin":                          p.sign(w.theirClaims("allow", []string{"read", "admin"})),
		"allow a text":                   p.sign(w.theirClaims("allow", "read")),
		"no types left":                  p.sign(w.theirClaims("types", []string{})),
		"no subjects left":               p.sign(w.theirClaims("subjects", []string{})),
		"bad pattern":                    p.sign(w.theirClaims("types", []string{"a..b"})),
		"empty subject":                  p.sign(w.theirClaims("subjects", []string{""})),
		"types a text":                   p.sign(w.theirClaims("types", "order.*")),
		"posthorn a text":                p.sign(w.theirClaims("posthorn", "acme")),
		"posthorn empty":                 p.sign(w.theirClaims("posthorn", object{})),
		"posthorn null":                  p.sign(w.theirClaims("posthorn", json.RawMessage("null"))),
		"null claims":                    p.sign(nullClaims{}),
		"huge":                           p.sign(w.theirClaims("x", strings.Repeat("x", MaxLength))),
	} {
		w.refuses(name, tok)
	}
	w.accepts("the good one, after all that", p.sign(w.theirClaims()))
	alone := newWorld(t)
	alone.refuses("without another issuer", p.sign(w.theirClaims()))
}

// nullClaims are written as null.
type nullClaims struct{ jwt.RegisteredClaims }

// MarshalJSON is for [json.Marshal].
func (nullClaims) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestKeyFiles(t *testing.T) {
	block := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	ec, ed, rs := pairs()["ES256"], pairs()["EdDSA"], pairs()["RS256"]
	rsaKey, ok := rs.private.Public().(*rsa.PublicKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(rsaKey)
	pub := func(p pair) string { return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(p.private.Public()))) }
	small := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 1023), big.NewInt(1)), E: 65537}
	many := make([]jose.JSONWebKey, maxPublicKeys+1)
	for i := range many {
		many[i] = ec.jwk()
		many[i].KeyID = strconv.Itoa(i)
	}
	for name, c := range map[string]struct {
		data string
		keys int
		err  error
	}{
		"a JWK set":               {string(jwks(ec.jwk(), ed.jwk())), 2, nil},
		"a JWK alone":             {string(must(ec.jwk().MarshalJSON())), 1, nil},
		"PEM":                     {"# our keys\n" + pub(ec) + pub(ed) + block("RSA PUBLIC KEY", pkcs1), 3, nil},
		"unknown kinds beside":    {`{"keys":[{"kty":"new"},{"kty":"OKP","crv":"X25519","x":"AAAA"},"x",` + string(must(ec.jwk().MarshalJSON())) + `]}`, 1, nil},
		"secrets left out":        {string(jwks(jose.JSONWebKey{Key: []byte("secret"), KeyID: "s"}, ec.jwk())), 1, nil},
		"for encryption":          {string(jwks(jose.JSONWebKey{Key: rs.private.Public(), Use: "enc"})), 0, errNoKeys},
		"for signing only":        {strings.Replace(string(must(ec.jwk().MarshalJSON())), "{", `{"key_ops":["sign"],`, 1), 0, errNoKeys},
		"algorithm does not fit":  {string(jwks(jose.JSONWebKey{Key: ec.private.Public(), Algorithm: "RS256"})), 0, errNoKeys},
		"a short key":             {string(jwks(jose.JSONWebKey{Key: small})), 0, errNoKeys},
		"a short key in PEM":      {block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(small))), 0, errNoKeys},
		"private in a set":        {string(jwks(jose.JSONWebKey{Key: ec.private})), 0, errPrivate},
		"private in PEM":          {pub(ed) + block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ec.private))), 0, errPrivate},
		"empty":                   {"", 0, errNotKeySet},
		"text":                    {"hello", 0, errNotKeySet},
		"text after PEM":          {pub(ec) + "hello", 0, errNotKeySet},
		"broken JSON":             {`{"keys":[`, 0, errNotKeySet},
		"no keys":                 {`{"keys":[]}`, 0, errNoKeys},
		"not a set":               {`{"a":1}`, 0, errNoKeys},
		"too many":                {string(jwks(many...)), 0, errManyKeys},
		"a certificate and a key": {block("CERTIFICATE", []byte("x")) + pub(ec), 1, nil},
	} {
		got, err := parseKeys([]byte(c.data))
		if !errors.Is(err, c.err) || err == nil && len(got.keys) != c.keys {
			t.Errorf("%s: %v, %v; want %d keys, %v", name, got, err, c.keys, c.err)
		}
	}
	if _, err := parseKeys([]byte(strings.Repeat(pub(ec), maxTried+1))); err == nil {
		t.Error("too many keys without a kid are taken")
	}
	w, path := withFile(t, []byte(pub(ec)))
	w.accepts("any kid", ec.sign(w.theirClaims()))
	o := w.options
	for name, data := range map[string][]byte{"bad": []byte("hello"), "large": make([]byte, maxKeySet+1)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hello") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.Other.File = path + "-none"
	if _, err := New(o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, i := range []Issuer{{}, {Name: self, Audience: "a", File: path}, {Name: "a", File: path}, {Name: "a", Audience: "a"}, {Name: "a", Audience: "a", URL: "ftp://x"}} {
		o.Other = &i
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", i)
		}
	}
}

// TestChecksAreBounded holds all places where signatures are checked.
func TestChecksAreBounded(t *testing.T) {
	p := pairs()["EdDSA"]
	w, _ := withFile(t, jwks(p.jwk()))
	known := p.sign(w.theirClaims())
	w.accepts("before", known)
	for range cap(w.other.slots) {
		w.other.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tok := p.sign(w.theirClaims("jti", "t-2"))
	if _, err := w.Authenticate(ctx, tok); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want it to wait", err)
	}
	w.accepts("one that was checked before", known)
	w.accepts("our own", w.create("acme", Grant{}))
	for range cap(w.other.slots) {
		<-w.other.slots
	}
	w.accepts("when there is a place", tok)
	w.refuses("a bad one, which gives its place back", tok[:len(tok)-10]+"AAAAAAAAAA")
	if len(w.other.slots) != 0 {
		t.Error("a place is held")
	}
}

// keyServer serves a JWK set that can be changed and can fail.
type keyServer struct {
	*httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
	asked   atomic.Int64
}

func (k *keyServer) set(h http.HandlerFunc) { k.handler.Store(&h) }

func (k *keyServer) keys(list ...jose.JSONWebKey) {
	k.set(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks(list...)) })
}

func newKeyServer(t testing.TB) *keyServer {
	k := &keyServer{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		(*k.handler.Load())(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

// withServer is a running world whose other issuer has its keys at a URL.
func withServer(t testing.TB, from string) *world {
	t.Helper()
	w := newWorld(t, func(o *Options) {
		o.Other = &Issuer{Name: theirs, Audience: "https://push.example.com", URL: from}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// fresh moves the clock on and reads the keys.
func (w *world) fresh() error {
	w.pass(refreshPause)
	return w.other.keys.refresh(w.t.Context())
}

func TestKeysFromURL(t *testing.T) {
	one, two := pairs()["ES256"], pairs()["EdDSA"]
	server := newKeyServer(t)
	server.keys(one.jwk())
	w := withServer(t, server.URL+"/jwks?hush=hush")
	first := one.sign(w.theirClaims("exp", w.now.Add(100*time.Hour).Unix()))
	w.accepts("the first, while the keys are being fetched", first)

	// The issuer rotates: a new key is fetched when a token names it, but not more often than every refreshPause.
	server.keys(two.jwk())
	second := two.sign(w.theirClaims("exp", w.now.Add(100*time.Hour).Unix()))
	asked := server.asked.Load()
	for range 50 {
		w.refuses("by a new key, right after a reading", second)
	}
	if server.asked.Load() != asked {
		t.Error("unknown keys caused readings within the pause")
	}
	w.pass(refreshPause)
	w.accepts("by a new key, later", second)
	w.refuses("by the key that is withdrawn, though it was checked before", first)

	// Failures leave what was there.
	for name, h := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"text":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hush")) },
		"empty":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"huge":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2*maxKeySet)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"broken":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"private": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks(jose.JSONWebKey{Key: one.private})) },
		"PEM": func(w http.ResponseWriter, _ *http.Request) {
			_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(one.private.Public()))})
		},
	} {
		server.set(h)
		if err := w.fresh(); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
		w.accepts("while the keys cannot be read: "+name, second)
	}
	if n := strings.Count(w.logs.String(), "cannot be read"); n != 1 || strings.Contains(w.logs.String(), "hush") {
		t.Errorf("%d lines of one failing: %s", n, w.logs)
	}
	w.pass(staleAfter)
	if _, err := w.Authenticate(t.Context(), second); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("with keys of yesterday: %v", err)
	}
	server.keys(two.jwk())
	if err := w.fresh(); err != nil {
		t.Fatal(err)
	}
	w.accepts("when they can be read again", second)
	if !strings.Contains(w.logs.String(), "can be read again") {
		t.Errorf("log: %s", w.logs)
	}
}

// TestNoKeysYet starts while the issuer is away.
func TestNoKeysYet(t *testing.T) {
	p := pairs()["ES256"]
	server := newKeyServer(t)
	server.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	w := withServer(t, server.URL)
	tok := p.sign(w.theirClaims())
	_, err := w.Authenticate(t.Context(), tok)
	if e, ok := errors.AsType[*event.Error](err); !ok || e.Kind != event.KindUnavailable || e.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	w.accepts("our own", w.create("acme", Grant{}))
	server.keys(p.jwk())
	w.pass(refreshPause)
	w.accepts("once the issuer is there", tok)
}

// pass waits within a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

// TestRefreshing follows the clock: when readings happen, and how long a request waits for one.
func TestRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := pairs()["ES256"]
		set := must(parseKeys(jwks(key.jwk())))
		var failing atomic.Bool
		var slow atomic.Int64
		var mu sync.Mutex
		var times []time.Duration
		readings := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(times)
		}
		start := time.Now()
		source := newKeySource("test", func(ctx context.Context) (*publicKeys, error) {
			mu.Lock()
			times = append(times, time.Since(start))
			mu.Unlock()
			select {
			case <-time.After(time.Duration(slow.Load())):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if failing.Load() {
				return nil, errors.New("away")
			}
			return set, nil
		}, time.Now, w.log)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { source.run(ctx) })
		pass(2*refreshEvery + time.Second)
		failing.Store(true)
		pass(refreshEvery + retryEvery)
		want := []time.Duration{0, refreshEvery, 2 * refreshEvery, 3 * refreshEvery, 3*refreshEvery + retryEvery}
		if got := readings(); !slices.Equal(got, want) {
			t.Errorf("read at %v, want %v", got, want)
		}
		failing.Store(false)
		slow.Store(int64(time.Hour))
		pass(refreshPause)
		begin := time.Now()
		for range 3 {
			wg.Go(func() {
				if list, _, err := source.find(ctx, "new", "ES256"); err != nil || len(list) != 0 {
					t.Errorf("%v, %v", list, err)
				}
				if took := time.Since(begin); took != fetchTimeout {
					t.Errorf("waited %v", took)
				}
			})
		}
		pass(time.Second)
		if list, _, err := source.find(ctx, "p256", "ES256"); err != nil || len(list) != 1 {
			t.Errorf("a known key waits for an unknown one: %v", err)
		}
		pass(fetchTimeout)
		if n := len(readings()); n != 6 {
			t.Errorf("%d readings for three that wait, want 1", n-5)
		}
		cancel()
		wg.Wait()
	})
}
