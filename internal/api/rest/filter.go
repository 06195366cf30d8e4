package rest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxLooked is how many items one request of a filtered list looks at. A page may be short, even empty, and still have
	// a next: no request works without bound, however seldom the filter fits.
	maxLooked = 5000
	// siftStep is how many items one reading of a filtered list gives.
	siftStep = 500
	// maxTryReads is how often one request for filtered attempts asks the store for tryStep of them.
	maxTryReads = 10
	tryStep     = 1000
	// maxTry is the longest that an attempt may take by an endpoint's own timeout. Attempts are out of the order of their times
	// by that much at most: they are recorded as they end.
	maxTry = 2 * time.Minute
	// trySlack is for what an attempt takes beside its timeout, and for clocks that are set.
	trySlack = 10 * time.Second
)

// sift reads a list in steps and returns the items that fit, at most most of them, and where to go on when there may be
// more. A nil fits keeps everything.
func sift[K, E any](
	after K, most int, read func(after K, limit int) ([]E, error), key func(*E) K, fits func(*E) (bool, error),
) (kept []E, next K, more bool, err error) {
	step := most + 1 // the item after the page shows that there is a next one
	if fits != nil {
		step = siftStep
	}
	for looked := 0; ; {
		list, err := read(after, step)
		if err != nil {
			return nil, next, false, err
		}
		for i := range list {
			if len(kept) == most || looked == maxLooked {
				return kept, after, true, nil
			}
			looked++
			after = key(&list[i])
			keep := true
			if fits != nil {
				if keep, err = fits(&list[i]); err != nil {
					return nil, next, false, err
				}
			}
			if keep {
				kept = append(kept, list[i])
			}
		}
		if len(list) < step {
			return kept, next, false, nil
		}
	}
}

// shown is a page of items that were sifted; next is the cursor, empty at the end.
func shown[E, T any](list []E, next string, show func(*E) (T, error)) (*outBody[client.Page[T]], error) {
	out := client.Page[T]{Data: make([]T, 0, len(list)), Next: next}
	for i := range list {
		item, err := show(&list[i])
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, item)
	}
	return &outBody[client.Page[T]]{out}, nil
}

// holds reports whether one of the texts holds a part, whatever the case of its letters. part is in lower case.
func holds(part string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), part) })
}

// endpointFilter returns the condition that a list's parameters make, nil without any.
func (a *API) endpointFilter(q, eventType, lane string) (func(*event.Endpoint) (bool, error), error) {
	if q == "" && eventType == "" && lane == "" {
		return nil, nil //nolint:nilnil // no filter is no error
	}
	if eventType != "" {
		if why := event.CheckType(eventType); why != "" {
			return nil, invalid("type", why)
		}
	}
	q = strings.ToLower(q)
	return func(e *event.Endpoint) (bool, error) {
		if q != "" && !holds(q, e.URL, e.Description, e.ID.String()) {
			return false, nil
		}
		if eventType != "" && len(e.Types) > 0 {
			takes, err := a.Patterns(e.Types)
			if err != nil || !takes(eventType) {
				return false, err
			}
		}
		return a.inLane(e, lane), nil
	}, nil
}

// inLane reports whether an endpoint's lane is in a state; disabled ones are in the state disabled only.
func (a *API) inLane(e *event.Endpoint, lane string) bool {
	switch {
	case lane == "":
		return true
	case lane == "disabled" || e.Disabled:
		return lane == "disabled" && e.Disabled
	}
	return a.Delivery.State(e) == lane
}

// InTries are the filters of a list of attempts.
type InTries struct {
	Verdict []string  `query:"verdict" enum:"delivered,retry,failed,gone" doc:"Only these, separated by commas"`
	Since   time.Time `query:"since" doc:"Only attempts begun at or after this time"`
	Until   time.Time `query:"until" doc:"Only attempts begun before this time"`
	Status  []string  `query:"status" doc:"Only with these answers, separated by commas: a status such as 500, a class such as 5xx, or none for no answer"`
	Event   string    `query:"event" maxLength:"1024" doc:"Only at the event with this id"`
}

// tryFilter is what a list of attempts is narrowed by.
type tryFilter struct {
	verdicts     []event.Verdict
	since, until time.Time
	statuses     []string
}

func (in *InTries) filter() (tryFilter, *problem) {
	f := tryFilter{since: in.Since, until: in.Until, statuses: in.Status}
	for _, v := range in.Verdict {
		f.verdicts = append(f.verdicts, event.Verdict(v))
	}
	if !f.since.IsZero() && !f.until.IsZero() && !f.until.After(f.since) {
		return f, invalid("until", "must be after since")
	}
	for i, s := range f.statuses {
		if !isStatus(s) {
			return f, invalid("status["+strconv.Itoa(i)+"]", "must be a status such as 500, a class such as 5xx, or none")
		}
	}
	return f, nil
}

func isStatus(s string) bool {
	if s == "none" {
		return true
	}
	if len(s) != 3 || s[0] < '1' || s[0] > '9' {
		return false
	}
	digits := s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9'
	return digits || s[1:] == "xx"
}

// wide reports whether verdicts are all that the list is narrowed by, which the store does.
func (f *tryFilter) wide() bool { return f.since.IsZero() && f.until.IsZero() && len(f.statuses) == 0 }

func (f *tryFilter) fits(t *event.Attempt) bool {
	switch {
	case !f.since.IsZero() && t.At.Before(f.since), !f.until.IsZero() && !t.At.Before(f.until):
		return false
	case len(f.verdicts) > 0 && !slices.Contains(f.verdicts, t.Verdict):
		return false
	case len(f.statuses) == 0:
		return true
	}
	status := "none"
	if t.Status != 0 {
		status = strconv.Itoa(t.Status)
	}
	return slices.ContainsFunc(f.statuses, func(s string) bool { return s == status || s == status[:1]+"xx" && t.Status != 0 })
}

// tries reads an endpoint's attempts that fit, newest first, before an id; next is 0 at the end.
func (a *API) tries(ctx context.Context, e event.EndpointID, f *tryFilter, before int64, most int) (kept []event.Attempt, next int64, err error) {
	if f.wide() {
		return a.Log.AttemptsOfEndpoint(ctx, e, f.verdicts, before, most)
	}
	slack := max(a.DeliveryTimeout, maxTry) + trySlack
	if before == 0 && !f.until.IsZero() {
		// Those that began before until have ended, and been recorded, before this.
		if before, err = a.Log.AttemptAt(ctx, f.until.Add(slack)); err != nil {
			return nil, 0, err
		}
	}
	for range maxTryReads {
		list, next, err := a.Log.AttemptsOfEndpoint(ctx, e, f.verdicts, before, tryStep)
		if err != nil {
			return nil, 0, err
		}
		for i := range list {
			if len(kept) == most {
				return kept, before, nil
			}
			if list[i].At.Before(f.since.Add(-slack)) {
				return kept, 0, nil
			}
			before = list[i].ID
			if f.fits(&list[i]) {
				kept = append(kept, list[i])
			}
		}
		if next == 0 {
			return kept, 0, nil
		}
		before = next
	}
	return kept, before, nil
}

// triesAtEvent reads the attempts of an endpoint at one event.
func (a *API) triesAtEvent(ctx context.Context, c *call, e event.EndpointID, id string, f *tryFilter, before int64, most int) ([]event.Attempt, int64, error) {
	ev, err := a.Log.Event(ctx, c.tenant.ID, id)
	if event.KindOf(err) == event.KindNotFound {
		return nil, 0, nil // its attempts may still be there, but not by its id
	}
	if err != nil {
		return nil, 0, err
	}
	kept, next, _, err := sift(before, most,
		func(before int64, limit int) ([]event.Attempt, error) {
			return a.Log.AttemptsOfEvent(ctx, c.tenant.ID, ev.Version, before, limit)
		},
		func(t *event.Attempt) int64 { return t.ID },
		func(t *event.Attempt) (bool, error) { return t.Endpoint == e && f.fits(t), nil })
	return kept, next, err
}

func (a *API) endpointAttempts(ctx context.Context, c *call, in *struct {
	InEndpoint
	InPage
	InTries
},
) (*outBody[client.Page[client.Attempt]], error) {
	before, p := decodeNumberCursor(listTries, in.Cursor)
	if p != nil {
		return nil, p
	}
	f, p := in.filter()
	if p != nil {
		return nil, p
	}
	e, err := a.endpoint(ctx, c, in.Endpoint)
	if err != nil {
		return nil, err
	}
	var list []event.Attempt
	var last int64
	if in.Event != "" {
		list, last, err = a.triesAtEvent(ctx, c, e.ID, in.Event, &f, before, in.Limit)
	} else {
		list, last, err = a.tries(ctx, e.ID, &f, before, in.Limit)
	}
	if err != nil {
		return nil, err
	}
	next := ""
	if last > 0 {
		next = encodeNumberCursor(listTries, last)
	}
	return shown(list, next, func(t *event.Attempt) (client.Attempt, error) { return showAttempt(t), nil })
}
