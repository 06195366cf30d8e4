// Package ingest is the one door for events. A publish is limited by its tenant's rate, each event is checked and given
// what it lacks (id, source, time), its data held to the schema of its type, and all of them go to the store in one
// append; the receipts come back once they are durable.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// Appender is the log (package store).
type Appender interface {
	Append(ctx context.Context, now time.Time, req store.AppendRequest) ([]event.Receipt, error)
}

// Catalog knows the schemas of event types (package control).
type Catalog interface {
	// Validator returns the check of a type's data, or nil. The check's error names fields that begin with "data".
	Validator(ctx context.Context, tenant event.TenantID, name string) (func(data []byte) error, error)
}

// Observer hears of every publish, for metrics. Calls are concurrent and must be quick.
type Observer interface {
	// Published: events of a tenant were stored, duplicates were on its log already; bytes is the size of all of them.
	Published(tenant event.TenantID, events, duplicates, bytes int)
	// Refused: a whole publish was refused with an error's code; "canceled" when the caller's context ended, "internal"
	// for other errors without a code.
	Refused(code string)
}

// MaxIdempotencyKey is the length of an idempotency key in bytes.
const MaxIdempotencyKey = 255

// OperationalSource is the source of the events that Posthorn itself publishes.
const OperationalSource = "/posthorn"

// fullRetry is when to try again while there is no space.
const fullRetry = 5 * time.Second

// Options are what a [Service] is made of. Store is needed.
type Options struct {
	Store Appender
	// Catalog may be nil: no type has a schema then.
	Catalog Catalog
	Limits  event.Limits
	// Rate is the events a second of a tenant that has no rate of its own, 0 for no limit. Burst is how many may come at
	// once, a second's worth when 0, and at least one; a larger batch waits until nothing is used up, and is then paid off.
	Rate  float64
	Burst int
	// Observer may be nil.
	Observer Observer
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Service is the door. It is safe for concurrent use and starts no goroutine of its own.
type Service struct {
	options  Options
	now      func() time.Time
	limiters *limiters
}

// New makes the door. It returns an error when an option is missing.
func New(o Options) (*Service, error) {
	if o.Store == nil {
		return nil, errors.New("ingest: an option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	l, err := newLimiters(o.Rate, o.Burst)
	if err != nil {
		return nil, err
	}
	return &Service{options: o, now: o.Now, limiters: l}, nil
}

type nobody struct{}

func (nobody) Published(event.TenantID, int, int, int) {}
func (nobody) Refused(string)                          {}

// Publish stores decoded events of a tenant, all or none, and returns a receipt for each once they are durable. It
// fills the caller's slice: an absent id becomes a UUIDv7, an absent source "/" and the tenant's name, an absent time
// the present. JSON data is taken to be valid, as package codec leaves it. Errors: KindRateLimited with RetryAfter,
// KindTooLarge, KindInvalid naming the field, KindConflict for an idempotency key used for something else, KindFull,
// KindUnavailable.
func (s *Service) Publish(ctx context.Context, t *event.Tenant, events []event.Event, idempotencyKey string, fingerprint [32]byte) ([]event.Receipt, error) {
	now := s.now()
	receipts, size, err := s.publish(ctx, now, t, events, idempotencyKey, fingerprint)
	if err != nil {
		s.options.Observer.Refused(codeOf(err))
		return nil, err
	}
	s.observe(t.ID, receipts, size)
	return receipts, nil
}

func (s *Service) publish(ctx context.Context, now time.Time, t *event.Tenant, events []event.Event, idempotencyKey string, fingerprint [32]byte) ([]event.Receipt, int, error) {
	if err := s.checkRequest(len(events), idempotencyKey); err != nil {
		return nil, 0, err
	}
	// Before the expensive checks: what is refused by them counts too.
	if err := s.limiters.take(now, t, len(events)); err != nil {
		return nil, 0, err
	}
	size, err := s.prepare(ctx, now, t, events)
	if err != nil {
		return nil, 0, err
	}
	receipts, err := s.append(ctx, now, store.AppendRequest{
		Tenant: t.ID, Events: events, IdempotencyKey: idempotencyKey, Fingerprint: fingerprint,
	})
	return receipts, size, err
}

// checkRequest checks what is not about one event.
func (s *Service) checkRequest(events int, idempotencyKey string) error {
	if events == 0 {
		return event.Invalid("events", "must not be empty")
	}
	if limit := s.options.Limits.MaxBatch; events > limit {
		return &event.Error{
			Kind: event.KindTooLarge, Code: "batch_too_large", Detail: "the request is too large",
			Fields: []event.FieldError{{Field: "events", Message: fmt.Sprintf("must be at most %d events", limit)}},
		}
	}
	if len(idempotencyKey) > MaxIdempotencyKey || !isPrintableASCII(idempotencyKey) {
		return event.Invalid("Idempotency-Key", fmt.Sprintf("must be at most %d printable ASCII characters", MaxIdempotencyKey))
	}
	return nil
}

// prepare completes and checks every event and returns the size of all of them.
func (s *Service) prepare(ctx context.Context, now time.Time, t *event.Tenant, events []event.Event) (int, error) {
	stamp := now.UTC().Truncate(time.Microsecond)
	var ids idSource
	var source string
	var schemas schemaCache
	total := 0
	for i := range events {
		e := &events[i]
		e.Tenant = t.ID
		if e.ID == "" {
			e.ID = ids.next(now)
		}
		if e.Source == "" {
			if source == "" {
				source = "/" + t.Name
			}
			e.Source = source
		}
		if e.Time.IsZero() {
			e.Time = stamp
		} else {
			e.Time = e.Time.UTC().Truncate(time.Microsecond)
		}
		size, err := checkEvent(e, &s.options.Limits)
		if err == nil {
			err = s.checkData(ctx, e, &schemas)
		}
		if err != nil {
			return 0, inBatch(err, i, len(events))
		}
		total += size
	}
	if limit := s.options.Limits.MaxBatchBytes; total > limit {
		return 0, &event.Error{
			Kind: event.KindTooLarge, Code: "batch_too_large", Detail: "the request is too large",
			Fields: []event.FieldError{{Field: "events", Message: fmt.Sprintf("are %d bytes, the limit is %d", total, limit)}},
		}
	}
	return total, nil
}

// schemaCache keeps the last type's check while a batch is looked through: most batches are of one type.
type schemaCache struct {
	name  string
	check func([]byte) error
}

// checkData holds an event's data to the schema of its type, if it has one.
func (s *Service) checkData(ctx context.Context, e *event.Event, last *schemaCache) error {
	if s.options.Catalog == nil {
		return nil
	}
	if last.name != e.Type {
		check, err := s.options.Catalog.Validator(ctx, e.Tenant, e.Type)
		if err != nil {
			return mapStoreError(err)
		}
		last.name, last.check = e.Type, check
	}
	if last.check == nil {
		return nil
	}
	if !e.IsJSON() {
		return event.Invalid("datacontenttype", "must be JSON, because the event type has a schema")
	}
	// A schema may cost milliseconds an event; a caller that is gone costs no more of them.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return last.check(e.Data)
}

// inBatch names the event of a batch in an error's fields, as package codec does.
func inBatch(err error, index, count int) error {
	problem, ok := errors.AsType[*event.Error](err)
	if !ok || count == 1 {
		return err
	}
	named := *problem
	named.Fields = make([]event.FieldError, len(problem.Fields))
	prefix := "events[" + strconv.Itoa(index) + "]"
	for i, f := range problem.Fields {
		named.Fields[i] = event.FieldError{Field: prefix + "." + f.Field, Message: f.Message}
	}
	return &named
}

// PublishOperational stores one of Posthorn's own events, whose type begins with [event.ReservedPrefix]. Its id follows
// from what it tells of, so that telling it again stores nothing. No rate and no schema applies. The source is
// [OperationalSource] when empty. Errors: KindInvalid, KindTooLarge, KindFull, KindUnavailable.
func (s *Service) PublishOperational(ctx context.Context, tenant event.TenantID, e event.Event) (event.Receipt, error) {
	now := s.now()
	e.Tenant = tenant
	if e.Source == "" {
		e.Source = OperationalSource
	}
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if !isReserved(e.Type) {
		return event.Receipt{}, event.Invalid("type", "must begin with "+event.ReservedPrefix)
	}
	size, err := checkAttributes(&e, &s.options.Limits)
	if err != nil {
		return event.Receipt{}, err
	}
	receipts, err := s.append(ctx, now, store.AppendRequest{Tenant: tenant, Events: []event.Event{e}})
	if err != nil {
		return event.Receipt{}, err
	}
	s.observe(tenant, receipts, size)
	return receipts[0], nil
}

// TenantDeleted forgets what is kept of a tenant.
func (s *Service) TenantDeleted(id event.TenantID) { s.limiters.drop(id) }

func (s *Service) append(ctx context.Context, now time.Time, req store.AppendRequest) ([]event.Receipt, error) {
	receipts, err := s.options.Store.Append(ctx, now.UTC().Truncate(time.Microsecond), req)
	if err != nil {
		return nil, mapStoreError(err)
	}
	if len(receipts) != len(req.Events) {
		return nil, fmt.Errorf("ingest: the store gave %d receipts for %d events", len(receipts), len(req.Events))
	}
	return receipts, nil
}

// mapStoreError gives the store's own errors a kind that callers can show.
func mapStoreError(err error) error {
	switch {
	case errors.Is(err, store.ErrFull):
		return &event.Error{
			Kind: event.KindFull, Code: "storage_full", Detail: "there is no space left to keep events; publishing resumes by itself once there is",
			RetryAfter: fullRetry, Err: err,
		}
	case errors.Is(err, store.ErrClosed):
		return &event.Error{Kind: event.KindUnavailable, Code: "shutting_down", Detail: "the server is stopping", RetryAfter: time.Second, Err: err}
	}
	if _, ok := errors.AsType[*event.Error](err); ok {
		return err
	}
	return fmt.Errorf("ingest: append: %w", err)
}

func (s *Service) observe(tenant event.TenantID, receipts []event.Receipt, size int) {
	duplicates := 0
	for i := range receipts {
		if receipts[i].Duplicate {
			duplicates++
		}
	}
	s.options.Observer.Published(tenant, len(receipts)-duplicates, duplicates, size)
}

func codeOf(err error) string {
	if problem, ok := errors.AsType[*event.Error](err); ok && problem.Code != "" {
		return problem.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "canceled"
	}
	return "internal"
}
