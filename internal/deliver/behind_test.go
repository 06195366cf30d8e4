package deliver

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// hook is an endpoint as the FlexiBee-compatible interface makes it.
func hook(start int64) event.Endpoint {
	return endpoint(1, func(e *event.Endpoint) {
		e.Kind, e.Envelope, e.Payload, e.Format, e.Signing = event.KindFlexiBee, event.EnvelopeFlexiBee, event.PayloadThin, event.FormatJSON, "none"
		e.Order, e.Batch = event.OrderStrict, event.Batch{Max: 200, Wait: 100 * time.Millisecond}
		e.Timeout, e.Profile, e.Forever, e.Start = 30*time.Second, event.ProfileFlexiBee, true, start
	})
}

func aChange(n int) event.Event {
	return event.Event{ID: fmt.Sprintf("c%d", n), Type: "cenik.update", Subject: fmt.Sprintf("cenik/%d", n)}
}

// notes are the changes that arrived, by version, in the order of arrival, with the size of each notification.
type notes struct {
	versions []string
	sizes    []int
}

func (n *notes) take(r *Request) {
	parts := strings.Split(string(r.Body), `"@in-version":"`)[1:]
	for _, p := range parts {
		version, _, _ := strings.Cut(p, `"`)
		n.versions = append(n.versions, version)
	}
	n.sizes = append(n.sizes, len(parts))
}

func (n *notes) check(t *testing.T, first, last int) {
	t.Helper()
	var want []string
	for v := first; v <= last; v++ {
		want = append(want, fmt.Sprint(v))
	}
	if !slices.Equal(n.versions, want) {
		t.Errorf("%d changes arrived: %.100q…, want %d to %d in order", len(n.versions), n.versions, first, last)
	}
}

// A new endpoint that begins in the past gets the history, merged and in order, and then what is new.
func TestBeginsInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		var got notes
		sender := newFakeSender(func(r *Request, _ int) Answer {
			got.take(r)
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 1000 {
			s.append(aChange(i))
		}
		advance(time.Second)
		r.behind(hook(10), true)
		s.append(aChange(1000))
		advance(time.Second)
		got.check(t, 11, 1001)
		if slices.Max(got.sizes) > 200 || len(got.sizes) > 7 {
			t.Errorf("sent in pieces of %v", got.sizes)
		}
		ep := hook(10)
		if v, err := r.View(t.Context(), &ep); err != nil || v.State != "live" || v.Cursor != 1001 || r.State(&ep) != v.State {
			t.Errorf("%+v, %v", v, err)
		}
		s.append(aChange(1001))
		advance(time.Second)
		got.check(t, 11, 1002)
		r.stop()
		if s.position != 1002 || len(s.lanes) != 0 {
			t.Errorf("position %d, %d lanes", s.position, len(s.lanes))
		}
	})
}

// It does so too when the process dies before the lane was told, or on the way.
func TestBeginsInThePastAfterACrash(t *testing.T) {
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newFakeStore()
			var got notes
			var up atomic.Bool
			sender := newFakeSender(func(r *Request, _ int) Answer {
				if !up.Load() {
					return refused()
				}
				got.take(r)
				return Answer{Status: 200}
			})
			r := startRun(t, s, sender)
			for i := range 500 {
				s.append(aChange(i))
			}
			advance(time.Second)
			r.behind(hook(0), told)
			advance(time.Second)
			r.crash()
			up.Store(true)
			r = startRun(t, s, sender)
			s.append(aChange(500))
			advance(10 * time.Minute)
			got.check(t, 1, 501)
			r.stop()
		})
	}
}

// A command for the endpoint that comes between its saving and the telling does not make its lane live.
func TestBeginsInThePastAfterACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		var got notes
		sender := newFakeSender(func(r *Request, _ int) Answer {
			got.take(r)
			return Answer{Status: 200}
		})
		r := startRun(t, s, sender)
		for i := range 10 {
			s.append(aChange(i))
		}
		advance(time.Second)
		ep := hook(0)
		r.behind(ep, false)
		if err := r.Resend(t.Context(), &ep, 3); err != nil {
			t.Error(err)
		}
		r.EndpointBehind(&ep)
		advance(time.Second)
		r.stop()
		slices.Sort(got.versions)
		if want := []string{"1", "10", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(slices.Compact(got.versions), want) {
			t.Errorf("arrived: %q", got.versions)
		}
	})
}

// FlexiBee's penalties: each fault counts, they double to an hour, a success halves them, a reset ends them.
func TestFlexiBeePenalties(t *testing.T) {
	for name, tt := range map[string]struct {
		answer Answer
		slow   time.Duration
		want   []time.Duration
	}{
		"4xx":     {answer: Answer{Status: 404}, want: []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}},
		"gone":    {answer: Answer{Status: 410}, want: []time.Duration{1, 2, 4}},
		"5xx":     {answer: Answer{Status: 500}, want: []time.Duration{2, 4, 8, 16, 32, 60}},
		"refused": {answer: refused(), want: []time.Duration{3, 6, 12, 24, 48, 60, 60}},
		"timeout": {answer: Answer{failure: failureTimeout}, want: []time.Duration{3, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ep := hook(0)
				s := newFakeStore(ep)
				var well atomic.Bool
				sender := newFakeSender(func(*Request, int) Answer {
					if well.Load() {
						return Answer{Status: 200}
					}
					return tt.answer
				})
				r := startRun(t, s, sender)
				s.append(aChange(0))
				advance(time.Second)
				for i, want := range tt.want {
					v, err := r.View(t.Context(), &ep)
					if err != nil || v.Penalty != want*time.Minute || v.Cursor != 0 || v.State != "waiting" {
						t.Fatalf("after %d faults: %+v, %v; want a penalty of %d min", i+1, v, err, want)
					}
					if i < len(tt.want)-1 {
						advance(want*time.Minute + want*time.Minute/10 + time.Second)
					}
				}
				if got := len(sender.seen(ep.URL)); got != len(tt.want) {
					t.Errorf("%d tries, want %d", got, len(tt.want))
				}
				well.Store(true)
				if err := r.ResetPenalty(t.Context(), &ep); err != nil {
					t.Error(err)
				}
				advance(time.Second)
				v, err := r.View(t.Context(), &ep)
				if err != nil || v.Penalty != 0 || v.Cursor != 1 {
					t.Errorf("after a reset: %+v, %v", v, err)
				}
				r.stop()
				if len(s.dead)+len(r.owner.disabled) > 0 {
					t.Errorf("%d dead letters, disabled %v", len(s.dead), r.owner.disabled)
				}
			})
		})
	}
}

func TestFlexiBeePenaltyFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := hook(0)
		s := newFakeStore(ep)
		var status, wait atomic.Int64
		status.Store(500)
		sender := newFakeSender(func(*Request, int) Answer {
			pause(time.Duration(wait.Load()))
			return Answer{Status: int(status.Load())}
		})
		r := startRun(t, s, sender)
		n := 0
		next := func(want time.Duration) {
			t.Helper()
			s.append(aChange(n))
			n++
			advance(time.Minute)
			if v, err := r.View(t.Context(), &ep); err != nil || v.Penalty != want {
				t.Errorf("after %d changes: %+v, %v; want a penalty of %v", n, v, err, want)
			}
		}
		next(2 * time.Minute)
		status.Store(200)
		advance(2 * time.Minute)
		next(30 * time.Second) // halved by the repetition, and again
		next(15 * time.Second)
		next(0)
		wait.Store(int64(15 * time.Second))
		next(0)
		wait.Store(int64(15*time.Second + time.Millisecond))
		next(10 * time.Second) // slow
		wait.Store(0)
		next(0)
		r.stop()
		if s.position != int64(n) {
			t.Errorf("position %d, want %d", s.position, n)
		}
	})
}

// What is repeated forever is never given up, however long it takes, and disables nothing; in any profile.
func TestForever(t *testing.T) {
	for _, profile := range []string{event.ProfileDefault, event.ProfileFlexiBee} {
		t.Run(profile, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ep := endpoint(1, func(e *event.Endpoint) {
					e.Forever, e.Profile, e.Retries = true, profile, []time.Duration{time.Second, time.Hour}
				})
				s := newFakeStore(ep)
				var well atomic.Bool
				sender := newFakeSender(func(_ *Request, n int) Answer {
					switch {
					case well.Load():
						return Answer{Status: 200}
					case n%3 == 0:
						return Answer{Status: 410}
					}
					return Answer{Status: 500}
				})
				r := startRun(t, s, sender)
				s.append(anEvent("e1"))
				advance(30 * 24 * time.Hour)
				if tries := len(sender.seen(ep.URL)); tries < 300 || tries > 1000 {
					t.Errorf("%d tries in 30 days", tries)
				}
				well.Store(true)
				advance(2 * time.Hour)
				r.stop()
				seen := sender.seen(ep.URL)
				if !seen[len(seen)-1].ok || len(s.retries)+len(s.dead)+len(r.owner.disabled) > 0 || s.position != 1 {
					t.Errorf("%d retries, %d dead letters, disabled %v, position %d", len(s.retries), len(s.dead), r.owner.disabled, s.position)
				}
			})
		})
	}
}

func TestScheduleForever(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		s    schedule
		step int
		want time.Duration
	}{{schedule{time.Second, time.Minute}, 1, time.Minute}, {schedule{time.Second, time.Minute}, 2, time.Minute}, {nil, 0, foreverWait}} {
		due, _, ok := tt.s.next(tt.step, now.Add(-1000*time.Hour), now, false, true)
		if wait := due.Sub(now); !ok || wait < tt.want || wait > tt.want+tt.want/10 {
			t.Errorf("%v at %d: %v, %v", tt.s, tt.step, wait, ok)
		}
	}
}

// A probe is a request of its own: nothing of it is recorded.
func TestPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		var got *Request
		sender := newFakeSender(func(r *Request, _ int) Answer {
			copied := *r
			got = &copied
			return Answer{Status: 404, Body: []byte("no")}
		})
		r := startRun(t, s, sender)
		headers := []event.Header{{Name: "X-Key", Value: "k"}}
		a, err := r.Post(t.Context(), "http://example.com/x", "application/xml", headers, []byte("<x/>"), time.Second)
		if err != nil || a.Status != 404 || a.Verdict != event.VerdictRetry || string(a.Body) != "no" {
			t.Errorf("%+v, %v", a, err)
		}
		if got.ContentType != "application/xml" || string(got.Body) != "<x/>" || got.Timeout != time.Second || got.Headers[0].Name != "X-Key" {
			t.Errorf("sent %+v", got)
		}
		if _, err := r.Post(t.Context(), "http://[", "", nil, nil, time.Second); err == nil {
			t.Error("a URL that is none was taken")
		}
		r.stop()
		if len(s.attempts) > 0 {
			t.Error("the probe was recorded")
		}
	})
}
