package session

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

func kind(t *testing.T, err error, want event.Kind) {
	t.Helper()
	if err == nil || event.KindOf(err) != want {
		t.Errorf("error %v is of kind %d, want %d", err, event.KindOf(err), want)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	key, c := w.signIn(t, "key-one", "")
	if key.Kind != event.ByKey || key.Session == "" || key.Expires.Before(time.Now().Add(6*24*time.Hour)) {
		t.Errorf("%+v", key)
	}
	if c.Name != "__Host-posthorn_session" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 7*24*3600 {
		t.Errorf("the cookie is %+v", c)
	}
	got, err := w.Authenticate(t.Context(), c.Value)
	if err != nil || got.ID != key.ID || got.Session != key.Session || got.Tenant != 1 || !slices.Equal(got.Allow, key.Allow) || !got.Expires.Equal(key.Expires) {
		t.Errorf("%+v, %v", got, err)
	}
	if !w.Holds(t.Context(), &got) {
		t.Error("the session does not hold")
	}
	list, err := w.store.SessionsOf(t.Context(), keyOwner(key.ID))
	if err != nil || len(list) != 1 || list[0].Token == c.Value || strings.Contains(string(list[0].Body), c.Value) || strings.Contains(string(list[0].Body), "key-one") {
		t.Errorf("the store has %+v, %v", list, err)
	}
	for _, secret := range []string{"", "x", c.Value + "x", c.Value[1:] + "A", list[0].Token} {
		_, err := w.Authenticate(t.Context(), secret)
		kind(t, err, event.KindUnauthorized)
	}
	_, _, err = w.SignIn(request(t, "/"), "req", "key-two", "")
	kind(t, err, event.KindUnauthorized)
	if !slices.Equal(w.tried, []string{"one/", "/unauthorized"}) {
		t.Errorf("told of %v", w.tried)
	}
	w.refuse = errors.New("no space")
	if _, c, err := w.SignIn(request(t, "/"), "req", "key-one", ""); !errors.Is(err, w.refuse) || c != nil {
		t.Errorf("signed in unrecorded: %v", err)
	}

	plain := newWorld(t, func(o *Options) { o.PublicURL = "http://push.example.com" })
	if _, c := plain.signIn(t, "key-one", ""); c.Name != "posthorn_session" || c.Secure {
		t.Errorf("without TLS the cookie is %+v", c)
	}
}

// TestRenewedSecret: whoever knew a browser's secret before it signed in knows nothing after.
func TestRenewedSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first, a := w.signIn(t, "key-one", "")
	_, b := w.signIn(t, "key-root", a.Value)
	if a.Value == b.Value {
		t.Fatal("the secret was kept")
	}
	_, err := w.Authenticate(t.Context(), a.Value)
	kind(t, err, event.KindUnauthorized)
	if got, err := w.Authenticate(t.Context(), b.Value); err != nil || !got.Admin || got.Kind != event.ByRoot {
		t.Errorf("%+v, %v", got, err)
	}
	if !slices.Equal(w.ended, []string{first.Session}) {
		t.Errorf("ended: %v", w.ended)
	}
	planted := strings.Repeat("A", secretLength)
	if _, c := w.signIn(t, "key-one", planted); c.Value == planted {
		t.Error("a secret that somebody else chose was taken")
	}
}

// TestKeyEnds: a session is worth what its key is, at each request.
func TestKeyEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, c := w.signIn(t, "key-one", "")
	soon := time.Now().Add(time.Hour).UTC()
	w.keys.add("key-one", event.APIKey{ID: 1 << 41, Tenant: 1, Allow: []event.Permission{event.AllowRead}, Expires: soon})
	got, err := w.Authenticate(t.Context(), c.Value)
	if err != nil || !slices.Equal(got.Allow, []event.Permission{event.AllowRead}) || !got.Expires.Equal(soon) {
		t.Errorf("%+v, %v", got, err)
	}
	w.keys.fail = errors.New("broken")
	if _, err := w.Authenticate(t.Context(), c.Value); !errors.Is(err, w.keys.fail) || !w.Holds(t.Context(), &got) {
		t.Errorf("while keys cannot be read: %v", err)
	}
	w.keys.fail = nil
	w.keys.revoke("key-one")
	if w.Holds(t.Context(), &got) {
		t.Error("the session of a revoked key holds")
	}
	_, err = w.Authenticate(t.Context(), c.Value)
	kind(t, err, event.KindUnauthorized)
	// Also when there is such a key again.
	w.keys.add("key-one", event.APIKey{ID: 1 << 41, Tenant: 1})
	_, err = w.Authenticate(t.Context(), c.Value)
	kind(t, err, event.KindUnauthorized)

	_, c = w.signIn(t, "key-one", "")
	w.keys.add("key-one", event.APIKey{ID: 1 << 42, Tenant: 1})
	_, err = w.Authenticate(t.Context(), c.Value)
	kind(t, err, event.KindUnauthorized)
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Lifetime, o.Idle = 24*time.Hour, 6*time.Hour })
		key, c := w.signIn(t, "key-one", "")
		begun := time.Now()
		use := func() error {
			_, err := w.Authenticate(t.Context(), c.Value)
			return err
		}
		for range 4 {
			<-time.After(5 * time.Hour) // of the bubble
			if err := use(); err != nil {
				t.Fatal(err)
			}
		}
		list, err := w.List(t.Context(), &key)
		if err != nil || len(list) != 1 || !list[0].Seen.Equal(begun.Add(20*time.Hour)) || list[0].Expires.After(begun.Add(24*time.Hour)) {
			t.Errorf("%+v, %v", list, err)
		}
		<-time.After(4*time.Hour + time.Second)
		kind(t, use(), event.KindUnauthorized)
		if w.Holds(t.Context(), &key) {
			t.Error("it holds beyond its lifetime")
		}

		key, c = w.signIn(t, "key-one", "")
		<-time.After(6*time.Hour + time.Second)
		kind(t, use(), event.KindUnauthorized)
		if list, err := w.List(t.Context(), &key); err != nil || len(list) != 0 {
			t.Errorf("of expired sessions: %+v, %v", list, err)
		}
		if n, err := w.Trim(t.Context(), 10); n != 1 || err != nil { // not yet the later one
			t.Errorf("trimmed %d, %v", n, err)
		}
		<-time.After(time.Hour)
		if n, err := w.Trim(t.Context(), 10); n != 1 || err != nil {
			t.Errorf("trimmed %d, %v", n, err)
		}
	})
}

// TestListeningIsUse: who only listens, as a display on a wall does, stays signed in until the session's lifetime is over.
func TestListeningIsUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Lifetime, o.Idle = 3*time.Hour, time.Hour })
		counted := &counting{Store: w.store}
		w.options.Store = counted
		begun := time.Now()
		key, c := w.signIn(t, "key-one", "")
		asked := 0
		for ; w.Holds(t.Context(), &key); asked++ {
			<-time.After(30 * time.Second) // of the bubble
		}
		if got := time.Since(begun); got != 3*time.Hour {
			t.Errorf("it ends after %v, want 3h", got)
		}
		if counted.renewed > asked/2+1 {
			t.Errorf("it was written %d times", counted.renewed)
		}
		_, err := w.Authenticate(t.Context(), c.Value)
		kind(t, err, event.KindUnauthorized)

		// The end of one that nobody listens with stays; listening does not bring back what somebody has ended meanwhile.
		key, _ = w.signIn(t, "key-one", "")
		<-time.After(time.Hour)
		if w.Holds(t.Context(), &key) {
			t.Error("it holds after it was idle")
		}
		key, _ = w.signIn(t, "key-one", "")
		<-time.After(2 * time.Minute)
		counted.fail = errors.New("full")
		if !w.Holds(t.Context(), &key) {
			t.Error("a store that fails ends it")
		}
		counted.fail = event.NotFound("session")
		if w.Holds(t.Context(), &key) {
			t.Error("it holds though somebody has ended it")
		}
	})
}

// TestSavedSeldom: a session in use is not written at each request, and one that cannot be written goes on.
func TestSavedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		counted := &counting{Store: w.store}
		w.scs.Store = shelf{counted}
		_, c := w.signIn(t, "key-one", "")
		for range 120 {
			<-time.After(time.Second)
			if _, err := w.Authenticate(t.Context(), c.Value); err != nil {
				t.Fatal(err)
			}
		}
		if counted.renewed != 2 {
			t.Errorf("written %d times in two minutes, want 2", counted.renewed)
		}
		counted.fail = errors.New("full")
		<-time.After(2 * time.Minute)
		if _, err := w.Authenticate(t.Context(), c.Value); err != nil {
			t.Errorf("while it cannot be written: %v", err)
		}
		// Somebody ends it between the reading and the writing.
		counted.fail = event.NotFound("session")
		_, err := w.Authenticate(t.Context(), c.Value)
		kind(t, err, event.KindUnauthorized)
	})
}

func TestListAndEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	one, a := w.signIn(t, "key-one", "")
	_, b := w.signIn(t, "key-one", "")
	root, c := w.signIn(t, "key-root", "")
	list, err := w.List(t.Context(), &one)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	i := slices.IndexFunc(list, func(v View) bool { return v.Current })
	if i < 0 || list[i].ID != one.Session || list[i].Address != "192.0.2.1" || list[i].UserAgent != "Browser/1.0" || list[1-i].Current {
		t.Errorf("%+v", list)
	}
	kind(t, w.End(t.Context(), &one, root.Session), event.KindNotFound)
	kind(t, w.End(t.Context(), &one, ""), event.KindNotFound)
	_, _, err = w.All(t.Context(), &one, "", 2)
	kind(t, err, event.KindForbidden)
	all, next, err := w.All(t.Context(), &root, "", 2)
	if err != nil || len(all) != 2 || next != all[1].ID {
		t.Fatalf("%+v, %q, %v", all, next, err)
	}
	rest, next, err := w.All(t.Context(), &root, next, 2)
	if all = append(all, rest...); err != nil || len(all) != 3 || next != "" {
		t.Fatalf("%+v, %q, %v", all, next, err)
	}
	for _, v := range all {
		if v.Current != (v.ID == root.Session) || v.Current && (v.Kind != event.ByRoot || v.Name != "root") || !v.Current && (v.Kind != event.ByKey || v.Who != one.Who() || v.Name != "one") {
			t.Errorf("%+v", v)
		}
	}
	if err := w.End(t.Context(), &one, one.Session); err != nil {
		t.Fatal(err)
	}
	alive := func(c *http.Cookie) bool {
		_, err := w.Authenticate(t.Context(), c.Value)
		return err == nil
	}
	if alive(a) || !alive(b) || !alive(c) {
		t.Error("not the one session ended")
	}
	if err := w.EndAll(t.Context(), &one); err != nil || alive(b) || !alive(c) {
		t.Errorf("not all of one owner's sessions ended: %v", err)
	}
	anybody, d := w.signIn(t, "key-one", "")
	if err := w.End(t.Context(), &root, anybody.Session); err != nil || alive(d) {
		t.Errorf("an admin ends another's session: %v", err)
	}
	if len(w.ended) != 3 || !slices.Contains(w.ended, one.Session) {
		t.Errorf("ended: %v", w.ended)
	}
	token := event.APIKey{Token: "t", Tenant: 1}
	_, err = w.List(t.Context(), &token)
	kind(t, err, event.KindForbidden)
	kind(t, w.EndAll(t.Context(), &token), event.KindForbidden)
	kind(t, w.End(t.Context(), &token, root.Session), event.KindForbidden)

	for range maxSessions + 1 {
		_, _ = w.signIn(t, "key-root", "")
	}
	if list, err := w.List(t.Context(), &root); err != nil || len(list) != maxSessions || alive(c) {
		t.Errorf("%d sessions, %v; the oldest lives: %t", len(list), err, alive(c))
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		try := func(addr, key string) error {
			r := request(t, "/")
			r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 1).String()
			_, _, err := w.SignIn(r, "req", key, "")
			return err
		}
		for range 30 {
			if err := try("192.0.2.7", "key-one"); err != nil { // successes do not count
				t.Fatal(err)
			}
		}
		for range limitAddress {
			kind(t, try("192.0.2.7", "wrong"), event.KindUnauthorized)
			kind(t, try("2001:db8::1", "wrong"), event.KindUnauthorized)
		}
		for _, addr := range []string{"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::ffff:1"} {
			err := try(addr, "key-one")
			kind(t, err, event.KindRateLimited)
			if e, ok := errors.AsType[*event.Error](err); !ok || e.RetryAfter <= 0 || e.RetryAfter > 30*time.Second {
				t.Errorf("%s: %v", addr, err)
			}
		}
		if err := try("2001:db8:0:1::1", "key-one"); err != nil {
			t.Errorf("another network: %v", err)
		}
		<-time.After(30 * time.Second)
		kind(t, try("192.0.2.7", "wrong"), event.KindUnauthorized)
		kind(t, try("192.0.2.7", "wrong"), event.KindRateLimited)
		<-time.After(5 * time.Minute)
		if err := try("192.0.2.7", "key-one"); err != nil {
			t.Errorf("after the window: %v", err)
		}
	})
}

// TestLimitSite: who has an IPv6 /48 does not have 65,536 times the attempts, and a site's neighbours are not kept out.
func TestLimitSite(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(func() time.Time { return now })
	addr := func(site, net byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, site, 0, net, 15: 1})
	}
	for i := range limitSite {
		if err := l.take(addr(1, byte(i))); err != nil {
			t.Fatal(i, err)
		}
	}
	kind(t, l.take(addr(1, 200)), event.KindRateLimited)
	l.giveBack(addr(1, 0))
	if err := l.take(addr(1, 200)); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	if err := l.take(addr(2, 0)); err != nil {
		t.Errorf("another site: %v", err)
	}
	now = now.Add(limitWindow)
	if err := l.take(addr(1, 201)); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

// TestLimitCrowd: some hundred addresses that fail as often as they may keep nobody else out.
func TestLimitCrowd(t *testing.T) {
	t.Parallel()
	l := newLimiter(func() time.Time { return time.Unix(1000, 0) })
	for i := range 500 {
		for range 2 * limitAddress {
			_ = l.take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
	}
	if err := l.take(netip.MustParseAddr("192.0.2.1")); err != nil {
		t.Error(err)
	}
}

// TestLimitAll: many addresses do not help, and are not all remembered.
func TestLimitAll(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(func() time.Time { return now })
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range limitAll {
		if err := l.take(addr(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	kind(t, l.take(addr(limitAll)), event.KindRateLimited)
	for i := range 3 * limitEntries {
		_ = l.take(addr(i))
	}
	if len(l.from) > limitEntries {
		t.Errorf("%d addresses are remembered", len(l.from))
	}
	now = now.Add(limitWindow)
	_ = l.take(addr(1 << 20))
	if err := l.take(netip.Addr{}); err != nil {
		t.Errorf("an address that is not known: %v", err)
	}
}

// TestStoreFails: no error of the store signs anybody in or out.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	key, c := w.signIn(t, "key-one", "")
	fail := errors.New("broken")
	w.options.Store = &counting{Store: w.store, fail: fail, failRead: fail}
	w.scs.Store = shelf{w.options.Store}
	if _, err := w.Authenticate(t.Context(), c.Value); !errors.Is(err, fail) {
		t.Errorf("Authenticate: %v", err)
	}
	if !w.Holds(t.Context(), &key) {
		t.Error("Holds ends a session")
	}
	if _, cookie, err := w.SignIn(request(t, "/"), "req", "key-one", ""); !errors.Is(err, fail) || cookie != nil {
		t.Errorf("SignIn: %v", err)
	}
	if _, err := w.List(t.Context(), &key); !errors.Is(err, fail) {
		t.Errorf("List: %v", err)
	}
	if err := w.EndAll(t.Context(), &key); !errors.Is(err, fail) {
		t.Errorf("EndAll: %v", err)
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	key, c := w.signIn(t, "key-one", "")
	list, err := w.store.SessionsOf(t.Context(), keyOwner(key.ID))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for _, body := range []string{"", "{}", "null", `{"record":{}}`, "key-one"} {
		if err := w.store.RenewSession(t.Context(), list[0].Token, list[0].Expires, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Authenticate(t.Context(), c.Value); !errors.Is(err, errDamaged) || strings.Contains(err.Error(), "key-one") {
			t.Errorf("%q: %v", body, err)
		}
		if w.Holds(t.Context(), &key) {
			t.Errorf("%q holds", body)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\r\nb\x00c": "abc", "ok ü": "ok ü", "nna\u202e\u2066\u200f": "nna", "\xff\xfeé": "é", strings.Repeat("ü", 200): strings.Repeat("ü", 128), "": "",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

var _ Store = (*storetest.Model)(nil)
