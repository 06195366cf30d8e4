package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// withSID lets the provider name its sessions in ID tokens.
func (p *idp) withSID(sub, sid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = func(c map[string]any) {
		c["sub"] = sub
		if sid != "" {
			c["sid"] = sid
		}
	}
}

// farewell is a logout token of the provider, with changes; nil leaves a claim out.
func (p *idp) farewell(changes map[string]any) string {
	claims := map[string]any{
		"iss": p.URL, "aud": "posthorn", "sub": "ann-1", "iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(),
		"jti": rand.Text(), "events": map[string]any{backChannelEvent: map[string]any{}},
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sign(claims)
}

// tell sends the server a body as the provider does.
func (w *world) tell(t *testing.T, body, contentType string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, LogOutPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.RemoteAddr = "192.0.2.77:999"
	out := httptest.NewRecorder()
	w.LogOut(out, r)
	if got := out.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	return out
}

const urlencoded = "application/x-www-form-urlencoded"

func (w *world) tellToken(t *testing.T, token string) *httptest.ResponseRecorder {
	t.Helper()
	return w.tell(t, url.Values{"logout_token": {token}}.Encode(), urlencoded)
}

// alive are the names of those cookies whose sessions are good.
func (w *world) alive(t *testing.T, cookies map[string]*http.Cookie) (names []string) {
	t.Helper()
	for name, c := range cookies {
		if _, err := w.Authenticate(t.Context(), c.Value); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// signInAs signs somebody in at one of the provider's sessions.
func (w *world) signInAs(t *testing.T, p *idp, sub, sid string) *http.Cookie {
	t.Helper()
	p.withSID(sub, sid)
	c := w.signInThere(t, p).cookies[sessionName]
	if c == nil {
		t.Fatal("nobody is signed in")
	}
	return c
}

func TestLogOutAtProvider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token map[string]any
		left  []string
		ended int
	}{
		"a person":                     {nil, []string{"bob", "key"}, 3},
		"a session of a person":        {map[string]any{"sid": "one"}, []string{"ann two", "bob", "key"}, 2}, // and that whose name is not known
		"a session alone":              {map[string]any{"sub": nil, "sid": "two"}, []string{"ann none", "ann one", "bob", "key"}, 1},
		"a session of another person":  {map[string]any{"sub": "bob", "sid": "one"}, []string{"ann none", "ann one", "ann two", "bob", "key"}, 0},
		"nobody who is here":           {map[string]any{"sub": "eve"}, []string{"ann none", "ann one", "ann two", "bob", "key"}, 0},
		"several clients of theirs":    {map[string]any{"aud": []string{"other", "posthorn"}}, []string{"bob", "key"}, 3},
		"an event more":                {map[string]any{"events": map[string]any{backChannelEvent: map[string]any{}, "urn:x": map[string]any{}}}, []string{"bob", "key"}, 3},
		"a clock that is ahead a bit":  {map[string]any{"iat": time.Now().Add(time.Minute).Unix()}, []string{"bob", "key"}, 3},
		"a session that is not theirs": {map[string]any{"sub": nil, "sid": "none such"}, []string{"ann none", "ann one", "ann two", "bob", "key"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := withProvider(t, nil)
			var told []string
			w.options.RecordEnd = func(_ *http.Request, a Attempt, end func() error) error {
				told = append(told, a.Who.User+" "+a.Session)
				return end()
			}
			_, key := w.signIn(t, "key-one", "")
			cookies := map[string]*http.Cookie{
				"key": key, "bob": w.signInAs(t, p, "bob", "three"), "ann one": w.signInAs(t, p, "ann-1", "one"),
				"ann two": w.signInAs(t, p, "ann-1", "two"), "ann none": w.signInAs(t, p, "ann-1", ""),
			}
			if out := w.tellToken(t, p.farewell(c.token)); out.Code != http.StatusOK || out.Body.Len() > 0 {
				t.Errorf("%d %s", out.Code, out.Body)
			}
			if left := w.alive(t, cookies); !slices.Equal(left, c.left) {
				t.Errorf("left are %q, want %q", left, c.left)
			}
			if len(w.ended) != c.ended || len(told) != c.ended {
				t.Errorf("told of %q, ended %q, want %d", told, w.ended, c.ended)
			}
		})
	}
}

// TestLogOutRefused: what is not the provider's word, or not for this server, or not about a log-out, ends nothing.
func TestLogOutRefused(t *testing.T) {
	t.Parallel()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) func(p *idp) string {
		return func(p *idp) string { return p.farewell(map[string]any{name: value}) }
	}
	none := func(p *idp) string {
		_, payload, _ := strings.Cut(p.farewell(nil), ".")
		payload, _, _ = strings.Cut(payload, ".")
		return "eyJhbGciOiJub25lIn0." + payload + "."
	}
	for name, token := range map[string]func(p *idp) string{
		"another's key":   func(p *idp) string { p.signWith = stranger; return p.farewell(nil) },
		"a shared secret": func(p *idp) string { p.algorithm = jose.HS256; return p.farewell(nil) },
		"no signature":    none,
		"another's claims": func(p *idp) string {
			a, b := p.farewell(nil), p.farewell(map[string]any{"sub": "bob"})
			return a[:strings.LastIndex(a, ".")] + b[strings.LastIndex(b, "."):]
		},
		"another issuer":       with("iss", "https://evil.example"),
		"no issuer":            with("iss", nil),
		"another client":       with("aud", "other"),
		"no audience":          with("aud", nil),
		"no iat":               with("iat", nil),
		"of tomorrow":          with("iat", time.Now().Add(24*time.Hour).Unix()),
		"of yesterday":         with("iat", time.Now().Add(-24*time.Hour).Unix()),
		"no exp":               with("exp", nil),
		"expired":              with("exp", time.Now().Add(-time.Minute).Unix()),
		"no jti":               with("jti", nil),
		"no events":            with("events", nil),
		"another event":        with("events", map[string]any{"urn:x": map[string]any{}}),
		"an event of null":     with("events", map[string]any{backChannelEvent: nil}),
		"an event that is one": with("events", map[string]any{backChannelEvent: 1}),
		"events as a list":     with("events", []string{backChannelEvent}),
		"a nonce":              with("nonce", "n"),
		"an empty nonce":       with("nonce", ""),
		"neither sub nor sid":  with("sub", nil),
		"a sub that is long":   with("sub", strings.Repeat("a", 256)),
		"a sub of two lines":   with("sub", "ann-1\nx"),
		"a jti that is long":   with("jti", strings.Repeat("a", 256)),
		"a sid that is long":   with("sid", strings.Repeat("a", 256)),
		"an ID token":          func(p *idp) string { return p.farewell(map[string]any{"events": nil, "nonce": "n", "jti": nil}) },
		"no token":             func(*idp) string { return "ey.ey.ey" },
		"a huge one":           func(*idp) string { return strings.Repeat("a", maxLogOut) },
		"nothing":              func(*idp) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := withProvider(t, nil)
			cookies := map[string]*http.Cookie{"ann": w.signInAs(t, p, "ann-1", "one")}
			raw := token(p)
			if out := w.tellToken(t, raw); out.Code != http.StatusBadRequest || out.Header().Get("Content-Type") != "application/json" ||
				!strings.Contains(out.Body.String(), `"error":"invalid_request"`) {
				t.Errorf("%d %s", out.Code, out.Body)
			}
			if len(w.alive(t, cookies)) != 1 || len(w.ended) != 0 {
				t.Error("the session has ended")
			}
			if signature := raw[strings.LastIndex(raw, ".")+1:]; len(signature) > 20 && strings.Contains(w.log.String(), signature) {
				t.Errorf("the log holds the token:\n%s", w.log.String())
			}
		})
	}
}

// TestLogOutForm: the body is a form with one token.
func TestLogOutForm(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	cookies := map[string]*http.Cookie{"ann": w.signInAs(t, p, "ann-1", "one")}
	token := p.farewell(nil)
	form := url.Values{"logout_token": {token}}.Encode()
	for name, c := range map[string][2]string{
		"JSON": {`{"logout_token":"` + token + `"}`, "application/json"}, "no type": {form, ""}, "plain": {form, "text/plain"},
		"twice": {form + "&" + form, urlencoded}, "not a form": {"%zz", urlencoded},
	} {
		if out := w.tell(t, c[0], c[1]); out.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, out.Code, out.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, LogOutPath+"?"+form, http.NoBody)
	r.Header.Set("Content-Type", urlencoded)
	out := httptest.NewRecorder()
	if w.LogOut(out, r); out.Code != http.StatusBadRequest {
		t.Errorf("in the query: %d", out.Code)
	}
	if len(w.alive(t, cookies)) != 1 {
		t.Error("the session has ended")
	}
	if out := w.tell(t, form, urlencoded+"; charset=utf-8"); out.Code != http.StatusOK || len(w.alive(t, cookies)) != 0 {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

// TestLogOutReplayed: a token counts once; one that could not be acted on may come again.
func TestLogOutReplayed(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	token := p.farewell(nil)
	broken := true
	w.options.RecordEnd = func(_ *http.Request, _ Attempt, end func() error) error {
		if broken {
			return errors.New("full")
		}
		return end()
	}
	cookies := map[string]*http.Cookie{"ann": w.signInAs(t, p, "ann-1", "")}
	if out := w.tellToken(t, token); out.Code != http.StatusBadRequest || len(w.alive(t, cookies)) != 1 {
		t.Errorf("while nothing can be saved: %d %s", out.Code, out.Body)
	}
	broken = false
	if out := w.tellToken(t, token); out.Code != http.StatusOK || len(w.alive(t, cookies)) != 0 {
		t.Errorf("again: %d %s", out.Code, out.Body)
	}
	cookies["ann"] = w.signInAs(t, p, "ann-1", "")
	if out := w.tellToken(t, token); out.Code != http.StatusBadRequest || len(w.alive(t, cookies)) != 1 {
		t.Errorf("replayed: %d %s", out.Code, out.Body)
	}
}

// TestLogOutLimit: many tokens that are good are taken, at once and one after the other; who sends others must wait.
func TestLogOutLimit(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	done := make(chan int)
	for range 4 * limitAddress {
		go func() { done <- w.tellToken(t, p.farewell(nil)).Code }()
	}
	for range 4 * limitAddress {
		if code := <-done; code != http.StatusOK {
			t.Errorf("one that is good: %d", code)
		}
	}
	for range limitAddress {
		w.tellToken(t, "ey.ey.ey")
	}
	if out := w.tellToken(t, p.farewell(nil)); out.Code != http.StatusTooManyRequests || out.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", out.Code, out.Header())
	}
}

// TestLogOutUnreachable: while the provider's keys cannot be had, nothing is believed.
func TestLogOutUnreachable(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	p.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	if out := w.tellToken(t, p.farewell(nil)); out.Code != http.StatusBadRequest {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

// TestLogOutWithoutTime: what is not looked at is not said to be done.
func TestLogOutWithoutTime(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	for range logOutsAtOnce {
		w.loggingOut <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, LogOutPath, strings.NewReader(url.Values{"logout_token": {p.farewell(nil)}}.Encode()))
	r.Header.Set("Content-Type", urlencoded)
	out := httptest.NewRecorder()
	if w.LogOut(out, r); out.Code != http.StatusBadRequest {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

// TestLogOutDamaged: a session that cannot be read does not keep the others of its person.
func TestLogOutDamaged(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	cookies := map[string]*http.Cookie{"one": w.signInAs(t, p, "ann-1", "one"), "two": w.signInAs(t, p, "ann-1", "two")}
	w.signInAs(t, p, "ann-1", "three")
	list, err := w.store.SessionsOf(t.Context(), userOwner(p.URL, "ann-1"))
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	if err := w.store.RenewSession(t.Context(), list[0].Token, list[0].Expires, []byte("damaged")); err != nil { // the newest
		t.Fatal(err)
	}
	if out := w.tellToken(t, p.farewell(nil)); out.Code != http.StatusOK || len(w.alive(t, cookies)) != 0 {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

// TestLogOutManySessions: a session's name alone is looked for among all.
func TestLogOutManySessions(t *testing.T) {
	t.Parallel()
	w, p := withProvider(t, nil)
	for n := range scanned + 10 {
		rec := record{ID: newID(), Issuer: p.URL, User: "u" + strconv.Itoa(n), There: "s" + strconv.Itoa(n), Created: time.Now()}
		if _, _, err := w.begin(t.Context(), &rec, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, sid := range []string{"s0", "s" + strconv.Itoa(scanned+9), "s" + strconv.Itoa(scanned/2)} {
		if out := w.tellToken(t, p.farewell(map[string]any{"sub": nil, "sid": sid})); out.Code != http.StatusOK {
			t.Errorf("%d %s", out.Code, out.Body)
		}
	}
	if len(w.ended) != 3 {
		t.Errorf("ended %d, want 3", len(w.ended))
	}
}

func TestHeard(t *testing.T) {
	t.Parallel()
	var h heard
	now := time.Now()
	for n := range maxHeard + 5 {
		h.add(strconv.Itoa(n), now, now.Add(time.Hour+time.Duration(n)*time.Second))
	}
	if len(h.ids) != maxHeard || h.has("0", now) || !h.has(strconv.Itoa(maxHeard+4), now) || h.has(strconv.Itoa(maxHeard+4), now.Add(24*time.Hour)) {
		t.Errorf("%d are remembered", len(h.ids))
	}
	later := now.Add(24 * time.Hour)
	h.add("new", later, later.Add(time.Hour))
	if len(h.ids) != 1 || !h.has("new", later) {
		t.Errorf("%d are remembered a day later", len(h.ids))
	}
}

// TestLeave: who has logged out here is led on only where the options and the provider say so, and only to where it may be.
func TestLeave(t *testing.T) {
	t.Parallel()
	leave := func(metadata map[string]any, on bool) string {
		w, p := withProvider(t, func(o *OIDC) { o.LogOut = on })
		p.metadata = metadata
		a := answer(w.Leave, request(t, LeavePath+"?return=https://evil.example&post_logout_redirect_uri=https://evil.example"))
		if a.status != http.StatusFound || len(a.cookies) > 0 {
			t.Errorf("%+v", a)
		}
		return a.location
	}
	end := map[string]any{"end_session_endpoint": "https://id.example.com/out?realm=a&client_id=x"}
	if got, want := leave(end, true), "https://id.example.com/out?client_id=posthorn&post_logout_redirect_uri=https%3A%2F%2Fpush.example.com%2Fui%2Flogin&realm=a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for name, got := range map[string]string{
		"off": leave(end, false), "no such page": leave(nil, true), "a script": leave(map[string]any{"end_session_endpoint": "javascript:alert(1)"}, true),
		"the provider is away": leave(map[string]any{"issuer": "https://other.example"}, true),
	} {
		if got != LoginPath {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestLeaveToNowhere: a page of logging out that cannot be used keeps nobody from signing in.
func TestLeaveToNowhere(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"javascript:alert(1)", "/out", "://"} {
		w, p := withProvider(t, func(o *OIDC) { o.LogOut = true })
		p.metadata = map[string]any{"end_session_endpoint": at}
		w.signInAs(t, p, "ann-1", "")
	}
}

// TestLogOutRoute: the provider's route is there with a provider only.
func TestLogOutRoute(t *testing.T) {
	t.Parallel()
	w, _ := withProvider(t, nil)
	if w.Routes()["POST "+LogOutPath] == nil {
		t.Error("there is no route")
	}
	if newWorld(t, nil).Routes() != nil {
		t.Error("there are routes without a provider")
	}
}
