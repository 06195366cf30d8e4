package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestSignInThere(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	if w.Provider() != "Example ID" || len(w.Routes()) != 4 {
		t.Errorf("the provider is %q with %d routes", w.Provider(), len(w.Routes()))
	}
	if p.asked["/.well-known/openid-configuration"] != 0 {
		t.Error("the provider was asked before anybody signs in")
	}
	cookie, back := w.sendOff(t, p, "/ui/acme/events?q=1#top")
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 600 {
		t.Errorf("the cookie of the attempt is %+v", cookie)
	}
	old, oldCookie := w.signIn(t, "key-one", "")
	a := answer(w.Callback, request(t, CallbackPath+"?"+back.Encode(), cookie, oldCookie))
	c := a.cookies[sessionName]
	if a.status != http.StatusFound || a.location != "/ui/acme/events?q=1#top" || c == nil {
		t.Fatalf("%+v", a)
	}
	if a.cookies[waitingName] == nil || a.cookies[waitingName].MaxAge >= 0 {
		t.Error("the cookie of the attempt stays")
	}
	who, err := w.Authenticate(t.Context(), c.Value)
	if err != nil || who.Kind != event.ByUser || who.User != "ann-1" || who.Name != "Ann" || !who.Admin || who.ID != 0 || who.Session == "" {
		t.Errorf("%+v, %v", who, err)
	}
	if !w.Holds(t.Context(), &who) {
		t.Error("the session does not hold")
	}
	if _, err := w.Authenticate(t.Context(), oldCookie.Value); err == nil || !slices.Contains(w.ended, old.Session) {
		t.Error("the browser's session from before goes on")
	}
	if !slices.Equal(w.tried, []string{"one/", "ann-1/"}) || !p.basic {
		t.Errorf("told of %v, basic %t", w.tried, p.basic)
	}
	// The same answer again.
	if a := answer(w.Callback, request(t, CallbackPath+"?"+back.Encode(), cookie)); a.location != LoginPath+"?error="+CodeFailed+"&return=%2Fui%2Facme%2Fevents%3Fq%3D1%23top" || a.cookies[sessionName] != nil {
		t.Errorf("a code used twice: %+v", a)
	}
	for _, secret := range []string{"s3cret", "code_verifier", back.Get("code")} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, w.log.String())
		}
	}
}

// TestRefused: what a provider, or somebody in its place, must not get through with.
func TestRefused(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) func(*idp) {
		return func(p *idp) { p.claims = func(c map[string]any) { c[name] = value } }
	}
	for name, c := range map[string]struct {
		provider func(*idp)
		back     func(url.Values)
		code     string
	}{
		"wrong state":              {back: func(q url.Values) { q.Set("state", "x") }},
		"no state":                 {back: func(q url.Values) { q.Del("state") }},
		"no code":                  {back: func(q url.Values) { q.Del("code") }},
		"another code":             {back: func(q url.Values) { q.Set("code", "x") }},
		"another issuer's answer":  {back: func(q url.Values) { q.Set("iss", "https://evil.example.com") }},
		"no issuer in the answer":  {provider: func(p *idp) { p.metadata = map[string]any{"authorization_response_iss_parameter_supported": true} }},
		"denied":                   {back: func(q url.Values) { q.Set("error", "access_denied") }, code: CodeDenied},
		"another error":            {back: func(q url.Values) { q.Set("error", "server_error\r\nlevel=ERROR") }},
		"wrong nonce":              {provider: with("nonce", "x")},
		"no nonce":                 {provider: with("nonce", nil)},
		"expired":                  {provider: with("exp", time.Now().Add(-time.Minute).Unix())},
		"for somebody else":        {provider: with("aud", "other")},
		"for several, not by us":   {provider: with("aud", []string{"posthorn", "other"})},
		"of another issuer":        {provider: with("iss", "https://evil.example.com")},
		"nobody":                   {provider: with("sub", "")},
		"a name that is too long":  {provider: with("sub", strings.Repeat("a", 256))},
		"a name with a line break": {provider: with("sub", "a\nb")},
		"no role":                  {provider: with("groups", []string{"others"}), code: CodeNoRole},
		"no groups":                {provider: with("groups", []string{}), code: CodeNoRole},
		"groups of another kind":   {provider: with("groups", map[string]any{"ops": true}), code: CodeNoRole},
		"another access token":     {provider: with("at_hash", "x")},
		"no ID token":              {provider: with("no-id-token", true)},
		"signed with another key":  {provider: func(p *idp) { p.signWith = other }},
		"signed with the secret":   {provider: func(p *idp) { p.algorithm = jose.HS256 }},
		"the client is refused":    {provider: func(p *idp) { p.secret = "other" }},
		"userinfo of another": {provider: func(p *idp) {
			with("groups", nil)(p)
			p.userinfo = map[string]any{"sub": "bob", "groups": []string{"ops"}}
		}},
		"userinfo refuses": {provider: with("groups", nil)},
		"a huge answer": {provider: func(p *idp) {
			p.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" {
					return false
				}
				_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("a", 4<<20) + `"}`))
				return true
			}
		}},
		"led elsewhere": {provider: func(p *idp) {
			p.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" {
					return false
				}
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				return true
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := withProvider(t, nil)
			if c.provider != nil {
				c.provider(p)
			}
			cookie, back := w.sendOff(t, p, "/ui/")
			if c.back != nil {
				c.back(back)
			}
			if c.code == "" {
				c.code = CodeFailed
			}
			a := answer(w.Callback, request(t, CallbackPath+"?"+back.Encode(), cookie))
			if a.status != http.StatusFound || a.location != LoginPath+"?error="+c.code || a.cookies[sessionName] != nil {
				t.Errorf("%+v", a)
			}
			if a.cookies[waitingName] == nil || a.cookies[waitingName].MaxAge >= 0 {
				t.Error("the attempt can go on")
			}
			if len(w.tried) != 1 || !strings.HasSuffix(w.tried[0], "/"+c.code) || c.code == CodeNoRole && w.tried[0] != "ann-1/"+CodeNoRole {
				t.Errorf("told of %v", w.tried)
			}
			if p.asked["/elsewhere"] != 0 || strings.Contains(w.log.String(), "s3cret") || strings.Contains(w.log.String(), "level=ERROR") || strings.Contains(w.log.String(), back.Get("code")) && back.Get("code") != "" && back.Get("code") != "x" {
				t.Errorf("the log:\n%s", w.log.String())
			}
		})
	}
}

// TestAttemptCookie: an answer is taken in the browser that asked, within its time.
func TestAttemptCookie(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	_, back := w.sendOff(t, p, "/ui/")
	stranger, _ := w.sendOff(t, p, "/ui/")
	forged := &http.Cookie{Name: waitingName, Value: "e30"}
	for name, c := range map[string]struct {
		cookies []*http.Cookie
		code    string
	}{
		"none": {nil, CodeExpired}, "another browser's": {[]*http.Cookie{stranger}, CodeFailed}, "forged": {[]*http.Cookie{forged}, CodeExpired},
		"two": {[]*http.Cookie{stranger, stranger}, CodeExpired},
	} {
		if a := answer(w.Callback, request(t, CallbackPath+"?"+back.Encode(), c.cookies...)); a.location != LoginPath+"?error="+c.code || a.cookies[sessionName] != nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	late := &waiting{State: "s", Nonce: "n", Verifier: "v", Return: "/ui/", Ends: time.Now().Add(-time.Second)}
	sealed, err := w.seal(late)
	if err != nil {
		t.Fatal(err)
	}
	if a := answer(w.Callback, request(t, CallbackPath+"?state=s&code=c", w.waitingCookie(sealed, 1))); a.location != LoginPath+"?error="+CodeExpired {
		t.Errorf("late: %+v", a)
	}
}

// TestAttemptRefused: nobody is signed in of whom it cannot be recorded.
func TestAttemptRefused(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	w.refuse = errors.New("no space")
	if a := w.signInThere(t, p); a.location != LoginPath+"?error="+CodeFailed || a.cookies[sessionName] != nil {
		t.Errorf("%+v", a)
	}
	if list, err := w.store.SessionsOf(t.Context(), userOwner(p.URL, "ann-1")); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	allow := func(list ...event.Permission) []event.Permission { return list }
	for name, c := range map[string]struct {
		groups any
		admin  bool
		grants []event.Grant
		fails  bool
	}{
		"one text":        {"ops", true, nil, false},
		"a tenant":        {[]string{"shop", "else"}, false, []event.Grant{{Tenant: 1, Allow: allow(event.AllowRead)}}, false},
		"two of a tenant": {[]string{"buyers", "shop"}, false, []event.Grant{{Tenant: 1, Allow: allow(event.AllowRead, event.AllowPublish)}}, false},
		"every tenant":    {[]string{"watch", "shop"}, false, []event.Grant{{Tenant: 1, Allow: allow(event.AllowRead)}, {Allow: allow(event.AllowRead)}}, false},
		"a lost tenant":   {[]string{"old"}, false, nil, false},
		"not a text":      {[]any{7, nil, "ops"}, true, nil, false},
		"in another case": {[]string{"OPS"}, false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := withProvider(t, nil)
			p.claims = func(claims map[string]any) { claims["groups"] = c.groups }
			a := w.signInThere(t, p)
			if c.fails {
				if a.location != LoginPath+"?error="+CodeNoRole {
					t.Errorf("%+v", a)
				}
				return
			}
			if a.cookies[sessionName] == nil {
				t.Fatalf("%+v", a)
			}
			who, err := w.Authenticate(t.Context(), a.cookies[sessionName].Value)
			if err != nil || who.Admin != c.admin || len(who.Grants) != len(c.grants) {
				t.Fatalf("%+v, %v", who, err)
			}
			for i, g := range who.Grants {
				if g.Tenant != c.grants[i].Tenant || !slices.Equal(g.Allow, c.grants[i].Allow) {
					t.Errorf("grants %+v, want %+v", who.Grants, c.grants)
				}
			}
			for i := range w.provider.Roles {
				if r := &w.provider.Roles[i]; r.Group == "shop" && !slices.Equal(r.Allow, allow(event.AllowRead)) {
					t.Errorf("a role was changed: %+v", r)
				}
			}
		})
	}
}

// TestRolesChange: a session goes by the roles of now, and ends without any.
func TestRolesChange(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	p.claims = func(claims map[string]any) { claims["groups"] = []string{"ops", "shop"} }
	c := w.signInThere(t, p).cookies[sessionName]
	w.provider.Roles = w.provider.Roles[1:] // without the admins
	who, err := w.Authenticate(t.Context(), c.Value)
	if err != nil || who.Admin || len(who.Grants) != 1 {
		t.Errorf("%+v, %v", who, err)
	}
	w.tenants.fail = errors.New("broken")
	if _, err := w.Authenticate(t.Context(), c.Value); !errors.Is(err, w.tenants.fail) {
		t.Errorf("while tenants cannot be read: %v", err)
	}
	w.tenants.fail = nil
	w.provider.Roles = nil
	if w.Holds(t.Context(), &who) {
		t.Error("it holds without a role")
	}
	_, err = w.Authenticate(t.Context(), c.Value)
	kind(t, err, event.KindUnauthorized)

	w, p = withProvider(t, func(o *OIDC) {
		o.Roles = []Role{{Group: Everyone, Tenant: "globex", Allow: []event.Permission{event.AllowRead}}}
	})
	p.claims = func(claims map[string]any) { delete(claims, "groups") }
	p.userinfo = map[string]any{"sub": "ann-1"}
	c = w.signInThere(t, p).cookies[sessionName]
	if who, err = w.Authenticate(t.Context(), c.Value); err != nil || len(who.Grants) != 1 || who.Grants[0].Tenant != 2 {
		t.Errorf("everybody: %+v, %v", who, err)
	}
	w.provider.Issuer = "https://new.example.com"
	_, err = w.Authenticate(t.Context(), c.Value)
	kind(t, err, event.KindUnauthorized)
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim        string
		token, info  map[string]any
		name         string
		asked        int
		publicClient bool
	}{
		"nested":        {claim: "realm_access.roles", token: map[string]any{"groups": nil, "realm_access": map[string]any{"roles": []string{"ops"}}}, name: "Ann"},
		"with dots":     {claim: "https://x.example/groups", token: map[string]any{"https://x.example/groups": []string{"ops"}}, name: "Ann"},
		"from userinfo": {token: map[string]any{"groups": nil, "name": nil}, info: map[string]any{"sub": "ann-1", "groups": "ops", "preferred_username": "ann"}, name: "ann", asked: 1},
		"name only":     {token: map[string]any{"name": nil}, info: map[string]any{"sub": "ann-1", "email": "ann@example.com", "groups": []string{}}, name: "ann@example.com", asked: 1},
		"no name":       {token: map[string]any{"name": nil}, name: "ann-1", asked: 1},
		"a made-up one": {token: map[string]any{"name": "A\r\nnn\x1b[31m"}, name: "Ann[31m"},
		"public client": {publicClient: true, name: "Ann"},
		"an address":    {claim: "email", token: map[string]any{"email": "ops", "email_verified": true}, name: "Ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := withProvider(t, func(o *OIDC) {
				if c.claim != "" {
					o.GroupsClaim = c.claim
				}
				if c.publicClient {
					o.ClientSecret = ""
				}
			})
			if c.publicClient {
				p.secret = ""
			}
			p.userinfo = c.info
			p.claims = func(claims map[string]any) {
				for k, v := range c.token {
					if claims[k] = v; v == nil {
						delete(claims, k)
					}
				}
			}
			a := w.signInThere(t, p)
			if a.cookies[sessionName] == nil {
				t.Fatalf("%+v\n%s", a, w.log.String())
			}
			who, err := w.Authenticate(t.Context(), a.cookies[sessionName].Value)
			if err != nil || !who.Admin || who.Name != c.name || p.asked["/userinfo"] != c.asked || p.basic == c.publicClient {
				t.Errorf("%+v, %v; userinfo was asked %d times", who, err, p.asked["/userinfo"])
			}
		})
	}
}

// TestAddress: an address that the provider has not verified is nobody's group.
func TestAddress(t *testing.T) {
	t.Parallel()
	for _, verified := range []any{nil, false, "false", 1} {
		w, p := withProvider(t, func(o *OIDC) { o.GroupsClaim = "email" })
		p.claims = func(c map[string]any) {
			c["email"], c["email_verified"] = "ops", verified
		}
		p.userinfo = map[string]any{"sub": "ann-1", "email": "ops"}
		if a := w.signInThere(t, p); a.location != LoginPath+"?error="+CodeNoRole {
			t.Errorf("verified %v: %+v", verified, a)
		}
	}
}

// TestScopes: a provider that lists its scopes is not asked for groups when they are none of them.
func TestScopes(t *testing.T) {
	t.Parallel()
	for want, listed := range map[string]any{
		"openid profile groups": nil, "openid profile": []string{"openid", "email"}, "openid profile groups ": []string{"openid", "groups"},
	} {
		w, p := withProvider(t, func(o *OIDC) { o.Scopes = []string{"profile", "groups"} })
		p.metadata = map[string]any{"scopes_supported": listed}
		u, err := url.Parse(answer(w.Begin, request(t, BeginPath)).location)
		if got := u.Query().Get("scope"); err != nil || got != strings.TrimSpace(want) {
			t.Errorf("of %v: %q, %v", listed, got, err)
		}
	}
}

// TestClientSecretInBody: a provider that takes the secret in the body only gets it there.
func TestClientSecretInBody(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	p.metadata = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
	if a := w.signInThere(t, p); a.cookies[sessionName] == nil || p.basic {
		t.Errorf("%+v, basic %t", a, p.basic)
	}
}

// TestUnreachable: a provider that cannot be reached, or says what cannot be, lets nobody in, keys sign in all the same, and it
// is asked again.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	failed := func(name string) {
		t.Helper()
		w.provider.tried = time.Time{}
		if a := answer(w.Begin, request(t, BeginPath)); a.location != LoginPath+"?error="+CodeFailed || len(a.cookies) != 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	answers := func(f func(w http.ResponseWriter)) {
		p.before = func(w http.ResponseWriter, _ *http.Request) bool { f(w); return true }
	}
	answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	failed("503")
	answers(func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) })
	failed("a page")
	answers(func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"x":"` + strings.Repeat("a", 2<<20) + `"}`)) })
	failed("a huge answer")
	p.before = nil
	for name, m := range map[string]map[string]any{
		"another issuer": {"issuer": p.URL + "/other"}, "no address to go to": {"authorization_endpoint": nil}, "no keys": {"jwks_uri": ""},
		"a script": {"authorization_endpoint": "javascript:alert(1)"}, "a file": {"token_endpoint": "file:///etc/passwd"},
	} {
		p.metadata = m
		failed(name)
	}
	if _, c := w.signIn(t, "key-one", ""); c == nil {
		t.Error("keys cannot sign in")
	}
	if log := w.log.String(); len(log) > 10_000 || !strings.Contains(log, "503") {
		t.Errorf("the log has %d bytes:\n%.5000s", len(log), log)
	}
	p.metadata = nil
	// Not before a moment has passed …
	if a := answer(w.Begin, request(t, BeginPath)); a.location != LoginPath+"?error="+CodeFailed {
		t.Errorf("asked again at once: %+v", a)
	}
	w.provider.tried = time.Time{}
	if a := w.signInThere(t, p); a.cookies[sessionName] == nil {
		t.Errorf("it is there again: %+v", a)
	}
	// … and what is known is used on while the provider cannot be asked again.
	w.provider.at, w.provider.tried = time.Now().Add(-2*rediscover), time.Time{}
	p.metadata = map[string]any{"issuer": "x"}
	if a := w.signInThere(t, p); a.cookies[sessionName] == nil {
		t.Errorf("with what is known: %+v", a)
	}
}

// TestPlainEndpoints: a provider that is reached over TLS leads nobody to where there is none.
func TestPlainEndpoints(t *testing.T) {
	t.Parallel()
	p := &provider{OIDC: &OIDC{Issuer: "https://id.example.com"}}
	for at, ok := range map[string]bool{"https://id.example.com/x": true, "http://id.example.com/x": false, "//id.example.com/x": false, "x": false, "": false} {
		if err := p.checkURL(at, false); (err == nil) != ok {
			t.Errorf("%q: %v", at, err)
		}
	}
	if p.checkURL("", true) != nil {
		t.Error("what may be missing is missed")
	}
}

// TestCallbackLimit: guessing at the provider's answers is bounded, too.
func TestCallbackLimit(t *testing.T) {
	t.Parallel()
	w, _ := withProvider(t, nil)
	for range 2 * limitAddress { // as a page of another site may have it, without the cookie
		if a := answer(w.Callback, request(t, CallbackPath+"?code=x&state=y")); a.location != LoginPath+"?error="+CodeExpired {
			t.Fatalf("%+v", a)
		}
	}
	guess := w.waitingCookie("guess", 1)
	for range limitAddress {
		if a := answer(w.Callback, request(t, CallbackPath+"?code=x&state=y", guess)); a.location != LoginPath+"?error="+CodeExpired {
			t.Fatalf("%+v", a)
		}
	}
	if a := answer(w.Callback, request(t, CallbackPath+"?code=x&state=y", guess)); a.location != LoginPath+"?error="+CodeTooMany {
		t.Errorf("%+v", a)
	}
}

// TestBeginAtHome: who comes by another name of the server goes to the public one first, where the cookie is needed.
func TestBeginAtHome(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	r := request(t, BeginPath+"?return=/ui/acme")
	r.Host = "localhost:8080"
	a := answer(w.Begin, r)
	if a.location != public+BeginPath+"?here=1&return=%2Fui%2Facme" || len(a.cookies) != 0 {
		t.Errorf("%+v", a)
	}
	r = request(t, strings.TrimPrefix(a.location, public))
	r.Host = "behind-a-proxy"
	if a := answer(w.Begin, r); !strings.HasPrefix(a.location, p.URL) {
		t.Errorf("round and round: %+v", a)
	}
	head := request(t, BeginPath)
	head.Method = http.MethodHead
	if a := answer(w.Begin, head); a.location != "" || len(a.cookies) != 0 {
		t.Errorf("HEAD: %+v", a)
	}
}

func TestSafeReturn(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "/ui/", "/ui/": "/ui/", "/ui/acme/events?type=a.b&x=%2F#e": "/ui/acme/events?type=a.b&x=%2F#e", "/ui/acme/": "/ui/acme/",
		"https://evil.example/ui/": "/ui/", "//evil.example/ui/": "/ui/", "/\\evil.example": "/ui/", "/ui/\\evil": "/ui/", "/ui//evil.example": "/ui/",
		"/v1/tenants": "/ui/", "/ui": "/ui/", "/uix": "/ui/", "/ui/../v1/me": "/ui/", "/ui/%2e%2e/v1/me": "/ui/", "/ui/./x": "/ui/",
		"javascript:alert(1)": "/ui/", "/ui/a\r\nSet-Cookie: x": "/ui/", "/ui/login": "/ui/", "/ui/login/oidc": "/ui/", "/ui/login/": "/ui/",
		"/ui/" + strings.Repeat("a", 2000): "/ui/", "%": "/ui/", "http:/ui/": "/ui/",
	} {
		if got := safeReturn(in); got != want {
			t.Errorf("safeReturn(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSafeReturn(f *testing.F) {
	for _, s := range []string{"/ui/", "//x", "/ui/../x", "/ui/%2f%2fx", "/ui/\\x", "/ui/?x=//y#//z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safeReturn(s)
		u, err := url.Parse(got)
		if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/ui/") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Errorf("safeReturn(%q) = %q", s, got)
		}
		base := &url.URL{Scheme: "https", Host: "push.example.com"}
		if to := base.ResolveReference(u); to.Host != base.Host || !strings.HasPrefix(to.Path, "/ui/") {
			t.Errorf("safeReturn(%q) leads to %s", s, to)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []OIDC{{}, {Issuer: "https://id.example.com"}, {Issuer: "id.example.com", ClientID: "x"}, {Issuer: "ftp://id.example.com", ClientID: "x"}, {Issuer: "https://", ClientID: "x"}} {
		if _, err := New(Options{OIDC: &o}); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	s, err := New(Options{OIDC: &OIDC{Issuer: "https://id.example.com", ClientID: "x", Scopes: []string{"email"}}})
	if err != nil || !slices.Equal(s.provider.Scopes, []string{"openid", "email"}) {
		t.Errorf("%v", err)
	}
}

// TestPersonSessions: a person's sessions are theirs alone, and end without the provider.
func TestPersonSessions(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	ann := w.signInThere(t, p).cookies[sessionName]
	p.claims = func(c map[string]any) { c["sub"] = "bob" }
	bob := w.signInThere(t, p).cookies[sessionName]
	whoAnn, err := w.Authenticate(t.Context(), ann.Value)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := w.List(t.Context(), &whoAnn); err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("%+v, %v", list, err)
	}
	if err := w.EndAll(t.Context(), &whoAnn); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Authenticate(t.Context(), bob.Value); err != nil {
		t.Errorf("another's session: %v", err)
	}
	w.provider = nil
	_, err = w.Authenticate(t.Context(), bob.Value)
	kind(t, err, event.KindUnauthorized)
}

// TestAttemptTime: an attempt has its time, and no more.
func TestAttemptTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sealed, err := w.seal(&waiting{State: "s", Nonce: "n", Verifier: "v", Ends: time.Now().Add(waitingTime)})
		if err != nil {
			t.Fatal(err)
		}
		r := request(t, CallbackPath+"?state=s", w.waitingCookie(sealed, 1))
		<-time.After(waitingTime)
		wait, _ := w.waiting(r)
		if _, _, code, err := w.returned(r, wait); code != CodeExpired || err != nil {
			t.Errorf("%s, %v", code, err)
		}
	})
}
