package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

const public = "https://push.example.com"

// keys are API keys by themselves.
type keys struct {
	mu   sync.Mutex
	by   map[[32]byte]event.APIKey
	fail error
}

func (k *keys) add(bearer string, key event.APIKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key.Hash = sha256.Sum256([]byte(bearer))
	k.by[key.Hash] = key
}

func (k *keys) revoke(bearer string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, sha256.Sum256([]byte(bearer)))
}

func (k *keys) Authenticate(ctx context.Context, bearer string) (event.APIKey, error) {
	return k.AuthenticateHash(ctx, sha256.Sum256([]byte(bearer)))
}

func (k *keys) AuthenticateHash(_ context.Context, hash [32]byte) (event.APIKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.by[hash]
	if k.fail == nil && !ok {
		return key, event.Errorf(event.KindUnauthorized, "unauthorized", "no")
	}
	return key, k.fail
}

// tenants are acme (1) and globex (2).
type tenants struct{ fail error }

func (t *tenants) Tenant(_ context.Context, name string) (*event.Tenant, error) {
	id := map[string]event.TenantID{"acme": 1, "globex": 2}[name]
	if t.fail == nil && id == 0 {
		return nil, event.NotFound("tenant")
	}
	return &event.Tenant{ID: id, Name: name}, t.fail
}

// plain seals by writing the use in front.
type plain struct{}

func (plain) Seal(text, use []byte) ([]byte, error) {
	return append([]byte(string(use)+":"), text...), nil
}

func (plain) Open(sealed, use []byte) ([]byte, error) {
	text, ok := bytes.CutPrefix(sealed, []byte(string(use)+":"))
	if !ok {
		return nil, errors.New("not sealed for this")
	}
	return text, nil
}

// world is a service and what it is made of.
type world struct {
	*Service
	store   *storetest.Model
	keys    *keys
	tenants *tenants
	log     bytes.Buffer
	ended   []string
	tried   []string // who and code
	refuse  error    // of Record
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{store: storetest.NewModel(), keys: &keys{by: map[[32]byte]event.APIKey{}}, tenants: &tenants{}}
	w.keys.add("key-one", event.APIKey{ID: 1 << 41, Name: "one", Tenant: 1, Allow: []event.Permission{event.AllowManage}})
	w.keys.add("key-root", event.APIKey{ID: event.RootKeyID, Name: "root", Admin: true})
	o := Options{
		Store: w.store, Keys: w.keys, Tenants: w.tenants, Sealer: plain{}, PublicURL: public, Lifetime: 7 * 24 * time.Hour, Idle: 12 * time.Hour,
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Ended: func(id string) { w.ended = append(w.ended, id) },
		Record: func(_ *http.Request, a Attempt, begin func() error) error {
			w.tried = append(w.tried, cmp.Or(a.Who.User, a.Who.Name)+"/"+a.Code)
			if begin == nil || w.refuse != nil {
				return w.refuse
			}
			return begin()
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	return w
}

// request is one of a browser.
func request(t *testing.T, target string, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = "push.example.com", "192.0.2.1:999"
	r.Header.Set("User-Agent", "Browser/1.0")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// signIn signs in with a key.
func (w *world) signIn(t *testing.T, key, old string) (event.APIKey, *http.Cookie) {
	t.Helper()
	k, c, err := w.SignIn(request(t, "/v1/session"), "req", key, old)
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

// idp is a provider of identities.
type idp struct {
	*httptest.Server
	t      *testing.T
	key    *ecdsa.PrivateKey
	secret string

	mu        sync.Mutex
	metadata  map[string]any              // changes to what it says of itself
	claims    func(claims map[string]any) // changes to the ID token's
	userinfo  map[string]any              // nil: the endpoint refuses
	signWith  *ecdsa.PrivateKey           // instead of key
	algorithm jose.SignatureAlgorithm
	before    func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	asked     map[string]int                                    // requests by path
	codes     map[string]url.Values                             // what was asked for, by code
	basic     bool                                              // the last exchange's credentials came in the header
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{t: t, key: key, secret: "s3cret", algorithm: jose.ES256, asked: map[string]int{}, codes: map[string]url.Values{}}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.URL.Path]++
	if p.before != nil && p.before(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	var out any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		out = p.about()
	case "/jwks":
		out = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}
	case "/token":
		out = p.token(w, r)
	case "/userinfo":
		if p.userinfo == nil || r.Header.Get("Authorization") != "Bearer access" {
			w.WriteHeader(http.StatusForbidden)
		}
		out = p.userinfo
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	if out != nil {
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (p *idp) about() map[string]any {
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
		"userinfo_endpoint": p.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"},
	}
	for k, v := range p.metadata {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
	return m
}

// token trades a code: once, for its own client, with the verifier that fits.
func (p *idp) token(w http.ResponseWriter, r *http.Request) any {
	refuse := func(code string) any {
		w.WriteHeader(http.StatusBadRequest)
		return map[string]string{"error": code, "error_description": "the secret is s3cret"}
	}
	id, secret, basic := r.BasicAuth()
	if p.basic = basic; !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != "posthorn" || secret != p.secret {
		return refuse("invalid_client")
	}
	asked := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if asked == nil || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
		asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		return refuse("invalid_grant")
	}
	delete(p.codes, r.PostFormValue("code"))
	claims := map[string]any{
		"iss": p.URL, "aud": "posthorn", "sub": "ann-1", "nonce": asked.Get("nonce"), "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "name": "Ann", "groups": []string{"ops", "everyone"},
	}
	if p.claims != nil {
		p.claims(claims)
	}
	out := map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60}
	if claims["no-id-token"] == nil {
		out["id_token"] = p.sign(claims)
	}
	return out
}

func (p *idp) sign(claims map[string]any) string {
	key := any(p.key)
	if p.signWith != nil {
		key = p.signWith
	}
	if p.algorithm == jose.HS256 {
		key = []byte(strings.Repeat(p.secret, 6))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		p.t.Error(err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		p.t.Error(err)
	}
	return text
}

// authorize is what the provider's page does: it gives a code for what a browser was sent with.
func (p *idp) authorize(location string) (code, state string) {
	u, err := url.Parse(location)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(location, p.URL+"/authorize?") || q.Get("client_id") != "posthorn" || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != public+CallbackPath || q.Get("nonce") == "" || len(q.Get("state")) < 20 {
		p.t.Fatalf("the browser is sent to %s", location)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code = rand.Text()
	p.codes[code] = q
	return code, q.Get("state")
}

// withProvider is a world with a provider.
func withProvider(t *testing.T, change func(*OIDC)) (*world, *idp) {
	t.Helper()
	p := newIDP(t)
	o := &OIDC{
		Issuer: p.URL, ClientID: "posthorn", ClientSecret: p.secret, Scopes: []string{"profile"}, GroupsClaim: "groups", Name: "Example ID",
		Roles: []Role{
			{Group: "ops", Admin: true},
			{Group: "shop", Tenant: "acme", Allow: []event.Permission{event.AllowRead}},
			{Group: "buyers", Tenant: "acme", Allow: []event.Permission{event.AllowPublish, event.AllowRead}},
			{Group: "watch", Tenant: EveryTenant, Allow: []event.Permission{event.AllowRead}},
			{Group: "old", Tenant: "gone", Allow: []event.Permission{event.AllowRead}},
		},
	}
	if change != nil {
		change(o)
	}
	return newWorld(t, func(all *Options) { all.OIDC = o }), p
}

// answered is an answer's status, Location and cookies.
type answered struct {
	status   int
	location string
	cookies  map[string]*http.Cookie
}

func answer(h http.HandlerFunc, r *http.Request) answered {
	w := httptest.NewRecorder()
	h(w, r)
	out := answered{w.Code, w.Header().Get("Location"), map[string]*http.Cookie{}}
	for _, c := range w.Result().Cookies() {
		out.cookies[c.Name] = c
	}
	return out
}

const (
	waitingName = hostPrefix + waitingCookie
	sessionName = hostPrefix + cookieName
)

// begin sends a browser off and returns its cookie, and what the provider sends it back with.
func (w *world) sendOff(t *testing.T, p *idp, to string) (cookie *http.Cookie, back url.Values) {
	t.Helper()
	a := answer(w.Begin, request(t, BeginPath+"?return="+url.QueryEscape(to)))
	cookie = a.cookies[waitingName]
	if a.status != http.StatusFound || cookie == nil {
		t.Fatalf("%+v", a)
	}
	code, state := p.authorize(a.location)
	return cookie, url.Values{"code": {code}, "state": {state}}
}

// signInThere signs in through the provider, to the end.
func (w *world) signInThere(t *testing.T, p *idp) answered {
	t.Helper()
	cookie, back := w.sendOff(t, p, "/ui/")
	return answer(w.Callback, request(t, CallbackPath+"?"+back.Encode(), cookie))
}
