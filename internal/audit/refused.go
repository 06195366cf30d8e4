package audit

import (
	"container/list"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// RefusedCalls is the action of the line that stands for the refused calls of one caller that have none of their own.
const RefusedCalls = "refused-calls"

const (
	// maxRefused is how many lines of its own a caller's refused calls get within refusedTime: what is refused costs the caller
	// nothing, and must not fill the disk or bury what was done.
	maxRefused  = 100
	refusedTime = time.Minute
	// maxCallers bounds the callers whose refused calls are counted. Beyond, who was refused longest ago is forgotten, with a line.
	maxCallers = 1000
)

// caller is for whom refused calls count. All who are not known are one: else strangers could be as many as they like.
type caller struct{ kind, id string }

func callerOf(e *event.AuditEntry) caller { return caller{e.ActorKind, cut(e.ActorID, maxText)} }

// refusals counts the refused calls of callers.
type refusals struct {
	mu     sync.Mutex
	of     map[caller]*list.Element // of *refused
	recent list.List                // the one who was refused last in front
}

// refused are the refused calls of one caller since a time.
type refused struct {
	caller caller
	since  time.Time
	lines  int // of their own
	rest   int // that have none
	sum    event.AuditEntry
}

// count counts a refused call, and reports whether it may have a line of its own. due are lines to be stored for others.
func (r *refusals) count(e *event.AuditEntry, now time.Time) (own bool, due []event.AuditEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	due = r.passed(callerOf(e), now)
	at := r.of[callerOf(e)]
	if at == nil {
		if r.recent.Len() >= maxCallers {
			due = append(due, r.drop(r.recent.Back())...)
		}
		if r.of == nil {
			r.of = map[caller]*list.Element{}
		}
		at = r.recent.PushFront(&refused{caller: callerOf(e), since: now})
		r.of[callerOf(e)] = at
	}
	r.recent.MoveToFront(at)
	c, _ := at.Value.(*refused)
	if c.lines < maxRefused {
		c.lines++
		return true, due
	}
	c.add(e, now)
	return false, due
}

// passed ends the counting of a caller when its time is over.
func (r *refusals) passed(of caller, now time.Time) []event.AuditEntry {
	at := r.of[of]
	if at == nil {
		return nil
	}
	if c, _ := at.Value.(*refused); now.Sub(c.since) < refusedTime {
		return nil
	}
	return r.drop(at)
}

// next ends the counting of the caller of an entry when its time is over.
func (r *refusals) next(e *event.AuditEntry, now time.Time) []event.AuditEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed(callerOf(e), now)
}

// ended ends the counting of all whose time is over, or of all there are.
func (r *refusals) ended(now time.Time, all bool) (due []event.AuditEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := r.recent.Back(); at != nil; {
		before := at.Prev()
		if c, _ := at.Value.(*refused); all || now.Sub(c.since) >= refusedTime {
			due = append(due, r.drop(at)...)
		}
		at = before
	}
	return due
}

// drop forgets a caller, and returns the line for its calls that have none.
func (r *refusals) drop(at *list.Element) []event.AuditEntry {
	c, _ := r.recent.Remove(at).(*refused)
	delete(r.of, c.caller)
	if c.rest == 0 {
		return nil
	}
	calls, _ := json.Marshal(c.rest) // a number always can be
	c.sum.Changes = append([]event.AuditChange{{Field: "calls", To: calls}}, c.sum.Changes...)
	return []event.AuditEntry{c.sum}
}

// add counts a call without a line of its own. The line that stands for all of them says of them what they have in common.
func (c *refused) add(e *event.AuditEntry, now time.Time) {
	s := &c.sum
	if c.rest++; c.rest == 1 {
		since, _ := json.Marshal(now.UTC().Truncate(time.Second))
		*s = event.AuditEntry{
			ActorKind: e.ActorKind, ActorID: e.ActorID, ActorName: e.ActorName, Address: e.Address, Action: RefusedCalls, Tenant: e.Tenant,
			TenantName: e.TenantName, Outcome: event.AuditRefused, Status: e.Status, Code: e.Code, Changes: []event.AuditChange{{Field: "since", To: since}},
		}
		return
	}
	if s.Tenant != e.Tenant || s.TenantName != e.TenantName {
		s.Tenant, s.TenantName = 0, ""
	}
	if s.Address != e.Address {
		s.Address = ""
	}
	if s.Status != e.Status || s.Code != e.Code {
		s.Status, s.Code = 0, ""
	}
}

// sumUp stores the lines that stand for refused calls. What cannot be stored now is kept for [Log.Settle].
func (l *Log) sumUp(ctx context.Context, due []event.AuditEntry) {
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	for i := range due {
		if err := l.put(ctx, &due[i]); err != nil {
			kept := l.later(&due[i])
			l.log.LogAttrs(ctx, slog.LevelWarn, "the number of refused calls is not on the audit log yet", slog.String("actor", due[i].ActorID),
				slog.Bool("tried_again", kept), slog.Any("error", err))
		}
	}
}

// Close stores the lines that stand for refused calls whose minute has not ended.
func (l *Log) Close(ctx context.Context) { l.sumUp(ctx, l.refusals.ended(time.Now(), true)) }
