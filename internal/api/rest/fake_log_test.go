package rest_test

import (
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
)

func (f *fake) Event(_ context.Context, t event.TenantID, id string) (event.Event, error) {
	defer f.lock()()
	if f.fail != nil {
		return event.Event{}, f.fail
	}
	for _, e := range f.events {
		if e.ID == id && e.Tenant == t {
			return e, nil
		}
	}
	return event.Event{}, event.NotFound("event")
}

func (f *fake) Events(_ context.Context, _ event.TenantID, versions []int64) ([]event.Event, error) {
	defer f.lock()()
	var list []event.Event
	for _, v := range versions {
		if v >= f.oldest && v <= int64(len(f.events)) {
			list = append(list, f.events[v-1])
		}
	}
	return list, f.fail
}

func (f *fake) Changes(_ context.Context, _ event.TenantID, after int64, limit, _ int) ([]event.Event, int64, int64, error) {
	defer f.lock()()
	head := int64(len(f.events))
	from := max(after+1, f.oldest)
	if from > head {
		return nil, f.oldest, head, f.fail
	}
	list := f.events[from-1:]
	return list[:min(limit, len(list))], f.oldest, head, f.fail
}

func (f *fake) Newest(_ context.Context, _ event.TenantID, before int64, limit int) ([]event.Event, error) {
	defer f.lock()()
	if before == 0 {
		before = int64(len(f.events)) + 1
	}
	var list []event.Event
	for v := min(before-1, int64(len(f.events))); v >= f.oldest && len(list) < limit; v-- {
		list = append(list, f.events[v-1])
	}
	return list, f.fail
}

func (f *fake) VersionAt(_ context.Context, _ event.TenantID, t time.Time) (int64, error) {
	defer f.lock()()
	for _, e := range f.events[f.oldest-1:] {
		if !e.Received.Before(t) {
			return e.Version, f.fail
		}
	}
	return int64(len(f.events)) + 1, f.fail
}

func (f *fake) newestAttempts(before int64, limit int, keep func(*event.Attempt) bool) []event.Attempt {
	var list []event.Attempt
	for _, t := range slices.Backward(f.attempts) {
		if (before == 0 || t.ID < before) && keep(&t) && len(list) < limit {
			list = append(list, t)
		}
	}
	return list
}

func (f *fake) AttemptsOfEvent(_ context.Context, _ event.TenantID, version, before int64, limit int) ([]event.Attempt, error) {
	defer f.lock()()
	return f.newestAttempts(before, limit, func(t *event.Attempt) bool { return slices.Contains(t.Versions, version) }), f.fail
}

func (f *fake) AttemptsOfEndpoint(_ context.Context, e event.EndpointID, verdicts []event.Verdict, before int64, limit int) ([]event.Attempt, int64, error) {
	defer f.lock()()
	list := f.newestAttempts(before, limit+1, func(t *event.Attempt) bool {
		return t.Endpoint == e && (len(verdicts) == 0 || slices.Contains(verdicts, t.Verdict))
	})
	if len(list) > limit {
		return list[:limit], list[limit-1].ID, f.fail
	}
	return list, 0, f.fail
}

func (f *fake) DeadLetters(_ context.Context, _ event.EndpointID, after int64, limit int) ([]event.DeadLetter, error) {
	defer f.lock()()
	var list []event.DeadLetter
	for _, d := range f.dead {
		if d.Version > after && len(list) < limit {
			list = append(list, d)
		}
	}
	return list, f.fail
}

func (f *fake) Answer(_ context.Context, scope, key string) (rest.Answer, error) {
	defer f.lock()()
	a, ok := f.answers[scope+"\n"+key]
	if !ok {
		return a, event.NotFound("answer")
	}
	return a, nil
}

func (f *fake) SaveAnswer(_ context.Context, scope, key string, a rest.Answer) error {
	defer f.lock()()
	f.answers[scope+"\n"+key] = a
	return nil
}
