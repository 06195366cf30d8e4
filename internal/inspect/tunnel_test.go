package inspect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// fakeTunnel is a tunnel whose program does what handle says; without it, it answers 202 with the request's number.
type fakeTunnel struct {
	mu     sync.Mutex
	online bool
	handle func(ctx context.Context, c event.Capture, kept bool) (event.Answer, error)
	got    []string // what was delivered, in its order: its number, "k" when its caller was gone
	at     []time.Time
	flying int
}

func (f *fakeTunnel) set(online bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.online = online
}

func (f *fakeTunnel) handleBy(h func(ctx context.Context, c event.Capture, kept bool) (event.Answer, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle = h
}

func (f *fakeTunnel) Online(tenant event.TenantID, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.online && tenant == 1 && name == "laptop"
}

func local(c *event.Capture) event.Answer {
	return event.Answer{Status: 202, Headers: []event.Header{{Name: "X-Local", Value: "yes"}, {Name: "Set-Cookie", Value: "a=b"}}, Body: fmt.Appendf(nil, "local %d", c.Seq)}
}

var errLost = errors.New("the connection was lost")

func (f *fakeTunnel) Forward(ctx context.Context, tenant event.TenantID, name string, c event.Capture, kept bool) (event.Answer, error) {
	if !f.Online(tenant, name) {
		return event.Answer{}, errLost
	}
	f.mu.Lock()
	f.flying++
	f.at = append(f.at, time.Now())
	handle := f.handle
	f.mu.Unlock()
	a, err := local(&c), error(nil)
	if handle != nil {
		a, err = handle(ctx, c, kept)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying--
	if err == nil && a.Status != 0 {
		mark := ""
		if kept {
			mark = "k"
		}
		f.got = append(f.got, fmt.Sprint(c.Seq)+mark)
	}
	return a, err
}

func (f *fakeTunnel) delivered() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.got, " ")
}

func (f *fakeTunnel) underWay() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flying
}

// tunnelled makes a service with a bin whose tunnel is "laptop". The bin's own answer is 299.
func tunnelled(t *testing.T) (*Service, *fakeTunnel, event.Bin) {
	t.Helper()
	f := &fakeTunnel{}
	s := newService(t, func(c *Config) { c.Forwarder = f })
	return s, f, makeBin(t, s, event.Bin{Tunnel: "laptop", Answer: event.Answer{Status: 299}})
}

// connect connects the tunnel and waits until nothing more happens.
func connect(s *Service, f *fakeTunnel) {
	f.set(true)
	s.TunnelOnline(1, "laptop")
	synctest.Wait()
}

// call sends a request and reports what its caller got.
func call(t *testing.T, s *Service, b *event.Bin) <-chan string {
	t.Helper()
	ch := make(chan string, 1)
	go func() {
		w := send(context.Background(), s, http.MethodPost, "/b/"+b.ID+"/x", "hello")
		ch <- fmt.Sprint(w.Code, " ", w.Body)
	}()
	return ch
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestTunnelStory is the whole way: away, connected, in order, live, lost in the middle, connected again.
func TestTunnelStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		for range 4 {
			want(t, "away", <-call(t, s, &b), "299 ")
		}
		connect(s, f)
		want(t, "kept ones", f.delivered(), "1k 2k 3k 4k")
		want(t, "live", <-call(t, s, &b), "202 local 5")

		// Live, several at once.
		open := make(chan struct{})
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) { <-open; return local(&c), nil })
		calls := []<-chan string{call(t, s, &b), call(t, s, &b), call(t, s, &b)}
		synctest.Wait()
		if n := f.underWay(); n != 3 {
			t.Errorf("%d at once, want 3", n)
		}
		close(open)
		var got []string
		for _, ch := range calls {
			got = append(got, <-ch)
		}
		slices.Sort(got)
		want(t, "at once", strings.Join(got, ","), "202 local 6,202 local 7,202 local 8")

		// The connection is lost while two are under way: one had arrived, one had not.
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(time.Second)
			if c.Seq == 9 {
				f.set(false)
				return event.Answer{}, errLost
			}
			return local(&c), nil
		})
		first := call(t, s, &b)
		synctest.Wait()
		second := call(t, s, &b)
		want(t, "lost", <-first, "299 ")
		want(t, "not lost", <-second, "202 local 10")
		want(t, "away again", <-call(t, s, &b), "299 ")
		f.handleBy(nil)
		connect(s, f)
		if got := f.delivered(); !strings.HasSuffix(got, " 10 9k 11k") {
			t.Errorf("after the loss: %s", got)
		}
		want(t, "live again", <-call(t, s, &b), "202 local 12")
		if c, err := s.Capture(t.Context(), b.ID, "12"); err != nil || c.Answer.Status != 202 || string(c.Answer.Body) != "local 12" {
			t.Errorf("recorded: %v %v", c.Answer, err)
		}
	})
}

// TestTunnelAnswers passes on what a local program says, as far as it may.
func TestTunnelAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		connect(s, f)
		w := send(t.Context(), s, "POST", "/b/"+b.ID, "")
		if w.Code != 202 || w.Header().Get("X-Local") != "yes" || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Content-Security-Policy") != "sandbox" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		f.handleBy(func(context.Context, event.Capture, bool) (event.Answer, error) { return event.Answer{Status: 99}, nil })
		if w := send(t.Context(), s, "POST", "/b/"+b.ID, ""); w.Code != 502 {
			t.Errorf("an answer that is none: %d", w.Code)
		}
		f.handleBy(func(context.Context, event.Capture, bool) (event.Answer, error) {
			return event.Answer{Status: 200}, nil
		})
		if w := send(t.Context(), s, "HEAD", "/b/"+b.ID, ""); w.Code != 200 || w.Header().Get("Content-Length") != "" {
			t.Errorf("HEAD: %d %v", w.Code, w.Header())
		}
	})
}

// TestTunnelNoWait gives callers the set answer where they are not to wait, and delivers all the same.
func TestTunnelNoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		s.cfg.Waits = func(*event.Bin) bool { return false }
		connect(s, f)
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(time.Minute)
			return local(&c), nil
		})
		began := time.Now()
		for range maxFlying + 3 { // more than may be under way at once
			want(t, "caller", <-call(t, s, &b), "299 ")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s", took)
		}
		f.handleBy(nil)
		pass(time.Hour)
		if n := len(strings.Fields(f.delivered())); n != maxFlying+3 {
			t.Errorf("%d delivered", n)
		}
		l := s.line(&b)
		defer s.leave(l)
		l.mu.Lock()
		defer l.mu.Unlock()
		want(t, "phase", fmt.Sprint(l.phase, len(l.flying), l.cursor), fmt.Sprint(live, 0, maxFlying+3))
	})
}

// TestTunnelDraining holds callers up while older requests wait, in their order.
func TestTunnelDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		for range 3 {
			<-call(t, s, &b)
		}
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(time.Second)
			return local(&c), nil
		})
		connect(s, f)
		began := time.Now()
		calls := []<-chan string{call(t, s, &b)}
		synctest.Wait()
		calls = append(calls, call(t, s, &b))
		want(t, "fourth", <-calls[0], "202 local 4")
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the fourth took %s", took)
		}
		want(t, "fifth", <-calls[1], "202 local 5")
		want(t, "order", f.delivered(), "1k 2k 3k 4 5")
	})
}

// TestTunnelSlowProgram gives a caller the set answer when the local one takes too long; the request is not sent again.
func TestTunnelSlowProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		connect(s, f)
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(2 * time.Minute)
			return local(&c), nil
		})
		began := time.Now()
		want(t, "caller", <-call(t, s, &b), "299 ")
		if took := time.Since(began); took != callerWait {
			t.Errorf("waited %s", took)
		}
		pass(10 * time.Minute)
		want(t, "delivered", f.delivered(), "1")
	})
}

// TestTunnelRefusal stops at a program that is not running and tries again with growing waits; callers do not wait for it.
func TestTunnelRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		for range 2 {
			<-call(t, s, &b)
		}
		f.handleBy(func(context.Context, event.Capture, bool) (event.Answer, error) {
			return event.Answer{Reason: "nothing listens on port 3000"}, nil
		})
		began := time.Now()
		connect(s, f)
		want(t, "refused", f.delivered(), "")
		want(t, "a caller", <-call(t, s, &b), "299 ")
		if took := time.Since(began); took != 0 {
			t.Errorf("the caller waited %s", took)
		}
		pass(100 * time.Second)
		var tries []time.Duration
		f.mu.Lock()
		for _, at := range f.at {
			tries = append(tries, at.Sub(began))
		}
		f.mu.Unlock()
		want(t, "tries", fmt.Sprint(tries), "[0s 1s 3s 7s 15s 31s 1m1s 1m31s]")
		f.handleBy(nil)
		s.TunnelOnline(1, "laptop") // another connection of it: no need to wait
		synctest.Wait()
		want(t, "order", f.delivered(), "1k 2k 3k")
		want(t, "live", <-call(t, s, &b), "202 local 4")
	})
}

// TestTunnelRestart goes on where the server stopped.
func TestTunnelRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTunnel{}
		model := storetest.NewFaulty(storetest.NewModel(), nil)
		begin := func() *Service {
			return newService(t, func(c *Config) { c.Forwarder, c.Store = f, model })
		}
		s := begin()
		b := makeBin(t, s, event.Bin{Tunnel: "laptop"})
		<-call(t, s, &b)
		connect(s, f)
		<-call(t, s, &b)
		s.Close()
		want(t, "a caller of a server that stops", <-call(t, s, &b), "200 ")

		s = begin()
		connect(s, f)
		want(t, "restarted", f.delivered(), "1k 2 3k")

		// Where a place could not be saved, requests come again.
		pass(time.Minute)
		model.SetRule(func(c storetest.Call) storetest.Fault {
			if c.Method == "SetBinCursor" {
				return storetest.Fault{Before: errors.New("no")}
			}
			return storetest.Fault{}
		})
		<-call(t, s, &b)
		s.Close()
		model.SetRule(nil)
		s = begin()
		defer s.Close()
		connect(s, f)
		want(t, "crashed", f.delivered(), "1k 2 3k 4 4k")
	})
}

// TestTunnelOfOlderBin begins with what comes after a bin got its tunnel, and goes with it when it gets another.
func TestTunnelOfOlderBin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTunnel{}
		s := newService(t, func(c *Config) { c.Forwarder = f })
		defer s.Close()
		b := makeBin(t, s, event.Bin{})
		<-call(t, s, &b)
		b.Tunnel = "laptop"
		b, err := s.Update(t.Context(), b, 0)
		if err != nil {
			t.Fatal(err)
		}
		<-call(t, s, &b)
		connect(s, f)
		want(t, "new tunnel", f.delivered(), "2k")
		b.Tunnel = ""
		if b, err = s.Update(t.Context(), b, 0); err != nil {
			t.Fatal(err)
		}
		want(t, "without", <-call(t, s, &b), "200 ")
		b.Tunnel = "laptop"
		if b, err = s.Update(t.Context(), b, 0); err != nil {
			t.Fatal(err)
		}
		want(t, "again", <-call(t, s, &b), "202 local 4")
		if _, err := s.Keep(t.Context(), b.ID, event.Request{Head: []byte("GET / HTTP/1.1\r\n")}, "", event.Answer{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "kept by another way", f.delivered(), "2k 4 5k")
		if err := s.Delete(t.Context(), b.ID, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(s.lines); n != 0 {
			t.Errorf("%d lines are left", n)
		}
	})
}

// TestTunnelLosesNothing lets requests come while a tunnel comes and goes, its program fails, and the place is not always
// saved: each is delivered once, and never lost.
func TestTunnelLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			s, f, b := tunnelled(t)
			defer s.Close()
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a seed that a failure names
			var mu sync.Mutex
			dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
				pass(time.Duration(dice(300)) * time.Millisecond)
				switch dice(10) {
				case 0:
					return event.Answer{}, errLost
				case 1:
					f.set(false)
					return event.Answer{Reason: "refused"}, nil
				}
				return local(&c), nil
			})
			const sent = 60
			var callers sync.WaitGroup
			for range sent {
				pass(time.Duration(dice(200)) * time.Millisecond)
				callers.Go(func() {
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					if dice(8) == 0 {
						time.AfterFunc(time.Duration(dice(100))*time.Millisecond, cancel)
					}
					send(ctx, s, http.MethodPost, "/b/"+b.ID, "x")
				})
				if dice(5) == 0 {
					f.set(dice(2) == 0)
					s.TunnelOnline(1, "laptop")
				}
			}
			f.handleBy(nil)
			pass(time.Second) // for what is under way, which may end the connection
			f.set(true)
			s.TunnelOnline(1, "laptop")
			callers.Wait()
			pass(10 * time.Minute)
			synctest.Wait()
			counts := map[string]int{}
			for seq := range strings.FieldsSeq(f.delivered()) {
				counts[strings.TrimSuffix(seq, "k")]++
			}
			for seq := range sent {
				if n := counts[fmt.Sprint(seq+1)]; n != 1 {
					t.Errorf("seed %d: request %d was delivered %d times: %s", seed, seq+1, n, f.delivered())
				}
			}
			if saved, err := s.cfg.Store.BinCursor(t.Context(), b.ID, "laptop"); err != nil || saved != sent {
				t.Errorf("seed %d: the saved place is %d, %v", seed, saved, err)
			}
		})
	}
}
