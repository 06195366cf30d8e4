package sqlite

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// maxScan is how many rows one call of AttemptsOfEndpoint looks at.
const maxScan = 2000

const selectAttempts = "SELECT a.id, a.tenant, a.endpoint, a.at, a.body FROM attempts a "

func scanAttempt(s *stmt) (event.Attempt, error) {
	a := event.Attempt{
		ID: s.int(0), Tenant: event.TenantID(s.int(1)), Endpoint: event.EndpointID(s.int(2)), At: fromMicros(s.int(3)),
	}
	return a, s.damaged("attempt", unpackAttempt(s.blob(4), &a))
}

// eachAttempt calls f with a query's attempts until f returns false.
func eachAttempt(c *conn, f func(event.Attempt) bool, sql string, args ...any) error {
	return c.queryWhile(sql, func(s *stmt) (bool, error) {
		a, err := scanAttempt(s)
		return err == nil && f(a), err
	}, args...)
}

// eventAttempts returns attempts at an event, newest first: those filed under the version itself, and batches filed
// under its block.
func eventAttempts(c *conn, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error) {
	var out []event.Attempt
	if limit <= 0 {
		return nil, nil
	}
	err := eachAttempt(c, func(a event.Attempt) bool {
		out = append(out, a)
		return len(out) < limit
	}, selectAttempts+"WHERE a.tenant = ? AND a.version = ? AND a.id < ? ORDER BY a.id DESC", int64(tenant), version, before)
	if err != nil {
		return nil, err
	}
	n := 0
	err = eachAttempt(c, func(a event.Attempt) bool {
		if firstVersion(a.Versions) != version && slices.Contains(a.Versions, version) {
			out = append(out, a)
			n++
		}
		return n < limit
	}, selectAttempts+`JOIN attempt_blocks b ON b.attempt = a.id
		WHERE b.tenant = ? AND b.block = ? AND b.attempt < ? ORDER BY b.attempt DESC`, int64(tenant), version>>8, before)
	slices.SortFunc(out, func(a, b event.Attempt) int { return int(b.ID - a.ID) })
	return out[:min(len(out), limit)], err
}

// from turns "0: from the newest" into a bound.
func from(before int64) int64 {
	if before == 0 {
		return math.MaxInt64
	}
	return before
}

// Attempted implements [store.Lanes].
func (s *Store) Attempted(ctx context.Context, tenant event.TenantID, version int64) ([]event.EndpointID, error) {
	list, err := s.AttemptsOfEvent(ctx, tenant, version, 0, math.MaxInt)
	if err != nil {
		return nil, err
	}
	var out []event.EndpointID
	for i := range list {
		out = append(out, list[i].Endpoint)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// AttemptsOfEvent implements [store.Lanes].
func (s *Store) AttemptsOfEvent(ctx context.Context, tenant event.TenantID, version, before int64, limit int) ([]event.Attempt, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var out []event.Attempt
	err := s.state.reads.snapshot(ctx, func(c *conn) (err error) {
		out, err = eventAttempts(c, tenant, version, from(before), limit)
		return err
	})
	return out, err
}

// AttemptsOfEndpoint implements [store.Lanes]. One call looks at 2,000 attempts at most.
func (s *Store) AttemptsOfEndpoint(ctx context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) (list []event.Attempt, next int64, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	err = s.state.reads.read(ctx, func(c *conn) error {
		seen, last := 0, int64(0)
		return eachAttempt(c, func(a event.Attempt) bool {
			if seen == maxScan || len(list) >= limit {
				next = last // there is one more
				return false
			}
			seen++
			last = a.ID
			if len(verdicts) == 0 || slices.Contains(verdicts, a.Verdict) {
				list = append(list, a)
			}
			return true
		}, selectAttempts+"WHERE a.endpoint = ? AND a.id < ? ORDER BY a.id DESC", int64(e), from(before))
	})
	return list, next, err
}

// selectOutcomes reads the index alone: SQLite looks for the row only where a body has to tell.
const selectOutcomes = "SELECT a.id, a.at, a.outcome, CASE WHEN a.outcome IS NULL THEN a.body END FROM attempts a "

func scanOutcome(s *stmt) (event.Outcome, error) {
	o := event.Outcome{ID: s.int(0), At: fromMicros(s.int(1))}
	if !s.null(2) {
		return o, s.damaged("attempt", unpackOutcome(s.int(2), &o))
	}
	a := event.Attempt{ID: o.ID, At: o.At}
	err := s.damaged("attempt", unpackAttempt(s.blob(3), &a))
	return a.Outcome(), err
}

// OutcomesOfEndpoint implements [store.Lanes]. One call looks at 2,000 attempts at most.
func (s *Store) OutcomesOfEndpoint(ctx context.Context, e event.EndpointID, before int64, limit int) (list []event.Outcome, next int64, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	limit = min(limit, maxScan)
	err = s.state.reads.read(ctx, func(c *conn) error {
		return c.queryWhile(selectOutcomes+"WHERE a.endpoint = ? AND a.id < ? ORDER BY a.id DESC", func(s *stmt) (bool, error) {
			if len(list) >= limit {
				if limit > 0 {
					next = list[limit-1].ID // there is one more
				}
				return false, nil
			}
			o, err := scanOutcome(s)
			list = append(list, o)
			return true, err
		}, int64(e), from(before))
	})
	return list, next, err
}

// AttemptAt implements [store.Lanes]. It reads an attempt a step, at most 64.
func (s *Store) AttemptAt(ctx context.Context, t time.Time) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var found int64
	err := s.state.reads.read(ctx, func(c *conn) error {
		low, err := c.number("SELECT coalesce(min(id), 1) FROM attempts")
		if err != nil {
			return err
		}
		high, err := c.number("SELECT coalesce(max(id), 0) + 1 FROM attempts")
		if err != nil {
			return err
		}
		for low < high {
			middle := low + (high-low)/2
			late := middle // of deleted ones' numbers the next that is there tells
			err := eachAttempt(c, func(a event.Attempt) bool {
				if a.At.Add(a.Duration).Before(t) {
					late, low = 0, a.ID+1
				}
				return false
			}, selectAttempts+"WHERE a.id >= ? ORDER BY a.id LIMIT 1", middle)
			if err != nil {
				return err
			}
			if late != 0 {
				high = late
			}
		}
		found = low
		return nil
	})
	return found, err
}

// DeadLetters implements [store.Lanes].
func (s *Store) DeadLetters(ctx context.Context, e event.EndpointID, after int64, limit int) ([]event.DeadLetter, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var out []event.DeadLetter
	err := s.state.reads.read(ctx, func(c *conn) error {
		return c.query("SELECT tenant, version, at, reason FROM dead WHERE endpoint = ? AND version > ? ORDER BY version LIMIT ?",
			func(s *stmt) error {
				out = append(out, event.DeadLetter{
					Endpoint: e, Tenant: event.TenantID(s.int(0)), Version: s.int(1), At: fromMicros(s.int(2)), Reason: s.text(3),
				})
				return nil
			}, int64(e), after, max(limit, 0))
	})
	return out, err
}

// TrimAttempts implements [store.Lanes]. Attempts go in the order they were saved, up to the first that is young enough.
func (s *Store) TrimAttempts(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		n, err = deleteAttempts(c, func(a event.Attempt) bool { return a.At.Before(before) },
			selectAttempts+"ORDER BY a.id LIMIT ?", max(limit, 0))
		if err != nil || n >= limit {
			return err
		}
		err = c.exec(`DELETE FROM dead WHERE (endpoint, version) IN
			(SELECT endpoint, version FROM dead WHERE at < ? ORDER BY at LIMIT ?)`, micros(before), limit-n)
		n += c.changes()
		return err
	})
	return n, err
}

// deleteAttempts deletes a query's attempts up to the first that may not go.
func deleteAttempts(c *conn, may func(event.Attempt) bool, sql string, args ...any) (int, error) {
	var list []event.Attempt
	err := eachAttempt(c, func(a event.Attempt) bool {
		if !may(a) {
			return false
		}
		list = append(list, a)
		return true
	}, sql, args...)
	if err != nil {
		return 0, err
	}
	for i := range list {
		a := &list[i]
		if err := c.exec("DELETE FROM attempts WHERE id = ?", a.ID); err != nil {
			return 0, err
		}
		err := eachBlock(a.Versions, func(block int64) error {
			return c.exec("DELETE FROM attempt_blocks WHERE tenant = ? AND block = ? AND attempt = ?", int64(a.Tenant), block, a.ID)
		})
		if err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// DeleteEndpointState implements [store.Lanes].
func (s *Store) DeleteEndpointState(ctx context.Context, e event.EndpointID, limit int) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	n := 0
	err := s.state.w.update(ctx, func(c *conn) (err error) {
		n, err = deleteEndpointState(c, e, limit)
		return err
	})
	return n, err
}

func deleteEndpointState(c *conn, e event.EndpointID, limit int) (int, error) {
	n := 0
	for _, sql := range []string{
		"DELETE FROM lanes WHERE (endpoint, replay) IN (SELECT endpoint, replay FROM lanes WHERE endpoint = ? LIMIT ?)",
		"DELETE FROM retries WHERE (endpoint, replay, version) IN (SELECT endpoint, replay, version FROM retries WHERE endpoint = ? LIMIT ?)",
		"DELETE FROM dead WHERE (endpoint, version) IN (SELECT endpoint, version FROM dead WHERE endpoint = ? LIMIT ?)",
	} {
		if n >= limit {
			return n, nil
		}
		if err := c.exec(sql, int64(e), limit-n); err != nil {
			return 0, err
		}
		n += c.changes()
	}
	more, err := deleteAttempts(c, func(event.Attempt) bool { return true },
		selectAttempts+"WHERE a.endpoint = ? ORDER BY a.id LIMIT ?", int64(e), max(limit-n, 0))
	return n + more, err
}
