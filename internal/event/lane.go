package event

import "time"

// Verdict is the judgement of one attempt.
type Verdict string

// Verdicts.
const (
	VerdictDelivered Verdict = "delivered" // 2xx
	VerdictRetry     Verdict = "retry"     // to be tried again
	VerdictFailed    Verdict = "failed"    // finally failed: a dead letter
	VerdictGone      Verdict = "gone"      // 410: the endpoint is disabled
)

// Attempt is one try to deliver one event, or one batch, to one endpoint, with its outcome.
type Attempt struct {
	// ID is given by the store and ascends with time. Its public form is [AttemptID].
	ID       int64
	Tenant   TenantID
	Endpoint EndpointID
	// Versions are those of the events sent, ascending; one for a single delivery.
	Versions []int64
	// EventID is the webhook-id sent: the event's id, or the id of the batch.
	EventID string
	// Number counts the tries of this delivery from 1.
	Number   int
	At       time.Time
	Duration time.Duration
	// Status is the HTTP status, 0 when there was no answer.
	Status  int
	Verdict Verdict
	// Error says in a few words why there was no answer, without secrets or payload.
	Error string
	// Headers and Body are the answer, Body cut to the store's limit.
	Headers []Header
	Body    []byte
	// Next is when the next try is due; zero when there is none.
	Next time.Time
}

// Outcome is how an attempt ended, for figures over many: without what was answered.
type Outcome struct {
	ID int64 // the attempt's
	At time.Time
	// Duration is to the microsecond.
	Duration time.Duration
	// Status is the HTTP status, 0 when there was no answer.
	Status  int
	Verdict Verdict
}

// Outcome is how the attempt ended.
func (a *Attempt) Outcome() Outcome {
	return Outcome{ID: a.ID, At: a.At, Duration: a.Duration.Truncate(time.Microsecond), Status: a.Status, Verdict: a.Verdict}
}

// LaneKey names a lane: an endpoint's main lane (Replay 0) or one of its replays.
type LaneKey struct {
	Endpoint EndpointID
	Replay   int64
}

// LaneState is what a lane saves. A lane without a saved state is live and healthy: the follower feeds it.
type LaneState struct {
	LaneKey
	Tenant TenantID
	// Backlog is set while the lane reads the log by itself from Cursor.
	Backlog bool
	// Cursor: every matching event up to this version is delivered, finally failed, or has a retry row.
	Cursor int64
	// Done are versions after Cursor that are settled already, ascending, at most a lane's window.
	Done []int64
	// Penalty is the wait earned so far; PenaltyUntil when it ends.
	Penalty      time.Duration
	PenaltyUntil time.Time
	// Failures counts failures in a row; FailingSince is when the run of failures began, zero when healthy.
	Failures     int
	FailingSince time.Time
	// Range bounds a replay; zero for a main lane.
	Range ReplayRange
}

// ReplayRange is what a replay sends again: events with From ≤ version ≤ To, all matching ones or only those
// that finally failed.
type ReplayRange struct {
	From, To   int64
	OnlyFailed bool
	// Sent counts what the replay has sent so far.
	Sent int64
	// Started is when it began; Matching how many events it will send, as counted then, 0 when that was not counted.
	Started  time.Time
	Matching int64
}

// Retry is a saved exception of a lane: a delivery that failed, or waits behind one of its key, while its lane went on.
type Retry struct {
	LaneKey
	Tenant TenantID
	// Versions of the event or batch, ascending. The first one identifies the row within its lane.
	Versions []int64
	// Keys are hashes of the ordering keys that the delivery blocks (order key).
	Keys []uint64
	// Number is how many tries were made; Step the place in the retry schedule.
	Number, Step int
	// First is when the first try was made; zero when none was.
	First time.Time
	// Due is when the next try may go.
	Due time.Time
}

// DeadLetter is an event that finally failed for an endpoint.
type DeadLetter struct {
	Tenant   TenantID
	Endpoint EndpointID
	Version  int64
	At       time.Time
	// Reason is a short text: "schedule ended", "gone", "expired".
	Reason string
}

// LaneView is what people and programs are shown of an endpoint's lane.
type LaneView struct {
	// State is "live", "backlog" or "waiting".
	State string
	// Waiting says why a waiting lane waits: "penalty", "paused", "gone", "failing", "retries" (all retry rows are in use).
	Waiting string
	// Backlog counts the versions between the lane's cursor and the log's head, an upper bound of what it has to deliver;
	// OldestAt is when the first of them was received, zero when there is none.
	Backlog  int64
	OldestAt time.Time
	// Cursor is the version up to which every event for the endpoint is settled, as far as the lane knows; for one that has
	// nothing to remember, the log's head.
	Cursor int64
	// Retries counts saved retry rows; InFlight the requests under way.
	Retries, InFlight int
	Penalty           time.Duration
	PenaltyUntil      time.Time
	FailingSince      time.Time
	Failures          int
	// Replays are the endpoint's running replays.
	Replays []ReplayView
}

// States of replays.
const (
	ReplayRunning   = "running"
	ReplayDone      = "done"
	ReplayCancelled = "cancelled"
)

// ReplayView shows a replay: one that runs, or one that ended lately.
type ReplayView struct {
	ID               int64
	From, To, Cursor int64
	OnlyFailed       bool
	// Sent counts events that arrived, Retries those that failed and are tried again.
	Sent     int64
	Retries  int
	State    string
	Matching int64 // as in [ReplayRange]
	// Started is when it began, zero when that is not known; Ended is zero while it runs.
	Started, Ended time.Time
}
