package inspect

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/storetest"
)

// lingering is a store whose empty pages are a second on their way.
type lingering struct{ *storetest.Model }

func (l lingering) Captures(ctx context.Context, q event.CaptureQuery) ([]event.Capture, error) {
	list, err := l.Model.Captures(ctx, q)
	if len(list) == 0 && q.Limit == drainPage {
		pass(time.Second)
	}
	return list, err
}

// TestTunnelLastLook delivers what arrives just after a drain has looked for the last time.
func TestTunnelLastLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTunnel{}
		s := newService(t, func(c *Config) { c.Forwarder, c.Store = f, lingering{storetest.NewModel()} })
		defer s.Close()
		b := makeBin(t, s, event.Bin{Tunnel: "laptop"})
		connect(s, f) // the page is on its way
		began := time.Now()
		want(t, "caller", <-call(t, s, &b), "202 local 1")
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %s", took)
		}
		pass(2 * time.Second)
		want(t, "live", <-call(t, s, &b), "202 local 2")
	})
}

// slowly is a store in which the second capture is a second on its way.
type slowly struct{ *storetest.Model }

func (l slowly) AddCapture(ctx context.Context, c event.Capture, keep int, refuse bool) (event.Capture, error) {
	if string(c.Body) == "slow" {
		pass(time.Second)
	}
	return l.Model.AddCapture(ctx, c, keep, refuse)
}

// TestTunnelArrivalDuringTheEnd gives the local answer to a caller whose request is being kept while a drain ends.
func TestTunnelArrivalDuringTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTunnel{}
		s := newService(t, func(c *Config) { c.Forwarder, c.Store = f, slowly{storetest.NewModel()} })
		defer s.Close()
		b := makeBin(t, s, event.Bin{Tunnel: "laptop", Answer: event.Answer{Status: 299}})
		f.set(true) // as after a start: the line does not know yet
		got := make(chan string, 1)
		go func() {
			w := send(context.Background(), s, http.MethodPost, "/b/"+b.ID, "slow")
			got <- fmt.Sprint(w.Code, " ", w.Body)
		}()
		synctest.Wait()
		want(t, "first", <-call(t, s, &b), "202 local 1")
		want(t, "slow", <-got, "202 local 2")
	})
}

// TestTunnelOfAnOldRequest lets a request that was begun under another tunnel, or none, not end the line of the present one,
// and delivers it.
func TestTunnelOfAnOldRequest(t *testing.T) {
	t.Parallel()
	for tunnel, answer := range map[string]int{"other": 202, "": 299} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeTunnel{}
			s := newService(t, func(c *Config) { c.Forwarder = f })
			defer s.Close()
			b := makeBin(t, s, event.Bin{Tunnel: tunnel, Answer: event.Answer{Status: 299}})
			pr, pw := io.Pipe()
			got := make(chan int, 1)
			go func() {
				r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/b/"+b.ID, pr)
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				got <- w.Code
			}()
			synctest.Wait() // it sends slowly
			now := b
			now.Tunnel = "laptop"
			now, err := s.Update(t.Context(), now, 0)
			if err != nil {
				t.Fatal(err)
			}
			connect(s, f)
			want(t, "live", <-call(t, s, &now), "202 local 1")
			if err := pw.Close(); err != nil {
				t.Fatal(err)
			}
			if code := <-got; code != answer {
				t.Errorf("the old request: %d", code)
			}
			synctest.Wait()
			want(t, "delivered", strings.ReplaceAll(f.delivered(), "k", ""), "1 2")
		})
	}
}

// TestTunnelBrokenOnce sends again what failed while the tunnel stays connected, without being told to.
func TestTunnelBrokenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		connect(s, f)
		broken := false
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			if !broken {
				broken = true
				return event.Answer{}, errLost
			}
			return local(&c), nil
		})
		want(t, "caller", <-call(t, s, &b), "299 ")
		synctest.Wait()
		want(t, "again", f.delivered(), "1k")
		want(t, "live", <-call(t, s, &b), "202 local 2")
	})
}

// TestTunnelStalls lets callers go that wait behind a request that fails, and begins with short waits after a success.
func TestTunnelStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		for range 2 {
			<-call(t, s, &b)
		}
		refusals := 3
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(100 * time.Millisecond)
			if refusals--; refusals >= 0 || c.Seq == 2 && refusals == -2 {
				return event.Answer{Reason: "refused"}, nil
			}
			return local(&c), nil
		})
		began := time.Now()
		connect(s, f)
		want(t, "caller", <-call(t, s, &b), "299 ")
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("waited %s", took)
		}
		pass(time.Minute)
		want(t, "delivered", f.delivered(), "1k 2k 3k")
		f.mu.Lock()
		defer f.mu.Unlock()
		var tries []string
		for _, at := range f.at {
			tries = append(tries, fmt.Sprint(at.Sub(began)))
		}
		// 1 s, 2 s and 4 s after the refusals of the first; after its success 1 s again.
		want(t, "tries", strings.Join(tries, " "), "0s 1.1s 3.2s 7.3s 7.4s 8.5s 8.6s")
	})
}

// TestTunnelLargeOnes lets no more large requests be under way at once than memory is meant for: the others wait in the bin.
func TestTunnelLargeOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTunnel{}
		s := newService(t, func(c *Config) { c.Forwarder, c.MaxBody = f, 10<<20 })
		defer s.Close()
		b := makeBin(t, s, event.Bin{Tunnel: "laptop"})
		connect(s, f)
		want(t, "live", <-call(t, s, &b), "202 local 1")
		f.handleBy(func(_ context.Context, c event.Capture, _ bool) (event.Answer, error) {
			pass(time.Minute)
			return local(&c), nil
		})
		large := strings.Repeat("x", 9<<20)
		for range 10 {
			go send(context.Background(), s, http.MethodPost, "/b/"+b.ID, large)
		}
		synctest.Wait()
		if n := f.underWay(); n != 4 {
			t.Errorf("%d are under way", n)
		}
		pass(time.Hour)
		if n := len(strings.Fields(f.delivered())); n != 11 {
			t.Errorf("%d delivered", n)
		}
	})
}

// TestTunnelOfDeletedTenant forgets the lines of a tenant that is deleted.
func TestTunnelOfDeletedTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, b := tunnelled(t)
		defer s.Close()
		connect(s, f)
		want(t, "live", <-call(t, s, &b), "202 local 1")
		if err := s.TenantDeleted(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.lines) != 0 {
			t.Errorf("%d are left", len(s.lines))
		}
	})
}
