// Package audit keeps the audit log: who changed what, when, from where. A line is stored before the change it tells of, its
// outcome unknown; then the change is made; then the line gets its outcome and the fields that changed, and the caller the
// answer. So nothing changes without a line, and a line that stays unknown is of a change that a crash came into. What was refused
// has a line, too, up to a number a minute for each caller; one line stands for the rest.
package audit

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Store is what the log needs of a store; see package store for the contract of each method.
type Store interface {
	AddAudit(ctx context.Context, e event.AuditEntry) (int64, error)
	CompleteAudit(ctx context.Context, e event.AuditEntry) error
	DeleteAudit(ctx context.Context, id int64) error
	AuditEntries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error)
	TrimAudit(ctx context.Context, before time.Time, limit int) (int, error)
}

const (
	// endWait is how long completing a line may take. Whoever asked for the change waits for it.
	endWait = 10 * time.Second
	// maxLate bounds the outcomes that wait in memory because they could not be stored.
	maxLate = 1000
	// retryAfter is when a change that was refused because its line could not be stored may be tried again.
	retryAfter = 5 * time.Second
	// maxText bounds the texts of an entry that callers choose, in bytes.
	maxText = 512
)

// Log is the audit log. Make one with [New]; it is safe for concurrent use and starts no goroutine.
type Log struct {
	store    Store
	log      *slog.Logger
	refusals refusals

	mu   sync.Mutex
	late []event.AuditEntry // those without an ID are to be added
}

// New makes the log over a store.
func New(s Store, logger *slog.Logger) *Log { return &Log{store: s, log: logger} }

// Begin stores an entry with the outcome unknown, before the change that it tells of, and sets its ID and At. When it returns
// an error the change must not be made. Errors: KindFull without space on the disk, KindUnavailable otherwise.
func (l *Log) Begin(ctx context.Context, e *event.AuditEntry) error {
	e.Outcome = event.AuditUnknown
	return l.add(ctx, e)
}

// Note stores an entry that is complete: of what was refused before it could change anything. Those of one caller that are more
// than 100 in a minute are only counted, and keep the ID 0. Errors are those of Begin.
func (l *Log) Note(ctx context.Context, e *event.AuditEntry) error {
	own, due := l.refusals.count(e, time.Now())
	l.sumUp(ctx, due)
	if !own {
		return nil
	}
	return mapError(l.put(ctx, e))
}

func (l *Log) add(ctx context.Context, e *event.AuditEntry) error {
	l.sumUp(ctx, l.refusals.next(e, time.Now()))
	return mapError(l.put(ctx, e))
}

// put stores an entry as it is.
func (l *Log) put(ctx context.Context, e *event.AuditEntry) (err error) {
	e.At = time.Now().UTC().Truncate(time.Microsecond)
	e.ActorName, e.ResourceID = cut(e.ActorName, maxText), cut(e.ResourceID, maxText)
	e.ID, err = l.store.AddAudit(ctx, *e)
	return err
}

func mapError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrFull):
		return &event.Error{
			Kind: event.KindFull, Code: "storage_full", Detail: "there is no space left to keep the audit log, so nothing was changed",
			RetryAfter: retryAfter, Err: err,
		}
	case errors.Is(err, store.ErrClosed):
		return &event.Error{Kind: event.KindUnavailable, Code: "shutting_down", Detail: "the server is stopping", RetryAfter: time.Second, Err: err}
	}
	return &event.Error{
		Kind: event.KindUnavailable, Code: "audit_unavailable", Detail: "the audit log cannot be written, so nothing was changed",
		RetryAfter: retryAfter, Err: err,
	}
}

// End stores the outcome of an entry that was begun, also when the context has ended. One that cannot be stored now is kept in
// memory for [Log.Settle]. Of what was refused, see [Log.Note], the entry is taken away again when it is one too many.
func (l *Log) End(ctx context.Context, e *event.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	e.ActorName, e.ResourceID = cut(e.ActorName, maxText), cut(e.ResourceID, maxText)
	if e.Outcome == event.AuditRefused {
		own, due := l.refusals.count(e, time.Now())
		l.sumUp(ctx, due)
		if !own && l.store.DeleteAudit(ctx, e.ID) == nil {
			return
		}
	}
	err := l.store.CompleteAudit(ctx, *e)
	if err == nil || event.KindOf(err) == event.KindNotFound {
		return // not found: trimmed meanwhile
	}
	kept := l.later(e)
	l.log.LogAttrs(ctx, slog.LevelWarn, "the outcome of a change is not on the audit log yet", slog.String("entry", event.FormatAuditID(e.ID)),
		slog.String("action", e.Action), slog.String("outcome", string(e.Outcome)), slog.Bool("tried_again", kept), slog.Any("error", err))
}

// later keeps an entry for Settle, and reports whether there was room for it.
func (l *Log) later(e *event.AuditEntry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := len(l.late) < maxLate
	if kept {
		l.late = append(l.late, *e)
	}
	return kept
}

// Settle stores the outcomes that could not be stored when they were known, and the lines that stand for refused calls whose
// minute has ended.
func (l *Log) Settle(ctx context.Context) error {
	l.sumUp(ctx, l.refusals.ended(time.Now(), false))
	l.mu.Lock()
	late := l.late
	l.late = nil
	l.mu.Unlock()
	for i := range late {
		if err := l.settle(ctx, &late[i]); err != nil && event.KindOf(err) != event.KindNotFound {
			l.mu.Lock()
			l.late = append(late[i:], l.late...)
			l.mu.Unlock()
			return err
		}
	}
	return nil
}

func (l *Log) settle(ctx context.Context, e *event.AuditEntry) error {
	if e.ID == 0 {
		return l.put(ctx, e)
	}
	return l.store.CompleteAudit(ctx, *e)
}

// Do makes a change with a line of its own: stored before, completed after. The change may set what it learns of the entry,
// such as ResourceID, Status and Changes. Errors: those of [Log.Begin], then the change was not made; those of the change.
func (l *Log) Do(ctx context.Context, e event.AuditEntry, change func(e *event.AuditEntry) error) error {
	if err := l.Begin(ctx, &e); err != nil {
		return err
	}
	err := change(&e)
	if e.Outcome == event.AuditUnknown {
		e.Outcome, e.Code = outcomeOf(err)
	}
	l.End(ctx, &e)
	return err
}

// outcomeOf is what an error says of a change.
func outcomeOf(err error) (event.AuditOutcome, string) {
	if err == nil {
		return event.AuditDone, ""
	}
	e, ok := errors.AsType[*event.Error](err)
	if !ok {
		return event.AuditUnknown, ""
	}
	return Outcome(e.Kind.HTTPStatus()), e.Code
}

// Outcome is what the HTTP status of an answer says of a change: after an error of the server's own one cannot know.
func Outcome(status int) event.AuditOutcome {
	switch {
	case status < http.StatusBadRequest:
		return event.AuditDone
	case status < http.StatusInternalServerError, status == http.StatusServiceUnavailable, status == http.StatusInsufficientStorage:
		return event.AuditRefused
	}
	return event.AuditUnknown
}

// Entries lists entries, the newest first; next is the Before to go on with, 0 at the end. A list may be short all the same.
func (l *Log) Entries(ctx context.Context, q event.AuditQuery) (list []event.AuditEntry, next int64, err error) {
	return l.store.AuditEntries(ctx, q)
}

// Trim deletes a small batch of entries from before a time, and returns how many.
func (l *Log) Trim(ctx context.Context, before time.Time, limit int) (int, error) {
	return l.store.TrimAudit(ctx, before, limit)
}
