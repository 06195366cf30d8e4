package event

import (
	"cmp"
	"slices"
	"time"
)

// Reasons why an endpoint needs somebody's attention, the worst first. See [Attention].
const (
	AttentionGone        = "gone"         // disabled: it answered 410
	AttentionFailing     = "failing"      // disabled: it only failed for too long
	AttentionRetries     = "retries"      // as many events wait to be tried again as may
	AttentionPenalty     = "penalty"      // it fails as a whole, and waits
	AttentionBacklog     = "backlog"      // it is behind
	AttentionDeadLetters = "dead_letters" // events finally failed lately
	AttentionOffline     = "offline"      // a tunnel to which nobody is connected has something waiting
)

// attentionOrder is that of how bad the reasons are.
var attentionOrder = []string{
	AttentionGone, AttentionFailing, AttentionRetries, AttentionPenalty, AttentionBacklog, AttentionDeadLetters, AttentionOffline,
}

// CompareAttention puts the worse of two reasons first. Of one reason, what was disabled lately comes first, because somebody
// knows of the others; else what lasts longest. An unknown time comes last.
func CompareAttention(a, b string, aSince, bSince time.Time) int {
	switch d := cmp.Compare(slices.Index(attentionOrder, a), slices.Index(attentionOrder, b)); {
	case d != 0:
		return d
	case aSince.IsZero() != bSince.IsZero():
		if aSince.IsZero() {
			return 1
		}
		return -1
	case a == AttentionGone || a == AttentionFailing:
		return bSince.Compare(aSince)
	}
	return aSince.Compare(bSince)
}

// Attention is an endpoint that needs somebody's attention, and why.
type Attention struct {
	Tenant      TenantID
	Endpoint    EndpointID
	Kind        string
	URL         string
	Description string
	Reason      string
	// Since is when the state began, zero when that is not known.
	Since time.Time
	// Backlog counts the versions between the lane's cursor and the log's head; OldestAt is when the first of them was received.
	Backlog      int64
	OldestAt     time.Time
	PenaltyUntil time.Time
	// Failures counts failures in a row; of AttentionDeadLetters the dead letters.
	Failures   int
	LastStatus int    // of the newest attempt, 0 without an answer
	LastError  string // of the newest attempt
}

// LaneCounts are lanes in memory by state, and what they hold.
type LaneCounts struct {
	Live, Backlog, Waiting int
	// Reasons counts those that wait, by why.
	Reasons map[string]int
	// Disabled counts those of them whose endpoints are disabled: they are among Waiting.
	Disabled int
	// Idle counts endpoints that have no lane because there was nothing to do for them. A survey of lanes leaves it 0.
	Idle int
	// InFlight counts requests under way, Retries saved retry rows.
	InFlight, Retries int
	// Oldest is the oldest event that a lane has still to deliver, as far as known.
	Oldest LaneOldest
}

// LaneOldest is a lane with the oldest event that is still to be delivered; At is zero when there is none.
type LaneOldest struct {
	At       time.Time
	Endpoint *Endpoint
}

// LaneTrouble is a lane that needs attention, as the lanes know it.
type LaneTrouble struct {
	Endpoint *Endpoint
	Reason   string
	// Since, PenaltyUntil, Failures: as in [Attention]. Oldest is zero when it is not known.
	Since, PenaltyUntil, Oldest time.Time
	Failures                    int
	// Cursor is the version up to which all is settled; of a live lane, Queued counts what waits, and Cursor is not looked at.
	Live   bool
	Cursor int64
	Queued int
}

// LaneSurvey is what lanes show of themselves at a time.
type LaneSurvey struct {
	LaneCounts
	// Trouble lists the worst, the worst first.
	Trouble []LaneTrouble
}

// EndpointCounts counts saved endpoints.
type EndpointCounts struct {
	All      int
	Disabled map[string]int // by reason
}

// Figures are counts over a time.
type Figures struct {
	Events   int64 // stored
	Attempts int64 // requests to endpoints
	// Delivered, Retry, Failed and Gone count events sent, by verdict; a request may carry several.
	Delivered, Retry, Failed, Gone int64
	// Succeeded counts attempts that delivered what they carried.
	Succeeded int64
	// Took are percentiles of the requests' durations, Age of the time from append to delivery.
	Took, Age Percentiles
}

// Percentiles of durations. Known is false when there was nothing to measure.
type Percentiles struct {
	Known         bool
	P50, P95, P99 time.Duration
}

// FigureSlot is a part of a series. Known is false before counting began.
type FigureSlot struct {
	Known                            bool
	Events, Delivered, Retry, Failed int64
	Took                             Percentiles
}

// Overview shows how the server, or one tenant, does.
type Overview struct {
	At time.Time
	// Since is when counting began; figures go back to it, and for Window at most.
	Since  time.Time
	Window time.Duration
	Figures
	EventsPerSecond, DeliveriesPerSecond float64
	// Endpoints counts those that are saved.
	Endpoints int
	Lanes     LaneCounts
	Streams   int
	Attention []Attention
	// Series begins at Start, in steps of Step, oldest first.
	Start  time.Time
	Step   time.Duration
	Series []FigureSlot
}

// Tick is what happened in the last second.
type Tick struct {
	At time.Time
	Figures
	Lanes   LaneCounts
	Streams int
}

// OverviewNews is one message to somebody who watches. One of the fields is set; Attention may be set and empty.
type OverviewNews struct {
	Overview  *Overview
	Tick      *Tick
	Attention []Attention
}
