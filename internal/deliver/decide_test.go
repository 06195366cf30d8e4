package deliver

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posthornhq/posthorn/internal/event"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	profile := DefaultProfile()
	tests := []struct {
		name   string
		answer Answer
		want   outcome
	}{
		{"200", Answer{Status: 200}, outcome{verdict: event.VerdictDelivered}},
		{"202", Answer{Status: 202}, outcome{verdict: event.VerdictDelivered}},
		{"204", Answer{Status: 204}, outcome{verdict: event.VerdictDelivered}},
		{"299", Answer{Status: 299}, outcome{verdict: event.VerdictDelivered}},
		{"slow", Answer{Status: 200, Took: profile.SlowAfter + 1}, outcome{verdict: event.VerdictDelivered, severity: severitySlow}},
		{"redirect", Answer{Status: 301}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"bad request", Answer{Status: 400}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"request timeout", Answer{Status: 408}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"gone", Answer{Status: 410}, outcome{verdict: event.VerdictGone, severity: severityClient}},
		{"too early", Answer{Status: 425}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"throttled without a time", Answer{Status: 429}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{
			"throttled for seconds",
			Answer{Status: 429, RetryAfter: "7"},
			outcome{verdict: event.VerdictRetry, severity: severityClient, retryAfter: 7 * time.Second, throttle: true},
		},
		{
			"throttled until a date",
			Answer{Status: 503, RetryAfter: "Sat, 21 Nov 2026 12:01:00 GMT"},
			outcome{verdict: event.VerdictRetry, severity: severityServer, retryAfter: time.Minute, throttle: true},
		},
		{
			"a date gone by",
			Answer{Status: 503, RetryAfter: "Sat, 21 Nov 2026 11:00:00 GMT"},
			outcome{verdict: event.VerdictRetry, severity: severityServer},
		},
		{
			"a year",
			Answer{Status: 429, RetryAfter: "31536000"},
			outcome{verdict: event.VerdictRetry, severity: severityClient, retryAfter: maxRetryAfter, throttle: true},
		},
		{
			"for this event only",
			Answer{Status: 500, RetryAfter: "9"},
			outcome{verdict: event.VerdictRetry, severity: severityServer, retryAfter: 9 * time.Second},
		},
		{"negative", Answer{Status: 429, RetryAfter: "-5"}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"nonsense", Answer{Status: 429, RetryAfter: "soon"}, outcome{verdict: event.VerdictRetry, severity: severityClient}},
		{"server error", Answer{Status: 500}, outcome{verdict: event.VerdictRetry, severity: severityServer}},
		{"refused", Answer{failure: failureConnect}, outcome{verdict: event.VerdictRetry, severity: severityDown, down: true}},
		{"timeout", Answer{failure: failureTimeout}, outcome{verdict: event.VerdictRetry, severity: severityDown, down: true}},
		{"certificate", Answer{failure: failureTLS}, outcome{verdict: event.VerdictRetry, severity: severityDown, down: true}},
		{"unsendable", Answer{failure: failureUnsendable}, outcome{verdict: event.VerdictFailed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(&tt.answer, profile, now); got != tt.want {
				t.Errorf("judge = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestPenaltyGrowsBySeverityAndHalves(t *testing.T) {
	p := DefaultProfile()
	if p.first(severitySlow) >= p.first(severityClient) || p.first(severityClient) >= p.first(severityServer) || p.first(severityServer) >= p.first(severityDown) {
		t.Error("a worse severity must cost more")
	}
	if got := p.worse(0, severityDown); got != 5*time.Second {
		t.Errorf("first penalty = %v, want 5s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		var d time.Duration
		for range rapid.IntRange(0, 40).Draw(t, "failures") {
			next := p.worse(d, severity(rapid.IntRange(int(severitySlow), int(severityDown)).Draw(t, "severity")))
			if next < d || next > p.Max || d > 0 && next < min(2*d, p.Max) {
				t.Fatalf("worse(%v) = %v", d, next)
			}
			d = next
		}
		for n := 0; d > 0; n++ {
			next := p.better(d)
			if next > d/2 || n > 20 {
				t.Fatalf("better(%v) = %v after %d", d, next, n)
			}
			d = next
		}
	})
}

func TestScheduleEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule(rapid.SliceOfN(rapid.Map(rapid.Int64Range(int64(time.Second), int64(time.Hour)), func(n int64) time.Duration { return time.Duration(n) }), 1, 10).Draw(t, "waits"))
		first := time.Unix(1_700_000_000, 0)
		now, step, tries := first, 0, 1
		for {
			due, next, ok := s.next(step, first, now, false, false)
			if !ok {
				break
			}
			if due.Before(now.Add(s[step])) || due.After(now.Add(s[step]+s[step]/10)) {
				t.Fatalf("step %d due after %v, want %v and up to a tenth more", step, due.Sub(now), s[step])
			}
			now, step = due, next
			tries++
		}
		if tries != len(s)+1 {
			t.Fatalf("%d tries for %d waits", tries, len(s))
		}
		if _, _, ok := s.next(0, first, first.Add(s.length()), true, false); ok {
			t.Fatal("an event outlived its schedule because its endpoint was down")
		}
		if _, step, ok := s.next(0, first, first.Add(s.length()-1), true, false); !ok || step != 0 {
			t.Fatal("a failure of the endpoint used up a step of the event")
		}
	})
}

// The window is compared with a plain list.
func TestWindowPosition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		pending := map[int64]int{}
		var order []int64
		seq := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if len(pending) == 0 || rapid.Bool().Draw(t, "offer") {
				seq += rapid.Int64Range(1, 3).Draw(t, "gap")
				n := rapid.IntRange(0, 3).Draw(t, "lanes")
				w.begin(seq, n, 100)
				order = append(order, seq)
				if n > 0 {
					pending[seq] = n
				}
			} else {
				open := make([]int64, 0, len(pending))
				for _, s := range order {
					if pending[s] > 0 {
						open = append(open, s)
					}
				}
				s := rapid.SampledFrom(open).Draw(t, "settled")
				w.done(s)
				if pending[s]--; pending[s] == 0 {
					delete(pending, s)
				}
			}
			want := seq
			for _, s := range order {
				if pending[s] > 0 {
					want = s - 1
					break
				}
			}
			if got := w.position(); got != want {
				t.Fatalf("position %d, want %d", got, want)
			}
			if len(pending) == 0 && w.bytes != 0 {
				t.Fatalf("%d bytes held by nothing", w.bytes)
			}
		}
	})
}
