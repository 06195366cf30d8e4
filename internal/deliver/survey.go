package deliver

import (
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// surveyStep is how many lanes a survey looks at under the lock at once: about 0.1 ms, so that deliveries hardly wait.
const surveyStep = 512

// backlogAlert is how old the oldest event of a lane may be before the lane needs attention.
const backlogAlert = time.Minute

// laneSet is a list from which lanes are removed in no time: the last one takes the place. Each set has its place in the
// lanes, by which is counted from 0.
type laneSet struct {
	lanes []*lane
	by    int
}

// The sets that a lane is in.
const (
	setAll = iota
	setTenant
	setCount
)

func (s *laneSet) add(l *lane) {
	l.places[s.by] = len(s.lanes)
	s.lanes = append(s.lanes, l)
}

func (s *laneSet) remove(l *lane) {
	last := len(s.lanes) - 1
	moved, place := s.lanes[last], l.places[s.by]
	s.lanes[place], moved.places[s.by] = moved, place
	s.lanes[last] = nil
	s.lanes = s.lanes[:last]
}

// enlist puts a new lane into the sets; delist takes it out.
func (m *Manager) enlist(l *lane) {
	m.all.add(l)
	of := m.byTenant[l.ep.Tenant]
	if of == nil {
		of = &laneSet{by: setTenant}
		m.byTenant[l.ep.Tenant] = of
	}
	of.add(l)
}

func (m *Manager) delist(l *lane) {
	m.all.remove(l)
	of := m.byTenant[l.ep.Tenant]
	if of.remove(l); len(of.lanes) == 0 {
		delete(m.byTenant, l.ep.Tenant)
	}
}

// Survey counts lanes by state, those of a tenant, or all with tenant 0, and names the worst: of each reason at most most. It
// takes the lock for a few lanes at a time, so that it is not of one moment: a lane that ends meanwhile may be left out with
// the one that takes its place. Lanes of replays count by what they hold only.
func (m *Manager) Survey(tenant event.TenantID, most int) event.LaneSurvey {
	s := survey{m: m, most: most, trouble: map[string][]event.LaneTrouble{}}
	s.out.Reasons = map[string]int{}
	for from, more := 0, true; more; from += surveyStep {
		more = s.step(tenant, from)
	}
	for _, list := range s.trouble {
		s.out.Trouble = append(s.out.Trouble, list...)
	}
	slices.SortFunc(s.out.Trouble, compareTrouble)
	return s.out
}

// survey is one under way.
type survey struct {
	m       *Manager
	most    int
	out     event.LaneSurvey
	trouble map[string][]event.LaneTrouble // by reason, sorted, at most most each
}

// step looks at some lanes and reports whether there are more.
func (s *survey) step(tenant event.TenantID, from int) bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	set := &s.m.all
	if tenant != 0 {
		if set = s.m.byTenant[tenant]; set == nil {
			return false
		}
	}
	if from >= len(set.lanes) {
		return false
	}
	now := time.Now()
	for _, l := range set.lanes[from:min(from+surveyStep, len(set.lanes))] {
		s.look(l, now)
	}
	return from+surveyStep < len(set.lanes)
}

// look counts one lane. The manager's lock is held.
func (s *survey) look(l *lane, now time.Time) {
	s.out.InFlight += l.inFlight
	s.out.Retries += len(l.retries)
	if l.replay != nil {
		return
	}
	state, why := s.m.stateName(l, now)
	switch state {
	case "live":
		s.out.Live++
	case "backlog":
		s.out.Backlog++
	default:
		s.out.Waiting++
		s.out.Reasons[why]++
		if l.ep.Disabled {
			s.out.Disabled++
		}
	}
	if !l.oldest.IsZero() && (s.out.Oldest.At.IsZero() || l.oldest.Before(s.out.Oldest.At)) {
		s.out.Oldest = event.LaneOldest{At: l.oldest, Endpoint: l.ep}
	}
	reason, since := l.trouble(state, why, now)
	if reason == "" {
		return
	}
	t := event.LaneTrouble{
		Endpoint: l.ep, Reason: reason, Since: since, Oldest: l.oldest, Failures: l.failures, Live: l.live, Cursor: l.cursor(), Queued: l.queued,
	}
	if until := l.until(); now.Before(until) {
		t.PenaltyUntil = until
	}
	s.note(&t)
}

// trouble says why a lane needs attention and since when, as far as it knows; an empty reason when it does not.
func (l *lane) trouble(state, why string, now time.Time) (reason string, since time.Time) {
	since = l.failingSince
	switch {
	case why == event.AttentionGone || why == event.AttentionFailing:
		return why, l.ep.Updated
	case l.ep.Disabled: // somebody wants it so
		return "", since
	case why == event.AttentionOffline:
		if l.live && l.queued == 0 && len(l.retries) == 0 {
			return "", since
		}
		return why, l.oldest
	case why == event.AttentionRetries:
		return why, since
	case why == event.AttentionPenalty || l.penalty > 0 && l.failures > 0: // also while a probe is under way
		if since.IsZero() {
			since = l.penalisedAt
		}
		return event.AttentionPenalty, since
	case !l.oldest.IsZero() && now.Sub(l.oldest) > backlogAlert && (state == "backlog" || l.queued > 0):
		return event.AttentionBacklog, l.oldest
	}
	return "", since
}

// note keeps a lane if it is among the worst of its reason.
func (s *survey) note(t *event.LaneTrouble) {
	list := s.trouble[t.Reason]
	at, _ := slices.BinarySearchFunc(list, t, func(a event.LaneTrouble, b *event.LaneTrouble) int { return compareTrouble(a, *b) })
	if at >= s.most {
		return
	}
	if list = slices.Insert(list, at, *t); len(list) > s.most {
		list = list[:s.most]
	}
	s.trouble[t.Reason] = list
}

// compareTrouble puts the worst first; see [event.CompareAttention].
func compareTrouble(a, b event.LaneTrouble) int {
	return event.CompareAttention(a.Reason, b.Reason, a.Since, b.Since)
}
