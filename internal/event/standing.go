package event

import "time"

// Standing is where an event stands with an endpoint's lanes.
type Standing struct {
	// Ahead: a lane has still to come to it, or holds it. Of an event that is not for the endpoint it says nothing.
	Ahead bool
	// InFlight: it is being sent.
	InFlight bool
	// Retry: it is kept to be tried again, or for the first time behind others of its key. Due is when it may go at the earliest.
	Retry bool
	Due   time.Time
	// Waiting says why the endpoint's lane waits, as in [LaneView]; empty when it does not. Until is when a penalty ends.
	Waiting string
	Until   time.Time
	// Unsaved are the attempts at it that the store may not have yet, oldest first.
	Unsaved []Attempt
}
