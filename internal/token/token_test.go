package token

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/keyring"
	"github.com/posthornhq/posthorn/internal/match"
)

// world is a service with its store, tenants and clock in memory.
type world struct {
	*Service
	t    testing.TB
	logs *bytes.Buffer

	mu      sync.Mutex
	now     time.Time
	tenants map[string]*event.Tenant
	keys    []event.TokenKey
	reads   int
	fail    error
	rotated []time.Time
}

func (w *world) PutTokenKey(_ context.Context, k event.TokenKey) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, k)
	return w.fail
}

func (w *world) TokenKeys(_ context.Context, tenant event.TenantID) ([]event.TokenKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	var list []event.TokenKey
	for _, k := range w.keys {
		if k.Tenant == tenant {
			list = append(list, k)
		}
	}
	return list, w.fail
}

func (w *world) RetireTokenKeys(_ context.Context, tenant event.TenantID, except string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, k := range w.keys {
		if k.Tenant == tenant && k.ID != except && (k.Retired.IsZero() || k.Retired.After(at)) {
			w.keys[i].Retired = at
		}
	}
	return w.fail
}

func (w *world) Tenant(_ context.Context, name string) (*event.Tenant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tenants[name]; t != nil {
		return t, nil
	}
	return nil, event.NotFound("tenant")
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

var admin = &event.APIKey{ID: 1, Admin: true}

// newWorld has the tenants acme (1) and other (2).
func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	keys, err := keyring.Open(keyring.Source{Path: t.TempDir() + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, logs: &bytes.Buffer{}, now: time.Date(2026, 11, 21, 8, 30, 0, 400e6, time.UTC),
		tenants: map[string]*event.Tenant{"acme": {ID: 1, Name: "acme"}, "other": {ID: 2, Name: "other"}},
	}
	o := Options{
		Store: w, Sealer: keys, Tenants: w, Now: w.clock, Logger: slog.New(slog.NewTextHandler(w.logs, nil)),
		Check:   func(s event.Selection) error { _, err := match.CompileSelection(s, event.DefaultLimits()); return err },
		Rotated: func(_ event.TenantID, ends time.Time) { w.rotated = append(w.rotated, ends) },
	}
	for _, c := range change {
		c(&o)
	}
	if w.Service, err = New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) create(tenant string, g Grant) string {
	w.t.Helper()
	if g.Allow == nil {
		g.Allow = []event.Permission{event.AllowRead}
	}
	tok, _, err := w.Create(w.t.Context(), w.tenants[tenant], admin, g)
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

func (w *world) accepts(what, tok string) event.APIKey {
	w.t.Helper()
	k, err := w.Authenticate(w.t.Context(), tok)
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	return k
}

func (w *world) refuses(what, tok string) {
	w.t.Helper()
	k, err := w.Authenticate(w.t.Context(), tok)
	if event.KindOf(err) != event.KindUnauthorized || k.Token != "" || k.Admin || k.Allow != nil {
		w.t.Errorf("%s: %+v, %v; want it refused", what, k, err)
	}
	if err != nil && len(tok) > 20 && (strings.Contains(err.Error(), tok[len(tok)-20:]) || strings.Contains(w.logs.String(), tok[len(tok)-20:])) {
		w.t.Errorf("%s: the refusal repeats the token: %v %s", what, err, w.logs)
	}
}

// object is JSON.
type object map[string]any

// with sets members by name; nil deletes one.
func (o object) with(changes ...any) object {
	for i := 0; i < len(changes); i += 2 {
		name := fmt.Sprint(changes[i])
		if o[name] = changes[i+1]; changes[i+1] == nil {
			delete(o, name)
		}
	}
	return o
}

func segment(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// forge signs any header and claims with HMAC-SHA256.
func forge(header, claims object, secret []byte) string {
	text := segment(header) + "." + segment(claims)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// opened returns the header and the claims of a token.
func opened(t testing.TB, tok string) (header, claims object) {
	t.Helper()
	for i, to := range []*object{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(strings.Split(tok, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, to); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// secret returns the key that signs a tenant's tokens.
func (w *world) secret(tenant event.TenantID) signingKey {
	w.t.Helper()
	k, err := w.signer(w.t.Context(), tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func TestCreateAndAuthenticate(t *testing.T) {
	w := newWorld(t)
	tok, expires, err := w.Create(t.Context(), w.tenants["acme"], admin, Grant{
		Allow: []event.Permission{event.AllowRead, event.AllowPublish}, Types: []string{"order.*"}, Subjects: []string{"order/42", "user/7/*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := w.now.Truncate(time.Second).Add(time.Hour + time.Second); !expires.Equal(want) {
		t.Errorf("it ends %v, want an hour from now, in whole seconds: %v", expires, want)
	}
	header, claims := opened(t, tok)
	if header["alg"] != "HS256" || header["kid"] != w.keys[0].ID || claims["iss"] != "posthorn" || claims["tenant"] != "acme" || fmt.Sprint(claims["aud"]) != "[posthorn]" {
		t.Errorf("%v %v", header, claims)
	}
	for range 2 { // the second one is in memory
		k := w.accepts("a new token", tok)
		if k.Token != claims["jti"] || k.Tenant != 1 || k.Admin || k.ID != 0 || !k.Expires.Equal(expires) || !slices.Equal(k.Allow, []event.Permission{"read", "publish"}) ||
			k.Only == nil || k.Only.Types[0] != "order.*" || k.Only.Subjects[1] != "user/7/*" {
			t.Errorf("%+v", k)
		}
	}
	if k := w.accepts("one that is not narrowed", w.create("acme", Grant{})); k.Only != nil || !Own(k.Token) {
		t.Errorf("%+v", k)
	}
	if len(w.keys) != 1 || len(w.keys[0].Sealed) == 0 {
		t.Errorf("%d keys", len(w.keys))
	}
	w.pass(time.Hour)
	w.accepts("its last moment", tok)
	w.pass(time.Second)
	w.refuses("expired", tok)
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t)
	read, publish, manage := event.AllowRead, event.AllowPublish, event.AllowManage
	manager := &event.APIKey{ID: 2, Tenant: 1, Allow: []event.Permission{manage}}
	long := make([]string, 90)
	for i := range long {
		long[i] = strings.Repeat("x", 100)
	}
	for _, c := range []struct {
		name  string
		by    *event.APIKey
		g     Grant
		kind  event.Kind
		field string
	}{
		{"nothing allowed", admin, Grant{}, event.KindInvalid, "allow"},
		{"unknown", admin, Grant{Allow: []event.Permission{read, "admin"}}, event.KindInvalid, "allow[1]"},
		{"twice", admin, Grant{Allow: []event.Permission{read, read}}, event.KindInvalid, "allow[1]"},
		{"more than its maker", manager, Grant{Allow: []event.Permission{publish}}, event.KindForbidden, ""},
		{"narrowed and manage", admin, Grant{Allow: []event.Permission{manage}, Types: []string{"a"}}, event.KindInvalid, "allow[0]"},
		{"short", admin, Grant{Allow: []event.Permission{read}, TTL: time.Second - 1}, event.KindInvalid, "ttl"},
		{"negative", admin, Grant{Allow: []event.Permission{read}, TTL: -1}, event.KindInvalid, "ttl"},
		{"long", admin, Grant{Allow: []event.Permission{read}, TTL: 24*time.Hour + 1}, event.KindInvalid, "ttl"},
		{"pattern", admin, Grant{Allow: []event.Permission{read}, Types: []string{"a", "a..b"}}, event.KindInvalid, "types[1]"},
		{"subject", admin, Grant{Allow: []event.Permission{read}, Subjects: []string{""}}, event.KindInvalid, "subjects[0]"},
		{"too large", admin, Grant{Allow: []event.Permission{read}, Subjects: long}, event.KindInvalid, "subjects"},
		{"by a token", &event.APIKey{Token: "x", Tenant: 1, Allow: []event.Permission{manage}}, Grant{Allow: []event.Permission{read}}, event.KindForbidden, ""},
	} {
		tok, _, err := w.Create(t.Context(), w.tenants["acme"], c.by, c.g)
		e, ok := errors.AsType[*event.Error](err)
		if !ok || tok != "" || e.Kind != c.kind || c.field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != c.field) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, _, err := w.Create(t.Context(), w.tenants["acme"], manager, Grant{Allow: []event.Permission{read, manage}}); err != nil {
		t.Errorf("manage includes read: %v", err)
	}
	if err := w.Rotate(t.Context(), w.tenants["acme"], &event.APIKey{Token: "x"}, 0); event.KindOf(err) != event.KindForbidden {
		t.Errorf("rotation by a token: %v", err)
	}
}

// TestAttacks forges tokens with the very key, so that each is refused for its one fault.
func TestAttacks(t *testing.T) {
	w := newWorld(t)
	good := w.create("acme", Grant{})
	key, otherKey := w.secret(1), w.secret(2)
	header, claims := opened(t, good)
	with := func(o object, changes ...any) object { return maps.Clone(o).with(changes...) }
	w.accepts("the forger's own work", forge(header, with(claims, "jti", key.id+".x"), key.secret))
	now := w.now.Unix()
	parts := strings.Split(good, ".")
	for name, tok := range map[string]string{
		"alg none, unsigned":            segment(with(header, "alg", "none")) + "." + parts[1] + ".",
		"alg none, signed":              forge(with(header, "alg", "none"), claims, key.secret),
		"alg None":                      forge(with(header, "alg", "None"), claims, key.secret),
		"alg HS512":                     forge(with(header, "alg", "HS512"), claims, key.secret),
		"alg RS256":                     forge(with(header, "alg", "RS256"), claims, key.secret),
		"no alg":                        forge(with(header, "alg", nil), claims, key.secret),
		"alg a number":                  forge(with(header, "alg", 1), claims, key.secret),
		"no kid":                        forge(with(header, "kid", nil), claims, key.secret),
		"unknown kid":                   forge(with(header, "kid", "x"), claims, key.secret),
		"kid a list":                    forge(with(header, "kid", []string{key.id}), claims, key.secret),
		"crit":                          forge(with(header, "crit", []string{"b64"}), claims, key.secret),
		"other tenant's kid":            forge(with(header, "kid", otherKey.id), claims, otherKey.secret),
		"other tenant's key, this kid":  forge(header, claims, otherKey.secret),
		"other tenant by this key":      forge(header, with(claims, "tenant_id", 2, "tenant", "other"), key.secret),
		"other tenant's name":           forge(header, with(claims, "tenant", "other"), key.secret),
		"no tenant":                     forge(header, with(claims, "tenant", nil), key.secret),
		"unknown tenant":                forge(header, with(claims, "tenant", "nobody"), key.secret),
		"no tenant id":                  forge(header, with(claims, "tenant_id", nil), key.secret),
		"negative tenant id":            forge(header, with(claims, "tenant_id", -1), key.secret),
		"tenant id with a fraction":     forge(header, with(claims, "tenant_id", 1.5), key.secret),
		"empty key":                     forge(header, claims, nil),
		"expired":                       forge(header, with(claims, "exp", now), key.secret),
		"expired within the leeway":     forge(header, with(claims, "exp", now-5), key.secret),
		"expired long ago":              forge(header, with(claims, "exp", now-1000), key.secret),
		"no exp":                        forge(header, with(claims, "exp", nil), key.secret),
		"exp a text":                    forge(header, with(claims, "exp", "never"), key.secret),
		"exp out of range":              forge(header, with(claims, "exp", -1e300), key.secret),
		"nbf in the future":             forge(header, with(claims, "nbf", now+60), key.secret),
		"iat in the future":             forge(header, with(claims, "iat", now+60), key.secret),
		"wrong iss":                     forge(header, with(claims, "iss", "someone"), key.secret),
		"no iss":                        forge(header, with(claims, "iss", nil), key.secret),
		"wrong aud":                     forge(header, with(claims, "aud", "someone"), key.secret),
		"no aud":                        forge(header, with(claims, "aud", nil), key.secret),
		"a jti of another key":          forge(header, with(claims, "jti", otherKey.id+".x"), key.secret),
		"no jti":                        forge(header, with(claims, "jti", nil), key.secret),
		"no allow":                      forge(header, with(claims, "allow", nil), key.secret),
		"null claims":                   forgeRaw(header, "null", key.secret),
		"claims not JSON":               forgeRaw(header, "{", key.secret),
		"huge":                          forge(header, with(claims, "x", strings.Repeat("x", MaxLength)), key.secret),
		"tampered claims":               parts[0] + "." + segment(with(claims, "allow", []string{"manage"})) + "." + parts[2],
		"tampered signature":            good[:len(good)-4] + "AAAA",
		"another last character":        lastBits(good),
		"cut signature":                 good[:len(good)-8],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"four parts":                    good + ".x",
		"two parts":                     parts[0] + "." + parts[1],
		"padded":                        good + "=",
		"a line more":                   good + "\n",
		"empty":                         "",
		"not one":                       "ph_abc",
		"standard base64 in the header": "ey+/." + parts[1] + "." + parts[2],
		"only dots":                     "ey..",
	} {
		w.refuses(name, tok)
	}
	w.accepts("nbf within the leeway", forge(header, with(claims, "nbf", now+20), key.secret))
	w.accepts("the good one, after all that", good)
	if strings.Contains(w.logs.String(), "eyJ") {
		t.Errorf("the log holds tokens: %s", w.logs)
	}
}

// forgeRaw signs claims that are any text.
func forgeRaw(header object, claims string, secret []byte) string {
	text := segment(header) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// lastBits changes the two bits of a base64 text of 32 bytes that stand for nothing: the same signature in other words.
func lastBits(tok string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, tok[len(tok)-1])
	return tok[:len(tok)-1] + alphabet[last^1:last^1+1]
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	ctx, acme := t.Context(), w.tenants["acme"]
	first, foreign := w.create("acme", Grant{TTL: 10 * time.Hour}), w.create("other", Grant{})
	record := w.accepts("the first", first)
	holds := func(want bool, k event.APIKey) {
		t.Helper()
		if w.Holds(ctx, &k) != want {
			t.Errorf("Holds(%+v) = %t", k, !want)
		}
	}
	holds(true, record)
	if err := w.Rotate(ctx, acme, admin, time.Hour); err != nil {
		t.Fatal(err)
	}
	ends := w.now.Add(time.Hour)
	if k := w.accepts("within the overlap", first); !k.Expires.Equal(ends) {
		t.Errorf("it ends %v, want the end of the overlap, %v", k.Expires, ends)
	}
	holds(true, record)
	second := w.create("acme", Grant{TTL: 10 * time.Hour})
	if a, _ := opened(t, first); func() bool { b, _ := opened(t, second); return a["kid"] == b["kid"] }() {
		t.Error("the key did not change")
	}
	w.pass(time.Hour)
	w.refuses("after the overlap", first)
	holds(false, record)
	holds(true, event.APIKey{Token: otherPrefix + "x", Expires: w.now.Add(1)})
	holds(false, event.APIKey{Token: otherPrefix + "x", Expires: w.now})
	w.accepts("the second", second)
	if err := w.Rotate(ctx, acme, admin, 0); err != nil {
		t.Fatal(err)
	}
	w.refuses("at once", second)
	w.accepts("made after", w.create("acme", Grant{}))
	w.accepts("of another tenant", foreign)
	if len(w.rotated) != 2 || !w.rotated[0].Equal(ends) || !w.rotated[1].Equal(w.now) {
		t.Errorf("told of %v", w.rotated)
	}
	for _, d := range []time.Duration{-1, MaxOverlap + 1} {
		if err := w.Rotate(ctx, acme, admin, d); event.KindOf(err) != event.KindInvalid {
			t.Errorf("overlap %v: %v", d, err)
		}
	}
	for range maxKeys - 1 {
		if err := w.Rotate(ctx, acme, admin, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Rotate(ctx, acme, admin, time.Hour); event.KindOf(err) != event.KindConflict {
		t.Errorf("too many keys: %v", err)
	}
	if err := w.Rotate(ctx, acme, admin, 0); err != nil {
		t.Errorf("an end at once is always possible: %v", err)
	}
}

// TestRotationFails is that of a store that fails half-way: what is in memory is not believed any more.
func TestRotationFails(t *testing.T) {
	w := newWorld(t)
	tok := w.create("acme", Grant{})
	w.accepts("before", tok)
	w.fail = errors.New("disk")
	if err := w.Rotate(t.Context(), w.tenants["acme"], admin, 0); err == nil {
		t.Error("no error")
	}
	w.fail = nil
	w.keys[0].Retired = w.now // the effect came to be
	w.pass(keyTTL)
	w.refuses("retired by another node", tok)
}

func TestTenantMadeAgain(t *testing.T) {
	w := newWorld(t)
	tok := w.create("acme", Grant{})
	w.accepts("before", tok)
	delete(w.tenants, "acme")
	w.refuses("its tenant was deleted", tok)
	w.tenants["acme"] = &event.Tenant{ID: 3, Name: "acme"}
	w.refuses("another tenant has the name", tok)
}

func TestAnotherNode(t *testing.T) {
	w := newWorld(t)
	o := w.options
	twin, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	there := &world{Service: twin, t: t, logs: w.logs}
	tok := w.create("acme", Grant{})
	there.accepts("made on another node", tok)
	if err := w.Rotate(t.Context(), w.tenants["acme"], admin, 0); err != nil {
		t.Fatal(err)
	}
	next := w.create("acme", Grant{})
	w.pass(keyPause)
	there.accepts("by a key that this node has not read yet", next)
	w.pass(keyTTL)
	there.refuses("rotated on another node", tok)
}

// TestReadsAreBounded asks with kids that do not exist.
func TestReadsAreBounded(t *testing.T) {
	w := newWorld(t)
	good := w.create("acme", Grant{})
	header, claims := opened(t, good)
	header["kid"] = "x"
	bad := forge(header, claims, []byte("x"))
	before := w.reads
	for range 100 {
		w.refuses("unknown kid", bad)
		w.accepts("the good one", good)
	}
	if w.reads != before {
		t.Errorf("%d readings within a moment", w.reads-before)
	}
	w.pass(keyPause)
	for range 100 {
		w.refuses("unknown kid", bad)
	}
	if w.reads != before+1 {
		t.Errorf("%d readings, want 1", w.reads-before)
	}
}

func TestStoreFails(t *testing.T) {
	w := newWorld(t)
	tok := w.create("acme", Grant{})
	w.pass(time.Minute)
	w.fail = errors.New("disk")
	if _, err := w.Authenticate(t.Context(), tok); event.KindOf(err) != event.KindInternal || err == nil {
		t.Errorf("%v, want the store's error", err)
	}
	if _, _, err := w.Create(t.Context(), w.tenants["acme"], admin, Grant{Allow: []event.Permission{event.AllowRead}}); err == nil {
		t.Error("a token without a key")
	}
	w.fail = nil
	w.accepts("once it works", tok)
}

// TestKeysAreBound moves a sealed key to another tenant.
func TestKeysAreBound(t *testing.T) {
	w := newWorld(t)
	tok := w.create("acme", Grant{})
	moved := w.keys[0]
	moved.Tenant = 2
	w.keys = []event.TokenKey{moved}
	w.pass(time.Minute)
	w.refuses("its key has gone", tok)
	header, claims := opened(t, tok)
	claims["tenant"], claims["tenant_id"] = "other", 2
	w.refuses("by the moved key", forge(header, claims, []byte("whatever")))
	if !strings.Contains(w.logs.String(), "cannot be opened") {
		t.Errorf("log: %s", w.logs)
	}
	w.accepts("a new key is made", w.create("other", Grant{}))
}

func TestFirstTokensAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			tok, _, err := w.Create(t.Context(), w.tenants["acme"], admin, Grant{Allow: []event.Permission{event.AllowRead}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Authenticate(t.Context(), tok); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.keys) != 1 {
		t.Errorf("%d keys, want 1", len(w.keys))
	}
}

func TestLooks(t *testing.T) {
	w := newWorld(t)
	for bearer, want := range map[string]bool{
		w.create("acme", Grant{}): true, "ph_abcdefgh": false, "": false, "my.root.key": false, "eyJ": false, "eyJh.b": false, "eyJh.b.c.d": false,
	} {
		if Looks(bearer) != want {
			t.Errorf("Looks(%q) = %t", bearer, !want)
		}
	}
}

func TestNewNeedsOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no error")
	}
}
