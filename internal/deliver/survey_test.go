package deliver

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// manyLanes is a manager that does not run, with lanes that are live and idle.
func manyLanes(n int) *Manager {
	m := New(Config{Logger: slog.New(slog.DiscardHandler), Follow: func(*event.Endpoint, bool) {}, MaxInFlight: 64, MaxProbes: 32})
	for i := range n {
		m.addLane(event.LaneKey{Endpoint: event.EndpointID(i + 1)}, &event.Endpoint{
			ID: event.EndpointID(i + 1), Tenant: event.TenantID(i%10 + 1), URL: "https://example.com/" + strconv.Itoa(i),
		}).live = true
	}
	return m
}

func (m *Manager) laneOf(id event.EndpointID) *lane { return m.lanes[event.LaneKey{Endpoint: id}] }

func TestSurvey(t *testing.T) {
	t.Parallel()
	m := manyLanes(20)
	now := time.Now()
	disabled := func(id event.EndpointID, reason string) {
		m.laneOf(id).ep.Disabled, m.laneOf(id).ep.DisabledReason, m.laneOf(id).ep.Updated = true, reason, now.Add(-time.Duration(id)*time.Minute)
	}
	disabled(1, "gone")
	disabled(11, "gone")
	disabled(2, "paused")
	disabled(3, "failing")
	l := m.laneOf(4)
	l.penalty, l.penaltyUntil, l.failures, l.failingSince, l.inFlight, l.scanned, l.live = time.Minute, now.Add(time.Minute), 3, now.Add(-time.Hour), 2, 41, false
	l = m.laneOf(5) // a probe is under way
	l.penalty, l.failures, l.failingSince, l.live = time.Minute, 4, now.Add(-2*time.Hour), false
	l = m.laneOf(6)
	for v := range int64(event.MaxRetryRows) {
		l.addRetry(&retry{Retry: event.Retry{Versions: []int64{v + 1}}})
	}
	l = m.laneOf(7)
	l.live, l.oldest = false, now.Add(-10*time.Minute)
	l = m.laneOf(8) // behind, but not for long
	l.live, l.oldest = false, now.Add(-10*time.Second)
	m.laneOf(9).ep.Kind, m.laneOf(9).live = event.KindTunnel, false // nobody is connected
	m.laneOf(10).ep.Kind = event.KindTunnel
	replay := m.addLane(event.LaneKey{Endpoint: 12, Replay: 5}, m.laneOf(12).ep)
	replay.replay, replay.inFlight = &event.ReplayRange{From: 1, To: 2}, 1

	s := m.Survey(0, 20)
	want := event.LaneCounts{Live: 9, Backlog: 3, Waiting: 8, Disabled: 4, InFlight: 3, Retries: event.MaxRetryRows}
	if s.Live != want.Live || s.Backlog != want.Backlog || s.Waiting != want.Waiting || s.Disabled != want.Disabled || s.InFlight != want.InFlight || s.Retries != want.Retries {
		t.Errorf("got %+v, want %+v", s.LaneCounts, want)
	}
	for why, n := range map[string]int{"gone": 2, "paused": 1, "failing": 1, "penalty": 1, "retries": 1, "offline": 2} {
		if s.Reasons[why] != n {
			t.Errorf("%d wait for %s, want %d", s.Reasons[why], why, n)
		}
	}
	if s.Oldest.Endpoint == nil || s.Oldest.Endpoint.ID != 7 || !s.Oldest.At.Equal(now.Add(-10*time.Minute)) {
		t.Errorf("oldest %+v", s.Oldest)
	}
	var got []string
	for _, x := range s.Trouble {
		got = append(got, x.Reason+" "+strconv.Itoa(int(x.Endpoint.ID)))
	}
	order := []string{"gone 1", "gone 11", "failing 3", "retries 6", "penalty 5", "penalty 4", "backlog 7", "offline 9"}
	if !slices.Equal(got, order) {
		t.Errorf("got %v, want %v", got, order)
	}
	x := s.Trouble[5]
	if x.PenaltyUntil.IsZero() || x.Failures != 3 || x.Cursor != 41 || x.Live || !x.Since.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v", x)
	}
	if one := m.Survey(5, 20); one.Backlog != 1 || one.Live != 1 || len(one.Trouble) != 1 || one.Trouble[0].Endpoint.ID != 5 {
		t.Errorf("tenant 5: %+v", one)
	}
	if none := m.Survey(99, 20); none.Live+none.Backlog+none.Waiting != 0 || none.Trouble != nil {
		t.Errorf("a tenant without lanes: %+v", none)
	}
	if cut := m.Survey(0, 1); len(cut.Trouble) != 6 || cut.Trouble[0].Endpoint.ID != 1 || cut.Trouble[3].Endpoint.ID != 5 {
		t.Errorf("one of each reason, the worst: %+v", cut.Trouble)
	}
}

// TestSurveyWhileLanesGo: lanes come and go between the steps; each that stays and did not move is counted, none twice.
func TestSurveyWhileLanesGo(t *testing.T) {
	t.Parallel()
	m := manyLanes(4 * surveyStep)
	var g sync.WaitGroup
	g.Go(func() {
		for id := range event.EndpointID(2 * surveyStep) {
			m.mu.Lock()
			m.remove(m.laneOf(2*id + 1))
			m.mu.Unlock()
		}
	})
	for range 50 {
		if n := m.Survey(0, 20).Live; n > 4*surveyStep || n < surveyStep {
			t.Errorf("%d lanes", n)
		}
	}
	g.Wait()
	if n, of := m.Survey(0, 20).Live, m.Survey(2, 20).Live; n != 2*surveyStep || len(m.all.lanes) != len(m.lanes) || of == 0 {
		t.Errorf("%d lanes are left, %d of one tenant", n, of)
	}
	for tenant, set := range m.byTenant {
		for i, l := range set.lanes {
			if l.places[setTenant] != i || l.ep.Tenant != tenant || m.all.lanes[l.places[setAll]] != l {
				t.Fatalf("lane %d of tenant %d is in the wrong place", i, tenant)
			}
		}
	}
}

// BenchmarkSurvey looks at 100,000 lanes, a tenth of which fails, and tells the longest that the lock was held.
func BenchmarkSurvey(b *testing.B) {
	m := manyLanes(100_000)
	now := time.Now()
	for i, l := range m.all.lanes {
		if i%10 == 0 {
			l.penalty, l.penaltyUntil, l.failures, l.failingSince, l.live = time.Minute, now.Add(time.Hour), 3, now.Add(-time.Duration(i)*time.Second), false
		}
	}
	for b.Loop() {
		m.Survey(0, 20)
	}
	longest := time.Duration(0)
	s := survey{m: m, most: 20, trouble: map[string][]event.LaneTrouble{}}
	s.out.Reasons = map[string]int{}
	for from := 0; from < len(m.all.lanes); from += surveyStep {
		start := time.Now()
		s.step(0, from)
		longest = max(longest, time.Since(start))
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest-lock")
}
