package deliver

import (
	"math/rand/v2"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Profile says how an endpoint that fails as a whole is penalised. Profiles are data.
type Profile struct {
	// Slow, Client, Server and Down are the first penalty by severity: a slow answer, 4xx, 5xx, timeout or refused.
	Slow, Client, Server, Down time.Duration
	// Max is the longest penalty.
	Max time.Duration
	// SlowAfter is when a good answer counts as slow; 0 means never.
	SlowAfter time.Duration
	// Every makes each failure one of the endpoint as a whole, also an answer that refuses one event among good ones.
	Every bool
}

// DefaultProfile starts at seconds, because a receiver's restart must cost seconds and not minutes.
func DefaultProfile() Profile {
	return Profile{
		Slow: 1 * time.Second, Client: 2 * time.Second, Server: 3 * time.Second, Down: 5 * time.Second,
		Max: time.Hour, SlowAfter: 20 * time.Second,
	}
}

// FlexiBeeProfile penalises as ABRA FlexiBee does its web hooks: 10 to 180 seconds for any fault, growing to an hour.
func FlexiBeeProfile() Profile {
	return Profile{
		Slow: 10 * time.Second, Client: time.Minute, Server: 2 * time.Minute, Down: 3 * time.Minute,
		Max: time.Hour, SlowAfter: 15 * time.Second, Every: true,
	}
}

// named are the profiles that endpoints name, besides the manager's own.
var named = map[string]Profile{event.ProfileFlexiBee: FlexiBeeProfile()}

// profile is how an endpoint is penalised; a name that is not known means the manager's own profile.
func (m *Manager) profile(ep *event.Endpoint) Profile {
	if ep.Kind == event.KindTunnel {
		return TunnelProfile()
	}
	if ep.Profile != "" && ep.Profile != event.ProfileDefault {
		if p, ok := named[ep.Profile]; ok {
			return p
		}
	}
	return m.cfg.Profile
}

func (p Profile) first(s severity) time.Duration {
	switch s {
	case severitySlow:
		return p.Slow
	case severityClient:
		return p.Client
	case severityServer:
		return p.Server
	case severityDown:
		return p.Down
	case severityNone:
	}
	return 0
}

// worse returns the penalty after one more failure: at least the severity's first one, double the present one, at most Max.
func (p Profile) worse(current time.Duration, s severity) time.Duration {
	return min(max(p.first(s), 2*current), p.Max)
}

// better returns the penalty after a success: half, and nothing once it would be below the lowest first one.
func (p Profile) better(current time.Duration) time.Duration {
	if half := current / 2; half >= p.Slow {
		return half
	}
	return 0
}

// jitter lengthens d by up to a tenth, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration {
	if d < 10 {
		return d
	}
	return d + rand.N(d/10) //nolint:gosec // spreading load needs no secret randomness
}

// schedule is an endpoint's retry schedule: waits before tries 2, 3, ….
type schedule []time.Duration

// foreverWait is the wait between tries that never end, where the schedule has none.
const foreverWait = time.Minute

// length is the longest time from the first try to the end of the schedule, its jitter included.
func (s schedule) length() time.Duration {
	var sum time.Duration
	for _, d := range s {
		sum += d + d/10
	}
	return sum
}

// next returns when an event that failed by itself is due again and its next step, or ok false when it has finally failed.
// An event whose endpoint was down keeps its step: only the schedule's whole length ends it. Nothing ends what is tried
// forever: the last wait is used again and again.
func (s schedule) next(step int, first, now time.Time, down, forever bool) (due time.Time, nextStep int, ok bool) {
	if !forever && now.Sub(first) >= s.length() {
		return time.Time{}, step, false
	}
	if down {
		return now, step, true
	}
	if forever && step >= len(s) {
		wait := foreverWait
		if len(s) > 0 {
			wait = s[len(s)-1]
		}
		return now.Add(jitter(wait)), step, true
	}
	if step >= len(s) {
		return time.Time{}, step, false
	}
	return now.Add(jitter(s[step])), step + 1, true
}
