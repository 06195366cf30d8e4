package live

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

func request(tb testing.TB, addr string, forwarded ...string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "/", nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.RemoteAddr = addr
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestWait(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	log.append(acme.ID, note("a", ""), note("b", ""))
	l := Listener{Tenant: acme, Key: rootKey, Ask: event.Selection{Types: []string{"a"}}}
	r := request(t, "127.0.0.1:1")
	// What is there already, also before anybody followed the tenant, is found at once.
	if err := h.Wait(t.Context(), r, l, 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Wait(t.Context(), r, l, 1, time.Hour) }()
	waitFor(t, func() bool { return h.Stats().Polls == 1 })
	log.append(acme.ID, note("b", ""))
	log.append(99, note("a", ""))
	select {
	case err := <-done:
		t.Fatal("woken by an event that is not selected", err)
	case <-time.After(20 * time.Millisecond):
	}
	log.append(acme.ID, note("a", ""))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Found on the ring.
	if err := h.Wait(t.Context(), r, l, 3, time.Hour); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := h.Wait(t.Context(), r, l, 4, 10*time.Millisecond); err != nil || time.Since(begin) < 10*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	if s := h.Stats(); s.Polls != 0 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Wait(ctx, r, l, 4, time.Hour); err != nil {
		t.Error(err)
	}
	if err := h.Wait(t.Context(), r, Listener{Tenant: acme, Key: rootKey, Ask: event.Selection{Filter: "("}}, 4, time.Hour); event.KindOf(err) != event.KindInvalid {
		t.Error(err)
	}
}

func TestManyWaitersWake(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	const n = 500
	r := request(t, "127.0.0.1:1")
	done := make(chan error, n)
	for range n {
		go func() { done <- h.Wait(t.Context(), r, Listener{Tenant: acme, Key: rootKey}, 0, time.Hour) }()
	}
	waitFor(t, func() bool { return h.Stats().Polls == n })
	log.append(acme.ID, note("a", ""))
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestLimits(t *testing.T) {
	c := config(newLog())
	c.MaxStreams, c.MaxPerTenant, c.MaxPerToken, c.MaxPerAddress, c.MaxPolls = 6, 5, 2, 3, 1
	h := newHub(t, c)
	token := &event.APIKey{Token: "t"}
	var open []*ticket
	admit := func(k kind, addr string, tenant *event.Tenant, key *event.APIKey, want event.Kind, code string) {
		t.Helper()
		ticket, err := h.admit(k, request(t, addr), &Listener{Tenant: tenant, Key: key})
		if err == nil {
			open = append(open, ticket)
		}
		if got := event.KindOf(err); err == nil && code != "" || err != nil && (got != want || err.(*event.Error).Code != code || err.(*event.Error).RetryAfter <= 0) { //nolint:errcheck,errorlint // a test
			t.Errorf("%v, want %s", err, code)
		}
	}
	other := &event.Tenant{ID: 8}
	admit(kindSSE, "10.0.0.1:1", acme, token, 0, "")
	admit(kindSocket, "10.0.0.1:2", acme, token, 0, "")
	admit(kindSSE, "10.0.0.2:1", acme, token, event.KindRateLimited, "too_many_streams")
	admit(kindSSE, "10.0.0.1:3", acme, rootKey, 0, "")
	admit(kindSSE, "10.0.0.1:4", acme, rootKey, event.KindRateLimited, "too_many_streams")
	admit(kindPoll, "10.0.0.1:4", acme, rootKey, event.KindRateLimited, "too_many_streams")
	admit(kindSSE, "10.0.0.2:1", acme, rootKey, 0, "")
	admit(kindSSE, "10.0.0.2:1", acme, rootKey, 0, "")
	admit(kindSSE, "10.0.0.3:1", acme, rootKey, event.KindRateLimited, "too_many_streams")
	admit(kindSSE, "10.0.0.3:1", other, rootKey, 0, "")
	admit(kindSSE, "10.0.0.3:1", other, rootKey, event.KindUnavailable, "busy")
	admit(kindPoll, "10.0.0.3:1", acme, rootKey, 0, "")
	admit(kindPoll, "10.0.0.3:1", acme, rootKey, event.KindUnavailable, "busy")
	h.cfg.MaxStreams, h.cfg.MaxPolls, h.cfg.MaxOpen = 100, 100, len(open)+1
	admit(kindSSE, "10.0.0.4:1", other, rootKey, 0, "")
	admit(kindSSE, "10.0.0.4:1", other, rootKey, event.KindUnavailable, "busy")
	admit(kindPoll, "10.0.0.4:1", other, rootKey, event.KindUnavailable, "busy")
	if _, err := h.admitWait(other.ID); event.KindOf(err) != event.KindUnavailable {
		t.Errorf("a lease waits beyond the room: %v", err)
	}
	for _, x := range open {
		x.release()
	}
	if l := &h.limits; l.streams != 0 || l.polls != 0 || len(l.addrs)+len(l.tenants)+len(l.keys) != 0 {
		t.Errorf("left: %d %d %v %v %v", l.streams, l.polls, l.addrs, l.tenants, l.keys)
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, tt := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1/32"},
		{"192.0.2.1:5", []string{"198.51.100.9"}, "192.0.2.1/32"}, // not a proxy of ours
		{"10.0.0.1:5", []string{"198.51.100.9"}, "198.51.100.9/32"},
		{"10.0.0.1:5", []string{"1.1.1.1, 198.51.100.9, 10.2.2.2"}, "198.51.100.9/32"},
		{"10.0.0.1:5", []string{"1.1.1.1", "198.51.100.9,10.2.2.2"}, "198.51.100.9/32"},
		{"10.0.0.1:5", []string{"10.3.3.3"}, "10.3.3.3/32"},
		{"10.0.0.1:5", []string{"nonsense"}, "10.0.0.1/32"},
		{"10.0.0.1:5", nil, "10.0.0.1/32"},
		{"[::1]:5", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:3::9]:5", nil, "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1/32"},
		{"[fe80::1%eth0]:5", nil, "fe80::/64"},
		{"@", nil, "invalid Prefix"},
	} {
		if got := counted(ClientAddr(request(t, tt.remote, tt.forwarded...), trusted)).String(); got != tt.want {
			t.Errorf("%s %v: %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

// A feed that nobody uses is dropped after a while, and what is old leaves the ring.
func TestFeedsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		c := config(log)
		c.goroutines = true // the other way waits for the system, which the test's clock does not know
		h := newHub(t, c)
		f, err := h.feedOf(t.Context(), acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		log.append(acme.ID, note("a", ""))
		synctest.Wait()
		if s := h.Stats(); s.Feeds != 1 || s.RingBytes == 0 {
			t.Errorf("%+v", s)
		}
		<-time.After(time.Duration(ringAge) + 2*tickEvery)
		if s := h.Stats(); s.Feeds != 1 || s.RingBytes != 0 {
			t.Errorf("%+v", s)
		}
		f.release()
		<-time.After(time.Duration(lingerAge) + 2*tickEvery)
		if s := h.Stats(); s.Feeds != 0 {
			t.Errorf("%+v", s)
		}
		// The tail slept meanwhile; a new feed begins where the log is now.
		log.append(acme.ID, note("a", ""))
		if f, err = h.feedOf(t.Context(), acme.ID); err != nil || f.head != 2 {
			t.Fatalf("%v %v", f, err)
		}
		f.release()
	})
}

// A log that cannot be read for a while is followed on afterwards.
func TestLogFails(t *testing.T) {
	log := newLog()
	h := newHub(t, config(log))
	r := openStream(t, serveHub(t, h, rootKey), "", "")
	log.mu.Lock()
	log.fail = fmt.Errorf("disk on fire")
	log.mu.Unlock()
	log.append(acme.ID, note("a", ""))
	log.mu.Lock()
	log.fail = nil
	log.mu.Unlock()
	log.append(acme.ID, note("b", ""))
	if err := r.until(2); err != nil {
		t.Fatal(err)
	}
	wantVersions(t, "listener", r.seen, []int64{1, 2})
}

func FuzzLastEventID(f *testing.F) {
	for _, s := range []string{"", "0", "7", "-1", "+1", "007", "9223372036854775807", "9223372036854775808", "1 ", "a", "1e3", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseLastEventID(s)
		switch {
		case err != nil:
			if event.KindOf(err) != event.KindInvalid {
				t.Errorf("%q: %v", s, err)
			}
		case s == "":
			if n != -1 {
				t.Errorf("%q: %d", s, n)
			}
		case n < 0:
			t.Errorf("%q: %d", s, n)
		default:
			for _, c := range s {
				if c < '0' || c > '9' {
					t.Errorf("%q: %d", s, n)
				}
			}
		}
	})
}
