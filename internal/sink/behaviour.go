package sink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// MaxDelay bounds [Behaviour.Delay].
const MaxDelay = 10 * time.Minute

// Behaviour says how requests to a path are answered. The zero Behaviour answers 200 at once.
type Behaviour struct {
	// Status is the answer when the request does not fail; 0 means 200.
	Status int `json:"status,omitempty"`
	// Delay is how long the answer takes, at most [MaxDelay].
	Delay time.Duration `json:"delay,omitempty"`
	// Fail is the chance, 0 to 1, that a request fails.
	Fail float64 `json:"fail,omitempty"`
	// FailFirst of every FailOf requests fail, the first ones; FailOf 0 means no pattern.
	FailFirst int `json:"fail_first,omitempty"`
	FailOf    int `json:"fail_of,omitempty"`
	// FailFor fails everything for so long after the behaviour was set.
	FailFor time.Duration `json:"fail_for,omitempty"`
	// FailStatus is the answer to a request that fails; 0 means 500.
	FailStatus int `json:"fail_status,omitempty"`
	// RetryAfter, when not 0, is sent with failures in whole seconds, rounded up.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Body is the body of every answer.
	Body string `json:"body,omitempty"`
}

// Check returns an error that names the first field out of its range.
func (b Behaviour) Check() error {
	switch {
	case b.Status != 0 && (b.Status < 200 || b.Status > 599):
		return fmt.Errorf("status %d is not from 200 to 599", b.Status)
	case b.FailStatus != 0 && (b.FailStatus < 200 || b.FailStatus > 599):
		return fmt.Errorf("fail status %d is not from 200 to 599", b.FailStatus)
	case b.Delay < 0 || b.Delay > MaxDelay:
		return fmt.Errorf("delay %v is not from 0 to %v", b.Delay, MaxDelay)
	case !(b.Fail >= 0 && b.Fail <= 1):
		return fmt.Errorf("the chance of failing, %v, is not from 0 to 1", b.Fail)
	case b.FailOf < 0 || b.FailFirst < 0 || b.FailFirst > b.FailOf:
		return fmt.Errorf("failing %d of %d is not possible", b.FailFirst, b.FailOf)
	case b.FailFor < 0 || b.RetryAfter < 0:
		return errors.New("a duration is negative")
	}
	return nil
}

// fails decides about the request number n, counted from 0, that came age after the behaviour was set; chance is a
// random number from 0 to 1.
func (b Behaviour) fails(n uint64, age time.Duration, chance float64) bool {
	return age < b.FailFor ||
		b.FailOf > 0 && n%uint64(b.FailOf) < uint64(b.FailFirst) ||
		chance < b.Fail
}

// route is a behaviour in use, with what it needs to decide.
type route struct {
	Behaviour
	since    time.Time
	requests atomic.Uint64
}

// answer decides the status of the next request.
func (r *route) answer(now time.Time) (status int, failed bool) {
	n := r.requests.Add(1) - 1
	if r.fails(n, now.Sub(r.since), rand.Float64()) { //nolint:gosec // a toy's chance, not a secret
		return orDefault(r.FailStatus, http.StatusInternalServerError), true
	}
	return orDefault(r.Status, http.StatusOK), false
}

func orDefault(status, fallback int) int {
	if status == 0 {
		return fallback
	}
	return status
}
